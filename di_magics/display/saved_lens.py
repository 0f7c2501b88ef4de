"""A lens as it is saved with the notebook: HTML without script, and lines of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import di_magics.display.markdown as render
from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import LensData
from di_magics.core.sampling import Result, reshape
from di_magics.core.shown.lens_text import (
    BAND_NAMES,
    about_lines,
    band_of,
    format_percent,
    probability_of,
    sampling_params,
    token_label,
)
from di_magics.core.token_statistics import least_likely, perplexity
from di_magics.core.visible import make_visible, one_line, strip_controls
from di_magics.display.long_text import join_blocks

MAX_BYTES = 256_000
"""Bytes of the saved form, at most."""
BLOCK_BYTES = 4000
"""Bytes that are kept free for the blocks, and for the note on what is left out."""
NAMED = 3
"""How many alternatives of a token the saved form names."""
LISTED = 10
"""How many of the least likely tokens the saved form lists."""
ROWS = 100
"""How many alternatives the saved form lists of the position that a lab begins with."""
MAX_LABEL_CHARS = 40
"""Characters of a token in a table or a title; that of a hostile server may have a million."""
TITLED = (0.9, 0.5, 0.05, 0.0)
"""Tokens less likely than a threshold have a tooltip (`title`).

The thresholds are tried in this order, until all tokens fit.
"""
BLOCKS = "▁▂▃▄▅▆▇█"
BLOCK_BITS = 1.5
COLUMNS = 60
SAVED_LAB = (
    "The colours and numbers do not include the settings; only the table of the one position below "
    "does."
)
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
# Two outputs follow one another, this form and the widget. The widget is shown where it works,
# and this form where it does not.
_SAVED, _NEXT = ".jp-OutputArea-child:has(.di-saved-lens)", ".jp-OutputArea-child"
STYLE = (
    f"<style>{_SAVED}:has(+ {_NEXT} .di-lens), {_SAVED} + {_NEXT}:not(:has(.di-lens)) "
    "{ display: none; }</style>"
)


class LabStart(NamedTuple):
    """What a lab begins with: a position, settings by llama.cpp's names, the order of filters."""

    at: int
    values: Mapping[str, float]
    order: Sequence[str]


def lens_text(data: LensData) -> str:
    """Return a reply's least likely tokens as lines of text."""
    lines = [" · ".join(_summary(data))]
    for at in sorted(least_likely(data.tokens, LISTED)):
        token = data.tokens[at]
        others = ", ".join(_name_alternatives(token))
        lines.append(
            f"{at + 1:>6}  {_label(token)}  {format_percent(probability_of(token))}"
            + f"  (most likely: {others})" * bool(others)
        )
    return strip_controls("\n".join(lines))


def lens_html(data: LensData, lab: LabStart | None = None) -> str:
    """Return the saved form: HTML without script, of at most MAX_BYTES."""
    about = [*about_lines(data), *([SAVED_LAB] if lab else [])]
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
        + (_position_html(data, lab) if lab and data.tokens else "")
    )
    room = MAX_BYTES - len((STYLE + before + after).encode()) - BLOCK_BYTES
    for least in TITLED:
        parts = _tokens_html(data.tokens, least, room)
        if len(parts) == len(data.tokens):
            break
    text = join_blocks((token.text, part) for token, part in zip(data.tokens, parts, strict=False))
    left_out = _left_out(data, len(parts), least)
    return (
        f'<div class="di-saved-lens {render.MATH_OFF}">{STYLE}{before}{text}{after}'
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


def _name_alternatives(token: TokenProbability) -> list[str]:
    """Return the most likely alternatives of a token, each with its probability."""
    return [
        f"{_label(other)} {format_percent(probability_of(other))}" for other in token.top[:NAMED]
    ]


def _label(token: TokenProbability) -> str:
    """Return the label of a token, of at most MAX_LABEL_CHARS characters of it."""
    text = token.text
    return token_label(text[:MAX_LABEL_CHARS]) + "…" * (len(text) > MAX_LABEL_CHARS)


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
            title = " · ".join([format_percent(probability), *_name_alternatives(token)])
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
        rows.append([f"{at + 1:,}", label, share, ", ".join(_name_alternatives(token))])
    head = ["position", "token", "probability", "most likely"]
    return _table_html("The least likely tokens", head, rows) if rows else ""


def _position_html(data: LensData, lab: LabStart) -> str:
    """Return the position that a lab begins with, under its settings."""
    token = data.tokens[lab.at]
    top = [(n, t.logprob) for n, t in enumerate(token.top) if t.logprob is not None]
    applied = {**lab.values, "repeat_penalty": 1.0}
    result = reshape(
        top, data.vocabulary, {**applied, "samplers": lab.order}, _window(data, lab.at)
    )
    rows = [
        [
            _label(other) + " ●" * other.is_same(token),
            format_percent(probability_of(other)),
            _now(result, n),
        ]
        for n, other in enumerate(token.top[:ROWS])
    ]
    names = ", ".join(f"{name} {value:g}" for name, value in sampling_params(applied).items())
    left_out = "" if lab.values == applied else ", because a penalty above 1 needs the logits"
    return _table_html(
        f"Position {lab.at + 1:,} with {names}{left_out}",
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
