"""Where formulas are in Markdown: one rule for the live view, the saved HTML and its Markdown.

`\\(…\\)`, `\\[…\\]`, `$$…$$`, and `$…$` as Pandoc reads it
(https://pandoc.org/MANUAL.html#extension-tex_math_dollars): no space inside the dollars and no
digit after the last one, so that "$5 and $10" stays money. static/live.js holds the same rule.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# A formula ends within its paragraph: an opening that never closes must not swallow the rest.
_LINE = r"(?:[^\n]|\n(?![ \t]*\n))"
MATH = re.compile(
    rf"\\\((?P<round>{_LINE}+?)\\\)"
    rf"|\\\[(?P<square>{_LINE}+?)\\\]"
    rf"|\$\$(?P<display>(?:(?!\$\$){_LINE})+?)\$\$"
    rf"|\$(?![\s$])(?P<inline>(?:\\{_LINE}|(?![$\\]){_LINE})+?)(?<!\s)\$(?!\d)"
)
LONGEST = 5000
CLOSINGS = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}

# Commands with which a formula could link, load, style or redefine: such a formula is shown as
# its source.
UNSAFE = re.compile(
    r"\\(?:href|url|style|class|cssId|data|html\w*|require|(?:re)?newcommand|newenvironment"
    r"|[gex]?def|let|csname|mmlToken|bbox|unicode|includegraphics|img|tip|texttip|mathtip|toggle)"
    r"(?![A-Za-z])"
)


class Formula(NamedTuple):
    """A formula: its LaTeX, whether it stands on its own, and where it ends in the text."""

    latex: str
    display: bool
    end: int


def formula_at(text: str, start: int) -> Formula | None:
    """Return the formula that begins at this position, or None."""
    closing = CLOSINGS.get(text[start : start + 2], "$")
    if text.find(closing, start + 1, start + LONGEST) < 0:  # or openings alone would take long
        return None
    found = MATH.match(text, start, start + LONGEST)
    if not found or not found.lastgroup:
        return None
    latex = found[found.lastgroup]
    if not latex.strip() or UNSAFE.search(latex):
        return None
    return Formula(latex, found.lastgroup in ("square", "display"), found.end())
