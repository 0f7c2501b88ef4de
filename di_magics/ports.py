"""What a session needs of the outside; whoever composes it hands them in."""

from __future__ import annotations

import concurrent.futures
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Protocol

from di_magics.core.chat import Conversation, Turn
from di_magics.core.errors import EndpointError
from di_magics.core.reply import Reply, ReplyEvent


class Route(Protocol):
    """Where a request will go."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def local(self) -> bool: ...


class Routes(Protocol):
    """Finds and opens endpoints."""

    key: str | None

    def check(self, named: str) -> None: ...
    def choose(self, named: Any, model: str | None) -> Any: ...
    async def open(self, route: Any, progress: Callable[[str], None]) -> Any: ...
    def address(self, url: str) -> tuple[str, str | None]: ...
    def close(self) -> None: ...


class Client(Protocol):
    """Sends requests."""

    def stream(
        self,
        endpoint: Any,
        body: Mapping[str, Any],
        waiting: Callable[[EndpointError, float], None],
    ) -> AsyncGenerator[list[ReplyEvent]]: ...
    async def close(self) -> None: ...


class Notebook(Protocol):
    """Keeps a notebook's turns; what it returns is done when it is on disk."""

    id: str

    def resume(self) -> tuple[Conversation, str]: ...
    def begin(self, turn: Turn) -> concurrent.futures.Future[None]: ...
    def checkpoint(self, turn: str, reply: Reply) -> concurrent.futures.Future[None]: ...
    def seal(self, turn: str, reply: Reply) -> concurrent.futures.Future[None]: ...
    def keep(self, chat: Conversation) -> concurrent.futures.Future[None]: ...
    def forget(self, turns: list[str] | None) -> int: ...
    def close(self) -> None: ...


Sealed = Callable[[Turn], None]


class View(Protocol):
    """Shows a reply; `open` and `close` on the main thread, the rest on the loop."""

    def open(self, stop: Callable[[], None]) -> None: ...
    def status(self, line: str) -> None: ...
    def show(self, reply: Reply) -> None: ...
    def close(self, turn: Turn, notes: list[str]) -> None: ...
