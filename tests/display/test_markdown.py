"""Markdown to safe output: what it looks like, and that nothing hostile gets through."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from growth import cpu_seconds, growth
from hostile import FRAGMENTS, HARMLESS_ATTRIBUTES, HARMLESS_ELEMENTS, documents
from markdown_it import MarkdownIt

from di_magics.core.visible import strip_controls
from di_magics.display import markdown as render
from di_magics.display.markdown_rules import ADDRESS_ENDS

STYLES = {
    render.CODE_BOX,
    render.CODE,
    "text-align:left",
    "text-align:right",
    "text-align:center",
    "white-space: pre-wrap",
}


SLASH = "<span>&#92;</span>"
BARE_ENVIRONMENT = f"a\n{SLASH}begin\\{{b}}\n1 {SLASH}{SLASH}\n{SLASH}end\\{{b}}"


class Checker(HTMLParser):
    """Reads HTML and asserts that all of it is on the list of what is harmless."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check an element and its attributes."""
        self.found.append(tag)
        assert tag in HARMLESS_ELEMENTS, tag
        for name, value in attrs:
            assert name in HARMLESS_ATTRIBUTES, name
            assert name != "href" or (value or "").startswith(("http://", "https://", "mailto:"))
            assert name != "style" or value in STYLES

    def handle_data(self, data: str) -> None:
        """Take the text."""
        self.text += data

    def handle_comment(self, data: str) -> None:
        """There are none."""
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        """There are none."""
        raise AssertionError(decl)

    handle_pi = unknown_decl = handle_comment


def body(markdown: str) -> str:
    """Return the HTML without the element around it."""
    html = render.to_html(markdown)
    opening = f'<div class="{render.MATH_OFF}">'
    assert html.startswith(opening)
    return html.removeprefix(opening).removesuffix("</div>").strip()


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**a** *b* `c<d`", "<p><strong>a</strong> <em>b</em> <code>c&lt;d</code></p>"),
        ("a\n\n- b\n- c", "<p>a</p>\n<ul>\n<li>b</li>\n<li>c</li>\n</ul>"),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>"),
        ("~~x~~", "<p><s>x</s></p>"),
        ("[x](javascript:1)", "<p>[x](javascript:1)</p>"),
        ("[x](data:text/html,1)", "<p>[x](data:text/html,1)</p>"),
        ("[x](/lab)", "<p>[x](/lab)</p>"),
    ],
)
def test_markdown_becomes_html(markdown: str, html: str) -> None:
    """The usual constructs are formatted; raw HTML and unsafe links are shown as their source."""
    assert body(markdown) == html


def test_links_open_elsewhere_and_tell_nothing() -> None:
    """A link has rel and target; a bare address becomes one."""
    for markdown in ("[x](https://a.b)", "https://a.b"):
        assert 'rel="noopener noreferrer nofollow" target="_blank"' in body(markdown)


@pytest.mark.parametrize(
    ("text", "address", "rest"),
    [
        ("https://a.b/c（中文）d", "https://a.b/c", "（中文）d"),
        ("https://a.b/c，d", "https://a.b/c", "，d"),
        ("https://a.b。", "https://a.b", "。"),
        ("https://a.b/佐々木、", "https://a.b/佐々木", "、"),
        ("https://a.b/c?d=1！", "https://a.b/c?d=1", "！"),
        ("https://a.b/c”", "https://a.b/c", "”"),
        ("https://a.b/c.）", "https://a.b/c", ".）"),
    ],
)
def test_a_bare_address_ends_before_full_width_punctuation(
    text: str, address: str, rest: str
) -> None:
    """Where words have no spaces between them, a comma follows an address directly."""
    html = body(text)
    assert re.sub("<[^>]+>", "", html).strip() == text
    assert html.count("<a ") == 1
    assert f">{address}</a>{rest}</p>" in html


def test_the_live_view_ends_an_address_at_the_same_characters() -> None:
    """They are written in both files, because the widget's script should be small."""
    script = (Path(render.__file__).parent / "static" / "blocks.js").read_text("utf-8")
    assert ADDRESS_ENDS.encode().decode("unicode_escape") in script


def test_an_image_is_a_link() -> None:
    """Nothing loads unless it is clicked; within a link it is text."""
    assert ">[image: alt]</a>" in body("![alt](http://a.b/c.png)")
    assert body("[![alt](http://a.b/c.png)](http://d.e)").count("<a ") == 1


def test_code_is_coloured_by_classes() -> None:
    """A known language has the classes that JupyterLab colours, an unknown one is plain."""
    coloured = body("```python\ndef f(): ...\n```")
    assert coloured.startswith('<div class="highlight"')
    assert '<code><span class="k">def</span>' in coloured
    assert "<code>a &lt; b\n</code>" in body("```nothing-known\na < b\n```")


# Tests display/markdown_rules.
@pytest.mark.parametrize(
    ("markdown", "formulas"),
    [
        ("$a+b$", ["\\(a+b\\)"]),
        ("\\(a<b\\)", ["\\(a<b\\)"]),
        ("$$a$$", ["\\[a\\]"]),
        ("$$\na\n= b\n- c\n$$\n\ntext", ["\\[\na\n= b\n- c\n\\]"]),
        ("\\[a\n+ b\\]", ["\\[a\n+ b\\]"]),
        ("- item\n  $$\n  a\n  $$", ["\\[\na\n\\]"]),
        # Within a paragraph its lines are no list, quote, heading or underline.
        ("a $b\n+ c$ $d\n- e$\n- f", ["\\(b\n+ c\\)", "\\(d\n- e\\)"]),
        ("a\n$b$ \\(c\n> d\n=\n# e\\)", ["\\(b\\)", "\\(c\n> d\n=\n# e\\)"]),
        ("> - a $$b\n>   1. c$$ d", ["\\[b\n1. c\\]"]),
        ("- $5 `$` ``$ `\n- $6 `\n- b$ c", []),
        ("$5 and $10", []),
        ("$ a $", []),
        ("$a $", []),
        ("$a$1", []),
        ("\\$a$", []),
        ("`$a$` and `\\(b\\)`", []),
        ("```\n$a$\n```", []),
        ("$a\n\nb$", []),
        ("$a\\$b$", ["\\(a\\$b\\)"]),
        ("$x$ costs $5", ["\\(x\\)"]),
        ("$\\href{javascript:1}{x}$", []),
        ("$\\hrefs$", []),
    ],
)
def test_one_rule_says_what_a_formula_is(markdown: str, formulas: list[str]) -> None:
    """Pandoc's rule for one dollar, and the three delimiters that say it plainly."""
    result: list[str] = []

    class Spans(HTMLParser):
        inside = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.inside = ("class", render.MATH_ON) in attrs

        def handle_data(self, data: str) -> None:
            if self.inside:
                result.append(data)
            self.inside = False

    Spans().feed(body(markdown))
    assert result == formulas


def test_hostile_text_becomes_harmless_html() -> None:
    """Only elements, attributes and addresses on the list come out, whatever goes in."""
    for source in (*FRAGMENTS, *documents(1000)):
        Checker(render.to_html(source))


def test_the_saved_markdown_holds_no_html_but_ours() -> None:
    """Read by a parser that lets HTML through, it has the same harmless elements and no image."""
    reader = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table")
    reader.validateLink = lambda url: True  # type: ignore[method-assign]
    for source in (*FRAGMENTS, *documents(1000, seed=2)):
        Checker(reader.render(render.to_markdown(source)))


@pytest.mark.parametrize(
    ("source", "saved"),
    [
        ("a **b**\n\n- c", "a **b**\n\n- c"),
        ("[x](https://a.b/c)", "[x](https://a.b/c)"),
        ("![x](https://a.b/c)", "[&#91;image: x&#93;](https://a.b/c)"),
        ("[x](javascript:1)", "\\[x\\](javascript:1)"),
        ("<b>", "&lt;b>"),
        ("\\(a\\) and \\[b\\]", "$a$ and $$b$$"),
        ("$a<b$", "$a\\lt b$"),
        ("```python\na < b\n```", "```python\na < b\n```"),
        ("`a<b`", "<code>a&#60;b</code>"),
    ],
)
def test_the_saved_markdown_reads_as_markdown(source: str, saved: str) -> None:
    """What is harmless stays as it was written."""
    assert render.to_markdown(source) == saved


def test_control_characters_are_dropped() -> None:
    """No terminal escape survives in any of the forms."""
    source = "a\x1b[31mb\x07\x9bc\r\nd\te"
    assert strip_controls(source) == "a[31mbc\nd\te"
    for shown in (render.to_html(source), render.to_markdown(source), render.escape_html(source)):
        assert "\x1b" not in shown
        assert "\x9b" not in shown


# Tests display/markdown_writer.
@pytest.mark.parametrize(
    ("source", "saved"),
    [
        ("costs $5", "costs <span>&#36;</span>5"),
        ("AT&T &copy &lt;", "AT&T &amp;copy &lt;"),
        ("a_b __init__ 2*3 a[0]", "a_b **init** 2\\*3 a\\[0\\]"),
        ("C:\\temp \\\\(a", "C:\\\\temp <span>&#92;</span>(a"),
        ("# a #\n\nb\n===\n", "# a\n\n# b"),
        ("1\\. a\n\\- b\n\\# c", "1\\. a\n\\- b\n\\# c"),
        ("* a\n* b\n\n- c", "- a\n- b\n\n+ c"),
        ("3. a\n\n   b\n4. c", "3. a\n\n   b\n\n4. c"),
        ("- [x] a\n- [ ] b", "- ☑ a\n- ☐ b"),
        ("> a\n> - b", "> a\n>\n> - b"),
        ("- a\n  ```\n  b\n  ```", "- a\n  <pre><code>b</code></pre>"),
        ("a  \nb", "a\\\nb"),
        ("x<sub>2</sub> <sub>*</i></sub>", "x<sub>2</sub> &lt;sub>\\*&lt;/i>&lt;/sub>"),
        ("https://a.b/c d", "https://a.b/c d"),
        ('[x](https://a.b/(c) "t")', "[x](https://a.b/%28c%29) (t)"),
        ("[](https://a.b)", "https://a.b"),
        ("[1]: https://a.b\n\n[x][1]", "[1](https://a.b): https://a.b\n\n[x](https://a.b)"),
        ("**「a」**b", "<strong>「a」</strong>b"),
        ("你**好**吗", "你**好**吗"),
        (
            "|a|b|\n|-|-:|\n|`c|d`|e<br>f|",
            "| a | b |\n| --- | ---: |\n| <code>c&#124;d</code> | e<br>f |",
        ),
        ("|a|\n|-|\n|$|b|$|", "| a |\n| --- |\n| $\\vert b\\vert $ |"),
        (
            "|a|b|\n|-|-|\n|$P(A|B)$|1|\n|\\(|x|\\)|`a|b`|\n|`$a|b`|$2|",
            "| a | b |\n| --- | --- |\n| $P(A\\vert B)$ | 1 |\n"
            "| $\\vert x\\vert $ | <code>a&#124;b</code> |\n"
            "| <code>&#36;a&#124;b</code> | <span>&#36;</span>2 |",
        ),
        (
            "|a|b|\n|-|-|\n|$5|6$|",
            "| a | b |\n| --- | --- |\n| <span>&#36;</span>5 | 6<span>&#36;</span> |",
        ),
        (
            "|a|b|c|\n|-|-|-|\n|$|x|$|2|",
            "| a | b | c |\n| --- | --- | --- |\n| $\\vert x\\vert $ | 2 |  |",
        ),
        (
            "|a|b|\n|-|-|\n|$5|$6|",
            "| a | b |\n| --- | --- |\n| <span>&#36;</span>5 | <span>&#36;</span>6 |",
        ),
        ("|a|b|\n|-|-|\n|1|2|3|", "| a | b |\n| --- | --- |\n| 1 | 2&#124;3 |"),
        ("a\n\\begin{b}\n1 \\\\\n\\end{b}", BARE_ENVIRONMENT),
        ("```python a=1\nb\n```", "```python\npython a=1\nb\n```"),
        (
            "<details open><summary>$a\\*</summary>\n```\n<b>\n```\n</details>",
            "<details><summary><span>&#36;</span>a<span>&#92;</span>&#42;</summary>\n\n"
            "<pre><code>&#60;b&#62;</code></pre>\n\n</details>",
        ),
        ("```mermaid\na\n```", "```\na\n```"),
        ("```Vega-Lite\na\n```", "```\na\n```"),
        ("~~~math\na\n~~~", "```\na\n```"),
        ("```Python\na\n```", "```Python\na\n```"),
        ("```md\n# a\n```py\nb\n```\n```\nc", "````markdown\n# a\n```py\nb\n```\n````\n\nc"),
        ("```md\n```py\nb\n```\nc", "````md\n```py\nb\n````\n\nc"),
        # Code of an item at the margin, as far as the fence that closes it.
        (
            "1. a\n   ```py\nb\n\n  c\n```\n   d\n2. e",
            "1. a\n   <pre><code>b&#10;&#10;c</code></pre>\n\n   d\n2. e",
        ),
        ("- ```py\n\nb\n```\nc", "- <pre><code>&#10;b</code></pre>\n\nc"),
        ("> - ```\n> b\n> ```\n> c", "> - <pre><code>b</code></pre>\n>\n> c"),
        ("- a\n  ```\nb\n\nc", "- a\n  <pre><code></code></pre>\n\nb\n\nc"),
        ("- a\n  ```\n\n", "- a\n  <pre><code></code></pre>"),
    ],
)
def test_the_saved_markdown_is_written_anew(source: str, saved: str) -> None:
    """It is as plain as it can be, and each part of the source is in it."""
    assert render.to_markdown(source) == saved


HEBREW = "שלום"
RTL = '<p dir="rtl" style="text-align:right">'
MATH = f'<span class="{render.MATH_ON}">'
CELL = '<t{} style="text-align:right">'


# Tests display/directions.
@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**「a」**b", "<p><strong>「a」</strong>b</p>"),
        ("x<sup>2</sup> <sup>", "<p>x<sup>2</sup> &lt;sup&gt;</p>"),
        ("a<br>b", "<p>a<br />\nb</p>"),
        ("- [x] a", "<ul>\n<li>☑ a</li>\n</ul>"),
        (
            "<details>\n<summary>**<b>a</b>** <i onclick=b></summary>\n\n- c\n</details>\nd",
            "<details>\n<summary>\n**a** &lt;i onclick=b&gt;</summary>\n"
            "<ul>\n<li>c</li>\n</ul>\n</details>\n<p>d</p>",
        ),
        ("<details>\na", "<p>&lt;details&gt;\na</p>"),
        (f"{HEBREW}\n\n- a", f'{RTL}{HEBREW}</p>\n<ul dir="ltr">\n<li>a</li>\n</ul>'),
        (
            f"- `a()` {HEBREW}\n- a\n\n  - b",
            f'<ul dir="rtl">\n<li>\n<p style="text-align:right"><code dir="ltr">a()</code> {HEBREW}'
            '</p>\n</li>\n<li>\n<p style="text-align:right">a</p>\n<ul>\n<li>b</li>\n</ul>\n</li>\n'
            "</ul>",
        ),
        (
            f"> 1\n>\n> {HEBREW}\n>\n> a",
            f'<blockquote dir="rtl">\n<p>1</p>\n{RTL}{HEBREW}</p>\n<p dir="ltr">a</p>\n'
            "</blockquote>",
        ),
        (f"# $x$ {HEBREW}", f'<h1 dir="rtl">{MATH}\\(x\\)</span> {HEBREW}</h1>'),
        (
            f"|{HEBREW}|\n|-|\n|1|",
            f'<table dir="rtl">\n<thead>\n<tr>\n{CELL.format("h")}{HEBREW}</th>\n</tr>\n</thead>\n'
            f"<tbody>\n<tr>\n{CELL.format('d')}1</td>\n</tr>\n</tbody>\n</table>",
        ),
        ("\\begin{a}\\\\\\end{a}", "<p>\\begin{a}\\\\\\end{a}</p>"),
    ],
)
def test_what_is_shown_beyond_plain_markdown(markdown: str, html: str) -> None:
    """Emphasis beside East Asian text, small HTML, folds, tasks, and text from right to left."""
    assert body(markdown) == html


def text_of(html: str) -> str:
    """Return the text that a page shows."""
    return Checker(html).text


@pytest.mark.parametrize("opening", ["- ", "> ", "1. ", "- > ", "* 1. > "])
@pytest.mark.parametrize("depth", [5, 10, 20, 100, 1000])
def test_no_nesting_is_too_deep_to_show(opening: str, depth: int) -> None:
    """What is nested deep is there, and so is all that follows it."""
    source = f"{opening * depth}deep [a](https://a.b)\n\nafter"
    reader = MarkdownIt("commonmark", {"html": True, "maxNesting": 1000})
    for html in (render.to_html(source), reader.render(render.to_markdown(source))):
        assert "deep" in text_of(html)
        assert "after" in text_of(html)


def test_an_indented_list_of_many_levels_is_whole() -> None:
    """Each of its items is shown."""
    source = "\n".join(f"{'  ' * level}- w{level}" for level in range(60)) + "\n\nafter"
    for text in (render.to_markdown(source), text_of(render.to_html(source))):
        words = re.findall(r"w\d+|after", text)
        assert words == [*(f"w{level}" for level in range(60)), "after"]


def test_a_reply_that_takes_long_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is over, it is one block of text, in Markdown one that nothing can close."""
    monkeypatch.setattr(render, "SECONDS", 0)
    source = "**a** <b> `c`\n\n```\n[d](https://a.b)\n```\n\n" * 100
    html = render.to_html(source)
    assert html.startswith("<pre ")
    assert text_of(html) == source
    saved = render.to_markdown(source)
    (fence,) = MarkdownIt().parse(saved)
    assert (fence.type, fence.content) == ("fence", source)


def test_what_is_live_after_all_is_saved_as_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the writer wrong, the check of what it wrote would find it."""
    for live in ("<b>", "![a](http://a.b)", "[a](javascript:1)", "- <p onclick=a>\n"):
        monkeypatch.setattr(render, "write_markdown", lambda tokens, live=live: live)
        assert render.to_markdown("source") == "```text\nsource\n```"


# Texts that some parser is slow on, as long as is asked for.
SLOW: dict[str, Callable[[int], str]] = {
    "two runs of backticks": lambda n: f"`a{'`' * n}b",
    "backticks of all lengths": lambda n: " ".join("`" * (i % 50 + 1) for i in range(n // 26)),
    "ever longer backticks": lambda n: " ".join("`" * i for i in range(1, math.isqrt(2 * n))),
    "one column of many": lambda n: "|a" * 128 + "\n" + "|-" * 128 + "\n" + "|a\n" * (n // 3),
    "a square table": lambda n: _table(math.isqrt(n), n // 2),
    "a row of open formulas": lambda n: "|a|\n|-|\n|" + "$a|" * (n // 3),
    "a wide table": lambda n: "|a" * (n // 4) + "\n" + "|-" * (n // 4) + "\n",
    "an indented list": lambda n: "\n".join(" " * (i % 60 * 2) + "- a" for i in range(n // 63)),
    "a deep list": lambda n: "\n".join(" " * (2 * i) + "- a" for i in range(math.isqrt(n))),
    "definitions": lambda n: "".join(f"[a{i}]: http://a\n" for i in range(n // 15)),
    "a definition used often": lambda n: "[a]: http://a\n\n" + "[a]" * (n // 3),
    "an open fence": lambda n: "~~~\n" + "a\n" * (n // 2),
    "quotes in code": lambda n: f"```python\n{chr(34) * n}\n```",
    "comments in code": lambda n: f"```js\n{'/*' * (n // 2)}\n```",
    "paragraphs of brackets": lambda n: ("[" * 190 + "\n\n") * (n // 192),
    "paragraphs of stars": lambda n: ("_a*" * 1000 + "\n\n") * max(1, round(n / 3002)),
}
REPEATED = (
    *("[", "![", "](", "[a](", "[a][b]", "*", "*a ", "a* ", "_a*", "*a_b~~c", "**x* ", "***a*** "),
    *("<", "<a ", "<!-- ", "<?", "<sub>", "&", "&#", "&amp", "&amp;", "$", "$a", "$$a", "$a$ "),
    *("\\(a", "\\[", "\\", "\\*", "\\begin{a}", "http://a.b.", "http://a ", "www.a.", "a@a.", "a."),
    *(
        "a",
        " ",
        "\t",
        "a\n",
        "\n",
        "```\n",
        "```md\n```a\n```\n",
        "# ",
        "a\n=\n",
        "    a\n",
        "<div>\n",
        "> a\n\n",
        "- a\n\n",
    ),
    *(
        "> ",
        "- ",
        "1. a\n",
        "|a|b|\n",
        "|-|-|\n",
        "[a\n",
        "[a]: b\n",
        '[a]: http://a "x\n',
        "$$\na\n",
    ),
    *(
        "「**」",
        "![a](http://a.b) ",
        "- [ ] a\n",
        "`a` ",
        "`` ` ",
        "~~~\na\n",
        "![[",
        "\x00",
        "\u2028",
    ),
)


def _table(columns: int, rows: int) -> str:
    return "|a" * columns + "|\n" + "|-" * columns + "|\n" + "|\n" * rows


@pytest.mark.parametrize("name", [*SLOW, *map(repr, REPEATED)])
def test_time_grows_with_length_only(name: str) -> None:
    """Twice the text takes at most three times as long, whatever it is made of."""
    unit = next((unit for unit in REPEATED if repr(unit) == name), "")
    make: Callable[[int], str] = SLOW.get(name, lambda n: unit * (n // len(unit)))
    size = 6_000 if "\n" in make(1000) else 4_900  # a longer paragraph is shown as it is
    for function in (
        *(render.to_html, render.to_markdown),
        *(strip_controls, render.escape_html, render.escape_markdown),
    ):
        assert growth(function, size, make) <= 3


@pytest.mark.parametrize("unit", ["`", "[", "*a ", "$", "http://a.b.", "|-|-|\n", "> ", "a"])
def test_no_reply_takes_long_to_format(unit: str) -> None:
    """Of the longest reply that is read at all, one that is made to be slow takes seconds."""
    source = unit * (render.MAX_REPLY_CHARS // len(unit))
    assert cpu_seconds(lambda: render.to_html(source)) < render.SECONDS + 2
    assert cpu_seconds(lambda: render.to_markdown(source)) < 2 * render.SECONDS + 2


@pytest.mark.parametrize(("size", "most"), [(1, 500), (90, 500), (150, 250), (4900, 10)])
def test_formulas_have_a_total_length(size: int, most: int) -> None:
    """A long one counts as several; what is beyond the limit is shown as its source."""
    source = f"$x{'+' * (size - 1)}$\n\n" * (most + 9)
    assert render.to_html(source).count('<span class="mathjax_process') == most
    assert render.to_markdown(source).count("&#36;</span>x") == 9
