"""At most 9 updates of a view a second, and a checkpoint every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from di_magics.core.errors import EndpointError, Unreachable
from di_magics.core.reply.reply import Reply
from di_magics.runtime.loop import FRAME_SECONDS
from di_magics.session.view import SafeView

REPEAT_SECONDS = 0.5
CHECKPOINT_SECONDS = 1.0


class Throttle:
    """Passes a growing reply to its view and to the disk; used on the loop's thread only."""

    def __init__(self, view: SafeView, checkpoint: Callable[[Reply], Future[None]]) -> None:
        self._view = view
        self._checkpoint = checkpoint
        self._written: Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._last_frame = -FRAME_SECONDS
        self._next_frame: asyncio.TimerHandle | None = None
        self._countdown: list[asyncio.TimerHandle] = []
        self._latest: Callable[[], Reply] = Reply
        # Updates before the front end was ready are lost: the reply is displayed once more.
        self._repeat = self._loop.call_later(REPEAT_SECONDS, self._draw)
        self._next_checkpoint = self._loop.call_later(CHECKPOINT_SECONDS, self._write_checkpoint)

    def update(self, latest: Callable[[], Reply]) -> None:
        """Display the reply that `latest` returns in the next frame; the first one at once.

        `latest` is called once per frame, so that not every read of the network builds a reply.
        """
        self._latest = latest
        if self._next_frame is None:
            wait = self._last_frame + FRAME_SECONDS - self._loop.time()
            if wait <= 0:
                self._draw()
            else:
                self._next_frame = self._loop.call_later(wait, self._draw)

    def show_retry(self, error: EndpointError, seconds: float) -> None:
        """Count down the seconds until the next try."""
        code = f"{error.status} " if error.status else ""
        kind = "no connection" if isinstance(error, Unreachable) else "busy"
        for left in range(int(seconds) + 1):
            line = f"{code}{kind} · trying again in {seconds - left:.0f} s"
            self._countdown.append(self._loop.call_later(left, self._view.status, line))

    def close(self) -> None:
        """Display a waiting update, and stop."""
        for timer in (self._repeat, self._next_checkpoint, *self._countdown):
            timer.cancel()
        if self._next_frame is not None:
            self._draw()

    def _draw(self) -> None:
        if self._next_frame is not None:
            self._next_frame.cancel()  # a second timer would double the pace
            self._next_frame = None
        self._last_frame = self._loop.time()
        self._view.show(self._latest())

    def _write_checkpoint(self) -> None:
        self._next_checkpoint = self._loop.call_later(CHECKPOINT_SECONDS, self._write_checkpoint)
        if self._written is None or self._written.done():  # otherwise they would queue up
            # An unchanged reply is written too: it shows that this kernel still works on the turn.
            self._written = self._checkpoint(self._latest())
