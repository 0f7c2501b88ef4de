"""A reply that grows by events, as in production, and one that has grown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.fold import ReplyEvent, ReplyFold
from di_magics.core.reply.reply import Reply, ToolCall, Usage

TOKEN = TokenProbability("Hi", -0.5)
GROWN = Reply(
    text="Hi there",
    reasoning="hm",
    tool_calls=(ToolCall("c", "f", "{}"),),
    finish_reason="stop",
    usage=Usage(1, 2, cost=Decimal("0.2")),
    cost=Decimal("0.2"),
    model="n",
    id="2",
    logprobs=(TOKEN, TOKEN),
    status="done",
    last_chunk=" there",
)


def grow(*batches: Iterable[ReplyEvent]) -> Reply:
    """Return the reply of these batches of events, with a snapshot after each of them."""
    fold, reply = ReplyFold(), Reply()
    for events in batches:
        fold.add(events)
        reply = snapshot(fold)
    return reply


def snapshot(fold: ReplyFold) -> Reply:
    """Return the reply so far, `done` if the server reported that it is complete."""
    return replace(fold.snapshot(), status="done" if fold.ended else "open")
