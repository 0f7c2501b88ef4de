"""A request is sent only where its worst case fits every limit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, Inexact, localcontext

import pytest

from di_magics.core.errors import BudgetError
from di_magics.core.money.budget import Budget, Committed, with_partial_reply


def usd(text: str | None) -> Decimal | None:
    """Return an amount."""
    return None if text is None else Decimal(text)


def refusal(budget: Budget, reserve: str | None, spent: str = "0") -> BudgetError:
    """Return the error for this request."""
    with pytest.raises(BudgetError) as refused:
        budget.check(usd(reserve), Committed(Decimal(spent)), "a-model")
    return refused.value


@pytest.mark.parametrize(
    ("cell", "notebook", "yes", "reserve", "spent"),
    [
        (None, None, False, "9", "9"),
        (None, None, False, None, "9"),
        ("0.05", None, False, "0.05", "9"),
        (None, "0.05", False, "0.02", "0.03"),
        ("0.02", "0.05", False, "0.02", "0.03"),
        ("0.02", "0.05", True, None, "0.05"),
    ],
)
def test_what_fits_is_allowed(
    cell: str | None, notebook: str | None, yes: bool, reserve: str | None, spent: str
) -> None:
    """Up to the last cent of both limits; without a price only with `yes`."""
    budget = Budget(usd(cell), usd(notebook), yes)
    budget.check(usd(reserve), Committed(Decimal(spent)), "a-model")


@pytest.mark.parametrize(
    ("cell", "notebook", "reserve", "spent", "limit", "left", "needed", "option"),
    [
        ("0.05", None, "0.06", "9", "0.05", "0.05", "0.06", "--budget"),
        (None, "0.10", "0.05", "0.08", "0.10", "0.02", "0.13", "%chat budget"),
        (None, "0.10", "0.05", "0.20", "0.10", "0", "0.25", "%chat budget"),
        ("0.01", "0.10", "0.05", "0.08", "0.01", "0.01", "0.05", "--budget"),
        ("0.06", "0.10", "0.05", "0.08", "0.10", "0.02", "0.13", "%chat budget"),
    ],
)
def test_what_does_not_fit_is_refused(
    cell: str | None,
    notebook: str | None,
    reserve: str,
    spent: str,
    limit: str,
    left: str,
    needed: str,
    option: str,
) -> None:
    """The error has the amounts, and the option that raises the limit."""
    for yes in (False, True):
        error = refusal(Budget(usd(cell), usd(notebook), yes), reserve, spent)
        found = (error.reserve, error.limit, error.left, error.needed, error.option)
        assert found == (usd(reserve), usd(limit), usd(left), usd(needed), option)


def test_an_overspent_budget_refuses_what_has_no_price() -> None:
    """Even with `yes`, which is no leave to spend more."""
    error = refusal(Budget(notebook=Decimal(1), yes=True), None, "2")
    assert (error.reserve, error.left) == (None, Decimal(0))


@pytest.mark.parametrize(("cell", "notebook"), [("1", None), (None, "1"), ("1", "2"), ("2", "1")])
def test_without_a_price_a_budget_refuses(cell: str | None, notebook: str | None) -> None:
    """The message names the model, and the flag that sends it all the same."""
    error = refusal(Budget(usd(cell), usd(notebook)), None)
    assert (error.reserve, error.limit) == (None, Decimal(1))
    assert "a-model" in str(error)
    assert "--yes" in str(error)


def test_the_message_has_amounts_in_plain_digits() -> None:
    """A budget a tenth larger than what is needed is suggested, because it is shown rounded."""
    error = refusal(Budget(notebook=Decimal("0.1")), "5E-2", "0.08")
    assert "up to $0.050" in str(error)
    assert "$0.020 of the budget of $0.10 is left: nothing was sent." in str(error)
    assert str(error).endswith("%chat budget 0.14.")


def test_a_later_request_of_a_turn_keeps_the_partial_reply() -> None:
    """The same refusal, which does not say that nothing was sent."""
    first = refusal(Budget(notebook=Decimal("0.1")), "0.05", "0.08")
    later = with_partial_reply(first)
    assert vars(later) == vars(first)
    assert "partial reply is kept" in str(later)
    assert "nothing was sent" not in str(later)


def test_a_budget_is_limited_by_either_limit() -> None:
    """And by a policy's."""
    budgets = [Budget(), Budget(yes=True), Budget(Decimal(0)), Budget(notebook=Decimal(0))]
    assert [budget.lowest for budget in budgets] == [None, None, 0, 0]
    by_file = {"p": Decimal(1), "q": Decimal(4)}
    assert Budget(Decimal(3), Decimal(2), policies=by_file).lowest == 1


def test_every_file_of_a_policy_limits_all_notebooks_together() -> None:
    """The refusal names the file, and offers no command that would not help."""
    budget = Budget(policies={"/class.toml": Decimal("0.10"), "/beside.toml": Decimal("0.05")})
    budget.check(Decimal("0.02"), Committed(policies={"/class.toml": Decimal("0.08")}), "m")
    with pytest.raises(BudgetError) as refused:
        budget.check(Decimal("0.03"), Committed(policies={"/class.toml": Decimal("0.08")}), "m")
    error = refused.value
    assert (error.left, error.needed, error.source) == (usd("0.02"), usd("0.11"), "/class.toml")
    assert "$0.020 of the budget of $0.10 in /class.toml is left" in str(error)
    assert str(error).endswith("send fewer turns (--last 2).")
    later = with_partial_reply(error)
    assert "in /class.toml" in str(later)
    with pytest.raises(BudgetError, match=r"in /beside\.toml"):
        budget.check(Decimal("0.06"), Committed(), "m")
    with pytest.raises(BudgetError, match="not known"):
        budget.check(None, Committed(), "m")


@pytest.mark.parametrize("yes", [False, True])
@pytest.mark.parametrize("cell", [None, "0.01"])
@pytest.mark.parametrize(
    "budget",
    [
        Budget(policies={"/class.toml": Decimal(1)}, strict=True),
        Budget(notebook=Decimal(1), source="/class.toml", strict=True),
        Budget(notebook=Decimal("0.01"), strict=True),
    ],
)
def test_yes_sends_nothing_of_unknown_price_under_a_policys_limit(
    budget: Budget, cell: str | None, yes: bool
) -> None:
    """It is consent of the user, who cannot give the teacher's."""
    error = refusal(replace(budget, cell=usd(cell), yes=yes), None)
    assert "not known" in str(error)
    assert "--yes" not in str(error)
    assert error.limit == replace(budget, cell=usd(cell)).lowest


def test_a_notebooks_limit_of_a_policy_names_the_file() -> None:
    """The user cannot raise it."""
    error = refusal(Budget(notebook=Decimal("0.1"), source="/class.toml"), "0.05", "0.08")
    assert "of the budget of $0.10 in /class.toml" in str(error)
    assert "%chat" not in str(error)


def test_limits_are_listed_with_what_is_left() -> None:
    """The notebook's own and the policy's; never less than nothing, never more than all."""
    budget = Budget(Decimal(1), Decimal(2), policies={"p": Decimal(4), "q": Decimal(0)})
    limits = budget.limits(Committed(Decimal(3), {"p": Decimal(1)}))
    assert [limit.left for limit in limits] == [0, 3, 0]
    assert [limit.share for limit in limits] == [1, Decimal("0.25"), 1]
    assert [limit.everywhere for limit in limits] == [False, True, True]
    assert limits[0].text == "$0 of $2.00 left"
    assert limits[1].text == "$3.00 of $4.00 left in all notebooks (set by p)"


def test_the_users_own_decimal_context_does_not_matter() -> None:
    """With too few digits, or with a trap for rounding."""
    with localcontext(prec=2) as context:
        context.traps[Inexact] = True
        Budget(notebook=Decimal("1.001")).check(Decimal("0.001"), Committed(Decimal(1)), "m")
        refusal(Budget(notebook=Decimal("1.001")), "0.0011", "1")
