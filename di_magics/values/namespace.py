"""The reader's variables that a cell names: filled in, attached, as tools or as a schema."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import di_magics.values.environment_secrets as keys
from di_magics.core.errors import ParamError, ToolError
from di_magics.core.request.template import fill_placeholders
from di_magics.core.settings.params import suggest
from di_magics.core.text import one_line
from di_magics.values.files import resolve_path

if TYPE_CHECKING:
    from di_magics.core.conversation.attachment import Attachment
    from di_magics.core.reply.json_reply import ReplySchema
    from di_magics.values.tools import Toolbox


SHELLS = {"In", "Out", "open", "exit", "quit", "get_ipython", "display"}
MOST_FILES = 1000


class Namespace:
    """The variables of a shell; `can_ask` is whether there is somebody to answer a question."""

    def __init__(self, names: Mapping[str, Any], folder: Path, *, can_ask: bool) -> None:
        self._names = names
        self._folder = folder
        self._can_ask = can_ask

    def fill(self, prompt: str) -> str:
        """Return a prompt with its `{{name}}` filled in. Raises ParamError."""
        return fill_placeholders(
            prompt, self._names.__getitem__, self._names, keys.environment_secrets()
        )

    def attach(
        self, named: Iterable[str], tokens: int | None, resize: int | None
    ) -> tuple[Attachment, ...]:
        """Return files and variables as attachments. Raises ParamError."""
        named = list(named)
        if not named:
            return ()
        from di_magics.values.attach import TOKENS, attach

        return tuple(
            attach(each, self._names, self._folder, tokens=tokens or TOKENS, resize=resize)
            for each in named
        )

    def schema(self, named: str) -> ReplySchema:
        """Return the class or the JSON Schema of that name, or in that file. Raises ParamError."""
        from di_magics.values.schema import reply_schema, schema_from_file

        if named in self._names:
            return reply_schema(self._names[named], named)
        if named.isidentifier():
            raise ParamError(
                f"There is no class and no dict called {one_line(named, 60)}."
                f"{suggest(named, self._names)} --schema also takes a .json file."
            )
        return schema_from_file(resolve_path(named, self._folder))

    def tools(self, named: Iterable[str], *, confirm: bool) -> Toolbox:
        """Return the functions of these names as tools. Raises ToolError."""
        from di_magics.values.tools import Toolbox, ask_user

        functions = {}
        for name in named:
            found = self._names.get(name)
            if not callable(found):
                known = functions_in(self._names)
                raise ToolError(
                    f"There is no function called {one_line(name, 60)}.{suggest(name, known)} "
                    "--tools takes the names of functions in this notebook, with commas between."
                )
            functions[name] = found
        box = Toolbox(functions, ask_user, confirm=confirm)
        if box.asks and not self._can_ask:
            raise ToolError(
                "There is nobody here to ask whether a tool may run. Mark functions that may run "
                "unasked: @di.safe above their def, after import di_magics as di."
            )
        return box


def functions_in(names: Mapping[str, Any]) -> list[str]:
    """Return the names of the reader's own functions."""
    return [
        name
        for name, value in names.items()
        if isinstance(value, types.FunctionType) and not name.startswith("_") and name not in SHELLS
    ]


def schemas_in(names: Mapping[str, Any]) -> list[str]:
    """Return the names of what may be a schema: classes and dicts."""
    return [
        name
        for name, value in names.items()
        if isinstance(value, type | dict) and not name.startswith("_") and name not in SHELLS
    ]


def files_in(folder: Path, begun: str) -> list[str]:
    """Return the files and folders of a folder whose names, as typed, begin like this."""
    within, _, _ = begun.rpartition("/")
    try:
        found = sorted(resolve_path(within, folder).iterdir())[:MOST_FILES]
    except OSError:
        return []
    prefix = f"{within}/" if within else ""
    return [
        prefix + path.name + "/" * path.is_dir() for path in found if not path.name.startswith(".")
    ]
