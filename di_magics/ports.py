"""What a session needs of the outside; whoever composes it hands them in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Future
from decimal import Decimal
from typing import Any, Protocol

from di_magics.core.chat import Conversation, Turn
from di_magics.core.cost import Entry
from di_magics.core.errors import EndpointError
from di_magics.core.prices import Price
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


class Keeper(Protocol):
    """Keeps what becomes of a turn; what it returns is done when it is on disk."""

    def checkpoint(self, turn: str, reply: Reply) -> Future[None]: ...
    def seal(self, turn: str, reply: Reply) -> Future[None]: ...


class Notebook(Keeper, Protocol):
    """Keeps a notebook's turns, heads, and what all of it cost."""

    id: str

    def resume(self) -> tuple[Conversation, str]: ...
    def begin(
        self, turn: Turn, entry: Entry, limit: Decimal | None, *, kept: bool
    ) -> Future[None]: ...
    def keep(self, chat: Conversation) -> Future[None]: ...
    def forget(self, turns: list[str] | None, name: str | None) -> int: ...
    def entries(self, *, everywhere: bool = False, since: float = 0.0) -> list[Entry]: ...
    @property
    def budget(self) -> Decimal | None: ...
    @budget.setter
    def budget(self, limit: Decimal | None) -> None: ...
    def close(self) -> None: ...


class Prices(Protocol):
    """Knows what models cost."""

    def price(self, url: str, model: str) -> Price | None: ...


Sealed = Callable[[Turn], None]


class View(Protocol):
    """Shows a reply; `open` and `close` on the main thread, the rest on the loop.

    `seen` is whether the end of it reached a reader, as far as can be told.
    """

    @property
    def seen(self) -> bool: ...
    def open(self, stop: Callable[[], None]) -> None: ...
    def status(self, line: str) -> None: ...
    def show(self, reply: Reply) -> None: ...
    def close(self, turn: Turn, notes: list[str]) -> None: ...
