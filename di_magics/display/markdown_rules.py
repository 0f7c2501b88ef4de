"""Additional rules for markdown-it, written for the states that it passes to a rule.

Every rule returns whether it applies at the position, and moves the state past the text it read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from di_magics.core.shown.formula import MAX_FORMULA_CHARS, Formula, formula_at

if TYPE_CHECKING:
    from markdown_it.parser_block import RuleFuncBlockType
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

MAX_DEPTH = 40  # a list in a list is two deeper
MAX_FORMULA_LINES = 10  # of a formula within a paragraph
MAX_SEARCHES = 100  # in a reply, for the end of a fold or of a fence with others in it

ADDRESS_ENDS = (
    r"\u2018-\u201f\u2026\u3001\u3002\u3008-\u3011\u3014-\u301f\uff01-\uff0f\uff1a-\uff20"
)
"""Full-width punctuation and quotes, for a class of a regular expression, as in `blocks.js`.

In Chinese and Japanese they follow an address without a space, so they end it.
"""

_ADDRESS = re.compile(
    rf"(?<![\w@./-])(?:(?P<scheme>https?://|www\.)[^\s<>\"`\\{ADDRESS_ENDS}]+"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}(?![\w@/-]))"
)
_CELL_PIECE = re.compile(r"\\.|`+|\||\$|[^\\`|$]+|\\")
_TICKS = re.compile("`+")
_ESCAPED = re.compile(r"(\\\\)|\\\|")
_SMALL = re.compile(r"<(sub|sup)>([^<>\n]{1,200})</\1>|<br ?/?>")
_FENCE_LINE = re.compile(r"(?P<marks>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)")
_MARKDOWN = re.compile("markdown|mdx?", re.IGNORECASE)
_OPENS = re.compile(r"\\.|`+|\$", re.DOTALL)
_ENDS_PARAGRAPH = re.compile(r"(?:[-+*]|\d{1,9}[.)])(?:\s|$)|[>#=`~<]|\$\$|\\\[|[-*_]{3}")
_FOLD = re.compile(r"<details(?: open)?> *(?:<summary>(?P<head>.{0,300}?)</summary> *)?")
_FOLD_HEAD = re.compile(r" *<summary>(?P<head>.{0,300}?)</summary> *")
_FOLD_END = "</details>"
_HEAD_TAG = re.compile(r"</?(?:b|strong|i|em|code)>")
_ENVIRONMENT = re.compile(r"\\begin\{([A-Za-z]{1,20}\*?)\}")


class TooSlowError(Exception):
    """A text needs more time than allowed."""


class Clock:
    """Raises TooSlowError when the time is over; looks at the time at every 64th check."""

    def __init__(self, seconds: float) -> None:
        self._end = time.thread_time() + seconds
        self._checks = 0

    def check(self) -> None:
        """Raise TooSlowError if the time is over."""
        self._checks += 1
        if not self._checks & 63 and time.thread_time() > self._end:
            raise TooSlowError


def find_addresses(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the start, the end and the link of every address in a text."""
    for match in _ADDRESS.finditer(text):
        scheme = match["scheme"] or ""
        address = match[0].rstrip("?!.,:;*_~'\"()[]{}|" if scheme else ".-")
        if match[0][len(address) :].startswith(")") and address.count("(") > address.count(")"):
            address += ")"
        if len(address) > len(scheme):
            prefix = {"www.": "http://", "": "mailto:"}.get(scheme, "")
            yield match.start(), match.start() + len(address), prefix + address


def check_time_inline(state: StateInline, silent: bool) -> bool:
    """Raise TooSlowError if the time is over."""
    state.env["clock"].check()
    return False


def bound_nesting(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Display too deep nesting as its source, and raise TooSlowError if the time is over."""
    state.env["clock"].check()
    if silent or state.level < MAX_DEPTH:
        return False
    line = start_line + 1
    while line < end_line and not 0 <= state.sCount[line] < state.blkIndent:
        line += 1
    state.line = line
    token = state.push("code_block", "code", 0)
    token.content = state.getLines(start_line, line, state.blkIndent, False) + "\n"
    token.map = [start_line, line]
    return True


def bound_table(table: RuleFuncBlockType) -> RuleFuncBlockType:
    """Return the rule for tables, without those that have more cells than characters.

    Rows are filled up to the width of the head, so that a small text could become a large table.
    Cells beyond this width are put into the last cell, because they would be left out.
    """

    def read_table(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
        if state.env["cells"] < 0 or not table(state, start_line, end_line, True):
            return False
        if silent:
            return True
        columns = state.src.count("|", state.bMarks[start_line], state.eMarks[start_line]) + 1
        line = start_line
        while line < end_line and not state.isEmpty(line):
            line += 1
        state.env["cells"] -= columns * (line - start_line)
        first = len(state.tokens)
        if state.env["cells"] < 0 or not table(state, start_line, end_line, False):
            return False
        _keep_all_cells(state, first)
        return True

    return read_table


def _keep_all_cells(state: StateBlock, first: int) -> None:
    row: list[Token] = []
    for token in state.tokens[first:]:
        if token.type == "tr_open":
            row = []
        elif token.type == "inline":
            row.append(token)
        elif token.type == "tr_close" and row and row[0].map:
            line = row[0].map[0]
            start = state.bMarks[line] + state.tShift[line]
            cells = split_cells(state.src[start : state.eMarks[line]], len(row))
            for inline, cell in zip(row, cells, strict=False):
                inline.content = cell


def split_cells(line: str, columns: int) -> list[str]:
    """Return the cells of a table's row that has too many, otherwise [].

    The row is split again, but not at pipes within code and formulas. If there are still too many,
    the last cell has the rest of the row.
    """
    line = line.strip().removeprefix("|")
    if not line.endswith("\\|"):
        line = line.removesuffix("|")
    if _CELL_PIECE.findall(line).count("|") < columns:
        return []
    cells = [""]
    for piece in _cell_pieces(line):
        if piece == "|" and len(cells) < columns:
            cells.append("")
        else:
            cells[-1] += _ESCAPED.sub(lambda escaped: escaped[1] or "|", piece)
    return [cell.strip() for cell in cells] + [""] * (columns - len(cells))


def _cell_pieces(line: str) -> Iterator[str]:
    """Yield the pieces of a row: code, formulas, pipes, and the text between them."""
    last = {piece[0]: piece.start() for piece in _CELL_PIECE.finditer(line)}
    at = 0
    while piece := _CELL_PIECE.match(line, at):
        end = piece.end()
        if piece[0][0] == "`" and last[piece[0]] > at:
            closing = (ticks for ticks in _TICKS.finditer(line, end) if ticks[0] == piece[0])
            end = next(closing).end()
        elif piece[0][0] in "$\\" and (formula := formula_at(line, at)):
            end = formula.end
        yield line[at:end]
        at = end


def read_loose_fences(fence: RuleFuncBlockType) -> RuleFuncBlockType:
    """Return the rule for fences, which accepts two habits of models.

    A fence of Markdown may contain other fences with a language; in CommonMark the inner end also
    closes the outer one. The code of a fence in a list item may be at the left margin; in
    CommonMark that ends the item.
    """

    def read_fence(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
        opening = _FENCE_LINE.fullmatch(_line(state, start_line))
        if silent or not opening or state.is_code_block(start_line) or state.env["searches"] <= 0:
            return fence(state, start_line, end_line, silent)
        if _MARKDOWN.fullmatch(opening["info"]):
            find, info = _closing_fence, "markdown"
        elif _is_at_margin(state, start_line + 1, end_line):
            find, info = _closing_at_margin, opening["info"]
        else:
            return fence(state, start_line, end_line, silent)
        state.env["searches"] -= 1
        closing = find(state, start_line + 1, end_line, opening["marks"])
        if closing is None:
            return fence(state, start_line, end_line, silent)
        token = state.push("fence", "code", 0)
        token.info, token.markup = info, opening["marks"]
        token.content = state.getLines(start_line + 1, closing, state.sCount[start_line], True)
        token.map = [start_line, closing + 1]
        state.line = closing + 1
        return True

    return read_fence


def _closing_fence(state: StateBlock, line: int, end_line: int, marks: str) -> int | None:
    """Return the line that closes a fence with others in it; None if there are no others."""
    depth, nested = 0, False
    for at in range(line, end_line):
        if not state.isEmpty(at) and state.sCount[at] < state.blkIndent:
            return None
        fence = _FENCE_LINE.fullmatch(_line(state, at))
        if fence and fence["info"]:
            depth, nested = depth + 1, True
        elif fence and depth:
            depth -= 1
        elif fence and fence["marks"].startswith(marks):
            return at if nested else None
    return None


def _is_at_margin(state: StateBlock, line: int, end_line: int) -> bool:
    """Return whether the first line of code is further left than the item it is in."""
    while line < end_line and state.isEmpty(line):
        line += 1
    return line < end_line and 0 <= state.sCount[line] < state.blkIndent


def _closing_at_margin(state: StateBlock, line: int, end_line: int, marks: str) -> int | None:
    for at in range(line, end_line):
        fence = _FENCE_LINE.fullmatch(_line(state, at))
        if fence and not fence["info"] and fence["marks"].startswith(marks):
            return at
    return None


def keep_definition(reference: RuleFuncBlockType) -> RuleFuncBlockType:
    """Return the rule for definitions of links that also displays them, used or not."""

    def read_definition(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
        if not reference(state, start_line, end_line, silent):
            return False
        state.push("paragraph_open", "p", 1)
        inline = state.push("inline", "", 0)
        inline.content = state.getLines(start_line, state.line, state.blkIndent, False).strip()
        inline.children = []
        state.push("paragraph_close", "p", -1)
        return True

    return read_definition


def read_formula(state: StateInline, silent: bool) -> bool:
    """Read a formula."""
    if state.src[state.pos] not in "$\\" or state.env["formulas"] <= 0:
        return False
    formula = formula_at(state.src, state.pos)
    if formula is None or formula.end > state.posMax:
        return False
    if not silent:
        _push_formula(state, formula)
    state.pos = formula.end
    return True


def read_formula_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Read a formula that begins a line, before its lines could be read as lists or headings."""
    start = state.bMarks[start_line] + state.tShift[start_line]
    if (
        state.is_code_block(start_line)
        or state.src[start : start + 2] not in ("$$", "\\[")
        or state.env["formulas"] <= 0
    ):
        return False
    closing = "$$" if state.src[start] == "$" else "\\]"
    end = state.src.find(closing, start + 2, start + MAX_FORMULA_CHARS)
    line = start_line
    while line < end_line and state.bMarks[line] <= end and not state.isEmpty(line):
        line += 1
    text = state.getLines(start_line, line, state.blkIndent, False).strip()
    formula = formula_at(text, 0)
    if formula is None or not formula.display or text[formula.end :].partition("\n")[0].strip():
        return False
    if silent:
        return True
    token_map = [start_line, start_line + text[: formula.end].count("\n") + 1]
    state.line = token_map[1]
    _push_formula(state, formula)
    state.tokens[-1].block = True
    state.tokens[-1].map = token_map
    return True


def indent_formulas(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Indent the later lines of a formula in this paragraph, so that none of them begins a list.

    Always returns False: the other rules read the paragraph.
    """
    line, at, held = start_line, 0, 1
    while line < state.lineMax and not state.isEmpty(line) and state.env["formulas"] > 0:
        if not held and _ENDS_PARAGRAPH.match(_line(state, line)):
            break
        end = held = 0
        if re.search(r"\$|\\[(\[]", _line(state, line)):
            last = min(line + MAX_FORMULA_LINES, state.lineMax)
            text = state.getLines(line, last, state.blkIndent, False)
            end = _formula_end(text, at)
            held = text.count("\n", 0, end)
            end -= text.rfind("\n", 0, end) + 1
        for below in range(line + 1, line + held + 1):
            state.sCount[below] = state.blkIndent + 4
        line, at = line + max(held, 1), end if held else 0
    return False


def _formula_end(text: str, at: int) -> int:
    """Return where the formula ends that begins on the first line and goes on below, or 0."""
    first = text.find("\n")
    while opening := _OPENS.search(text, at, max(first, 0)):
        at = opening.end()
        if opening[0][0] == "`":
            at = max(at, text.find(opening[0], at) + len(opening[0]))
        elif formula := formula_at(text, opening.start()):
            at = formula.end
            if at > first:
                return at
    return 0


def _push_formula(state: StateInline | StateBlock, formula: Formula) -> None:
    state.env["formulas"] -= formula.weight
    token = state.push("math", "", 0)
    token.content = formula.latex
    token.meta = {"display": formula.display}


def read_fold(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Read `<details>` … `</details>` on the top level, each tag on a line of its own.

    The line after the first may have a `<summary>`; what follows is Markdown.
    """
    opening = _FOLD.fullmatch(_line(state, start_line)) if state.level == 0 else None
    if opening is None or state.env["searches"] <= 0:
        return False
    if silent:
        return True
    state.env["searches"] -= 1
    closing = _closing_line(state, start_line + 1, end_line)
    if closing is None:
        return False
    first = start_line + 1
    head = opening
    if opening["head"] is None and (below := _FOLD_HEAD.fullmatch(_line(state, first))):
        head, first = below, first + 1
    token = state.push("details_open", "details", 1)
    token.map = [start_line, closing + 1]
    state.push("summary_open", "summary", 1)
    text = _HEAD_TAG.sub("", head["head"] or "").strip()
    state.push("text", "", 0).content = text or "Details"
    state.push("summary_close", "summary", -1)
    last, state.lineMax = state.lineMax, closing
    state.md.block.tokenize(state, first, closing)
    state.lineMax = last
    state.push("details_close", "details", -1)
    state.line = closing + 1
    return True


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].rstrip()


def _closing_line(state: StateBlock, line: int, end_line: int) -> int | None:
    """Return the line that closes a fold, with folds in it."""
    depth = 1
    for at in range(line, end_line):
        text = _line(state, at)
        depth += bool(_FOLD.match(text)) - (text == _FOLD_END)
        if depth == 0:
            return at
    return None


def read_environment(state: StateInline, silent: bool) -> bool:
    r"""Read `\begin{…}…\end{…}` that is not a formula by itself: its `\\` is not an escape."""
    begin = _ENVIRONMENT.match(state.src, state.pos, state.posMax)
    if not begin:
        return False
    closing = f"\\end{{{begin[1]}}}"
    last = min(state.posMax, state.pos + MAX_FORMULA_CHARS)
    end = state.src.find(closing, begin.end(), last)
    if end < 0:
        return False
    end += len(closing)
    if not silent:
        for number, line in enumerate(state.src[state.pos : end].split("\n")):
            if number:
                state.push("softbreak", "br", 0)
            state.push("text", "", 0).content = line
    state.pos = end
    return True


def read_small_html(state: StateInline, silent: bool) -> bool:
    """Read HTML that Markdown cannot express: `<br>`, and a text in `<sub>` or `<sup>`."""
    small = _SMALL.match(state.src, state.pos, state.posMax)
    if not small:
        return False
    if not silent:
        tag = small[1]
        if tag:
            state.push(f"{tag}_open", tag, 1)
            state.push("text", "", 0).content = small[2]
            state.push(f"{tag}_close", tag, -1)
        else:
            state.push("hardbreak", "br", 0)
    state.pos = small.end()
    return True
