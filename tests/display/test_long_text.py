"""Long foreign text is cut into blocks, wherever it is shown, and stays the same text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest

from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import LensData
from di_magics.core.reply.reply import Reply, ToolCall
from di_magics.core.sweep.difference import Part
from di_magics.display.final import reply_output
from di_magics.display.long_text import (
    MAX_BLOCK_CHARS,
    MAX_PILE,
    escape_long_text,
    has_piles,
    join_blocks,
)
from di_magics.display.markdown import MAX_INLINE_CHARS, to_html
from di_magics.display.saved_lens import lens_html
from di_magics.display.tables import comparison_output, repeats_output

UNITS = ["א1a", "\u0301", "กิ่", "\u202eé", "<&א1\n", "é" * 70 + "\n"]


def blocks(shown: str) -> list[str]:
    """Return what a browser lays out apart from one another, as text."""
    parts = re.split(r"</?(?:div|p|pre|code|br|td|th|li|h1)\b[^>]*>", shown)
    return [html.unescape(re.sub("<[^>]*>", "", part)) for part in parts]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("size", [10, MAX_BLOCK_CHARS, MAX_BLOCK_CHARS + 1, 40_000])
def test_no_block_is_long_and_nothing_is_lost(unit: str, size: int) -> None:
    """Also where a text has no line ends; a block ends at one where it can."""
    text = ("a" + unit * size)[:size]
    shown = blocks(escape_long_text(text))
    assert "".join(shown) == text
    assert max(map(len, shown)) <= MAX_BLOCK_CHARS
    if "\n" in unit:
        assert all(block.endswith("\n") for block in [*filter(None, shown)][:-1])


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("form", ["{}", "```\n{}\n```", "# {}", "- {}", "|a|\n|-|\n|{}|", "`{}`"])
def test_a_reply_has_no_block_that_a_browser_needs_long_for(unit: str, form: str) -> None:
    """Twice the length of a block takes four times as long, there and at every opening."""
    shown = to_html(form.format(unit.replace("<&", "") * 60_000))
    assert max(map(len, blocks(shown))) <= MAX_INLINE_CHARS


def test_a_text_in_ascii_is_one_block() -> None:
    """A browser is quick for it, and most code is such."""
    assert escape_long_text("a < b\n" * 9000) == "a &lt; b\n" * 9000


def lens_of(*texts: str) -> str:
    """Return the saved lens of a reply of these tokens."""
    return lens_html(LensData(tuple(TokenProbability(text, -0.1) for text in texts), "m"))


OUTPUTS: dict[str, Callable[[str], str]] = {
    "arguments of a call": lambda text: reply_output(Reply(tool_calls=(ToolCall("1", "f", text),)))[
        "text/html"
    ],
    "name of a call": lambda text: reply_output(Reply(tool_calls=(ToolCall("1", text, ""),)))[
        "text/html"
    ],
    "reasoning": lambda text: reply_output(Reply(text="a", reasoning=text))["text/html"],
    "two replies": lambda text: comparison_output([Part("gone", text)], ("1", "2"))["text/html"],
    "words of two replies": lambda text: comparison_output(
        [Part("same", text[at : at + 9]) for at in range(0, len(text), 9)], ("1", "2")
    )["text/html"],
    "a repeated reply": lambda text: repeats_output([text, text], "")["text/html"],
    "a long token": lens_of,
    "tokens": lambda text: lens_of(*(text[at : at + 9] for at in range(0, len(text), 9))),
}


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("unit", ["א1a", "\u0301"])
def test_foreign_text_is_cut_into_blocks_wherever_it_is_shown(name: str, unit: str) -> None:
    """One long block of it would freeze the page at every opening of the notebook."""
    shown = blocks(OUTPUTS[name](unit * (40_000 // len(unit))))
    assert max(map(len, shown)) <= 2 * MAX_BLOCK_CHARS
    assert "".join(shown).count(unit) >= 1000


def test_pieces_of_a_text_are_joined_in_blocks_that_end_with_a_line_where_one_can() -> None:
    """What is short, or ASCII alone, is one block."""
    lines = [("é" * 99 + "\n", "<b>line</b>")] * 45
    sizes = [block.count("<b>line</b>") for block in join_blocks(lines).split("<div>")[1:]]
    assert sizes == [10, 10, 10, 10, 5]
    assert join_blocks(lines[:9]) == "<b>line</b>" * 9
    assert join_blocks([("a" * 1500, "a")] * 9) == "a" * 9


@pytest.mark.parametrize(
    ("text", "piled"),
    [
        ("a" + "\u0301" * (MAX_PILE - 1), False),
        ("a" + "\u0301" * MAX_PILE, True),
        ("ก" + "\u0e34\u0e48" * MAX_PILE, True),
        ("a" + "\u0301\u200d" * MAX_PILE, True),
        ("กิ่" * 1000, False),
        ("👩\u200d" * 1000, False),
    ],
)
def test_many_marks_on_one_letter_are_a_pile(text: str, piled: bool) -> None:
    """A paragraph with one is shown as plain text, in blocks, if it is long."""
    assert has_piles(text) == piled
    assert ("<pre" in to_html(text + "\u00e9" * MAX_BLOCK_CHARS)) == piled
