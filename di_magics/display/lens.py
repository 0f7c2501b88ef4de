"""The lens and the lab of a reply: a widget, and the same without script (saved_lens.py).

Two outputs follow one another: the saved form as HTML, then the widget. A style in the saved form
shows one of them: the widget while it works, and the saved form where there is no kernel. Where a
notebook is not trusted, the front end drops the style and the widget, and the saved form is left.
"""

from __future__ import annotations

import json
import struct
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from di_magics.core.errors import DiMagicsError
from di_magics.core.packed_tokens import LensData, cut_lens, pack_lens
from di_magics.core.sampling import DEFAULTS
from di_magics.core.shown.lens_text import (
    FILTERS,
    LOGITS_UNKNOWN,
    NEUTRAL,
    ORDERS,
    about_lines,
    filter_order,
    setting_notes,
)
from di_magics.core.text import describe_error
from di_magics.core.visible import one_line
from di_magics.display.saved_lens import LabStart, lens_html, lens_text

Continue = Callable[[int, str, Mapping[str, float], Sequence[str], Callable[[Any], None]], str]
"""Continues a reply after this token at this position, with these settings and order of filters.

The replies stream into a widget, with which it calls its last argument. Returns a remark or "".
"""
ReadZeros = Callable[[Sequence[int]], list[float | None]]
"""Returns logit - log-probability at positions, None where it cannot be found."""
ZEROS_AT_ONCE = 16


class Lens:
    """A reply's tokens by probability, to display in a notebook; a lab has settings as well.

    `at` is the position to begin with, `values` are settings of the lab by llama.cpp's names in
    place of those that were sent, and `order` is the order of its filters. `continue_from` and
    `read_zeros` are called on a thread of their own.
    """

    def __init__(
        self,
        data: LensData,
        *,
        lab: bool = False,
        at: int = 0,
        values: Mapping[str, float] | None = None,
        order: Sequence[str] | None = None,
        continue_from: Continue | None = None,
        read_zeros: ReadZeros | None = None,
    ) -> None:
        self.data = data = cut_lens(data)
        self._continue_from = continue_from
        self._read_zeros = read_zeros
        self._widget: Any = None
        self._grid: Any = None
        self._lock = threading.Lock()
        self._answering: set[str] = set()
        self.lab = lab
        self.at = max(0, min(at, len(data.tokens) - 1))
        self.sent = dict(data.settings)
        self.values = {**NEUTRAL, **self.sent, **(values or {})}
        self.order = list(order or filter_order(data))

    def __repr__(self) -> str:
        return lens_text(self.data)

    def pack(self) -> bytes:
        """Return what the widget gets: a JSON object and arrays, compressed."""
        head, arrays = pack_lens(self.data)
        head |= {
            "about": list(about_lines(self.data, lab=self.lab)),
            "notes": list(setting_notes(self.data)),
            "disabled": {} if self._read_zeros else {"repeat_penalty": LOGITS_UNKNOWN},
            "settings": self.sent,
            "values": {name: self.values[name] for name in NEUTRAL},
            "llama": dict(DEFAULTS),
            "order": self.order,
            "orders": {server: list(order) for server, order in ORDERS.items()},
            "start": self.at,
            "lab": self.lab,
            "ordered": self.data.order is not None,
            "zeros": self._read_zeros is not None,
            "continuing": self._continue_from is not None,
            "sizes": {name: len(array) for name, array in arrays.items()},
        }
        text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )
        return zlib.compress(b"".join([struct.pack("<I", len(text)), text, *arrays.values()]), 3)

    def saved(self) -> dict[str, str]:
        """Return the saved form, by MIME type."""
        lab = LabStart(self.at, self.values, self.order) if self.lab else None
        return {"text/html": lens_html(self.data, lab), "text/plain": lens_text(self.data)}

    def _ipython_display_(self) -> None:
        self.show()

    def show(self, handle: Any = None) -> None:
        """Display it, in place of the output with this handle if there is one."""
        from IPython import get_ipython
        from IPython.display import display

        if handle is None:
            display(self.saved(), raw=True)
        else:
            handle.update(self.saved(), raw=True)
        if getattr(get_ipython(), "kernel", None) is None:
            return
        try:
            from di_magics.display.widgets import LensWidget
        except ImportError:  # anywidget is broken or not installed
            return
        self._widget = LensWidget(self._receive, packed=self.pack())
        if self._widget.comm is None:
            return
        view = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        bundle = {"text/plain": "", "application/vnd.jupyter.widget-view+json": view}
        display(bundle, raw=True)

    def _receive(self, message: Mapping[str, Any]) -> None:
        match message:
            case {
                "type": "continue",
                "at": int(at),
                "token": str(token),
                "settings": dict(values),
                "order": list(order),
            }:
                if go_on := self._continue_from:
                    filters = [name for name in order[: len(FILTERS)] if name in FILTERS]
                    self._answer(
                        {"type": "continued"},
                        "done",
                        lambda: go_on(at, token, values, filters, self._show_grid),
                    )
            case {"type": "zeros", "positions": list(positions)}:
                size = len(self.data.tokens)
                valid = all(isinstance(at, int) and 0 <= at < size for at in positions)
                if (read := self._read_zeros) and 0 < len(positions) <= ZEROS_AT_ONCE and valid:
                    answer = {"type": "zeros", "positions": positions}
                    self._answer(answer, "zeros", lambda: read(positions))

    def _show_grid(self, grid: Any) -> None:
        """Show the widget of a grid below the lab, in place of the one before."""
        if self._grid:
            self._grid.close()
        self._grid = grid
        self._widget.post({"type": "grid", "grid": grid.model_id})

    def _answer(self, answer: dict[str, Any], name: str, work: Callable[[], Any]) -> None:
        """Post an answer with what some work returns or why it failed, from a thread of its own.

        There is one answer of a type at a time: a page may ask any number of times, and asks for
        the next one after the answer.
        """
        kind = answer["type"]
        with self._lock:
            if kind in self._answering:
                return
            self._answering.add(kind)

        def run() -> None:
            try:
                answer[name] = work()
            except Exception as error:  # the page waits
                known = isinstance(error, DiMagicsError)
                answer["error"] = one_line(error if known else describe_error(error))
            with self._lock:
                self._answering.discard(kind)
            self._widget.post(answer)

        threading.Thread(target=run, name="di_magics-lab").start()
