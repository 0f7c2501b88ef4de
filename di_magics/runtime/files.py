"""Reads files that are regular and not too large, writes private ones, finds renamed ones."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
import tomllib
import unicodedata
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.text import format_bytes
from di_magics.core.visible import one_line

MAX_ENTRIES = 5000
"""A folder's entries that are looked at."""
MAX_FOLDER_BYTES = 50_000_000
MAX_TOML_BYTES = 100_000
MAX_KEY_PARTS = 20
"""The parts of a key such as `a.b.c` in TOML: the time of `tomllib` is quadratic in them."""


def resolve_path(named: str, folder: Path) -> Path:
    """Return the path that a user means, relative to this folder; `~` is the user's home.

    Unicode writes é as one character or two: if only the other form is there, it is returned.
    """
    path = Path(named)
    try:
        path = path.expanduser()
    except RuntimeError:  # there is no such user
        return path
    forms = (unicodedata.normalize(form, str(path)) for form in ("NFC", "NFD"))
    found = (folder / name for name in (str(path), *forms) if os.path.exists(folder / name))
    return next(found, folder / path)


def read_bounded(path: Path, limit: int, name: str, suffixes: Collection[str] = ()) -> bytes:
    """Return the contents of a regular file of at most `limit` bytes, named `name` in messages.

    With `suffixes` (such as ".json") a file of another kind is refused unread. Raises OSError if
    the path cannot be read, and ParamError if it is not such a file.
    """
    label = one_line(name, 160)
    if suffixes and path.suffix.lower() not in suffixes:
        raise ParamError(f"{label} must end in {' or '.join(suffixes)}.")
    try:
        status = path.stat()
    except ValueError:  # its name has a character that no file's has
        raise FileNotFoundError(errno.ENOENT, "no such file") from None
    _check_status(status, limit, label)  # opening a device may have an effect
    with open(os.open(path, FLAGS), "rb") as file:
        _check_status(os.fstat(file.fileno()), limit, label)  # it may have been replaced
        data = file.read(limit + 1)
    if len(data) > limit:  # it grows, or is in /proc, where sizes are 0
        raise _too_large(label, f"at most {format_bytes(limit)} are read")
    return data


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table in a TOML file of at most 100 kB.

    Raises OSError, ValueError or RecursionError if it cannot be read; a ParamError is a ValueError.
    """
    text = read_bounded(path, MAX_TOML_BYTES, path.name).decode("utf-8")
    between_values = re.split(r"[^\w\"'\t .-]", text)
    if max(part.count(".") for part in between_values) >= MAX_KEY_PARTS:
        raise ValueError(f"a key, or a text without other marks, has {MAX_KEY_PARTS} dots or more")
    table = tomllib.loads(text)
    _check_numbers(table.values())
    return table


def _check_numbers(values: Iterable[object]) -> None:
    """Raise ValueError for a whole number of more than 64 bits, which TOML does not have."""
    for value in values:
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError("a number has more than 64 bits")
        if isinstance(value, dict | list):
            _check_numbers(value.values() if isinstance(value, dict) else value)


def write_private(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a file that only its user can read; a link or a pipe of that name is replaced.

    Raises FileExistsError unless `overwrite`, and OSError if it cannot be written.
    """
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    descriptor, written = tempfile.mkstemp(prefix=f".{path.name[:40]}-", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.write(text)
        os.replace(written, path)
    except BaseException:
        os.unlink(written)
        raise


# A pipe is not waited for.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def _check_status(status: os.stat_result, limit: int, label: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ParamError(f"{label} is not a regular file. Give the path of a file.")
    if status.st_size > limit:
        size = format_bytes(status.st_size)
        raise _too_large(label, f"{size}; at most {format_bytes(limit)} are read")


def _too_large(label: str, sizes: str) -> ParamError:
    return ParamError(f"{label} is too large ({sizes}). Use a part of it in a file of its own.")


def os_error_reason(error: OSError) -> str:
    """Return why a file cannot be read, as a short text."""
    return error.strerror or "no such file"


def file_stamp(path: Path | None) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced, None if there is no such file."""
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None


def file_identity(path: str | None) -> str:
    """Return what stays the same when a file is renamed or saved, "" if there is no such file."""
    try:
        status = os.stat(path or "")
    except (OSError, ValueError):
        return ""
    return f"{status.st_dev}:{status.st_ino}" if status.st_ino else ""


def find_renamed(path: str, identity: str) -> str | None:
    """Return where the file of this identity is: here, or in this folder under another name.

    Only files with the same suffix are looked at.
    """
    if not identity or file_identity(path) == identity:
        return path if identity else None
    return next((name for name in _siblings(path) if file_identity(name) == identity), None)


def find_containing(path: str, text: bytes) -> str | None:
    """Return the file that contains this text: this one, or another one in its folder.

    Only files with the same suffix are read, and at most MAX_FOLDER_BYTES of them.
    """
    left = MAX_FOLDER_BYTES
    for name in dict.fromkeys([path, *_siblings(path)]):
        try:
            data = read_bounded(Path(name), left, name)
        except (OSError, ParamError):
            continue
        left -= len(data)
        if text in data:
            return name
    return None


def _siblings(path: str) -> list[str]:
    """Return the paths of the files with the same suffix in the folder of this one."""
    suffix = Path(path).suffix
    try:
        with os.scandir(os.path.dirname(path) or ".") as entries:
            found = islice(entries, MAX_ENTRIES)
            return [entry.path for entry in found if entry.name.endswith(suffix)]
    except OSError:
        return []
