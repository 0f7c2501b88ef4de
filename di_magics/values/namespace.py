"""The user's variables that a cell names: in a prompt, attached, as tools or as a schema."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from di_magics.core.errors import ParamError, ToolError
from di_magics.core.request.template import MAX_VALUE_CHARS, fill_placeholders
from di_magics.core.secrets import find_key
from di_magics.core.settings.params import suggest
from di_magics.core.visible import one_line
from di_magics.runtime.files import resolve_path
from di_magics.values.environment_secrets import held_secret, unhidden_names

if TYPE_CHECKING:
    from di_magics.core.conversation.attachment import Attachment
    from di_magics.core.reply.json_reply import ReplySchema
    from di_magics.values.tools import Toolbox


SHELLS = {"In", "Out", "open", "exit", "quit", "get_ipython", "display"}
MAX_FILES = 1000


class Namespace:
    """The variables of a shell; `can_ask` is whether a user can answer a question."""

    def __init__(self, names: Mapping[str, Any], folder: Path, *, can_ask: bool) -> None:
        self._names = names
        self._folder = folder
        self._can_ask = can_ask

    def fill(self, prompt: str) -> str:
        """Return a prompt with every `{{name}}` filled in. Raises ParamError."""
        refuse_secret("The prompt", prompt)
        return fill_placeholders(prompt, self._text, self._names)

    def _text(self, name: str) -> str:
        from di_magics.values.secret_values import refuse_environment_secret, refuse_secret_member
        from di_magics.values.value_text import value_text

        text, is_all = value_text(self._names[name], name, MAX_VALUE_CHARS)
        if not is_all:
            raise ParamError(
                f"The text of {name} is too long: more than {MAX_VALUE_CHARS:,} characters. "
                f"Attach its beginning with -a {name}."
            )
        refuse_secret_member(self._names[name], name)
        refuse_environment_secret(text, name)
        return text

    def attach(
        self, names: Iterable[str], tokens: int | None, resize: int | None
    ) -> tuple[Attachment, ...]:
        """Return files and variables as attachments. Raises ParamError."""
        names = list(names)
        if not names:
            return ()
        from di_magics.values.attach import TOKENS, attach

        return tuple(
            attach(name, self._names, self._folder, tokens=tokens or TOKENS, resize=resize)
            for name in names
        )

    def schema(self, name: str) -> ReplySchema:
        """Return the class or the JSON Schema of that name, or in that file. Raises ParamError."""
        from di_magics.values.reply_schema import reply_schema, schema_from_file

        if name in self._names:
            return reply_schema(self._names[name], name)
        if name.isidentifier():
            raise ParamError(
                f"There is no class and no dict called {one_line(name, 60)}."
                f"{suggest(name, self._names)} --schema also accepts a .json file."
            )
        return schema_from_file(resolve_path(name, self._folder))

    def tools(self, names: Iterable[str], *, confirm: bool) -> Toolbox:
        """Return the functions of these names as tools. Raises ToolError."""
        from di_magics.values.tools import Toolbox, ask_user

        functions: dict[str, Callable[..., Any]] = {}
        for name in names:
            function = self._member(name)
            if not callable(function):
                known = functions_in(self._names)
                raise ToolError(
                    f"There is no function called {one_line(name, 60)}.{suggest(name, known)} "
                    "--tools must name functions of this notebook, separated by commas, or "
                    "di.tools.inspect and di.tools.run_python after import di_magics as di."
                )
            called = name.rpartition(".")[2]
            if functions.setdefault(called, function) is not function:
                raise ToolError(f"There are two tools called {called}. Rename one of them.")
        toolbox = Toolbox(functions, ask_user, confirm=confirm)
        if toolbox.asks and not self._can_ask:
            raise ToolError(
                "A tool may run only with your consent, and nobody can be asked here. Mark a "
                "function as safe: import di_magics as di, and @di.safe above its def."
            )
        if names := unhidden_names():
            warnings.warn(
                f"{', '.join(names)} in the environment is too short to be hidden in results of "
                "tools. Use a password of at least 4 characters.",
                stacklevel=2,
            )
        return toolbox

    def _member(self, name: str) -> object:
        """Return a variable, or for `module.name` a member of a module; None if there is none."""
        first, *members = name.split(".")
        value = self._names.get(first)
        for member in members:
            value = getattr(value, member, None) if isinstance(value, types.ModuleType) else None
        return value


def refuse_secret(what: str, text: str) -> None:
    """Raise ParamError for a text of the user's with a well-known key or an environment's secret.

    `what` is its name at the beginning of a sentence.
    """
    if prefix := find_key(text):
        raise ParamError(
            f"{what} holds what looks like a key ({prefix}): nothing was sent. Remove it."
        )
    if variable := held_secret(text):
        raise ParamError(
            f"{what} holds the value of {variable}, a variable of the environment: nothing was "
            "sent. Remove it."
        )


def current_shell() -> Any:
    """Return IPython's shell, or None in a program that has none; IPython is not imported."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def variables_in(names: Mapping[str, object]) -> list[str]:
    """Return the names of the user's own variables and functions, without modules."""
    return [
        name
        for name, value in names.items()
        if not isinstance(value, types.ModuleType)
        and not name.startswith("_")
        and name not in SHELLS
    ]


def functions_in(names: Mapping[str, object]) -> list[str]:
    """Return the names of the user's own functions, and of the ready-made tools."""
    own = [name for name in variables_in(names) if isinstance(names[name], types.FunctionType)]
    package = sys.modules[__name__.partition(".")[0]]
    ready = [f"{name}.tools" for name, value in names.items() if value is package]
    return own + [f"{tools}.{name}" for tools in ready for name in ("inspect", "run_python")]


def schemas_in(names: Mapping[str, object]) -> list[str]:
    """Return the names of possible schemas: classes and dicts."""
    return [name for name in variables_in(names) if isinstance(names[name], type | dict)]


def files_in(folder: Path, typed: str) -> list[str]:
    """Return the names of the files and folders beside a path that is being typed."""
    within, _, _ = typed.rpartition("/")
    try:
        paths = sorted(resolve_path(within, folder).iterdir())[:MAX_FILES]
    except OSError:
        return []
    prefix = f"{within}/" if within else ""
    return [
        prefix + path.name + "/" * path.is_dir() for path in paths if not path.name.startswith(".")
    ]
