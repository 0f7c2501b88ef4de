"""The one background event loop: requests run on it, so that the main thread only waits."""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")

SLICE_SECONDS = 0.05
FRAME_SECONDS = 0.05
"""A view is updated at most 20 times a second: more only costs the browser."""


class Interrupts:
    """Within it, pressing the stop square is noted instead of raised, however often.

    An exception out of nowhere could lose the turn that is being sealed. Only the main thread is
    ever interrupted; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.interrupted = self.stop_requested = False
        self._before: Any = None
        self._raising = False
        self._first: Callable[[], object] | None = None
        self._signal_is_ours = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = self.interrupted or not self._signal_is_ours
        self._signal_is_ours = False
        first, self._first = self._first, None
        if first:
            first()
        elif self._raising:
            raise KeyboardInterrupt

    @contextmanager
    def raise_in_user_code(self) -> Iterator[None]:
        """Within it an interrupt raises KeyboardInterrupt: the reader's own code runs there."""
        before, self._raising = self._raising, True
        try:
            yield
        finally:
            self._raising = before
            self._signal_is_ours = False

    @contextmanager
    def call_first(self, first: Callable[[], object]) -> Iterator[None]:
        """Within it a first interrupt calls this, and another one raises KeyboardInterrupt."""
        with self.raise_in_user_code():
            self._first = first
            try:
                yield
            finally:
                self._first = None

    @property
    def stopping(self) -> bool:
        """Whether there is to be no more: ■ was pressed, or Stop."""
        return self.interrupted or self.stop_requested

    def note_interrupt(self) -> None:
        """Note an interrupt that the reader's code took in by itself."""
        self.interrupted = self.interrupted or not self.stop_requested

    def stop(self) -> None:
        """Note that Stop was pressed, and interrupt the reader's code if it runs just now."""
        self.stop_requested = True
        if self._raising and self._before is not None:
            self._signal_is_ours = True
            threading.Thread(target=self._resend_signal, name="di_magics-stop", daemon=True).start()

    def _resend_signal(self) -> None:
        """Interrupt until that is noticed: a signal just before a system call does not end it."""
        while self._signal_is_ours and self._raising:
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            else:
                _thread.interrupt_main()
            time.sleep(SLICE_SECONDS)


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
    """An event loop in a daemon thread, begun when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def submit(self, work: Coroutine[Any, Any, T]) -> Job[T]:
        """Run the coroutine on the loop and return it as a job."""
        return Job(self._ensure_running(), work)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call this so many seconds from now, on a thread where nothing else waits for it."""
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
        """Stop the loop and its thread; a later submit begins anew."""
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
