"""The body of a response: judged by what it is, and read to an end that was said."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from grow import snapshot
from growth import growth

from di_magics.core.errors import BadRequest, EndpointError, StreamBroken
from di_magics.core.reply.fold import ReplyFold
from di_magics.core.reply.reply import Reply
from di_magics.core.request.response import MAX_QUOTE_CHARS, MAX_REPLY_BYTES, ResponseReader, sniff
from di_magics.core.request.server_errors import Target


def event(payload: object) -> str:
    """Return one event of a stream."""
    return f"data: {json.dumps(payload)}\n\n"


def delta(finish: str | None = None, **fields: Any) -> str:
    """Return an event with this delta."""
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


ENDED = {"finish_reason": "stop"}
OLLAMA_ENDED = {"done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}
WHOLE = {"message": {"content": "Größe 😀"}, "finish_reason": "stop"}
DONE = "data: [DONE]\n\n"


def read(body: str | bytes, *cuts: int) -> tuple[Reply, EndpointError | None]:
    """Return the reply of a body that comes in pieces, and its error."""
    data = body.encode() if isinstance(body, str) else body
    reader, fold = ResponseReader(Target(endpoint="here")), ReplyFold()
    edges = [0, *cuts, len(data)]
    for start, end in pairwise(edges):
        batch = reader.feed(data[start:end])
        fold.add(batch.events)
        if batch.error or batch.done:
            return snapshot(fold), batch.error
    batch = reader.close()
    fold.add(batch.events)
    return snapshot(fold), batch.error


def outcome(found: tuple[Reply, EndpointError | None]) -> tuple[Reply, type | None, str]:
    """Return what can be compared of a reading."""
    return found[0], type(found[1]) if found[1] else None, str(found[1])


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"", None),
        (b" \r\n\t", None),
        (b"\xef\xbb", None),
        (b"\xef\xbb\xbf", None),
        (b"\xef\xbb\xbf{", "json"),
        (b"\n\n{", "json"),
        (b"[", "json"),
        (b"<!DOCTYPE", "html"),
        (b" <", "html"),
        (b"d", None),
        (b"data", None),
        (b"data:", "sse"),
        (b"\n\ndata: x", "sse"),
        (b": ping", "sse"),
        (b"event", None),
        (b"event:", "sse"),
        (b"id:", "sse"),
        (b"retry:", "sse"),
        (b"error:", "sse"),
        (b"Internal", "other"),
        (b"dat!", "other"),
        (b"\xff", "other"),
    ],
)
def test_a_body_is_known_by_its_first_bytes(start: bytes, kind: str | None) -> None:
    """Blanks and a byte order mark before them do not count; too few are no answer yet."""
    assert sniff(start) == kind


BODIES = {
    "JSON": json.dumps({"choices": [WHOLE]}, ensure_ascii=False),
    "JSON after blank lines": "\n \n" + json.dumps({"choices": [WHOLE]}),
    "JSON over many lines": json.dumps({"choices": [WHOLE]}, indent=2),
    "JSON after a byte order mark": "\ufeff" + json.dumps({"choices": [WHOLE]}),
    "events": delta(content="Größe ") + delta("stop", content="😀") + DONE,
    "events after blank lines": "\n\n" + delta("stop", content="Größe 😀"),
    "events after a comment": ": ping\n\n" + delta(content="Größe 😀") + DONE,
    "events after a comment as data": "data: : PROCESSING\n\n" + delta(content="Größe 😀") + DONE,
    "a chunk on each line": "\n\n".join(
        json.dumps({"choices": [choice]}, ensure_ascii=False)
        for choice in ({"delta": {"content": "Größe "}}, {"delta": {"content": "😀"}, **ENDED})
    ),
    "a message of Ollama on each line": "\n".join(
        json.dumps({"message": {"role": "assistant", "content": text}, **end}, ensure_ascii=False)
        for text, end in (("Größe 😀", {"done": False}), ("", {"done": True, **OLLAMA_ENDED}))
    ),
    "events after a strange line": "hello\n\n" + delta("stop", content="Größe 😀") + DONE,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_is_read_as_what_it_is(body: str) -> None:
    """Whole, cut in two at every byte, and byte by byte."""
    data = body.encode()
    expected = read(data)
    assert (expected[0].text, expected[0].complete, expected[1]) == ("Größe 😀", True, None)
    for cut in range(1, len(data)):
        text = read(data, cut)
        assert (text[0].text, text[0].complete, text[1]) == ("Größe 😀", True, None)
    assert read(data, *range(1, len(data)))[0].text == "Größe 😀"


NOTHING = {
    "a code and a message": '{"code": 500, "msg": "the model is asleep"}',
    "a base_resp": '{"base_resp": {"status_code": 1008, "status_msg": "the model is asleep"}}',
    "a list of errors": '{"success": false, "errors": [{"message": "the model is asleep"}]}',
    "no choices": '{"id": "1", "note": "the model is asleep"}',
    "empty choices": '{"choices": [], "note": "the model is asleep"}',
    "an empty choice": '{"choices": [{"index": 0}], "note": "the model is asleep"}',
    "an empty message": '{"choices": [{"message": {"content": ""}}], "x": "the model is asleep"}',
    "only another choice": '{"choices": [{"index": 1, "text": "the model is asleep"}]}',
    "an array": '["the model is asleep"]',
    "lines of which one is no JSON": '{"choices": []}\nthe model is asleep',
    "half an object": '{"note": "the model is asleep"',
    "plain text": "the model is asleep",
    "an event with a code": event({"code": 500, "msg": "the model is asleep"}) + DONE,
    "an event without choices": event({"note": "the model is asleep"}) + DONE,
    "an event that is text": "data: the model is asleep\n\n",
    "an event without DONE": event({"choices": [], "note": "the model is asleep"}),
    "an error event": "event: error\ndata: the model is asleep\n\n",
    "an error line": "error: the model is asleep\n\n",
}


@pytest.mark.parametrize("body", NOTHING.values(), ids=NOTHING)
def test_a_response_that_gave_nothing_is_an_error_that_quotes_it(body: str) -> None:
    """It is never a finished reply, wherever it is cut."""
    expected = outcome(read(body))
    reply, kind, said = expected
    assert kind is not None
    assert issubclass(kind, EndpointError)
    assert "the model is asleep" in said
    assert said.isprintable()
    assert not reply.complete
    assert reply.text == ""
    for cut in range(1, len(body)):
        assert outcome(read(body, cut)) == expected


@pytest.mark.parametrize("body", ["", "\n\n", ": ping\n\n: ping\n\n", DONE, "data:\n\n"])
def test_an_empty_response_is_an_error(body: str) -> None:
    """There is nothing to quote."""
    reply, error = read(body)
    assert isinstance(error, StreamBroken)
    assert "instead of a reply" in str(error)
    assert not reply.complete


def test_an_empty_reply_is_a_reply_where_its_end_is_said() -> None:
    """A model may answer with nothing at all."""
    for body in (
        delta("stop") + DONE,
        '{"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}',
    ):
        reply, error = read(body)
        assert (reply.text, reply.complete, error) == ("", True, None)


@pytest.mark.parametrize("reason", ["null", "", None])
def test_a_reason_that_is_not_said_does_not_end_a_stream(reason: str | None) -> None:
    """Only DONE or a reason does."""
    assert not read(delta(reason, content="a"))[0].complete
    assert read(delta(reason, content="a") + DONE)[0].complete


def test_a_web_page_is_named_as_one() -> None:
    """The address is wrong, most likely."""
    _, error = read("<html>" + "x" * 1000)
    assert isinstance(error, BadRequest)
    assert "web page" in str(error)


def test_the_quote_is_one_short_line() -> None:
    """Whatever a server sends."""
    for body in ("x\n\x1b[31m" * 5000, json.dumps({"note": "y" * 100_000})):
        _, error = read(body)
        assert str(error).isprintable()
        assert len(str(error)) < MAX_QUOTE_CHARS + 150


@pytest.mark.parametrize(
    "tail",
    [
        event({"error": {"code": 500, "message": "fell over"}}),
        event({"error": {"code": "429", "message": "fell over"}}),
        event({"error": {"code": "overloaded", "message": "fell over"}}),
        event({"choices": [], "error": "fell over"}),
        "event: error\ndata: fell over\n\n",
        'error: {"code": 400, "message": "fell over: context size"}\n\n',
        "data: fell over\n\n",
    ],
)
def test_text_before_an_error_is_kept(tail: str) -> None:
    """Whatever the error is, wherever the stream is cut."""
    body = delta(content="par") + tail
    for cut in range(1, len(body)):
        reply, error = read(body, cut)
        assert reply.text == "par"
        assert "fell over" in str(error)
        assert not reply.complete


def test_half_an_emoji_at_the_end_is_shown_as_a_replacement() -> None:
    """Also where the stream breaks off, or an error follows."""
    half = 'data: {"choices": [{"delta": {"content": "a\\ud83d"}}]}\n\n'
    for body in (half, half + DONE, half + event({"error": "gone"})):
        assert read(body)[0].text == "a\ufffd"


def test_an_endless_json_object_is_not_read_to_its_end() -> None:
    """A server at fault may send without end; endpoints/test_client_limits.py has its streams."""
    reader, block = ResponseReader(), b" " * (1 << 17)
    batch = reader.feed(b"{")
    sent = 0
    while batch.error is None:
        batch = reader.feed(block)
        sent += len(block)
        assert sent <= MAX_REPLY_BYTES + 2 * len(block)
    assert "16 MB" in str(batch.error)


KEYS = [
    "choices",
    "delta",
    "message",
    "content",
    "text",
    "reasoning",
    "reasoning_details",
    "summary",
    "thinking",
    "refusal",
    "images",
    "tool_calls",
    "function",
    "function_call",
    "name",
    "arguments",
    "id",
    "index",
    "model",
    "usage",
    "cost",
    "prompt_tokens",
    "logprobs",
    "token",
    "logprob",
    "top_logprobs",
    "finish_reason",
    "error",
    "errors",
    "detail",
    "msg",
    "loc",
    "code",
    "type",
    "status",
    "metadata",
    "raw",
    "base_resp",
    "status_code",
    "status_msg",
    "success",
    "x_groq",
    "object",
]
LEAVES = [None, True, 0, -1, 2**70, 1.5, float("nan"), "", "a", "stop", "null", "\ud83d"]
LEAVES += ["\ude00", "</think>", "{", "text", "image_url", "thinking", "500", 429, "\n\x1b[31m"]


def invent(draw: random.Random, depth: int) -> Any:
    """Return any JSON value with the names that servers use."""
    kind = draw.random()
    if depth == 0 or kind < 0.35:
        return draw.choice(LEAVES)
    if kind < 0.5:
        return [invent(draw, depth - 1) for _ in range(draw.randint(0, 3))]
    return {draw.choice(KEYS): invent(draw, depth - 1) for _ in range(draw.randint(0, 5))}


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(20))
def test_any_response_is_a_reply_or_an_error_of_one_line(seed: int) -> None:
    """Whatever the types of its fields are, the same however it is cut, and text of UTF-8."""
    draw = random.Random(seed)
    for number in range(40):
        choice = {"index": draw.choice([0, None, 1]), "delta": invent(draw, 4)}
        choice |= {"message": invent(draw, 3), "finish_reason": invent(draw, 1)}
        payloads = [invent(draw, 5), {"choices": [choice]}, {"choices": [invent(draw, 5)]}]
        events = "".join(event(draw.choice(payloads)) for _ in range(draw.randint(1, 3)))
        whole = json.dumps(draw.choice(payloads))
        for body in (events, events + DONE, whole):
            reply, error = read(body)
            assert str(error).isprintable()
            texts = (reply.text, reply.reasoning, reply.model, reply.finish_reason)
            "".join(filter(None, texts)).encode()
            assert not reply.complete or error is None or reply.text or reply.finish_reason
            every, two = range(1, len(body)), draw.choices(range(len(body)), k=2)
            cuts = every if number % 4 == 0 else two
            in_pieces = read(body, *sorted(cuts))
            assert in_pieces[0].text == reply.text
            assert str(in_pieces[1]) == str(error)


@pytest.mark.parametrize(
    ("tail", "text", "ended", "message"),
    [
        (delta(content="b").rstrip("\n"), "ab", False, None),
        ("data: [DONE]", "a", True, None),
        ("event: error\ndata: fell over", "a", False, "fell over"),
        ('data: {"choices": [{"delta": {"content": "b"', "a", False, None),
    ],
)
def test_the_last_event_needs_no_blank_line(
    tail: str, text: str, ended: bool, message: str | None
) -> None:
    """It counts where it is whole; what breaks off is ignored."""
    reply, error = read(delta(content="a") + tail)
    assert (reply.text, reply.complete) == (text, ended)
    assert (message or "") in str(error or "")
    assert (error is None) is (message is None)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_blanks_before_a_body_take_linear_time_byte_by_byte(start: bytes) -> None:
    """A body may begin with a byte order mark, and with as many blanks as a server likes."""

    def feed(count: int) -> None:
        reader = ResponseReader()
        reader.feed(start)
        for _ in range(count):
            reader.feed(b" ")
        reader.feed(delta(content="x").encode())
        assert reader.close().error is None

    assert growth(feed, 4_000) <= 3
