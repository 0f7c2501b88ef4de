"""What is saved of a reply, as HTML, Markdown and text."""

from __future__ import annotations

import html
import re

import pytest
from hostile import FRAGMENTS

from di_magics.core.reply.reply import MAX_SHOWN_CHARS, Reply, Round, ToolCall, ToolResult
from di_magics.core.reply.sources import Source, parse_source
from di_magics.core.visible import strip_controls
from di_magics.display.final import reply_output
from di_magics.display.markdown import to_html

LINK = '<a href="https://a.b/[^"<> ]*" rel="noopener noreferrer nofollow" target="_blank">|</a>'


def saved(*sources: Source) -> dict[str, str]:
    """Return the saved output of a reply with these sources."""
    return dict(reply_output(Reply("As [1] says.", sources=sources, status="done")))


def test_sources_are_a_numbered_list_below_the_reply() -> None:
    """A link opens elsewhere and tells nothing; what is no https address is text."""
    shown = saved(Source("https://a.b/c_(d)", "One"), Source("", "http://e.f"))
    link = 'href="https://a.b/c_%28d%29" rel="noopener noreferrer nofollow" target="_blank">One</a>'
    assert f"<ol><li><a {link}</li><li>http://e.f</li></ol>" in shown["text/html"]
    assert "1. [One](https://a.b/c_%28d%29)\n2. http://e.f\n\n" in shown["text/markdown"]
    assert "says.\n\n[1] One https://a.b/c_(d)\n[2] http://e.f\n\n" in shown["text/plain"]
    assert "Sources" not in str(saved())


@pytest.mark.parametrize("text", ["\n", "a\n\n", "[a](https://x.y) "])
def test_of_a_very_long_reply_the_beginning_is_displayed(text: str) -> None:
    """The receipt says so. All of it would take many seconds, and no page could show it."""
    whole = text * (2 * MAX_SHOWN_CHARS // len(text))
    part = Round(whole, whole, (ToolCall("1", "f", whole),), (ToolResult("1"),))
    shown = reply_output(Reply(whole, whole, rounds=(part,), status="done"))
    note = f"1,000,000 of {len(whole):,} characters are displayed"
    assert all(note in form for form in shown.values())
    assert len(shown["text/plain"]) < 2.1 * MAX_SHOWN_CHARS


def test_marks_that_reverse_or_hide_text_are_visible_in_a_terminal() -> None:
    """In the saved text as while a reply streams there; a page has its own direction for each."""
    shown = reply_output(Reply("a\u202eb\u2066c", status="done"))["text/plain"]
    assert shown.startswith("a⟨U+202E⟩b⟨U+2066⟩c")


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_hostile_source_is_text_and_one_address(fragment: str) -> None:
    """Its title is shown as it is, and nothing leaves its address."""
    source = parse_source({"url": f"https://a.b/{fragment}", "title": fragment})
    shown = saved(source)
    (items,) = re.findall(r"<ol>(.*)</ol>", shown["text/html"], re.DOTALL)
    assert strip_controls(html.unescape(re.sub("<[^>]*>", "", items))) == strip_controls(
        source.title
    )
    links = re.findall('href="([^"]*)"', items)
    assert re.sub(LINK, "", items) == f"<li>{html.escape(strip_controls(source.title))}</li>"
    (line,) = re.findall(r"^1\. .*$", shown["text/markdown"], re.MULTILINE)
    assert not links or re.findall('href="([^"]*)"', to_html(line)) == links


def test_the_dollars_of_addresses_are_no_formula() -> None:
    """JupyterLab looks for formulas before it reads Markdown, also in addresses."""
    sources = [parse_source({"url": f"https://a.b/$x{n}", "title": "t"}) for n in range(2)]
    shown = saved(*sources)
    assert "$" not in shown["text/markdown"]
    assert shown["text/markdown"].count("https://a.b/%24x") == 2
