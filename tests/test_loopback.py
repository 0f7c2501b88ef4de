"""The endpoint the tests run against does to a client what it says it does."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from loopback import CountingServer, Drop, Fault, Hold, Loopback, Raw, Reply, Stall, event

ASKED = {"model": "test/model", "stream": True}


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """Return a client that takes no proxy."""
    with httpx.Client(trust_env=False, timeout=10) as client:
        yield client


def ask(client: httpx.Client, server: Loopback) -> httpx.Response:
    """Ask for a reply and read it to the end."""
    return client.post(server.url + "/chat/completions", json=ASKED)


def payloads(body: str) -> list[dict[str, object]]:
    """Return the JSON objects of a stream."""
    data = [line[6:] for line in body.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in data]


def text(body: str) -> str:
    """Return the text of a stream."""
    choices = [choice for payload in payloads(body) for choice in payload["choices"]]  # type: ignore[attr-defined]
    return "".join(choice["delta"].get("content", "") for choice in choices)


def test_a_reply_is_a_stream_of_events_that_ends_by_saying_so(
    client: httpx.Client, server: Loopback
) -> None:
    """The pieces give the text, the last event the usage."""
    server.reply(Reply("Ünïcode,\n\n  two  spaces \n", split=1))
    body = ask(client, server).text
    assert text(body) == "Ünïcode,\n\n  two  spaces \n"
    assert payloads(body)[-1]["usage"] == Reply().usage
    assert body.endswith("data: [DONE]\n\n")


def test_many_requests_take_one_connection(client: httpx.Client, server: Loopback) -> None:
    """Keep-alive is kept, also after an error."""
    server.reply(Reply(), Fault(429, {"error": "busy"}, headers={"Retry-After": "1"}))
    answers = [ask(client, server) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].headers["retry-after"] == "1"
    assert (len(server.requests), server.connections) == (3, 1)


def test_a_held_stream_shows_what_came_before(client: httpx.Client, server: Loopback) -> None:
    """The text before the hold arrives before the release, the rest after it."""
    hold = Hold()
    server.reply(Reply(chunks=["Hel", b": ping\n\n", hold, "lo"]))
    with client.stream("POST", server.url + "/chat/completions", json=ASKED) as response:
        lines = response.iter_lines()
        before = [next(lines) for _ in range(6)]
        assert hold.reached.wait(5)
        assert text("\n".join(before)) == "Hel"
        assert ": ping" in before
        hold.release()
        assert text("\n".join(lines)) == "lo"
    assert server.requests[0].answered.wait(5)


def test_a_client_that_goes_away_is_noticed(client: httpx.Client, server: Loopback) -> None:
    """A stalled stream ends when the client closes it, and the request says so."""
    server.reply(Reply(chunks=["Hel", Stall()]))
    with client.stream("POST", server.url + "/chat/completions", json=ASKED) as response:
        next(response.iter_lines())
    request = server.wait_for(1)
    assert request.closed.wait(5)
    assert request.ended_at
    assert not request.answered.is_set()


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_drops_in_the_middle(
    client: httpx.Client, server: Loopback, reset: bool
) -> None:
    """A dropped stream is an error of the transport, after the bytes that were sent."""
    server.reply(Raw([event({"choices": []}), Drop(reset)]))
    with pytest.raises(httpx.TransportError):
        ask(client, server)


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_drops_before_the_status_line(
    client: httpx.Client, server: Loopback, reset: bool
) -> None:
    """An answer can be missing altogether, and the next one is fine."""
    server.reply(Drop(reset))
    with pytest.raises(httpx.TransportError):
        ask(client, server)
    assert ask(client, server).status_code == 200


def test_a_body_may_end_with_the_connection(client: httpx.Client, server: Loopback) -> None:
    """Without chunked coding the end of the connection is a clean end."""
    server.reply(Raw([b"data: 1\n\n"], chunked=False))
    assert ask(client, server).text == "data: 1\n\n"
    assert ask(client, server).status_code == 200
    assert server.connections == 2


def test_a_whole_reply_is_one_object(client: httpx.Client, server: Loopback) -> None:
    """Where no stream is asked for, or the fault wants it so, JSON comes."""
    calls = [{"name": "weather", "arguments": "{}"}]
    server.reply(Reply("Hi", stream=False, tool_calls=calls, finish="tool_calls"))
    answer = ask(client, server)
    assert answer.headers["content-type"] == "application/json"
    message = answer.json()["choices"][0]["message"]
    assert message["content"] == "Hi"
    assert message["tool_calls"][0]["function"] == calls[0]


def test_fragments_of_a_tool_call_add_up(client: httpx.Client, server: Loopback) -> None:
    """The arguments come in parts, keyed by index."""
    server.reply(Reply("", tool_calls=[{"name": "f", "arguments": '{"x": 1}'}]))
    deltas = [p["choices"][0]["delta"] for p in payloads(ask(client, server).text)]  # type: ignore[index]
    functions = [d["tool_calls"][0]["function"] for d in deltas if "tool_calls" in d]
    assert functions[0]["name"] == "f"
    assert "".join(f["arguments"] for f in functions) == '{"x": 1}'


def test_the_key_is_asked_for(client: httpx.Client) -> None:
    """No key is 403, another key 401, as DeepInfra answers."""
    with Loopback(key="secret") as server:
        url = server.url + "/models"
        assert client.get(url).status_code == 403
        for key, status in (("wrong", 401), ("secret", 200)):
            answer = client.get(url, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == status
        assert client.get(server.url + "/nothing").json() == {"detail": "Not Found"}


def test_an_answer_may_depend_on_the_request(client: httpx.Client, server: Loopback) -> None:
    """A function gets the request; its own mistake is a readable page."""
    server.reply(lambda request: Reply(request.json["model"]), lambda request: 1 / 0)  # type: ignore[arg-type,return-value]
    assert text(ask(client, server).text) == "test/model"
    assert "ZeroDivisionError" in ask(client, server).text


def test_the_counting_server_counts(client: httpx.Client) -> None:
    """Whatever is asked for, it is there and on the list."""
    with CountingServer() as server:
        client.get(server.origin + "/pixel.png")
        client.head(server.origin + "/")
        assert [request.path for request in server.requests] == ["/pixel.png", "/"]


def test_an_idle_connection_closes_unannounced(server: Loopback) -> None:
    """The answer is whole, promises to keep the connection, and the connection is gone."""
    server.reply(Reply(after=[Drop()]))
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0)) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.endswith(b"0\r\n\r\n")
    assert b"connection: close" not in answer
