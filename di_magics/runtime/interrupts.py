"""Interrupts (■, Ctrl-C) and the Stop button while a turn is under way.

Threads. IPython runs the cell on the main thread, which only waits for the loop thread, or runs
the user's tool functions. Request, fold and seal run on the loop thread. Python delivers SIGINT
to the main thread, and raises KeyboardInterrupt there, at any line.

Noted, not raised. Raised between the end of a reply and its seal, the exception would lose the
turn. So inside `with Interrupts()` our handler only sets `interrupted`; the waiting thread checks
it 20 times a second (Job.wait), cancels the request, and waits until the turn is sealed. Only then
the session raises Interrupted. Pressing ■ again has no effect, nor in the second after the turn,
where it would replace the one line of Interrupted by a traceback. ipykernel sets a handler of its
own for the next cell.

The user's own code does not check it: a tool function may sleep for a minute. Inside
`raise_in_user_code` an interrupt raises KeyboardInterrupt as it does in any cell. The
first interrupt of an async function cancels it (`call_first`), so that it can clean up; the second
raises the exception.

Stop. Its click arrives on another thread, and means "end this turn", not "end Run All": it sets
`stop_requested`. Where the user's code runs, only a signal can end it, so Stop sends one to the
main thread and marks it as ours (`_signal_is_ours`), so that it does not count as an interrupt. It
is sent again until the handler has run: a signal that arrives just before a blocking system call
does not end that call.
"""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SLICE_SECONDS = 0.05
AGAIN_SECONDS = 1.0
"""How long after an interrupted turn another interrupt counts as the same one."""


class Interrupts:
    """Inside it, an interrupt is noted and not raised.

    Only the main thread can be interrupted; on another thread this has no effect.
    """

    def __init__(self) -> None:
        self.interrupted = self.stop_requested = False
        self._before: Callable[[int, FrameType | None], Any] | int | None = None
        self._raising = False
        self._first: Callable[[], object] | None = None
        self._signal_is_ours = False
        self._sending = threading.Lock()

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
        before = self._before
        if before is None:
            return
        if not self.interrupted or not callable(before):
            signal.signal(signal.SIGINT, before)
            return
        until = time.monotonic() + AGAIN_SECONDS

        def on_late_signal(number: int, frame: FrameType | None) -> None:
            if time.monotonic() > until:
                before(number, frame)

        signal.signal(signal.SIGINT, on_late_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._signal_is_ours:
            self.note_interrupt()
        self._signal_is_ours = False
        first, self._first = self._first, None
        if first:
            first()
        elif self._raising:
            raise KeyboardInterrupt

    @contextmanager
    def raise_in_user_code(self) -> Iterator[None]:
        """Within it an interrupt raises KeyboardInterrupt: the user's own code runs there."""
        before, self._raising = self._raising, True
        try:
            yield
        finally:
            self._raising = before
            with self._sending:  # a signal on its way arrives now, and is still ours
                self._signal_is_ours = False

    @contextmanager
    def call_first(self, first: Callable[[], object]) -> Iterator[None]:
        """Within it the first interrupt calls `first`, the second raises KeyboardInterrupt."""
        with self.raise_in_user_code():
            self._first = first
            try:
                yield
            finally:
                self._first = None

    @property
    def stopping(self) -> bool:
        """Whether the turn must end: ■ or Stop was pressed."""
        return self.interrupted or self.stop_requested

    def note_interrupt(self) -> None:
        """Note an interrupt, unless it came with Stop: a page sends one if Stop is not answered."""
        self.interrupted = self.interrupted or not self.stop_requested

    def stop(self) -> None:
        """Note that Stop was pressed, and interrupt the user's code if it is running."""
        self.stop_requested = True
        if self._raising and self._before is not None and not self._signal_is_ours:
            self._signal_is_ours = True
            threading.Thread(target=self._resend_signal, name="di_magics-stop", daemon=True).start()

    def _resend_signal(self) -> None:
        """Send SIGINT until the handler has run."""
        while True:
            with self._sending:
                if not (self._signal_is_ours and self._raising):
                    return
                if hasattr(signal, "pthread_kill"):
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                else:
                    _thread.interrupt_main()
            time.sleep(SLICE_SECONDS)
