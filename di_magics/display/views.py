"""Views of a growing reply; every view ends with the same final output, which is saved."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.reply import Reply
from di_magics.core.reply.sources import list_sources
from di_magics.core.reply.tool_calls import calls_with_results, round_text
from di_magics.core.shown.receipt import format_receipt
from di_magics.core.sweep.result import SweepResult
from di_magics.core.sweep.runs import Run
from di_magics.core.visible import show_direction

PROGRESS_SECONDS = 0.5


def write(text: str) -> None:
    """Write a text to where cells print."""
    sys.stdout.write(printable(text))
    sys.stdout.flush()


def show(bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
    """Display an output, given by MIME type."""
    from IPython.display import display

    plain = {name: printable(text) for name, text in bundle.items() if name == "text/plain"}
    display({**bundle, **plain}, raw=True, metadata=metadata)


def printable(text: str) -> str:
    """Return a text with question marks for what the encoding of the output does not have.

    A console of Windows, or a file that its output goes to, may have few characters.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # a program's own may have none
    return text.encode(encoding, "replace").decode(encoding)


class SilentView:
    """Displays nothing: the reply is in `_reply`."""

    seen = True

    def open(self, stop: Callable[[], None]) -> None:
        """Do nothing."""

    def status(self, line: str) -> None:
        """Do nothing."""

    def show(self, reply: Reply) -> None:
        """Do nothing."""

    def close(self, turn: Turn, notes: list[str]) -> None:
        """Do nothing."""


class FinalView(SilentView):
    """Displays only the final output: for nbclient and others without a front end."""

    def close(self, turn: Turn, notes: list[str]) -> None:
        """Display the final output."""
        from di_magics.display.final import final_output

        show(*final_output(turn, notes))


class TerminalView(SilentView):
    """Writes plain text while it streams: for IPython in a terminal, and for jupyter console."""

    def __init__(self) -> None:
        self._written = 0
        self._line = False
        self._rounds = 0

    def status(self, line: str) -> None:
        """Write a status line, which the next text replaces."""
        write(f"\r\x1b[K\x1b[2m{show_direction(line)}\x1b[0m")
        self._line = True

    def show(self, reply: Reply) -> None:
        """Write the new part of the text."""
        self._clear()
        for step in reply.rounds[self._rounds :]:
            if any(result.seconds is None for _, result in calls_with_results(step)):
                self._write_text(step.text)
                return  # its calls still run
            self._write_text(step.text)
            lines = round_text(replace(step, text=""))
            write(f"\n\x1b[2m{show_direction(lines)}\x1b[0m\n")
            self._rounds, self._written = self._rounds + 1, 0
        self._write_text(reply.clean_text)

    def _write_text(self, text: str) -> None:
        write(show_direction(text[self._written :]))
        self._written = max(self._written, len(text))

    def close(self, turn: Turn, notes: list[str]) -> None:
        """Write the rest and the receipt."""
        self.show(turn.reply)
        end = "" if turn.reply.clean_text.endswith("\n") or not turn.reply.clean_text else "\n"
        below = show_direction(list_sources(turn.reply.sources) + format_receipt(turn, notes))
        write(f"{end}\x1b[2m{below}\x1b[0m\n")

    def _clear(self) -> None:
        if self._line:
            write("\r\x1b[K")
            self._line = False


class DisplayView(SilentView):
    """Updates one output with the complete text: for notebooks without widgets.

    Every update sends all of it again, so updates become rarer as the reply grows: the total stays
    within a small multiple of the reply.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._next = 0.0

    def open(self, stop: Callable[[], None]) -> None:
        """Display an empty output."""
        from IPython.display import display

        self._handle = display({"text/plain": "…"}, raw=True, display_id=True)

    def show(self, reply: Reply) -> None:
        """Update the output if its time has come."""
        now = time.monotonic()
        if self._handle is not None and now >= self._next:
            # Nothing is added for a short reply: its next piece, which may be the last for a while,
            # would be left out.
            self._next = now + len(reply.text) / 20_000
            text = "\n\n".join([*map(round_text, reply.rounds), reply.clean_text])
            self._handle.update({"text/plain": show_direction(text)}, raw=True)

    def close(self, turn: Turn, notes: list[str]) -> None:
        """Replace it with the final output."""
        from di_magics.display.final import final_output

        bundle, metadata = final_output(turn, notes)
        self._handle.update(bundle, raw=True, metadata=metadata)


class Progress:
    """A line that says how far something long has come; the result is displayed in its place.

    `handle` is that of the output, None where nothing is displayed.
    """

    def __init__(self) -> None:
        self.handle: Any = None
        self._started = self._next = 0.0

    def open(self) -> None:
        """Display an empty line."""
        from IPython.display import display

        self.handle = display({"text/plain": "…"}, raw=True, display_id=True)
        self._started = time.monotonic()
        self._next = self._started + PROGRESS_SECONDS

    def update(self, done: int, total: int) -> None:
        """Show how many tokens have been read, if the line's time has come."""
        left = (time.monotonic() - self._started) / done * (total - done)
        self.show(
            f"The model reads the text: {done:,} of {total:,} tokens, about {left:,.0f} s left."
        )

    def show(self, line: str) -> None:
        """Update the line if its time has come."""
        now = time.monotonic()
        if self.handle is not None and now >= self._next:
            self._next = now + PROGRESS_SECONDS
            self.handle.update({"text/plain": line}, raw=True)

    def end(self, line: str) -> None:
        """Display a last line in its place."""
        if self.handle is not None:
            self.handle.update({"text/plain": line}, raw=True)
        else:
            write(f"{line}\n")


class FinalGrid:
    """Displays only the final output of a grid: for a terminal, nbclient and others."""

    def __init__(self, *, final: bool) -> None:
        self._final = final

    def open(self, stop: Callable[[], None], stop_one: Callable[[int], None]) -> None:
        """Do nothing."""

    def screen(self, run: Run) -> SilentView:
        """Return a view that displays nothing."""
        return SilentView()

    def finish(self, run: Run, turn: Turn) -> None:
        """Do nothing."""

    def close(self, sweep: SweepResult) -> None:
        """Display the final output."""
        from di_magics.display.final import grid_metadata, grid_output

        if self._final:
            show(grid_output(sweep), grid_metadata(sweep))
