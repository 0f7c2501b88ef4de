"""Where state is kept: one folder, private to its owner."""

from __future__ import annotations

import os
from pathlib import Path

OFF = "off"


def home() -> Path | None:
    """Return the state folder, made if need be with mode 0700; None where nothing is to be kept.

    It is DI_MAGICS_HOME, else the platform's user data folder.
    """
    named = os.environ.get("DI_MAGICS_HOME")
    if named == OFF:
        return None
    if named:
        folder = Path(named).expanduser()
    else:
        import platformdirs

        folder = Path(platformdirs.user_data_dir("di_magics", appauthor=False))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
