"""Tab completion for `%%chat` cells and `%chat` lines; reads only what is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from di_magics.core.command import flags
from di_magics.core.params import PARAMS
from di_magics.core.settings import CONTEXT, NAMES

Words = Callable[[], Iterable[str]]


def matcher(commands: Words, heads: Words) -> Any:
    """Return the matcher: `commands` and `heads` give the words and the conversations there are.

    Within a `%%chat` cell it also keeps IPython's own completions out: a prompt is no Python.
    """

    @context_matcher(identifier="di_magics")  # type: ignore[untyped-decorator]
    def complete(context: CompletionContext) -> Any:
        token = context.text_until_cursor.rpartition(" ")[2]
        in_cell = context.full_text.startswith("%%chat")
        if in_cell and context.cursor_line > 0:
            words: Iterable[str] = [context.token] if context.token else []
            token = context.token
        elif in_cell and " " in context.text_until_cursor:
            words = _flag_words(token)
        elif context.text_until_cursor.startswith("%chat "):
            words = _line_words(context.text_until_cursor.split(), token, commands, heads)
        else:
            words = []
        found = [SimpleCompletion(word, type="magic") for word in words if word.startswith(token)]
        return {"completions": found, "suppress": bool(found), "matched_fragment": token}

    return complete


def _flag_words(token: str) -> list[str]:
    if not token.startswith("-"):
        return []
    return [name for action in flags()._actions for name in action.option_strings]


def _line_words(words: list[str], token: str, commands: Words, heads: Words) -> Iterable[str]:
    command = words[1] if len(words) > 1 else ""
    if not command or (len(words) == 2 and token):
        return commands()
    match command:
        case "set":
            return [f"{name}=" for name in (*NAMES, CONTEXT, *PARAMS)]
        case "unset":
            return (*NAMES, CONTEXT, *PARAMS, "all")
        case "use":
            return heads()
        case "help":
            return (*commands(), "flags", "params")
        case "endpoint":
            return ("deepinfra", "local")
        case "show":
            return ("--request", "--curl", "--python")
        case _:
            return ()
