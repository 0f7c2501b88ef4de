"""The lens and the lab of a reply: a widget, and the same without script, which is saved.

Two outputs follow one another: the saved form as HTML, then the widget. A style in the saved form
shows one of them: the widget while it works, and the saved form where there is no kernel. Where a
notebook is not trusted, the front end drops the style and the widget, and the saved form is left.
"""

from __future__ import annotations

import json
import math
import struct
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import di_magics.display.markdown as render
from di_magics.core.errors import DiMagicsError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import LensData, cut_lens, pack_lens
from di_magics.core.sampling import Result, reshape
from di_magics.core.shown.lens_text import (
    BAND_NAMES,
    FILTERS,
    LOGITS_UNKNOWN,
    NEUTRAL,
    ORDERS,
    about_lines,
    band_of,
    filter_order,
    format_percent,
    probability_of,
    sampling_params,
    setting_notes,
    token_label,
)
from di_magics.core.text import describe_error
from di_magics.core.token_statistics import least_likely, perplexity
from di_magics.core.visible import make_visible, one_line, strip_controls

MOST_BYTES = 256_000
"""Of the saved form."""
NAMED = 3
"""The alternatives that the saved form names for a token."""
LISTED = 10
"""The least likely tokens that the saved form lists."""
ROWS = 100
"""The alternatives of a lab's position in the saved form."""
LONGEST_LABEL = 40
"""Characters of a token in a table or a title; that of a hostile server may have a million."""
TITLED = (0.9, 0.5, 0.05, 0.0)
"""The tokens below this probability have a title: the first of these with which all tokens fit."""
BLOCKS = "▁▂▃▄▅▆▇█"
BLOCK_BITS = 1.5
COLUMNS = 60
SAVED_LAB = "Colours and numbers here are without the settings, but for the position below."
FAINT = "opacity: 0.75; font-size: 90%"
# The widget's colours on white paper, translucent, so that they are legible on dark paper, too.
MARKS = (
    "",
    "background-color: #edad001c",
    "background-color: #f0aa0042",
    "background-color: #f0a20076; border-bottom: 1px solid #a8601a",
    "background-color: #ea8500a1; border-bottom: 2px solid #a8601a",
    "background-color: #e05e00b5; border-bottom: 3px solid #a8601a",
    "background-color: #cf2e00b5; border-bottom: 4px solid #a8601a",
    "border-bottom: 1px dotted #888",
)
# One of the two outputs: where the widget works, and where it does not.
_SAVED, _NEXT = ".jp-OutputArea-child:has(.di-saved-lens)", ".jp-OutputArea-child"
STYLE = (
    f"<style>{_SAVED}:has(+ {_NEXT} .di-lens), {_SAVED} + {_NEXT}:not(:has(.di-lens)) "
    "{ display: none; }</style>"
)


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
        return {"text/html": lens_html(self), "text/plain": lens_text(self.data)}

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


# The saved form -----------------------------------------------------------------------------------


def lens_text(data: LensData) -> str:
    """Return a reply's least likely tokens as lines of text."""
    lines = [" · ".join(_summary(data))]
    for at in sorted(least_likely(data.tokens, LISTED)):
        token = data.tokens[at]
        others = ", ".join(_named(token))
        lines.append(
            f"{at + 1:>6}  {_label(token)}  {format_percent(probability_of(token))}"
            + f"  (most likely: {others})" * bool(others)
        )
    return strip_controls("\n".join(lines))


def lens_html(lens: Lens) -> str:
    """Return the saved form: HTML without script, of at most MOST_BYTES."""
    data = lens.data
    about = [*about_lines(data), *([SAVED_LAB] if lens.lab else [])]
    before = (
        f"<div><b>{_escape(one_line(data.model, 80))}</b> · "
        f"{_escape(' · '.join(_summary(data)[1:]))}</div>"
        f'<div style="{FAINT}">{_escape(one_line(" ".join(about), 1000))}</div>'
        f'<div style="line-height: 2; margin: 4px 0">{_legend_html(data)}</div>'
        '<div style="white-space: pre-wrap; line-height: 1.9; font-size: 110%; padding: 8px 12px; '
        'border: 1px solid #8886; border-radius: 6px">'
    )
    after = (
        f'</div><div style="margin: 4px 0"><span style="{FAINT}">Surprise along the reply</span> '
        f"{_surprise(data.tokens)}</div>"
        + _least_html(data)
        + (_position_html(lens) if lens.lab and data.tokens else "")
    )
    room = MOST_BYTES - len((STYLE + before + after).encode()) - 1000  # for what is left out
    for least in TITLED:
        parts = _tokens_html(data.tokens, least, room)
        if len(parts) == len(data.tokens):
            break
    left_out = _left_out(data, len(parts), least)
    return (
        f'<div class="di-saved-lens {render.MATH_OFF}">{STYLE}{before}{"".join(parts)}{after}'
        f'<div style="{FAINT}">{_escape(left_out)}</div></div>'
    )


def _left_out(data: LensData, shown: int, titled: float) -> str:
    """Return what the saved form of so many tokens has left out."""
    parts = ["Left out here: all but the most likely alternatives of each token."]
    if shown < len(data.tokens):
        parts.append(f"{len(data.tokens) - shown:,} of {len(data.tokens):,} tokens.")
    if titled < TITLED[0]:
        parts.append(f"Also left out: those of tokens of {format_percent(titled)} or more.")
    return " ".join(parts)


def _escape(text: str) -> str:
    return render.escape_html(text)


def _summary(data: LensData) -> list[str]:
    count = len(data.tokens)
    parts = [one_line(data.model, 80), *filter(None, [data.name])]
    parts.append(f"{count:,} token{'s' * (count != 1)}")
    if (value := perplexity(data.tokens)) is not None:
        parts += [f"perplexity {value:.2f}", f"{math.log2(value):.2f} bits a token"]
    return parts


def _named(token: TokenProbability) -> list[str]:
    """Return the most likely alternatives of a token, each with its probability."""
    return [
        f"{_label(other)} {format_percent(probability_of(other))}" for other in token.top[:NAMED]
    ]


def _label(token: TokenProbability) -> str:
    """Return the label of a token, of at most LONGEST_LABEL characters of it."""
    text = token.text
    return token_label(text[:LONGEST_LABEL]) + "…" * (len(text) > LONGEST_LABEL)


def _mark(html: str, style: str, title: str = "") -> str:
    attributes = f' title="{_escape(title)}"' * bool(title) + f' style="{style}"' * bool(style)
    return f"<span{attributes}>{html}</span>" if attributes else html


def _legend_html(data: LensData) -> str:
    bands = [band_of(token) for token in data.tokens]
    names = [*BAND_NAMES, "not known"]
    shown = [band for band in range(len(names)) if band < len(BAND_NAMES) or band in bands]
    return " &nbsp; ".join(
        _mark(f"&nbsp;{_escape(names[band])}&nbsp;", MARKS[band]) + f" {bands.count(band):,}"
        for band in shown
    )


def _tokens_html(tokens: Sequence[TokenProbability], titled: float, room: int) -> list[str]:
    """Return the HTML of tokens, of the first ones that have room in so many bytes."""
    parts: list[str] = []
    for token in tokens:
        probability = probability_of(token)
        title = ""
        if probability is not None and probability < titled:
            title = " · ".join([format_percent(probability), *_named(token)])
        part = _mark(_text_html(token.text), MARKS[band_of(token)], title)
        room -= len(part.encode())
        if room < 0:
            break
        parts.append(part)
    return parts


def _text_html(text: str) -> str:
    """Return a token's text; its line ends are visible, and break the line."""
    if not text:
        return f'<span style="{FAINT}">⟨end⟩</span>'
    end = '<span style="opacity: 0.45">↵</span>\n'
    return end.join(_escape(make_visible(line.replace("\t", "⇥"))) for line in text.split("\n"))


def _surprise(tokens: Sequence[TokenProbability]) -> str:
    """Return the surprise along the reply as block characters."""
    columns = min(COLUMNS, len(tokens))
    heights = []
    for column in range(columns):
        part = tokens[column * len(tokens) // columns : (column + 1) * len(tokens) // columns]
        bits = max(-(token.logprob or 0.0) for token in part) / math.log(2)
        heights.append(BLOCKS[int(min(len(BLOCKS) - 1, bits / BLOCK_BITS))])
    return "".join(heights)


def _table_html(summary: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that the user can unfold."""

    def row(tag: str, cells: Sequence[str]) -> str:
        style = "text-align: left; padding: 2px 10px"
        return "".join(f'<{tag} style="{style}">{_escape(cell)}</{tag}>' for cell in cells)

    body = "".join(f"<tr>{row('td', cells)}</tr>" for cells in rows)
    return (
        f"<details><summary>{_escape(summary)}</summary><table>"
        f"<thead><tr>{row('th', head)}</tr></thead><tbody>{body}</tbody></table></details>"
    )


def _least_html(data: LensData) -> str:
    rows = []
    for at in sorted(least_likely(data.tokens, LISTED)):
        token = data.tokens[at]
        label, share = _label(token), format_percent(probability_of(token))
        rows.append([f"{at + 1:,}", label, share, ", ".join(_named(token))])
    head = ["position", "token", "probability", "most likely"]
    return _table_html("The least likely tokens", head, rows) if rows else ""


def _position_html(lens: Lens) -> str:
    """Return the position that a lab begins with, under its settings."""
    data, at = lens.data, lens.at
    token = data.tokens[at]
    top = [(n, t.logprob) for n, t in enumerate(token.top) if t.logprob is not None]
    applied = {**lens.values, "repeat_penalty": 1.0}
    result = reshape(top, data.vocabulary, {**applied, "samplers": lens.order}, _window(data, at))
    rows = [
        [
            _label(other) + " ●" * other.is_same(token),
            format_percent(probability_of(other)),
            _now(result, n),
        ]
        for n, other in enumerate(token.top[:ROWS])
    ]
    settings = ", ".join(f"{name} {value:g}" for name, value in sampling_params(applied).items())
    left_out = "" if lens.values == applied else ", because a penalty above 1 needs the logits"
    return _table_html(
        f"Position {at + 1:,} with {settings}{left_out}",
        ["token", "in the model", "with the settings"],
        rows,
    )


def _window(data: LensData, at: int) -> list[int]:
    """Return what penalties count before a position; its alternatives are 0, 1, 2, …"""

    def key(token: TokenProbability) -> int | bytes:
        return token.data if token.id is None else token.id

    numbers = {key(other): n for n, other in enumerate(data.tokens[at].top)}
    before = [*data.prompt, *map(key, data.tokens[:at])]
    return [numbers.setdefault(token, len(numbers)) for token in before]


def _now(result: Result, token: int) -> str:
    if token in result.cut:
        return f"cut by {' or '.join([*result.doubts.get(token, ()), result.cut[token]])}"
    low, high = map(format_percent, result.probs.get(token, (0.0, 1.0)))
    return low if low == high else f"{low} to {high}"
