"""Turns as plain data: what the saved notebook, a saved conversation and the store hold.

Reading is tolerant: what is not there or not of its type takes its default, and nothing in a
record is ever run or looked up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, get_args

from di_magics.core.amount import parse_amount
from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import MAIN, Conversation, Turn
from di_magics.core.errors import DiMagicsError
from di_magics.core.read_json import (
    LARGEST_COUNT,
    as_count,
    as_list,
    as_name,
    as_number,
    as_object,
    as_objects,
    as_text,
)
from di_magics.core.reply.reply import (
    COUNTS,
    UNCOUNTED,
    Reply,
    Round,
    Status,
    ToolCall,
    ToolResult,
    Usage,
)
from di_magics.core.settings.params import PARAMS, Value, validate
from di_magics.core.text import one_line

STATUSES: Mapping[str, Status] = {status: status for status in get_args(Status)}
LARGEST = 64_000
METADATA_KEY = "di_magics"


def identity_record(turn: Turn) -> dict[str, Any]:
    """Return what of a turn is known before it is sent, and never changes."""
    known = {
        "turn": turn.id,
        "parent": turn.parent,
        "cell": list(turn.cell) if turn.cell else None,
        "instead": turn.replaces,
        "conversation": None if turn.conversation == MAIN else turn.conversation,
        "notebook": turn.notebook,
        "prompt": turn.prompt,
        "system": turn.system,
        "asked": turn.model,
        "endpoint": turn.endpoint,
        "url": turn.url,
        "local": turn.local or None,
        "stream": None if turn.stream else False,
        "last": turn.context,
        "taught": turn.system_is_policy or None,
        "params": dict(turn.params),
        "fields": dict(turn.fields),
        "format": turn.format,
        "attached": [[each.kind, each.name, each.note] for each in turn.attachments],
    }
    return _drop_empty(known)


def outcome_record(reply: Reply) -> dict[str, Any]:
    """Return what became of a turn."""
    became = {
        "status": reply.status,
        "reply": reply.text,
        "reasoning": reply.reasoning,
        "tail": reply.last_chunk,
        "tool_calls": [[call.id, call.name, call.arguments] for call in reply.tool_calls],
        "rounds": [_round(each) for each in reply.rounds],
        "finish_reason": reply.finish_reason,
        "model": reply.model,
        "id": reply.id,
        "usage": _drop_empty({name: getattr(reply.usage, name) for name in COUNTS}),
        "cost": None if reply.cost is None else str(reply.cost),
        "estimate": reply.estimate,
        "elapsed": reply.elapsed,
        "first_token": reply.first_token,
    }
    return _drop_empty(became)


def _round(found: Round) -> dict[str, Any]:
    return _drop_empty(
        {
            "text": found.text,
            "reasoning": found.reasoning,
            "calls": [[call.id, call.name, call.arguments] for call in found.calls],
            "results": [_came(each) for each in found.results],
            "objection": found.objection,
        }
    )


def _came(result: ToolResult) -> list[Any] | None:
    """Return a result, None for a call that still runs."""
    ended = result.seconds is not None
    return [result.content, result.failed, result.seconds] if ended else None


def _drop_empty(record: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing: it takes its default when it is read; 0 and False stay."""
    return {
        name: value
        for name, value in record.items()
        if value is not None and value != "" and value != [] and value != {}
    }


def export_record(turn: Turn) -> dict[str, Any]:
    """Return a turn and its outcome as they leave this machine: without a policy's prompt."""
    record = {**identity_record(turn), **outcome_record(turn.reply)}
    if turn.system_is_policy:
        record.pop("system", None)
    return record


def notebook_record(turn: Turn) -> dict[str, Any]:
    """Return a turn and its outcome for a notebook; beyond 64 kB without texts, and saying so."""
    record = export_record(turn)
    if len(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")) > LARGEST:
        record |= {"prompt": "", "system": None, "reply": "", "reasoning": "", "tool_calls": []}
        record |= {"tail": "", "rounds": [], "fields": {}, "attached": []}
        record["too_long"] = True
    return record


def parse_turn(record: Mapping[str, Any]) -> Turn:
    """Return the turn of a record. Raises ValueError where there is neither an id nor a prompt."""
    found, prompt = as_name(record.get("turn")), record.get("prompt")
    if not found or not isinstance(prompt, str):
        raise ValueError("a turn without an id or a prompt")
    if record.get("too_long"):
        raise ValueError("a turn that was too long for the notebook")
    get = record.get
    return Turn(
        id=found,
        prompt=prompt,
        parent=as_name(get("parent")),
        cell=_cell(get("cell")),
        replaces=as_name(get("instead")),
        conversation=as_name(get("conversation")) or MAIN,
        notebook=as_text(get("notebook")),
        system=as_name(get("system")),
        model=as_text(get("asked")),
        endpoint=as_text(get("endpoint")),
        url=as_text(get("url")),
        local=get("local") is True,
        stream=get("stream") is not False,
        context=as_count(get("last")),
        system_is_policy=get("taught") is True,
        params=_params(get("params")),
        fields=_fields(fields) if (fields := get("fields")) else {},
        format=as_text(get("format")),
        attachments=_attachments(attached) if (attached := get("attached")) else (),
        reply=_reply(get),
    )


def parse_reply(record: Mapping[str, Any]) -> Reply:
    """Return the reply of a record; what is missing or of another type takes its default."""
    return _reply(record.get)


def _reply(get: Callable[[str], Any]) -> Reply:
    status, calls = STATUSES.get(as_text(get("status")), "cut"), get("tool_calls")
    rounds = get("rounds")
    return Reply(
        text=as_text(get("reply")),
        reasoning=as_text(get("reasoning")),
        last_chunk=as_text(get("tail")),
        tool_calls=_calls(calls) if calls else (),
        rounds=_rounds(rounds) if rounds else (),
        finish_reason=as_name(get("finish_reason")),
        status=status,
        usage=_usage(get("usage")),
        cost=parse_amount(get("cost")),
        estimate=as_text(get("estimate")),
        model=as_name(get("model")),
        id=as_name(get("id")),
        elapsed=_seconds(get("elapsed")),
        first_token=_seconds(get("first_token")),
        ended=status == "done",
    )


def _cell(found: object) -> Cell | None:
    if isinstance(found, list) and len(found) == 2 and isinstance(found[0], str):
        return Cell(found[0], as_count(found[1]) or 0)
    return None


def _triples(found: object) -> list[list[str]]:
    """Return the lists of three texts in a list."""
    return [
        item
        for item in as_list(found)
        if isinstance(item, list) and len(item) == 3 and all(isinstance(text, str) for text in item)
    ]


def _calls(found: object) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(*call) for call in _triples(found))


def _rounds(found: object) -> tuple[Round, ...]:
    return tuple(map(_read_round, as_objects(found)))


def _read_round(found: Mapping[str, Any]) -> Round:
    """Read a round; each call has a result, or nothing could be sent after it."""
    results = as_list(found.get("results"))
    pairs = [
        (call, _result(results[at] if at < len(results) else None))
        for at, each in enumerate(as_list(found.get("calls")))
        for call in _calls([each])
    ]
    return Round(
        text=as_text(found.get("text")),
        reasoning=as_text(found.get("reasoning")),
        calls=tuple(call for call, _ in pairs),
        results=tuple(result for _, result in pairs),
        objection=as_text(found.get("objection")),
    )


def _result(found: object) -> ToolResult:
    if isinstance(found, list) and len(found) == 3 and isinstance(found[0], str):
        return ToolResult(found[0], found[1] is True, _seconds(found[2]) or 0.0)
    return ToolResult("What came of this call is not known.", failed=True)


def _attachments(found: object) -> tuple[Attachment, ...]:
    return tuple(
        Attachment("image" if kind == "image" else "text", name, note)
        for kind, name, note in _triples(found)
    )


def _fields(found: object) -> dict[str, Any]:
    """Read what a request held besides: tools with names, and a form that has one."""
    held = as_object(found)
    fields: dict[str, Any] = {}
    named = [tool for tool in as_list(held.get("tools")) if _name_of(tool)]
    if named:
        fields["tools"] = named
    match held.get("response_format"):
        case {"type": "json_object"}:
            fields["response_format"] = {"type": "json_object"}
        case {"type": "json_schema", "json_schema": {"name": str(), "schema": dict()}} as form:
            fields["response_format"] = form
    return fields


def _name_of(tool: object) -> str:
    match tool:
        case {"type": "function", "function": {"name": str(name)}}:
            return name
        case _:
            return ""


def _usage(found: object) -> Usage:
    usage = as_object(found)
    counts: dict[str, Any] = {name: as_count(usage.get(name)) for name in COUNTS}
    return Usage(**counts) if usage else UNCOUNTED


def _params(found: object) -> dict[str, Value]:
    params = {}
    for name, value in as_object(found).items():
        value = _param(name, tuple(value) if isinstance(value, list) else value)
        if value is not None:
            params[name] = value
    return params


def _param(name: str, value: Any) -> Value | None:
    try:
        return _valid(name, value)
    except (DiMagicsError, TypeError):  # TypeError: a value that is no plain one
        return None


# Turns of a conversation mostly have the same ones.
@lru_cache(maxsize=256, typed=True)
def _valid(name: str, value: Any) -> Value | None:
    return validate(name, value) if name in PARAMS else None


def _seconds(found: object) -> float | None:
    seconds = as_number(found)
    return seconds if seconds is not None and 0 <= seconds < LARGEST_COUNT else None


def rebuild_conversation(records: Iterable[object]) -> tuple[Conversation, list[str]]:
    """Return the conversation of these records, in the order given, and what could not be read.

    A turn whose parent is missing follows the turn before it, so that nothing else is lost.
    """
    chat = Conversation()
    problems: list[str] = []
    before: str | None = None
    for number, record in enumerate(records, 1):
        try:
            if not isinstance(record, Mapping):
                raise ValueError("no turn")
            turn = parse_turn(record)
        except ValueError as error:
            problems.append(f"entry {number}: {one_line(error, 80)}")
            continue
        if turn.id in chat.turns:
            problems.append(f"entry {number}: the turn is there already")
            continue
        if turn.parent is not None and turn.parent not in chat.turns:
            turn = replace(turn, parent=before)
        chat = chat.with_turn(turn)
        before = turn.id
    return chat, problems
