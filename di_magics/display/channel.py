"""The stream protocol: how a view in the kernel keeps its picture on the page.

    kernel (Channel)                          page (static/channel.js)
       │  the widget's code, in an output        │
       ├─ whole 0 ───────────────────────────> ✗ │  lost: the code is still being loaded
       ├─ whole 1 ──────────────────────────────>│  while early, a small content is sent whole
       │<────────────────────────────── here ────┤  300 ms after the code has been loaded
       ├─ whole 2, delta 3, delta 4 … ──────────>│
       ├─ delta 5 ───────────────────────────> ✗ │  lost
       ├─ delta 6 ──────────────────────────────>│  6 does not follow 4
       │<────────────────────────────── again ───┤
       ├─ whole 7, delta 8 … ───────────────────>│
       │<────────────────────────────── stop ────┤  a click on Stop; `run` is which run of a grid
       ├─ ack ──────────────────────────────────>│  none in a second: the page interrupts the kernel
       ├─ end ───────────────────────────────> ✗ │  lost, and the final output after it
       │<────────────────────────────── again ───┤  the page has been connected anew
       ├─ end ──────────────────────────────────>│  keeps its height: the final output is on its way
       │<────────────────────────────── seen ────┤  now the widget can be closed

A delta holds what is new since the message before it, a whole holds everything. Jupyter drops
messages silently where a page lags or is not ready, so both are numbered in one sequence: a page
notices a missing number, and ignores a number that it has had. It sends `again` when a delta does
not follow, and once more after 60 more deltas if no answer comes. It also sends `again` when its
connection to the kernel is back, until a whole comes: Jupyter Server drops what the kernel sends
while it connects. The answers to all pages together have at most a million characters a second; one
serves all that wait.

After the end, the answer to `again` is `end` and the final output once more, and then a whole. A
page sends `again` until the final output has replaced its views, then `seen`. In a reloaded page
the extension of JupyterLab puts the final output in place of the widget, by the display id, which
is the widget's id (labextension/static/reloaded.js); without it, the page sends `seen` after the
third `end`.

Some front ends hold back what a page sends until the cell has ended. So the page interrupts the
kernel if `ack` does not come, and for the first second the kernel sends a small content as wholes
without being asked. This early second ends with a whole of any size, or with `here`.

A page that is loaded anew finds the widget in the saved output, and sends `here`. If the stream has
ended meanwhile, it gets the final output, and the whole with `ended` for a page without the
extension. If no page has sent `here`, the widget is closed at the end, because there is nobody to
wait for. A page sees in the kernel's status that the kernel was restarted.

A message is a dict with `type`, and with `n` if it is numbered; `status` is the line beside the
Stop button, sent when it has changed. The other fields are the content's own. Except
for answers, messages are sent only when the view is updated: at most 9 times a second.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from IPython.display import display

EARLY_SECONDS = 1.0
EARLY_CHARACTERS = 500
ANSWER_RATE = 1_000_000
"""Characters a second in the answers to pages; an answer counts as its size and 1,000 more."""

Message = dict[str, Any]


class Content(Protocol):
    """What is streamed; a channel calls it with its lock held.

    `status` is a line of text, `size` the total number of characters. Both functions return the
    fields of a message. `build_delta` returns what changed since the last call of either: {} if
    nothing did, None if only a whole can express the change.
    """

    @property
    def status(self) -> str: ...
    @property
    def size(self) -> int: ...
    def build_whole(self) -> Message: ...
    def build_delta(self) -> Message | None: ...


class Channel:
    """Streams a content to a widget, then replaces it by the final output on the same display id.

    `open`, `update` and `close` are called on the threads that session/view.py names, and `receive`
    on the one on which the front end's messages arrive. Hold `lock` to change several fields of the
    content. `away` is the status line on a page that was reloaded after the end.
    """

    def __init__(self, content: Content, away: str) -> None:
        self.lock = threading.Lock()
        self._content = content
        self._away = away
        self._widget: Any = None
        self._handle: Any = None
        self._stop: Callable[[], None] = lambda: None
        self._stop_run: Callable[[int], None] = lambda run: None
        self._streaming = False
        self._early = True
        self._early_until = 0.0
        self._number = -1
        self._status = ""
        self._connected = self._seen = False
        self._allowance, self._allowed_at = float(ANSWER_RATE), time.monotonic()
        self._answer_is_due = False
        self._final: tuple[Message, Message] | None = None  # kept until a page has seen the end
        self._repeat_end = False

    @property
    def seen(self) -> bool:
        """Whether a page confirmed the end; True if no page was connected."""
        return self._seen or not self._connected

    def open(
        self,
        widget: Any,
        stop: Callable[[], None],
        stop_run: Callable[[int], None] = lambda run: None,
        show: Callable[[Any], None] | None = None,
    ) -> None:
        """Display the widget, and send what there is already.

        With `show`, which displays it elsewhere, it stays there at the end.
        """
        self._widget, self._stop, self._stop_run = widget, stop, stop_run
        if show:
            show(widget)
        else:
            view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
            bundle = {"text/plain": "…", "application/vnd.jupyter.widget-view+json": view}
            self._handle = display(bundle, raw=True, display_id=widget.model_id)
        with self.lock:
            self._streaming = True
            self._early_until = time.monotonic() + EARLY_SECONDS
            if self._content.size:
                self._send_whole()

    def update(self) -> None:
        """Send what is new; in the first second everything, if it is short or nothing is new."""
        with self.lock:
            if not self._streaming:
                return
            early = self._early
            self._early = early and time.monotonic() < self._early_until
            last_early = early and not self._early
            if last_early or (early and self._content.size < EARLY_CHARACTERS):
                self._send_whole()
                return
            delta, status = self._content.build_delta(), self._content.status
            if delta or (delta is not None and status != self._status):
                self._send_numbered("delta", delta, status)
            elif delta is None or early:
                self._send_whole()

    def repeat_early(self, loop: asyncio.AbstractEventLoop) -> None:
        """Update twice more in the first second, for a content that may not change by itself."""
        for seconds in (EARLY_SECONDS / 2, EARLY_SECONDS):
            loop.call_later(seconds, self.update)

    def receive(self, message: Message) -> None:
        """Handle a message from the page."""
        match message:
            case {"type": "here"}:
                with self.lock:
                    self._connected, self._early = True, False
                    self._answer_soon()
            case {"type": "again"}:
                with self.lock:
                    if not self._seen:
                        self._repeat_end = True
                        self._answer_soon()
            case {"type": "stop", "run": int(run)}:
                self._stop_run(run)
            case {"type": "stop"} if "run" not in message:
                self._stop()
                self._widget.post({"type": "ack"})
            case {"type": "seen"} if not self._streaming:
                self._seen, self._final = True, None
                self._widget.close()

    def close(self, bundle: Message, metadata: Message) -> None:
        """Replace the widget by the final output, if it was displayed here."""
        with self.lock:
            self._streaming = False
            if self._handle is None:
                self._status = ""
                whole = {**self._content.build_whole(), "ended": True}
                self._send_numbered("whole", whole, self._content.status)
                return
        self._show_final(bundle, metadata)
        with self.lock:
            if self._connected and not self._seen:
                self._final = bundle, metadata
        if not self._connected:
            self._widget.close()

    def _show_final(self, bundle: Message, metadata: Message, end: bool = True) -> None:
        # The end comes before the cell's, so that a Stop on its way does not interrupt the next.
        if end:
            self._widget.post({"type": "end"})
        self._handle.update(bundle, raw=True, metadata=metadata)

    def _answer_soon(self) -> None:
        """Send everything to a page that asks, now or when it is allowed."""
        now = time.monotonic()
        earned = (now - self._allowed_at) * ANSWER_RATE
        self._allowance, self._allowed_at = min(ANSWER_RATE, self._allowance + earned), now
        if self._answer_is_due:
            return
        if self._allowance > 0:
            self._answer()
            return
        self._answer_is_due = True
        timer = threading.Timer(0.001 - self._allowance / ANSWER_RATE, self._answer_late)
        timer.name, timer.daemon = "di_magics-answer", True
        timer.start()

    def _answer_late(self) -> None:
        with self.lock:
            self._answer_is_due = False
            self._answer()

    def _answer(self) -> None:
        self._allowance -= self._content.size + 1000
        repeat_end, self._repeat_end = self._repeat_end, False
        if self._streaming:
            self._send_whole()
            return
        if self._final:
            self._show_final(*self._final, end=repeat_end)
        whole = {**self._content.build_whole(), "ended": True}
        self._status = ""
        self._send_numbered("whole", whole, self._away)

    def _send_whole(self) -> None:
        self._status = ""
        self._send_numbered("whole", self._content.build_whole(), self._content.status)

    def _send_numbered(self, kind: str, fields: Message, status: str) -> None:
        self._number += 1
        message = {"type": kind, "n": self._number, **fields}
        if status != self._status:
            message["status"] = self._status = status
        self._widget.post(message)
