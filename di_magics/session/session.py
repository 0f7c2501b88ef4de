"""The one place where a turn happens: settings -> request -> reply -> conversation.

A turn is in the conversation before it is sent and is sealed once, whatever happens; what it needs
of the outside (routes, client, notebook, view) is handed in.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from di_magics.core.amount import parse_usd
from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.errors import BadRequest, EndpointError, Interrupted, PolicyError, TooLong
from di_magics.core.money.cost import Entry
from di_magics.core.request import export
from di_magics.core.request.context import shortening_advice
from di_magics.core.request.plan import (
    Ask,
    Plan,
    Route,
    build_request,
    context_turns,
    ledger_entry,
    limit,
    plan_turn,
)
from di_magics.core.request.refusals import mentions_param
from di_magics.core.settings.policy import Policy
from di_magics.core.settings.settings import Settings
from di_magics.core.shown.notes import policy_notes, variant_notes
from di_magics.core.text import one_line
from di_magics.runtime.loop import Interrupts, Loop
from di_magics.session.model_list import ModelList
from di_magics.session.ports import Catalog, Client, Notebook, Policies, Routes, Sealed, View
from di_magics.session.turn_runner import TurnRunner

Changed = Literal["settings", "turns"]
Watcher = Callable[[Changed], None]


class Session:
    """Settings and conversation of one notebook, and the means to ask."""

    def __init__(
        self,
        routes: Routes,
        client: Client,
        loop: Loop,
        notebook: Notebook,
        catalog: Catalog,
        policies: Policies,
        settings: Settings,
    ) -> None:
        self.routes = routes
        self.policies = policies
        self.catalog = catalog
        self._settings = settings
        self.client = client
        self.loop = loop
        self.notebook = notebook
        self._conversation: Conversation | None = None
        self._news: list[str] = []  # for the next receipt
        self._last_shown: tuple[Turn, View] | None = None
        self._lock = threading.RLock()
        self._watchers: list[Watcher] = []
        self.refused: dict[tuple[str, str], dict[str, str]] = {}
        self.models = ModelList(
            catalog,
            loop,
            self._listed_at,
            lambda model: self.policies.current().allows(model),
            lambda: self.notify("settings"),
        )

    def watch(self, watcher: Watcher) -> None:
        """Call this with what has changed, after it has, on whichever thread changed it."""
        self._watchers.append(watcher)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call this on a thread that is not the reader's, so many seconds from now."""
        self.loop.call_later(seconds, call)

    def notify(self, what: Changed) -> None:
        """Tell the watchers what has changed."""
        for watcher in self._watchers:
            watcher(what)

    @property
    def settings(self) -> Settings:
        """What is set for the cells to come."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        if settings != self._settings:
            self._settings = settings
            self.notify("settings")

    def update_settings(self, change: Callable[[Settings], Settings]) -> None:
        """Replace the settings by what this makes of them; nobody else can come in between."""
        with self._lock:
            self.settings = change(self.settings)

    @property
    def conversation(self) -> Conversation:
        """The notebook's conversation, as it was left; setting it keeps it.

        Where it is not clear yet which notebook this is, it is empty for the moment.
        """
        with self._lock:
            if self._conversation is None:
                resumed = self.notebook.resume()
                if resumed is None:
                    return Conversation()
                self._conversation, said = resumed
                self._news += [said] if said else []
            return self._conversation

    @conversation.setter
    def conversation(self, chat: Conversation) -> None:
        with self._lock:
            self._conversation = chat
            self.notebook.keep(chat).add_done_callback(self._kept)
        self.notify("turns")

    def _kept(self, done: Future[None]) -> None:
        if error := done.exception():
            self._news.append(f"which turns are in use is not kept: {one_line(error, 200)}")

    def _own(self) -> Notebook:
        """Return the notebook, once it is known which it is."""
        _ = self.conversation
        return self.notebook

    def entries(self, *, everywhere: bool = False, since: float = 0.0) -> list[Entry]:
        """Return what this notebook's requests have cost, or those of all notebooks."""
        return self._own().entries(everywhere=everywhere, since=since)

    @property
    def committed(self) -> Decimal:
        """What this notebook has spent, and may yet spend on replies in flight, in USD."""
        return self._own().committed

    def notebook_names(self) -> dict[str, str]:
        """Return the names of all notebooks' files by id, as far as they are known."""
        return self.notebook.names()

    def is_own_file(self, path: Path) -> bool:
        """Return whether a path is this notebook's own file."""
        return self._own().is_at(path)

    def forget(self, name: str | None) -> int:
        """Delete a conversation's turns for good, or with None those of all notebooks.

        Returns how many there were. Costs are kept.
        """
        chat = self.conversation
        if name is None:
            self.conversation = Conversation()
            return self.notebook.forget(None, None)
        gone = [turn.id for turn in chat.turns.values() if turn.conversation == name]
        self.conversation = chat.remove(set(gone), name)
        self.notebook.forget(gone, name)
        return len(gone)

    def route(self, ask: Ask | None = None) -> Route:
        """Return where an ask will go. Raises ParamError, Refused or PolicyError."""
        policy = self.policies.current()
        endpoint = (ask.endpoint if ask else None) or self.settings.endpoint
        model = (ask.model if ask else None) or self.settings.model or policy.model
        found: Route = self.routes.choose(endpoint, model, policy, self.policies.key())
        policy.check_model(found.model)
        return found

    def with_price(self, ask: Ask, plan: Plan, interrupts: Interrupts) -> Plan:
        """Return the plan with the model's price looked up, where a budget needs it."""
        limited = ask.budget is not None or self.budget is not None
        if plan.price is None and limited and not plan.route.local:
            if job := self.models.refresh(plan.route.endpoint):
                job.wait(interrupts)
            return self.plan(ask)
        return plan

    def _listed_at(self) -> Any:
        policy, settings = self.policies.current(), self.settings
        model = settings.model or policy.model
        return self.routes.listing(settings.endpoint, model, policy, self.policies.key())

    def plan(self, ask: Ask, said: list[dict[str, Any]] | None = None) -> Plan:
        """Return the turn for this ask, placed and validated, and the request it will send.

        `said` are its messages where another plan has derived the same. Raises ParamError,
        ChatError, PolicyError or Refused; nothing is sent and nothing remembered.
        """
        route = self.route(ask)
        chat = self.conversation  # once it is there, so is the notebook's id
        return plan_turn(
            ask,
            uuid.uuid4().hex,
            notebook=self.notebook.id,
            chat=chat,
            settings=self.settings,
            policy=self.policies.current(),
            route=route,
            price=None if route.local else self.catalog.price(route.url, route.model),
            said=said,
        )

    @property
    def budget(self) -> Decimal | None:
        """What this notebook may spend in USD: its own budget, else the environment's.

        A policy's holds where it is less. Raises ParamError for an environment's that is none.
        """
        own, common = self._own().budget, os.environ.get("DI_MAGICS_BUDGET", "").strip()
        if own is None and common:
            own = parse_usd(common, "DI_MAGICS_BUDGET")
        policy = self.policies.current().budget
        return min((each for each in (own, policy) if each is not None), default=None)

    @budget.setter
    def budget(self, limit: Decimal | None) -> None:
        self._own().budget = limit
        self.notify("turns")

    def request(self, turn: Turn) -> dict[str, Any]:
        """Return the body of the request for a turn."""
        return build_request(turn, self.conversation)

    def preview(self, ask: Ask) -> str:
        """Return the body that an ask would send, as JSON."""
        return export.as_json(self.plan(ask).body)

    def ask(self, ask: Ask, view: View, sealed: Sealed = lambda turn: None) -> Turn:
        """Return the turn once it is sealed and shown; blocks, and can be interrupted.

        `sealed` gets the turn whatever became of it. Raises EndpointError where the reply failed
        or broke off and Interrupted where the reader pressed the stop square; what had come is in
        the conversation either way.
        """
        with Interrupts() as interrupts:
            begun = self._begun(self.with_price(ask, self.plan(ask), interrupts), ask, interrupts)
            rounds = TurnRunner(begun, ask, view, interrupts, lambda plan: self._enter(plan, ask))
            reply, error = rounds.run(self.loop, self.routes, self.client, self.notebook)
            turn = replace(begun.turn, reply=reply)
            with self._lock:
                if not ask.once:
                    # The body can be derived again, and would hold the whole path at every turn.
                    kept = replace(turn, reply=replace(reply, request=None))
                    self.conversation = self.conversation.with_outcome(kept)
            sealed(turn)
            if rounds.fault is None:
                view.close(turn, self._notes(turn, ask, begun.policy))
            self._last_shown = None if ask.once else (turn, view)
            self.notify("turns")
        error = error or rounds.fault or self.log_turn(begun, turn)
        if reply.cost is None and not reply.is_empty:
            self.models.refresh(begun.route.endpoint)  # the next one can be estimated
        if error:
            raise self._explained(error, turn)
        if interrupts.interrupted:
            raise Interrupted("stopped; what had come is kept. Run the cell again for a new reply.")
        return turn

    def _begun(self, plan: Plan, ask: Ask, interrupts: Interrupts) -> Plan:
        """Write the turn, and what it may cost, before it is sent; it is the head from now on."""
        self.policies.check_log(plan.policy)
        if interrupts.interrupted:
            raise Interrupted("stopped before anything was sent.")
        kept = not ask.once
        with self._lock:
            chat, turn = self.conversation, plan.turn
            if ask.new and kept and chat.turn_shown_in(turn.cell) is None:
                chat = chat.start()
                turn = replace(turn, conversation=chat.name)
            begun = replace(plan, turn=turn)
            self._enter(begun, ask, kept=kept)
            if kept:
                self.conversation = chat.with_turn(turn, aside=bool(ask.conversation))
        return begun

    def _enter(self, plan: Plan, ask: Ask, *, kept: bool = False) -> None:
        """Write what a request may cost, and the turn itself where it is `kept`, before sending.

        Raises BudgetError where the worst case does not fit.
        """
        line = ledger_entry(plan, time.time(), kept=not ask.once)
        most = limit(plan, ask, self.budget)
        self.notebook.begin(plan.turn, line, most, kept=kept).result()

    def log_turn(self, begun: Plan, turn: Turn) -> PolicyError | None:
        """Add a turn to the teacher's log, if there is to be one; return what went wrong."""
        try:
            self.policies.log(turn, begun.policy)
        except PolicyError as error:
            return error
        return None

    def _explained(self, error: Exception, turn: Turn) -> Exception:
        """Return the error with what is known of the turn: its reply, what to leave out."""
        if isinstance(error, EndpointError):
            error.reply = turn.reply
        if isinstance(error, BadRequest):
            said = {name: str(error) for name in turn.params if mentions_param(str(error), name)}
            self.refused.setdefault((turn.url, turn.model), {}).update(said)
        if isinstance(error, TooLong):
            step = shortening_advice(error, context_turns(turn, self.conversation), turn.prompt)
            shorter = TooLong(
                f"{error.server_text} {step}", status=error.status, request_id=error.request_id
            )
            shorter.reply = error.reply
            return shorter
        return error

    def join(self, other: Conversation, name: str) -> None:
        """Go on with another conversation, under this name or one like it."""
        with self._lock:
            before = self.conversation
            ids = {turn: uuid.uuid4().hex for turn in other.turns}
            chat = before.join(other, name, ids)
            new = [turn for turn in chat.turns.values() if turn.id not in before.turns]
            self.notebook.adopt(new).result()
            self.conversation = chat

    def adopt(self, turn: Turn) -> None:
        """Make a turn whose reply is there already the head of its conversation."""
        with self._lock:
            self.notebook.adopt([turn]).result()
            kept = replace(turn, reply=replace(turn.reply, request=None))
            self.conversation = self.conversation.with_turn(kept)

    def _notes(self, turn: Turn, ask: Ask, policy: Policy) -> list[str]:
        news, self._news = self._news, []
        if ask.once:
            return ["not remembered", *policy_notes(turn, policy), *news]
        unseen = self._unseen()
        chat = self.conversation
        notes = [*policy_notes(turn, policy), *news, *([unseen] if unseen else [])]
        return [*notes, *variant_notes(chat, turn)]

    def _unseen(self) -> str:
        """Return a line where the page was loaded anew before the last reply had ended."""
        turn, view = self._last_shown or (None, None)
        numbers = {each.id: number for number, each in enumerate(self.conversation.path(), 1)}
        if turn is None or view is None or view.seen or turn.id not in numbers:
            return ""
        number = numbers[turn.id]
        return f"turn {number} ended while its page was away (%chat show {number})"

    def close(self) -> None:
        """Close connections, stop the local servers and the loop."""
        closing = self.loop.submit(self.client.close())
        with Interrupts() as interrupts:
            closing.wait(interrupts)
        self.routes.close()
        self.loop.close()
        self.notebook.close()
