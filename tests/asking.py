"""Ask an endpoint by way of the client, without a session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from grow import snapshot
from loopback import Loopback

from di_magics.core.errors import EndpointError
from di_magics.core.reply.fold import ReplyFold
from di_magics.core.reply.reply import Reply
from di_magics.core.request.body import build_body
from di_magics.endpoints.client import Client
from di_magics.endpoints.endpoint import Endpoint

BODY = build_body("test/model", [{"role": "user", "content": "Größe? 😀"}], {"temperature": 0})
T = TypeVar("T")


@dataclass
class Asked:
    """The outcome of a request: the reply so far, the error, and the pauses before new tries."""

    reply: Reply = field(default_factory=Reply)
    error: EndpointError | None = None
    pauses: list[float] = field(default_factory=list)


async def ask(client: Client, endpoint: Endpoint, body: Any = BODY) -> Asked:
    """Ask and fold what comes."""
    asked, fold = Asked(), ReplyFold()
    try:
        async for events in client.stream(endpoint, body, lambda _, s: asked.pauses.append(s)):
            fold.add(events)
            asked.reply = snapshot(fold)
    except EndpointError as error:
        asked.error = error
    return asked


def run(work: Callable[[Client], Awaitable[T]]) -> T:
    """Do this with a client, on a loop of its own."""

    async def go() -> T:
        client = Client()
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(go())


def once(endpoint: Loopback | Endpoint, body: Any = BODY) -> Asked:
    """Ask once."""
    there = Endpoint(endpoint.url) if isinstance(endpoint, Loopback) else endpoint
    return run(lambda client: ask(client, there, body))
