"""A reply that grows by events, as in production."""

from __future__ import annotations

from collections.abc import Iterable

from di_magics.core.reply.fold import ReplyEvent, ReplyFold
from di_magics.core.reply.reply import Reply


def grow(reply: Reply, events: Iterable[ReplyEvent]) -> Reply:
    """Return the reply with these events added."""
    fold = ReplyFold(reply)
    fold.add(events)
    return fold.snapshot()
