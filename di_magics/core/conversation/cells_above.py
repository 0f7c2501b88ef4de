"""Cells of the notebook as a text that goes along with a prompt.

The cells nearest to the prompt are kept, whole or with the middle of a long part left out. The note
of the attachment says how many cells there are, how many tokens, and what was left out.
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
# Also as Quarto writes a cell's tags, in one line or one each.
_PRIVATE_LINE = re.compile(r"\s*#\s*\|\s*(?:tags:.*\b|-\s*)?private\b", re.IGNORECASE)


class CellAbove(NamedTuple):
    """A cell: its title, such as `Cell [5]`; its source, output and error; how many images."""

    title: str
    source: str
    output: str = ""
    error: str = ""
    images: int = 0


def attach_cells(cells: Iterable[CellAbove], origin: str, missing: int = 0) -> Attachment:
    """Return these cells as an attachment; `cells` begins with the last one.

    Its note says where they come from (`origin`, such as `of the page`), and what was left out:
    also `missing` cells further above.
    """
    texts: list[str] = []
    shortened, images, room = 0, 0, MAX_CHARS
    left_out = 0
    for cell in cells:
        parts = [part.strip("\n") for part in (cell.source, cell.output, cell.error)]
        text = _cell_text(cell.title, [cut_middle(part, MAX_PART_CHARS) for part in parts])
        room -= len(text)
        if room < 0 or left_out:
            left_out += 1
            continue
        shortened += sum(len(part) > MAX_PART_CHARS for part in parts)
        images += cell.images
        texts.insert(0, text)
    text = "\n\n".join(texts)
    size = f"about {estimate_text_tokens(text):,} tokens"
    note = [f"{count_noun(len(texts), 'cell')} {origin}, {size}"]
    note += [f"{count_noun(shortened, 'long text')} shortened"] if shortened else []
    left_out += missing
    note += [f"{count_noun(left_out, 'cell')} further above left out"] if left_out else []
    note += [f"{count_noun(images, 'image')} left out"] if images else []
    return Attachment("text", NAME, "; ".join(note), text)


def _cell_text(title: str, parts: list[str]) -> str:
    titles = (title, "Its output", "Its error")
    blocks = [f"{title}:\n{fence_block(part)}" for title, part in zip(titles, parts, strict=True)]
    return "\n".join(block for block, part in zip(blocks, parts, strict=True) if part)


def says_private(code: str) -> bool:
    """Return whether one of the comments that a cell begins with is `#| private`."""
    for line in code.splitlines():
        if _PRIVATE_LINE.match(line):
            return True
        if line.strip() and not line.lstrip().startswith(("#", "%%")):
            return False
    return False
