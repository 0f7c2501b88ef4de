"""Budgets: the most that one cell, or its notebook in all, may cost in USD.

A request is sent only where its worst case fits: the prompt, and the longest reply that max_tokens
allows. This worst case is the request's *reserve*. While a reply is in flight, its reserve counts
as spent, so that two requests at once (of a sweep, or of two kernels on one notebook) cannot both
spend what is left. When the reply has ended, its cost takes the reserve's place.

The ledger (storage/ledger.py) checks a request and enters it in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from di_magics.core.amount import format_usd, in_money_context, least_amount
from di_magics.core.errors import BudgetError
from di_magics.core.money.cost import FREE
from di_magics.core.text import one_line

MARGIN = Decimal("1.1")
"""A suggested budget is a little more than what is needed, because it is displayed rounded."""
NOT_SENT = "nothing was sent"


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits that hold for a request, in USD; None is no limit.

    `cell` is what this request may cost, `notebook` what its notebook may spend in all. With `yes`
    a request of unknown price is sent as well.
    """

    cell: Decimal | None = None
    notebook: Decimal | None = None
    yes: bool = False

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self.cell is not None or self.notebook is not None

    @in_money_context
    def check(self, reserve: Decimal | None, spent: Decimal, model: str) -> None:
        """Raise BudgetError where a request may cost more than the limits allow.

        `reserve` is its worst case, None where the price of the `model` is not known. `spent` is
        what the notebook has spent, and may yet spend on replies in flight.
        """
        limit = least_amount(self.cell, self.notebook)
        if limit is not None and reserve is None and not self.yes:
            raise _unknown_price(model, limit)
        worst = reserve or FREE
        if self.cell is not None and worst > self.cell:
            raise _over_budget(reserve, self.cell, self.cell, worst, "--budget")
        if self.notebook is not None and spent + worst > self.notebook:
            left = max(self.notebook - spent, FREE)
            raise _over_budget(reserve, self.notebook, left, spent + worst, "%chat budget")


def with_partial_reply(error: BudgetError) -> BudgetError:
    """Return the error for the second or a later request of a turn, which has a partial reply."""
    return _over_budget(
        error.reserve,
        error.limit,
        error.left,
        error.needed,
        error.option,
        "the next request was not sent, and the partial reply is kept",
    )


@in_money_context
def _over_budget(
    reserve: Decimal | None,
    limit: Decimal | None,
    left: Decimal | None,
    needed: Decimal | None,
    option: str,
    outcome: str = NOT_SENT,
) -> BudgetError:
    enough = format_usd((needed or FREE) * MARGIN)[1:]
    error = BudgetError(
        f"This may cost up to {format_usd(reserve)}, and {format_usd(left)} of the budget of "
        f"{format_usd(limit)} is left: {outcome}. Lower --max-tokens, send fewer turns "
        f"(--last 2), or raise the budget: {option} {enough}."
    )
    error.reserve, error.limit, error.left, error.needed = reserve, limit, left, needed
    error.option = option
    return error


def _unknown_price(model: str, limit: Decimal) -> BudgetError:
    error = BudgetError(
        f"The price of {one_line(model, 120)} is not known, so the budget of {format_usd(limit)} "
        f"cannot be checked: {NOT_SENT}. Fetch the prices with %chat models, or add --yes."
    )
    error.limit = limit
    return error
