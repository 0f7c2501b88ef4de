"""A model's Markdown as output that is safe to save; the only file with markdown-it.

Model text is hostile: none of it becomes an element, a link that runs, or anything that loads. One
parser feeds two writers, so that HTML and Markdown agree: markdown-it's own for HTML, and
`markdown_writer`. What was written as Markdown is parsed again with HTML allowed, and if anything
in it is live, all of it is displayed as one block of code.

The time is limited. The inline Markdown of one block, a table, the nesting and coloured code are
bounded, because parsers are quadratic in some texts; a text beyond a bound is displayed as its
source. A clock is checked between the steps of the parser, and when the time is over the complete
text is displayed as it is. Nothing is ever left out.
"""

from __future__ import annotations

import html as stdlib_html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import fence, reference, table
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token

from di_magics.core.shown.formula import MAX_FORMULAS
from di_magics.core.visible import strip_controls
from di_magics.display import markdown_rules as rules
from di_magics.display.directions import RIGHT_TO_LEFT, set_directions
from di_magics.display.highlight import colour_code
from di_magics.display.long_text import MAX_BLOCK_CHARS, escape_long_text, has_piles
from di_magics.display.markdown_writer import OWN_TAGS, escape_line, fence_code, write_markdown

Bundle = dict[str, str]
"""An output by MIME type."""
MATH_OFF = "mathjax_ignore tex2jax_ignore"
MATH_ON = "mathjax_process tex2jax_process"
ELSEWHERE = {"rel": "noopener noreferrer nofollow", "target": "_blank"}
CODE_BOX = "margin: 8px 0; border: 1px solid #8886; border-radius: 3px"
CODE = "padding: 8px 12px"
PRE = "white-space: pre-wrap"
NOTE = "opacity: 0.7; font-size: 85%"
LEFT = "text-align:left"
LINKS = ("http://", "https://", "mailto:")
SECONDS = 2.0  # of this thread's time: for parsing, and again for checking
COLOUR_SECONDS = 0.5  # for all code of a reply
MAX_REPLY_CHARS = 400_000  # characters of a reply
MAX_INLINE_CHARS = 10_000  # characters of a paragraph, a heading or a cell of a table
MAX_BRACKETS = 200  # in it
MAX_GROWTH = 4  # how many times as long as the reply its Markdown may be

_TASK = re.compile(r"\[([ xX])\] ")
_EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f"
    "\uff00-\uffef\U00020000-\U0003ffff]"
)
_LANGUAGE = re.compile(r"[\w+#.-]{0,40}")
_OWN_TAG = re.compile(rf"</?(?:{'|'.join(OWN_TAGS)})>|<br>")


def escape_html(text: str) -> str:
    """Return text as HTML that displays it; a long one that is not ASCII is in blocks."""
    return escape_long_text(strip_controls(text))


def escape_markdown(text: str) -> str:
    """Return text as one line of Markdown that displays it."""
    return escape_line(strip_controls(text))


def to_html(source: str) -> str:
    """Return Markdown as an HTML element that is safe by construction.

    HTML in it is displayed as its source, links are http, https or mailto, an image is a link, and
    formulas are marked for the front end's typesetter, which ignores everything else.
    """
    source = strip_controls(source)
    try:
        env = _new_env(source)
        html = _parser().render(source, env)
    except rules.TooSlowError:
        return f'<pre class="{MATH_OFF}" style="{PRE}">{escape_long_text(source)}</pre>'
    return f'<div class="{MATH_OFF}">{html}</div>'


def to_markdown(source: str) -> str:
    """Return Markdown that displays the same and is harmless where HTML is rendered.

    HTML is escaped, images are links, links that are not http, https or mailto are text, and
    formulas are in dollars.
    """
    source = strip_controls(source)
    try:
        written = write_markdown(_parser().parse(source, _new_env(source)))
        if len(written) <= MAX_GROWTH * len(source) + 1000 and _is_harmless(written):
            return written
    except rules.TooSlowError:
        pass
    return fence_code(source, "text")


def _new_env(source: str) -> dict[str, Any]:
    if len(source) > MAX_REPLY_CHARS:
        raise rules.TooSlowError
    return {
        "clock": rules.Clock(SECONDS),
        "colour_clock": rules.Clock(COLOUR_SECONDS),
        "cells": len(source),
        "formulas": MAX_FORMULAS,
        "searches": rules.MAX_SEARCHES,
        "right_to_left": bool(RIGHT_TO_LEFT.search(source)),
    }


def _is_harmless(written: str) -> bool:
    """Return whether a parser that allows HTML finds nothing live in this."""
    env = {"clock": rules.Clock(SECONDS), "cells": len(written)}
    for token in _checker().parse(written, env):
        if token.type == "html_block" and "<" in _OWN_TAG.sub("", token.content):
            return False
        for child in token.children or ():
            if (
                child.type == "image"
                or (child.type == "html_inline" and not _OWN_TAG.fullmatch(child.content))
                or (child.type == "link_open" and not _is_safe_link(str(child.attrs["href"])))
            ):
                return False
    return True


def _is_safe_link(url: str) -> bool:
    return url.strip().lower().startswith(LINKS)


@cache
def _checker() -> MarkdownIt:
    parser = _bounded_parser(html=True)
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser


@cache
def _parser() -> MarkdownIt:
    parser = _bounded_parser(html=False)
    parser.validateLink = _is_safe_link  # type: ignore[method-assign]
    parser.core.ruler.at("inline", _read_inline)
    parser.core.ruler.push("tame", _sanitize)
    parser.inline.ruler.before("escape", "formula", rules.read_formula)
    parser.inline.ruler.before("escape", "environment", rules.read_environment)
    parser.inline.ruler.before("autolink", "small_html", rules.read_small_html)
    interrupts: Any = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.before("fence", "formula_block", rules.read_formula_block, interrupts)
    parser.block.ruler.before("fence", "fold", rules.read_fold, interrupts)
    parser.block.ruler.at("fence", rules.read_loose_fences(fence), interrupts)
    parser.block.ruler.before("lheading", "indent_formulas", rules.indent_formulas)
    parser.block.ruler.at("reference", rules.keep_definition(reference))
    parser.add_render_rule("math", _render_formula)
    parser.add_render_rule("fence", _render_fence)
    for cell in ("th_open", "td_open"):
        parser.add_render_rule(cell, _render_cell)
    return parser


def _bounded_parser(*, html: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": html, "maxNesting": rules.MAX_DEPTH + 20})
    parser.enable(["table", "strikethrough"])
    everywhere: Any = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.at("table", rules.bound_table(table), {"alt": ["paragraph", "reference"]})
    parser.block.ruler.before("table", "bound_nesting", rules.bound_nesting, everywhere)
    parser.inline.ruler.after("text", "check_time", rules.check_time_inline)
    return parser


class _Inline(StateInline):
    """Inline Markdown in which emphasis also begins and ends next to East Asian text.

    CommonMark has no emphasis in `**「a」**b`, because it expects spaces.
    """

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:
        scanned = super().scanDelims(start, canSplitWord)
        end = start + scanned.length
        before, after = self.src[max(start - 1, 0) : start], self.src[end : end + 1]
        if canSplitWord and (_EAST_ASIAN.match(before) or _EAST_ASIAN.match(after)):
            return Scanned(bool(after.strip()), bool(before.strip()), scanned.length)
        return scanned


def _read_inline(state: StateCore) -> None:
    for token in state.tokens:
        if token.type != "inline":
            continue
        size = len(token.content)
        is_long = size > MAX_BLOCK_CHARS and not token.content.isascii()
        if is_long and (size > MAX_INLINE_CHARS or has_piles(token.content)):
            raise rules.TooSlowError  # a browser's layout of such a paragraph is quadratic
        if size > MAX_INLINE_CHARS or token.content.count("[") > MAX_BRACKETS:
            token.children = list(_lines(token.content))
            continue
        token.children = []
        inline = _Inline(token.content, state.md, state.env, token.children)
        state.md.inline.tokenize(inline)
        for rule in state.md.inline.ruler2.getRules(""):
            rule(inline)
        token.children = inline.tokens


def _lines(text: str) -> Iterator[Token]:
    for number, line in enumerate(text.split("\n")):
        if number:
            yield Token("softbreak", "br", 0)
        yield Token("text", "", 0, content=line)


def _sanitize(state: StateCore) -> None:
    """Make links open in a new page without a referrer, images links, and tasks signs.

    Hidden parts of Markdown become visible: a title, the address of a link without a text, the
    text after the language of code.
    """
    kinds = ["", ""]
    for token in state.tokens:
        if token.children:
            first = token.children[0]
            task = _TASK.match(first.content)
            if task and kinds[-2:] == ["list_item_open", "paragraph_open"]:
                first.content = ("☐ " if task[1] == " " else "☑ ") + first.content[task.end() :]
            token.children = list(_sanitize_inline(state.md, token.children))
        elif token.type == "fence" and not _LANGUAGE.fullmatch(token.info.strip()):
            token.content = f"{token.info.strip()}\n{token.content}"
        kinds.append(token.type)
    if state.env["right_to_left"]:
        set_directions(state.tokens)


def _sanitize_inline(parser: MarkdownIt, tokens: Sequence[Token]) -> Iterator[Token]:
    title = ""
    within: list[Token] = []  # a link and its contents
    for token in tokens:
        if token.type == "image":
            inner = token.children or ()
            alt = "".join(" " if child.type == "softbreak" else child.content for child in inner)
            source = str(token.attrs.get("src", ""))
            text = f"[image: {alt or source}]"
            if not within:
                yield from _link(source, text)
                continue
            token = Token("text", "", 0, content=text)
        if token.type == "text" and not within:
            yield from _linkify(parser, token)
            continue
        if token.type == "link_open":
            title = str(token.attrs.pop("title", ""))
            token.attrs.update(ELSEWHERE)
        if token.type == "link_close":
            if not any(inner.content.strip() for inner in within):
                yield Token("text", "", 0, content=str(within[0].attrs["href"]))
            within = []
        elif within or token.type == "link_open":
            within.append(token)
        yield token
        if token.type == "link_close" and title:
            yield Token("text", "", 0, content=f" ({title})")


def _link(address: str, text: str) -> Iterable[Token]:
    yield Token("link_open", "a", 1, attrs={"href": address, **ELSEWHERE})
    yield Token("text", "", 0, content=text)
    yield Token("link_close", "a", -1)


def _linkify(parser: MarkdownIt, token: Token) -> Iterator[Token]:
    """Make a text's addresses into links."""
    text = token.content
    done = 0
    for start, end, address in rules.find_addresses(text):
        yield Token("text", "", 0, content=text[done:start])
        yield from _link(parser.normalizeLink(address), text[start:end])
        done = end
    token.content = text[done:]
    if token.content:
        yield token


def _render_cell(renderer: RendererHTML, tokens: Sequence[Token], at: int, *rest: Any) -> str:
    # JupyterLab aligns a cell without an alignment to the right.
    tokens[at].attrs.setdefault("style", LEFT)
    return renderer.renderToken(tokens, at, *rest)


def _render_formula(renderer: RendererHTML, tokens: Sequence[Token], at: int, *_: Any) -> str:
    token = tokens[at]
    latex = stdlib_html.escape(token.content)  # its length is limited
    if not token.meta["display"]:
        return f'<span class="{MATH_ON}">\\({latex}\\)</span>'
    html = f'<span class="{MATH_ON}">\\[{latex}\\]</span>'
    return f"<p>{html}</p>\n" if token.block else html


def _render_fence(
    renderer: RendererHTML, tokens: Sequence[Token], at: int, _: Any, env: Mapping[str, Any]
) -> str:
    token = tokens[at]
    info = token.info.split()
    code = colour_code(token.content, info[0] if info else "", env["colour_clock"])
    # JupyterLab colours elements of this class.
    pre = f'<pre style="{CODE}"><code>{code}</code></pre>'
    direction = renderer.renderAttrs(token)
    return f'<div class="highlight"{direction} style="{CODE_BOX}">{pre}</div>\n'
