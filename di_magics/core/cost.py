"""Money: what replies cost, added up without ever guessing.

Amounts are Decimal USD; unknown is None and shown as a dash, never as 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from di_magics.core.reply import Reply

UNKNOWN = "—"


@dataclass(frozen=True, slots=True)
class Tally:
    """Replies added up: `cost` is what is known of it, `unpriced` how many have no cost."""

    replies: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    unpriced: int = 0

    @property
    def shown(self) -> str:
        """The cost in words, saying how many replies it leaves out."""
        if self.replies == self.unpriced:
            return UNKNOWN
        more = f" and {self.unpriced} of unknown cost" if self.unpriced else ""
        return f"{dollars(self.cost)}{more}"

    def plus(self, reply: Reply) -> Tally:
        """Return the tally with one more reply."""
        return Tally(
            self.replies + 1,
            self.prompt_tokens + (reply.usage.prompt_tokens or 0),
            self.completion_tokens + (reply.usage.completion_tokens or 0),
            self.cost + (reply.cost or 0),
            self.unpriced + (reply.cost is None),
        )


def tally(replies: Iterable[Reply]) -> Tally:
    """Return the sums over these replies."""
    total = Tally()
    for reply in replies:
        total = total.plus(reply)
    return total


def dollars(amount: Decimal | None) -> str:
    """Return an amount of USD in plain digits, small ones to two significant figures."""
    if amount is None:
        return UNKNOWN
    if not amount:
        return "$0"
    digits = 2 if amount >= 1 else max(2, 1 - amount.adjusted())
    return f"${amount:.{digits}f}"
