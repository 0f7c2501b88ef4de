"""The magics `%%chat`, `%%lens` and `%chat`: they parse a line and call the session.

Modules that only a question needs are imported by the first question, so that loading is fast.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, context_matcher
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from di_magics.core.errors import ParamError
from di_magics.magics.cell import RunningCell
from di_magics.magics.cells_above import CellLog
from di_magics.magics.last_error import ErrorRecorder
from di_magics.magics.page import connect_page
from di_magics.magics.page_cells import PageCells
from di_magics.magics.traits import SettingsTraits
from di_magics.magics.transforms import add_transforms, remove_transforms

if TYPE_CHECKING:
    from di_magics.core.reply.reply import Reply
    from di_magics.display.sweep import Sweep
    from di_magics.magics.asking import CellAsker
    from di_magics.magics.panel import Panel
    from di_magics.session.session import Session

REPLY = ("di_magics.core.reply.reply", "Reply")


@magics_class
class ChatMagics(Magics, SettingsTraits):
    """`%%chat` asks a language model; `%chat` does everything else."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._cell = RunningCell(shell)
        self._policy = os.environ.get("DI_MAGICS_POLICY")
        self.process = os.getpid()
        page_cells = PageCells()
        self.page = connect_page(shell, page_cells)
        self.errors = ErrorRecorder(self._post_error)
        self.cells = CellLog(shell, self._cell, page_cells)

        @context_matcher(identifier="di_magics")  # type: ignore[untyped-decorator]
        def matcher(context: CompletionContext) -> Any:
            from di_magics.magics.completion import Choices, complete

            choices = Choices(lambda: self.session, shell.user_ns, self._cell.folder)
            return complete(context, choices)

        self.matcher = matcher

    def _post_error(self) -> None:
        if self.page:
            self.page.note_error(self._cell.id or "")

    @cached_property
    def session(self) -> Session:
        """The one session of this kernel."""
        from di_magics.magics.compose import new_session

        session = new_session(self._cell, self.to_settings(), self._policy, lambda: self.endpoints)
        self.on_change(session.update_settings)
        session.watchers.add(
            lambda changed: self.copy_from(session.settings) if changed == "settings" else None
        )
        if self.page:
            self.page.watch(session)
        return session

    @cached_property
    def asking(self) -> CellAsker:
        """Asks the session in the cell that runs."""
        from di_magics.magics.asking import CellAsker

        return CellAsker(self.session, self.shell, self._cell, self.errors, self.cells)

    @cached_property
    def panel(self) -> Panel:
        """The panel of the session, one widget for all its views."""
        from di_magics.magics.panel import Panel

        return Panel(self.session)

    @no_var_expand
    @cell_magic("chat")  # type: ignore[arg-type] # IPython types it for no arguments
    def chat_cell(self, line: str, cell: str) -> None:
        from di_magics.core.settings import flags
        from di_magics.magics.commands.command import say

        typed = flags.parse_flags(line)
        if typed.help:
            say(flags.flags_help())
        else:
            self.session.notebook.enter()
            self.asking.run(typed, cell.strip("\n"))

    @no_var_expand
    @cell_magic("lens")  # type: ignore[arg-type]
    def lens_cell(self, line: str, cell: str) -> None:
        """Show how surprising a text is to the local model, token by token.

        The text is that of the cell. It takes about 13 ms a token. `reply = di.score(text)` returns
        the numbers.
        """
        from di_magics.display.choose import choose_progress
        from di_magics.display.lens import Lens

        if line.strip():
            raise ParamError("%%lens has no flags. Write the text below it.")
        inspector, progress = self.session.inspector, choose_progress(self.shell)
        reply = inspector.score(cell.strip("\n"), report=progress.update)
        Lens(inspector.lens_of_text(reply)).show(progress.handle)

    @no_var_expand
    @line_magic("chat")  # type: ignore[arg-type]
    def chat_line(self, line: str) -> Reply | Sweep | None:
        """Everything around `%%chat`: settings, history, cost, help.

        %chat alone shows the current state, %chat help lists the commands, and
        %chat ask TEXT asks in one line.
        """
        from di_magics.magics.commands import run_command
        from di_magics.magics.commands.command import Context

        self.session.notebook.enter()
        context = Context(self.session, self.asking, lambda: self.panel, self.page)
        return run_command(context, line)


def _flags_help() -> str:
    """Return what `%%chat?` shows."""
    from di_magics.core.settings.flags import flags_help

    return flags_help()


vars(ChatMagics)["chat_cell"].getdoc = _flags_help


def current(shell: Any) -> ChatMagics | None:
    """Return the magics registered in this shell; None in a fork, which lacks their threads."""
    magics = shell.magics_manager.registry.get("ChatMagics") if shell else None
    mine = isinstance(magics, ChatMagics) and magics.process == os.getpid()
    return magics if mine else None


def format_replies(shell: Any) -> None:
    """Let a Reply at the end of a cell show itself formatted."""
    shell.display_formatter.mimebundle_formatter.for_type_by_name(*REPLY, _reply_output)


def _reply_output(reply: Reply) -> dict[str, str]:
    from di_magics.display.final import reply_output

    return reply_output(reply)


def register(shell: Any) -> None:
    """Register the magics and the transformers, in place of any from before."""
    unregister(shell)
    format_replies(shell)
    magics = ChatMagics(shell)
    shell.register_magics(magics)
    shell.Completer.custom_matchers.append(magics.matcher)
    shell.events.register("post_run_cell", magics.errors.note)
    shell.events.register("post_run_cell", magics.cells.note)
    add_transforms(shell)


def unregister(shell: Any) -> None:
    """Take the magics and the transformers out, and close the session."""
    magics = shell.magics_manager.registry.pop("ChatMagics", None)
    if magics is None:
        return
    for kind, name in (("line", "chat"), ("cell", "chat"), ("cell", "lens")):
        shell.magics_manager.magics[kind].pop(name, None)
    shell.events.unregister("post_run_cell", magics.errors.note)
    shell.events.unregister("post_run_cell", magics.cells.note)
    shell.display_formatter.mimebundle_formatter.pop(".".join(REPLY), None)
    remove_transforms(shell)
    shell.Completer.custom_matchers.remove(magics.matcher)
    if magics in shell.configurables:
        shell.configurables.remove(magics)
    if magics.page:
        magics.page.close()
    if "panel" in vars(magics):
        magics.panel.close()
    if "session" in vars(magics):
        magics.session.close()
