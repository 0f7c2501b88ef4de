"""Tab completion for `%%chat` cells and `%chat` lines; it never sends a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion

from di_magics.core.errors import DiMagicsError
from di_magics.core.settings.flags import FLAGS, KEYS
from di_magics.core.settings.params import PARAMS
from di_magics.core.settings.settings import SETTINGS
from di_magics.core.shown.lens_text import ORDERS
from di_magics.core.sweep.measures import MEASURES
from di_magics.magics.commands import COMMANDS
from di_magics.magics.commands.conversing import EXPORTS
from di_magics.magics.transforms import find_chat_line
from di_magics.session.session import Session
from di_magics.values.namespace import files_in, functions_in, schemas_in

LINE = re.compile(r"(?:.*[=:;])?\s*%chat\s+(?P<rest>.*)")
ARGUMENTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "set": (
        (
            *(f"{name}=" for name in SETTINGS),
            *(f"{name}={choice}" for name, param in PARAMS.items() for choice in param.choices),
        ),
        (),
    ),
    "unset": ((*SETTINGS, "all"), ()),
    "use": ((), ("conversations",)),
    "forget": (("--all", "--yes"), ("conversations",)),
    "alias": (("--remove",), ("models",)),
    "model": ((), ("models",)),
    "models": ((), ("models",)),
    "help": (("flags", "params", *KEYS, *(key.replace("-", "_") for key in FLAGS), *COMMANDS), ()),
    "endpoint": ((), ("endpoints",)),
    "key": (("--keep", "--forget"), ("endpoints",)),
    "show": (("run", *EXPORTS), ()),
    "history": (("--tree",), ()),
    "lens": (("run", "--score"), ()),
    "lab": (("run", "--order", *ORDERS), ()),
    "cost": (("--all", "--csv", "--overwrite"), ()),
    "load": ((), ("files",)),
    "save": (("--overwrite",), ("files",)),
    "panel": (("--side",), ()),
    "fork": (("--at",), ()),
    "plot": (
        ("diversity", "completion_tokens", "cost", "elapsed", "--out", "--overwrite"),
        ("measures",),
    ),
    "diff": (("run",), ()),
}
"""What Tab offers after a command of `%chat`: texts, and sources of Choices."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What Tab offers: only what is known without a request."""

    session: Callable[[], Session]
    names: Mapping[str, object]
    folder: Callable[[], Path]

    def find(self, source: str, typed: str) -> Iterable[str]:
        """Return the choices of a source of a flag, none where the session cannot tell them."""
        match source:
            case "measures":
                return MEASURES
            case "variables":
                return [name for name in self.names if not name.startswith("_")]
            case "functions":
                return functions_in(self.names)
            case "schemas":
                return schemas_in(self.names)
            case "files":
                return files_in(self.folder(), typed)
        try:
            session = self.session()
            if source == "conversations":
                return session.conversation.heads
            if source == "endpoints":
                files = (f"local:{file.stem}" for file in session.routing.model_files())
                return [*session.routing.services(), *files]
            listed = [model.id for model in session.models.cached()]
            return [*session.aliases.current(), *(listed or [session.route().model])]
        except DiMagicsError:
            return []


def complete(context: CompletionContext, choices: Choices) -> Any:
    """Return what IPython's matchers return.

    In a `%%chat` cell it also suppresses IPython's own completions: a prompt is not Python.
    """
    line = context.text_until_cursor
    token = re.split(r"\s", line)[-1]
    first = find_chat_line(context.full_text.split("\n"))
    in_cell = first is not None and context.cursor_line >= first
    offers: Iterable[str] = ()
    if in_cell and context.cursor_line == first and token != line.strip():
        offers = _flag_offers(line.split(), token, choices)
    elif not in_cell and (match := LINE.fullmatch(line)):
        offers = _line_offers(match["rest"].split(), token, choices)
    fitting = {word for word in offers if word.startswith(token)}
    matches = sorted(fitting, key=lambda word: (word.startswith("-"), word))  # flags last
    if in_cell and not matches:  # without any match IPython would offer its own
        matches = [token]
    completions = [SimpleCompletion(word, type="magic") for word in matches]
    suppress = bool(completions)
    return {"completions": completions, "suppress": suppress, "matched_fragment": token}


def _offer(
    texts: Iterable[str], sources: Iterable[str], prefix: str, choices: Choices
) -> Iterable[str]:
    yield from texts
    for source in sources:
        yield from choices.find(source, prefix)


def _flag_offers(typed: list[str], token: str, choices: Choices) -> Iterable[str]:
    """Yield the values for a flag, after it or after its `=`; otherwise the flags."""
    name, sign, prefix = token.partition("=")
    if not sign:
        name, prefix = typed[-2] if token else typed[-1], token
    spelled = name.replace("_", "-") if name.startswith("--") else name
    flag = FLAGS.get(KEYS.get(spelled, ""))
    if flag is None or not flag.metavar:
        return KEYS if token.startswith("-") or not token else ()
    before = token[: len(token) - len(prefix)]
    if flag.listed:
        before += prefix[: prefix.rfind(",") + 1]
        prefix = token[len(before) :]
    return (before + word for word in _offer(flag.completions, flag.sources, prefix, choices))


def _line_offers(typed: list[str], token: str, choices: Choices) -> Iterable[str]:
    if not typed or (len(typed) == 1 and token):
        return COMMANDS
    if typed[0] == "ask":
        only_flags = [word for word in typed[1:] if word.startswith("-")] == typed[1:]
        last = typed[-2] if token else typed[-1]
        if only_flags or token.startswith("-") or last.startswith("-"):
            return _flag_offers(typed, token, choices)
    return _offer(*ARGUMENTS.get(typed[0], ((), ())), token, choices)
