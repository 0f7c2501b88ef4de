"""What IPython must not make of a cell: help of a question, an error of a line without a prompt."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.inputtransformer2 import TokenTransformBase

from di_magics.magics.cell import RunningCell

# A question, a retry, or what was meant as a question; in front of it perhaps a variable.
ASKS = re.compile(r"(?P<name>\w+\s*=\s*)?%chat (?P<rest>ask .*|(?:retry|fix)(?: .*)?|\S+ .*\?\s*)$")


class PassAskLine(TokenTransformBase):
    """Passes `%chat ask …?` through, which IPython would turn into help for the last word.

    It also ends the line in a semicolon: the reply is shown already, and need not be once more as
    the cell's value.
    """

    priority = 1

    @classmethod
    def find(cls, tokens_by_line: Any) -> PassAskLine | None:
        """Return the first such line, found by IPython's own reading of the cell."""
        for line in tokens_by_line:
            if line and line[0].start[1] == 0 and ASKS.match(line[0].line.rstrip("\n")):
                return cls(line[0].start)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with this one as a call of the magic."""
        at = self.start_line
        found = ASKS.match(lines[at].rstrip("\n"))
        assert found
        call = f"get_ipython().run_line_magic('chat', {found['rest']!r})"
        shown = f"{found['name']}{call}\n" if found["name"] else f"{call};\n"
        return [*lines[:at], shown, *lines[at + 1 :]]


class EmptyBody:
    """Gives a cell that is nothing but a `%%chat` line an empty body, so that it is ours.

    IPython would answer for us, and `%%chat -h` needs no prompt. Where a line is only looked at to
    know whether more will be typed, it stays as it is.
    """

    def __init__(self, place: RunningCell) -> None:
        self._place = place

    def __call__(self, lines: list[str]) -> list[str]:
        """Return the cell's lines."""
        line = lines[0].rstrip() if lines else ""
        if not re.match(r"%%chat(?![\w?])[^?]*$", line) or "".join(lines[1:]):
            return lines
        if self._place.executing or re.search(r"\s(-h|--help)$", line):
            return [line + "\n", "\n"]
        return lines
