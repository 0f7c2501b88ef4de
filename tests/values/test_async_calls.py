"""The loop of the user's async functions."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from di_magics.core.errors import ToolError
from di_magics.runtime.interrupts import Interrupts
from di_magics.values import async_calls


def test_a_loop_that_cannot_run_within_itself_is_refused_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the library, and on a loop of another kind, the error says what to do."""

    async def refused(said: str) -> None:
        with pytest.raises(ToolError, match=said):
            async_calls.check_loop()

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "nest_asyncio2", None)
        patch.setattr(sys, "version_info", (3, 14))
        asyncio.run(refused("nest-asyncio2"))
    monkeypatch.setattr(asyncio, "get_running_loop", object)
    asyncio.run(refused("cannot be nested"))


def test_nest_asyncio_is_the_fallback_of_nest_asyncio2(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """nest_asyncio is installed with the package."""
    monkeypatch.setitem(sys.modules, "nest_asyncio2", None)
    monkeypatch.setattr(sys, "version_info", (3, 13))
    assert async_calls._nest_asyncio().__name__ == "nest_asyncio"


@pytest.mark.parametrize("nested", [False, True])
def test_each_thread_has_a_loop_of_its_own(nested: bool) -> None:
    """Async functions run in several threads at once, whether the thread has a loop or not."""
    meeting = threading.Barrier(4, timeout=30)
    results: list[object] = []

    async def meet() -> str:
        await asyncio.sleep(0)
        meeting.wait()  # so that all run at the same time
        await asyncio.sleep(0)
        return "met"

    def run() -> None:
        try:
            with Interrupts() as interrupts:
                results.append(async_calls.run_on_loop(meet(), interrupts))
        except BaseException as error:
            results.append(error)

    async def within_a_loop() -> None:
        run()

    def in_thread() -> None:
        asyncio.run(within_a_loop()) if nested else run()

    threads = [threading.Thread(target=in_thread) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == ["met"] * 4
