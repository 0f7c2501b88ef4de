"""Turns as plain data, for the saved notebook, a saved conversation and the database.

TURN_ENTRIES and REPLY_ENTRIES are the format: they have a row per entry of a record, for writing
and for reading. An empty entry is left out. Reading is tolerant: an entry that is missing or of
another type has its default, and nothing in a record is ever run or looked up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from di_magics.core.amount import parse_amount
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.record_values import (
    drop_empty,
    parse_attachments,
    parse_calls,
    parse_cell,
    parse_extra_fields,
    parse_fields,
    parse_params,
    parse_refused,
    parse_rounds,
    parse_seconds,
    parse_sources,
    parse_status,
    parse_usage,
    write_attachments,
    write_calls,
    write_rounds,
    write_usage,
)
from di_magics.core.conversation.turn import MAIN, Turn
from di_magics.core.read_json import as_count, as_name, as_text
from di_magics.core.reply.reply import Reply
from di_magics.core.visible import one_line

MAX_RECORD_BYTES = 64_000
METADATA_KEY = "di_magics"


class RecordEntry(NamedTuple):
    """An entry of a record: its key, its attribute, and how it is read and written.

    Without `write` the attribute is written as it is.
    """

    key: str
    attribute: str
    parse: Callable[[object], Any]
    write: Callable[[Any], Any] | None = None


TURN_ENTRIES = (
    RecordEntry("turn", "id", as_text),
    RecordEntry("parent", "parent", as_name),
    RecordEntry("cell", "cell", parse_cell, lambda cell: list(cell) if cell else None),
    RecordEntry("instead", "replaces", as_name),
    RecordEntry(
        "conversation",
        "conversation",
        lambda value: as_name(value) or MAIN,
        lambda name: None if name == MAIN else name,
    ),
    RecordEntry("notebook", "notebook", as_text),
    RecordEntry("prompt", "prompt", as_text),
    RecordEntry("system", "system", as_name),
    RecordEntry("asked", "model", as_text),
    RecordEntry("endpoint", "endpoint", as_text),
    RecordEntry("url", "url", as_text),
    RecordEntry("local", "local", lambda value: value is True, lambda local: local or None),
    RecordEntry("dialect", "dialect", as_text),
    RecordEntry(
        "stream",
        "stream",
        lambda value: value is not False,
        lambda stream: None if stream else False,
    ),
    RecordEntry("last", "context", as_count),
    RecordEntry(
        "taught", "system_is_policy", lambda value: value is True, lambda policy: policy or None
    ),
    RecordEntry("params", "params", parse_params, dict),
    RecordEntry("fields", "fields", parse_fields, dict),
    RecordEntry("extra", "extra", parse_extra_fields, dict),
    RecordEntry("format", "format", as_text),
    RecordEntry("attached", "attachments", parse_attachments, write_attachments),
    RecordEntry("beginning", "beginning", as_text),
    RecordEntry("continued_by", "continued_by", as_text),
    RecordEntry("parent_cell", "parent_cell", as_text),
)
REPLY_ENTRIES = (
    RecordEntry("status", "status", parse_status),
    RecordEntry("reply", "text", as_text),
    RecordEntry("reasoning", "reasoning", as_text),
    RecordEntry("tail", "last_chunk", as_text),
    RecordEntry("tool_calls", "tool_calls", parse_calls, write_calls),
    RecordEntry("rounds", "rounds", parse_rounds, write_rounds),
    RecordEntry("finish_reason", "finish_reason", as_name),
    RecordEntry("model", "model", as_name),
    RecordEntry("id", "id", as_name),
    RecordEntry("usage", "usage", parse_usage, write_usage),
    RecordEntry("cost", "cost", parse_amount, lambda cost: None if cost is None else str(cost)),
    RecordEntry("estimate", "estimate", as_text),
    RecordEntry("elapsed", "elapsed", parse_seconds),
    RecordEntry("first_token", "first_token", parse_seconds),
    RecordEntry("service_tier", "service_tier", as_text),
    RecordEntry("refused_fields", "refused_fields", parse_refused, list),
    RecordEntry("sources", "sources", parse_sources, lambda sources: list(map(list, sources))),
)


Parser = tuple[str, Callable[[object], Any]]
TURN_PARSERS = {entry.key: (entry.attribute, entry.parse) for entry in TURN_ENTRIES}
REPLY_PARSERS = {entry.key: (entry.attribute, entry.parse) for entry in REPLY_ENTRIES}


def _write(entries: Sequence[RecordEntry], value: object) -> dict[str, Any]:
    return drop_empty(
        {
            key: write(getattr(value, attribute)) if write else getattr(value, attribute)
            for key, attribute, _, write in entries
        }
    )


def _parse(parsers: Mapping[str, Parser], record: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for key, value in record.items():
        if value is not None and key in parsers:
            attribute, parse = parsers[key]
            values[attribute] = parse(value)
    return values


def identity_record(turn: Turn) -> dict[str, Any]:
    """Return the entries of a turn that are known before it is sent and never change."""
    return _write(TURN_ENTRIES, turn)


def outcome_record(reply: Reply) -> dict[str, Any]:
    """Return the entries of a turn's reply."""
    return _write(REPLY_ENTRIES, reply)


def export_record(turn: Turn) -> dict[str, Any]:
    """Return a turn and its reply for export: without a policy's system prompt."""
    record = {**identity_record(turn), **outcome_record(turn.reply)}
    if turn.system_is_policy:
        record.pop("system", None)
    return record


def notebook_record(turn: Turn) -> dict[str, Any]:
    """Return a turn and its outcome for a notebook.

    A record larger than 64 kB has `too_long` in place of its texts.
    """
    record = export_record(turn)
    if len(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")) > MAX_RECORD_BYTES:
        record |= {"prompt": "", "system": None, "reply": "", "reasoning": "", "tool_calls": []}
        record |= {
            "tail": "",
            "rounds": [],
            "fields": {},
            "extra": {},
            "attached": [],
            "beginning": "",
        }
        record["too_long"] = True
    return record


def parse_turn(record: Mapping[str, Any]) -> Turn:
    """Return the turn of a record. Raises ValueError for one without an id or a prompt."""
    if not as_name(record.get("turn")) or not isinstance(record.get("prompt"), str):
        raise ValueError("it has no id or no prompt")
    if record.get("too_long"):
        raise ValueError("it was too long for the notebook")
    return Turn(**_parse(TURN_PARSERS, record), reply=parse_reply(record))


def parse_reply(record: Mapping[str, Any]) -> Reply:
    """Return the reply of a record; one without a status is `cut`."""
    return Reply(**({"status": "cut"} | _parse(REPLY_PARSERS, record)))


def rebuild_conversation(records: Iterable[object]) -> tuple[Conversation, list[str]]:
    """Return the conversation of these records, in their order, and messages about unreadable ones.

    A turn whose parent is missing follows the turn before it.
    """
    turns: dict[str, Turn] = {}
    problems: list[str] = []
    before: str | None = None
    for number, record in enumerate(records, 1):
        try:
            if not isinstance(record, Mapping):
                raise ValueError("it is not a turn")
            turn = parse_turn(record)
        except ValueError as error:
            problems.append(f"entry {number}: {one_line(error, 80)}")
            continue
        if turn.id in turns:
            problems.append(f"entry {number}: it is a duplicate")
            continue
        if turn.parent is not None and turn.parent not in turns:
            turn = replace(turn, parent=before)
        turns[turn.id] = turn
        before = turn.id
    return Conversation().with_turns(turns.values()), problems
