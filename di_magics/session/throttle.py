"""The pace at which a growing reply is shown and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from di_magics.core.errors import EndpointError, Unreachable
from di_magics.core.reply.reply import Reply
from di_magics.session.ports import Screen

FRAME_SECONDS = 0.05
"""A view is shown at most 20 frames a second: more only costs the browser."""
AGAIN_SECONDS = 0.5
CHECKPOINT_SECONDS = 1.0


class SafeView:
    """A view that cannot harm a turn: after its first fault, kept in `fault`, nothing is shown."""

    def __init__(self, view: Screen) -> None:
        self._view: Screen | None = view
        self.fault: Exception | None = None

    def status(self, line: str) -> None:
        """Show a line."""
        self._do(lambda view: view.status(line))

    def show(self, reply: Reply) -> None:
        """Show what has come."""
        self._do(lambda view: view.show(reply))

    def _do(self, show: Callable[[Screen], None]) -> None:
        if self._view is None:
            return
        try:
            show(self._view)
        except Exception as fault:  # whatever a terminal or a front end does
            self._view, self.fault = None, fault


class Throttle:
    """Hands replies to a view at the pace of its frames, and to the disk each second.

    Lives on the loop.
    """

    def __init__(self, view: SafeView, checkpoint: Callable[[Reply], Future[None]]) -> None:
        self._view = view
        self._checkpoint = checkpoint
        self._written: Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._last = -FRAME_SECONDS
        self._due: asyncio.TimerHandle | None = None
        self._countdown: list[asyncio.TimerHandle] = []
        self._latest: Callable[[], Reply] = Reply
        # What a view sent before its front end was ready is lost; it gets to say it again.
        self._again = self._loop.call_later(AGAIN_SECONDS, self._frame)
        self._tick = self._loop.call_later(CHECKPOINT_SECONDS, self._keep)

    def _keep(self) -> None:
        self._tick = self._loop.call_later(CHECKPOINT_SECONDS, self._keep)
        if self._written is None or self._written.done():  # or they would queue up before the seal
            # Unchanged, too: it says that somebody is still at it.
            self._written = self._checkpoint(self._latest())

    def update(self, latest: Callable[[], Reply]) -> None:
        """Show the reply that this returns in the next frame; the first one at once.

        It is called once a frame: a reply is not built for each read of the network.
        """
        self._latest = latest
        if self._due is None:
            wait = self._last + FRAME_SECONDS - self._loop.time()
            if wait <= 0:
                self._frame()
            else:
                self._due = self._loop.call_later(wait, self._frame)

    def _frame(self) -> None:
        if self._due is not None:
            self._due.cancel()  # or it would go on beside the next one, at twice the pace
            self._due = None
        self._last = self._loop.time()
        self._view.show(self._latest())

    def show_retry(self, error: EndpointError, seconds: float) -> None:
        """Count the seconds down until the next try."""
        code = f"{error.status} " if error.status else ""
        kind = "no connection" if isinstance(error, Unreachable) else "busy"
        for left in range(int(seconds) + 1):
            line = f"{code}{kind} · trying again in {seconds - left:.0f} s"
            self._countdown.append(self._loop.call_later(left, self._view.status, line))

    def close(self) -> None:
        """Draw what is due now and nothing after it."""
        for timer in (self._again, self._tick, *self._countdown):
            timer.cancel()
        if self._due is not None:
            self._frame()
