"""Long foreign text is cut into blocks, and stays the same text."""

from __future__ import annotations

import html
import re

import pytest

from di_magics.display.long_text import MAX_BLOCK_CHARS, escape_long_text
from di_magics.display.markdown import MAX_INLINE_CHARS, to_html

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
