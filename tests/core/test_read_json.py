"""Foreign JSON is read whatever is in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from di_magics.core.read_json import (
    as_count,
    as_list,
    as_name,
    as_number,
    as_object,
    as_objects,
    as_text,
)

HUGE = 10**400
VALUES = json.loads(
    "[null, true, false, 0, 7, -1, 1.5, -2.5, NaN, Infinity, -Infinity, 1e308, "
    f'{HUGE}, -{HUGE}, 1000000000, 1000000001, "", "x", "\\ud800", [], [1, "a"], '
    '[{}, 1, {"a": 1}], {}, {"a": 1}]'
)


@pytest.mark.parametrize(
    ("read", "accepted", "missing"),
    [
        (as_text, ["", "x", "\ud800"], ""),
        (as_name, ["x", "\ud800"], None),
        (as_count, [0, 7, 1_000_000_000], None),
        (as_number, [0, 7, -1, 1.5, -2.5, 1_000_000_000, 1_000_000_001], None),
        (as_list, [[], [1, "a"], [{}, 1, {"a": 1}]], []),
        (as_object, [{}, {"a": 1}], {}),
    ],
)
def test_a_value_of_another_type_counts_as_missing(
    read: Callable[[object], Any], accepted: list[Any], missing: Any
) -> None:
    """What is accepted comes back as it was; true and false are no numbers."""

    def is_accepted(value: object) -> bool:
        return any(value == other for other in accepted) and not isinstance(value, bool)

    for value in VALUES:
        assert read(value) == (value if is_accepted(value) else missing), value


def test_a_number_is_a_double() -> None:
    """Also where JSON has a whole one."""
    assert isinstance(as_number(7), float)


def test_the_objects_of_a_list() -> None:
    """What is between them is left out."""
    assert as_objects([{}, 1, {"a": 1}, None, [{}]]) == [{}, {"a": 1}]
    assert all(as_objects(value) == [] for value in VALUES if not isinstance(value, list))
