"""Caps concurrent requests, and lowers the cap while the server is busy."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from types import TracebackType
from typing import Self

AT_ONCE_SECONDS = 1.0
"""Refusals within this time count as one."""


class Limiter:
    """A cap on concurrent requests, first in, first out; used on one event loop.

    Additive increase, multiplicative decrease (RFC 5681): the cap is halved after a refusal, and
    grows by one after as many successes as the cap.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._slowed = 0.0

    @property
    def limit(self) -> int:
        """How many requests may run now."""
        return int(self._limit)

    def on_busy(self) -> None:
        """Note that the server was busy."""
        if time.monotonic() - self._slowed > AT_ONCE_SECONDS:
            self._slowed = time.monotonic()
            self._limit = max(1.0, self._limit / 2)

    def on_success(self) -> None:
        """Note that a reply was complete."""
        self._limit = min(float(self._most), self._limit + 1 / self._limit)

    async def __aenter__(self) -> Self:
        if self._waiting or self._under_way >= self.limit:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # admitted while it was cancelled
                    self._under_way -= 1
                    self._let_through()
                raise
        else:
            self._under_way += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._under_way -= 1
        self._let_through()

    def _let_through(self) -> None:
        while self._waiting and self._under_way < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)
