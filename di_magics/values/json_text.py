"""Writes a value as JSON, with limits on length, depth and time while it is written.

An endless value would fill the memory before the text could be cut, so writing stops at the limit,
and an iterator, which may have no end, is refused.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections import deque
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set,
    ValuesView,
)
from enum import Enum
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.text import hide_image
from di_magics.core.visible import one_line
from di_magics.values.environment_secrets import without_colours

MAX_DEPTH = 100
SECONDS = 10.0
MAX_MODEL_CHARS = 1_000_000
"""Characters of a pydantic model, at most: it writes itself, without a limit."""
ARRAY_LIBRARIES = {"numpy", "torch", "jaxlib", "jax", "tensorflow", "xarray"}


class _Full(Exception):
    """The limit is reached."""


class NoJsonError(Exception):
    """A value has no form in JSON."""


def to_json(
    value: object,
    limit: int,
    other: Callable[[object], str],
    stopping: Callable[[], bool] = lambda: False,
) -> tuple[str, bool]:
    """Return a value as JSON of about `limit` characters, and whether that is all of it.

    `other` returns the text of an inner object that has no form in JSON. Raises NoJsonError if the
    value itself has none, ParamError for an iterator and for too deep nesting, and
    KeyboardInterrupt once `stopping` returns True.
    """
    writer = _Writer(limit, other, stopping)
    try:
        writer.write(value, 0)
    except _Full:
        return "".join(writer.parts)[:limit], False
    return "".join(writer.parts), True


def refuse_iterator(value: object) -> None:
    """Raise ParamError for a generator or another iterator, which may have no end."""
    if isinstance(value, Iterator | AsyncIterator):
        kind = one_line(type(value).__name__, 60)
        raise ParamError(
            f"it is an iterator ({kind}), which may have no end. Convert it to a list or a text."
        )


def is_array(value: object) -> bool:
    """Return whether a value is an array or a scalar of NumPy, PyTorch or a library like them."""
    library = type(value).__module__.partition(".")[0]
    return library in ARRAY_LIBRARIES and hasattr(value, "shape") and hasattr(value, "item")


def _is_missing(value: object) -> bool:
    """Return whether this is one of pandas' own marks of a missing value: NaT or NA."""
    kind = type(value)
    return kind.__module__.startswith("pandas.") and kind.__name__ in ("NaTType", "NAType")


class _Writer:
    """The parts that were written, up to a limit."""

    def __init__(
        self, limit: int, other: Callable[[object], str], stopping: Callable[[], bool]
    ) -> None:
        self.parts: list[str] = []
        self._left = limit
        self._other = other
        self._stopping = stopping
        self._deadline = time.monotonic() + SECONDS

    def write(self, value: Any, depth: int) -> None:
        """Write a value."""
        if depth > MAX_DEPTH:
            raise ParamError("it is nested too deeply, or contains itself. Convert it to a text.")
        refuse_iterator(value)
        if _is_missing(value):
            value = None
        if isinstance(value, Enum):
            self.write(value.value, depth + 1)
        elif value is None or isinstance(value, bool | int | float):
            self._put(_scalar(value))
        elif isinstance(value, str):
            self._put(_quote(hide_image(without_colours(str.__str__(value)))[: self._left + 1]))
        elif hasattr(type(value), "__pydantic_serializer__"):
            self._write_model(value, depth)
        elif isinstance(value, Mapping):
            self._write_object(value.items(), depth)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            self._write_object(_dataclass_items(value), depth)
        elif is_array(value) and not value.shape:
            item = value.item()
            self.write(repr(item) if is_array(item) else item, depth + 1)
        elif is_array(value) or _is_collection(value):
            self._write_list(value, depth)
        else:
            self._write_leaf(value, depth)

    def _put(self, text: str) -> None:
        self.parts.append(text)
        self._left -= len(text)
        if self._stopping():
            raise KeyboardInterrupt
        if self._left < 0 or time.monotonic() > self._deadline:
            raise _Full

    def _write_list(self, values: Iterable[object], depth: int) -> None:
        self._put("[")
        for number, value in enumerate(values):
            if number:
                self._put(",")
            self.write(value, depth + 1)
        self._put("]")

    def _write_object(self, items: Iterable[tuple[object, object]], depth: int) -> None:
        self._put("{")
        for number, (key, value) in enumerate(items):
            if number:
                self._put(",")
            self._put(_quote(_key(key)) + ":")
            self.write(value, depth + 1)
        self._put("}")

    def _write_model(self, value: Any, depth: int) -> None:
        """Write a model as pydantic does, after a check of its size."""
        fields = dict(_dataclass_items(value)) if dataclasses.is_dataclass(value) else vars(value)
        inner = _Writer(MAX_MODEL_CHARS, lambda value: "", self._stopping)
        try:
            inner.write([fields, getattr(value, "__pydantic_extra__", None)], depth + 1)
        except _Full:
            raise ParamError("it holds a model that is too large. Return a part of it.") from None
        self._write_leaf(value, depth)

    def _write_leaf(self, value: object, depth: int) -> None:
        """Write a value that is not a list or an object: a date, a path, bytes that are text, …"""
        short = not isinstance(value, bytes | bytearray) or len(value) <= self._left
        text = _leaf(value) if short else None
        if text is None and depth == 0:
            raise NoJsonError
        self._put(_quote(self._other(value)) if text is None else text)


def _leaf(value: object) -> str | None:
    from di_magics.values.typed_json import leaf_json  # pydantic needs 0.1 s to load

    return leaf_json(value)


def _is_collection(value: object) -> bool:
    listed = isinstance(value, Sequence | Set | ValuesView | deque)
    return listed and not isinstance(value, bytes | bytearray | memoryview)


def _dataclass_items(value: Any) -> list[tuple[str, Any]]:
    return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]


def _scalar(value: float | None) -> str:
    if isinstance(value, float):
        return float.__repr__(value) if math.isfinite(value) else "null"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    try:
        return int.__repr__(value)
    except ValueError:  # Python writes no int of more than 4,300 digits
        return '"an int of too many digits"'


def _key(key: object) -> str:
    """Return the name of a member, as pydantic writes it."""
    if isinstance(key, str):
        return str.__str__(key)
    text = _leaf(key) or '""'
    return str(json.loads(text)) if text.startswith('"') else str(key) if key is None else text


def _quote(text: str) -> str:
    """Return a text as JSON; a lone half of a surrogate pair is escaped."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(text)
    return json.dumps(text, ensure_ascii=False)
