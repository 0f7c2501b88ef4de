"""The view of a grid: each run in a column of its own while it streams, or a bar for many."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from IPython.display import display

from di_magics.core.amount import format_usd
from di_magics.core.conversation.conversation import Turn
from di_magics.core.money.cost import FREE
from di_magics.core.reply.reply import Reply
from di_magics.core.shown.receipt import format_receipt
from di_magics.core.sweep.result import SweepResult
from di_magics.core.sweep.runs import Run
from di_magics.display.live import EARLY_CHARACTERS, EARLY_SECONDS
from di_magics.display.views import SilentView
from di_magics.display.widgets import GridWidget
from di_magics.runtime.loop import FRAME_SECONDS

MOST_COLUMNS = 12
SAMPLE = 3
SAMPLE_CHARACTERS = 600
PROGRESS_SECONDS = 0.25


class GridCell(SilentView):
    """One run's view: hands what comes to its grid."""

    def __init__(self, grid: GridView, index: int) -> None:
        self._grid = grid
        self._index = index

    def status(self, line: str) -> None:
        """Show a line below the run's text."""
        self._grid.changed(self._index, None, line)

    def show(self, reply: Reply) -> None:
        """Show what is new of the reply."""
        self._grid.changed(self._index, reply.clean_text, reply.model or "")


class GridView:
    """Streams all runs to one widget, at the pace of one reply; one final output takes its place.

    Numbered like a single reply's view: the widget asks for the whole where a message is missing.
    """

    def __init__(self, runs: tuple[Run, ...], *, final: bool = True) -> None:
        self._runs = runs
        self._columns = len(runs) if len(runs) <= MOST_COLUMNS else 0
        self._final = final
        self._lock = threading.Lock()
        self._texts = [""] * self._columns
        self._lines = ["waiting"] * self._columns
        self._done = [False] * self._columns
        self._sent = [0] * self._columns
        self._news: set[int] = set()
        self._due = False
        self._number = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._widget: Any = None
        self._handle: Any = None
        self._opened = 0.0
        self._progress_due = False
        self._ended = self._failed = 0
        self._cost = FREE
        self._priced = True
        self._sample: list[list[str]] = []
        self._stop: Callable[[], None] = lambda: None
        self._stop_one: Callable[[int], None] = lambda index: None

    def open(self, stop: Callable[[], None], stop_one: Callable[[int], None]) -> None:
        """Display the widget, and send what has come before it was there."""
        self._stop, self._stop_one = stop, stop_one
        labels = [run.label for run in self._runs[: self._columns]]
        widget = GridWidget(self._on_message, labels=labels)
        bundle = {
            "text/plain": "…",
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": widget.model_id,
            },
        }
        self._handle = display(bundle, raw=True, display_id=True)
        with self._lock:
            self._widget = widget
            self._opened = time.monotonic()
            self._send_whole()
            self._send_progress()

    def cell(self, run: Run) -> GridCell:
        """Return the view of one run; on the loop."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            # What was sent before the front end was ready is lost; it is said again.
            for seconds in (EARLY_SECONDS / 2, EARLY_SECONDS):
                self._loop.call_later(seconds, self._say_again)
        return GridCell(self, run.index)

    def _say_again(self) -> None:
        with self._lock:
            if self._widget is not None:
                self._send_whole()
                self._send_progress()

    def changed(self, index: int, text: str | None, line: str) -> None:
        """Note what is new of a run, and show it in the next frame."""
        if not self._columns:
            return
        with self._lock:
            self._texts[index] = self._texts[index] if text is None else text
            self._lines[index] = line
            self._news.add(index)
            due, self._due = self._due, True
        if not due and self._loop:
            loop = self._loop  # a server that starts reports on another thread
            loop.call_soon_threadsafe(loop.call_later, FRAME_SECONDS, self._frame)

    def finished(self, run: Run, turn: Turn) -> None:
        """Count a run that has ended, and put its receipt below its text; on the loop."""
        reply = turn.reply
        with self._lock:
            self._ended += 1
            self._failed += not reply.complete
            self._priced &= reply.cost is not None or reply.status == "failed"
            self._cost += reply.cost or FREE
            self._sample = [[run.label, reply.clean_text[:SAMPLE_CHARACTERS]], *self._sample][
                :SAMPLE
            ]
            if self._columns:
                self._done[run.index] = True
        self.changed(run.index, reply.clean_text, format_receipt(turn))
        if not self._progress_due:
            self._progress_due = True
            asyncio.get_running_loop().call_later(PROGRESS_SECONDS, self._progress)

    def _progress(self) -> None:
        with self._lock:
            self._progress_due = False
            self._send_progress()

    def _frame(self) -> None:
        with self._lock:
            self._due = False
            self._send_news()

    def _send_news(self) -> None:
        if self._widget is None or not self._news:
            return
        self._number += 1
        early = time.monotonic() - self._opened < EARLY_SECONDS
        if early and sum(map(len, self._texts)) < EARLY_CHARACTERS:
            self._send_whole()
            return
        cards = []
        for index in sorted(self._news):
            new = self._texts[index][self._sent[index] :]
            self._sent[index] = len(self._texts[index])
            cards.append([index, new, self._lines[index], self._done[index]])
        self._news.clear()
        self._widget.send({"type": "delta", "n": self._number, "cards": cards})

    def _send_whole(self) -> None:
        rows = zip(self._texts, self._lines, self._done, strict=True)
        cards = [[index, *row] for index, row in enumerate(rows)]
        self._sent = [len(text) for text in self._texts]
        self._news.clear()
        self._widget.send({"type": "whole", "n": self._number, "cards": cards})

    def _send_progress(self) -> None:
        if self._widget is None:
            return
        count, seconds = len(self._runs), time.monotonic() - self._opened
        words = [f"{self._ended} of {count}"]
        if self._failed:
            words.append(f"{self._failed} not whole")
        if self._ended:
            cost = (
                format_usd(self._cost) if self._cost else "free" if self._priced else "cost unknown"
            )
            words.append(f"{cost} so far" if self._cost else cost)
        if 0 < self._ended < count and seconds > 1:
            words.append(f"about {seconds / self._ended * (count - self._ended):,.0f} s left")
        message = {"type": "progress", "words": " · ".join(words), "share": self._ended / count}
        self._widget.send({**message, "sample": [] if self._columns else self._sample})

    def _on_message(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "stop", "run": int(index)}:
                self._stop_one(index)
            case {"type": "stop"}:
                self._stop()
                self._send({"type": "ack"})
            case {"type": "again"}:
                self._say_again()

    def _send(self, message: dict[str, Any]) -> None:
        widget = self._widget
        if widget is not None:
            widget.send(message)

    def close(self, sweep: SweepResult) -> None:
        """Replace the widget by the final output, or by a line where the caller shows the rest."""
        from di_magics.display.final import grid_metadata, grid_output, line_output

        with self._lock:
            widget, self._widget = self._widget, None
        widget.send({"type": "end"})
        widget.send({"type": "lock"})
        bundle = grid_output(sweep) if self._final else line_output(sweep.summary)
        self._handle.update(bundle, raw=True, metadata=grid_metadata(sweep))
        widget.close()
