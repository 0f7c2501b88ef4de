"""The pages that a searching model names, from what servers send to what a user sees."""

from __future__ import annotations

import json
from typing import Any

import pytest

from di_magics.core.conversation.record import outcome_record, parse_reply
from di_magics.core.reply.fold import Cited, ReplyFold
from di_magics.core.reply.reply import Reply
from di_magics.core.reply.sources import MAX_SOURCES, Source, list_sources, parse_source
from di_magics.core.request.events import PayloadParser
from di_magics.core.request.redact import Redactor, ReplyRedactor

A, B = Source("https://a.b/1", "One"), Source("https://a.b/2", "Two")


def reply_of(*payloads: dict[str, Any]) -> Reply:
    """Return the reply that a server sends in these payloads."""
    parser, fold = PayloadParser(), ReplyFold()
    for payload in payloads:
        events, error = parser.parse(json.dumps(payload))
        assert error is None
        fold.add(events)
    return fold.snapshot()


def delta(**fields: Any) -> dict[str, Any]:
    """Return a payload with a piece of a message."""
    return {"choices": [{"index": 0, "delta": fields}]}


def cite(source: Source, kind: str = "url_citation") -> dict[str, Any]:
    """Return an annotation as OpenAI and OpenRouter send it."""
    page = {"url": source.url, "title": source.title, "start_index": 3, "end_index": 9}
    return {"type": kind, "url_citation": page}


def test_perplexitys_list_comes_with_each_part() -> None:
    """The last one holds; its titles are in search_results, in the same order."""
    pages = [{"title": "One", "url": A.url, "date": None}, {"title": "Two", "url": B.url}]
    reply = reply_of(
        {**delta(content="a [1]"), "citations": [A.url]},
        {**delta(content=" b [2]"), "citations": [A.url, B.url], "search_results": pages},
    )
    assert (reply.text, reply.sources) == ("a [1] b [2]", (A, B))
    bare = reply_of({**delta(content="a"), "citations": [A.url, B.url], "search_results": []})
    assert bare.sources == (Source(A.url, A.url), Source(B.url, B.url))


def test_annotations_come_one_by_one() -> None:
    """Each page once, in the order in which it came; a file's annotation is none."""
    reply = reply_of(
        delta(content="a", annotations=[cite(A), cite(B, "file_citation")]),
        delta(annotations=[cite(A), cite(B)]),
        {"choices": [{"index": 0, "message": {"content": "a", "annotations": [cite(B)]}}]},
    )
    assert reply.sources == (A, B)


@pytest.mark.parametrize(
    ("sent", "source"),
    [
        ("http://a.b", Source("", "http://a.b")),
        ("javascript:alert(1)", Source("", "javascript:alert(1)")),
        ("https://a.b/c d", Source("", "https://a.b/c d")),
        ("https://a.b/c\nd", Source("", "https://a.b/c d")),
        ("https://a.b/中", Source("https://a.b/中", "https://a.b/中")),
        ("https://a.b/" + "x" * 3000, Source("", "…")),
        ({"url": "https://a.b", "title": "\ud83d\x1b[2J" + "t" * 300}, Source("https://a.b", "…")),
        ({"url": 5, "title": ["x"]}, Source("", "no address")),
        (None, Source("", "no address")),
        ([], Source("", "no address")),
    ],
)
def test_what_is_no_https_address_is_no_link_and_keeps_its_number(
    sent: object, source: Source
) -> None:
    """The text of a reply counts the entries of the list."""
    found = parse_source(sent)
    assert found.url == source.url
    assert source.title in (found.title, "…")
    assert len(found.title) <= 120
    assert found.title.isprintable()
    assert parse_source({"url": found.url, "title": found.title}) == found


def test_the_list_is_bounded() -> None:
    """However many a server sends, in whichever way."""
    many = [f"https://a.b/{number}" for number in range(1000)]
    assert len(reply_of({**delta(content="a"), "citations": many}).sources) == MAX_SOURCES
    pages = [cite(Source(url, url)) for url in many]
    payloads = [delta(annotations=pages[at : at + 10]) for at in range(0, 1000, 10)]
    assert len(reply_of(*payloads).sources) == MAX_SOURCES


@pytest.mark.parametrize("junk", [None, 5, "x", {}, [[]], [None], [5], [{"url": None}]])
def test_junk_is_no_error(junk: object) -> None:
    """A reply is worth more than its sources."""
    payload = {**delta(content="a", annotations=junk), "citations": junk, "search_results": junk}
    assert reply_of(payload).text == "a"


def test_as_plain_text_each_source_has_its_number() -> None:
    """As the reply has it in brackets."""
    listed = list_sources([A, Source("", "http://c.d")])
    assert listed == "[1] One https://a.b/1\n[2] http://c.d\n"
    assert list_sources([]) == ""


def test_a_saved_reply_has_its_sources() -> None:
    """As pairs of texts; what is none is left out."""
    record = outcome_record(Reply(sources=(A, Source("", "x"))))
    assert record["sources"] == [[A.url, A.title], ["", "x"]]
    assert parse_reply(record).sources == (A, Source("", "x"))
    some_junk: list[object] = [None, 5, "x", {}, [5, None, "x", []]]
    for junk in some_junk:
        assert parse_reply({"sources": junk}).sources == ()
    assert parse_reply({"sources": [["javascript:1", 5]]}).sources == (Source("", "javascript:1"),)


def test_the_key_is_taken_out_of_a_source() -> None:
    """A server may repeat in it what it was sent."""
    redactor = ReplyRedactor(Redactor("sk-0123456789abcdef"))
    event = Cited((Source("https://a.b/?k=sk-0123456789abcdef", "sk-0123456789abcdef"),), True)
    assert "0123456789" not in str([*redactor.feed([event]), *redactor.close()])


def test_a_whole_list_keeps_the_numbers_of_pages_that_are_alike() -> None:
    """`[3]` is the third page, whatever the others are."""
    alike = {"search_results": [{"title": "A"}, {"title": "A"}, {"url": "https://c.d"}]}
    sources = reply_of(delta(content="a") | alike).sources
    assert [source.title for source in sources] == ["A", "A", "https://c.d"]
