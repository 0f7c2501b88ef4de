"""Money: what replies cost, added up without ever guessing silently.

Amounts are Decimal USD; unknown is None and shown as a dash, never as 0. The API's own number is
the truth; what is reckoned from tokens and a price carries in `estimate` how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from di_magics.core.amount import UNKNOWN, dollars, exactly
from di_magics.core.errors import BudgetError, one_line
from di_magics.core.money.prices import Price, estimate, tokens_in
from di_magics.core.reply.reply import Reply, Status, Usage

FREE = Decimal(0)
UNSENT = "Nothing was sent."
MORE = Decimal("1.1")
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
    def shown(self) -> str:
        """The cost in words, saying how much is estimated and how many replies it leaves out."""
        if self.replies == self.unpriced:
            return UNKNOWN
        words = dollars(self.cost)
        if self.estimated == self.cost and self.estimated:
            words += " (an estimate)"
        elif self.estimated:
            words += f" ({dollars(self.estimated)} of it estimated)"
        return f"{words} and {self.unpriced} of unknown cost" if self.unpriced else words

    def plus(self, entry: Entry) -> Tally:
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


@exactly
def tally(entries: Iterable[Entry]) -> Tally:
    """Return the sums over these entries."""
    total = Tally()
    for entry in entries:
        total = total.plus(entry)
    return total


@exactly
def grouped(entries: Iterable[Entry], key: Callable[[Entry], str]) -> dict[str, Tally]:
    """Return the sums by what the key says of an entry, in the order of first appearance."""
    found: dict[str, Tally] = {}
    for entry in entries:
        name = key(entry)
        found[name] = found.get(name, Tally()).plus(entry)
    return {name: total for name, total in found.items() if total.replies}


def sections(
    entries: Sequence[Entry], names: Mapping[str, str], *, everywhere: bool
) -> dict[str, dict[str, Tally]]:
    """Return the sums by conversation, day and model, and by notebook where that is asked for.

    `names` are those of the notebooks by id.
    """
    found = {
        "notebook": grouped(entries, lambda entry: names.get(entry.notebook) or "(elsewhere)"),
        "conversation": grouped(entries, lambda entry: entry.conversation or "(no memory)"),
        "day": grouped(entries, lambda entry: entry.day),
        "model": grouped(entries, lambda entry: entry.model),
    }
    found.pop("conversation" if everywhere else "notebook")
    return found


@exactly
def priced(reply: Reply, sent_bytes: int, price: Price | None, *, local: bool = False) -> Reply:
    """Return the reply with its cost: the API's, else reckoned and saying so, else unknown.

    Without the server's count the tokens are counted from the bytes of the texts.
    """
    if local:
        return replace(reply, cost=FREE, estimate="")
    if reply.cost is not None or price is None:
        return reply
    how = f"price of {price.date}, {price.source}"
    cost = estimate(reply.usage, price)
    if cost is None:
        if reply.status == "failed" and not (reply.text or reply.reasoning or reply.tool_calls):
            return reply
        calls = "".join(call.arguments for call in reply.tool_calls)
        written = len((reply.text + reply.reasoning + calls).encode("utf-8", "replace"))
        counted = Usage(tokens_in(sent_bytes), tokens_in(written))
        cost = estimate(counted, price)
        how = f"tokens counted from the texts, {how}"
    return replace(reply, cost=cost, estimate=how)


@exactly
def beyond(
    reserve: Decimal | None, limit: Decimal, spent: Decimal = FREE, flag: str = "%chat budget"
) -> BudgetError:
    """Return the error for a request whose worst case does not fit the budget, set by `flag`."""
    left = max(limit - spent, FREE)
    return BudgetError(
        f"This may cost up to {dollars(reserve)}, and of the budget of {dollars(limit)} there is "
        f"{dollars(left)} left. {UNSENT} Lower --max-tokens, send less along (--last 2), "
        f"or raise the budget: {flag} {dollars((spent + (reserve or FREE)) * MORE)[1:]}."
    )


def unpriced(model: str, limit: Decimal) -> BudgetError:
    """Return the error for a model whose price nobody knows, where there is a budget."""
    return BudgetError(
        f"The price of {one_line(model, 120)} is not known, so the budget of {dollars(limit)} "
        f"cannot be held to. {UNSENT} %chat models looks for prices; --yes sends it all "
        "the same."
    )
