"""What a server sends without end is not read without end."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import resource
import socket
import threading
import time
import zlib
from collections.abc import Iterator

import pytest
from asking import BODY, ask, once, run
from loopback import Answer, Fault, Hold, Loopback, Pace, Raw, Reply, Stall, event

from di_magics.core.errors import BadRequest, EndpointError, StreamBroken, Unreachable
from di_magics.core.request import retry
from di_magics.endpoints import client as client_module
from di_magics.endpoints import stream_size
from di_magics.endpoints.client import Client
from di_magics.endpoints.endpoint import Endpoint

HELLO = event({"choices": [{"index": 0, "delta": {"content": "Hel"}}]})
MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses before new tries are short."""
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.001)


def peak_memory() -> int:
    """Return the most memory this process has used, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


BOMB = b"data: " + b"x" * (64 * MEGABYTE)
GZIPPED = gzip.compress(BOMB, 1)


# Tests endpoints/answers.
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", GZIPPED),
        ("GZIP", GZIPPED),
        ("x-gzip", GZIPPED),
        ("deflate", zlib.compress(BOMB, 1)),
        ("br", b"\x0b\x02\x80"),
        ("zstd", b"(\xb5/\xfd"),
        ("gzip, gzip", gzip.compress(GZIPPED)),
    ],
    ids=lambda value: value if isinstance(value, str) else "body",  # the bytes have a date in them
)
def test_a_compressed_answer_is_not_unpacked(
    server: Loopback, status: int, kind: str, encoding: str, body: bytes
) -> None:
    """We ask for none; 64 MB of it would be a few kilobytes on the wire."""
    before = peak_memory()
    headers = {"content-encoding": encoding}
    server.reply(Fault(status, body, content_type=kind, headers=headers))
    error = once(server).error
    assert type(error) is BadRequest
    assert "\n" not in str(error)
    assert (encoding.lower() in str(error)) == (status == 200)
    assert peak_memory() - before < 16 * MEGABYTE


def test_an_encoding_that_changes_nothing_is_fine(server: Loopback) -> None:
    """`identity` is what we asked for."""
    server.reply(Reply("Hi", headers={"content-encoding": "identity"}))
    assert once(server).reply.text == "Hi"


def chunk(**delta: str) -> bytes:
    """Return a piece of a reply."""
    return event({"choices": [{"index": 0, "delta": delta}]})


LONG = "x" * (MEGABYTE // 2)


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([b"data: ", *[b"x" * 65536] * 40], "an event of more than 1 MB"),
        ([b": ping\n\ndata:", *[b" " * 65536] * 40], "an event of more than 1 MB"),
        ([b"data: x\n" * 8192] * 40, "an event of more than 1 MB"),
        ([b": ping\n" * 8192] * 40, "an event of more than 1 MB"),
        ([chunk(content=LONG)] * 40, "a reply of more than 16 MB"),
        ([chunk(reasoning_content=LONG)] * 40, "a reply of more than 16 MB"),
        ([event({"id": "x" * 65536, "choices": []})] * 300, "16 MB without any text"),
    ],
    ids=["line", "after-comment", "lines", "comments", "text", "reasoning", "no-text"],
)
def test_a_stream_without_end_is_cut(server: Loopback, steps: list[bytes], problem: str) -> None:
    """The text before it is kept, and the connection is closed."""
    server.reply(Raw([HELLO, *steps, Stall()]))
    asked = once(server)
    assert type(asked.error) is StreamBroken
    assert problem in str(asked.error)
    assert asked.reply.text.startswith("Hel")
    assert len(asked.reply.text) + len(asked.reply.reasoning) < 17 * MEGABYTE
    assert server.requests[0].closed.wait(5)


def test_a_stream_may_be_long(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its parts are bounded: many events, many pings, then an end."""
    monkeypatch.setattr(stream_size, "MAX_EVENT_BYTES", 1000)
    monkeypatch.setattr(stream_size, "MAX_REPLY_BYTES", 5000)
    server.reply(Reply(chunks=[part for _ in range(100) for part in (b": ping\n\n", "word ")]))
    asked = once(server)
    assert (asked.error, asked.reply.text) == (None, "word " * 100)


def test_a_reply_in_one_piece_that_is_too_long_is_refused(server: Loopback) -> None:
    """So is a list of models."""
    server.reply(Fault(200, json.dumps({"x": "x" * 17 * MEGABYTE})))
    asked = once(server)
    assert type(asked.error) is StreamBroken
    assert "16 MB" in str(asked.error)
    server.models = ["x" * 17 * MEGABYTE]
    with pytest.raises(EndpointError, match="16 MB"):
        run(lambda client: client.models(Endpoint(server.url)))


@pytest.mark.parametrize("depth", [100, 300, 900, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"error":', '{"detail":['])
@pytest.mark.parametrize("place", ["body", "event", "error event", "last event"])
def test_deeply_nested_json_is_one_line(
    server: Loopback, depth: int, opening: str, place: str
) -> None:
    """In an error's body, within a stream and at its end."""
    closing = "".join({"[": "]", "{": "}"}.get(sign, "") for sign in reversed(opening))
    nested = (opening * depth + "1" + closing * depth).encode()
    answers: dict[str, Answer] = {
        "body": Fault(400, nested),
        "event": Raw([b"data: " + nested + b"\n\n"]),
        "error event": Raw([b"event: error\ndata: " + nested + b"\n\n"]),
        "last event": Raw([HELLO, b"data: " + nested], chunked=False),
    }
    server.default = answers[place]
    error = once(server).error
    assert place == "last event" or isinstance(error, EndpointError)
    assert "\n" not in str(error)
    assert len(str(error)) < 600


def test_headers_without_end_are_refused(server: Loopback) -> None:
    """As one line; a server at fault is tried again, then named."""
    server.default = Reply(headers={f"x-{number}": "x" * 1000 for number in range(300)})
    asked = once(server)
    assert type(asked.error) is Unreachable
    assert "\n" not in str(asked.error)
    assert len(str(asked.error)) < 300


@pytest.fixture
def dripping() -> Iterator[Endpoint]:
    """A server whose headers come a byte at a time, and never all of them."""
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):  # the client leaves
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            while not stop.wait(0.02):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        stop.set()
        thread.join(10)


def test_slow_headers_time_out(dripping: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for all of them, not for each byte."""
    monkeypatch.setattr(client_module, "SILENCE_SECONDS", 0.3)
    start = time.monotonic()
    asked = once(dripping)
    assert type(asked.error) is StreamBroken
    assert "gave no answer in" in str(asked.error)
    assert time.monotonic() - start < 5


def test_a_server_on_this_machine_may_take_longer(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow machine reads a long prompt for more than ten minutes, and sends nothing meanwhile."""
    monkeypatch.setattr(client_module, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(client_module, "LOCAL_PATIENCE", 100)
    server.reply(Reply("a", before=[Pace(0.5)]), Reply(chunks=["a", Pace(0.5), "b"]))
    assert [once(server).reply.text for _ in range(2)] == ["a", "ab"]


def test_stop_works_before_the_headers(dripping: Endpoint, server: Loopback) -> None:
    """While they drip, and while nothing comes at all."""
    hold = Hold()
    server.reply(Reply(before=[hold]))

    async def work(client: Client) -> None:
        for endpoint in (dripping, Endpoint(server.url)):
            task = asyncio.create_task(ask(client, endpoint, BODY))
            await asyncio.to_thread(hold.reached.wait, 0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)

    run(work)
