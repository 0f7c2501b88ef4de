"""The streaming view: deltas to a widget, and one final output in its place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from IPython.display import display

from di_magics.core.conversation.conversation import Turn
from di_magics.core.reply.reply import Reply, Round
from di_magics.core.reply.tool_calls import call_headline, calls_with_results, result_text
from di_magics.display.widgets import LiveWidget

# Messages that come before the browser has loaded the widget's code are lost. Until it surely has,
# a short text is sent whole each time.
EARLY_SECONDS = 1.0
EARLY_CHARACTERS = 2000


LONGEST_SHOWN = 2000


def _said_before(told: Round) -> dict[str, Any]:
    """Return a round as the widget shows it; the final output has the whole of it."""
    folds = [
        [f"⚙ {call_headline(call, result)}", call.arguments, result_text(result)]
        for call, result in calls_with_results(told)
    ]
    if told.objection:
        folds.append(["asked again", told.objection])
    return {
        "text": told.text,
        "thought": told.reasoning[:LONGEST_SHOWN],
        "calls": [[text[:LONGEST_SHOWN] for text in texts] for texts in folds],
    }


class WidgetView:
    """Streams deltas to an anywidget, then replaces it by the final output on the same display id.

    Deltas are numbered: the kernel's output channel drops messages silently when a browser lags,
    and the widget asks for the whole when one is missing.
    """

    def __init__(self, *, plain: bool = False) -> None:
        self._plain = plain
        self._lock = threading.Lock()
        self._widget: Any = None  # while there is more to come
        self._shown: Any = None
        self._handle: Any = None
        self._stop: Callable[[], None] = lambda: None
        self._reply = Reply()
        self._line = ""
        self._number = -1
        self._sent = (0, 0)
        self._rounds: tuple[Round, ...] = ()
        self._opened = 0.0
        self._heard = self._seen = False

    @property
    def seen(self) -> bool:
        """Whether a page took in the end, as far as pages can tell while a cell runs."""
        return self._seen or not self._heard

    def open(self, stop: Callable[[], None]) -> None:
        """Display the widget, and send what has come before it was there."""
        self._stop = stop
        self._shown = widget = LiveWidget(self._on_message, line=self._line, plain=self._plain)
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
            if self._reply.text or self._reply.reasoning or self._reply.rounds:
                self._send_news()

    def status(self, line: str) -> None:
        """Show a line in place of a receipt."""
        with self._lock:
            self._line = line
            if self._widget is not None:
                self._widget.send({"type": "status", "status": line})

    def show(self, reply: Reply) -> None:
        """Send what is new of the reply."""
        with self._lock:
            self._reply = reply
            self._line = reply.model or ""
            self._send_news()

    def _send_news(self) -> None:
        if self._widget is None:
            return
        reply, before = self._reply, self._sent
        self._sent = (len(reply.clean_text), len(reply.reasoning))
        early = time.monotonic() - self._opened < EARLY_SECONDS
        other = reply.rounds is not self._rounds
        if self._sent != before or other:
            self._number += 1
        if other:  # the text begins anew
            self._rounds = reply.rounds
            self._send_whole()
        elif early and sum(self._sent) < EARLY_CHARACTERS:
            self._send_whole()
        elif self._sent != before:
            message = {"type": "delta", "n": self._number, "status": self._line}
            if thought := reply.reasoning[before[1] :]:
                message["thought"] = thought
            self._widget.send({**message, "text": reply.clean_text[before[0] :]})

    def _send_whole(self) -> None:
        self._shown.send(
            {
                "type": "whole",
                "n": self._number,
                "text": self._reply.clean_text[: self._sent[0]],
                "thought": self._reply.reasoning[: self._sent[1]],
                "before": [_said_before(told) for told in self._rounds],
                "status": self._line,
            }
        )

    def _on_message(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "here"}:
                self._heard = True
                if self._widget is None:  # a page that was loaded anew has found it
                    self._line = "ended while this page was away; %chat show has its receipt"
                    self._number += 1
                    self._send_whole()
                    self._shown.send({"type": "ended"})
            case {"type": "seen"}:
                self._seen = True
                self._shown.close()
            case {"type": "stop"}:
                self._stop()
                self._shown.send({"type": "ack"})
            case {"type": "again"}:
                with self._lock:
                    if self._widget is not None:
                        self._send_whole()

    def close(self, turn: Turn, notes: list[str]) -> None:
        """Replace the widget by the final output."""
        # What it needs is not loaded before the first text is out.
        from di_magics.display.final import final_output

        bundle, metadata = final_output(turn, notes)
        with self._lock:
            widget, self._widget = self._widget, None
        # The end comes before the cell's, so that a Stop on its way does not interrupt the next.
        widget.send({"type": "end"})
        widget.send({"type": "lock"})
        self._handle.update(bundle, raw=True, metadata=metadata)
        if not self._heard:
            widget.close()
