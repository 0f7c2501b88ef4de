"""A sweep that streams: each run in a column of its own, or a bar and a sample for many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from di_magics.core.amount import format_usd
from di_magics.core.conversation.turn import Turn
from di_magics.core.money.cost import FREE
from di_magics.core.reply.reply import Reply
from di_magics.core.shown.receipt import outcome_line
from di_magics.core.sweep.result import SweepResult
from di_magics.core.sweep.runs import Run
from di_magics.display.channel import Channel, Message
from di_magics.display.views import SilentView
from di_magics.display.widgets import GridWidget
from di_magics.runtime.loop import FRAME_SECONDS

MAX_COLUMNS = 12
SAMPLE = 3
SAMPLE_CHARACTERS = 600
PROGRESS_SECONDS = 0.25
AWAY = "ended while this page was closed; run the cell again to see its table"


class SweepContent:
    """The runs of a sweep and their progress as a channel streams them.

    A whole has a row in `cards` for each column, a delta has the rows that changed: the column,
    its new text, and if they are new its status line and whether its run has ended. `share` is how
    much of the sweep has ended, from 0 to 1, and `sample` the latest replies where there are no
    columns; both come with the status, which counts runs and money.
    """

    def __init__(self, runs: tuple[Run, ...]) -> None:
        self.columns = len(runs) if len(runs) <= MAX_COLUMNS else 0
        self._count = len(runs)
        self._texts = [""] * self.columns
        self._lines = ["waiting"] * self.columns
        self._done = [False] * self.columns
        self._sent = [0] * self.columns
        self._sent_state: list[tuple[str, bool]] = [("", False)] * self.columns
        self._changed: set[int] = set()
        self._ended = self._failed = 0
        self._cost = FREE
        self._priced = True
        self._sample: list[list[str]] = []
        self._started = time.monotonic()
        self._progress_is_new = False
        self.status = ""

    @property
    def size(self) -> int:
        """How many characters the replies have so far."""
        return sum(map(len, self._texts))

    def change(self, column: int, text: str | None, line: str) -> None:
        """Set the text, if there is one, and the status line of a column."""
        self._texts[column] = self._texts[column] if text is None else text
        self._lines[column] = line
        self._changed.add(column)

    def count(self, run: Run, turn: Turn) -> None:
        """Count a run that has ended."""
        reply = turn.reply
        self._ended += 1
        self._failed += not reply.complete
        self._priced &= reply.cost is not None or reply.status == "failed"
        self._cost += reply.cost or FREE
        self._sample = [[run.label, reply.clean_text[:SAMPLE_CHARACTERS]], *self._sample][:SAMPLE]
        if self.columns:
            self._done[run.index] = True

    def update_progress(self) -> None:
        """Count runs, money and time for the next message."""
        count, seconds = self._count, time.monotonic() - self._started
        parts = [f"{self._ended} of {count}"]
        if self._failed:
            parts.append(f"{self._failed} incomplete")
        if self._cost:
            parts.append(f"{format_usd(self._cost)} so far")
        elif self._ended:
            parts.append("free" if self._priced else "cost unknown")
        if 0 < self._ended < count and seconds > 1:
            parts.append(f"about {seconds / self._ended * (count - self._ended):,.0f} s left")
        self.status = " · ".join(parts)
        self._progress_is_new = True

    def build_whole(self) -> Message:
        """Return all columns and the progress."""
        self._sent = [0] * self.columns
        self._sent_state = [("", False)] * self.columns
        self._changed.update(range(self.columns))
        self.update_progress()
        return self.build_delta()

    def build_delta(self) -> Message:
        """Return what is new of the columns that changed, and the progress if it is new."""
        cards = [self._row(column) for column in sorted(self._changed)]
        self._changed.clear()
        fields: Message = {"cards": cards} if cards else {}
        if self._progress_is_new:
            self._progress_is_new = False
            fields["share"] = self._ended / self._count
            if not self.columns:
                fields["sample"] = self._sample
        return fields

    def _row(self, column: int) -> list[object]:
        text, state = self._texts[column], (self._lines[column], self._done[column])
        row = [column, text[self._sent[column] :]]
        if state != self._sent_state[column]:
            row += state
        self._sent[column], self._sent_state[column] = len(text), state
        return row


class GridCell(SilentView):
    """The view of one run: passes its text and its status on to the grid."""

    def __init__(self, grid: WidgetGrid, index: int) -> None:
        self._grid = grid
        self._index = index

    def status(self, line: str) -> None:
        """Show a line below the run's text."""
        self._grid.change(self._index, None, line)

    def show(self, reply: Reply) -> None:
        """Show what is new of the reply."""
        self._grid.change(self._index, reply.clean_text, reply.model or "")


class WidgetGrid:
    """Streams all runs to one widget, at the pace of one reply; the final output takes its place.

    Without `final` the final output is only a line: the caller shows the rest. `show` displays the
    widget elsewhere, where it stays; there the replies are shown without their first `skip`
    characters.
    """

    def __init__(
        self,
        runs: tuple[Run, ...],
        *,
        final: bool = True,
        show: Callable[[Any], None] | None = None,
        skip: int = 0,
    ) -> None:
        self._runs = runs
        self._final = final
        self._show = show
        self._skip = skip
        self._content = SweepContent(runs)
        self._channel = Channel(self._content, AWAY)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._frame_is_due = self._progress_is_due = False

    def open(self, stop: Callable[[], None], stop_one: Callable[[int], None]) -> None:
        """Display the widget."""
        labels = [run.label for run in self._runs[: self._content.columns]]
        widget = GridWidget(self._channel.receive, labels=labels)
        self._channel.open(widget, stop, stop_one, self._show)

    def screen(self, run: Run) -> GridCell:
        """Return the view of one run; on the loop."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._channel.repeat_early(self._loop)
        return GridCell(self, run.index)

    def change(self, index: int, text: str | None, line: str) -> None:
        """Note what is new of a run, and show it in the next frame."""
        if not self._content.columns:
            return
        with self._channel.lock:
            self._content.change(index, text and self._cut(text), line)
            due, self._frame_is_due = self._frame_is_due, True
        if not due and self._loop:
            loop = self._loop  # a server that starts reports on another thread
            loop.call_soon_threadsafe(loop.call_later, FRAME_SECONDS, self._draw)

    def _cut(self, text: str) -> str:
        return f"…{text[self._skip :]}" if self._skip else text

    def finish(self, run: Run, turn: Turn) -> None:
        """Count a run that has ended, and put its outcome below its text; on the loop."""
        with self._channel.lock:
            self._content.count(run, turn)
        self.change(run.index, turn.reply.clean_text, outcome_line(turn))
        if not self._progress_is_due:
            self._progress_is_due = True
            asyncio.get_running_loop().call_later(PROGRESS_SECONDS, self._draw_progress)

    def _draw(self) -> None:
        self._frame_is_due = False
        self._channel.update()

    def _draw_progress(self) -> None:
        self._progress_is_due = False
        with self._channel.lock:
            self._content.update_progress()
        self._channel.update()

    def close(self, sweep: SweepResult) -> None:
        """Replace the widget by the final output."""
        from di_magics.display.final import grid_metadata, grid_output, line_output

        bundle = grid_output(sweep) if self._final else line_output(sweep.summary)
        self._channel.close(bundle, grid_metadata(sweep))
