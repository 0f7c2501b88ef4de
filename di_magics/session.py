"""The one place where a turn happens: settings -> request -> reply -> conversation.

A turn is in the conversation before it is sent and is sealed once, whatever happens; what it needs
of the outside (routes, client, notebook, view) is handed in.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any

from di_magics.core import export, wire
from di_magics.core.chat import Cell, Conversation, Turn, messages
from di_magics.core.cost import Tally
from di_magics.core.errors import (
    EndpointError,
    Interrupted,
    ParamError,
    StoreError,
    StreamBroken,
)
from di_magics.core.params import Value, check_local, validate
from di_magics.core.reply import Reply, Status
from di_magics.core.settings import Settings
from di_magics.frames import Frames
from di_magics.loop import Interrupts, Loop
from di_magics.ports import Client, Notebook, Route, Routes, Sealed, View


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
    last: int | None = None
    instead: Turn | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A turn that is ready to be sent, its route, and the body that will go out."""

    turn: Turn
    route: Route
    body: Mapping[str, Any]


class Session:
    """Settings and conversation of one notebook, and the means to ask."""

    def __init__(
        self, routes: Routes, client: Client, loop: Loop, notebook: Notebook | None = None
    ) -> None:
        self.routes = routes
        self.settings = Settings()
        self.spent = Tally()
        self._client = client
        self._loop = loop
        self._notebook = notebook
        self._conversation: Conversation | None = None
        self._resumed = ""
        self._lock = threading.RLock()

    @property
    def conversation(self) -> Conversation:
        """The notebook's conversation, as it was left if it is kept; setting it keeps it."""
        with self._lock:
            if self._conversation is None:
                chat = Conversation()
                if self._notebook:
                    chat, self._resumed = self._notebook.resume()
                self._conversation = chat
            return self._conversation

    @conversation.setter
    def conversation(self, chat: Conversation) -> None:
        with self._lock:
            self._conversation = chat
            if self._notebook:
                self._notebook.keep(chat)

    def forget(self, name: str | None) -> int:
        """Delete a conversation's turns for good, or with None those of all notebooks.

        Returns how many there were. Costs are kept.
        """
        chat = self.conversation
        if name is None:
            count = len(chat.turns)
            if self._notebook:
                count = self._notebook.forget(None)
            self.conversation = Conversation()
            return count
        gone = [turn.id for turn in chat.turns.values() if turn.conversation == name]
        self.conversation = chat.without(set(gone), name)
        if self._notebook:
            self._notebook.forget(gone)
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
            notebook=self._notebook.id if self._notebook else "",
            system=ask.system or self.settings.system,
            model=route.model,
            endpoint=route.name,
            url=route.url,
            local=route.local,
            stream=ask.stream,
            last=ask.last,
            params=params,
        )
        return Planned(turn, route, self.request(turn))

    def request(self, turn: Turn) -> dict[str, Any]:
        """Return the body of the request for a turn, derived from the path it stands on."""
        path = self.conversation.path(turn.parent) if turn.parent else ()
        if turn.last is not None:
            path = path[len(path) - min(turn.last, len(path)) :]
        return wire.body(
            turn.model,
            messages(path, turn.prompt, turn.system),
            turn.params,
            stream=turn.stream,
            local=turn.local,
        )

    def preview(self, ask: Ask) -> str:
        """Return the body that an ask would send, as JSON."""
        return export.as_json(self.plan(ask).body)

    def ask(self, ask: Ask, view: View, sealed: Sealed = lambda turn: None) -> Turn:
        """Return the turn once it is sealed and shown; blocks, and can be interrupted.

        `sealed` gets the turn whatever became of it. Raises EndpointError where the reply failed
        or broke off and Interrupted where the reader pressed the stop square; what had come is in
        the conversation either way.
        """
        planned = self.plan(ask)
        turn = planned.turn
        keeper = None if ask.once else self._notebook
        with Interrupts() as interrupts:
            if not ask.once:
                turn = self._begin(turn, ask.new)
            job = self._loop.submit(self._run(replace(planned, turn=turn), view, keeper))
            view.open(job.cancel)
            job.wait(interrupts)
            try:
                reply, error = job.result()
            except concurrent.futures.CancelledError:  # before it had begun
                reply, error = Reply(request=planned.body, status="stopped", elapsed=0.0), None
                if keeper:
                    keeper.seal(turn.id, reply)
            turn = replace(turn, reply=reply)
            with self._lock:
                self.spent = self.spent.plus(reply)
                if not ask.once:
                    # The body can be derived again, and would hold the whole path at every turn.
                    kept = replace(turn, reply=replace(reply, request=None))
                    self.conversation = self.conversation.sealed(kept)
            sealed(turn)
            view.close(turn, ["not remembered"] if ask.once else self._notes(turn))
        if isinstance(error, StreamBroken):
            error.reply = reply
        if error:
            raise error
        if interrupts.pressed:
            raise Interrupted("stopped; what had come is kept. Run the cell again for a new reply.")
        return turn

    def _begin(self, turn: Turn, fresh: bool) -> Turn:
        with self._lock:
            if fresh and self.conversation.shown_by(turn.cell) is None:
                self.conversation = self.conversation.started()
                turn = replace(turn, conversation=self.conversation.name)
            self.conversation = self.conversation.with_turn(turn)
        return turn

    def _notes(self, turn: Turn) -> list[str]:
        notes = [self._resumed] if self._resumed else []
        self._resumed = ""
        variants = self.conversation.variants(turn)
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

    async def _run(
        self, planned: Planned, view: View, keeper: Notebook | None
    ) -> tuple[Reply, Exception | None]:
        """Return the reply as far as it came, and what went wrong, if anything did.

        The turn is on disk before it is sent, and its outcome when this returns.
        """
        turn = planned.turn
        frames = Frames(view, partial(keeper.checkpoint, turn.id) if keeper else None)
        error: Exception | None = None
        start = time.monotonic()
        reply = Reply(request=planned.body)
        try:
            if keeper:
                await asyncio.wrap_future(keeper.begin(turn))
            endpoint = await self.routes.open(planned.route, view.status)
            view.status(f"waiting for {planned.turn.model}")
            stream = self._client.stream(endpoint, planned.body, frames.waiting)
            async with aclosing(stream) as batches:
                async for events in batches:
                    reply = reply.grow(events)
                    if reply.first_token is None and (reply.text or reply.reasoning):
                        reply = replace(reply, first_token=time.monotonic() - start)
                    frames.draw(reply)
            status: Status = "done" if reply.ended else "cut"
            if status == "cut":
                error = StreamBroken(
                    f"The reply ended without {planned.turn.endpoint} saying that it is whole. "
                    "What had come is kept; run the cell again for a new reply."
                )
        except asyncio.CancelledError:
            status = "done" if reply.ended else "stopped"
        except EndpointError as refused:
            if reply.ended:  # what broke off after that was only the farewell
                status = "done"
            else:
                error = refused
                status = "cut" if isinstance(refused, StreamBroken) and reply.text else "failed"
        except Exception as fault:  # ours: the turn is sealed all the same, then it is raised
            error, status = fault, "failed"
        frames.close()
        if planned.route.local:
            reply = replace(reply, cost=Decimal(0))
        reply = replace(reply, status=status, elapsed=time.monotonic() - start)
        if keeper:
            try:
                await asyncio.shield(asyncio.wrap_future(keeper.seal(turn.id, reply)))
            except (StoreError, asyncio.CancelledError) as lost:
                error = error or (lost if isinstance(lost, StoreError) else None)
        return reply, error

    def close(self) -> None:
        """Close connections, stop the local servers and the loop."""
        closing = self._loop.submit(self._client.close())
        with Interrupts() as interrupts:
            closing.wait(interrupts)
        self.routes.close()
        self._loop.close()
        if self._notebook:
            self._notebook.close()
