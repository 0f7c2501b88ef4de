"""One request and its reply, on the loop: sent, folded, shown, priced, and sealed once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import replace

from di_magics.core.errors import EndpointError, StoreError, StreamBroken
from di_magics.core.money.cost import FREE
from di_magics.core.reply.reply import Reply, ReplyFold, Status
from di_magics.core.reply.thinking import ThinkTagParser, separate_lone_thinking
from di_magics.core.request.plan import Plan
from di_magics.session.ports import Client, Keeper, Routes, Screen
from di_magics.session.throttle import SafeView, Throttle


async def exchange(
    planned: Plan,
    routes: Routes,
    client: Client,
    view: Screen,
    keeper: Keeper,
    busy: Callable[[], None] = lambda: None,
) -> tuple[Reply, Exception | None]:
    """Return the reply as far as it came, and what went wrong, if anything did.

    Its outcome is with the keeper each second, and when this returns, whatever the view does.
    `busy` is called whenever the server could not answer and is asked again.
    """
    turn = planned.turn
    start = time.monotonic()
    shown = SafeView(view)
    frames = Throttle(shown, _checkpoint(planned, keeper))
    error: Exception | None = None
    thinking = ThinkTagParser()
    fold = ReplyFold(Reply(request=planned.body))
    first_token: float | None = None
    asked = False

    def latest() -> Reply:
        return replace(fold.snapshot(), first_token=first_token)

    def again(refused: EndpointError, seconds: float) -> None:
        busy()
        frames.show_retry(refused, seconds)

    try:
        endpoint = await routes.open(planned.route, shown.status)
        shown.status(f"waiting for {turn.model}")
        asked = True
        stream = client.stream(endpoint, planned.body, again)
        async with aclosing(stream) as batches:
            async for events in batches:
                fold.add(thinking.feed(events))
                if first_token is None and fold.began:
                    first_token = time.monotonic() - start
                frames.update(latest)
        status: Status = "done" if fold.ended else "cut"
        if status == "cut":
            error = StreamBroken(
                f"The reply ended without {turn.endpoint} saying that it is whole. "
                "What had come is kept; run the cell again for a new reply."
            )
    except asyncio.CancelledError:
        status = "done" if fold.ended else "stopped"
    except EndpointError as refused:
        if fold.ended:  # what broke off after that was only the farewell
            status = "done"
        else:
            error = refused
            status = "cut" if fold.began else "failed"
    except Exception as fault:  # ours: the turn is sealed all the same, then it is raised
        error, status = fault, "failed"
    fold.add(thinking.close())
    frames.update(latest)
    frames.close()
    reply = separate_lone_thinking(latest())
    reply = replace(reply, status=status, elapsed=time.monotonic() - start)
    reply = planned.with_cost(reply) if asked else replace(reply, cost=FREE)
    if isinstance(error, EndpointError):
        error.reply = reply
    try:
        await asyncio.shield(asyncio.wrap_future(keeper.seal(turn.id, reply)))
    except asyncio.CancelledError:  # it is sealed all the same
        pass
    except StoreError as lost:
        error = error or lost
    return reply, error or shown.fault


def _checkpoint(planned: Plan, keeper: Keeper) -> Callable[[Reply], Future[None]]:
    return lambda reply: keeper.checkpoint(planned.turn.id, planned.with_cost(reply))
