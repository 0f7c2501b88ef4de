"""What a hostile model might say: fragments that break out where a parser is careless."""

from __future__ import annotations

import random

HARMLESS_ELEMENTS = frozenset(
    {
        *("a", "blockquote", "br", "code", "details", "div", "em", "hr", "li", "ol", "p", "pre"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "s", "span", "strong", "sub", "summary", "sup", "ul"),
        *("table", "tbody", "td", "th", "thead", "tr"),
    }
)
"""The elements that a saved reply may have."""
HARMLESS_ATTRIBUTES = frozenset({"class", "dir", "href", "rel", "start", "style", "target"})

RUN = "window.ran=1"
FRAGMENTS = (
    f"<script>{RUN}</script>",
    f'<img src=x onerror="{RUN}">',
    '<iframe srcdoc="<script>parent.ran=1</script>"></iframe>',
    f"<svg/onload={RUN}>",
    "<style>* { display: none }</style>",
    f"<a href='javascript:{RUN}'>a</a>",
    f"[a](javascript:{RUN})",
    f"[a](<javascript:{RUN}>)",
    f"[a](&#106;avascript:{RUN})",
    f"[a](java\nscript:{RUN})",
    f"[a]( javascript:{RUN} 'title')",
    f"![a](javascript:{RUN})",
    "![a](http://127.0.0.1:9/a.png)",
    "!![a](http://127.0.0.1:9/b.png)",
    "\\![a](http://127.0.0.1:9/c.png)",
    "[![a](http://127.0.0.1:9/d.png)](http://127.0.0.1:9/e)",
    f"[r]: javascript:{RUN}",
    f"[r]:\njavascript:{RUN}",
    f"[r\n]: <javascript:{RUN}>",
    "[r]",
    "[a][r]",
    "![a][r]",
    f"<javascript:{RUN}>",
    f"$<img src=x onerror={RUN}>$",
    f"$$<img src=x onerror={RUN}>$$",
    f"\\(<img src=x onerror={RUN}>\\)",
    f"$\\href{{javascript:{RUN}}}{{x}}$",
    f"\\\\(\\href{{javascript:{RUN}}}{{x}}\\\\)",
    f"\\$\\href{{javascript:{RUN}}}{{x}}\\$",
    f"&#36;\\href{{javascript:{RUN}}}{{x}}&#36;",
    f"\\begin{{align}}\\href{{javascript:{RUN}}}{{x}}\\end{{align}}",
    "$\\require{html}\\style{background:url(//127.0.0.1:9)}{x}$",
    f"$a`b$ [x](javascript:{RUN}) $c`d$",
    f"`$<img src=x onerror={RUN}>$`",
    "<details>\n",
    f"<details open ontoggle={RUN}>\n",
    f"<details><summary><img src=x onerror={RUN}></summary>\n",
    "\n</details>\n",
    "`",
    "``",
    "```",
    "~~~",
    "````\n",
    "```html\n",
    "- ```\n",
    "> ```\n",
    "    ",
    "\t",
    "- ",
    "1. ",
    "> ",
    "# ",
    "| a | b |\n|---|---|\n",
    "***",
    "---",
    "***bold",
    "_",
    "~~",
    "$",
    "$$",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
    "\\",
    "\\\\",
    "\\`",
    "\\$",
    "\\<",
    "[",
    "]",
    "](",
    "]:",
    "![",
    "(",
    ")",
    "<",
    ">",
    "</",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "&lt;",
    "</code>",
    "</pre>",
    "</span>",
    "<code>",
    "<pre>",
    "<details open ontoggle=window.ran=1>",
    "@@0@@",
    "@@1@@",
    "\ue0000\ue001",
    "\ue002",
    "\x00",
    "\u2028",
    "\x1b[31m",
    "https://example.org/a$b",
    "www.example.org",
    "mailto:a@b.c",
    "text",
    "a*b*c",
    "x < y > z",
    '```mermaid\ngraph TD; A-->B; click A "javascript:window.ran=1"\n```\n',
    f'"``` `|`\n```\n<img src=x onerror="{RUN}">\n```"',
    f"`|<img src=x onerror={RUN}>`",
    f"| `a|b` | <svg/onload={RUN}> |\n|---|---|\n| `|` | `|<img src=x onerror={RUN}>` |",
    f"``` `\n<img src=x onerror={RUN}>\n```",
    f"~~~ `\n<img src=x onerror={RUN}>\n~~~",
    f"    <img src=x onerror={RUN}>",
    f"\t<img src=x onerror={RUN}>",
    f"&lt;img src=x onerror={RUN}&gt;",
    f"&#60;img src=x onerror={RUN}&#62;",
    "&#96;&#96;&#96;",
    "&#10;&#10;    ",
    "&#91;a&#93;&#40;javascript:1&#41;",
    "&#33;[a](http://127.0.0.1:9/f.png)",
    f"<!--><img src=x onerror={RUN}>-->",
    f"<?<img src=x onerror={RUN}>?>",
    f"<![CDATA[<img src=x onerror={RUN}>]]>",
    f'<a title="`" href="javascript:{RUN}">`',
    f"<span></span><img src=x onerror={RUN}>",
    f"<sub><img src=x onerror={RUN}></sub>",
    "<sub>a</sub>",
    "<sup>",
    "<br>",
    "<br/>",
    f"<br onclick={RUN}>",
    f"$`$<img src=x onerror={RUN}>$`$",
    f"\\begin{{a}}`\\end{{a}}<img src=x onerror={RUN}>`",
    "\\begin{a}",
    "\\end{a}",
    f"[^1]: <img src=x onerror={RUN}>",
    "[^1]",
    "- [ ] ",
    "- [x] ",
    "10. ",
    "+ ",
    "* ",
    "|",
    "|-|-|\n",
    "---|---\n",
    "===\n",
    ": ",
    "ftp://example.org/a",
    "xmpp:a@b.c",
    "//example.org/a",
    "a@b.c",
    "**「a」**b",
    "\u202e\u2066",
    "\ud83d",
    "\u2029",
    "\x85",
    "\xa0",
    "\r",
    "\r\n",
    "\v",
    "\ufeff",
)
SEPARATORS = ("", "", " ", "\n", "\n\n", "\n    ", "\n- ", "\n> ", "\n  ", "|", "`")


def documents(count: int, seed: int = 1) -> list[str]:
    """Return so many texts put together at random, the same for the same seed."""
    draw = random.Random(seed)
    return [
        "".join(
            draw.choice(FRAGMENTS) + draw.choice(SEPARATORS) for _ in range(draw.randint(1, 14))
        )
        for _ in range(count)
    ]


def attacks() -> list[str]:
    """Return every pair of what may open something and a payload that would come after it."""
    payload = f"<img src=x onerror={RUN}>"
    openings = [text for text in FRAGMENTS if len(text) < 12]
    return [
        f"{first}{second}{payload}{first}\n{second}" for first in openings for second in openings
    ]


def structured(count: int, seed: int = 1, *, words: bool = False) -> list[str]:
    """Return so many texts of nested Markdown, of hostile fragments or of numbered words."""
    draw = random.Random(seed)
    return [_Structure(draw, words=words).blocks(0) for _ in range(count)]


class _Structure:
    """Draws Markdown: blocks in blocks, with text in them."""

    def __init__(self, draw: random.Random, *, words: bool) -> None:
        self._draw = draw
        self._words = words
        self._number = 0

    def blocks(self, depth: int) -> str:
        """Return blocks one after another."""
        between = "\n\n" if self._words else self._draw.choice(("\n", "\n\n"))
        most = 4 if depth < 2 else 2
        return between.join(self._block(depth) for _ in range(self._draw.randint(1, most)))

    def _block(self, depth: int) -> str:
        draw = self._draw
        folds = depth == 0 or not self._words  # elsewhere they are shown as their source
        kind = draw.randint(0, 8 + folds if depth < 5 else 4)
        if kind < 2:
            return self._line()
        if kind == 2:
            return f"{'#' * draw.randint(1, 7)} {self._line()}"
        if kind == 3:
            fence = draw.choice(("```", "~~~", "````"))
            return f"{fence}{draw.choice(('', 'python', 'c++ x'))}\n{self._line()}\n{fence}"
        if kind == 4:
            rows = [[self._text() for _ in range(2)] for _ in range(draw.randint(1, 3))]
            head, *rest = [f"| {' | '.join(row)} |" for row in rows]
            return "\n".join((head, draw.choice(("|---|---|", "|:-:|--:|")), *rest))
        if kind == 9:
            head = draw.choice((" ", "\n")) + f"<summary>{self._text()}</summary>"
            return f"<details>{head}\n{self.blocks(depth + 1)}\n</details>"
        opening = draw.choice(("- ", "* ", "1. ", "7) ", "> ", "- [ ] "))
        inner = self.blocks(depth + 1)
        indent = opening if opening == "> " else " " * len(opening.replace("[ ] ", ""))
        return opening + inner.replace("\n", "\n" + indent)

    def _line(self) -> str:
        return self._draw.choice((" ", "\n" if self._words else "")).join(
            self._text() for _ in range(self._draw.randint(1, 3))
        )

    def _text(self) -> str:
        if not self._words:
            return self._draw.choice(FRAGMENTS) + self._draw.choice(("", "", "|", "`", "\\"))
        self._number += 1
        word = f"w{self._number}w"
        shapes = (
            *("{}", "{}", "**{}**", "*{}*", "***{}***", "~~{}~~", "`{}`", "``{} ` ``", "<b>{}</b>"),
            *("[{}](https://a.b)", "![{}](https://a.b/c)", "[{}](javascript:1)", "{}<br>", "[{}]"),
            *("<sub>{}</sub>", "a_{}_b", "&lt;{}&gt;", "$5 {} $6", "<!-- {} -->", "\\*{}\\*"),
            *(
                '[a](https://a.b "{}")',
                "https://a.b/{}",
                "「**「{}」**」a",
                "\\begin{{x}}{}\\end{{x}}",
            ),
        )
        return self._draw.choice(shapes).format(word)
