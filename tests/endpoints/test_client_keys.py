"""A key that a server repeats is shown nowhere, whatever the place and the spelling."""

from __future__ import annotations

import asyncio
import base64
import json
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from asking import Asked, once, run
from loopback import Answer, Fault, Loopback, Raw, Reply, event

import di_magics as di
from di_magics.core.errors import DiMagicsError, EndpointError, ParamError
from di_magics.core.request import retry
from di_magics.endpoints.endpoint import Endpoint

KEY = "di-8Kf+2/aZ=Qx7LmNc9RtVw3"
WORD = "Hq7vbn42Kd"
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "unicode": lambda key: "".join(f"\\u{ord(sign):04x}" for sign in key),
    "repr": lambda key: repr(repr(key))[1:-1],
    "percent": lambda key: quote(key, safe=""),
    "base64": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
}


def error_body(said: str) -> bytes:
    """Return an error's body; the words go in as they are, with any escapes of JSON."""
    return b'{"error": {"message": "' + said.encode() + b'"}}'


def places(said: str) -> dict[str, Answer]:
    """Return answers that have these words in all places we look at."""
    far, headers = "word " * 70, {"x-request-id": said.replace("\\", "")}
    moved = {"location": f"https://{said}@x.org/{said}/chat/completions?key={said}"}
    return {
        "error": Fault(401, error_body(f"Bad key {said}.")),
        "text": Fault(400, f"Bad key {said}", content_type="text/plain"),
        "cut at 400": Fault(400, error_body(f"{(far * 2)[:390]}{said}")),
        "too long": Fault(400, error_body(f"{said} has 9 tokens: exceeds context length 8")),
        "no model": Fault(404, error_body(f"no model {said}")),
        "field": Fault(422, {"detail": [{"loc": ["body", said], "msg": said}]}),
        "request id": Fault(500, error_body("no"), headers=headers),
        "redirect": Fault(308, headers=moved),
        "error in a stream": Raw([b"data: " + error_body(said) + b"\n\n"]),
        "error event": Raw([b"event: error\ndata: " + said.encode() + b"\n\n"]),
        "too long in a stream": Raw([b"data: " + error_body(f"context length {said}") + b"\n\n"]),
        "no json, cut at 120": Raw([f"data: {far[:110]}{said}\n\n".encode()]),
        "not an object": Raw([f'data: ["{far[:110]}{said}"]\n\n'.encode()]),
        "header line": Raw([], headers={f"x {said}": "x"}),
        "reply": Reply(f"Your key is {said}."),
        "reply in one piece": Reply(f"Your key is {said}.", stream=False),
        "model": Reply(model=said),
        "reasoning": Reply(reasoning=f"The key is {said}."),
        "reason": Reply(finish=said),
        "call": Reply(tool_calls=[{"id": said, "name": said, "arguments": f'{{"a": "{said}"}}'}]),
        "pieces": Reply(chunks=list(f"Your key is {said}.")),
        "before the end": Raw([event({"choices": [{"delta": {"content": said}}]})], chunked=False),
    }


def readings(text: str) -> set[str]:
    """Return what a text may be read as: itself, and with each spelling undone."""
    return {text, text.replace("\\\\", "\\").replace("\\/", "/"), text.replace("\\", "")}


def everything(asked: Asked) -> str:
    """Return all that is known after asking, as text."""
    error = asked.error
    known = [asked.reply.text, asked.reply.reasoning, *map(str, asdict(asked.reply).values())]
    if error:
        known += [str(error), repr(error), repr(vars(error)), repr(error.__cause__)]
    return "\n".join(known)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses before new tries are short."""
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.001)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("place", places(""))
def test_a_key_that_a_server_repeats_is_not_shown(
    server: Loopback, place: str, spelling: str
) -> None:
    """No eight characters of it, in an error, a header, an address or the reply."""
    said = SPELLINGS[spelling](KEY)
    server.default = places(said)[place]
    known = everything(once(Endpoint(server.url, KEY)))
    shown = {
        part
        for spell in SPELLINGS.values()
        for part in (spell(KEY)[at : at + 9] for at in range(8, len(spell(KEY)) - 12))
    }
    found = [part for part in shown if any(part in reading for reading in readings(known))]
    assert found == []


@pytest.mark.parametrize("at", ["content-encoding", "content-type", "retry-after", "server"])
def test_no_header_of_an_answer_shows_the_key(server: Loopback, at: str) -> None:
    """Also a key of small letters only, where a header is shown in them."""
    key = "di-0123456789abcdef0123456789abcdef"
    for answer in (Raw([b"data: {}"], headers={at: key}), Fault(429, b"x", headers={at: key})):
        server.default = answer
        asked = once(Endpoint(server.url, key))
        assert isinstance(asked.error, EndpointError)
        assert "0123456789" not in everything(asked)


def test_a_list_of_models_has_no_key(server: Loopback) -> None:
    """Nor has the error where there is none."""
    server.models = [KEY, f"x{json.dumps(KEY)}"]
    endpoint = Endpoint(server.url, KEY)
    listed: Any = run(lambda client: client.models(endpoint))
    assert KEY not in json.dumps(listed)
    assert len(listed["data"]) == 2


def test_the_model_that_is_asked_for_may_be_the_key(server: Loopback) -> None:
    """A key that was given for the model's name is not shown in the error."""
    server.reply(Fault(404, {"error": "no such model"}))
    body = {"model": KEY, "messages": [], "stream": True}
    asked = once(Endpoint(server.url, KEY), body)
    assert isinstance(asked.error, EndpointError)
    assert KEY not in str(asked.error)


@pytest.mark.parametrize("key", ["a", "EMPTY", "server"])
def test_a_short_key_garbles_nothing(server: Loopback, key: str) -> None:
    """It is no secret, and may be a word of the server or a part of one."""
    server.reply(Fault(400, {"error": "a servers EMPTYness"}), Reply("a server EMPTY"))
    endpoint = Endpoint(server.url, key)
    assert "a servers EMPTYness" in str(once(endpoint).error)
    assert once(endpoint).reply.text == "a server EMPTY"


@pytest.mark.parametrize("fault", ["refused", "no server", "broken"])
def test_a_traceback_with_local_variables_has_no_key(server: Loopback, fault: str) -> None:
    """Some tools show the variables of every frame."""
    server.reply(Fault(401, {"error": "no"}) if fault == "refused" else Raw([b"data: {\n\n"]))
    url = "http://127.0.0.1:9/v1" if fault == "no server" else server.url
    error = once(Endpoint(url, KEY, headers={"X-Key": KEY})).error
    assert error is not None
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    assert "headers = " in (text := "".join(lines))
    assert KEY not in text
    assert KEY not in repr((Endpoint(url, KEY), Endpoint(url, KEY).headers()))


@pytest.mark.parametrize(
    "at",
    [
        *["key", "bad header", "bad key", "http", "query", "type", "bytes", "list", "pairs"],
        *["header of bytes", "query of bytes", "query as text"],
        *["address", "address of bytes", "address with a query"],
    ],
)
def test_a_refused_endpoint_shows_no_key_in_a_traceback(at: str) -> None:
    """Nor does what is only half made."""
    mistakes: dict[str, dict[str, Any]] = {
        "key": {"url": "https://host/v1?a=b"},
        "bad header": {"headers": {"X-Key": f"{KEY}\n2"}},
        "bad key": {"key": f"{KEY}\u00e9"},
        "http": {"url": "http://host.example/v1"},
        "query": {"query": {"a": KEY, "b": 3}},
        "type": {"url": 3, "headers": {"X-Key": KEY}, "query": {"key": KEY}},
        "bytes": {"key": KEY.encode()},
        "list": {"key": [KEY]},
        "header of bytes": {"headers": {"X-Key": KEY.encode()}},
        "pairs": {"headers": [("X-Key", KEY)]},
        "query of bytes": {"query": {"key": KEY.encode()}},
        "query as text": {"query": f"key={KEY}"},
        "address": {"url": f"https://ada:{WORD}@host/v1"},
        "address of bytes": {"url": f"https://ada:{WORD}@host/v1".encode()},
        "address with a query": {"url": f"https://host/v1?key={WORD}"},
    }
    arguments = {"url": "https://host/v1", "key": KEY, **mistakes[at]}
    with pytest.raises(ParamError) as caught:
        Endpoint(**arguments)
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in trace.stack if "test_client_keys" not in frame.filename]
    assert ours
    text = str([frame.locals for frame in ours])
    assert not any(secret in text for secret in (KEY, WORD))


ASKING: dict[str, Callable[..., Any]] = {
    "ask": lambda **arguments: di.ask("hi", **arguments),
    "aask": lambda **arguments: asyncio.run(di.aask("hi", **arguments)),
    "stream": lambda **arguments: list(di.stream("hi", **arguments)),
    "sweep": lambda **arguments: di.sweep("hi", vary={"seed": [1, 2]}, **arguments),
    "conversation": lambda **arguments: di.Conversation(**arguments).ask("hi"),
    "its stream": lambda **arguments: list(di.Conversation(**arguments).stream("hi")),
    "score": lambda endpoint: di.score("hi", endpoint=endpoint),
}


@pytest.mark.parametrize("name", ASKING)
def test_a_password_in_an_address_is_not_shown_in_a_traceback(name: str) -> None:
    """Of any function that takes an address; nor a key under the name of a parameter."""
    wrong: list[dict[str, Any]] = [{"endpoint": f"https://ada:{WORD}@host/v1"}]
    wrong += [{"api_key": WORD}] if name != "score" else []
    for arguments in wrong:
        with pytest.raises(ParamError) as caught:
            ASKING[name](**arguments)
        trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [frame for frame in trace.stack if "test_client_keys" not in frame.filename]
        assert WORD not in str([frame.locals for frame in ours])
        assert WORD not in str(caught.value)


def test_a_policys_key_is_not_shown_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a student's wrong endpoint makes one."""
    monkeypatch.setenv("CLASS_KEY", KEY)
    rules = tmp_path / "rules.toml"
    rules.write_text('endpoint = "https://school.example/v1"\nkey_variable = "CLASS_KEY"\n')
    monkeypatch.setenv("DI_MAGICS_POLICY", str(rules))
    for endpoint in ("https://other.example/v1", "nonsense"):
        with pytest.raises(DiMagicsError) as caught:
            di.ask("hi", endpoint=endpoint, model="m")
        trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert KEY not in "".join(trace.format())
