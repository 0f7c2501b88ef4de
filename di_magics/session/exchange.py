"""The one place that asks for replies: for a turn, a tool round, a repair and a run of a sweep.

Every request for a reply has the same three steps:

    write_down   what it may cost (and the turn, if it is a new one) is on disk before it is sent
    send         the request is sent; events are folded into a reply, which is displayed in frames
                 (throttle.py) and written as a checkpoint every second
    seal         the outcome is written once, whatever happened; done when `send` returns

`log`, which adds a turn to the teacher's log, is called once for a turn or a run, at its end.

`send` runs on the loop; the thread that asks only waits. The caller passes a Recorder, which writes
checkpoints and the outcome to their place: a turn, one request of a turn, or a run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import BadRequest, EndpointError, PolicyError, StoreError, StreamBroken
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import FREE
from di_magics.core.money.prices import Price
from di_magics.core.reply.fold import Finished, ReplyEvent, ReplyFold, Text
from di_magics.core.reply.repetition import RepetitionDetector
from di_magics.core.reply.reply import LOOP, OPTIONS, Reply, Status
from di_magics.core.reply.thinking import ThinkTagParser, separate_lone_thinking
from di_magics.core.request.error_body import mentions_param
from di_magics.core.request.plan import Plan, ledger_entry
from di_magics.core.request.route import Route
from di_magics.endpoints.client import Client, OnRetry
from di_magics.endpoints.endpoint import Endpoint
from di_magics.endpoints.routing import Routing
from di_magics.session.throttle import Throttle
from di_magics.session.view import SafeView, Screen
from di_magics.session.watchers import Watchers
from di_magics.storage.journal import Journal
from di_magics.storage.policy_file import PolicyFiles


class Recorder(Protocol):
    """Writes the outcome of one request; its futures are done when it is on disk."""

    def checkpoint(self, turn_id: str, reply: Reply) -> Future[None]: ...
    def seal(self, turn_id: str, reply: Reply) -> Future[None]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The sealed reply, complete or partial, and the error that ended it, or None."""

    reply: Reply
    error: Exception | None = None


class Exchange:
    """Writes requests down, sends them and seals their replies."""

    def __init__(
        self,
        routing: Routing,
        client: Client,
        journal: Journal,
        policies: PolicyFiles,
        find_price: Callable[[Route], Awaitable[Price | None]],
        watchers: Watchers,
    ) -> None:
        self.under_way = 0
        """How many requests are under way."""
        self._watchers = watchers
        self._routing = routing
        self._client = client
        self._find_price = find_price
        self._journal = journal
        self._policies = policies
        self._without_options: set[str] = set()

    def write_down(
        self, plan: Plan, budget: Budget, *, remembered: bool, is_turn: bool = False
    ) -> Future[None]:
        """Write what a request may cost, and with `is_turn` the turn itself, before it is sent.

        `remembered` is whether the turn belongs to a conversation. The future raises BudgetError if
        the worst case does not fit the budget, or StoreError.
        """
        entry = ledger_entry(plan, time.time(), remembered=remembered)
        return self._journal.begin(plan.turn, entry, budget, is_turn=is_turn)

    async def send(
        self,
        plan: Plan,
        screen: Screen,
        recorder: Recorder,
        on_busy: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Return the outcome of a request that has been written down.

        `on_busy` is called whenever the server is busy or out of reach, before a retry.
        """
        self._count(1)
        try:
            return await self._send(plan, screen, recorder, on_busy)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        before, self.under_way = self.under_way, self.under_way + change
        if not before or not self.under_way:
            self._watchers.notify("requests")

    async def _send(
        self, plan: Plan, screen: Screen, recorder: Recorder, on_busy: Callable[[], None]
    ) -> Outcome:
        """Read the reply, find its status and cost, and seal it."""
        turn = plan.turn
        start = time.monotonic()
        view = SafeView(screen)
        throttle = Throttle(view, lambda reply: recorder.checkpoint(turn.id, plan.with_cost(reply)))
        think_tags = ThinkTagParser()
        begun = plan.prefill
        fold = ReplyFold(begun.text, begun.tokens, begun.reasoning) if begun else ReplyFold()
        first_token: float | None = None
        detector = RepetitionDetector()
        sent = False
        failure: BaseException | None = None
        body = plan.body

        def latest() -> Reply:
            refused = tuple(name for name in plan.body if name not in body)
            return replace(
                fold.snapshot(), request=body, first_token=first_token, refused_fields=refused
            )

        def on_body(smaller: Mapping[str, Any]) -> None:
            nonlocal body
            body = smaller

        def on_retry(refused: EndpointError, seconds: float) -> None:
            on_busy()
            throttle.show_retry(refused, seconds)

        try:
            endpoint = await self._routing.open(plan.route, view.status)
            view.status(f"waiting for {turn.model}")
            sent = True
            async with aclosing(self._receive(endpoint, plan.body, on_retry, on_body)) as batches:
                async for events in batches:
                    fold.add(think_tags.feed(events))
                    if plan.ends_loops:
                        detector.feed("".join(e.text for e in events if isinstance(e, Text)))
                        if detector.is_repeating:
                            fold.add([Finished(LOOP)])
                            break
                    if first_token is None and fold.began:
                        first_token = time.monotonic() - start
                    throttle.update(latest)
        except (Exception, asyncio.CancelledError) as raised:
            failure = raised
        fold.add(think_tags.close())
        status, error = _judge(fold, failure, turn.endpoint)
        throttle.update(latest)
        throttle.close()
        reply = separate_lone_thinking(latest())
        reply = replace(reply, status=status, elapsed=time.monotonic() - start)
        reply = await self._with_cost(plan, reply) if sent else replace(reply, cost=FREE)
        if isinstance(error, EndpointError):
            error.reply = reply
        try:
            await asyncio.shield(asyncio.wrap_future(recorder.seal(turn.id, reply)))
        except asyncio.CancelledError:  # the seal continues
            pass
        except StoreError as lost:
            error = error or lost
        return Outcome(reply, error or view.error)

    async def _receive(
        self,
        endpoint: Endpoint,
        body: Mapping[str, Any],
        on_retry: OnRetry,
        on_body: Callable[[Mapping[str, Any]], None],
    ) -> AsyncGenerator[list[ReplyEvent]]:
        """Yield the events of a reply.

        A server that refuses `stream_options`, which asks for the usage, is asked without it, and
        `on_body` is called with the smaller body.
        """
        smaller = {name: value for name, value in body.items() if name != OPTIONS}
        begun = False
        if endpoint.url not in self._without_options:
            try:
                async with aclosing(self._client.stream(endpoint, body, on_retry)) as batches:
                    async for events in batches:
                        begun = True
                        yield events
                return
            except BadRequest as refused:
                if begun or OPTIONS not in body or not mentions_param(str(refused), OPTIONS):
                    raise
            self._without_options.add(endpoint.url)
        on_body(smaller)
        async with aclosing(self._client.stream(endpoint, smaller, on_retry)) as batches:
            async for events in batches:
                yield events

    async def _with_cost(self, plan: Plan, reply: Reply) -> Reply:
        """Return the reply with its cost; if it needs a price that is not known, it is looked up.

        A reply that was stopped does not wait for that.
        """
        priced = plan.with_cost(reply)
        if priced.cost is None and plan.price is None and reply.status != "stopped":
            try:
                price = await self._find_price(plan.route)
            except asyncio.CancelledError:  # stopped now
                return priced
            priced = replace(plan, price=price).with_cost(reply)
        return priced

    def log(self, plan: Plan, turn: Turn) -> PolicyError | None:
        """Add a turn to the teacher's log, if the policy names one; return what went wrong."""
        try:
            self._policies.log(turn, plan.policy)
        except PolicyError as error:
            return error
        return None


def _judge(
    fold: ReplyFold, failure: BaseException | None, endpoint: str
) -> tuple[Status, Exception | None]:
    """Return a reply's status and its error, by what ended its request."""
    if isinstance(failure, Exception) and not isinstance(failure, EndpointError):
        return "failed", failure  # our own: it is raised after the turn is sealed
    if fold.ended:  # only the end of the connection failed, or was stopped
        return "done", None
    if isinstance(failure, EndpointError):
        return "cut" if fold.began else "failed", failure
    if failure:
        return "stopped", None
    return "cut", StreamBroken(
        f"The reply from {endpoint} ended too early. "
        "The partial reply is kept; run the cell again for a new one."
    )


def seal_unsent(plan: Plan, recorder: Recorder) -> Outcome:
    """Return the outcome of a request that was stopped before it was sent."""
    reply = Reply(request=plan.body, status="stopped", elapsed=0.0, cost=FREE)
    recorder.seal(plan.turn.id, reply)
    return Outcome(reply)
