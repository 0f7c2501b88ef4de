"""Server-sent events: the same events however the bytes are framed and cut."""

from __future__ import annotations

import pytest
from growth import growth

from di_magics.core.request.sse import Event, SSEDecoder

BOM = "\ufeff"
STREAM = (
    ": a comment\n\n"
    'data: {"a": "ü\u2028\u2029\x85 é"}\n\n'
    "event: note\nid: 7\nretry: 10\ndata:one\ndata:  two\n\n"
    "data\n\n"
    "data:\n\n"
    "event: nothing\n\n"
    "data: 😀\n"
    ": in the middle\n"
    "data: end\n\n"
    "data: [DONE]\n\n"
)
EVENTS = [
    Event("message", '{"a": "ü\u2028\u2029\x85 é"}'),
    Event("note", "one\n two"),
    Event("message", ""),
    Event("message", "😀\nend"),
    Event("message", "[DONE]"),
]
ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}


def decode(*chunks: bytes) -> list[Event]:
    """Return all events of a stream that comes in these chunks."""
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.close()


@pytest.mark.parametrize("start", ["", BOM])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_line_ends_and_chunking_do_not_change_events(end: str, start: str) -> None:
    """LF, CRLF and CR, with a byte order mark or without, give the same events."""
    assert decode((start + STREAM.replace("\n", end)).encode()) == EVENTS


@pytest.mark.parametrize("start", ["", BOM])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_every_split_gives_the_same_events(end: str, start: str) -> None:
    """A stream cut in two at any byte, also inside a character, reads as the whole."""
    stream = (start + STREAM.replace("\n", end)).encode()
    for at in range(len(stream) + 1):
        assert decode(stream[:at], stream[at:]) == EVENTS, at


@pytest.mark.parametrize("start", ["", BOM])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_every_chunk_size_gives_the_same_events(end: str, start: str) -> None:
    """From byte by byte on, the size of the reads does not matter."""
    stream = (start + STREAM.replace("\n", end)).encode()
    for size in range(1, len(stream)):
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert decode(*chunks) == EVENTS, size


def test_an_event_comes_with_the_byte_that_ends_it() -> None:
    """Nothing is held back once the blank line is there."""
    decoder = SSEDecoder()
    assert decoder.feed(b"data: now\r\n\r") == []
    assert decoder.feed(b"\n") == [Event("message", "now")]
    assert decoder.feed(b"data: now\n\n") == [Event("message", "now")]
    assert decoder.close() == []


def test_only_the_first_byte_order_mark_is_dropped() -> None:
    """A second one is part of the first field's name, which nobody knows."""
    assert decode(f"{BOM}{BOM}data: x\n\ndata: {BOM}y\n\n".encode()) == [
        Event("message", f"{BOM}y")
    ]


@pytest.mark.parametrize("tail", ["", "\n", "\r", "\r\n"])
def test_the_last_event_needs_no_blank_line(tail: str) -> None:
    """A stream that hangs up after its last line has said it."""
    assert decode(f"data: 1\n\ndata: 2{tail}".encode()) == [
        Event("message", "1"),
        Event("message", "2"),
    ]


@pytest.mark.parametrize("stream", [b"", b"\xef", b"\xef\xbb\xbf", b"\n", b": ping\n\n", b"\r"])
def test_a_stream_may_hold_nothing(stream: bytes) -> None:
    """Comments, blank lines and half a byte order mark are no events."""
    assert decode(stream) == []


def test_one_space_after_the_colon_is_no_part_of_the_data() -> None:
    """Further spaces and trailing ones are."""
    assert decode(b"data:x\n\ndata: x\n\ndata:  x \n\n") == [
        Event("message", "x"),
        Event("message", "x"),
        Event("message", " x "),
    ]


def test_the_type_holds_for_one_event() -> None:
    """After an event, or after a blank line without data, the type is `message` again."""
    assert decode(b"event: error\ndata: 1\n\ndata: 2\n\nevent: error\n\ndata: 3\n\n") == [
        Event("error", "1"),
        Event("message", "2"),
        Event("message", "3"),
    ]


def test_an_error_field_is_an_event_of_its_own() -> None:
    """llama.cpp's server has sent errors in a field named `error`, which the standard ignores."""
    stream = b'data: 1\n\nerror: {"code":400}\n\ndata: 2\n\n'
    assert decode(stream)[1] == Event("error", '{"code":400}')


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    """One broken byte does not end the stream."""
    assert decode(b"data: a\xffb\n\ndata: c\n\n") == [
        Event("message", "a\ufffdb"),
        Event("message", "c"),
    ]


@pytest.mark.parametrize("piece", [b"x", b"\r", b"data:x\n", b":"])
def test_an_endless_event_is_read_in_linear_time(piece: bytes) -> None:
    """Byte by byte, without a blank line."""

    def decode_all(count: int) -> None:
        decoder = SSEDecoder()
        for _ in range(count):
            decoder.feed(piece)
        assert decoder.feed(b"\n\ndata: y\n\n")[-1].data == "y"

    assert growth(decode_all, 30_000) <= 3
