"""The magics `%%chat` and `%chat`: parse a line and call the session; nothing else.

What a first question needs is imported by the first question, so that loading costs nothing.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from di_magics.core.errors import DiMagicsError
from di_magics.core.settings import flags as command
from di_magics.core.settings.settings import Settings
from di_magics.magics.cell import RunningCell
from di_magics.magics.completion import Choices, make_matcher
from di_magics.magics.last_error import ErrorRecorder
from di_magics.magics.traits import SettingsTraits
from di_magics.magics.transforms import EmptyBody, PassAskLine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from di_magics.core.conversation.conversation import Turn
    from di_magics.core.reply.reply import Reply
    from di_magics.core.request.plan import Ask
    from di_magics.core.sweep.measures import Measure
    from di_magics.core.sweep.runs import Vary
    from di_magics.display.panel import Panel
    from di_magics.display.sweep import Sweep
    from di_magics.magics.commands import Commands
    from di_magics.session.session import Session
    from di_magics.values.namespace import Namespace


def _words() -> tuple[str, ...]:
    from di_magics.magics.commands import words

    return words()


def new_session(
    place: RunningCell | None = None, settings: Settings | None = None, policy: str | None = None
) -> Session:
    """Return a session with its own loop, connections and local servers.

    The turns of the place's notebook are kept, in memory alone where DI_MAGICS_HOME is off.
    """
    from di_magics.core.conversation.cells import Where
    from di_magics.endpoints.catalog import Catalog
    from di_magics.endpoints.client import Client
    from di_magics.endpoints.routing import Routing
    from di_magics.runtime.loop import Loop
    from di_magics.runtime.state_dir import state_dir
    from di_magics.session.session import Session
    from di_magics.storage.database import Database
    from di_magics.storage.notebook import Notebook
    from di_magics.storage.policy_file import PolicyFiles

    where = place.where if place else Where
    folder, client = state_dir(), Client()
    return Session(
        Routing(),
        client,
        Loop(),
        Notebook(Database(folder), where),
        Catalog(client, folder),
        PolicyFiles(place.folder if place else Path.cwd, policy),
        settings or Settings(),
    )


@magics_class
class ChatMagics(Magics, SettingsTraits):
    """`%%chat` asks a language model; `%chat` does everything else."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._names: dict[str, Any] = shell.user_ns
        self._place = RunningCell(shell)
        self._policy = os.environ.get("DI_MAGICS_POLICY")
        self.body = EmptyBody(self._place)
        self.failures = ErrorRecorder()
        self.sweep: Sweep | None = None
        self.matcher = make_matcher(
            Choices(
                _words,
                self._conversations,
                self._models,
                lambda: [name for name in self._names if not name.startswith("_")],
                self._functions,
                self._shapes,
                self._files,
            )
        )

    @cached_property
    def session(self) -> Session:
        """The one session of this kernel."""
        session = new_session(self._place, self.to_settings(), self._policy)
        self.on_change(lambda settings: setattr(session, "settings", settings))
        session.watch(lambda what: self.copy_from(session.settings))
        return session

    def _conversations(self) -> list[str]:
        try:
            return list(self.session.conversation.heads)
        except DiMagicsError:
            return []

    def _models(self) -> list[str]:
        """Return the models that are known of without asking, none where that is not clear."""
        try:
            return [model.id for model in self.session.models.cached()]
        except DiMagicsError:
            return []

    def _functions(self) -> list[str]:
        from di_magics.values.namespace import functions_in

        return functions_in(self._names)

    def _shapes(self) -> list[str]:
        from di_magics.values.namespace import schemas_in

        return schemas_in(self._names)

    def _files(self, begun: str) -> list[str]:
        from di_magics.values.namespace import files_in

        return files_in(self._place.folder(), begun)

    @cached_property
    def _commands(self) -> Commands:
        from di_magics.magics.commands import Commands

        return Commands(self.session, self)

    @cached_property
    def panel(self) -> Panel:
        """The panel of the session, drawn once for all its views."""
        from di_magics.display.panel import Panel

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
        from di_magics.core.errors import ChatError
        from di_magics.core.request.plan import ROUNDS
        from di_magics.core.sweep.runs import parse_vary
        from di_magics.magics.commands.answer import say

        found = command.parse_flags(line)
        if found.help:
            say(command.flag_parser().format_help())
            return
        names = self.namespace()
        ask = self._at(
            names.fill(cell.strip("\n")),
            model=found.model,
            endpoint=found.endpoint,
            system=found.system,
            params=command.sampling_params(found),
            conversation=found.conversation,
            new=found.new,
            once=found.once,
            append=found.append,
            context=found.last,
            budget=found.budget,
            yes=found.yes,
            stream=not found.no_stream,
            attachments=names.attach(found.attach or (), found.attach_tokens, found.resize),
            tools=names.tools(found.tools, confirm=found.confirm) if found.tools else None,
            rounds=found.rounds or ROUNDS,
            schema=names.schema(found.schema) if found.schema else None,
            repair=found.repair,
            format="json" if found.schema else found.format or "",
        )
        if found.dry_run:
            say(self.session.preview(ask))
        elif found.vary or found.repeats:
            vary = parse_vary(found.vary or ())
            sweep = self.explore(ask, vary, found.repeats or 1, fresh=found.fresh)
            if found.out:
                self._names[found.out] = sweep
        else:
            reply = self._ask(ask, quiet=found.quiet, out=found.out)
            if found.format == "code":
                try:
                    self.next_cell(reply, found.block)
                except ChatError as error:  # the reply itself is as it should be
                    say(str(error))

    @no_var_expand
    @line_magic("chat")  # type: ignore[arg-type]
    def chat_line(self, line: str) -> Reply | None:
        """Do everything around `%%chat`: settings, history, cost, help.

        %chat alone shows what is in force, %chat help lists the commands, and
        %chat ask TEXT asks in one line.
        """
        return self._commands.run(line)

    def namespace(self) -> Namespace:
        """Return the reader's variables."""
        from di_magics.values.namespace import Namespace

        return Namespace(self._names, self._place.folder(), can_ask=self._place.can_ask)

    def ask_line(self, text: str) -> Reply:
        """Ask in one line."""
        return self._ask(self._at(self.namespace().fill(text)))

    def ask_fix(self, remark: str) -> Reply:
        """Ask what was wrong with the cell that failed last."""
        from di_magics.magics.last_error import fix_prompt

        return self._ask(self._at(fix_prompt(self.shell, self.failures.last, remark)))

    def ask_again(self, turn: Turn) -> Reply:
        """Ask a turn's question once more, in its place: what went along, its tools, its form."""
        named = [spec["function"]["name"] for spec in turn.fields.get("tools", ())]
        form = {name: each for name, each in turn.fields.items() if name == "response_format"}
        ask = self._at(
            turn.prompt,
            replaces=turn,
            attachments=turn.attachments,
            tools=self.namespace().tools(named, confirm=False) if named else None,
            fields=form,
            format=turn.format,
        )
        return self._ask(ask)

    def next_cell(self, reply: Reply, block: str = "") -> None:
        """Fill the next cell with the code of a reply. Raises ChatError where it has none."""
        from di_magics.core.reply.code_blocks import select_code
        from di_magics.core.text import make_visible

        assert self.shell
        self.shell.set_next_input(make_visible(select_code(reply.clean_text, block)))

    def explore(
        self,
        ask: Ask,
        vary: Vary,
        repeats: int,
        *,
        fresh: bool,
        final: bool = True,
        concurrency: int | None = None,
        measures: Mapping[str, Measure] | None = None,
    ) -> Sweep:
        """Return a grid of replies, shown side by side; `_sweep` holds the last one."""
        from di_magics.display.choose import choose_grid
        from di_magics.display.sweep import Sweep
        from di_magics.session.sweep_runner import SweepRunner

        explorer = SweepRunner(self.session, ask, vary, repeats)
        view = choose_grid(
            self.shell, ask.cell.id if ask.cell else None, explorer.runs, final=final
        )
        try:
            explorer.run(view, concurrency=concurrency, fresh=fresh)
        finally:
            if explorer.result:
                self.sweep = self._names["_sweep"] = Sweep.of(explorer.result, measures or {})
        assert self.sweep
        return self.sweep

    def here(self, ask: Ask) -> Ask:
        """Return an ask as one of the cell that runs now."""
        from dataclasses import replace

        return replace(ask, cell=self._at("").cell)

    def again(self, turn: Turn, repeats: int, *, yes: bool) -> Sweep:
        """Send a turn's request so many times, in its place.

        It goes where questions go now: a turn of a file that was loaded may name any address.
        Raises ChatError where that is another place than the turn's.
        """
        from di_magics.core.errors import ChatError
        from di_magics.core.text import one_line

        endpoint = self.session.settings.endpoint
        if turn.local and not (endpoint or "").startswith("local"):
            endpoint = "local"
        ask = self._at(
            turn.prompt,
            replaces=turn,
            model=None if turn.local else turn.model,
            endpoint=endpoint,
            system=turn.system,
            params=turn.params,
            context="all" if turn.context is None else turn.context,
            attachments=turn.attachments,
            fields=turn.fields,
            format=turn.format,
            yes=yes,
        )
        route = self.session.route(ask)
        if route.url != turn.url and not turn.local:
            raise ChatError(
                f"This turn was answered at {one_line(turn.url, 120)}, and questions go to "
                f"{route.name} now. Go there first: %chat set endpoint=..."
            )
        return self.explore(ask, {}, repeats, fresh=True, final=False)

    def _at(self, prompt: str, **flags: Any) -> Ask:
        """Return an ask in the cell that runs now."""
        from di_magics.core.conversation.cells import Cell
        from di_magics.core.request.plan import Ask

        place = self._place.cell()
        return Ask(prompt=prompt, cell=Cell(*place) if place else None, **flags)

    def _ask(self, ask: Ask, *, quiet: bool = False, out: str | None = None) -> Reply:
        from di_magics.display.choose import choose_view
        from di_magics.display.views import SilentView

        def bind(turn: Turn) -> None:
            self._names["_reply"] = turn.reply
            if out:
                self._names[out] = turn.reply

        cell = ask.cell.id if ask.cell else None
        plain = ask.format in ("text", "json")
        view = SilentView() if quiet else choose_view(self.shell, cell, plain=plain)
        return self.session.ask(ask, view, bind).reply


# What `%%chat?` shows.
vars(ChatMagics)["chat_cell"].__doc__ = command.flag_parser().format_help()


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
    shell.events.register("post_run_cell", magics.failures.note)
    shell.input_transformers_cleanup.append(magics.body)
    shell.input_transformer_manager.token_transformers.append(PassAskLine)


def unregister(shell: Any) -> None:
    """Take the magics and the transformers out, and close the session."""
    magics = shell.magics_manager.registry.pop("ChatMagics", None)
    if magics is None:
        return
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("chat", None)
    shell.events.unregister("post_run_cell", magics.failures.note)
    shell.input_transformers_cleanup.remove(magics.body)
    transformers = shell.input_transformer_manager.token_transformers
    # By name: after a reload of the modules it is another class.
    transformers[:] = [each for each in transformers if each.__name__ != PassAskLine.__name__]
    shell.Completer.custom_matchers.remove(magics.matcher)
    if magics in shell.configurables:
        shell.configurables.remove(magics)
    if "panel" in vars(magics):
        magics.panel.close()
    if "session" in vars(magics):
        magics.session.close()
