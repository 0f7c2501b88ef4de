"""The folder of all state, private to its owner."""

from __future__ import annotations

import os
from pathlib import Path

from di_magics.core.errors import StoreError
from di_magics.core.visible import one_line

OFF = "off"


def state_dir() -> Path | None:
    """Return the state folder, or None with DI_MAGICS_HOME=off.

    It is DI_MAGICS_HOME, else the platform's user data folder; it is created with mode 0700.
    Raises StoreError if that fails.
    """
    named = os.environ.get("DI_MAGICS_HOME")
    if named == OFF:
        return None
    if named:
        folder = Path(named).expanduser()
    else:
        import platformdirs

        folder = Path(platformdirs.user_data_dir("di_magics", appauthor=False))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {one_line(folder, 160)} cannot be created ({error.strerror}). Set "
            "DI_MAGICS_HOME to another one, or to off to store nothing."
        ) from None
    return folder
