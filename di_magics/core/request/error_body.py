"""What a server says in an error: its text and its codes, in whichever shape they are sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from di_magics.core.read_json import as_object
from di_magics.core.request.readers import load_json
from di_magics.core.text import replace_surrogates
from di_magics.core.visible import one_line

_TEXT_FIELDS = ("error", "detail", "message", "errors", "msg", "base_resp", "status_msg")
_CODE_FIELDS = ("code", "type", "status", "reason", "provider_error_code")
_MAX_DEPTH = 8
_MAX_NESTED_CHARS = 20_000


def error_text(payload: object, depth: int = _MAX_DEPTH) -> str | None:
    """Return the server's own text in an error body, whichever of its shapes it has."""
    if depth == 0:
        return None
    match payload:
        case str() if payload.strip():
            return _nested_text(payload, depth) or one_line(replace_surrogates(payload))
        case {"msg": str() as message, "loc": [*loc]}:  # FastAPI names the field it refuses
            place = ".".join(str(part) for part in loc if part != "body")
            return one_line(replace_surrogates(f"{place}: {message}" if place else message))
        case {**fields}:
            texts = (error_text(fields.get(name), depth - 1) for name in _TEXT_FIELDS)
            text = next(filter(None, texts), None)
            upstream = as_object(fields.get("metadata"))  # OpenRouter relays another's refusal
            raw = error_text(upstream.get("raw"), depth - 1)
            name = error_text(upstream.get("provider_name"), 1)
            if text and raw and raw not in text:
                text = one_line(f"{text}{f' ({name})' if name else ''}: {raw}")
            if text and isinstance(other := fields.get("replacement"), str) and other not in text:
                text = one_line(f"{text.rstrip('.')} (replaced by {replace_surrogates(other)})")
            wrote = fields.get("failed_generation")  # Groq: a malformed call, as the model wrote it
            if text and isinstance(wrote, str) and wrote.strip():
                text = one_line(f"{text} {replace_surrogates(wrote)}", 600)
            return text
        case [*items]:
            texts = (error_text(item, depth - 1) for item in items[:3])
            return one_line("; ".join(filter(None, texts))) or None
        case _:
            return None


def _nested_text(text: str, depth: int) -> str | None:
    """Return the text of an error that is JSON within a text."""
    if len(text) > _MAX_NESTED_CHARS or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return error_text(load_json(text), depth - 1)
    except ValueError:
        return None


def error_codes(payload: object) -> Iterator[str]:
    """Yield the error codes of a body that are texts."""
    outer = as_object(payload[0] if isinstance(payload, list) and payload else payload)
    inner = as_object(outer.get("error"))
    details = inner.get("details")
    for fields in (
        outer,
        inner,
        as_object(inner.get("metadata")),
        as_object(inner.get("innererror")),
        *(map(as_object, details[:3]) if isinstance(details, list) else ()),
    ):
        yield from (value for name in _CODE_FIELDS if isinstance(value := fields.get(name), str))


_SUCCESS = frozenset({"none", "", "0", "200", "ok", "success"})


def find_error(payload: object) -> Mapping[str, Any] | None:
    """Return the part of a payload that reports an error, None if there is none.

    Servers say so in a field, in the first choice, or with an error code in place of choices.
    """
    if not isinstance(payload, dict):
        return None
    choices = payload.get("choices")
    first = as_object(choices[0]) if isinstance(choices, list) and choices else {}
    if payload.get("error"):
        return payload
    if first.get("error"):
        return {"error": first["error"]}
    if as_object(payload.get("base_resp")).get("status_code"):  # MiniMax
        return payload
    code = payload.get("code")
    failed = (
        payload.get("detail")
        or payload.get("object") == "error"
        or payload.get("errors")
        or payload.get("success") is False
        or (str(code).lower() not in _SUCCESS and ("msg" in payload or "message" in payload))
    )
    return payload if failed and not choices else None


def mentions_param(text: str, param: str) -> bool:
    """Return whether a server's text is about this parameter, and not only contains its name."""
    pattern = rf"['\"`]{param}['\"`]|\b{param}:|\bparameter {param}\b"
    return bool(re.search(pattern, text)) or ("_" in param and param in text)
