"""The one place where a turn happens: settings -> request -> reply -> conversation.

A turn is in the conversation before it is sent and is sealed once, whatever happens; what it needs
of the outside (routes, client, notebook, view) is handed in.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from di_magics.core import export, wire
from di_magics.core.chat import Cell, Conversation, Turn, messages
from di_magics.core.context import advice
from di_magics.core.cost import Entry
from di_magics.core.errors import Interrupted, ParamError, StreamBroken, TooLong
from di_magics.core.params import Value, check_local, validate
from di_magics.core.prices import worst_case
from di_magics.core.reply import UNCOUNTED, Reply
from di_magics.core.settings import Settings
from di_magics.exchange import Planned, exchange
from di_magics.loop import Interrupts, Loop
from di_magics.ports import Client, Notebook, Prices, Routes, Sealed, View


@dataclass(frozen=True, slots=True)
class Ask:
    """What one cell asks: the prompt, where it stands, and what its flags change.

    `instead` is the turn that this one is another try at, whatever cell asks.
    """

    prompt: str
    cell: Cell | None = None
    model: str | None = None
    endpoint: Any = None
    system: str | None = None
    params: Mapping[str, object] = field(default_factory=dict)
    conversation: str | None = None
    new: bool = False
    once: bool = False
    append: bool = False
    stream: bool = True
    last: int | Literal["all"] | None = None
    instead: Turn | None = None


class Session:
    """Settings and conversation of one notebook, and the means to ask."""

    def __init__(
        self, routes: Routes, client: Client, loop: Loop, notebook: Notebook, prices: Prices
    ) -> None:
        self.routes = routes
        self.prices = prices
        self._settings = Settings()
        self._client = client
        self._loop = loop
        self._notebook = notebook
        self._conversation: Conversation | None = None
        self._resumed = ""
        self._last_shown: tuple[Turn, View] | None = None
        self._lock = threading.RLock()
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call this after every change of settings, conversation or costs, on whichever thread."""
        self._watchers.append(watcher)

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher()

    @property
    def settings(self) -> Settings:
        """What is set for the cells to come."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._settings = settings
        self._changed()

    @property
    def conversation(self) -> Conversation:
        """The notebook's conversation, as it was left; setting it keeps it."""
        with self._lock:
            if self._conversation is None:
                self._conversation, self._resumed = self._notebook.resume()
            return self._conversation

    @conversation.setter
    def conversation(self, chat: Conversation) -> None:
        with self._lock:
            self._conversation = chat
            self._notebook.keep(chat)
        self._changed()

    def entries(self, *, everywhere: bool = False, since: float = 0.0) -> list[Entry]:
        """Return what this notebook's requests have cost, or those of all notebooks."""
        assert self.conversation is not None  # once it is there, so is the notebook's id
        return self._notebook.entries(everywhere=everywhere, since=since)

    def forget(self, name: str | None) -> int:
        """Delete a conversation's turns for good, or with None those of all notebooks.

        Returns how many there were. Costs are kept.
        """
        chat = self.conversation
        if name is None:
            self.conversation = Conversation()
            return self._notebook.forget(None, None)
        gone = [turn.id for turn in chat.turns.values() if turn.conversation == name]
        self.conversation = chat.without(set(gone), name)
        self._notebook.forget(gone, name)
        return len(gone)

    def plan(self, ask: Ask) -> Planned:
        """Return the turn for this ask, placed and validated, and the request it will send.

        Raises ParamError, ChatError or Refused; nothing is sent and nothing remembered.
        """
        if not ask.prompt.strip():
            raise ParamError("The prompt is empty. Write it below the %%chat line.")
        params: dict[str, Value] = dict(self.settings.params)
        for name, value in ask.params.items():
            params[name] = validate(name, value)
        model = ask.model or self.settings.model
        route = self.routes.choose(ask.endpoint or self.settings.endpoint, model)
        if route.local:
            for param, setting in params.items():
                check_local(param, setting)
        cell = ask.cell
        name, parent = self.conversation.place(cell, ask.conversation, append=ask.append)
        if ask.instead:
            cell = ask.instead.cell
            name, parent = ask.instead.conversation, ask.instead.parent
        if ask.new or ask.once:
            parent = None
        turn = Turn(
            id=uuid.uuid4().hex,
            prompt=ask.prompt,
            parent=parent,
            cell=cell,
            instead=(ask.instead.instead or ask.instead.id) if ask.instead else None,
            conversation=name,
            notebook=self._notebook.id,
            system=ask.system or self.settings.system,
            model=route.model,
            endpoint=route.name,
            url=route.url,
            local=route.local,
            stream=ask.stream,
            last=self._last(ask),
            params=params,
        )
        body = self.request(turn)
        size = wire.size(body)
        price = None if route.local else self.prices.price(route.url, route.model)
        most = params.get("max_tokens")
        longest = most if isinstance(most, int) else None
        reserve = worst_case(size, longest, price) if price else None
        return Planned(turn, route, body, size, price, reserve)

    def request(self, turn: Turn) -> dict[str, Any]:
        """Return the body of the request for a turn, derived from the path it stands on."""
        return wire.body(
            turn.model,
            messages(self._sent_along(turn).values(), turn.prompt, turn.system),
            turn.params,
            stream=turn.stream,
            local=turn.local,
        )

    def _last(self, ask: Ask) -> int | None:
        if ask.last is None:
            return self.settings.context
        return None if ask.last == "all" else ask.last

    def _sent_along(self, turn: Turn) -> dict[int, Turn]:
        """Return the turns that go along with this one, by their numbers in the history."""
        path = self.conversation.path(turn.parent) if turn.parent else ()
        sent = [(number, each) for number, each in enumerate(path, 1) if not each.reply.empty]
        return dict(sent if turn.last is None else sent[max(0, len(sent) - turn.last) :])

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
            planned = self._begun(self.plan(ask), ask)
            turn = planned.turn
            job = self._loop.submit(
                exchange(planned, self.routes, self._client, view, self._notebook)
            )
            view.open(job.cancel)
            job.wait(interrupts)
            try:
                reply, error = job.result()
            except concurrent.futures.CancelledError:  # before it had begun
                reply, error = Reply(request=planned.body, status="stopped", elapsed=0.0), None
                self._notebook.seal(turn.id, reply)
            turn = replace(turn, reply=reply)
            with self._lock:
                if not ask.once:
                    # The body can be derived again, and would hold the whole path at every turn.
                    kept = replace(turn, reply=replace(reply, request=None))
                    self.conversation = self.conversation.sealed(kept)
            sealed(turn)
            view.close(turn, ["not remembered"] if ask.once else self._notes(turn))
            self._last_shown = None if ask.once else (turn, view)
            self._changed()
        if isinstance(error, StreamBroken):
            error.reply = reply
        if isinstance(error, TooLong):
            error = self._advised(error, turn)
        if error:
            raise error
        if interrupts.pressed:
            raise Interrupted("stopped; what had come is kept. Run the cell again for a new reply.")
        return turn

    def _begun(self, planned: Planned, ask: Ask) -> Planned:
        """Write the turn, and what it may cost, before it is sent; it is the head from now on."""
        turn = planned.turn
        with self._lock:
            if ask.new and not ask.once and self.conversation.shown_by(turn.cell) is None:
                self.conversation = self.conversation.started()
                turn = replace(turn, conversation=self.conversation.name)
            price = planned.price
            entry = Entry(
                turn=turn.id,
                notebook=turn.notebook,
                conversation="" if ask.once else turn.conversation,
                model=turn.model,
                endpoint=turn.endpoint,
                begun=time.time(),
                day="",
                status="open",
                usage=UNCOUNTED,
                cost=worst_case(planned.size, 0, price) if price else None,
                estimate="the prompt alone" if price else "",
                reserve=planned.reserve,
            )
            self._notebook.begin(turn, entry, None, kept=not ask.once).result()
            if not ask.once:
                self.conversation = self.conversation.with_turn(turn)
        return replace(planned, turn=turn)

    def _advised(self, error: TooLong, turn: Turn) -> TooLong:
        """Return the error with the turns that can be left out as its next step."""
        step = advice(error, self._sent_along(turn), turn.prompt)
        return TooLong(f"{error.said} {step}", status=error.status, request_id=error.request_id)

    def _notes(self, turn: Turn) -> list[str]:
        notes = [self._resumed, self._unseen()]
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
        closing = self._loop.submit(self._client.close())
        with Interrupts() as interrupts:
            closing.wait(interrupts)
        self.routes.close()
        self._loop.close()
        self._notebook.close()
