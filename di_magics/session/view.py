"""The interface of views, which display replies; the views themselves are in `display`.

"The caller's thread" is the one that asks: the main thread, or that of a stream or of a lab.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.reply import Reply
from di_magics.core.sweep.result import SweepResult
from di_magics.core.sweep.runs import Run


class Screen(Protocol):
    """Displays a growing reply and a status line.

    Both are called on the loop's thread; while tools run, `show` is called on the caller's, and
    while a local server starts, `status` is called on a worker thread.
    """

    def status(self, line: str) -> None: ...
    def show(self, reply: Reply) -> None: ...


class View(Screen, Protocol):
    """Displays the reply of one turn; `open` and `close` are called on the caller's thread.

    `seen` is False only if a page was connected and did not confirm the end of the reply.
    """

    @property
    def seen(self) -> bool: ...
    def open(self, stop: Callable[[], None]) -> None: ...
    def close(self, turn: Turn, notes: list[str]) -> None: ...


class SweepView(Protocol):
    """Displays the runs of a sweep.

    `open` and `close` are called on the caller's thread, `screen` and `finish` on the loop's.
    """

    def open(self, stop: Callable[[], None], stop_one: Callable[[int], None]) -> None: ...
    def screen(self, run: Run) -> Screen: ...
    def finish(self, run: Run, turn: Turn) -> None: ...
    def close(self, result: SweepResult) -> None: ...


class SafeView:
    """An exception in the view cannot end the request: the first one is kept in `error`.

    After that error nothing more is displayed.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen: Screen | None = screen
        self.error: Exception | None = None

    def status(self, line: str) -> None:
        """Show a status line."""
        self._call(lambda screen: screen.status(line))

    def show(self, reply: Reply) -> None:
        """Show the reply so far."""
        self._call(lambda screen: screen.show(reply))

    def _call(self, show: Callable[[Screen], None]) -> None:
        if self._screen is None:
            return
        try:
            show(self._screen)
        except Exception as error:  # a terminal or a front end may raise anything
            self._screen, self.error = None, error
