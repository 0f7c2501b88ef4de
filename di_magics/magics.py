"""The magics `%%chat` and `%chat`: parse a line and call the session; nothing else.

What a first question needs is imported by the first question, so that loading costs nothing.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.inputtransformer2 import TokenTransformBase
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from di_magics.complete import matcher
from di_magics.config import Configured
from di_magics.core import command
from di_magics.core.settings import Settings

if TYPE_CHECKING:
    from di_magics.commands import Commands
    from di_magics.core.chat import Turn
    from di_magics.core.plan import Ask
    from di_magics.core.reply import Reply
    from di_magics.panel import Panel
    from di_magics.session import Session


def _words() -> tuple[str, ...]:
    from di_magics.commands import words

    return words()


def new_session(place: Place | None = None, settings: Settings | None = None) -> Session:
    """Return a session with its own loop, connections and local servers.

    The turns of the place's notebook are kept, in memory alone where DI_MAGICS_HOME is off.
    """
    from di_magics.catalog import Catalog
    from di_magics.endpoint import Client
    from di_magics.home import home
    from di_magics.loop import Loop
    from di_magics.notebook import Notebook
    from di_magics.policy import Policies
    from di_magics.routes import Routes
    from di_magics.session import Session
    from di_magics.store import Store

    where = place.where if place else lambda: (None, None)
    folder, client = home(), Client()
    return Session(
        Routes(),
        client,
        Loop(),
        Notebook(Store(folder), where),
        Catalog(client, folder),
        Policies(place.folder if place else Path.cwd),
        settings or Settings(),
    )


class Place:
    """Knows in which cell code runs, and how many asks of this execution came before."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._execution: object = None
        self._asks = 0

    def cell(self) -> tuple[str, int] | None:
        """Return the cell's id and the ordinal of the next ask; None outside a front end.

        Right only on the thread that runs the cell: elsewhere the kernel's parent is another
        message.
        """
        parent = self._parent()
        cell_id = parent.get("metadata", {}).get("cellId")
        if not isinstance(cell_id, str):
            return None
        execution = parent["header"]["msg_id"]
        if execution != self._execution:
            self._execution, self._asks = execution, 0
        self._asks += 1
        return cell_id, self._asks - 1

    def where(self) -> tuple[Path | None, str | None]:
        """Return the notebook's path as far as it is known, and the id of the cell that runs."""
        cell_id = self._parent().get("metadata", {}).get("cellId")
        named = self._shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
        path = Path(named) if isinstance(named, str) and named.endswith(".ipynb") else None
        return path, cell_id if isinstance(cell_id, str) else None

    def folder(self) -> Path:
        """Return the folder of the notebook, as far as it is known."""
        path, _ = self.where()
        return path.parent if path else Path.cwd()

    @property
    def executing(self) -> bool:
        """Whether a front end has sent the code to be run, and not only to be looked at."""
        return bool(self._parent().get("header", {}).get("msg_type") == "execute_request")

    def _parent(self) -> dict[str, Any]:
        kernel = getattr(self._shell, "kernel", None)
        return (kernel.get_parent() if kernel is not None else None) or {}


@magics_class
class ChatMagics(Magics, Configured):
    """`%%chat` asks a language model; `%chat` does everything else."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._names: dict[str, Any] = shell.user_ns
        self._place = Place(shell)
        self.body = Body(self._place)
        self.matcher = matcher(_words, lambda: self.session.conversation.heads)

    @cached_property
    def session(self) -> Session:
        """The one session of this kernel."""
        session = new_session(self._place, self.configured())
        self.lead(lambda settings: setattr(session, "settings", settings))
        session.watch(lambda what: self.follow(session.settings))
        return session

    @cached_property
    def _commands(self) -> Commands:
        from di_magics.commands import Commands

        return Commands(self.session, self._ask_line, self._ask_again, self.show_panel)

    @cached_property
    def panel(self) -> Panel:
        """The panel of the session, drawn once for all its views."""
        from di_magics.panel import Panel

        return Panel(self.session)

    def show_panel(self) -> None:
        """Display the panel. Raises ParamError where there is no front end for it."""
        from IPython.display import display

        from di_magics.core.errors import ParamError

        if getattr(self.shell, "kernel", None) is None:
            raise ParamError(
                "The panel needs a notebook. Here: %chat params, and %chat set NAME=VALUE."
            )
        display(self.panel.widget)

    @no_var_expand
    @cell_magic("chat")  # type: ignore[arg-type] # IPython types it for no arguments
    def chat_cell(self, line: str, cell: str) -> None:
        from di_magics.commands.answer import say

        found = command.parse(line)
        if found.help:
            say(command.flags().format_help())
            return
        ask = self._at(
            cell.strip("\n"),
            model=found.model,
            endpoint=found.endpoint,
            system=found.system,
            params=command.params(found),
            conversation=found.conversation,
            new=found.new,
            once=found.once,
            append=found.append,
            last=found.last,
            budget=found.budget,
            yes=found.yes,
            stream=not found.no_stream,
        )
        if found.dry_run:
            say(self.session.preview(ask))
        else:
            self._ask(ask, quiet=found.quiet, out=found.out)

    @no_var_expand
    @line_magic("chat")  # type: ignore[arg-type]
    def chat_line(self, line: str) -> Reply | None:
        """Do everything around `%%chat`: settings, history, cost, help.

        %chat alone shows what is in force, %chat help lists the commands, and
        %chat ask TEXT asks in one line.
        """
        return self._commands.run(line)

    def _ask_line(self, text: str) -> Reply:
        return self._ask(self._at(text))

    def _ask_again(self, turn: Turn) -> Reply:
        return self._ask(self._at(turn.prompt, instead=turn))

    def _at(self, prompt: str, **flags: Any) -> Ask:
        """Return an ask in the cell that runs now."""
        from di_magics.core.chat import Cell
        from di_magics.core.plan import Ask

        place = self._place.cell()
        return Ask(prompt=prompt, cell=Cell(*place) if place else None, **flags)

    def _ask(self, ask: Ask, *, quiet: bool = False, out: str | None = None) -> Reply:
        from di_magics.view import SilentView, choose

        def bind(turn: Turn) -> None:
            self._names["_reply"] = turn.reply
            if out:
                self._names[out] = turn.reply

        view = SilentView() if quiet else choose(self.shell, ask.cell.id if ask.cell else None)
        return self.session.ask(ask, view, bind).reply


# What `%%chat?` shows.
vars(ChatMagics)["chat_cell"].__doc__ = command.flags().format_help()


# A question, a retry, or what was meant as a question; in front of it perhaps a variable.
ASKS = re.compile(r"(?P<name>\w+\s*=\s*)?%chat (?P<rest>ask .*|retry\s*|\S+ .*\?\s*)$")


class AskLine(TokenTransformBase):
    """Passes `%chat ask …?` through, which IPython would turn into help for the last word.

    It also ends the line in a semicolon: the reply is shown already, and need not be once more as
    the cell's value.
    """

    priority = 1

    @classmethod
    def find(cls, tokens_by_line: Any) -> AskLine | None:
        """Return the first such line, found by IPython's own reading of the cell."""
        for line in tokens_by_line:
            if line and line[0].start[1] == 0 and ASKS.match(line[0].line.rstrip("\n")):
                return cls(line[0].start)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with this one as a call of the magic."""
        at = self.start_line
        found = ASKS.match(lines[at].rstrip("\n"))
        assert found
        call = f"get_ipython().run_line_magic('chat', {found['rest']!r})"
        shown = f"{found['name']}{call}\n" if found["name"] else f"{call};\n"
        return [*lines[:at], shown, *lines[at + 1 :]]


class Body:
    """Gives a cell that is nothing but a `%%chat` line an empty body, so that it is ours.

    IPython would answer for us, and `%%chat -h` needs no prompt. Where a line is only looked at to
    know whether more will be typed, it stays as it is.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    def __call__(self, lines: list[str]) -> list[str]:
        """Return the cell's lines."""
        line = lines[0].rstrip() if lines else ""
        if not re.match(r"%%chat(?![\w?])[^?]*$", line) or "".join(lines[1:]):
            return lines
        if self._place.executing or re.search(r"\s(-h|--help)$", line):
            return [line + "\n", "\n"]
        return lines


def current(shell: Any) -> ChatMagics | None:
    """Return the magics registered in this shell."""
    magics = shell.magics_manager.registry.get("ChatMagics") if shell else None
    return magics if isinstance(magics, ChatMagics) else None


def register(shell: Any) -> None:
    """Register the magics and the transformers, in place of any from before."""
    unregister(shell)
    magics = ChatMagics(shell)
    shell.register_magics(magics)
    shell.Completer.custom_matchers.append(magics.matcher)
    shell.input_transformers_cleanup.append(magics.body)
    shell.input_transformer_manager.token_transformers.append(AskLine)


def unregister(shell: Any) -> None:
    """Take the magics and the transformers out, and close the session."""
    magics = shell.magics_manager.registry.pop("ChatMagics", None)
    if magics is None:
        return
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("chat", None)
    shell.input_transformers_cleanup.remove(magics.body)
    transformers = shell.input_transformer_manager.token_transformers
    # By name: after a reload of the modules it is another class.
    transformers[:] = [each for each in transformers if each.__name__ != AskLine.__name__]
    shell.Completer.custom_matchers.remove(magics.matcher)
    if magics in shell.configurables:
        shell.configurables.remove(magics)
    if "panel" in vars(magics):
        magics.panel.close()
    if "session" in vars(magics):
        magics.session.close()
