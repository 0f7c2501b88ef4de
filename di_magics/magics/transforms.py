"""Brings a cell to the magics exactly as it was typed.

IPython runs a cell through cleanup transforms, which work on its lines, and then through token
transforms, which replace one piece of its special syntax after another by plain Python. Both would
change a prompt: prompts such as `>>> ` are stripped from every line, lines of spaces are emptied,
and a line that ends in `?` is a call for help. So the first cleanup transform here turns a
`%%chat` cell into the call of its magic before any other transform, and the token transform does
the same with a `%chat` line, in a block and behind `=` as well.

`has_side_effects` keeps a cleanup transform out of IPython's check whether a cell typed in a
terminal is complete. IPython's own rule holds there: a `%%chat` cell ends with an empty line.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Sequence
from typing import Any, NoReturn

from IPython.core.inputtransformer2 import (
    TokenTransformBase,
    assemble_continued_line,
    find_end_of_continued_line,
)

from di_magics.core.errors import ParamError

CELL = re.compile(r"(?P<indent>[ \t]*)%%chat(?P<flags>\s.*)?", re.DOTALL)
WRAPPER = re.compile(r"%%(?P<magic>capture|prun|time|timeit)(?P<rest>\s.*)?", re.DOTALL)
REPLIES = re.compile(r"(ask|retry|continue|fix)\b")
OPENING, CLOSING = ("(", "[", "{"), (")", "]", "}")


def find_chat_line(lines: Sequence[str]) -> int | None:
    """Return the index of a cell's `%%chat` line, None if it has none.

    Only empty lines and comments may stand above it.
    """
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            return number if CELL.fullmatch(line) else None
    return None


def call_cell(lines: list[str]) -> list[str]:
    """Return a `%%chat` cell, also one within %%time, as a call; other cells unchanged."""
    number = find_chat_line(lines)
    if number is None:
        wrapper = WRAPPER.fullmatch(lines[0]) if lines else None
        inner = call_cell(lines[1:]) if wrapper else []
        if wrapper is None or inner == lines[1:]:
            return lines
        return [_call("cell", wrapper["magic"], (wrapper["rest"] or "").strip(), "".join(inner))]
    match = CELL.fullmatch(lines[number])
    assert match
    body = "".join(line.removeprefix(match["indent"]) for line in lines[number + 1 :])
    # IPython refuses a cell magic without a body; `%%chat -h` needs none.
    return [
        _call("cell", "chat", (match["flags"] or "").strip(), body.replace("\r\n", "\n") or "\n")
    ]


call_cell.has_side_effects = True  # type: ignore[attr-defined]


def end_help_cell(lines: list[str]) -> list[str]:
    """Return a `%%chat -h` line with an empty line below, so that a terminal does not wait."""
    if len(lines) == 1 and re.fullmatch(r"%%chat\s(.*\s)?(-h|--help)\s*", lines[0]):
        return [*lines, "\n"]
    return lines


class CallLine(TokenTransformBase):
    """Turns a `%chat` line into the call of its magic, also one that ends with `?`.

    A line that asks becomes a statement, because the reply is displayed already and would be
    displayed again as the value of the cell. A semicolon at its end would not be enough within
    %%capture or %%time, where IPython looks for it in the cell around.
    """

    priority = 1

    def __init__(self, start: tuple[int, int], at: tuple[int, int]) -> None:
        super().__init__(start)  # type: ignore[no-untyped-call]
        self._at = at[0] - 1, at[1]

    @classmethod
    def find(cls, tokens_by_line: Sequence[Sequence[tokenize.TokenInfo]]) -> CallLine | None:
        """Return the first such line, by IPython's own tokens of the cell."""
        for line in tokens_by_line:
            tokens = [t for t in line if t.type not in (tokenize.INDENT, tokenize.DEDENT)]
            depth = 0
            for index, token in enumerate(tokens[:-1]):
                depth += (token.string in OPENING) - (token.string in CLOSING)
                if (
                    token.string == "%"
                    and depth == 0
                    and (not index or tokens[index - 1].string in ("=", ":", ";"))
                    and re.match(r"%chat\s+\S", token.line[token.start[1] :])
                ):
                    return cls(tokens[0].start, token.start)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with this one as a call."""
        row, column = self._at
        end = find_end_of_continued_line(lines, row)
        rest = assemble_continued_line(lines, self._at, end).removeprefix("%chat").strip()
        before = lines[row][:column]
        has_value = before.strip() or not REPLIES.match(rest)
        statement = "" if has_value else "if True: "
        call = statement + _call("line", "chat", rest)
        return [*lines[:row], before + call, *lines[end + 1 :]]


class MisplacedCell(TokenTransformBase):
    """Refuses a cell with code above its `%%chat` line: IPython would run only that code."""

    priority = 1

    @classmethod
    def find(cls, tokens_by_line: Sequence[Sequence[tokenize.TokenInfo]]) -> MisplacedCell | None:
        """Return the first such line, by IPython's own tokens of the cell."""
        for line in tokens_by_line:
            token = line[0] if line else None
            if token and token.start[1] == 0 and re.match(r"%%chat(?!\S)", token.line):
                return cls(token.start)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """Return a call that raises, in place of the cell."""
        return [f"__import__({__name__!r}, fromlist=['_']).refuse_misplaced_cell()\n"]


def refuse_misplaced_cell() -> NoReturn:
    """Raise ParamError for a cell with code above its `%%chat` line."""
    raise ParamError("Nothing was run: only comments may be above %%chat. Move it to its own cell.")


def _call(kind: str, *arguments: str) -> str:
    return f"get_ipython().run_{kind}_magic({', '.join(map(repr, arguments))})\n"


def add_transforms(shell: Any) -> None:
    """Add these transforms to the shell, before IPython's own."""
    shell.input_transformers_cleanup.insert(0, call_cell)
    shell.input_transformers_cleanup.append(end_help_cell)
    shell.input_transformer_manager.token_transformers += [CallLine, MisplacedCell]


def remove_transforms(shell: Any) -> None:
    """Remove the transforms, also those of a module that was reloaded since."""
    for transforms in (
        shell.input_transformers_cleanup,
        shell.input_transformer_manager.token_transformers,
    ):
        transforms[:] = [item for item in transforms if getattr(item, "__module__", "") != __name__]
