"""JSON as servers send it: texts with half surrogate pairs, deep nesting, negative counts."""

from __future__ import annotations

import json
from typing import Any

from di_magics.core.read_json import MAX_COUNT
from di_magics.core.text import replace_surrogates


def read_count(value: object) -> int | None:
    """Return a number of tokens, at least 0; None for what is not an int or is implausible."""
    if isinstance(value, bool) or not isinstance(value, int) or value > MAX_COUNT:
        return None
    return max(value, 0)


def read_text(value: object) -> str | None:
    """Return a text that is not empty, without half surrogate pairs, else None."""
    return replace_surrogates(value) if isinstance(value, str) and value else None


def load_json(data: str | bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError, also if it is nested too deeply."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dump_json(value: object) -> str:
    """Return a value as JSON, "" if it is nested too deeply."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""
