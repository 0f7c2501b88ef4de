"""The requests of one turn as one reply: unique ids of calls, and usage and cost as sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from di_magics.core.amount import in_money_context
from di_magics.core.reply.reply import COUNTS, UNCOUNTED, Reply, ToolCall, Usage


def with_call_ids(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Return these calls with unique ids: some servers send no ids, or the same id for all."""
    sent = {call.id for call in calls}
    unused = (f"call_{n}" for n in count() if f"call_{n}" not in sent)
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
    )


def _add_known(one: Any, other: Any) -> Any:
    return None if one is None or other is None else one + other
