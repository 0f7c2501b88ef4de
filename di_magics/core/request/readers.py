"""Tolerant readers of JSON: a value of another type counts as missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from di_magics.core.money.prices import LONGEST


def read_count(value: object) -> int | None:
    """Return a number of tokens, at least 0; None for what is not an int or is implausible."""
    if isinstance(value, bool) or not isinstance(value, int) or value > LONGEST:
        return None
    return max(value, 0)


def read_text(value: object) -> str | None:
    """Return a text that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def read_dicts(value: object) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))
