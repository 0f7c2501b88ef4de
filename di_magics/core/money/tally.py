"""The entries of the ledger, and their sums.

Amounts are Decimal USD; an unknown cost is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from di_magics.core.amount import NO_AMOUNT, format_usd, in_money_context
from di_magics.core.money.cost import FREE
from di_magics.core.reply.reply import Status, Usage


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the ledger: the cost of one request, in USD.

    `conversation` is empty for a request outside of one. `begun` is in POSIX seconds, `day` the
    local date of it (ISO). `estimate` says how the cost was computed, and is empty where the API
    sent it. `reserve` is what a reply in flight may cost at most. `policies` are the policy's files
    under which it is sent.
    """

    turn: str
    notebook: str
    conversation: str
    model: str
    endpoint: str
    begun: float
    day: str
    status: Status
    usage: Usage
    cost: Decimal | None = None
    estimate: str = ""
    reserve: Decimal | None = None
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """The sums of entries: `cost` is that of all known costs, `estimated` its part of estimates.

    `unpriced` is how many replies have no cost. A request that failed without a reply does not
    count, nor does one in flight whose cost is not known yet.
    """

    replies: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: Decimal = FREE
    estimated: Decimal = FREE
    unpriced: int = 0

    @property
    def text(self) -> str:
        """The cost for display, with how much is an estimate and how many replies have none."""
        if self.unpriced and self.replies == self.unpriced:
            return NO_AMOUNT
        text = format_usd(self.cost)
        if self.estimated == self.cost and self.estimated:
            text += " (an estimate)"
        elif self.estimated:
            text += f" ({format_usd(self.estimated)} of it estimated)"
        return f"{text} and {self.unpriced} of unknown cost" if self.unpriced else text

    @property
    def short(self) -> str:
        """The cost in few characters: `≈` with an estimate in it, `≥` where replies have none."""
        if self.unpriced and self.replies == self.unpriced:
            return NO_AMOUNT
        return ("≥ " if self.unpriced else "≈ " if self.estimated else "") + format_usd(self.cost)

    def add(self, entry: Entry) -> Tally:
        """Return the tally with one more entry."""
        if entry.status in ("failed", "open") and entry.cost is None:
            return self
        usage = entry.usage
        return Tally(
            self.replies + 1,
            self.prompt_tokens + (usage.prompt_tokens or 0),
            self.completion_tokens + (usage.completion_tokens or 0),
            self.cached_tokens + (usage.cached_tokens or 0),
            self.reasoning_tokens + (usage.reasoning_tokens or 0),
            self.cost + (entry.cost or 0),
            self.estimated + ((entry.cost or 0) if entry.estimate else 0),
            self.unpriced + (entry.cost is None),
        )


@in_money_context
def tally(entries: Iterable[Entry]) -> Tally:
    """Return the sums over these entries."""
    total = Tally()
    for entry in entries:
        total = total.add(entry)
    return total


@in_money_context
def group_entries(entries: Iterable[Entry], key: Callable[[Entry], str]) -> dict[str, Tally]:
    """Return the sums of the entries by key, in the order of first appearance."""
    totals: dict[str, Tally] = {}
    for entry in entries:
        name = key(entry)
        totals[name] = totals.get(name, Tally()).add(entry)
    return {name: total for name, total in totals.items() if total.replies}


def cost_sections(
    entries: Sequence[Entry], names: Mapping[str, str], *, everywhere: bool
) -> dict[str, dict[str, Tally]]:
    """Return the sums by conversation (`everywhere`: by notebook), by day and by model.

    `names` are the names of the notebooks by id.
    """
    sections = {
        "notebook": group_entries(
            entries, lambda entry: names.get(entry.notebook) or "(elsewhere)"
        ),
        "conversation": group_entries(entries, lambda entry: entry.conversation or "(no memory)"),
        "day": group_entries(entries, lambda entry: entry.day),
        "model": group_entries(entries, lambda entry: entry.model),
    }
    sections.pop("conversation" if everywhere else "notebook")
    return sections
