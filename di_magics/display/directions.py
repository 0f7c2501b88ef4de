"""The directions of the blocks of a reply with text from right to left, such as Hebrew and Arabic.

`dir="auto"` would not do: a browser counts the letters of code, and leaves out the blocks within a
list that have a direction of their own, so that the list's marks stay on the left. The live view
has the same rule: `static/rebuild.js`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

RIGHT = "text-align:right"
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_LETTER = re.compile(r"[^\W\d_]")
_DIRECTED = re.compile("(?:paragraph|heading|bullet_list|ordered_list|blockquote|table)_open")
_WHOLE = ("bullet_list_open", "ordered_list_open", "table_open")
_CELLS = ("th_open", "td_open")
_CODE = ("code_inline", "code_block", "fence")


def set_directions(tokens: Sequence[Token]) -> None:
    """Give each block the direction of its first letter outside of code and formulas.

    An outermost list or table has one direction, for all that is in it. Code is from left to right.
    """
    around: list[Token] = []
    for token in tokens:
        if token.nesting > 0:
            around.append(token)
        elif token.nesting < 0:
            around.pop()
        for part in (token, *(token.children or ())):
            if part.type in _CODE:
                part.attrSet("dir", "ltr")
        texts = (part.content for part in token.children or () if part.type == "text")
        if letter := next(filter(None, map(_LETTER.search, texts)), None):
            _direct(around, "rtl" if RIGHT_TO_LEFT.match(letter[0]) else "ltr")
    table = tokens[0]
    for token in tokens:  # JupyterLab aligns cells and paragraphs to one side
        table = token if token.type == "table_open" else table
        if token.type in _CELLS and table.attrs.get("dir") == "rtl":
            token.attrs.setdefault("style", RIGHT)


def _direct(around: Sequence[Token], direction: str) -> None:
    """Set the direction of the blocks around a letter that have none yet."""
    whole = ""
    for block in around:
        if not whole and _DIRECTED.match(block.type):
            own = str(block.attrs.setdefault("dir", direction))
            whole = own if block.type in _WHOLE else ""
        if block.type == "paragraph_open" and (whole or block.attrs["dir"]) == "rtl":
            block.attrSet("style", RIGHT)
