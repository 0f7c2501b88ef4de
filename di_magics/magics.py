"""The magics `%%chat` and `%chat`: parse a line and call the session; nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

from IPython.core.inputtransformer2 import EscapedCommand
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from di_magics.commands import Commands, say
from di_magics.core import command
from di_magics.core.chat import Cell, Turn
from di_magics.core.reply import Reply
from di_magics.endpoint import Client
from di_magics.loop import Loop
from di_magics.routes import Routes
from di_magics.session import Ask, Session
from di_magics.view import SilentView, choose


def new_session() -> Session:
    """Return a session with its own loop, connections and local servers."""
    return Session(Routes(), Client(), Loop())


class Place:
    """Knows in which cell code runs: its id, and how many asks of this execution came before."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._execution: object = None
        self._asks = 0

    def cell(self) -> Cell | None:
        """Return where the next ask stands; None outside a notebook's front end.

        Right only on the thread that runs the cell: elsewhere the kernel's parent is another
        message.
        """
        kernel = getattr(self._shell, "kernel", None)
        parent = (kernel.get_parent() if kernel is not None else None) or {}
        cell_id = parent.get("metadata", {}).get("cellId")
        if not isinstance(cell_id, str):
            return None
        execution = parent["header"]["msg_id"]
        if execution != self._execution:
            self._execution, self._asks = execution, 0
        self._asks += 1
        return Cell(cell_id, self._asks - 1)


@magics_class
class ChatMagics(Magics):
    """`%%chat` asks a language model; `%chat` does everything else."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.session = new_session()
        self._names: dict[str, Any] = shell.user_ns
        self._place = Place(shell)
        self._commands = Commands(self.session, self._ask_line)

    @no_var_expand
    @cell_magic("chat")  # type: ignore[arg-type] # IPython types it for no arguments
    def chat_cell(self, line: str, cell: str) -> None:
        found = command.parse(line)
        if found.help:
            say(command.flags().format_help())
            return
        ask = Ask(
            prompt=cell.strip("\n"),
            cell=self._place.cell(),
            model=found.model,
            endpoint=found.endpoint,
            system=found.system,
            params=command.params(found),
            conversation=found.conversation,
            new=found.new,
            once=found.once,
            append=found.append,
            stream=not found.no_stream,
        )
        if found.dry_run:
            say(json.dumps(self.session.plan(ask).body, indent=2, ensure_ascii=False))
        else:
            self._ask(ask, quiet=found.quiet, out=found.out)

    @no_var_expand
    @line_magic("chat")  # type: ignore[arg-type]
    def chat_line(self, line: str) -> Reply | None:
        return self._commands.run(line)

    def _ask_line(self, text: str) -> Reply:
        return self._ask(Ask(prompt=text, cell=self._place.cell()))

    def _ask(self, ask: Ask, *, quiet: bool = False, out: str | None = None) -> Reply:
        def bind(turn: Turn) -> None:
            self._names["_reply"] = turn.reply
            if out:
                self._names[out] = turn.reply

        view = SilentView() if quiet else choose(self.shell, ask.cell.id if ask.cell else None)
        return self.session.ask(ask, view, bind).reply


class AskLine(EscapedCommand):
    """Passes `%chat ask …?` through, which IPython would turn into help for the last word.

    It also ends the line in a semicolon: the reply is shown already, and need not be once more as
    the cell's value.
    """

    priority = 1

    @classmethod
    def find(cls, tokens_by_line: Any) -> AskLine | None:
        """Return the first such line, found by IPython's own reading of the cell."""
        for line in tokens_by_line:
            if line and line[0].line.startswith("%chat ask ") and line[0].string == "%":
                return cls(line[0].start)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with this one as a call of the magic."""
        lines = super().transform(lines)
        at = self.start_line
        return [*lines[:at], lines[at].rstrip("\n") + ";\n", *lines[at + 1 :]]


def with_body(lines: list[str]) -> list[str]:
    """Return a cell that is nothing but a `%%chat` line with an empty body, so that it is ours.

    IPython would answer for us, and `%%chat -h` needs no prompt.
    """
    if lines and re.match(r"%%chat(?![\w?])[^?]*$", lines[0].rstrip()) and not "".join(lines[1:]):
        return [lines[0].rstrip("\n") + "\n", "\n"]
    return lines


# What `%%chat?` and `%chat?` show.
vars(ChatMagics)["chat_cell"].__doc__ = command.flags().format_help()
vars(ChatMagics)["chat_line"].__doc__ = Commands.__doc__


def current(shell: Any) -> ChatMagics | None:
    """Return the magics registered in this shell."""
    magics = shell.magics_manager.registry.get("ChatMagics") if shell else None
    return magics if isinstance(magics, ChatMagics) else None


def register(shell: Any) -> None:
    """Register the magics and the transformer, in place of any from before."""
    unregister(shell)
    shell.register_magics(ChatMagics(shell))
    shell.input_transformers_cleanup.append(with_body)
    shell.input_transformer_manager.token_transformers.append(AskLine)


def unregister(shell: Any) -> None:
    """Take the magics and the transformer out, and close the session."""
    magics = shell.magics_manager.registry.pop("ChatMagics", None)
    if magics is None:
        return
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("chat", None)
    # By name: after a reload of the modules they are other objects.
    for transformers in (
        shell.input_transformers_cleanup,
        shell.input_transformer_manager.token_transformers,
    ):
        names = (AskLine.__name__, with_body.__name__)
        transformers[:] = [each for each in transformers if each.__name__ not in names]
    if magics in shell.configurables:
        shell.configurables.remove(magics)
    magics.session.close()
