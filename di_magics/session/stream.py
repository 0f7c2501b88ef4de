"""A reply as an iterator: its text while it comes, for `for` and `async for`.

The session's `ask` blocks, so it runs on a thread of its own; what it would display comes through a
queue. Leaving the loop, by `break`, an exception or a cancelled task, stops the reply as the Stop
button does, and waits until the turn is sealed.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError, ParamError
from di_magics.core.reply.reply import Reply
from di_magics.session.session import Answer
from di_magics.session.view import View

SLICE_SECONDS = 0.05
WAKE_SECONDS = 0.2
"""How long the loop of a cell that awaits sleeps at most: on ■ ipykernel 7 cancels such a cell
without waking its loop, so that ■ would take effect only when something else happens."""


class _QueueView:
    """Puts the new text of a reply into a queue; `stop` may come before the view is open."""

    seen = True

    def __init__(self) -> None:
        self.texts: queue.Queue[str | None] = queue.Queue()
        self.on_text: Callable[[], object] = lambda: None
        self._length = 0
        self._stop: Callable[[], None] | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def open(self, stop: Callable[[], None]) -> None:
        """Note how the reply is stopped."""
        with self._lock:
            self._stop = stop
        if self._stopped:
            stop()

    def status(self, line: str) -> None:
        """Show no status line."""

    def show(self, reply: Reply) -> None:
        """Pass the new text on."""
        text = reply.clean_text
        if len(text) > self._length:
            self.put(text[self._length :])
            self._length = len(text)

    def put(self, text: str | None) -> None:
        """Pass a text on, None for the end."""
        self.texts.put(text)
        self.on_text()

    def close(self, turn: Turn, notes: list[str]) -> None:
        """Pass the rest on."""
        self.show(turn.reply)

    def stop(self) -> None:
        """Stop the reply, now or as soon as its request begins."""
        with self._lock:
            self._stopped = True
            stop = self._stop
        if stop:
            stop()


class ReplyStream:
    """The text of a reply, piece by piece: iterate over it once, with `for` or `async for`.

    The request is sent when the iteration begins. Leaving the loop stops the reply. `reply` is the
    reply after the loop, complete or partial. The iteration raises what `ask` raises.
    """

    def __init__(self, ask: Callable[[View], Answer]) -> None:
        self.reply: Reply | None = None
        self._ask = ask
        self._view = _QueueView()
        self._error: BaseException | None = None
        self._worker: threading.Thread | None = None

    def __iter__(self) -> Iterator[str]:
        self._start()
        try:
            while (text := self._wait()) is not None:
                yield text
        finally:
            self._finish()
        self._raise_error()

    async def __aiter__(self) -> AsyncIterator[str]:
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()

        def notify() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(arrived.set)

        self._view.on_text = notify
        self._start()
        try:
            while True:
                try:
                    text = self._view.texts.get_nowait()
                except queue.Empty:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(WAKE_SECONDS):
                            await arrived.wait()
                    arrived.clear()
                    continue
                if text is None:
                    break
                yield text
        finally:
            self._view.stop()  # at once; joining the thread needs a free one
            await asyncio.shield(asyncio.to_thread(self._finish))
        self._raise_error()

    def _start(self) -> None:
        if self._worker:
            raise ChatError("A stream can be read once. Ask again for another one.")
        self._worker = threading.Thread(target=self._work, name="di_magics-stream", daemon=True)
        self._worker.start()

    def _work(self) -> None:
        try:
            answer = self._ask(self._view)
            self.reply, self._error = answer.turn.reply, answer.error
        except BaseException as error:  # it is raised where the stream is read
            self._error = error
        finally:
            self._view.put(None)

    def _wait(self) -> str | None:
        """Return the next text, None at the end; an interrupt is raised within 50 ms."""
        while True:
            try:
                return self._view.texts.get(timeout=SLICE_SECONDS)
            except queue.Empty:
                continue

    def _finish(self) -> None:
        """Stop the reply if it has not ended, and wait until it is sealed."""
        if self._worker:
            self._view.stop()
            self._worker.join()

    def _raise_error(self) -> None:
        if isinstance(self._error, ParamError):  # as from a function with `check_arguments`
            raise self._error.with_traceback(None)
        if self._error:
            raise self._error
