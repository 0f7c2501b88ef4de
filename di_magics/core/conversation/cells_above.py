"""Cells of the notebook as a text that goes along with a prompt.

The newest cells are kept, whole or with the middle of a long part left out; the note of the
attachment says how many cells there are, how many tokens, and what was left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from di_magics.core.conversation.attachment import Attachment, fence_block
from di_magics.core.text import count_noun, cut_middle
from di_magics.core.tokens import estimate_text_tokens

NAME = "cells above"
MAX_PART_CHARS = 4_000  # characters of a cell's code, or of its output
MAX_CHARS = 24_000  # characters of all


PRIVATE = "private"
"""The tag of a cell that is not sent along with others."""
_PRIVATE_LINE = re.compile(r"\s*#\s*\|\s*private\b", re.IGNORECASE)


class RanCell(NamedTuple):
    """A cell that has run: its number, its code, and its output and error as text."""

    number: int
    code: str
    output: str = ""
    error: str = ""


def attach_cells(cells: Iterable[RanCell]) -> Attachment:
    """Return these cells as an attachment; `cells` has the newest first."""
    texts: list[str] = []
    shortened, left_out, room = 0, 0, MAX_CHARS
    for cell in cells:
        parts = [part.strip("\n") for part in (cell.code, cell.output, cell.error)]
        text = _cell_text(cell.number, [cut_middle(part, MAX_PART_CHARS) for part in parts])
        room -= len(text)
        if room < 0 or left_out:
            left_out += 1
            continue
        shortened += sum(len(part) > MAX_PART_CHARS for part in parts)
        texts.insert(0, text)
    text = "\n\n".join(texts)
    note = [f"{count_noun(len(texts), 'cell')}, about {estimate_text_tokens(text):,} tokens"]
    note += [f"{count_noun(shortened, 'long text')} shortened"] if shortened else []
    note += [f"{count_noun(left_out, 'older cell')} left out"] if left_out else []
    return Attachment("text", NAME, "; ".join(note), text)


def _cell_text(number: int, parts: list[str]) -> str:
    titles = (f"Cell [{number}]:", "Its output:", "Its error:")
    blocks = [f"{title}\n{fence_block(part)}" for title, part in zip(titles, parts, strict=True)]
    return "\n".join(block for block, part in zip(blocks, parts, strict=True) if part)


def says_private(code: str) -> bool:
    """Return whether one of the comments that a cell begins with is `#| private`."""
    for line in code.splitlines():
        if _PRIVATE_LINE.match(line):
            return True
        if line.strip() and not line.lstrip().startswith(("#", "%%")):
            return False
    return False
