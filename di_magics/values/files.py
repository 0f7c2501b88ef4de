"""Files that a user names: read whole, if they are regular files and not too large."""

from __future__ import annotations

import stat
from pathlib import Path

from di_magics.core.errors import ParamError
from di_magics.core.text import one_line


def resolve_path(named: str, folder: Path) -> Path:
    """Return the path that a user means, relative to this folder; `~` is the user's home."""
    path = Path(named)
    try:
        path = path.expanduser()
    except RuntimeError:  # there is no such user
        return path
    return path if path.is_absolute() else folder / path


def read_bounded(path: Path, limit: int, name: str) -> bytes:
    """Return the contents of a regular file of at most `limit` bytes; messages call it `name`.

    Raises OSError where it cannot be read, and ParamError where it is not such a file.
    """
    shown = one_line(name, 160)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for without an end
        raise ParamError(f"{shown} is not a regular file.")
    if status.st_size > limit:
        size = f"{status.st_size / 1e6:,.0f} MB"
        raise ParamError(f"{shown} is too large ({size}; at most {limit / 1e6:,.0f} MB are read).")
    return path.read_bytes()


def os_error_reason(error: OSError | ValueError) -> str:
    """Return why a file cannot be read, in a few words."""
    return getattr(error, "strerror", None) or "no such file"
