"""The requests of one turn as one reply: separate calls with ids, and usage and cost as sums."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from di_magics.core.amount import in_money_context
from di_magics.core.reply.fold import MAX_CALLS
from di_magics.core.reply.reply import COUNTS, UNCOUNTED, Reply, ToolCall, Usage

_OBJECT = re.compile(r"\s*(?=\{)|\s*$")


def separate_calls(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Return a call for each object of arguments.

    Some servers (Gemini) stream all parallel calls of a function as one, so that its arguments are
    several JSON objects, one after the other.
    """
    separate: list[ToolCall] = []
    for call in calls:
        sources = _read_objects(call.arguments)
        separate.append(replace(call, arguments=sources[0]) if len(sources) > 1 else call)
        separate += (ToolCall("", call.name, source) for source in sources[1:])
    return tuple(separate[:MAX_CALLS])


def _read_objects(text: str) -> list[str]:
    """Return the JSON objects that a text consists of, [] for any other text."""
    sources: list[str] = []
    decoder, end = json.JSONDecoder(), 0
    while start := _OBJECT.match(text, end):
        if start.end() == len(text):
            return sources
        try:
            _, end = decoder.raw_decode(text, start.end())
        except (ValueError, RecursionError):
            return []
        sources.append(text[start.end() : end])
    return []


def with_call_ids(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Return these calls with unique ids: some servers send no ids, or the same id for all.

    Ours have nine letters and digits, because the chat templates of Mistral's models refuse others.
    """
    sent = {call.id for call in calls}
    ours = (f"call{n:05}" for n in count())
    unused = (id_ for id_ in ours if id_ not in sent)
    by_id: dict[str, ToolCall] = {}
    for call in calls:
        id_ = call.id if call.id and call.id not in by_id else next(unused)
        by_id[id_] = replace(call, id=id_)
    return tuple(by_id.values())


@in_money_context
def add_request(before: Reply, reply: Reply) -> Reply:
    """Return the newest request's reply with the turn's earlier rounds, and with summed usage.

    A sum with an unknown part is unknown; a request that failed adds nothing.
    """
    if not before.rounds:
        return reply
    lost = reply.status == "failed" and reply.usage == UNCOUNTED and reply.cost is None
    usage, old = reply.usage, before.usage
    sums = {
        name: getattr(old, name) if lost else _add_known(getattr(old, name), getattr(usage, name))
        for name in (*COUNTS, "cost")
    }
    return replace(
        reply,
        rounds=before.rounds,
        usage=Usage(**sums),
        cost=before.cost if lost else _add_known(before.cost, reply.cost),
        estimate=before.estimate or reply.estimate,
        elapsed=None if reply.elapsed is None else (before.elapsed or 0.0) + reply.elapsed,
        first_token=before.first_token,
        sources=reply.sources or before.sources,
    )


def _add_known(one: Any, other: Any) -> Any:
    return None if one is None or other is None else one + other
