"""What the commands have in common: how they answer, and how they read a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Protocol

from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.errors import ParamError
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.flags import flag_names, is_count
from di_magics.core.text import one_line
from di_magics.display.sweep import Sweep
from di_magics.session.session import Session


class Actions(Protocol):
    """What only the magic can do, which knows the cell that runs and the reader's names.

    `sweep` is the last grid.
    """

    sweep: Sweep | None

    def ask_line(self, text: str) -> Reply: ...
    def ask_again(self, turn: Turn) -> Reply: ...
    def ask_fix(self, remark: str) -> Reply: ...
    def next_cell(self, reply: Reply, block: str = "") -> None: ...
    def again(self, turn: Turn, repeats: int, *, yes: bool) -> Sweep: ...
    def show_panel(self) -> None: ...


class Words:
    """Some commands of `%chat`: each is a method of that name, its docstring its line of help."""

    def __init__(self, session: Session, actions: Actions) -> None:
        self._session = session
        self._actions = actions


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as columns of plain text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def count_noun(number: int, noun: str) -> str:
    """Return `1 turn`, `2 turns`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def say(text: str) -> None:
    """Print what a command answers."""
    print(text)  # noqa: T201 # the answer of a command is its output


def show(bundle: Mapping[str, Any]) -> None:
    """Display what a command answers, by MIME type."""
    from IPython.display import display

    display(bundle, raw=True)


def show_table(rows: Sequence[Sequence[str]], *, head: bool = False) -> None:
    """Display rows as a table; the first may be its head."""
    from di_magics.display.final import table_output

    show({**table_output(rows, head=head), "text/plain": table(rows)})


def say_history(chat: Conversation) -> None:
    """Print the turns of the conversation in use, with their numbers."""
    lines = []
    for count, turn in enumerate(chat.path(), 1):
        variants = chat.variants(turn)
        which = f" (variant {variants.index(turn) + 1} of {len(variants)})"
        lines.append(f"{count:>3} > {one_line(turn.prompt, 90)}")
        lines[-1] += which if len(variants) > 1 else ""
        lines.append(f"    {one_line(turn.reply.clean_text or f'({turn.reply.status})', 90)}")
    say("\n".join(lines) or f"Conversation {chat.name} has no turns yet.")


def parse_number(text: str) -> int | None:
    """Read a number, or nothing. Raises ParamError for anything else."""
    if not text:
        return None
    if not is_count(text):
        raise ParamError(f"That takes a number, not {one_line(text, 40)!r}. %chat history counts.")
    return int(text)


def incomplete(example: str) -> NoReturn:
    """Raise ParamError for a command that lacks something."""
    raise ParamError(f"Say what: for example %chat {example}")


def no_flags(command: str, rest: str) -> None:
    """Raise ParamError for a text that begins with a flag: those are for cells."""
    word = rest.partition(" ")[0].partition("=")[0]
    if word in flag_names():
        raise ParamError(
            f"%chat {command} takes no flags such as {word}: use a %%chat cell, or %chat set for "
            "the cells to come."
        )
