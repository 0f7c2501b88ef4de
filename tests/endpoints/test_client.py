"""The endpoint against a real server with the faults of real ones."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from email.utils import formatdate
from time import time
from typing import Any

import pytest
from asking import BODY, Asked, ask, once, run
from loopback import TEXT, USAGE, Answer, Drop, Fault, Hold, Loopback, Raw, Reply, Stall, event

from di_magics.core.errors import (
    BadRequest,
    Busy,
    EndpointError,
    ParamError,
    Refused,
    StreamBroken,
    TooLong,
    Unreachable,
)
from di_magics.core.reply.fold import ReplyFold
from di_magics.core.request import retry
from di_magics.core.request.body import build_body
from di_magics.core.request.response import Batch, ResponseReader
from di_magics.endpoints.client import Client
from di_magics.endpoints.endpoint import Endpoint, LocalEndpoint

HELLO = event({"choices": [{"index": 0, "delta": {"content": "Hel"}}]})
END = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
DONE = b"data: [DONE]\n\n"
AT_ONCE = {"retry-after": "0"}


def named(value: object) -> str:
    """Return a short name for a fault."""
    return getattr(value, "__name__", f"{type(value).__name__}-{getattr(value, 'status', '')}")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of our own choice are short."""
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.001)


@pytest.fixture
def other() -> Iterator[Loopback]:
    """Another server on this machine."""
    with Loopback() as other:
        yield other


# A request and its reply ------------------------------------------------------------------------


def test_a_reply_streams_in(server: Loopback) -> None:
    """Text, reason to end, usage and cost are as the server sent them."""
    asked = once(server)
    assert asked.error is None
    assert (asked.reply.text, asked.reply.finish_reason, asked.reply.complete) == (
        TEXT,
        "stop",
        True,
    )
    assert asked.reply.usage.total_tokens == USAGE["total_tokens"]
    assert asked.reply.cost == Decimal("0.0000015")


def test_the_body_is_sent_as_it_is(server: Loopback) -> None:
    """Byte for byte JSON in UTF-8, and an answer is asked for that no one may hold back."""
    once(server)
    [request] = server.requests
    assert request.json == BODY
    assert "Größe? 😀".encode() in request.body
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers


def test_a_lone_surrogate_is_sent_as_a_question_mark(server: Loopback) -> None:
    """UTF-8 has no bytes for it; the rest of the prompt is sent as it is."""
    assert once(server, {**BODY, "user": "a\ud83db"}).error is None
    assert server.requests[0].json["user"] == "a?b"


@pytest.mark.parametrize("split", [1, 2, 3, 7])
def test_a_reply_may_be_cut_anywhere(server: Loopback, split: int) -> None:
    """In the middle of a character, of a line end, of an event."""
    server.reply(Reply("Größe ≤ 😀\n\n`x`", split=split, framing="\r\n\r\n"))
    assert once(server).reply.text == "Größe ≤ 😀\n\n`x`"


def test_text_comes_as_it_is_sent(server: Loopback) -> None:
    """What is on the wire is yielded while the rest is still to come."""
    hold = Hold()
    server.reply(Reply(chunks=["Hel", b": ping\n\n", hold, "lo"]))

    async def work(client: Client) -> str:
        fold = ReplyFold()
        async for events in client.stream(Endpoint(server.url), BODY, lambda *_: None):
            fold.add(events)
            if fold.snapshot().text == "Hel":
                hold.release()
        return fold.snapshot().text

    assert run(work) == "Hello"


def test_a_reply_in_one_piece(server: Loopback) -> None:
    """Where no stream is asked for, JSON is, and comes."""
    server.reply(Reply("Hi", tool_calls=[{"name": "f", "arguments": "{}"}]))
    asked = once(server, build_body("m", [], {}, stream=False))
    assert (asked.reply.text, asked.reply.complete, asked.error) == ("Hi", True, None)
    assert asked.reply.tool_calls[0].name == "f"
    assert server.requests[0].headers["accept"] == "application/json"


def test_a_server_may_not_stream(server: Loopback) -> None:
    """JSON where a stream was asked for is a reply all the same."""
    server.reply(Reply("Hi", stream=False))
    assert once(server).reply.text == "Hi"


@pytest.mark.parametrize("count", [3])
def test_requests_share_a_connection(server: Loopback, count: int) -> None:
    """It is kept alive from reply to reply, and after an error."""
    server.reply(Reply(), Fault(422, {"detail": "no"}))

    async def work(client: Client) -> list[Asked]:
        return [await ask(client, Endpoint(server.url)) for _ in range(count)]

    asked = run(work)
    assert [item.reply.text for item in asked] == [TEXT, "", TEXT]
    assert (len(server.requests), server.connections) == (count, 1)


@pytest.mark.parametrize("after", [Stall(), Drop(), Drop(reset=True)])
def test_after_done_the_reply_is_complete(server: Loopback, after: Any) -> None:
    """Whatever the connection does after [DONE], and the next request finds another one."""
    server.reply(Raw([HELLO, END, DONE, after]))

    async def work(client: Client) -> tuple[Asked, Asked]:
        endpoint = Endpoint(server.url)
        return await ask(client, endpoint), await ask(client, endpoint)

    first, second = run(work)
    assert (first.reply.text, first.reply.complete, first.error) == ("Hel", True, None)
    assert second.reply.text == TEXT


@pytest.mark.parametrize("kept", [b"", b"data: [DONE]", b"data: [DO", b'data: {"choi'])
def test_a_stream_may_end_without_a_blank_line(server: Loopback, kept: bytes) -> None:
    """After a reason to end, half an event is not an error."""
    server.reply(Raw([HELLO, END, kept], chunked=False))
    asked = once(server)
    assert (asked.reply.text, asked.reply.complete, asked.error) == ("Hel", True, None)


@pytest.mark.parametrize("kept", [b"", b'data: {"choi', HELLO[:-2].replace(b"Hel", b"lo")])
def test_a_stream_without_an_end_mark_is_not_complete(server: Loopback, kept: bytes) -> None:
    """The connection ended in order, but no one said that the reply has."""
    server.reply(Raw([HELLO, kept], chunked=False))
    asked = once(server)
    assert asked.reply.text in ("Hel", "Hello")
    assert (asked.reply.complete, asked.error) == (False, None)


def test_a_proxy_is_not_for_this_machine(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment does not get to see what stays here."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert once(server).reply.text == TEXT


# Faults -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(408, headers=AT_ONCE),
        Fault(409, headers=AT_ONCE),
        Fault(429, {"error": {"message": "Model busy, retry later"}}, headers=AT_ONCE),
        Fault(500, "oops"),
        Fault(503, headers=AT_ONCE),
        Drop(),
        Drop(reset=True),
        Raw([Drop()]),
        Raw([b": ping\n\n", Drop()]),
        Raw([event({"error": {"code": 503, "message": "busy"}})]),
        Raw([event({"id": "1", "model": "m", "error": {"code": 429, "message": "busy"}})]),
        Raw([event({"error": {"code": "engine_overloaded", "message": "Model busy"}})]),
    ],
    ids=named,
)
def test_transient_errors_are_retried(server: Loopback, fault: Answer) -> None:
    """A server that is busy, and a connection that breaks before the first event."""
    server.reply(fault)
    asked = once(server)
    assert (asked.reply.text, asked.error, len(asked.pauses)) == (TEXT, None, 1)
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(400, {"error": "no"}), BadRequest),
        (Fault(401), Refused),
        (Fault(402), Refused),
        (Fault(403), Refused),
        (Fault(404), BadRequest),
        (Fault(405), BadRequest),
        (Fault(413), TooLong),
        (Fault(422, {"detail": [{"loc": ["body", "x"], "msg": "no"}]}), BadRequest),
        (Fault(500, {"error": {"message": "9 exceeds maximum input length 8"}}), TooLong),
        (Fault(429, headers={"retry-after": "121"}), Busy),
        (Fault(200, "<html>", content_type="text/html"), BadRequest),
        (Fault(200, {"error": "no"}), StreamBroken),
        (Fault(200, "{"), StreamBroken),
        (Raw([event({"error": "no"})]), StreamBroken),
        (Raw([b"event: error\ndata: no\n\n"]), StreamBroken),
        (Raw([b"event: error\ndata: no"], chunked=False), StreamBroken),
        (Raw([b'error: {"code":400,"message":"no"}\n\n']), BadRequest),
        (Raw([b"data: no\n\n"]), StreamBroken),
    ],
    ids=named,
)
def test_lasting_faults_are_not_retried(
    server: Loopback, fault: Answer, kind: type[EndpointError]
) -> None:
    """A refusal is final, and so is an error within the reply."""
    server.reply(fault)
    asked = once(server)
    assert type(asked.error) is kind
    assert (len(server.requests), asked.pauses) == (1, [])


@pytest.mark.parametrize("last", [Drop(), Drop(reset=True), event({"error": {"code": 503}})])
def test_nothing_is_retried_after_the_first_event(server: Loopback, last: Any) -> None:
    """It would be shown and paid twice; the partial reply is kept."""
    server.reply(Raw([HELLO, last]))
    asked = once(server)
    assert isinstance(asked.error, StreamBroken | Busy)
    assert (asked.reply.text, asked.reply.complete, len(server.requests)) == ("Hel", False, 1)


def test_text_before_an_error_in_the_same_read_is_kept(server: Loopback) -> None:
    """The events before it come first."""
    server.reply(Raw([HELLO + event({"error": {"message": "gone"}})]))
    asked = once(server)
    assert asked.reply.text == "Hel"
    assert "gone" in str(asked.error)


def test_the_fourth_error_is_raised(server: Loopback) -> None:
    """With the server's words."""
    server.default = Fault(503, {"detail": "overloaded"}, headers={"x-request-id": "r-1"})
    asked = once(server)
    assert isinstance(asked.error, Busy)
    assert "503: overloaded" in str(asked.error)
    assert (asked.error.status, asked.error.request_id) == (503, "r-1")
    assert (len(server.requests), len(asked.pauses)) == (4, 3)


@pytest.mark.parametrize("skew", [0, 86_400, -86_400, None])
@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        ("date", 50, 60),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
        ("soon", 0, 0.002),
        ("nan", 0, 0),
        ("Sun, 06 Nov 99999 08:49:37 GMT", 0, 0.002),
        ("", 0, 0.002),
    ],
)
def test_the_server_says_how_long_to_wait(
    server: Loopback, header: str, low: float, high: float, skew: int | None
) -> None:
    """In seconds or by a date on its own clock; what is neither leaves it to us."""
    now = time() + (skew or 0)
    header = formatdate(now + 60, usegmt=True) if header == "date" else header
    clock = {} if skew is None else {"date": formatdate(now, usegmt=True)}
    server.reply(Fault(429, headers={"retry-after": header, **clock}))
    told: list[float] = []

    class Enough(Exception):
        pass

    def waiting(error: EndpointError, seconds: float) -> None:
        told.append(seconds)
        raise Enough

    async def work(client: Client) -> None:
        async for _ in client.stream(Endpoint(server.url), BODY, waiting):
            pass

    with pytest.raises(Enough):
        run(work)
    assert low <= told[0] <= high


def test_no_connection_names_the_address() -> None:
    """It is tried again a few times, then the message says where to look."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    asked = once(Endpoint(f"http://127.0.0.1:{port}/v1"))
    assert type(asked.error) is Unreachable
    assert f"127.0.0.1:{port}" in str(asked.error)
    assert "%chat endpoint" in str(asked.error)
    assert len(asked.pauses) == 3


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Drop(), Unreachable), (Fault(503), Busy), (Raw([HELLO, Drop()]), StreamBroken)],
    ids=named,
)
def test_a_local_server_is_not_retried(
    server: Loopback, fault: Answer, kind: type[EndpointError]
) -> None:
    """The next run of the cell starts it anew."""
    server.reply(fault)
    asked = once(LocalEndpoint(server.url))
    assert type(asked.error) is kind
    assert len(server.requests) == 1


def test_an_impossible_address_is_refused() -> None:
    """As one line, without the control character."""
    with pytest.raises(ParamError, match="not the address"):
        once(Endpoint("http://127.0.0.1/\x7f"))


def test_an_endless_error_page_is_not_read_to_its_end(server: Loopback) -> None:
    """Of a page that is too long only the beginning is read, and a line of it shown."""
    server.reply(Raw([b"x" * 100_000] * 20 + [Stall()], status=400, content_type="text/plain"))
    asked = once(server)
    assert isinstance(asked.error, BadRequest)
    assert len(str(asked.error)) < 600


# Stopping ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [["Hel", Stall()], [Stall()]])
def test_stopping_closes_the_connection(server: Loopback, chunks: list[Any]) -> None:
    """In the middle of a reply and before its first word: the server stops working for us."""
    hold = Hold()
    server.reply(Reply(chunks=[*chunks[:-1], hold, chunks[-1]]))

    async def work(client: Client) -> None:
        task = asyncio.create_task(ask(client, Endpoint(server.url)))
        await asyncio.to_thread(hold.reached.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.requests[0].closed.wait, 5)

    run(work)


def test_stopping_does_not_wait_until_a_long_answer_is_read(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts of 16 MB in one piece may be millions, and other replies go on meanwhile."""
    reads, end = threading.Event(), threading.Event()

    def close(reader: ResponseReader) -> Batch:
        reads.set()
        end.wait(5)
        return Batch()

    monkeypatch.setattr(ResponseReader, "close", close)
    server.reply(Reply(stream=False), Reply())

    async def work(client: Client) -> None:
        task = asyncio.create_task(ask(client, Endpoint(server.url)))
        assert await asyncio.to_thread(reads.wait, 5)
        assert (await ask(client, Endpoint(server.url))).reply.text == TEXT
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not end.is_set()
        end.set()

    run(work)


def test_stopping_ends_the_pause_before_a_new_try(server: Loopback) -> None:
    """A countdown of a minute is over at once."""
    server.reply(Fault(429, headers={"retry-after": "60"}))

    async def work(client: Client) -> None:
        paused = asyncio.Event()

        async def stream() -> None:
            async for _ in client.stream(Endpoint(server.url), BODY, lambda *_: paused.set()):
                pass

        task = asyncio.create_task(stream())
        await asyncio.wait_for(paused.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)

    run(work)
    assert len(server.requests) == 1


# The key ----------------------------------------------------------------------------------------


def test_the_key_is_sent_as_a_bearer_token() -> None:
    """Without the blanks that copying adds."""
    with Loopback(key="secret-1") as server:
        assert once(Endpoint(server.url + "/", " secret-1\n")).reply.text == TEXT


@pytest.mark.parametrize("key", ["secret-2", None, " "])
def test_a_wrong_key_is_refused_and_not_shown(key: str | None) -> None:
    """The message says how to set it, without the key."""
    with Loopback(key="secret-1") as server:
        asked = once(Endpoint(server.url, key))
    assert isinstance(asked.error, Refused)
    assert "DI_MAGICS_API_KEY" in str(asked.error)
    assert "secret" not in str(asked.error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server: Loopback, other: Loopback, status: int) -> None:
    """The key goes nowhere else, nor does the prompt."""
    server.reply(Fault(status, headers={"location": other.url + "/chat/completions"}))
    asked = once(Endpoint(server.url, "secret"))
    assert isinstance(asked.error, BadRequest)
    assert f"answered {status}. It has moved to {other.url}:" in str(asked.error)
    assert other.requests == []


def test_no_cookie_is_kept(server: Loopback, other: Loopback) -> None:
    """A cookie may be a secret, and is for all ports of its host, over http as well."""
    server.reply(Fault(400, headers={"set-cookie": "session=secret; Path=/"}))

    async def work(client: Client) -> None:
        await ask(client, Endpoint(server.url))
        await ask(client, Endpoint(server.url))
        await ask(client, Endpoint(other.url))

    run(work)
    requests = [*server.requests, *other.requests]
    assert len(requests) == 3
    assert not any("cookie" in request.headers for request in requests)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/v2/chat/completions", "{0}/v2:"),
        ("//example.org/v1/chat/completions", "http://example.org/v1:"),
        ("https://me:secret@example.org/v1?key=secret#secret", "https://example.org/v1:"),
        ("http://[", "http://[:"),
        ("x\x9b31m" + "y" * 9000, "…"),
        ("", "Check the endpoint's address with %chat endpoint (most end in /v1)"),
    ],
)
def test_a_redirect_names_where_to(server: Loopback, location: str, shown: str) -> None:
    """As an address for an endpoint: absolute, and without a password or a query."""
    server.reply(Fault(308, headers={"location": location}))
    message = str(once(server).error)
    assert shown.format(server.origin) in message
    assert "secret" not in message
    assert len(message) < 400
    assert message.isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "https://api.deepinfra.com/v1/openai",
        "http://127.0.0.1:8080/v1",
        "http://localhost/v1",
        "http://[::1]:80/v1",
        "https://example.org",
    ],
)
def test_a_key_goes_over_https_or_stays_here(url: str) -> None:
    """It is not in what the endpoint shows of itself."""
    endpoint = Endpoint(url, "secret")
    assert endpoint.headers() == {"Authorization": "Bearer secret"}
    assert endpoint.has_key
    assert repr(endpoint) == f"Endpoint({url!r}, with a key)"
    assert "secret" not in json.dumps(vars(endpoint), default=repr).replace('"_key": "secret"', "")


@pytest.mark.parametrize(
    "url", ["http://example.org/v1", "http://localhost.example.org/v1", "http://127.0.0.1.x.org/v1"]
)
def test_a_key_is_never_sent_unencrypted(url: str) -> None:
    """Not even to a name that begins like this machine's; without a key the address is fine."""
    with pytest.raises(ParamError, match="not encrypted"):
        Endpoint(url, "secret")
    assert Endpoint(url).headers() == {}
    assert repr(Endpoint(url)) == f"Endpoint({url!r}, no key)"


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@example.org/v1",
        "https://secret@example.org/v1",
        "https://example.org/v1?key=secret",
        "https://example.org/v1#secret",
        "me:secret@example.org/v1",
        "ftp://me:secret@example.org/v1",
        "https://me:secret@",
    ],
)
def test_a_key_in_the_address_is_refused_and_not_shown(url: str) -> None:
    """An address is shown and saved, so nothing secret may be part of it."""
    with pytest.raises(ParamError) as error:
        Endpoint(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "deepinfre",
        "host/v1",
        "https://",
        "file:///x",
        "http://[x",
        "http://127.0.0.1:99999/v1",
        "http://host:port/v1",
        "http://host:0/v1",
    ],
)
def test_an_invalid_address_is_refused(url: str) -> None:
    """The message says what can be written."""
    with pytest.raises(ParamError, match="%chat endpoint lists them"):
        Endpoint(url)


@pytest.mark.parametrize("key", ["a b\nc", "ключ", "a\x00b", "a\u200bb"])
def test_an_invalid_key_is_refused_and_not_shown(key: str) -> None:
    """A key that was copied with something else."""
    with pytest.raises(ParamError, match="no key has") as error:
        Endpoint("https://example.org", key)
    assert key not in str(error.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.deepinfra.com/v1/openai", "deepinfra"),
        ("https://deepinfra.com/v1", "deepinfra"),
        ("http://api.deepinfra.com/v1", "api.deepinfra.com"),
        ("https://deepinfra.com.example.org/v1", "deepinfra.com.example.org"),
        ("https://notdeepinfra.com:8/v1", "notdeepinfra.com:8"),
    ],
)
def test_an_endpoint_has_a_name(url: str, name: str) -> None:
    """Only DeepInfra's own hosts, over https, are called so."""
    assert Endpoint(url).name == name
    assert Endpoint(url, name="mine").name == "mine"


@pytest.mark.parametrize("status", [201, 202, 207])
def test_any_status_of_success_has_a_reply(server: Loopback, status: int) -> None:
    """Some gateways answer a POST with 201."""
    server.reply(Reply("Hi", status=status))
    assert once(server).reply.text == "Hi"
