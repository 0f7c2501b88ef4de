"""Markdown to safe output: what it looks like, and that nothing hostile gets through."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hostile import FRAGMENTS, documents
from markdown_it import MarkdownIt

from di_magics.display import markdown as render

ELEMENTS = {
    *("a", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr"),
    *("li", "ol", "p", "pre", "s", "span", "strong", "sub", "sup", "ul"),
    *("table", "tbody", "td", "th", "thead", "tr"),
}
ATTRIBUTES = {"class", "dir", "href", "rel", "target", "start", "style"}
STYLES = {
    render.CODE_BOX,
    render.CODE,
    "text-align:left",
    "text-align:right",
    "text-align:center",
    "white-space: pre-wrap",
}


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
        assert tag in ELEMENTS, tag
        for name, value in attrs:
            assert name in ATTRIBUTES, name
            assert name != "href" or (value or "").startswith(("http://", "https://", "mailto:"))
            assert name != "style" or value in STYLES

    def handle_data(self, data: str) -> None:
        """Take the text."""
        self.text += data

    def handle_comment(self, data: str) -> None:
        """There are none."""
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


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


@pytest.mark.parametrize(
    ("markdown", "formulas"),
    [
        ("$a+b$", ["\\(a+b\\)"]),
        ("\\(a<b\\)", ["\\(a<b\\)"]),
        ("$$a$$", ["\\[a\\]"]),
        ("$$\na\n= b\n- c\n$$\n\ntext", ["\\[\na\n= b\n- c\n\\]"]),
        ("\\[a\n+ b\\]", ["\\[a\n+ b\\]"]),
        ("- item\n  $$\n  a\n  $$", ["\\[\na\n\\]"]),
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
        ("$\\hrefs$", ["\\(\\hrefs\\)"]),
    ],
)
def test_one_rule_says_what_a_formula_is(markdown: str, formulas: list[str]) -> None:
    """Pandoc's rule for one dollar, and the three delimiters that say it plainly."""
    found: list[str] = []

    class Spans(HTMLParser):
        inside = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.inside = ("class", render.MATH_ON) in attrs

        def handle_data(self, data: str) -> None:
            if self.inside:
                found.append(data)
            self.inside = False

    Spans().feed(body(markdown))
    assert found == formulas


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
    assert render.strip_controls(source) == "a[31mbc\nd\te"
    for shown in (render.to_html(source), render.to_markdown(source), render.escape_html(source)):
        assert "\x1b" not in shown
        assert "\x9b" not in shown


@pytest.mark.parametrize(
    "source",
    [
        "[" * 50_000,
        "![" * 25_000,
        "*a " * 50_000,
        "_a*" * 30_000,
        "> " * 20_000 + "x",
        "- " * 20_000 + "x",
        "`" * 50_000,
        "` `` " * 20_000,
        "$a" * 50_000,
        "$$a" * 40_000,
        "\\(a" * 40_000,
        "\\[" * 40_000,
        "<" * 100_000,
        "](" * 50_000,
        "|a" * 30_000 + "\n" + "|-" * 30_000 + "\n",
        "a\n" * 60_000,
        "http://a " * 20_000,
        "```\n" * 20_000,
    ],
    ids=lambda source: repr(source[:6]),
)
def test_no_text_takes_long(source: str) -> None:
    """Texts made to be slow are read in seconds at most, where careless readers take minutes."""
    start = time.process_time()
    render.to_html(source)
    render.to_markdown(source)
    assert time.process_time() - start < 20
