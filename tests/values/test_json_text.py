"""Values as JSON, and where that ends."""

from __future__ import annotations

import io
import itertools
import json
import tracemalloc
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
from schema_classes import Colour, Person, Place

from di_magics.core.errors import ParamError
from di_magics.values import json_text
from di_magics.values.json_text import NoJsonError

KEY = "sk-" + "a1B2" * 10


def written(value: object, limit: int = 10**6) -> str:
    """Return a value as JSON, all of it."""
    text, whole = json_text.to_json(value, limit, lambda inner: f"<{type(inner).__name__}>")
    assert whole
    return text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({"a": [1, 2.5, "é"]}, '{"a":[1,2.5,"é"]}'),
        (Place(1.0), '{"x":1.0,"y":0.0}'),
        (Person(name="Ada", age=36), '{"name":"Ada","age":36,"friends":[]}'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (Colour.RED, '"red"'),
        ((1, 2), "[1,2]"),
        ({3}, "[3]"),
        (float("nan"), "null"),
        ([pd.NaT, pd.NA, {"day": pd.NaT}], '[null,null,{"day":null}]'),
        (10**400, "1" + "0" * 400),
        (pydantic.SecretStr(KEY), '"**********"'),
    ],
)
def test_a_value_has_a_form_in_json(value: object, text: str) -> None:
    """Plain values, dataclasses, models, dates and enumerations are written as JSON."""
    assert written(value) == text


class Failing(pydantic.BaseModel):
    """A model that cannot be written."""

    @pydantic.model_serializer
    def written(self) -> dict[str, Any]:
        """Fail."""
        raise RuntimeError("no")


def circle() -> list[Any]:
    """Return a list that is in itself."""
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize("value", [object(), pd.DataFrame(), circle, Failing(), b"\xff"])
def test_a_value_without_a_form_in_json_is_an_error(value: object) -> None:
    """What has no such form raises one error, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(NoJsonError):
            written(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (range(3), "[0,1,2]"),
        (deque([1]), "[1]"),
        ({"a": 1}.keys(), '["a"]'),
        ({"a": 1}.values(), "[1]"),
        ({2: "a", 2.5: "d", date(2026, 1, 2): "e"}, '{"2":"a","2.5":"d","2026-01-02":"e"}'),
        (MappingProxyType({"a": 1}), '{"a":1}'),
        (np.arange(3), "[0,1,2]"),
        (np.arange(4).reshape(2, 2), "[[0,1],[2,3]]"),
        (np.float32(0.5), "0.5"),
        (np.array(7), "7"),
        (np.bool_(True), "true"),
        (np.array(["a", None], dtype=object), '["a",null]'),
        ({"n": np.int64(3)}, '{"n":3}'),
        ([object()], '["<object>"]'),
        (["\ud800"], '["\\ud800"]'),
        ([10**5000], '["an int of too many digits"]'),
        (
            [Place(1.0), Person(name="A", age=1)],
            '[{"x":1.0,"y":0.0},{"name":"A","age":1,"friends":[]}]',
        ),
        (b"bytes", '"bytes"'),
    ],
)
def test_other_values_have_their_form(value: object, text: str) -> None:
    """What is a list, an object or a number by its nature is one in JSON."""
    assert written(value) == text


def test_an_array_is_never_shortened() -> None:
    """NumPy's own text of it has an ellipsis."""
    assert json.loads(written(np.arange(5000))) == list(range(5000))


def endless() -> Iterator[int]:
    """Count without an end."""
    n = 0
    while True:
        yield (n := n + 1)


async def endless_async() -> AsyncIterator[int]:
    """Count without an end, asynchronously."""
    while True:
        yield 1


class Feed(pydantic.BaseModel):
    """A model with an iterator in it."""

    items: Iterable[int]


@dataclass
class Stream:
    """A dataclass with an iterator in it."""

    items: Iterator[int]


ITERATORS: list[Callable[[], object]] = [
    endless,
    endless_async,
    itertools.count,
    lambda: itertools.cycle([1]),
    lambda: itertools.repeat("x" * 1000),
    lambda: iter([1]),
    lambda: map(str, itertools.count()),
    lambda: zip([1], [2], strict=True),
    lambda: (n for n in [1]),
    lambda: iter(int, 1),
    lambda: io.StringIO("a"),
    lambda: {"a": [endless()]},
    lambda: (1, endless()),
    lambda: Stream(endless()),
    lambda: Feed(items=itertools.count()),
    lambda: {"feed": [Feed(items=endless())]},
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", ITERATORS)
def test_an_iterator_is_refused_unread(make: Callable[[], object]) -> None:
    """It may have no end; the error says what to make of it."""
    with pytest.raises(ParamError, match="may have no end"):
        written(make())


class Endless(Sequence[int]):
    """A list that says that it is short, and is not."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        return 1


class EndlessMapping(Mapping[str, int]):
    """A dict without an end."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return map(str, itertools.count())


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "value",
    [
        Endless(),
        {"a": [Endless()]},
        EndlessMapping(),
        "x" * 10**8,
        ["x" * 10**8],
        {"x" * 10**7: 1},
        range(10**12),
        [[]] * 10**7,
        np.zeros(10**7),
        [[1] * 10**6] * 10**3,
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_is_written_that_is_not_kept(value: object) -> None:
    """However large a value is, the memory for its text is bounded."""
    tracemalloc.start()
    try:
        text, whole = json_text.to_json(value, 10_000, str)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not whole
    assert len(text) == 10_000
    assert peak < 2 * 10**7 + 2 * 10**7 * isinstance(value, dict)


def test_a_value_that_takes_long_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that computes its items cannot hold the kernel."""
    monkeypatch.setattr(json_text, "SECONDS", 0.0)
    text, whole = json_text.to_json([1, 2, 3], 10**6, str)
    assert not whole
    assert text == "["


@pytest.mark.parametrize("depth", [98, 102, 10_000])
def test_a_value_is_written_down_to_a_depth(depth: int) -> None:
    """Deeper, and in a circle, it is one line."""
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    if depth < 100:
        assert written(value) == "[" * depth + "]" * depth
    else:
        for deep in (value, {"a": value}, circle()):
            with pytest.raises(ParamError, match="nested too deeply, or contains itself"):
                written(deep)


def test_a_model_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes itself at once, so it is looked at first; its own way to be written is kept."""

    class Note(pydantic.BaseModel):
        text: str
        key: pydantic.SecretStr = pydantic.SecretStr("hidden")

    assert written(Note(text="a")) == '{"text":"a","key":"**********"}'
    monkeypatch.setattr(json_text, "MAX_MODEL_CHARS", 100)
    with pytest.raises(ParamError, match="a model that is too large"):
        written(Note(text="a" * 200))
