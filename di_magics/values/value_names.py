"""The names within a value: members, fields, columns and labels of rows, at any level.

A name is yielded with the texts that it names, which are read only when they are asked for. So a
table of any size costs no more than its names, unless one of them is interesting.
"""

from __future__ import annotations

import dataclasses
import datetime
import types
from argparse import Namespace
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set, ValuesView
from enum import Enum
from itertools import islice
from numbers import Number
from pathlib import PurePath
from typing import Any
from uuid import UUID

from di_magics.core.secrets_in_text import is_odd
from di_magics.values.json_text import is_array
from di_magics.values.value_text import is_table

MAX_MEMBERS = 100_000
"""Members of a value that are looked at."""
MAX_LABELS = 10_000
MAX_CELLS = 1_000_000
# Members of what describes a field, and is not its value.
_SCHEMA = {"type", "title", "description", "format", "pattern", "required", "enum", "$ref", "anyof"}
_SCHEMA |= {"min_length", "max_length", "minlength", "maxlength", "label", "help", "placeholder"}
PASS = {"pass", "pw"}
"""Members that are passwords in what an account's name stands before, or beside one."""
USERS = ("user", "username", "login", "email", "account")
_PLAIN = (str, bytes, bytearray, Number, Enum, PurePath, UUID, datetime.date, datetime.time)
_LISTS = (list, tuple, Set, deque, ValuesView)

Named = tuple[str, Iterable[str]]


def named_texts(value: Any) -> Iterator[Named]:
    """Yield each name within a value with its texts; the items of a list have the list's name."""
    waiting: deque[tuple[Any, str]] = deque([(value, "")])
    left = MAX_MEMBERS
    while waiting and left:
        inner, name = waiting.popleft()
        left -= 1
        if isinstance(inner, Counter):
            continue  # words and how often they occur
        if _is_plain(inner):
            if name:
                yield name, [_text(inner)]
            continue
        if _is_columnar(inner):
            yield from _column_names(inner)
            waiting.extend((cell, name) for cell in _containers(inner))
            continue
        members = _members(inner)
        if members is not None:
            yield from _member_names(members, name)
            pairs = islice(members.items(), left)
            waiting.extend((m, _key_name(k) or name) for k, m in pairs)
        elif isinstance(inner, _LISTS):
            rows = list(islice(inner, left))
            yield from _row_names(rows)
            waiting.extend((row, name) for row in rows if name or not _is_plain(row))


def _key_name(key: Any) -> str:
    """Return a key as a name: a tuple's last item; "" if it is not a text."""
    last = key[-1] if isinstance(key, tuple) and key else key
    return last if isinstance(last, str) else ""


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, _PLAIN) or (is_array(value) and not value.shape)


def _text(value: Any) -> str:
    """Return the text of a plain value; a whole number has none of the decimals of a column."""
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _texts(read: Callable[[], Iterable[Any]]) -> Iterator[str]:
    """Yield the texts of cells, which are read now."""
    yield from map(_text, islice(read(), MAX_CELLS))


# Members ------------------------------------------------------------------------------------


def _members(value: Any) -> Mapping[Any, Any] | None:
    """Return the members of a dict, a dataclass, a model, a named tuple, …; else None."""
    kind = type(value)
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return dict(zip(kind._fields, value, strict=False))
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(kind)}
    if hasattr(kind, "__pydantic_serializer__"):
        return {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name, None) for field in kind.__attrs_attrs__}
    if isinstance(value, types.SimpleNamespace | Namespace):
        return vars(value)
    return None


def _member_names(members: Mapping[Any, Any], name: str) -> Iterator[Named]:
    """Yield the name of a dict with its values, and the name in {"name": …, "value": …}."""
    keys = islice(members, MAX_LABELS)
    is_schema = any(isinstance(key, str) and key.lower() in _SCHEMA for key in keys)
    if name and not is_schema:
        yield name, map(_text, filter(_is_plain, members.values()))
    for key in islice(members, MAX_LABELS):
        if isinstance(key, str) and key.lower() in PASS and _is_plain(members[key]):
            text = _text(members[key])
            yield f"{name}_{key}", [text]
            if is_odd(text) and any(user in members for user in USERS):
                yield f"user_{key}", [text]
    label = next((members[key] for key in ("name", "key", "id") if key in members), None)
    value = next((members[key] for key in ("value", "text", "default") if key in members), None)
    if isinstance(label, str) and _is_plain(value):
        yield label, [_text(value)]


def _row_names(rows: list[Any]) -> Iterator[Named]:
    """Yield the names in the first of several rows, and those of pairs."""
    lists = [row for row in rows if isinstance(row, list | tuple)]
    for row in lists:
        if len(row) == 2 and isinstance(row[0], str) and isinstance(row[1], str | bytes):
            yield row[0], [_text(row[1])]
    if len(lists) > 1 and lists[0] is rows[0]:
        are_pairs = len(lists[0]) == 2
        for at, label in enumerate(lists[0][:MAX_LABELS]):
            if isinstance(label, str) and (at or not are_pairs):
                below = (row[at] for row in islice(lists, 1, None) if at < len(row))
                yield label, map(_text, filter(_is_plain, below))


# Tables -------------------------------------------------------------------------------------


def _is_columnar(value: Any) -> bool:
    """Return whether this is a table of pandas, polars or Arrow, an index, or a NumPy record."""
    kind = type(value)
    if is_table(value) or getattr(getattr(value, "dtype", None), "names", None):
        return True
    library = kind.__module__.partition(".")[0]
    return (library == "pandas" and hasattr(kind, "get_level_values")) or (
        library == "pyarrow" and hasattr(kind, "to_pydict")
    )


def _column_names(table: Any) -> Iterator[Named]:
    kind = type(table)
    if kind.__module__.partition(".")[0] == "pandas":
        yield from _pandas_names(table)
    elif hasattr(kind, "to_pydict"):
        for name in table.column_names:
            yield name, _texts(lambda name=name: table.column(name).to_pylist())  # type: ignore[misc]
    elif hasattr(kind, "get_columns"):
        for column in table.get_columns():
            yield column.name, _texts(lambda column=column: column)  # type: ignore[misc]
    elif hasattr(table, "dtype") and getattr(table.dtype, "names", None):
        for name in table.dtype.names:
            yield name, _texts(lambda name=name: table[name].reshape(-1).tolist())  # type: ignore[misc]
    else:
        yield table.name, _texts(lambda: table)


def _pandas_names(table: Any) -> Iterator[Named]:
    """Yield the names of columns, of the levels of an index, and the labels of rows."""
    if not hasattr(table, "iloc"):  # an index
        yield from _level_names(table)
        return
    yield from _level_names(table.index)
    for label in _label_texts(getattr(table, "name", None)):
        yield label, _texts(lambda: table)
    if hasattr(table, "columns"):
        yield from _level_names(table.columns)
        for at, column in enumerate(islice(table.columns, MAX_LABELS)):
            for label in _label_texts(column):
                yield label, _texts(lambda at=at: table.iloc[:, at])  # type: ignore[misc]
    for at, row in enumerate(islice(table.index, MAX_LABELS)):
        for label in _label_texts(row):
            yield label, _texts(lambda at=at: _cells(table.iloc[at]))  # type: ignore[misc]


def _level_names(index: Any) -> Iterator[Named]:
    for level, name in enumerate(index.names):
        for label in _label_texts(name):
            yield label, _texts(lambda level=level: index.get_level_values(level))  # type: ignore[misc]


def _label_texts(label: Any) -> list[str]:
    parts = label if isinstance(label, tuple) else (label,)
    return [part for part in parts if isinstance(part, str)]


def _cells(row: Any) -> Iterable[Any]:
    return [row] if _is_plain(row) else row


def _containers(table: Any) -> Iterator[Any]:
    """Yield the first cells of a table that hold something themselves."""
    if not is_table(table):
        return
    head = table.head(MAX_LABELS // 10)
    columns = head.get_columns() if hasattr(head, "get_columns") else [head]
    if hasattr(head, "items") and hasattr(head, "columns"):
        columns = [column for _, column in head.items()]
    for column in columns[:1000]:
        if str(column.dtype).lower().startswith(("object", "struct", "list")):
            yield from (cell for cell in column if not _is_plain(cell))
