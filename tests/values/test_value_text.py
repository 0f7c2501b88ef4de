"""The texts of variables: whole, or cut and said, or refused where they say nothing."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from di_magics.core.errors import ParamError
from di_magics.values.attach import attach_value
from di_magics.values.namespace import Namespace
from di_magics.values.value_text import value_text

LIMIT = 200_000


def fill(value: object) -> str:
    """Return what `{{x}}` becomes."""
    return Namespace({"x": value}, Path(), can_ask=False).fill("{{x}}")


SHORTENED: dict[str, Callable[[int], object]] = {
    "array": np.arange,
    "matrix": lambda n: np.arange(n).reshape(-1, 5),
    "cube": lambda n: np.arange(n).reshape(-1, 5, 2),
    "objects": lambda n: np.array([str(i) for i in range(n)], dtype=object),
    "masked": lambda n: np.ma.masked_less(np.arange(n), 0),
    "half masked": lambda n: np.ma.masked_less(np.arange(n), 100),
    "frame": lambda n: pd.DataFrame({"a": range(n), "b": "x"}),
    "wide": lambda n: pd.DataFrame([[*range(n // 2, n)]]),
    "series": lambda n: pd.Series(range(n)),
    "index": lambda n: pd.Index(range(n)),
    "text index": lambda n: pd.Index([str(i) for i in range(n)]),
    "categorical": lambda n: pd.Categorical([str(i) for i in range(n)]),
    "list": lambda n: list(range(n)),
    "set": lambda n: set(range(n)),
    "nested": lambda n: {"a": [list(range(n))]},
}


@pytest.mark.parametrize("make", SHORTENED.values(), ids=SHORTENED.keys())
def test_a_value_is_filled_in_whole(make: Callable[[int], object]) -> None:
    """Nothing is left out of what its own text would shorten."""
    text = fill(make(5000))
    assert "..." not in text
    assert "2503" in text
    assert "4999" in text


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", SHORTENED.values(), ids=SHORTENED.keys())
def test_a_value_that_is_too_large_is_refused_or_cut(make: Callable[[int], object]) -> None:
    """`{{x}}` names `-a`, and `-a` says what was cut."""
    value = make(100_000)
    with pytest.raises(ParamError, match=r"200,000 characters|characters long"):
        fill(value)
    attached = attach_value(value, "x")
    assert "only the first" in attached.note
    assert "..." not in attached.content
    assert 1000 < len(attached.content) <= 12_000


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "is None"),
        (math, "is a module"),
        (len, "is a function"),
        (fill, "is a function"),
        ([].append, "is a function"),
        (str.upper, "is a function"),
        (int, "is a class"),
        (list[int], "is a class"),
        (Path, "is a class"),
        (object(), "without its own text"),
        ([object(), object()], "without its own text"),
        (Figure().subplots(), "a part of a plot"),
        (Figure().subplots().plot([1, 2]), "without its own text"),
        (pd.DataFrame({"a": [1]}).groupby("a"), "without its own text"),
        (itertools.count(), "an iterator"),
        ((n for n in [1]), "an iterator"),
        ({"a": 1}.__iter__(), "an iterator"),
    ],
)
def test_a_text_that_says_nothing_is_refused(value: Any, why: str) -> None:
    """Neither `{{x}}` nor `-a x` sends it, and the error is one line."""
    for call in (fill, lambda value: attach_value(value, "x")):
        with pytest.raises(ParamError) as caught:
            call(value)
        assert why in str(caught.value)
        assert str(caught.value).isprintable()
    plt.close("all")


@pytest.mark.parametrize("value", [0, False, "", [], {}, 1.5, "None", "<b at 0x1f>", Path("a")])
def test_other_texts_are_filled_in(value: object) -> None:
    """A zero, an empty list and a text of any kind are values."""
    assert fill(value) == str(value)


def test_a_figure_in_braces_is_refused_with_what_to_do() -> None:
    """An image is attached, not filled in."""
    with pytest.raises(ParamError, match="-a"):
        fill(Figure())


def test_what_is_masked_stays_masked() -> None:
    """A value that was masked is None."""
    assert fill(np.ma.masked_equal(np.array([1, 999, 3]), 999)) == "[1, None, 3]"


def test_pydantic_is_loaded_by_what_needs_it(tmp_path: Path) -> None:
    """A text in a prompt does not cost the 0.1 s that it takes to load."""
    program = (
        "import sys; from pathlib import Path; from di_magics.values.namespace import Namespace\n"
        "names = {'city': 'Ulm', 'numbers': [1, 2]}\n"
        "print(Namespace(names, Path(), can_ask=False).fill('{{city}} {{numbers}}'))\n"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["Ulm [1, 2]", "False"]


def test_a_table_is_filled_in_as_csv() -> None:
    """As `-a` sends it."""
    assert fill(pd.DataFrame({"a": [1, 2]})) == ",a\n0,1\n1,2"


def test_text_whose_parts_are_not_in_memory_is_bounded() -> None:
    """The text of a long list is not made before it is cut."""
    text, whole = value_text([0] * 10**7, "x", 1000)
    assert not whole
    assert len(text) == 1000
