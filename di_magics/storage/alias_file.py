"""The short names that a user has given to models: a JSON file in the state folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from di_magics.core.errors import ParamError
from di_magics.core.visible import one_line
from di_magics.runtime.files import file_stamp, os_error_reason, read_bounded, write_private

FILE = "aliases.json"
MAX_FILE_BYTES = 100_000
MAX_MODEL_CHARS = 300
_NAME = re.compile(r"\w[\w.-]{0,59}")


class AliasFile:
    """Models by alias. Without a state folder they are kept until the kernel ends."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILE if folder else None
        self._stamp: object = None
        self._models: dict[str, str] = {}

    def current(self) -> Mapping[str, str]:
        """Return the model of each alias. Raises ParamError for a file that cannot be read.

        A file that another kernel has changed is read again.
        """
        stamp = file_stamp(self._path)
        if self._path and stamp != self._stamp:
            self._models = _read(self._path) if stamp else {}
            self._stamp = stamp
        return self._models

    def resolve(self, name: str) -> str:
        """Return the model that a name stands for: itself, unless it is an alias."""
        return self.current().get(name, name)

    def set(self, name: str, model: str | None) -> None:
        """Give a model a short name, or remove the name with None. Raises ParamError.

        The name is one word of letters, digits, `.`, `_` and `-`.
        """
        models = dict(self.current())
        if model is None:
            if models.pop(name, None) is None:
                raise ParamError(
                    f"There is no alias {one_line(name, 60)!r}. %chat alias lists all."
                )
        elif not _NAME.fullmatch(name):
            raise ParamError(
                f"{one_line(name, 60)!r} cannot be an alias. Use at most 60 "
                "letters, digits, dots, hyphens and underscores."
            )
        elif not model.strip() or len(model) > MAX_MODEL_CHARS or not model.isprintable():
            raise ParamError(f"{one_line(model, 60)!r} is not a model. %chat models lists them.")
        else:
            models[name] = model.strip()
        if self._path:
            text = json.dumps(models, indent=1, ensure_ascii=False, sort_keys=True)
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_private(self._path, text, overwrite=True)
            except OSError as error:
                raise ParamError(
                    f"The aliases cannot be saved ({os_error_reason(error)}). Use the whole name."
                ) from None
        self._models = models


def _read(path: Path) -> dict[str, str]:
    try:
        models = json.loads(read_bounded(path, MAX_FILE_BYTES, path.name))
        if not isinstance(models, dict) or not all(isinstance(m, str) for m in models.values()):
            raise ValueError("it is not an object of strings")
    except (OSError, ValueError, RecursionError) as error:
        raise ParamError(
            f"The aliases in {one_line(path, 160)} cannot be read ({one_line(error, 120)}). "
            "Correct or remove the file."
        ) from None
    return models
