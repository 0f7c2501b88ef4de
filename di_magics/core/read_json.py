"""Values of foreign JSON: one of the wrong type, or an implausible one, counts as missing.

No function here raises for anything that `json.loads` can return.
"""

from __future__ import annotations

from typing import Any

MAX_COUNT = 10**9
"""No number of tokens, turns or seconds is larger."""
MAX_NUMBER = 1e300


def as_text(value: object) -> str:
    """Return a text, "" for anything else."""
    return value if isinstance(value, str) else ""


def as_name(value: object) -> str | None:
    """Return a text that is not empty, None for anything else."""
    return value if isinstance(value, str) and value else None


def as_count(value: object) -> int | None:
    """Return a whole number from 0 to a billion, None for anything else."""
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


def as_number(value: object) -> float | None:
    """Return a finite number, None for anything else."""
    if type(value) is float or type(value) is int:
        return float(value) if abs(value) < MAX_NUMBER else None
    return None


def as_list(value: object) -> list[Any]:
    """Return a list, [] for anything else."""
    return value if isinstance(value, list) else []


def as_object(value: object) -> dict[str, Any]:
    """Return an object, {} for anything else."""
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list, [] for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
