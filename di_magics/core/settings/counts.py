"""Whole numbers as a user types them."""

from __future__ import annotations

from typing import Literal, TypeGuard

from di_magics.core.errors import ParamError
from di_magics.core.text import respell_number
from di_magics.core.visible import one_line

Above = int | Literal["new", "all"]
"""Which cells go along: the last N (0: none), those since the last turn, or all."""


def is_count(text: object) -> TypeGuard[str | int]:
    """Return whether this is a whole number of at least 0 and at most nine digits."""
    if isinstance(text, int):
        return not isinstance(text, bool) and 0 <= text < 10**9
    return isinstance(text, str) and text.isdecimal() and len(text) < 10


def parse_turn_count(name: str, text: object) -> int:
    """Return a number of turns. Raises ParamError for anything else."""
    if not is_count(text):
        raise ParamError(f"{name} must be a number of turns or all, not {one_line(text, 60)!r}.")
    return int(text)


def parse_positive(name: str, text: object) -> int:
    """Return a whole number above 0. Raises ParamError for anything else."""
    if not is_count(text) or not int(text):
        raise ParamError(
            f"{name} must be a whole number above 0, not {one_line(text, 60)!r}."
            f"{respell_number(text, whole=True)}"
        )
    return int(text)


def parse_above(name: str, text: object) -> Above:
    """Return which of the cells above are sent: new, all or a number.

    Raises ParamError for anything else.
    """
    if text == "new":
        return "new"
    if text == "all":
        return "all"
    if not is_count(text):
        raise ParamError(
            f"{name} must be a number of cells, new (those since the last turn) or all, not "
            f"{one_line(text, 60)!r}."
        )
    return int(text)
