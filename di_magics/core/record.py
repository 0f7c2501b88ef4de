"""Turns as plain data: what the saved notebook, a saved conversation and the store hold.

Reading is tolerant: what is not there or not of its type takes its default, and nothing in a
record is ever run or looked up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from di_magics.core.chat import MAIN, Cell, Conversation, Turn
from di_magics.core.errors import DiMagicsError, one_line
from di_magics.core.params import PARAMS, Value, validate
from di_magics.core.reply import Reply, Status, ToolCall, Usage

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")
STATUSES: tuple[Status, ...] = get_args(Status)
LARGEST = 64_000
KEY = "di_magics"


def identity(turn: Turn) -> dict[str, Any]:
    """Return what of a turn is known before it is sent, and never changes."""
    return {
        "turn": turn.id,
        "parent": turn.parent,
        "cell": list(turn.cell) if turn.cell else None,
        "instead": turn.instead,
        "conversation": turn.conversation,
        "notebook": turn.notebook,
        "prompt": turn.prompt,
        "system": turn.system,
        "asked": turn.model,
        "endpoint": turn.endpoint,
        "url": turn.url,
        "local": turn.local,
        "stream": turn.stream,
        "last": turn.last,
        "params": dict(turn.params),
    }


def outcome(reply: Reply) -> dict[str, Any]:
    """Return what became of a turn."""
    return {
        "status": reply.status,
        "reply": reply.text,
        "reasoning": reply.reasoning,
        "tail": reply.tail,
        "tool_calls": [[call.id, call.name, call.arguments] for call in reply.tool_calls],
        "finish_reason": reply.finish_reason,
        "model": reply.model,
        "id": reply.id,
        "usage": {name: getattr(reply.usage, name) for name in COUNTS},
        "cost": None if reply.cost is None else str(reply.cost),
        "elapsed": reply.elapsed,
        "first_token": reply.first_token,
    }


def as_record(turn: Turn) -> dict[str, Any]:
    """Return a turn and its outcome; beyond 64 kB without texts, and saying so."""
    record = {**identity(turn), **outcome(turn.reply)}
    if len(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")) > LARGEST:
        record |= {"prompt": "", "system": None, "reply": "", "reasoning": "", "tool_calls": []}
        record["too_long"] = True
    return record


def from_record(record: Mapping[str, Any]) -> Turn:
    """Return the turn of a record. Raises ValueError where there is neither an id nor a prompt."""
    found, prompt = _text(record.get("turn")), _text(record.get("prompt"))
    if not found or prompt is None:
        raise ValueError("a turn without an id or a prompt")
    if record.get("too_long"):
        raise ValueError("a turn that was too long for the notebook")
    cell = record.get("cell")
    known = isinstance(cell, list) and len(cell) == 2 and isinstance(cell[0], str)
    last = record.get("last")
    return Turn(
        id=found,
        prompt=prompt,
        parent=_text(record.get("parent")),
        cell=Cell(cell[0], int(_count(cell[1]) or 0)) if known and cell else None,
        instead=_text(record.get("instead")),
        conversation=_text(record.get("conversation")) or MAIN,
        notebook=_text(record.get("notebook")) or "",
        system=_text(record.get("system")),
        model=_text(record.get("asked")) or "",
        endpoint=_text(record.get("endpoint")) or "",
        url=_text(record.get("url")) or "",
        local=record.get("local") is True,
        stream=record.get("stream") is not False,
        last=_count(last),
        params=_params(record.get("params")),
        reply=_reply(record),
    )


def _reply(record: Mapping[str, Any]) -> Reply:
    found = record.get("status")
    status: Status = next((known for known in STATUSES if known == found), "cut")
    calls = record.get("tool_calls")
    return Reply(
        text=_text(record.get("reply")) or "",
        reasoning=_text(record.get("reasoning")) or "",
        tail=_text(record.get("tail")) or "",
        tool_calls=tuple(
            ToolCall(*call)
            for call in (calls if isinstance(calls, list) else ())
            if isinstance(call, list)
            and len(call) == 3
            and all(isinstance(part, str) for part in call)
        ),
        finish_reason=_text(record.get("finish_reason")),
        status=status,
        usage=_usage(record.get("usage")),
        cost=_cost(record.get("cost")),
        model=_text(record.get("model")),
        id=_text(record.get("id")),
        elapsed=_seconds(record.get("elapsed")),
        first_token=_seconds(record.get("first_token")),
        ended=status == "done",
    )


def _usage(found: object) -> Usage:
    counts: dict[str, Any] = {}
    if isinstance(found, Mapping):
        counts = {name: _count(found.get(name)) for name in COUNTS}
    return Usage(**counts)


def _params(found: object) -> dict[str, Value]:
    params: dict[str, Value] = {}
    for name, value in found.items() if isinstance(found, Mapping) else ():
        try:
            if name in PARAMS:
                params[name] = validate(name, value)
        except DiMagicsError:
            continue
    return params


def _text(found: object) -> str | None:
    return found if isinstance(found, str) else None


def _count(found: object) -> int | None:
    whole = isinstance(found, int) and not isinstance(found, bool)
    return found if whole and isinstance(found, int) and found >= 0 else None


def _seconds(found: object) -> float | None:
    return float(found) if isinstance(found, int | float) and found >= 0 else None


def _cost(found: object) -> Decimal | None:
    try:
        cost = Decimal(found) if isinstance(found, str) else None
    except InvalidOperation:
        return None
    return cost if cost is not None and cost.is_finite() and cost >= 0 else None


def rebuilt(records: Iterable[object]) -> tuple[Conversation, list[str]]:
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
            turn = from_record(record)
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
