"""Long foreign text, cut into blocks.

A browser lays out a block in quadratic time where it mixes directions or piles up marks: Chromium
needs a minute for 160,000 characters of it, at every opening of the notebook. In blocks the time is
linear. They end at line ends where there are some, and the text itself stays the same.
display/static/dom.js does so while a reply streams.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

BLOCK_CHARS = 1000  # after these a block ends with its line
MAX_BLOCK_CHARS = 2000
MAX_PILE = 100  # marks on one letter
_BLOCK = re.compile(rf"(?s).{{1,{MAX_BLOCK_CHARS - 1}}}\n|.{{1,{MAX_BLOCK_CHARS}}}")


def escape_long_text(text: str) -> str:
    """Return a text, which must have no control characters, as HTML.

    It is in blocks if it is long and not ASCII.
    """
    if text.isascii() or len(text) <= MAX_BLOCK_CHARS:
        return html.escape(text)
    return "".join(f"<div>{html.escape(block)}</div>" for block in _BLOCK.findall(text))


def join_blocks(pieces: Iterable[tuple[str, str]]) -> str:
    """Return the HTML of a text that is given as pairs of a piece and its HTML.

    It is in blocks if it is long and not ASCII.
    """
    blocks: list[list[str]] = [[]]
    is_ascii, size = True, 0
    end = MAX_BLOCK_CHARS
    for text, shown in pieces:
        if size >= end:
            blocks.append([])
            size = 0
        blocks[-1].append(shown)
        size += len(text)
        end = BLOCK_CHARS if text.endswith("\n") else MAX_BLOCK_CHARS
        is_ascii = is_ascii and text.isascii()
    joined = ["".join(block) for block in blocks]
    if is_ascii or len(joined) == 1:
        return "".join(joined)
    return "".join(f"<div>{block}</div>" for block in joined)


def has_piles(text: str) -> bool:
    """Return whether so many marks are on one letter that a browser is slow for the paragraph."""
    size = 0
    for character in text:
        size = size + 1 if unicodedata.category(character) in ("Mn", "Me", "Mc", "Cf") else 0
        if size >= MAX_PILE:
            return True
    return False
