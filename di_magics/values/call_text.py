"""A call as the user is asked about it: "May the model run …?"

The text is made of the arguments that the function will get, never of the model's own text. No two
calls have the same text: hidden characters are visible, and padding is counted (`show_exactly`).
A question has at most MAX_LINES lines, because nobody judges more. The middle of a longer call is
left out, so `y` is not enough for it.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from di_magics.core.visible import show_exactly

WIDTH = 100
MAX_LINES = 60
ANYWAY = "anyway"
"""The answer that runs a call of which a part is not shown."""
# Values of these modules, and of their parts (`pathlib._local`), have an exact repr.
_EXACT = {"datetime", "decimal", "ipaddress", "pathlib", "uuid"}


class _OpaqueError(Exception):
    """A value's text may hide what it holds."""


def call_text(name: str, arguments: Mapping[str, Any], document: Any) -> str:
    """Return a call on one line: the name, and each argument as the function gets it.

    `document` is the JSON that the arguments were made of; it is shown for an object of a class
    whose own text may hide something.
    """
    items = []
    for argument, value in arguments.items():
        try:
            text = _write_value(value)
        except (_OpaqueError, RecursionError, ValueError):
            text = _write_value(document.get(argument) if isinstance(document, dict) else document)
        items.append(f"{argument}={text}")
    return show_exactly(f"{name}({', '.join(items)})")


def question(call: str) -> tuple[str, bool]:
    """Return the question to the user about a call, and whether it shows all of the call."""
    lines = [
        part[start : start + WIDTH]
        for part in re.split(r"(?<=\\n)(?!⟩|$)", call)
        for start in range(0, len(part), WIDTH)
    ]
    if len(lines) == 1:
        return f"May the model run {call}? [y/N] ", True
    if len(lines) <= MAX_LINES:
        shown, size = "\n  ".join(lines), f"{len(call):,} characters in {len(lines)} lines"
        return f"May the model run this call ({size})?\n  {shown}\n[y/N] ", True
    half = MAX_LINES // 2
    start, end = "\n  ".join(lines[:half]), "\n  ".join(lines[-half:])
    size = f"{sum(map(len, lines[half:-half])):,} of {len(call):,} characters are not shown"
    return (
        f"May the model run this call, of which {size}?\n  {start}\n⟨{size}⟩\n  {end}\n"
        f"Type {ANYWAY} to run it: ",
        False,
    )


def _write_value(value: Any) -> str:
    """Return a value as JSON, or an object with its members. Raises _OpaqueError."""
    kind = type(value)
    if value is None or kind in (str, int, float, bool):
        return json.dumps(value, ensure_ascii=False)
    if kind in (list, tuple, set, frozenset):
        return f"[{', '.join(map(_write_value, value))}]"
    if kind is dict:
        pairs = (f"{_write_value(key)}: {_write_value(member)}" for key, member in value.items())
        return f"{{{', '.join(pairs)}}}"
    if kind.__module__.partition(".")[0] in _EXACT or kind is bytes:
        return repr(value)
    if not _is_plain(kind):
        raise _OpaqueError
    if dataclasses.is_dataclass(kind):
        members = {item.name: getattr(value, item.name) for item in dataclasses.fields(kind)}
    else:
        members = {**vars(value), **(value.__pydantic_extra__ or {})}
    pairs = (f"{name}={_write_value(member)}" for name, member in members.items())
    return f"{kind.__name__}({', '.join(pairs)})"


def _is_plain(kind: Any) -> bool:
    """Return whether an object of this class holds its members only, as far as can be seen.

    Code of the user's class that runs while an object is made may keep more in it.
    """
    if kind.__new__ is not object.__new__ or hasattr(kind, "__post_init__"):
        return False
    if dataclasses.is_dataclass(kind):
        code = getattr(vars(kind).get("__init__"), "__code__", None)
        return code is not None and code.co_filename == "<string>"  # dataclass has generated it
    return hasattr(kind, "__pydantic_fields__") and not (
        kind.__pydantic_custom_init__
        or kind.__pydantic_post_init__
        or kind.__private_attributes__
        or kind.__pydantic_decorators__.model_validators
    )
