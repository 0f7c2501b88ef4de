"""Tolerant readers of JSON: a value of another type counts as missing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from di_magics.core.money.prices import LONGEST

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_count(value: object) -> int | None:
    """Return a number of tokens, at least 0; None for what is not an int or is implausible."""
    if isinstance(value, bool) or not isinstance(value, int) or value > LONGEST:
        return None
    return max(value, 0)


def read_number(value: object) -> float | None:
    """Return a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return None if math.isnan(value) else float(value)


def read_text(value: object) -> str | None:
    """Return a text that is not empty, without half surrogate pairs, else None."""
    return replace_surrogates(value) if isinstance(value, str) and value else None


def read_dict(value: object) -> dict[str, Any]:
    """Return an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def read_dicts(value: object) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def load_json(data: str | bytes) -> Any:
    """Return what a text of JSON is. Raises ValueError, also where it is nested too deeply."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dump_json(value: object) -> str:
    """Return a value as JSON, an empty text where it is nested too deeply."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def replace_surrogates(text: str) -> str:
    """Return a text whose halves of a surrogate pair are joined, and U+FFFD where one is alone."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
