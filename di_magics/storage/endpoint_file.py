"""A user's own endpoints: DI_MAGICS_ENDPOINTS names a TOML file, else it is in the state folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from di_magics.core.errors import ParamError
from di_magics.core.settings.own_services import parse_services
from di_magics.core.settings.services import Service
from di_magics.core.visible import one_line
from di_magics.runtime.files import file_stamp, read_toml

NAME = "endpoints.toml"


class EndpointFile:
    """The endpoints in the file; a file that has changed is read again."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._stamp: object = None
        self._services: Mapping[str, Service] = {}

    def current(self) -> Mapping[str, Service]:
        """Return the endpoints by name, {} without a file. Raises ParamError for a wrong file."""
        path = self._path()
        stamp = (path, file_stamp(path))
        if stamp != self._stamp:
            self._services = _read(path) if path and stamp[1] else {}
            self._stamp = stamp
        return self._services

    def _path(self) -> Path | None:
        if named := os.environ.get("DI_MAGICS_ENDPOINTS", "").strip():
            return Path(os.path.expanduser(named)).absolute()
        return self._folder / NAME if self._folder else None


def _read(path: Path) -> dict[str, Service]:
    try:
        table = read_toml(path)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or one_line(error, 120)
        raise ParamError(
            f"The endpoints in {one_line(path, 160)} cannot be read ({reason}). Correct or remove "
            "the file."
        ) from None
    return parse_services(table, str(path))
