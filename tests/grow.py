"""A reply that grows by events, as in production, and one that has grown."""

from __future__ import annotations

from collections.abc import Iterable
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
    ended=True,
    last_chunk=" there",
    call_indexes=(0,),
)


def grow(reply: Reply, events: Iterable[ReplyEvent]) -> Reply:
    """Return the reply with these events added."""
    fold = ReplyFold(reply)
    fold.add(events)
    return fold.snapshot()
