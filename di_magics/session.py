"""The one place where a turn happens: settings -> request -> reply -> conversation.

A turn is in the conversation before it is sent and is sealed once, whatever happens; what it needs
of the outside (routes, client, notebook, view) is handed in.
"""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from di_magics.core import export
from di_magics.core.amount import usd
from di_magics.core.chat import Conversation, Turn
from di_magics.core.context import advice
from di_magics.core.cost import Entry
from di_magics.core.errors import BadRequest, EndpointError, Interrupted, StreamBroken, TooLong
from di_magics.core.plan import Ask, Planned, Route, along, entry, limit, planned, request
from di_magics.core.prices import Model
from di_magics.core.reply import Reply
from di_magics.core.settings import Settings
from di_magics.exchange import exchange
from di_magics.loop import Interrupts, Job, Loop
from di_magics.ports import Catalog, Client, Notebook, Policies, Routes, Sealed, View

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
        self._resumed = ""
        self._last_shown: tuple[Turn, View] | None = None
        self._lock = threading.RLock()
        self.refused: dict[tuple[str, str], dict[str, str]] = {}
        self._asking: dict[str, Job[EndpointError | None]] = {}
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """Call this with what has changed, after it has, on whichever thread changed it."""
        self._watchers.append(watcher)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call this on a thread that is not the reader's, so many seconds from now."""
        self.loop.later(seconds, call)

    def changed(self, what: Changed) -> None:
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
            self.changed("settings")

    def change(self, change: Callable[[Settings], Settings]) -> None:
        """Replace the settings by what this makes of them; nobody else can come in between."""
        with self._lock:
            self.settings = change(self.settings)

    @property
    def conversation(self) -> Conversation:
        """The notebook's conversation, as it was left; setting it keeps it."""
        with self._lock:
            if self._conversation is None:
                self._conversation, self._resumed = self.notebook.resume()
            return self._conversation

    @conversation.setter
    def conversation(self, chat: Conversation) -> None:
        with self._lock:
            self._conversation = chat
            self.notebook.keep(chat)
        self.changed("turns")

    def entries(self, *, everywhere: bool = False, since: float = 0.0) -> list[Entry]:
        """Return what this notebook's requests have cost, or those of all notebooks."""
        assert self.conversation is not None  # once it is there, so is the notebook's id
        return self.notebook.entries(everywhere=everywhere, since=since)

    def notebook_names(self) -> dict[str, str]:
        """Return the names of all notebooks' files by id, as far as they are known."""
        return self.notebook.names()

    def is_own_file(self, path: Path) -> bool:
        """Return whether a path is this notebook's own file."""
        assert self.conversation is not None
        return self.notebook.is_at(path)

    def forget(self, name: str | None) -> int:
        """Delete a conversation's turns for good, or with None those of all notebooks.

        Returns how many there were. Costs are kept.
        """
        chat = self.conversation
        if name is None:
            self.conversation = Conversation()
            return self.notebook.forget(None, None)
        gone = [turn.id for turn in chat.turns.values() if turn.conversation == name]
        self.conversation = chat.without(set(gone), name)
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

    def models(self) -> list[Model]:
        """Return the models of the endpoint in force, asked for if that was not done today.

        Raises EndpointError where it cannot be asked and nothing is known.
        """
        job = self.ask_for_models(again=not self.known_models())
        if job:
            with Interrupts() as interrupts:
                job.wait(interrupts)
            error = job.result()
            if error and not self.known_models():
                raise error
        return self.known_models()

    def known_models(self) -> list[Model]:
        """Return the models of the endpoint in force that the policy allows, [] for llama.cpp."""
        endpoint, policy = self._listing(), self.policies.current()
        found = self.catalog.models(endpoint.url) if endpoint else []
        return [model for model in found if policy.allows(model.id)]

    def ask_for_models(
        self, endpoint: Any = None, *, again: bool = False
    ) -> Job[EndpointError | None] | None:
        """Ask an endpoint, the one in force unless named, for its models, in the background.

        Once a day, unless `again`.
        """
        endpoint = endpoint or self._listing()
        if endpoint is None or (self.catalog.fresh(endpoint.url) and not again):
            return None
        with self._lock:
            if endpoint.url not in self._asking:
                self._asking[endpoint.url] = self.loop.submit(self._listed(endpoint))
            return self._asking[endpoint.url]

    def with_price(self, ask: Ask, plan: Planned, interrupts: Interrupts) -> Planned:
        """Return the plan with the model's price looked up, where a budget needs it."""
        limited = ask.budget is not None or self.budget is not None
        if plan.price is None and limited and not plan.route.local:
            if job := self.ask_for_models(plan.route.endpoint):
                job.wait(interrupts)
            return self.plan(ask)
        return plan

    def _listing(self) -> Any:
        policy, settings = self.policies.current(), self.settings
        model = settings.model or policy.model
        return self.routes.listing(settings.endpoint, model, policy, self.policies.key())

    async def _listed(self, endpoint: Any) -> EndpointError | None:
        try:
            await self.catalog.refresh(endpoint)
        except EndpointError as error:
            self.catalog.give_up(endpoint.url)
            return error
        finally:
            with self._lock:
                self._asking.pop(endpoint.url, None)
        self.changed("settings")
        return None

    def plan(self, ask: Ask, said: list[dict[str, Any]] | None = None) -> Planned:
        """Return the turn for this ask, placed and validated, and the request it will send.

        `said` are its messages where another plan has derived the same. Raises ParamError,
        ChatError, PolicyError or Refused; nothing is sent and nothing remembered.
        """
        route = self.route(ask)
        chat = self.conversation  # once it is there, so is the notebook's id
        return planned(
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
        """What this notebook may spend in USD: its own budget or the environment's, no policy's.

        Raises ParamError for an environment's that is no amount.
        """
        assert self.conversation is not None  # once it is there, so is the notebook's id
        own, common = self.notebook.budget, os.environ.get("DI_MAGICS_BUDGET", "").strip()
        if own is None and common:
            own = usd(common, "DI_MAGICS_BUDGET")
        policy = self.policies.current().budget
        return min((each for each in (own, policy) if each is not None), default=None)

    @budget.setter
    def budget(self, limit: Decimal | None) -> None:
        assert self.conversation is not None
        self.notebook.budget = limit
        self.changed("turns")

    def request(self, turn: Turn) -> dict[str, Any]:
        """Return the body of the request for a turn."""
        return request(turn, self.conversation)

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
            begun = self._begun(self.with_price(ask, self.plan(ask), interrupts), ask)
            turn = begun.turn
            job = self.loop.submit(exchange(begun, self.routes, self.client, view, self.notebook))
            view.open(job.cancel)
            job.wait(interrupts)
            try:
                reply, error = job.result()
            except concurrent.futures.CancelledError:  # before it had begun
                reply, error = Reply(request=begun.body, status="stopped", elapsed=0.0), None
                self.notebook.seal(turn.id, reply)
            turn = replace(turn, reply=reply)
            with self._lock:
                if not ask.once:
                    # The body can be derived again, and would hold the whole path at every turn.
                    kept = replace(turn, reply=replace(reply, request=None))
                    self.conversation = self.conversation.sealed(kept)
            sealed(turn)
            view.close(turn, self._notes(turn, ask))
            self._last_shown = None if ask.once else (turn, view)
            self.changed("turns")
        self.policies.log(turn)
        if reply.cost is None and reply.status != "failed":
            self.ask_for_models(begun.route.endpoint)  # the next one can be estimated
        if isinstance(error, StreamBroken):
            error.reply = reply
        if isinstance(error, BadRequest):
            said = {name: str(error) for name in turn.params if name in str(error)}
            self.refused.setdefault((turn.url, turn.model), {}).update(said)
        if isinstance(error, TooLong):
            error = self._advised(error, turn)
        if error:
            raise error
        if interrupts.pressed:
            raise Interrupted("stopped; what had come is kept. Run the cell again for a new reply.")
        return turn

    def _begun(self, plan: Planned, ask: Ask) -> Planned:
        """Write the turn, and what it may cost, before it is sent; it is the head from now on."""
        self.policies.check_log()
        turn = plan.turn
        with self._lock:
            if ask.new and not ask.once and self.conversation.shown_by(turn.cell) is None:
                self.conversation = self.conversation.started()
                turn = replace(turn, conversation=self.conversation.name)
            most = limit(plan, ask, self.budget)
            kept = not ask.once
            line = entry(replace(plan, turn=turn), time.time(), kept=kept)
            self.notebook.begin(turn, line, most, kept=kept).result()
            if not ask.once:
                self.conversation = self.conversation.with_turn(turn, aside=bool(ask.conversation))
        return replace(plan, turn=turn)

    def join(self, other: Conversation, name: str) -> None:
        """Go on with another conversation, under this name or one like it."""
        with self._lock:
            before = self.conversation
            ids = {turn: uuid.uuid4().hex for turn in other.turns}
            chat = before.joined(other, name, ids)
            new = [turn for turn in chat.turns.values() if turn.id not in before.turns]
            self.notebook.adopt(new).result()
            self.conversation = chat

    def adopt(self, turn: Turn) -> None:
        """Make a turn whose reply is there already the head of its conversation."""
        with self._lock:
            self.notebook.adopt([turn]).result()
            kept = replace(turn, reply=replace(turn.reply, request=None))
            self.conversation = self.conversation.with_turn(kept)

    def _advised(self, error: TooLong, turn: Turn) -> TooLong:
        """Return the error with the turns that can be left out as its next step."""
        step = advice(error, along(turn, self.conversation), turn.prompt)
        return TooLong(f"{error.said} {step}", status=error.status, request_id=error.request_id)

    def _notes(self, turn: Turn, ask: Ask) -> list[str]:
        policy = self.policies.current()
        notes = [f"system prompt of {policy.system_source}" if turn.taught else ""]
        notes += [f"kept for your teacher in {policy.log}" if policy.log else ""]
        if ask.once:
            return ["not remembered", *filter(None, notes)]
        notes += [self._resumed, self._unseen()]
        self._resumed = ""
        variants = self.conversation.variants(turn)
        notes = [note for note in notes if note]
        if len(variants) < 2:
            return notes
        number = [variant.id for variant in variants].index(turn.id) + 1
        notes.append(f"variant {number} of {len(variants)}")
        followed = [
            (other, after)
            for other, variant in enumerate(variants, 1)
            if other != number and (after := self.conversation.after(variant))
        ]
        if followed:
            other, after = followed[-1]
            turns = f"{after} later turn{'s' * (after != 1)}"
            notes.append(f"{turns} after variant {other} (%chat variant {other} goes back)")
        return notes

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
