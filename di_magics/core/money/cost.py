"""Money: what replies cost, added up without ever guessing silently.

Amounts are Decimal USD; unknown is None and shown as a dash, never as 0. The API's own number is
the truth; what is reckoned from tokens and a price carries in `estimate` how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from di_magics.core.amount import UNKNOWN, format_usd, in_money_context
from di_magics.core.errors import BudgetError
from di_magics.core.money.prices import Price, estimate_cost, estimate_tokens
from di_magics.core.reply.reply import Reply, Status, Usage
from di_magics.core.text import one_line

FREE = Decimal(0)
NOTHING_SENT = "Nothing was sent."
BUDGET_MARGIN = Decimal("1.1")
"""A budget that is suggested is a little more than what is needed: it is shown rounded."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger: what one request has cost.

    `conversation` is empty for what was asked outside of one. `begun` is in POSIX seconds, `day`
    the reader's own date then (ISO). `estimate` says how the cost was reckoned, where the API did
    not tell it. `reserve` is what a reply in flight may cost at most.
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


@dataclass(frozen=True, slots=True)
class Tally:
    """Entries added up: `cost` is what is known of it, `estimated` how much of that is reckoned.

    `unpriced` is how many replies have no cost. What failed before any reply came is none.
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
        """The cost in words, saying how much is estimated and how many replies it leaves out."""
        if self.replies == self.unpriced:
            return UNKNOWN
        words = format_usd(self.cost)
        if self.estimated == self.cost and self.estimated:
            words += " (an estimate)"
        elif self.estimated:
            words += f" ({format_usd(self.estimated)} of it estimated)"
        return f"{words} and {self.unpriced} of unknown cost" if self.unpriced else words

    def add(self, entry: Entry) -> Tally:
        """Return the tally with one more entry."""
        if entry.status == "failed" and entry.cost is None:
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
    """Return the sums by what the key says of an entry, in the order of first appearance."""
    found: dict[str, Tally] = {}
    for entry in entries:
        name = key(entry)
        found[name] = found.get(name, Tally()).add(entry)
    return {name: total for name, total in found.items() if total.replies}


def cost_sections(
    entries: Sequence[Entry], names: Mapping[str, str], *, everywhere: bool
) -> dict[str, dict[str, Tally]]:
    """Return the sums by conversation, day and model, and by notebook where that is asked for.

    `names` are those of the notebooks by id.
    """
    found = {
        "notebook": group_entries(
            entries, lambda entry: names.get(entry.notebook) or "(elsewhere)"
        ),
        "conversation": group_entries(entries, lambda entry: entry.conversation or "(no memory)"),
        "day": group_entries(entries, lambda entry: entry.day),
        "model": group_entries(entries, lambda entry: entry.model),
    }
    found.pop("conversation" if everywhere else "notebook")
    return found


@in_money_context
def with_cost(reply: Reply, sent_bytes: int, price: Price | None, *, local: bool = False) -> Reply:
    """Return the reply with its cost: the API's, else reckoned and saying so, else unknown.

    Without the server's count the tokens are counted from the bytes of the texts.
    """
    if local:
        return replace(reply, cost=FREE, estimate="")
    if reply.cost is not None or price is None:
        return reply
    how = f"price of {price.date}, {price.source}"
    cost = estimate_cost(reply.usage, price)
    if cost is None:
        if reply.status == "failed" and not (reply.text or reply.reasoning or reply.tool_calls):
            return reply
        calls = "".join(call.arguments for call in reply.tool_calls)
        written = len((reply.text + reply.reasoning + calls).encode("utf-8", "replace"))
        counted = Usage(estimate_tokens(sent_bytes), estimate_tokens(written))
        cost = estimate_cost(counted, price)
        how = f"tokens counted from the texts, {how}"
    return replace(reply, cost=cost, estimate=how)


@in_money_context
def over_budget(
    reserve: Decimal | None, limit: Decimal, spent: Decimal = FREE, flag: str = "%chat budget"
) -> BudgetError:
    """Return the error for a request whose worst case does not fit the budget, set by `flag`."""
    left = format_usd(max(limit - spent, FREE))
    enough = format_usd((spent + (reserve or FREE)) * BUDGET_MARGIN)[1:]
    return BudgetError(
        f"This may cost up to {format_usd(reserve)}, and {left} of the budget of "
        f"{format_usd(limit)} is left. {NOTHING_SENT} Lower --max-tokens, send fewer turns "
        f"(--last 2), or raise the budget: {flag} {enough}."
    )


def unknown_price(model: str, limit: Decimal) -> BudgetError:
    """Return the error for a model whose price nobody knows, where there is a budget."""
    return BudgetError(
        f"The price of {one_line(model, 120)} is not known, so the budget of {format_usd(limit)} "
        f"cannot be held to. {NOTHING_SENT} %chat models looks for prices; --yes sends it all "
        "the same."
    )


IMPLAUSIBLE_COST = Decimal(100)
IMPLAUSIBLE_RATIO = 1000


@in_money_context
def is_implausible_cost(cost: Decimal | None, estimate: Decimal | None = None) -> bool:
    """Return whether a server's cost of one reply must be a mistake.

    It is more than 100 USD, or 1000 times and more what the price list says; a list price of 0
    proves nothing.
    """
    if cost is None:
        return False
    return cost > IMPLAUSIBLE_COST or bool(estimate and cost >= IMPLAUSIBLE_RATIO * estimate)
