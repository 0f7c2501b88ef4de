"""Amounts of USD, formatted and parsed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from di_magics.core.amount import NO_AMOUNT, format_usd, least_amount, parse_usd, sum_amounts
from di_magics.core.errors import ParamError


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, NO_AMOUNT),
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
    assert format_usd(None if amount is None else Decimal(amount)) == shown


@pytest.mark.parametrize("found", ["0.5", "$0.5", 0.5, " .5 ", Decimal("0.5")])
def test_an_amount_is_parsed(found: object) -> None:
    """With a dollar sign or without."""
    assert parse_usd(found, "x") == Decimal("0.5")


@pytest.mark.parametrize("found", ["", "much", "-1", "NaN", "inf", True, None, []])
def test_other_values_are_refused_as_amounts(found: object) -> None:
    """The message names the setting."""
    with pytest.raises(ParamError, match="--budget"):
        parse_usd(found, "--budget")


def test_the_least_amount_is_of_those_that_are_known() -> None:
    """0 is an amount."""
    assert least_amount(None, Decimal(2), Decimal(0), None) == 0
    assert least_amount(None, None) is None
    assert least_amount() is None


def test_a_decimal_comma_is_refused_with_the_right_spelling() -> None:
    """It is not read as anything else."""
    with pytest.raises(ParamError, match=r"Write 0\.50\.$"):
        parse_usd("$0,50", "--budget")


def test_a_sum_skips_what_is_not_an_amount() -> None:
    """What a file or a server has in place of one."""
    assert sum_amounts([Decimal("0.5"), None, "0.25", True, "much", -1, 10**5000]) == Decimal(
        "0.75"
    )
    assert sum_amounts([]) == 0
