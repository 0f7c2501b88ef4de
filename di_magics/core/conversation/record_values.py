"""Writes and reads the values of a record that are more than a text or a number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, get_args

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.cells import Cell
from di_magics.core.errors import DiMagicsError, ParamError
from di_magics.core.read_json import (
    MAX_COUNT,
    as_count,
    as_list,
    as_number,
    as_object,
    as_objects,
    as_text,
)
from di_magics.core.reply.reply import (
    COUNTS,
    OPTIONS,
    REASONING_FIELDS,
    Round,
    Status,
    ToolCall,
    ToolResult,
    Usage,
)
from di_magics.core.reply.returned import read_returned
from di_magics.core.reply.sources import MAX_SOURCES, Source, parse_source
from di_magics.core.settings.extras import check_extra
from di_magics.core.settings.params import PARAMS, Value, validate

STATUSES: Mapping[str, Status] = {status: status for status in get_args(Status)}


def drop_empty(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record without empty entries, whose default is the same; 0 and False stay."""
    return {
        key: value
        for key, value in record.items()
        if value is not None and value != "" and value != [] and value != {}
    }


def parse_status(value: object) -> Status:
    """Return a status, `cut` for anything else."""
    return STATUSES.get(as_text(value), "cut")


def parse_cell(value: object) -> Cell | None:
    """Return the cell of [id, ordinal]."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return Cell(value[0], as_count(value[1]) or 0)
    return None


def parse_seconds(value: object) -> float | None:
    """Return a duration in seconds."""
    seconds = as_number(value)
    return seconds if seconds is not None and 0 <= seconds < MAX_COUNT else None


def write_usage(usage: Usage) -> dict[str, Any]:
    """Return the counts that are known."""
    return drop_empty({name: getattr(usage, name) for name in COUNTS})


def parse_usage(value: object) -> Usage:
    """Return the counts; the cost is an entry of the record."""
    usage = as_object(value)
    counts: list[Any] = [as_count(usage.get(name)) for name in COUNTS]
    return Usage(*counts)


def _triples(value: object) -> list[list[str]]:
    """Return the lists of three texts in a list."""
    return [
        item
        for item in as_list(value)
        if isinstance(item, list) and len(item) == 3 and all(isinstance(text, str) for text in item)
    ]


def write_attachments(attachments: Iterable[Attachment]) -> list[list[str]]:
    """Return a list [kind, name, note] per attachment; the contents are stored elsewhere."""
    return [[attachment.kind, attachment.name, attachment.note] for attachment in attachments]


def parse_attachments(value: object) -> tuple[Attachment, ...]:
    """Return the attachments, without their contents."""
    return tuple(
        Attachment("image" if kind == "image" else "text", name, note)
        for kind, name, note in _triples(value)
    )


def write_calls(calls: Iterable[ToolCall]) -> list[list[str]]:
    """Return a list [id, name, arguments] per call, with its extra if there is one."""
    return [
        [call.id, call.name, call.arguments, *([call.extra] if call.extra else [])]
        for call in calls
    ]


def parse_calls(value: object) -> tuple[ToolCall, ...]:
    """Return the tool calls."""
    calls = [item for item in as_list(value) if isinstance(item, list)]
    return tuple(
        ToolCall(*call, *(extra for extra in item[3:4] if _is_object(extra)))
        for item in calls
        for call in _triples([item[:3]])
    )


def write_rounds(rounds: Iterable[Round]) -> list[dict[str, Any]]:
    """Return the rounds as objects; a call that still runs has the result None."""
    return [
        drop_empty(
            {
                "text": step.text,
                "reasoning": step.reasoning,
                "calls": write_calls(step.calls),
                "results": [_write_result(result) for result in step.results],
                "objection": step.objection,
                "reasoning_field": step.reasoning_field,
                "returned": step.returned,
            }
        )
        for step in rounds
    ]


def _write_result(result: ToolResult) -> list[object] | None:
    running = result.seconds is None
    return None if running else [result.content, result.failed, result.seconds]


def parse_rounds(value: object) -> tuple[Round, ...]:
    """Return the rounds; every call has a result, because servers refuse a call without one."""
    return tuple(map(_parse_round, as_objects(value)))


def _parse_round(value: Mapping[str, Any]) -> Round:
    results = as_list(value.get("results"))
    pairs = [
        (call, _parse_result(results[index] if index < len(results) else None))
        for index, item in enumerate(as_list(value.get("calls")))
        for call in parse_calls([item])
    ]
    return Round(
        text=as_text(value.get("text")),
        reasoning=as_text(value.get("reasoning")),
        calls=tuple(call for call, _ in pairs),
        results=tuple(result for _, result in pairs),
        objection=as_text(value.get("objection")),
        reasoning_field=_parse_field(value.get("reasoning_field")),
        returned=_parse_returned(value.get("returned")),
    )


def _parse_field(value: object) -> str:
    return str(value) if value in REASONING_FIELDS else ""


def _parse_returned(value: object) -> str:
    fields = read_returned(as_text(value))
    return json.dumps(fields, ensure_ascii=False) if fields else ""


def _is_object(value: object) -> bool:
    """Return whether this is JSON of an object, as servers send it along with a call."""
    try:
        return isinstance(value, str) and isinstance(json.loads(value), dict)
    except (ValueError, RecursionError):
        return False


def _parse_result(value: object) -> ToolResult:
    match value:
        case [str(content), failed, seconds]:
            return ToolResult(content, failed is True, parse_seconds(seconds) or 0.0)
        case _:
            return ToolResult("The result of this call is not known.", failed=True)


def parse_fields(value: object) -> dict[str, Any]:
    """Return a request's other fields: only tools that have a name, and a response format."""
    record = as_object(value)
    fields: dict[str, Any] = {}
    tools = [tool for tool in as_list(record.get("tools")) if _is_tool(tool)]
    if tools:
        fields["tools"] = tools
    match record.get("response_format"):
        case {"type": "json_object"}:
            fields["response_format"] = {"type": "json_object"}
        case {"type": "json_schema", "json_schema": {"name": str(), "schema": dict()}} as form:
            fields["response_format"] = form
    return fields


def parse_extra_fields(value: object) -> dict[str, Any]:
    """Return the fields that a user has added, without those that cannot be sent."""
    fields = {}
    for name, item in as_object(value).items():
        with suppress(ParamError):
            fields[name] = check_extra(name, item)
    return fields


def _is_tool(value: object) -> bool:
    match value:
        case {"type": "function", "function": {"name": str(name)}}:
            return name != ""
        case _:
            return False


def parse_refused(value: object) -> tuple[str, ...]:
    """Return the fields that a server refused: only those that a request can be without."""
    return (OPTIONS,) if OPTIONS in as_list(value) else ()


def parse_sources(value: object) -> tuple[Source, ...]:
    """Return the sources of a reply; an empty entry is left out."""
    pairs = (as_list(item) for item in as_list(value)[:MAX_SOURCES])
    read = (parse_source(dict(zip(("url", "title"), pair, strict=False))) for pair in pairs if pair)
    return tuple(read)


def parse_params(value: object) -> dict[str, Value]:
    """Return the sampling parameters that are valid."""
    params = {}
    for name, item in as_object(value).items():
        param = _parse_param(name, tuple(item) if isinstance(item, list) else item)
        if param is not None:
            params[name] = param
    return params


def _parse_param(name: str, value: object) -> Value | None:
    try:
        return _validate(name, value)
    except (DiMagicsError, TypeError):  # TypeError: a value that has no hash
        return None


# Turns of a conversation mostly have the same ones.
@lru_cache(maxsize=256, typed=True)
def _validate(name: str, value: object) -> Value | None:
    return validate(name, value) if name in PARAMS else None
