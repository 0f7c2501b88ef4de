"""The type of a command of `%chat`, and helpers for all commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from di_magics.core.conversation.conversation import Conversation
from di_magics.core.errors import ChatError, ParamError
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.counts import is_count
from di_magics.core.settings.flags import KEYS
from di_magics.core.visible import one_line
from di_magics.display.views import show, write
from di_magics.runtime.files import write_private

if TYPE_CHECKING:
    from di_magics.display.sweep import Sweep
    from di_magics.magics.asking import CellAsker
    from di_magics.magics.page import Page
    from di_magics.magics.panel import Panel
    from di_magics.session.session import Session


@dataclass(frozen=True, slots=True)
class Context:
    """What a command works on; `panel` returns the panel, made at its first use.

    `page` tells the extension's pages, None where there cannot be one.
    """

    session: Session
    asking: CellAsker
    panel: Callable[[], Panel]
    page: Page | None


@dataclass(frozen=True, slots=True)
class Command:
    """A command: how it is typed, a short summary, and details for the help."""

    usage: str
    summary: str
    run: Callable[[Context, str], Reply | Sweep | None]
    details: str

    @property
    def name(self) -> str:
        """Its first word."""
        return self.usage.partition(" ")[0]

    @property
    def help(self) -> str:
        """What `%chat help NAME` prints."""
        return f"%chat {self.usage}: {self.summary}" + f"\n\n{self.details}" * bool(self.details)


def command(
    usage: str, summary: str
) -> Callable[[Callable[[Context, str], Reply | Sweep | None]], Command]:
    """Return a decorator that turns a function of (context, rest of the line) into a Command.

    Its docstring is shown by `%chat help NAME`.
    """
    return lambda function: Command(usage, summary, function, getdoc(function) or "")


def say(text: str) -> None:
    """Print the answer of a command."""
    write(f"{text}\n")


def show_table(rows: Sequence[Sequence[str]], *, head: bool = False) -> None:
    """Display rows as a table; the first may be its head."""
    from di_magics.display.tables import table_output

    show(table_output(rows, head=head))


def say_history(conversation: Conversation) -> None:
    """Print the turns of the conversation in use, with their numbers."""
    lines = []
    for count, turn in enumerate(conversation.path(), 1):
        variants = conversation.variants(turn)
        which = f" (variant {variants.index(turn) + 1} of {len(variants)})"
        lines.append(f"{count:>3} > {one_line(turn.prompt, 90)}")
        lines[-1] += which if len(variants) > 1 else ""
        lines.append(f"    {one_line(turn.reply.clean_text or f'({turn.reply.status})', 90)}")
    say("\n".join(lines) or f"Conversation {conversation.name} has no turns yet.")


def parse_number(text: str) -> int | None:
    """Return a number, or None for an empty text. Raises ParamError for anything else."""
    if not text:
        return None
    if not is_count(text):
        raise ParamError(
            f"{one_line(text, 40)!r} is not a number. %chat history shows the numbers of turns."
        )
    return int(text)


def already_exists(path: Path) -> ChatError:
    """Return the error for a file that would be overwritten."""
    return ChatError(
        f"{one_line(path, 160)} exists already. Choose another name, or add --overwrite."
    )


def cannot_write(path: Path, error: OSError) -> ChatError:
    """Return the error for a file that cannot be written."""
    return ChatError(
        f"{one_line(path, 160)} cannot be written ({error.strerror or error}). "
        "Choose another name or folder."
    )


def write_file(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a file that the user has named. Raises ChatError if that is not possible."""
    try:
        write_private(path, text, overwrite=overwrite)
    except FileExistsError:
        raise already_exists(path) from None
    except OSError as error:
        raise cannot_write(path, error) from None


def incomplete(example: str) -> NoReturn:
    """Raise ParamError for a command that lacks an argument."""
    raise ParamError(f"An argument is missing. For example: %chat {example}")


def take_switch(arguments: list[str], name: str) -> bool:
    """Remove a switch such as `--all` from the arguments, and return whether it was there."""
    before = len(arguments)
    arguments[:] = [argument for argument in arguments if argument != name]
    return len(arguments) < before


def take_option(arguments: list[str], name: str, example: str) -> str | None:
    """Remove an option and its value from the arguments, and return the value, or None.

    It is `--out FILE` or `--out=FILE`. Raises ParamError with the example if it has no value.
    """
    for at, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if key == name:
            del arguments[at]
            return value if equals else arguments.pop(at) if arguments[at:] else incomplete(example)
    return None


def refuse_flags(name: str, rest: str) -> None:
    """Raise ParamError for a text that begins with a flag of `%%chat`."""
    word = rest.partition(" ")[0].partition("=")[0]
    if word in KEYS:
        raise ParamError(
            f"%chat {name} has no flags such as {word}. Use a %%chat cell, or %chat set for the "
            "next cells."
        )
