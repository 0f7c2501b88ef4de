"""The gate: so many at a time, in order, and fewer after the server was busy."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from di_magics.session import limiter as gating
from di_magics.session.limiter import Limiter


class Work:
    """Tasks that hold a gate until they are let go."""

    def __init__(self, gate: Limiter) -> None:
        self.gate = gate
        self.begun: list[int] = []
        self.go: dict[int, asyncio.Event] = {}

    async def one(self, number: int) -> None:
        """Hold the gate."""
        self.go[number] = asyncio.Event()
        async with self.gate:
            self.begun.append(number)
            await self.go[number].wait()

    async def settle(self) -> None:
        """Let everything run as far as it can."""
        for _ in range(20):
            await asyncio.sleep(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test on a loop of its own."""
    asyncio.run(test)


def test_at_most_so_many_requests_run_at_a_time_in_order() -> None:
    """The next one in line follows each that ends."""

    async def test() -> None:
        work = Work(Limiter(2))
        tasks = [asyncio.ensure_future(work.one(i)) for i in range(4)]
        await work.settle()
        assert work.begun == [0, 1]
        work.go[1].set()
        await work.settle()
        assert work.begun == [0, 1, 2]
        for event in work.go.values():
            event.set()
        await asyncio.gather(*tasks)
        assert work.begun == [0, 1, 2, 3]

    run(test())


def test_the_limit_falls_after_a_refusal_and_grows_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals at the same time are one; the limit comes back one by one."""
    gate = Limiter(8)
    gate.on_busy()
    gate.on_busy()
    assert gate.limit == 4
    monkeypatch.setattr(gating, "AT_ONCE_SECONDS", -1)
    for _ in range(9):
        gate.on_busy()
    assert gate.limit == 1
    gate.on_success()
    assert gate.limit == 2
    for _ in range(100):
        gate.on_success()
    assert gate.limit == 8


def test_a_cancelled_request_does_not_block_the_next() -> None:
    """Cancelled in line, or at the very moment of being let through."""

    async def test() -> None:
        work = Work(Limiter(1))
        tasks = [asyncio.ensure_future(work.one(i)) for i in range(4)]
        await work.settle()
        tasks[1].cancel()
        await work.settle()
        work.go[0].set()
        await asyncio.sleep(0)
        tasks[2].cancel()
        await work.settle()
        assert work.begun in ([0, 3], [0, 2, 3])
        work.go[3].set()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with work.gate:
            pass

    run(test())
