r"""Parsed Markdown as Markdown again, so plain that all programs read it alike.

The saved `text/markdown` is hostile text that JupyterLab may render alone and trusted, with its
HTML. Programs differ in what they read as code, a table or a link, and any difference can make HTML
live. So nothing of the source is copied: the parser's result is written again.

* In text, every character that could begin anything is escaped, `<` and `&` as entities.
* HTML is only the tags in `OWN_TAGS`, without attributes.
* Code spans hold nothing that another rule could see first; other code is `<code>` with entities.
* Fences are at the top level only, longer than any run of backticks in them, and of a language in
  `LANGUAGES` or none. Code in lists and quotes is one line of `<pre><code>` with entities.
* No image, no reference definition; links are http, https or mailto, percent-encoded.
* A formula is in dollars, without anything that would be live where dollars mean nothing.
* What pandoc reads in addition is escaped: a backslash before a word is LaTeX, a brace after code,
  a link or a heading holds HTML attributes, `^` is raised text, `:::` a box, `%` a title.

JupyterLab removes formulas from the source before it reads Markdown, and typesets what looks like
one in the page afterwards. So a dollar that is only a dollar is an entity in an element of its own,
and so is a backslash that could begin a formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from markdown_it.token import Token

OWN_TAGS = ("code", "details", "em", "pre", "s", "span", "strong", "sub", "summary", "sup")
MARKS = {"strong": "**", "em": "*", "s": "~~"}
_NAMES = """
bash c c# c++ cpp cs csharp css diff dockerfile go html ini
java javascript js json julia kotlin lua markdown matlab md perl php powershell py
python python3 r ruby rust scala sh shell sql swift text toml ts txt typescript xml
yaml yml zsh
"""
LANGUAGES = frozenset(_NAMES.split())
"""The languages that code keeps. Front ends and plugins draw code of some others: mermaid, math."""
ALIGNMENTS = {"left": ":---", "right": "---:", "center": ":---:"}
HIGHEST_NUMBER = 999_999_999  # of an item of a list

_BARE_ADDRESS = re.compile(r"https?://[A-Za-z0-9-]+(?:[./][A-Za-z0-9-]+)*/?")
_PLAIN_CODE = re.compile(r"(?! )[^`<&$\\|\n]+(?<! )")
_LIVE_IN_CODE = re.compile(r"\]\s*[(:\[]|!\[|@@")
_LIVE_IN_FORMULA = re.compile(r"[`$]|\]\s*[(:\[]|!\[|@@|://|xmpp:|\n\s*\n|&#?\w+;")
_TEXT = re.compile(
    r"[`*~^\[\]{<$|]|&(?=#|[A-Za-z][A-Za-z0-9])|\\(?!begin|end|ref|eqref)[A-Za-z0-9]|\\"
    r"|(?<![^\W_])_|_(?![^\W_])|!(?=\[|$)|(?<=\S)@|(?<=ftp):|(?<=xmpp):"
)
_ENTITIES = re.compile(r"[\\`*_\[\]<>&$|~!:#{}\"'\n\t]|(?<=www)\.")


def write_markdown(tokens: Sequence[Token]) -> str:
    """Return parsed Markdown as Markdown that displays the same and has nothing live."""
    blocks = _read_blocks(iter(tokens), "", nested=False)
    return "\n\n".join(block.text for block in blocks)


def fence_code(code: str, info: str) -> str:
    """Return code in a fence that nothing in it can close; only `LANGUAGES` are named."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    language = "".join(info.split()[:1])
    name = language if language.lower() in LANGUAGES else ""
    body = code if code.endswith("\n") or not code else code + "\n"
    return f"{fence}{name}\n{body}{fence}"


def escape_line(text: str) -> str:
    """Return text as one line of Markdown that shows it."""
    return _escape(text, begins=True, entities="").strip()


class _Block(NamedTuple):
    kind: str
    text: str


def _read_blocks(tokens: Iterator[Token], closing: str, *, nested: bool) -> list[_Block]:
    """Return the blocks up to the token that closes them."""
    blocks: list[_Block] = []
    for token in tokens:
        if token.type == closing:
            break
        before = blocks[-1] if blocks else None
        block = _read_block(token, tokens, before, nested=nested)
        if block.text:
            blocks.append(block)
    return blocks


def _read_block(
    token: Token, tokens: Iterator[Token], before: _Block | None, *, nested: bool
) -> _Block:
    kind = token.type.removesuffix("_open")
    match kind:
        case "paragraph":
            kind = "tight" if token.hidden else kind
            text = _write_inline(_children(tokens), one_line=False)
        case "heading":
            heading = _write_inline(_children(tokens), one_line=True)
            text = f"{'#' * int(token.tag[1])} {heading}"
        case "bullet_list" | "ordered_list":
            return _read_list(token, tokens, before)
        case "blockquote":
            inner = "\n\n".join(b.text for b in _read_blocks(tokens, f"{kind}_close", nested=True))
            text = "\n".join(f"> {line}".rstrip(" ") for line in inner.split("\n"))
        case "table":
            text = _read_table(tokens)
        case "hr":
            text = "***"
        case "math":
            text = _write_formula(token, one_line=nested, cell=False)
        case "details":
            head = re.sub("&#(36|92);", r"<span>\g<0></span>", _encode(_summary(tokens)))
            parts = [b.text for b in _read_blocks(tokens, f"{kind}_close", nested=True)]
            text = "\n\n".join([f"<details><summary>{head}</summary>", *parts, "</details>"])
        case _:  # code
            code = token.content
            text = _write_nested_code(code) if nested else fence_code(code, token.info)
    return _Block(kind, text)


def _children(tokens: Iterator[Token]) -> list[Token]:
    inline = next(tokens)
    next(tokens)
    return inline.children or []


def _summary(tokens: Iterator[Token]) -> str:
    _, text, _ = islice(tokens, 3)
    return text.content


def _write_nested_code(code: str) -> str:
    return f"<pre><code>{_encode(code.removesuffix(chr(10)))}</code></pre>"


def _read_list(opening: Token, tokens: Iterator[Token], before: _Block | None) -> _Block:
    ordered = opening.type == "ordered_list_open"
    # A list directly after another would join it if it had the same marker.
    marks = ".)" if ordered else "-+"
    mark = marks[1] if before and before.kind == f"list{marks[0]}" else marks[0]
    number = int(opening.attrs.get("start", 1)) if ordered else 0
    closing = opening.type.replace("_open", "_close")
    items: list[str] = []
    loose = False
    for token in tokens:
        if token.type == closing:
            break
        marker = f"{min(number + len(items), HIGHEST_NUMBER)}{mark}" if ordered else mark
        blocks = _read_blocks(tokens, "list_item_close", nested=True)
        loose = loose or any(block.kind == "paragraph" for block in blocks)
        text = _join(blocks)
        indent = " " * (len(marker) + 1)
        items.append(re.sub(r"\n(?=[^\n])", "\n" + indent, f"{marker} {text}".rstrip(" ")))
    return _Block(f"list{mark}", ("\n\n" if loose else "\n").join(items))


def _join(blocks: Sequence[_Block]) -> str:
    """Return the blocks of an item; a tight list has no blank line before a list or code."""
    text = ""
    for before, block in zip((None, *blocks), blocks, strict=False):
        at_once = (
            before and before.kind == "tight" and re.match(r"(?:[-+]|1[.)]) \S|<pre>", block.text)
        )
        text += ("\n" if at_once else "\n\n" if before else "") + block.text
    return text


def _read_table(tokens: Iterator[Token]) -> str:
    rows: list[list[str]] = []
    sides: list[str] = []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            if token.type == "th_open":
                side = str(token.attrs.get("style", "")).rpartition(":")[2]
                sides.append(ALIGNMENTS.get(side, "---"))
            rows[-1].append(_write_inline(_children(tokens), one_line=True, cell=True))
    rows.insert(1, sides)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _write_inline(children: Sequence[Token], *, one_line: bool, cell: bool = False) -> str:
    """Return inline Markdown; on one line for headings, and without a pipe for a table's cell."""
    pieces: list[str] = []
    open_marks: list[int] = []
    marks: list[tuple[int, int, str]] = []
    address, bare, begins = "", False, True
    entities = "|" if cell else ""
    for at, token in enumerate(children):
        match token.type:
            case "text":
                escaped = _escape(token.content, begins=begins, entities=entities)
                piece = token.content if bare else escaped
                if re.match(r"\$\d", _last(pieces, len(pieces)) + piece):
                    piece = f"<span></span>{piece}"  # pandoc reads no formula before a digit
            case "softbreak":
                piece = " " if one_line else "" if begins else "\n"
            case "hardbreak":
                piece = "<br>" if one_line else "\\\n"
            case "code_inline":
                piece = _write_code(token.content, entities)
            case "math":
                glue = "<span></span>" if pieces and pieces[-1].endswith("$") else ""
                piece = glue + _write_formula(token, one_line=True, cell=cell)
            case "link_open":
                bare = _is_bare(children, at, pieces)
                address = _write_target(str(token.attrs["href"]))
                piece = "" if bare else "["
                entities += "[]"
            case "link_close":
                piece = "" if bare else f"]({address})"
                bare = False
                entities = entities.removesuffix("[]")
            case "strong_open" | "em_open" | "s_open":
                open_marks.append(len(pieces))
                piece = f"<{token.tag}>"
            case "strong_close" | "em_close" | "s_close":
                opened = open_marks.pop()
                if not open_marks:
                    marks.append((opened, len(pieces), MARKS[token.tag]))
                piece = f"</{token.tag}>"
            case _:  # sub and sup
                piece = f"<{'/' if token.nesting < 0 else ''}{token.tag}>"
        pieces.append(piece)
        begins = piece.endswith("\n") if piece else begins
    for opened, closed, mark in marks:
        if _reads_as_mark(pieces, opened, closed):
            pieces[opened] = pieces[closed] = mark
    return re.sub(r"(?:\\\n)+$", "", "".join(pieces)).strip()


def _reads_as_mark(pieces: Sequence[str], opened: int, closed: int) -> bool:
    """Return whether all programs read stars around these pieces in the same way."""
    inner = "".join(pieces[opened + 1 : closed])
    outer = (_last(pieces, opened), _first(pieces, closed))
    for inside, outside in zip((inner[:1], inner[-1:]), outer, strict=True):
        at_word = inside.isalnum() and outside not in "*~_<>\\"
        alone = not outside.strip() and inside.strip() and inside not in "*~_"
        if not (at_word or alone):
            return False
    return True


def _last(pieces: Sequence[str], before: int) -> str:
    return next((pieces[at][-1] for at in range(before - 1, -1, -1) if pieces[at]), " ")


def _first(pieces: Sequence[str], after: int) -> str:
    return next((pieces[at][0] for at in range(after + 1, len(pieces)) if pieces[at]), " ")


def _is_bare(children: Sequence[Token], at: int, pieces: Sequence[str]) -> bool:
    """Return whether this link is an address that every program reads as a link by itself."""
    if not all(token.type == "text" for token in children[at + 1 : at + 2]):
        return False
    text, after = children[at + 1].content, children[at + 3 : at + 4]
    return bool(
        children[at + 2].type == "link_close"
        and text == children[at].attrs["href"]
        and _BARE_ADDRESS.fullmatch(text)
        and not _last(pieces, len(pieces)).strip()
        and all(t.type == "softbreak" or t.content.startswith(" ") for t in after)
    )


def _write_target(address: str) -> str:
    return re.sub(r"&(?=[#A-Za-z])", "&amp;", quote(address, safe=":/?#@%.,;=+&~_-"))


def _escape(text: str, *, begins: bool, entities: str) -> str:
    """Return text in which no character has a meaning in Markdown.

    A table's cell has pipes as entities, and a link's text brackets, because there are programs
    that take off the backslash of an escape and read the rest again.
    """
    text = re.sub(r"[ \t\n]+", " ", text)
    if begins:
        text = text.lstrip(" ")
    escaped = _TEXT.sub(lambda match: _escape_character(match[0], entities), text)
    if begins:
        escaped = re.sub(r"^(\d+)([.)](?= |$))|^([-+#=:%])", r"\1\\\2\3", escaped)
        escaped = re.sub(r"^>", "&gt;", escaped)
    return escaped


def _escape_character(character: str, entities: str) -> str:
    match character:
        case "<":
            return "&lt;"
        case "&":
            return "&amp;"
        case "\\" | "$":
            return f"<span>&#{ord(character)};</span>"
        case ":" | "@" if "[" not in entities:
            return f"<span>{character}</span>"
        case "`" | "!":
            return f"&#{ord(character)};"
        case _ if character in entities:
            return f"&#{ord(character)};"
        case ":" | "@":
            return character
        case _:
            return "\\" + character


def _encode(code: str) -> str:
    """Return code as HTML on one line in which no character means anything to Markdown."""
    encoded = _ENTITIES.sub(lambda match: f"&#{ord(match[0])};", code)
    return encoded.replace("@", "<span>@</span>")  # or an entity would still be an address


def _write_code(code: str, entities: str) -> str:
    bracket = "[" in entities and re.search(r"[\[\]]", code)
    if not bracket and _PLAIN_CODE.fullmatch(code) and not _LIVE_IN_CODE.search(code):
        return f"`{code}`"
    return f"<code>{_encode(code)}</code>"


def _write_formula(token: Token, *, one_line: bool, cell: bool) -> str:
    r"""Return a formula in dollars; `<` would begin an element where the rest is read as HTML."""
    latex = re.sub("< ?", r"\\lt ", re.sub("> ?", r"\\gt ", token.content))
    display = token.meta["display"]
    if not display:
        latex = latex.strip()
    if cell:
        latex = latex.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
    comment = "%" in latex and "\n" in latex
    if one_line:
        latex = latex.replace("\n", " ")
    groups = re.sub(r"\\.", "", latex)
    if (
        (comment and one_line)
        or _LIVE_IN_FORMULA.search(latex)
        or groups.count("{") != groups.count("}")
    ):
        return f"<code>{_encode(token.content)}</code>"
    return f"$${latex}$$" if display else f"${latex}$"
