"""Replies that are to be JSON: how that is asked for, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from di_magics.core.errors import ReplyError
from di_magics.core.text import one_line


class ReplySchema(Protocol):
    """What a reply has to be.

    `read` returns the object that a text is, and raises ReplyError where it does not fit.
    """

    @property
    def name(self) -> str: ...
    @property
    def schema(self) -> Mapping[str, Any]: ...
    def read(self, text: str) -> Any: ...


def response_format(shape: ReplySchema | None) -> dict[str, Any]:
    """Return the field of a request that asks for JSON, of this shape if there is one."""
    if shape is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {"name": shape.name, "schema": dict(shape.schema)},
    }


def strip_fence(text: str) -> str:
    """Return a reply's JSON: the text itself, or what stands in its only code block."""
    lines = text.strip().split("\n")
    marks = lines[0][: len(lines[0]) - len(lines[0].lstrip("`~"))]
    if len(marks) >= 3 and len(lines) > 2 and lines[-1].strip() == marks:
        return "\n".join(lines[1:-1])
    return text


def parse_json(text: str) -> Any:
    """Return the object that a text of JSON (RFC 8259) is. Raises ReplyError, saying where not."""
    source = strip_fence(text)
    if not source.strip():
        raise ReplyError("The reply is empty, where JSON was to be.")
    try:
        return parse_strict_json(source)
    except ValueError as error:
        raise ReplyError(f"The reply is not JSON: {error}.") from None


def parse_strict_json(source: str) -> Any:
    """Return what a text of JSON is. Raises ValueError, saying in a few words where it is none."""
    try:
        return json.loads(source, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        if not source[error.pos :].strip() or _is_cut_off(error):
            why = f"it breaks off in line {source.count(chr(10)) + 1}"
        else:
            why = f"{error.msg} in line {error.lineno}, column {error.colno}"
    except RecursionError:
        why = "it is nested too deeply to be read"
    except ValueError as error:
        why = one_line(error, 80)
    raise ValueError(why)


def _is_cut_off(error: json.JSONDecodeError) -> bool:
    return error.msg.startswith("Unterminated string")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in it")


def schema_mismatch(name: str, where: str, why: str) -> ReplyError:
    """Return the error for JSON that is not of a shape: at which place, and why."""
    return ReplyError(f"The reply is no {name}: at {one_line(where, 80)}, {one_line(why, 200)}.")


def repair_prompt(error: ReplyError) -> str:
    """Return what a model is told that gave something else than it was asked for."""
    return f"{error} Answer again, with the corrected JSON alone."


def format_json(text: str) -> str:
    """Return JSON with a line for each member, and a text that is none as it is."""
    try:
        return json.dumps(parse_json(text), indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError:  # a ReplyError, too
        return text
