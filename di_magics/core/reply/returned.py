"""What a server wants back with an assistant's message: reasoning_details, extra_content.

Some of it is signed, and a server refuses to go on after a tool call if it is missing or changed.
It comes in pieces while a reply streams. An object arrives whole. A list grows: pieces of one
element share its type and its index, and their texts are joined.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

RETURNED_FIELDS = ("reasoning_details", "extra_content")
MAX_RETURNED_CHARS = 1_000_000
"""Characters of JSON that are kept of one reply; if it has more, nothing is kept."""
_GROWING = frozenset({"text", "summary", "data"})

Pieces = tuple[tuple[str, str], ...]


def join_returned(pieces: Iterable[tuple[str, str]]) -> str:
    """Return the fields of these (name, JSON) pieces as a JSON object, "" without any."""
    known = list(pieces)
    if not known or sum(len(text) for _, text in known) > MAX_RETURNED_CHARS:
        return ""
    fields: dict[str, Any] = {}
    for name, text in known:
        value = json.loads(text)
        if isinstance(value, list):
            elements = fields.setdefault(name, [])
            for element in value:
                _add_element(elements, element)
        else:
            fields[name] = value
    for elements in fields.values():
        for element in elements if isinstance(elements, list) else ():
            for key in _GROWING & element.keys():
                if isinstance(element[key], list):
                    element[key] = "".join(element[key])
    return json.dumps(fields, ensure_ascii=False)


def _add_element(elements: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Add a piece to the last element if it is a part of it, else as the next one."""
    last = elements[-1] if elements else {}
    same = "index" in piece and all(last.get(key) == piece.get(key) for key in ("type", "index"))
    if not same:
        last = {}
        elements.append(last)
    for key, value in piece.items():
        if key in _GROWING and isinstance(value, str):
            last.setdefault(key, [])
            if isinstance(last[key], list):
                last[key].append(value)
        elif value is not None or key not in last:
            last[key] = value


def read_returned(text: str) -> dict[str, Any]:
    """Return the fields that a JSON object has; only those that are sent back."""
    try:
        fields = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    kinds: dict[str, type] = {"reasoning_details": list, "extra_content": dict}
    if not isinstance(fields, dict):
        return {}
    return {n: v for n, v in fields.items() if n in kinds and isinstance(v, kinds[n])}
