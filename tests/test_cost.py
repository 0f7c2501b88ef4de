"""Money is added up exactly, and never guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from di_magics.core.cost import UNKNOWN, Tally, dollars, tally
from di_magics.core.reply import Reply, Usage


def reply(cost: str | None, prompt: int | None = None, completion: int | None = None) -> Reply:
    """Return a reply of this cost and these tokens."""
    amount = None if cost is None else Decimal(cost)
    return Reply(cost=amount, usage=Usage(prompt, completion, cost=amount))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, UNKNOWN),
        ("0", "$0"),
        ("0E-9", "$0"),
        ("0.0000015", "$0.0000015"),
        ("0.0000968", "$0.000097"),
        ("0.00035493", "$0.00035"),
        ("1E-12", "$0.0000000000010"),
        ("0.012", "$0.012"),
        ("0.1", "$0.10"),
        ("1", "$1.00"),
        ("1.005", "$1.00"),
        ("1234.5", "$1234.50"),
    ],
)
def test_an_amount_is_shown_in_plain_digits(amount: str | None, shown: str) -> None:
    """Small ones with two significant figures, never in scientific notation, unknown as a dash."""
    assert dollars(None if amount is None else Decimal(amount)) == shown


def test_replies_are_added_up() -> None:
    """Decimals add exactly where binary fractions would not."""
    total = tally([reply("0.1", 10, 5), reply("0.2", 1, 2), reply(None)])
    assert total == Tally(3, 11, 7, Decimal("0.3"), 1)


@pytest.mark.parametrize(
    ("costs", "shown"),
    [
        ([], UNKNOWN),
        ([None, None], UNKNOWN),
        (["0.5"], "$0.50"),
        (["0", "0"], "$0"),
        (["0.5", None], "$0.50 and 1 of unknown cost"),
        (["0", None], "$0 and 1 of unknown cost"),
    ],
)
def test_a_sum_says_what_it_leaves_out(costs: list[str | None], shown: str) -> None:
    """A reply of unknown cost is named beside the sum, and is not counted as free."""
    assert tally(map(reply, costs)).shown == shown
