"""Files that a reader names: read whole, if they are files and not too large."""

from __future__ import annotations

import stat
from pathlib import Path

from di_magics.core.errors import ParamError
from di_magics.core.text import one_line


def resolve_path(named: str, folder: Path) -> Path:
    """Return the path that a reader means, seen from this folder; `~` is the reader's own."""
    path = Path(named)
    try:
        path = path.expanduser()
    except RuntimeError:  # there is no such user
        return path
    return path if path.is_absolute() else folder / path


def read_bounded(path: Path, most: int, named: str) -> bytes:
    """Return what is in a file of at most so many bytes, which a reader has `named`.

    Raises OSError where it cannot be read, and ParamError for what is no file, or too large a one.
    """
    shown = one_line(named, 160)
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # a pipe would wait for ever
        raise ParamError(f"{shown} is no file that can be read.")
    if found.st_size > most:
        size = f"{found.st_size / 1e6:,.0f} MB"
        raise ParamError(f"{shown} is too large ({size}; at most {most / 1e6:,.0f} MB are read).")
    return path.read_bytes()


def os_error_reason(error: OSError | ValueError) -> str:
    """Return why a file cannot be read, in a few words."""
    return getattr(error, "strerror", None) or "no such file"
