"""Files, variables and texts that look like secrets, refused before they are sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.secrets import (
    find_assignment,
    find_credential,
    is_secret_column,
    is_secret_file,
    looks_secret,
)
from di_magics.core.text import describe_error, one_line
from di_magics.values.environment_secrets import held_secret
from di_magics.values.value_text import is_table

MOST_MEMBERS = 10_000
ROWS = 50
"""Rows of a table that are checked."""
SETTINGS = {".json", ".jsonl", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties"}
TABLES = {".csv": ",", ".tsv": "\t"}


def refuse_secret_file(path: Path, name: str) -> None:
    """Raise ParamError for a file that usually holds secrets, by its name or its target's."""
    try:
        target = path.resolve().name
    except (OSError, RuntimeError, ValueError):
        target = ""
    if is_secret_file(path.name) or is_secret_file(target):
        raise ParamError(
            f"{one_line(name, 80)} usually holds keys or passwords: it was not attached. Copy "
            "what the model may read into a file of another name."
        )


def refuse_secret_text(text: str, path: Path) -> None:
    """Raise ParamError for the text of a file that holds a key or a password."""
    name = one_line(path.name, 80)
    suffix = path.suffix.lower()
    if find_credential(text):
        raise ParamError(
            f"{name} seems to hold a key or a password: it was not attached. Remove that first."
        )
    if suffix in SETTINGS and (member := find_assignment(text)):
        raise _member_error(name, member)
    if suffix in TABLES:
        header, *rows = (line.split(TABLES[suffix]) for line in text.splitlines()[: ROWS + 1])
        for number, column in enumerate(header):
            column = column.strip().strip('"')
            if is_secret_column(column, (row[number] for row in rows if number < len(row))):
                raise _member_error(name, column)
    refuse_environment_secret(text, name)


def refuse_secret_value(text: str, value: object, name: str) -> None:
    """Raise ParamError for a variable that looks like a secret, or whose text holds one."""
    if looks_secret(name, text):
        raise ParamError(
            f"{one_line(name, 80)} looks like a key or a password: it was not attached. Put what "
            "the model may read into a variable of another name."
        )
    refuse_secret_member(value, name)
    refuse_environment_secret(text, name)


def refuse_environment_secret(text: str, name: str) -> None:
    """Raise ParamError for a text that holds a secret of the environment."""
    if variable := held_secret(text):
        raise ParamError(
            f"{one_line(name, 80)} holds a key or a password, the value of {variable} in the "
            "environment: nothing was sent. Remove it first."
        )


def refuse_secret_member(value: object, name: str) -> None:
    """Raise ParamError for a table with a column of passwords, or a dict with one."""
    try:
        secret = next((n for n, values in _members(value) if is_secret_column(n, values)), None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what the value's own methods raise
        raised = one_line(describe_error(error), 120)
        raise ParamError(
            f"{one_line(name, 80)} cannot be read ({raised}). Convert it to a text first."
        ) from None
    if secret is not None:
        raise _member_error(one_line(name, 80), secret)


def _member_error(name: str, member: str) -> ParamError:
    return ParamError(
        f"{name} has {one_line(member, 60)}, which looks like a password or a key: nothing was "
        "sent. Remove it, or give it another name."
    )


def _columns(table: Any) -> list[Any]:
    """Return the columns of a DataFrame of pandas or polars; a Series is its own column."""
    if not hasattr(table, "columns"):
        return [table]
    if hasattr(table, "get_columns"):
        return list(table.get_columns())
    return [column for _, column in table.items()]


def _members(value: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns of a table, or the members of nested dicts, with some of their values."""
    if is_table(value):
        for column in _columns(value.head(ROWS))[:MOST_MEMBERS]:
            yield str(column.name), [str(cell) for cell in column if cell is not None]
        return
    waiting, seen = [value], 0
    while waiting and seen < MOST_MEMBERS:
        inner = waiting.pop()
        seen += 1
        if dataclasses.is_dataclass(inner) or hasattr(type(inner), "__pydantic_serializer__"):
            inner = getattr(inner, "__dict__", {})
        if isinstance(inner, dict):
            for key, member in islice(inner.items(), MOST_MEMBERS):
                if isinstance(key, str) and isinstance(member, str):
                    yield key, [member]
                else:
                    waiting.append(member)
        elif isinstance(inner, list | tuple):
            waiting += inner[: MOST_MEMBERS - seen]
