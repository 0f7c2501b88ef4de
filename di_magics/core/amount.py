"""Amounts of USD, formatted and parsed. An unknown amount is None and is displayed as a dash.

Servers, files and users may write anything: an implausible value is not an amount.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

from di_magics.core.errors import ParamError
from di_magics.core.text import respell_number
from di_magics.core.visible import one_line

P = ParamSpec("P")
R = TypeVar("R")

NO_AMOUNT = "—"
MAX_AMOUNT = Decimal(1_000_000)
PLACE = Decimal("1E-15")
MONEY = Context(prec=34, traps=[InvalidOperation, DivisionByZero])
"""The user's own decimal context may have too few digits, or traps."""


def in_money_context(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with 34-digit decimals, whatever context the user has set."""

    @wraps(function)
    def in_context(*args: P.args, **kwargs: P.kwargs) -> R:
        with localcontext(MONEY):
            return function(*args, **kwargs)

    return in_context


def parse_amount(value: object) -> Decimal | None:
    """Return an amount from 0 to a million USD, None for anything else.

    A float is read as the shortest decimal that it stands for: 0.1 is 0.1.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except (ValueError, ArithmeticError):  # an int may have too many digits for str
        return None
    if not number.is_finite() or not 0 <= number <= MAX_AMOUNT:
        return None
    exponent = number.as_tuple().exponent
    long = isinstance(exponent, int) and exponent < -15
    return number.quantize(PLACE, context=MONEY) if long else number


@in_money_context
def sum_amounts(amounts: Iterable[object]) -> Decimal:
    """Return the sum of the amounts; values that are not amounts are skipped."""
    return sum((number for value in amounts if (number := parse_amount(value))), Decimal(0))


def least_amount(*amounts: Decimal | None) -> Decimal | None:
    """Return the smallest known amount, or None if no amount is known."""
    return min((amount for amount in amounts if amount is not None), default=None)


def parse_usd(value: object, name: str) -> Decimal:
    """Return an amount of USD. Raises ParamError, which names the setting, for any other value."""
    text = value.strip().removeprefix("$") if isinstance(value, str) else value
    number = parse_amount(text)
    if number is None:
        raise ParamError(
            f"{name} must be an amount of USD such as 0.50, not {one_line(value, 40)!r}."
            f"{respell_number(text)}"
        )
    return number


@in_money_context
def format_usd(number: Decimal | None) -> str:
    """Return an amount of USD in plain digits, small ones to two significant figures."""
    if number is None:
        return NO_AMOUNT
    if not number:
        return "$0"
    digits = 2
    if number < 1:
        digits = max(2, 1 - Context(prec=2).plus(number).adjusted())
    return f"${number:.{digits}f}"
