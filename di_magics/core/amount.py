"""Amounts of USD: as text, and read from text. Unknown is None, and shown as a dash."""

from __future__ import annotations

from contextlib import suppress
from decimal import Context, Decimal

from di_magics.core.errors import ParamError, one_line

UNKNOWN = "—"


def usd(found: object, name: str) -> Decimal:
    """Return an amount of USD. Raises ParamError, with the name of what was set, for none."""
    amount = Decimal("NaN")
    if isinstance(found, str | int | float | Decimal) and not isinstance(found, bool):
        with suppress(ArithmeticError, ValueError):
            amount = Decimal(str(found).strip().removeprefix("$"))
    if not amount.is_finite() or amount < 0:
        raise ParamError(
            f"{name} takes an amount of USD, such as 0.50; not {one_line(found, 40)!r}."
        )
    return amount


def dollars(amount: Decimal | None) -> str:
    """Return an amount of USD in plain digits, small ones to two significant figures."""
    if amount is None:
        return UNKNOWN
    if not amount:
        return "$0"
    digits = 2
    if amount < 1:
        digits = max(2, 1 - Context(prec=2).plus(amount).adjusted())
    return f"${amount:.{digits}f}"
