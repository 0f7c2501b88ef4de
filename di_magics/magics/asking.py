"""Questions from a cell: `%%chat`, `%chat ask`, `retry`, `fix` and `repeat` all use this class.

It has what a session does not have: the running cell, the user's variables, the shell's display.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.turn import Turn, check_continuable
from di_magics.core.errors import ChatError, ParamError
from di_magics.core.reply.code_blocks import select_code
from di_magics.core.reply.json_reply import ReplySchema
from di_magics.core.reply.reply import Reply
from di_magics.core.request.ask import ROUNDS, Ask, Prefill
from di_magics.core.settings.extras import parse_extras
from di_magics.core.settings.flags import Flags
from di_magics.core.settings.services import ASK_TO_CONTINUE, PREFILL
from di_magics.core.sweep.measures import Measure
from di_magics.core.sweep.runs import Run, Vary, parse_vary
from di_magics.core.visible import one_line, remove_hidden
from di_magics.display.choose import choose_grid, choose_progress, choose_view
from di_magics.display.sweep import Sweep
from di_magics.display.views import Progress, SilentView, write
from di_magics.magics.cell import RunningCell
from di_magics.magics.cells_above import CellLog
from di_magics.magics.last_error import ErrorRecorder, fix_prompt
from di_magics.session.session import Session
from di_magics.session.sweep_runner import SweepRunner
from di_magics.session.view import SweepView
from di_magics.values.environment_secrets import add_key_variables
from di_magics.values.namespace import Namespace, refuse_secret

if TYPE_CHECKING:
    from di_magics.magics.panel import Panel
    from di_magics.values.tools import Toolbox


class CellAsker:
    """Sends a cell's questions to the session; `last_sweep` is the last sweep, or None.

    It knows the tools of the turns that were asked in this kernel, by the turn's id. What a turn
    says of them is not used, because it may come from somebody else's file.
    """

    def __init__(
        self,
        session: Session,
        shell: Any,
        cell: RunningCell,
        errors: ErrorRecorder,
        cells: CellLog,
    ) -> None:
        self.session = session
        self._shell = shell
        self._cell = cell
        self._errors = errors
        self._cells = cells
        self._tools: dict[str, Toolbox] = {}
        self.last_sweep: Sweep | None = None

    @property
    def namespace(self) -> Namespace:
        """The user's variables."""
        self._note_keys()
        return Namespace(self._shell.user_ns, self._cell.folder(), can_ask=self._cell.can_ask)

    def _note_keys(self) -> None:
        """Count the keys of all endpoints, also of the user's and the policy's, as secrets."""
        services = self.session.routing.services().values()
        policy = self.session.policies.current().key_variable
        variables = {name for service in services for name in service.key_variables}
        add_key_variables(variables | {policy} if policy else variables)

    def make_ask(self, prompt: str, **flags: Any) -> Ask:
        """Return an ask in the running cell."""
        return Ask(prompt=prompt, cell=self.make_cell(), **flags)

    def make_cell(self) -> Cell | None:
        """Return the place of the next ask in the cell that runs, None outside of a notebook."""
        place = self._cell.next_ask()
        return Cell(*place) if place else None

    def run(self, typed: Flags, prompt: str) -> Reply | Sweep | None:
        """Do what the flags of a cell or a line ask for, and return the reply or the sweep."""
        ask = self._ask_with_flags(typed, prompt)
        if typed.dry_run:
            write(f"{self.session.preview(ask)}\n")
            return None
        if typed.vary or typed.repeats:
            vary = parse_vary(typed.vary)
            sweep = self.sweep(ask, vary, typed.repeats or 1, fresh=typed.fresh)
            if typed.out:
                self._shell.user_ns[typed.out] = sweep
            return sweep
        reply = self.ask(ask, quiet=typed.quiet, out=typed.out)
        if typed.format == "code":
            try:
                self.fill_next_cell(reply, typed.block)
            except ChatError as error:  # the reply itself is fine
                write(f"{error}\n")
        return reply

    def _ask_with_flags(self, typed: Flags, prompt: str) -> Ask:
        names, extra = self.namespace, parse_extras(typed.extra)
        schema = names.schema(typed.schema) if typed.schema else None
        self._refuse_secrets(typed, extra, schema)
        above = self.session.settings.above if typed.above is None else typed.above
        return self.make_ask(
            names.fill(prompt),
            model=typed.model,
            endpoint=typed.endpoint,
            system=typed.system,
            params=typed.params,
            extra=extra,
            conversation=typed.conversation,
            new=typed.new,
            once=typed.once,
            append=typed.append,
            context=typed.last,
            budget=typed.budget,
            yes=typed.yes,
            stream=not typed.no_stream,
            attachments=(
                *(self._cells.attach(above) if above else ()),
                *names.attach(typed.attach, typed.attach_tokens, typed.resize),
            ),
            tools=names.tools(typed.tools, confirm=typed.confirm) if typed.tools else None,
            rounds=typed.rounds or ROUNDS,
            schema=schema,
            repair=typed.repair,
            format="json" if typed.schema else typed.format or "",
        )

    def _refuse_secrets(
        self, typed: Flags, extra: Mapping[str, Any], schema: ReplySchema | None
    ) -> None:
        """Raise ParamError for a secret in what is sent besides the prompt, typed now or set."""
        settings = self.session.settings
        fields: dict[str, object] = {
            "The system prompt": typed.system or settings.system or "",
            "The model": typed.model or settings.model or "",
            "--vary": typed.vary,
            "The schema": schema.schema if schema else "",
            "The name of an extra": [*settings.extra, *extra],
            **settings.params,
            **typed.params,
            **settings.extra,
            **extra,
        }
        for name, value in fields.items():
            if not isinstance(value, int | float):
                text = (
                    value
                    if isinstance(value, str)
                    else json.dumps(value, ensure_ascii=False, default=str)
                )
                refuse_secret(one_line(name, 40), text)

    def ask(self, ask: Ask, *, quiet: bool = False, out: str | None = None) -> Reply:
        """Return the reply; `_reply` and the variable `out` hold it even if it failed."""
        cell = ask.cell.id if ask.cell else None
        plain = ask.format in ("text", "json")
        where = {"plain": plain, "can_ask": self._cell.can_ask}
        view = SilentView() if quiet else choose_view(self._shell, cell, **where)
        answer = self.session.ask(ask, view)
        if ask.tools:
            self._tools[answer.turn.id] = cast("Toolbox", ask.tools)
        self._shell.user_ns["_reply"] = answer.turn.reply
        if out:
            self._shell.user_ns[out] = answer.turn.reply
        return answer.unwrap().reply

    def ask_fix(self, remark: str) -> Reply:
        """Ask what was wrong with the last failed cell, and return the reply."""
        self._note_keys()
        return self.ask(self.make_ask(fix_prompt(self._shell, self._errors.last, remark)))

    def ask_again(self, turn: Turn) -> Reply:
        """Return a new reply to a turn's prompt, with the same attachments, tools and format.

        Raises ChatError for a turn with tools that was not asked in this kernel.
        """
        tools = self._tools.get(turn.id)
        if "tools" in turn.fields and not tools:
            names = ",".join(spec["function"]["name"] for spec in turn.fields["tools"])
            raise ChatError(
                "This turn was not asked in this kernel, so its tools are not offered again. "
                f"Ask in a cell, and name them if you trust them: --tools {one_line(names, 120)}"
            )
        form = {name: value for name, value in turn.fields.items() if name == "response_format"}
        ask = self.make_ask(
            turn.prompt,
            replaces=turn,
            attachments=turn.attachments,
            tools=self.namespace.tools(tools.specs, confirm=tools.confirm) if tools else None,
            fields=form,
            format=turn.format,
        )
        return self.ask(ask)

    def sweep(
        self,
        ask: Ask,
        vary: Vary,
        repeats: int,
        *,
        fresh: bool,
        show_replies: bool = True,
        make_view: Callable[[tuple[Run, ...]], SweepView] | None = None,
        concurrency: int | None = None,
        measures: Mapping[str, Measure] | None = None,
    ) -> Sweep:
        """Return a sweep, displayed while it runs; it is also stored in `_sweep`.

        Without `show_replies` only a line about it stays in the output; `make_view` displays it
        elsewhere.
        """
        runner = SweepRunner(self.session, ask, vary, repeats)
        cell = ask.cell.id if ask.cell else None
        if make_view:
            view = make_view(runner.runs)
        else:
            view = choose_grid(self._shell, cell, runner.runs, final=show_replies)
        try:
            runner.run(view, concurrency=concurrency, fresh=fresh)
        finally:
            if runner.result:
                self.last_sweep = Sweep.of(runner.result, measures or {})
                self._shell.user_ns["_sweep"] = self.last_sweep
        return self.require_sweep()

    def repeat(self, turn: Turn, count: int, *, yes: bool) -> Sweep:
        """Return a sweep that repeats a turn's request `count` times.

        Raises ChatError if the turn's endpoint is not known here.
        """
        ask = self._ask_like(turn, yes=yes)
        return self.sweep(ask, {}, count, fresh=True, show_replies=False)

    def ask_to_continue(self, turn: Turn) -> Reply:
        """Return a turn's reply with its continuation, as a variant of the turn.

        Raises ChatError if the reply was not cut off, or cannot be continued.
        """
        check_continuable(turn)
        ask = self._ask_like(turn)
        service = self.session.route(ask).service
        tokens = turn.reply.logprobs or self.session.notebook.turns.logprobs(turn.id)
        prefill = Prefill(
            turn.reply.clean_text,
            tuple(tokens),
            method=service.fact(PREFILL).field or ASK_TO_CONTINUE,
            reasoning=turn.reply.reasoning,
        )
        return self.ask(replace(ask, prefill=prefill))

    def _ask_like(self, turn: Turn, **flags: Any) -> Ask:
        """Return an ask that sends the same request, to the turn's endpoint."""
        return replace(
            self.session.ask_like(turn),
            cell=self.make_cell(),
            extra=turn.extra,
            fields=turn.fields,
            format=turn.format,
            **flags,
        )

    def make_progress(self) -> Progress:
        """Return what says how far a text has been read."""
        return choose_progress(self._shell)

    def require_sweep(self) -> Sweep:
        """Return the last sweep. Raises ChatError where there is none."""
        if self.last_sweep is None:
            raise ChatError(
                "No sweep has run since the kernel started. Run its cell again, or a new one: "
                "%%chat --vary temperature=0,0.7, or %%chat -n 5."
            )
        return self.last_sweep

    def fill_next_cell(self, reply: Reply, block: str = "") -> None:
        """Put the code of a reply into the next cell. Raises ChatError if it has none."""
        self._shell.set_next_input(remove_hidden(select_code(reply.clean_text, block)))

    def confirm(self, question: str) -> bool:
        """Return whether the user says yes. Raises ChatError where nobody can be asked."""
        if self._cell.can_ask:
            with suppress(EOFError, NotImplementedError):
                return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        raise ChatError("This needs your consent, and nobody can be asked here. Add --yes.")

    def show_panel(self, panel: Callable[[], Panel]) -> None:
        """Display the panel. Raises ParamError outside a notebook."""
        from IPython.display import display

        if getattr(self._shell, "kernel", None) is None:
            raise ParamError(
                "The panel needs a notebook. Use %chat params and %chat set NAME=VALUE here."
            )
        display(panel().widget)
