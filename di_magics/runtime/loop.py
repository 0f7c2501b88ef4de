"""The background event loop: requests run on it, the main thread only waits."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

from di_magics.core.errors import Interrupted
from di_magics.runtime.interrupts import SLICE_SECONDS, Interrupts

T = TypeVar("T")

FRAME_SECONDS = 0.115
"""A view is updated at most 9 times a second: more only loads the browser."""

CLOSE_SECONDS = 5.0
JOB = "di_magics-job"


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
        self._task = self._loop.create_task(self._work, name=JOB)
        self._task.add_done_callback(self._settle)

    def _settle(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._outcome.set_exception(concurrent.futures.CancelledError())
        elif error := task.exception():
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(task.result())

    def cancel(self) -> None:
        """Cancel the coroutine, once: a second cancel would interrupt its clean-up."""
        if not self._cancelled:
            self._cancelled = True
            with suppress(RuntimeError):  # the loop is closed: it has cancelled its tasks
                self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())

    def wait(self, interrupts: Interrupts) -> None:
        """Wait until the coroutine has ended; an interrupt cancels it, and the wait continues."""
        while not concurrent.futures.wait([self._outcome], SLICE_SECONDS).done:
            if interrupts.interrupted:
                self.cancel()

    def finish(self, interrupts: Interrupts, stopped: str) -> T:
        """Wait, and return what the coroutine returned.

        Raises Interrupted with the text `stopped` if it was cancelled.
        """
        self.wait(interrupts)
        try:
            return self.result()
        except (concurrent.futures.CancelledError, asyncio.CancelledError):
            raise Interrupted(stopped) from None

    @property
    def outcome(self) -> concurrent.futures.Future[T]:
        """What it returns or raises, once it has ended."""
        return self._outcome

    def result(self) -> T:
        """Return what the coroutine returned, or raise what it raised."""
        return self._outcome.result()


class Loop:
    """An event loop in a daemon thread, started when it is first needed."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def submit(self, work: Coroutine[Any, Any, T]) -> Job[T]:
        """Run the coroutine on the loop and return it as a job."""
        with self._running() as loop:
            return Job(loop, work)

    def run(self, work: Coroutine[Any, Any, T], stopped: str) -> T:
        """Return what the coroutine returns, when it has ended.

        An interrupt cancels it, and raises Interrupted with the text `stopped`.
        """
        with Interrupts() as interrupts:
            return self.submit(work).finish(interrupts, stopped)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call `call` in `seconds`, on a worker thread."""
        with self._running() as loop:
            work = partial(_call_on_worker, loop, call)
            loop.call_soon_threadsafe(lambda: loop.call_later(seconds, work))

    @contextmanager
    def _running(self) -> Iterator[asyncio.AbstractEventLoop]:
        """Yield the running loop; `close` waits until the block ends."""
        if self._pid != os.getpid():  # a fork copies the loop without its thread
            self._forget()
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="di_magics", daemon=True
                )
                self._thread.start()
                atexit.register(self.close)
            yield self._loop

    def close(self) -> None:
        """Cancel the tasks, stop the loop and its thread; a later submit starts new ones."""
        if self._pid != os.getpid():
            return
        with Interrupts():  # an interrupt here would leave it half closed
            with self._lock:
                loop, thread = self._loop, self._thread
                self._loop = self._thread = None
                if loop is None or thread is None:
                    return
                ending = asyncio.run_coroutine_threadsafe(_end_tasks(), loop)
            atexit.unregister(self.close)
            concurrent.futures.wait([ending], 2 * CLOSE_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(CLOSE_SECONDS)
            if not thread.is_alive():
                loop.close()


def _call_on_worker(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the interpreter is ending
        loop.run_in_executor(None, call)


async def _end_tasks() -> None:
    """Cancel the jobs, and end all generators, which hold connections.

    A job ends the tasks that it has started. They are not cancelled at once: a task that is
    cancelled before it ran leaves a coroutine that was never awaited. The jobs come first, because
    a generator cannot be ended while a task runs it. asyncio ends a generator that is collected
    meanwhile in a task of its own, which is waited for, too.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)  # nobody waits for the results any more
    deadline = loop.time() + CLOSE_SECONDS
    cancelled: set[asyncio.Task[Any]] = set()
    while (tasks := asyncio.all_tasks() - {asyncio.current_task()}) and loop.time() < deadline:
        for job in {task for task in tasks if task.get_name() == JOB} - cancelled:
            job.cancel()
            cancelled.add(job)
        await asyncio.wait(tasks, timeout=deadline - loop.time())
    for task in tasks:
        task.cancel()
    await loop.shutdown_asyncgens()
