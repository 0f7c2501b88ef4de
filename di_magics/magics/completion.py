"""Tab completion for `%%chat` cells and `%chat` lines; reads only what is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from di_magics.core.settings.flags import FORMATS, flag_names
from di_magics.core.settings.params import PARAMS, TOOL_CHOICES
from di_magics.core.settings.settings import CONTEXT, TEXT_SETTINGS

Words = Callable[[], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to choose from: commands, conversations, models, the reader's variables.

    Of those, functions and what may be a schema by themselves; and files that begin like a text.
    """

    commands: Words
    heads: Words
    models: Words
    names: Words
    functions: Words
    shapes: Words
    files: Callable[[str], Iterable[str]]


def make_matcher(known: Choices) -> Any:
    """Return the matcher.

    Within a `%%chat` cell it also keeps IPython's own completions out: a prompt is no Python.
    """

    @context_matcher(identifier="di_magics")  # type: ignore[untyped-decorator]
    def complete(context: CompletionContext) -> Any:
        line, token = context.text_until_cursor, context.text_until_cursor.rpartition(" ")[2]
        in_cell = context.full_text.startswith("%%chat")
        if in_cell and context.cursor_line > 0:
            words: Iterable[str] = [context.token] if context.token else []
            token = context.token
        elif in_cell and " " in line:
            words = _flag_words(line.split(), token, known)
        elif line.startswith("%chat "):
            words = _line_words(line.split(), token, known)
        else:
            words = []
        found = [SimpleCompletion(word, type="magic") for word in words if word.startswith(token)]
        if in_cell and token and not found:  # IPython would offer something of its own
            found = [SimpleCompletion(token, type="magic")]
        return {"completions": found, "suppress": bool(found), "matched_fragment": token}

    return complete


def _flag_words(words: list[str], token: str, known: Choices) -> Iterable[str]:
    if token.startswith("-"):
        return flag_names()
    match words[-2:] if token else [words[-1], ""]:
        case ["-m" | "--model", _]:
            return known.models()
        case ["-c" | "--conversation", _]:
            return known.heads()
        case ["-o" | "--out", _]:
            return known.names()
        case ["-a" | "--attach", _]:
            return [*known.names(), *known.files(token)]
        case ["--schema", _]:
            return [*known.shapes(), *known.files(token)]
        case ["--tools", _]:
            before, comma, _ = token.rpartition(",")
            return [before + comma + name for name in known.functions()]
        case ["-f" | "--format", _]:
            return FORMATS
        case ["--tool-choice" | "--tool_choice", _]:
            return [*TOOL_CHOICES, *known.functions()]
        case ["--endpoint", _]:
            return ("deepinfra", "local")
        case ["--vary", _]:
            return [f"{name}=" for name in (*PARAMS, "model", "system")]
        case ["--reasoning-effort" | "--reasoning_effort", _]:
            return PARAMS["reasoning_effort"].choices
        case _:
            return ()


def _line_words(words: list[str], token: str, known: Choices) -> Iterable[str]:
    command = words[1] if len(words) > 1 else ""
    if not command or (len(words) == 2 and token):
        return known.commands()
    match command:
        case "set":
            return [f"{name}=" for name in (*TEXT_SETTINGS, CONTEXT, *PARAMS)]
        case "unset":
            return (*TEXT_SETTINGS, CONTEXT, *PARAMS, "all")
        case "use" | "forget":
            return known.heads()
        case "model" | "models":
            return known.models()
        case "help":
            return (*known.commands(), "flags", "params")
        case "endpoint":
            return ("deepinfra", "local")
        case "show":
            return ("run", "--request", "--curl", "--python")
        case "history":
            return ("--tree",)
        case "cost":
            return ("--all", "--csv")
        case "plot":
            from di_magics.core.sweep.measures import MEASURES

            return (*MEASURES, "diversity", "completion_tokens", "cost", "elapsed", "--out")
        case "diff":
            return ("run",)
        case _:
            return ()
