"""The background event loop: requests run on it, the main thread only waits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

from di_magics.runtime.interrupts import SLICE_SECONDS, Interrupts

T = TypeVar("T")

FRAME_SECONDS = 0.05
"""A view is updated at most 20 times a second: more only costs the browser."""


class Job(Generic[T]):
    """A coroutine under way on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> None:
        self._loop = loop
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self._cancelled = False
        self._outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        self._task = self._loop.create_task(self._work)
        self._task.add_done_callback(self._settle)

    def _settle(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._outcome.set_exception(concurrent.futures.CancelledError())
        elif error := task.exception():
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(task.result())

    def cancel(self) -> None:
        """Cancel the coroutine, once: a second cancel would break into its cleaning up."""
        if not self._cancelled:
            self._cancelled = True
            self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())

    def wait(self, interrupts: Interrupts) -> None:
        """Wait for the end, in short slices; an interrupt cancels and the wait goes on."""
        while not concurrent.futures.wait([self._outcome], SLICE_SECONDS).done:
            if interrupts.interrupted:
                self.cancel()

    def result(self) -> T:
        """Return what the coroutine returned, or raise what it raised."""
        return self._outcome.result()


class Loop:
    """An event loop in a daemon thread, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def submit(self, work: Coroutine[Any, Any, T]) -> Job[T]:
        """Run the coroutine on the loop and return it as a job."""
        return Job(self._ensure_running(), work)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call `call` in `seconds`, on a worker thread."""
        loop = self._ensure_running()
        work = partial(loop.run_in_executor, None, call)
        loop.call_soon_threadsafe(lambda: loop.call_later(seconds, work))

    def _ensure_running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():  # a fork leaves the thread behind
                self._pid = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="di_magics", daemon=True
                )
                self._thread.start()
            return self._loop

    def close(self) -> None:
        """Stop the loop and its thread; a later submit starts new ones."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or self._pid != os.getpid():
            return
        # Generators that were left halfway hold connections; they end here, not with the process.
        asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        if not thread.is_alive():
            loop.close()
