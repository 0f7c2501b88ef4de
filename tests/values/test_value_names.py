"""The names within a value, in every container, at any level, in bounded time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from growth import growth

from di_magics.values.value_names import MAX_MEMBERS, named_texts


def named(value: Any) -> list[tuple[str, list[str]]]:
    """Return each name with its texts."""
    return [(name, list(texts)) for name, texts in named_texts(value)]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("text", []),
        ({"a": 1, "b": [True, None]}, [("a", ["1"]), ("b", ["True"]), ("b", ["None"])]),
        ({"a": {1: b"x"}}, [("a", ["x"]), ("a", ["x"])]),
        ({"a": {"type": "x"}}, [("type", ["x"])]),
        (pd.Series([1.0, 0.5], name="a"), [("a", ["1", "0.5"])]),
        (np.array([(1, 2)], dtype=[("a", int), ("b", int)]), [("a", ["1"]), ("b", ["2"])]),
        ({"a": np.int64(5)}, [("a", ["5"])]),
        ([["a", "b"], [1, 2]], [("a", ["b"]), ("b", ["2"])]),
        ([["a", "b", "c"], [1, 2, 3]], [("a", ["1"]), ("b", ["2"]), ("c", ["3"])]),
    ],
)
def test_names_are_found_with_what_they_name(value: Any, names: list[Any]) -> None:
    """Members, columns, fields; a list has the name of what holds it."""
    assert named(value) == names


def test_a_table_of_arrow_is_read_by_its_columns() -> None:
    """Known by its methods, because the library is large."""

    class Column:
        def to_pylist(self) -> list[str]:
            return ["hunter2"]

    class Table:
        column_names = ("password",)

        def to_pydict(self) -> None:
            raise AssertionError

        def column(self, name: str) -> Column:
            return Column()

    Table.__module__ = "pyarrow.lib"
    assert named([Table()]) == [("password", ["hunter2"])]


def test_cells_are_read_only_when_they_are_asked_for() -> None:
    """So that a large table costs no more than its names."""

    class Column(list[str]):
        name = "a"
        dtype = "String"

        def __iter__(self) -> Iterator[str]:
            raise AssertionError

    class DataFrame:
        def get_columns(self) -> list[Column]:
            return [Column()]

        def head(self, rows: int) -> DataFrame:
            return self

    DataFrame.__module__ = "polars.dataframe"
    assert [name for name, _ in named_texts(DataFrame())] == ["a"]


def test_a_value_that_contains_itself_has_an_end() -> None:
    """It is left after a number of members."""
    endless: dict[str, Any] = {"a": 1}
    endless["b"] = [endless, endless]
    assert len(named(endless)) <= 2 * MAX_MEMBERS


@pytest.mark.parametrize(
    "make",
    [
        lambda n: [["a"] * n] * 3,
        lambda n: [["a", "b"]] * n,
        lambda n: {str(i): {"x": i} for i in range(n)},
        lambda n: {"a": [[i] for i in range(n)]},
    ],
)
def test_names_of_many_members_are_read_in_linear_time(make: Any) -> None:
    """Twice the members take about twice the time."""
    assert growth(named, 4000, make) <= 3
