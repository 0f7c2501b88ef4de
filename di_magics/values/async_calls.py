"""The user's async functions, run on the loop that belongs to the thread that calls them.

In a kernel that loop is already running and waits for this cell. The user's objects that are bound
to it (a session of aiohttp, a lock) work only there, so the loop is nested: it runs within itself.
That needs nest_asyncio, which only this file imports.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from di_magics.core.errors import ToolError
from di_magics.runtime.interrupts import SLICE_SECONDS, Interrupts

T = TypeVar("T")


async def _as_coroutine(work: Awaitable[T]) -> T:
    return await work


def check_loop() -> None:
    """Raise ToolError where async functions cannot run on the kernel's loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    _nest_asyncio()
    if not isinstance(loop, asyncio.BaseEventLoop):
        kind = type(loop).__module__.partition(".")[0]
        raise ToolError(
            f"Async tools cannot run here: the kernel's event loop ({kind}) cannot be nested. "
            "Use functions that are not async."
        )


def _nest_asyncio() -> Any:
    """Return the library that lets a loop run within itself."""
    try:
        import nest_asyncio2 as nesting
    except ImportError:
        if sys.version_info >= (3, 14):  # it breaks asyncio.current_task there
            raise ToolError(
                "Async tools need nest_asyncio2 on this Python: pip install nest-asyncio2. "
                "Functions that are not async work without it."
            ) from None
        import nest_asyncio as nesting
    return nesting


def run_on_loop(work: Awaitable[T], interrupts: Interrupts) -> T:
    """Return the result of an awaitable, run on the loop that belongs to this thread.

    An interrupt cancels it, and a second one raises KeyboardInterrupt in it. Raises CancelledError
    where it was cancelled.
    """
    with _thread_loop() as loop:
        task = loop.create_task(_as_coroutine(work))
        waker = _Waker(loop)
        try:
            with interrupts.call_first(lambda: loop.call_soon_threadsafe(task.cancel)):
                return loop.run_until_complete(task)
        finally:
            waker.end()
            task.cancel()  # after a second interrupt the loop ends it later


@contextmanager
def _thread_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Yield this thread's loop: the running one, IPython's own, or a new one in other threads."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        if threading.current_thread() is threading.main_thread():
            from IPython.core.async_helpers import get_asyncio_loop

            yield get_asyncio_loop()
        else:  # several threads cannot run one loop
            with asyncio.Runner() as runner:
                yield runner.get_loop()
    else:
        _nest_asyncio().apply(loop)
        yield loop


class _Waker:
    """Wakes the loop every 50 ms.

    A signal that arrives just before the loop blocks is handled only when the loop wakes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._again()

    def _again(self) -> None:
        self._next = self._loop.call_later(SLICE_SECONDS, self._again)

    def end(self) -> None:
        """Stop waking the loop."""
        self._next.cancel()
