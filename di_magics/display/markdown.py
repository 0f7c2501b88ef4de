"""A model's Markdown as output that is safe to save; the only file with markdown-it and Pygments.

Model text is hostile: none of it becomes an element, a link that runs, or anything that loads.
"""

from __future__ import annotations

import html as stdlib_html
import re
from collections.abc import Iterator, MutableMapping, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from di_magics.core.shown.formula import formula_at

MATH_OFF = "mathjax_ignore tex2jax_ignore"
MATH_ON = "mathjax_process tex2jax_process"
ELSEWHERE = {"rel": "noopener noreferrer nofollow", "target": "_blank"}
CODE_BOX = "margin: 8px 0; border: 1px solid #8886; border-radius: 3px"
CODE = "padding: 8px 12px"
LINKS = ("http://", "https://", "mailto:")
# Beyond these Markdown may take seconds to read; the text is then shown as it is.
LONGEST = 400_000
DEEPEST = 2000

_CONTROL = re.compile(r"\r\n?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(source: str) -> str:
    """Return the text without control characters: no terminal escapes, only line ends and tabs."""
    return _CONTROL.sub(lambda found: "\n" if found[0].startswith("\r") else "", source)


def escape(text: str) -> str:
    """Return text as HTML that shows it."""
    return stdlib_html.escape(plain(text))


def html(source: str) -> str:
    """Return Markdown as an HTML element that is safe by construction.

    HTML in it is shown as its source, links are http, https or mailto, an image is a link, and
    formulas are marked for the front end's typesetter, which leaves all else alone.
    """
    source = plain(source)
    if _pathological(source):
        return f'<pre class="{MATH_OFF}" style="white-space: pre-wrap">{escape(source)}</pre>'
    return f'<div class="{MATH_OFF}">{_parser().render(source)}</div>'


def _pathological(source: str) -> bool:
    longest_nest = max((len(run) for run in re.findall(r"[\[\]!*_>`~]{50,}", source)), default=0)
    return len(source) > LONGEST or longest_nest > DEEPEST


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True})
    parser.enable(["table", "strikethrough", "linkify"])
    parser.validateLink = _is_safe_link  # type: ignore[method-assign]
    parser.inline.ruler.before("escape", "math", _math_inline)
    parser.block.ruler.before(
        "fence",
        "math_block",
        _math_block,
        {"alt": ["paragraph", "reference", "blockquote", "list"]},
    )
    parser.core.ruler.push("links_and_images", _tame)
    parser.add_render_rule("math", _render_math)
    parser.add_render_rule("fence", _render_fence)
    return parser


def _is_safe_link(url: str) -> bool:
    return url.strip().lower().startswith(LINKS)


def _render_fence(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    at: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    token = tokens[at]
    words = token.info.split()
    code = _highlighted(token.content, words[0] if words else "")
    # JupyterLab colours what is in this class.
    pre = f'<pre style="{CODE}"><code>{code}</code></pre>'
    return f'<div class="highlight" style="{CODE_BOX}">{pre}</div>\n'


def _highlighted(code: str, language: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return escape(code)
    coloured = str(highlight(code, lexer, HtmlFormatter(nowrap=True)))
    # White space and plain names have no colour of their own, and are half of the bytes.
    return re.sub(r'<span class="[wn]">([^<]*)</span>', r"\1", coloured)


def _math_inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    formula = formula_at(state.src, state.pos)
    if formula is None:
        return False
    if not silent:
        token = state.push("math", "", 0)
        token.content = formula.latex
        token.meta = {"display": formula.display}
    state.pos = formula.end
    return True


def _math_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Read a formula that begins a line, before its lines could be read as lists or headings."""
    start = state.bMarks[start_line] + state.tShift[start_line]
    if state.is_code_block(start_line) or state.src[start : start + 2] not in ("$$", "\\["):
        return False
    line = start_line
    while line < end_line and state.bMarks[line] + state.tShift[line] < state.eMarks[line]:
        line += 1
    text = state.getLines(start_line, line, state.blkIndent, False).strip()
    formula = formula_at(text, 0)
    if formula is None or not formula.display or text[formula.end :].partition("\n")[0].strip():
        return False
    if silent:
        return True
    state.line = start_line + text[: formula.end].count("\n") + 1
    token = state.push("math", "", 0)
    token.content = formula.latex
    token.meta = {"display": True}
    token.map = [start_line, state.line]
    token.block = True
    return True


def _render_math(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    at: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    token = tokens[at]
    latex = escape(token.content)
    if not token.meta["display"]:
        return f'<span class="{MATH_ON}">\\({latex}\\)</span>'
    shown = f'<span class="{MATH_ON}">\\[{latex}\\]</span>'
    return f"<p>{shown}</p>\n" if token.block else shown


def _tame(state: StateCore) -> None:
    """Make links open elsewhere and say nothing of here, and images into links."""
    for token in state.tokens:
        if token.children:
            token.children = list(_tamed(token.children))


def _tamed(tokens: Sequence[Token]) -> Iterator[Token]:
    depth = 0
    for token in tokens:
        if token.type == "image":
            alt = "".join(child.content for child in token.children or ())
            source = str(token.attrs.get("src", ""))
            text = Token("text", "", 0, content=f"[image: {alt or source}]")
            if depth:
                yield text
            else:
                opening = Token("link_open", "a", 1, attrs={"href": source, **ELSEWHERE})
                yield from (opening, text, Token("link_close", "a", -1))
            continue
        if token.type == "link_open":
            depth += 1
            token.attrs.update(ELSEWHERE)
        elif token.type == "link_close":
            depth -= 1
        yield token


# Markdown for the saved `text/markdown`, which JupyterLab may render alone and trusted, HTML and
# all. What leaves here holds no `<` but in fences at the top level, which every reader of Markdown
# takes for code, and in `<code>`, `<pre>` and `<span>` of our own without attributes of theirs.

_SAFE_TARGET = re.compile(r"(?:https?://|mailto:)[^\s()<>\"'`\\$]*\)")
_SAFE_REFERENCE = re.compile(r"[ \t]*(?:https?://|mailto:)[^\s()<>\"'`\\$]*[ \t]*(?:\n|$)")
_PIECE = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`)"
    r"(?P<inside>(?:[^`\n]|\n(?![ \t]*\n)|(?!(?P=ticks)(?!`))`+)*?)"
    r"(?<!`)(?P=ticks)(?!`))"
    r"|(?P<escaped>\\[!-/:-@\[-`{-~])"
    r"|(?P<image>!+\[)"
    r"|(?P<target>\]\()"
    r"|(?P<reference>\]:)"
    r"|(?P<begin>\\(?=begin|end))"
    r"|(?P<special>[<$&])"
)


def markdown(source: str) -> str:
    """Return Markdown that shows the same and is harmless where its HTML would run.

    HTML is escaped, images are links, links that are not http, https or mailto are text, and
    formulas are in dollars.
    """
    source = plain(source)
    if _pathological(source):
        return _fenced(source, "text")
    lines = source.split("\n")
    parts: list[str] = []
    done = 0
    for token in _parser().parse(source):
        if token.type not in ("fence", "code_block") or not token.map:
            continue
        start, end = token.map
        if start < done:
            continue
        parts.append(_inert("\n".join(lines[done:start])))
        if token.level == 0:
            parts.append(_fenced(token.content, token.info))
        else:
            before = re.match(r"[\s>]*(?:[-+*]|\d{1,9}[.)])?[\s>]*", lines[start])
            code = _entities(token.content.rstrip("\n"))
            parts.append(f"{before[0] if before else ''}<pre><code>{code}</code></pre>")
        done = end
    parts.append(_inert("\n".join(lines[done:])))
    return "\n".join(parts).strip("\n")


def _fenced(code: str, info: str) -> str:
    """Return code in a fence of its own that nothing in it can close, blank lines around it."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    words = re.findall(r"^[\w+#.-]{1,40}", info.strip())
    # JupyterLab draws what is called mermaid.
    language = "" if not words or words[0].lower() == "mermaid" else words[0]
    body = code if code.endswith("\n") or not code else code + "\n"
    return f"\n{fence}{language}\n{body}{fence}\n"


def _entities(code: str) -> str:
    """Return code as HTML on one line in which no character means anything to Markdown."""
    return re.sub(r"[^\w ]", lambda found: f"&#{ord(found[0])};", code, flags=re.ASCII)


def _inert(text: str) -> str:
    parts: list[str] = []
    at = 0
    while found := _PIECE.search(text, at):
        parts.append(text[at : found.start()])
        at = found.end()
        formula = formula_at(text, found.start()) if found[0][0] in "$\\" else None
        if formula:
            parts.append(_dollars(formula.latex, formula.display))
            at = formula.end
        else:
            parts.append(_inert_piece(text, found))
    parts.append(text[at:])
    return "".join(parts)


def _inert_piece(text: str, found: re.Match[str]) -> str:
    piece = found[0]
    match found.lastgroup:
        case "code":
            inside = found["inside"].replace("\n", " ")
            if len(inside) > 2 and inside[0] == inside[-1] == " " and inside.strip():
                inside = inside[1:-1]
            return f"<code>{_entities(inside)}</code>"
        case "escaped":
            return _literal(piece[1]) if piece[1] in "\\$<&" else piece
        case "image":
            return "[image: "
        case "target":
            return piece if _SAFE_TARGET.match(text, found.end()) else "]\\("
        case "reference":
            return piece if _SAFE_REFERENCE.match(text, found.end()) else "]\\:"
        case _:
            return _literal(piece)


def _literal(character: str) -> str:
    """Return a character that means nothing here.

    The front end looks for formulas twice, in the Markdown and in the page; an element of its own
    keeps a dollar or a backslash from beginning one.
    """
    if character in "$\\":
        return f'<span class="{MATH_OFF}">&#{ord(character)};</span>'
    return escape(character)


def _dollars(latex: str, display: bool) -> str:
    r"""Return a formula as `$…$`; `<` would begin an element where the rest is read as HTML."""
    latex = latex.replace("<", r"\lt ").replace(">", r"\gt ")
    # Should a reader of Markdown not see the formula, what is in it must be as harmless.
    if re.search(r"[`$]|\]\s*[(:\[]|!\[|@@|\n\s*\n", latex):
        return f"<code>{_entities(latex)}</code>"
    return f"$${latex}$$" if display else f"${latex.strip()}$"
