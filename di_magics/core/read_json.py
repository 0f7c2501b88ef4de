"""Values out of foreign JSON: one of another type, or beyond reason, counts as missing.

No function here raises, whatever `json.loads` can return.
"""

from __future__ import annotations

from typing import Any

LARGEST_COUNT = 10**9
"""No number of tokens, turns or seconds is larger."""
LARGEST_NUMBER = 1e300


def as_text(found: object) -> str:
    """Return a text, "" for anything else."""
    return found if isinstance(found, str) else ""


def as_name(found: object) -> str | None:
    """Return a text that is not empty, None for anything else."""
    return found if isinstance(found, str) and found else None


def as_count(found: object) -> int | None:
    """Return a whole number from 0 to a billion, None for anything else."""
    return found if type(found) is int and 0 <= found <= LARGEST_COUNT else None


def as_number(found: object) -> float | None:
    """Return a finite number, None for anything else."""
    if type(found) is float or type(found) is int:
        return float(found) if abs(found) < LARGEST_NUMBER else None
    return None


def as_list(found: object) -> list[Any]:
    """Return a list, [] for anything else."""
    return found if isinstance(found, list) else []


def as_object(found: object) -> dict[str, Any]:
    """Return an object, {} for anything else."""
    return found if isinstance(found, dict) else {}


def as_objects(found: object) -> list[dict[str, Any]]:
    """Return the objects of a list, [] for anything else."""
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
