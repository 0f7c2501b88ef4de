"""Replies that must be JSON: how they are asked for, and how they are read.

Models often put the JSON into a code block or between sentences. If exactly one object or array is
in the reply, it is used; if there are two, or a broken one, the reply is not JSON.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Protocol

from di_magics.core.errors import ReplyError
from di_magics.core.reply.code_blocks import code_blocks
from di_magics.core.visible import one_line

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
# A string of JSON or of Python, a comma before a closing bracket, True, False or None.
_PYTHON = re.compile(
    r"""\\.|"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|,(?=\s*+[\]}])|\b(?:True|False|None)\b""",
    re.DOTALL,
)
_NAMES = {",": "", "True": "true", "False": "false", "None": "null"}
_QUOTE = re.compile(r"\\.|\"", re.DOTALL)
_QUOTES = {"\\'": "'", '"': '\\"'}
_LINE_BREAK = re.compile(r"[\n\r\t]")


class ReplySchema(Protocol):
    """What a reply must be.

    `read` returns the object in a text, and raises ReplyError if it does not fit.
    """

    @property
    def name(self) -> str: ...
    @property
    def schema(self) -> Mapping[str, Any]: ...
    def read(self, text: str) -> Any: ...


def response_format(shape: ReplySchema | None) -> dict[str, Any]:
    """Return the value of a request's `response_format`: JSON, by this schema if there is one."""
    if shape is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {"name": shape.name, "schema": dict(shape.schema)},
    }


def strip_fence(text: str) -> str:
    """Return the content of a text that is one code block; any other text is returned unchanged."""
    lines = text.strip().split("\n")
    marks = lines[0][: len(lines[0]) - len(lines[0].lstrip("`~"))]
    if len(marks) >= 3 and len(lines) > 2 and lines[-1].strip() == marks:
        return "\n".join(lines[1:-1])
    return text


def extract_json(text: str) -> str:
    """Return the JSON in a reply, else the reply itself without its code fence.

    It is all of the reply, or the only object or array in its code blocks or in its text. What
    models borrow from Python is corrected only where the JSON is all of the reply.
    """
    source = mend_json(strip_fence(text))
    if _is_json(source):
        return source
    codes = [block.code for block in code_blocks(text) if block.code.lstrip()[:1] in ("{", "[")]
    blocks = [escape_line_breaks(code) for code in codes]
    sources = [code for code in blocks if _is_json(code)] or list(_bracketed_json(text))
    return sources[0] if len(sources) == 1 else source


def escape_line_breaks(source: str) -> str:
    """Return JSON with the line breaks and tabs in its strings escaped, other text unchanged.

    Models write the lines of a long text as they are, which RFC 8259 forbids.
    """
    if not _is_loose_json(source):
        return source
    return _STRING.sub(lambda string: _LINE_BREAK.sub(_escape, string[0]), source)


def mend_json(source: str) -> str:
    """Return a JSON object or array with what models borrow from Python corrected.

    That is single quotes, True, False, None and trailing commas. Line breaks in strings are
    escaped, as in JSON of any kind; other text is returned unchanged.
    """
    if source.lstrip()[:1] in ("{", "[") and not _is_loose_json(source):
        mended = _PYTHON.sub(_as_json, source)
        source = mended if _is_loose_json(mended) else source
    return escape_line_breaks(source)


def _is_loose_json(source: str) -> bool:
    try:
        json.loads(source, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def _as_json(python: re.Match[str]) -> str:
    token = python[0]
    if token[0] == "'":
        inner = _QUOTE.sub(lambda quote: _QUOTES.get(quote[0], quote[0]), token[1:-1])
        return f'"{inner}"'
    return _NAMES.get(token, token)


def _escape(line_break: re.Match[str]) -> str:
    return json.dumps(line_break[0])[1:-1]


MAX_BROKEN = 64
_BRACKET = re.compile(r"[\[\]{}]")


def _bracketed_json(text: str) -> Iterator[str]:
    """Yield the objects and arrays in a text, at most two.

    Brackets that are not JSON, as in a link, are skipped up to the closing one.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse_constant, strict=False)
    at = broken = 0
    sources = []
    while opening := _BRACKET.search(text, at):
        start = opening.start()
        if text[start] in "]}":  # it closes a bracket that is missing
            return
        try:
            _, at = decoder.raw_decode(text, start)
            sources.append(escape_line_breaks(text[start:at]))
        except (ValueError, RecursionError):
            broken += 1
            at = _closing_bracket(text, start)
        if not at or broken > MAX_BROKEN or len(sources) > 1:
            return
    yield from sources


def _closing_bracket(text: str, start: int) -> int:
    """Return where the brackets that open at a place are closed, 0 where they are not."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "[{" else -1
        if not depth:
            return bracket.end()
    return 0


def _is_json(source: str) -> bool:
    try:
        parse_strict_json(source)
    except ValueError:
        return False
    return True


def parse_json(text: str) -> Any:
    """Return the value of the JSON (RFC 8259) in a reply. Raises ReplyError, with the place."""
    source = extract_json(text)
    if not source.strip():
        raise ReplyError("The reply is empty: it must be JSON.")
    try:
        return parse_strict_json(source)
    except ValueError as error:
        raise ReplyError(f"The reply is not JSON: {error}.") from None


def parse_strict_json(source: str, *, unique_names: bool = False) -> Any:
    """Return the value of a text of JSON. Raises ValueError, which says where it is wrong.

    With `unique_names` an object with the same name twice is wrong too.
    """
    pairs = _refuse_repetition if unique_names else None
    try:
        return json.loads(source, parse_constant=_refuse_constant, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        if not source[error.pos :].strip() or error.msg.startswith("Unterminated"):
            why = f"it breaks off in line {source.count(chr(10)) + 1}"
        else:
            why = f"{error.msg.removesuffix(' at')} in line {error.lineno}, column {error.colno}"
    except RecursionError:
        why = "it is nested too deeply to be read"
    except ValueError as error:
        why = one_line(error, 80)
    raise ValueError(why)


def _refuse_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        repeated = next(name for name in counts if counts[name] > 1)
        raise ValueError(f"an object has the name {one_line(repeated, 40)} twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def schema_mismatch(name: str, where: str, why: str) -> ReplyError:
    """Return the error for JSON that does not fit a schema: at which place, and why."""
    return ReplyError(f"The reply is not a {name}: at {one_line(where, 80)}, {one_line(why, 200)}.")


def repair_prompt(error: ReplyError) -> str:
    """Return the message that asks the model to correct a reply that does not fit."""
    return f"{error} Answer again, with the corrected JSON alone."


def format_json(text: str) -> str:
    """Return JSON with one line per member; other text is returned unchanged."""
    try:
        return json.dumps(
            parse_strict_json(strip_fence(text)), indent=2, ensure_ascii=False, allow_nan=False
        )
    except (ValueError, RecursionError):
        return text
