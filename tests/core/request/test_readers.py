"""JSON as servers send it: counts, texts with half pairs, deep nesting."""

from __future__ import annotations

import pytest

from di_magics.core.read_json import MAX_COUNT
from di_magics.core.request import readers

OTHERS = [None, True, "5", [5], {"a": 5}]


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (0, 0),
        (5, 5),
        (-5, 0),
        (MAX_COUNT, MAX_COUNT),
        (MAX_COUNT + 1, None),
        (1.5, None),
    ]
    + [(other, None) for other in OTHERS],
)
def test_only_a_plausible_count_is_read(value: object, count: int | None) -> None:
    """From 0 to what is plausible."""
    assert readers.read_count(value) == count


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), ("", None), (5, None), (None, None), ("a\ud83d", "a\ufffd"), ("\ude00", "\ufffd")],
)
def test_a_text_is_not_empty(value: object, text: str | None) -> None:
    """And can be encoded."""
    assert readers.read_text(value) == text


def test_json_of_any_depth_is_a_value_or_a_value_error() -> None:
    """Never a RecursionError."""
    for depth in range(0, 3000, 7):
        text = "[" * depth + "]" * depth
        try:
            value = readers.load_json(text or "[]")
        except ValueError:
            continue
        assert readers.dump_json(value) in (text or "[]", "")


def test_what_is_nested_too_deeply_is_an_error_or_nothing() -> None:
    """Python's own reader and writer give up there, each in its own way."""
    value: object = []
    for _ in range(200_000):
        value = [value]
    assert readers.dump_json(value) == ""
    while isinstance(value, list) and value:  # freed at once it would end the interpreter
        (value,) = value
