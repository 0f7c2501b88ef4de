"""The code blocks of a reply, by CommonMark's rule for fences (https://spec.commonmark.org)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from di_magics.core.errors import ChatError
from di_magics.core.text import count_noun
from di_magics.core.visible import one_line

PYTHON = frozenset({"", "py", "python", "python3", "ipython", "ipython3", "pycon"})
_FENCE = re.compile(r"([ \t]*(?:(?:[-+*]|\d+[.)])[ \t]+)?)(`{3,}|~{3,})[ \t]*(.*)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code and the language that its fence names, in lower case; empty for none."""

    language: str
    code: str


def code_blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a text; a block that is not closed ends with the text."""
    blocks: list[Block] = []
    fence, indent, language = "", 0, ""
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if fence:
            bare, blank = line.strip(), len(line) - len(line.lstrip(" \t"))
            closes = bare and not bare.strip(fence[0]) and len(bare) >= len(fence)
            if closes and blank <= indent + 3:
                blocks.append(Block(language, "\n".join(lines)))
                fence = ""
            else:
                lines.append(line[min(indent, blank) :])
        elif (opened := _FENCE.fullmatch(line)) and not (opened[2][0] == "`" and "`" in opened[3]):
            fence, indent, lines = opened[2], len(opened[1].expandtabs(4)), []
            info = opened[3].split()
            language = info[0].strip("{}.").lower() if info else ""
    if fence:
        blocks.append(Block(language, "\n".join(lines)))
    return blocks


def select_code(text: str, named: str = "") -> str:
    """Return the code of a reply for a cell: all blocks, or the one that is `named`.

    A name is a block's number, counted from 1, or a language. Without a name, only Python blocks
    are returned if there are any. Raises ChatError if there is no such block.
    """
    every = code_blocks(text)
    if not every:
        raise ChatError("There is no code block in this reply. %chat show displays it.")
    if named.isdecimal() and len(named) < 6:
        if not 1 <= int(named) <= len(every):
            raise _no_block(named, every)
        return every[int(named) - 1].code
    if named:
        language = named.lower()
        meant = PYTHON - {""} if language in PYTHON else {language}
        wanted = [block for block in every if block.language in meant]
        if not wanted:
            raise _no_block(one_line(named, 40), every)
    else:
        wanted = [block for block in every if block.language in PYTHON] or every
    return "\n\n".join(block.code.strip("\n") for block in wanted)


def _no_block(named: str, every: Sequence[Block]) -> ChatError:
    return ChatError(
        f"There is no block {named}: this reply has {_list_blocks(every)}. Choose one of them by "
        "its number: %chat code 1."
    )


def _list_blocks(every: Sequence[Block]) -> str:
    named = (f"{n} {one_line(block.language, 20)}".strip() for n, block in enumerate(every, 1))
    return f"{count_noun(len(every), 'block')} ({', '.join(named)})"
