"""Budgets: the most that one cell, its notebook, or all notebooks under a policy may cost in USD.

A request is sent only where its worst case fits: the prompt, and the longest reply that max_tokens
allows. This worst case is the request's *reserve*. While a reply is in flight, its reserve counts
as spent, so that two requests at once (of a sweep, or of two kernels on one notebook) cannot both
spend what is left. When the reply has ended, its cost takes the reserve's place. A reserve also
ends when the process that waits for the reply ends. There is no time limit, because a process may
be suspended for hours.

A policy's budget belongs to its file, because a notebook's id can be lost: a notebook that has not
been saved, and a console, have a new one for each kernel. What the file says may change; what was
spent under it stays.

The ledger (storage/ledger.py) checks a request and enters it in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from di_magics.core.amount import format_usd, in_money_context, least_amount
from di_magics.core.errors import BudgetError
from di_magics.core.money.cost import FREE
from di_magics.core.visible import one_line

MARGIN = Decimal("1.1")
"""A suggested budget is a little more than what is needed, because it is displayed rounded."""
NOT_SENT = "nothing was sent"


@dataclass(frozen=True, slots=True)
class Committed:
    """What has been spent, and may yet be spent on replies in flight, in USD.

    `notebook` is the sum of one notebook, `policies` that of all notebooks by a policy's file.
    """

    notebook: Decimal = FREE
    policies: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit, and what is committed of it, in USD.

    `option` is the flag or the command that sets it, `source` the policy's file that does;
    `everywhere` is a limit for all notebooks together.
    """

    amount: Decimal
    committed: Decimal
    option: str
    source: str = ""
    everywhere: bool = False

    @property
    @in_money_context
    def left(self) -> Decimal:
        """What may still be spent."""
        return max(self.amount - self.committed, FREE)

    @property
    def text(self) -> str:
        """What is left of it, and who has set it, in words."""
        where = " in all notebooks" if self.everywhere else ""
        by = f" (set by {one_line(self.source, 160)})" if self.source else ""
        return f"{format_usd(self.left)} of {format_usd(self.amount)} left{where}{by}"

    @property
    @in_money_context
    def share(self) -> Decimal:
        """The committed share, from 0 to 1."""
        return min(self.committed / self.amount, Decimal(1)) if self.amount else Decimal(1)


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits that hold for a request, in USD; None is no limit.

    `cell` is what this request may cost, `notebook` what its notebook may spend in all, `policies`
    what all notebooks may spend under a policy's file, by its path. With `yes` a request of unknown
    price is sent as well, unless the limits are `strict`, as those of a policy are. `source` is the
    policy's file that sets `notebook`, "" for the user.
    """

    cell: Decimal | None = None
    notebook: Decimal | None = None
    yes: bool = False
    policies: Mapping[str, Decimal] = field(default_factory=dict)
    source: str = ""
    strict: bool = False

    @property
    def lowest(self) -> Decimal | None:
        """The lowest limit, or None without any."""
        return least_amount(self.cell, self.notebook, *self.policies.values())

    def limits(self, committed: Committed) -> list[Limit]:
        """Return the limits for this and other requests, with what is committed of them."""
        limits = []
        if self.notebook is not None:
            option = "" if self.source else "%chat budget"
            limits.append(Limit(self.notebook, committed.notebook, option, self.source))
        for file, amount in self.policies.items():
            spent = committed.policies.get(file, FREE)
            limits.append(Limit(amount, spent, "", file, everywhere=True))
        return limits

    @in_money_context
    def check(self, reserve: Decimal | None, committed: Committed, model: str) -> None:
        """Raise BudgetError where a request may cost more than the limits allow.

        `reserve` is its worst case, None where the price of the `model` is not known.
        """
        cell = [] if self.cell is None else [Limit(self.cell, FREE, "--budget")]
        limits = cell + self.limits(committed)
        if reserve is None and limits and (self.strict or not self.yes):
            raise self._unknown_price(model, min(limits, key=lambda limit: limit.amount))
        for limit in limits:
            needed = limit.committed + (reserve or FREE)
            if needed > limit.amount:
                raise _over_budget(reserve, limit, needed)

    def _unknown_price(self, model: str, limit: Limit) -> BudgetError:
        whose = f" in {one_line(limit.source, 160)}" if limit.source else ""
        step = "use a model that has one there" if self.strict else "add --yes"
        error = BudgetError(
            f"The price of {one_line(model, 120)} is not known, so the budget of "
            f"{format_usd(limit.amount)}{whose} cannot be checked: {NOT_SENT}. Fetch the prices "
            f"with %chat models, or {step}."
        )
        error.limit, error.source = limit.amount, limit.source
        return error


def with_partial_reply(error: BudgetError) -> BudgetError:
    """Return the error for the second or a later request of a turn, which has a partial reply."""
    outcome = "the next request was not sent, and the partial reply is kept"
    return _write_message(error, outcome)


@in_money_context
def _over_budget(reserve: Decimal | None, limit: Limit, needed: Decimal) -> BudgetError:
    error = BudgetError()
    error.reserve, error.limit, error.left, error.needed = reserve, limit.amount, limit.left, needed
    error.option, error.source = limit.option, limit.source
    return _write_message(error, NOT_SENT)


@in_money_context
def _write_message(refused: BudgetError, outcome: str) -> BudgetError:
    """Return the refusal with its message; `outcome` is what became of the request."""
    enough = format_usd((refused.needed or FREE) * MARGIN)[1:]
    whose = f" in {one_line(refused.source, 160)}" if refused.source else ""
    raising = "" if refused.source else f", or raise the budget: {refused.option} {enough}"
    cost = f"This may cost up to {format_usd(refused.reserve)}"
    if refused.reserve is None:
        cost = "The cost of this is not known"
    error = BudgetError(
        f"{cost}, and {format_usd(refused.left)} of the "
        f"budget of {format_usd(refused.limit)}{whose} is left: {outcome}. Lower --max-tokens, or "
        f"send fewer turns (--last 2){raising}."
    )
    vars(error).update(vars(refused))
    return error
