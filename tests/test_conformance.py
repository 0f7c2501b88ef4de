"""Whole streams of many servers: the same reply however the network cuts them.

The streams below are written by hand in the shapes that servers send; DI_MAGICS_STREAMS names
folders of more, separated as in PATH: recorded streams (`*.sse`, whole replies as
`*.nonstream.json`), cases (`NAME.sse` with what the reply must be in `NAME.json`) and error bodies
(`deepinfra_error_bodies.json`), at any depth.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from grow import snapshot

from di_magics.core.errors import BadRequest, Busy, EndpointError, Refused, StreamBroken, TooLong
from di_magics.core.reply.fold import ReplyFold
from di_magics.core.reply.reply import Reply
from di_magics.core.request.response import ResponseReader
from di_magics.core.request.server_errors import http_error

FOLDERS = [Path(name) for name in os.environ.get("DI_MAGICS_STREAMS", "").split(os.pathsep) if name]
SIZES = (*range(1, 65), 100, 255, 1000, 1460, 4096, 16384)
LONG = 20_000
SIZES_OF_LONG = (1, 2, 3, 5, 7, 13, 31, 64, 255, 1000, 1460, 4096, 16384)


# Streams ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """What a stream says; `error` is what the error at its end says."""

    text: str = ""
    reasoning: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    finish: str | None = None
    tokens: tuple[int | None, int | None] = (None, None)
    cost: str | None = None
    ended: bool = True
    error: str | None = None


def chunk(delta: object = None, finish: str | None = None, **more: object) -> str:
    """Return one event of a stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    payload = {"id": "r-1", "object": "chat.completion.chunk", "model": "some/model"}
    return f"data: {json.dumps({**payload, 'choices': choices, **more}, ensure_ascii=False)}\n\n"


def tool(index: int | None, name: str | None, arguments: str | None, **more: object) -> str:
    """Return an event with a fragment of a tool call."""
    numbered = {} if index is None else {"index": index}
    function = {"name": name, "arguments": arguments}
    return chunk({"tool_calls": [{**numbered, **more, "function": function}]})


DONE = "data: [DONE]\n\n"
USED = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "estimated_cost": 2.5e-06}
PING = ": ping - 2026-01-02 03:04:05.678901+00:00\n\n"
BOTH = (("f", '{"x": 1}'), ("g", "[2]"))

WRITTEN: dict[str, tuple[str, Expected]] = {
    "a role in every delta, an end token that leaks, no usage": (
        "".join(
            chunk({"role": "assistant", "content": piece})
            for piece in (" ", " Yes", "", ".", "</s>")
        )
        + chunk({}, "stop")
        + DONE,
        Expected("  Yes.</s>", finish="stop"),
    ),
    "pings, and the usage with the reason to end": (
        PING
        + chunk({"role": "assistant", "content": ""})
        + PING
        + chunk({"content": "Größe: 1 ≤ 2\u2028😀"})
        + chunk({}, "stop", usage=USED)
        + DONE,
        Expected("Größe: 1 ≤ 2\u2028😀", finish="stop", tokens=(9, 4), cost="0.0000025"),
    ),
    "nulls everywhere, and the usage in a chunk of its own": (
        chunk(None, prompt_filter_results=[], usage=None)
        + chunk({"role": "assistant", "content": None, "tool_calls": None}, usage=None)
        + chunk({"content": "a", "reasoning_content": None, "function_call": None}, usage=None)
        + chunk({"content": "", "role": None}, "length", usage=None, service_tier=None)
        + chunk(None, usage=USED)
        + DONE,
        Expected("a", finish="length", tokens=(9, 4), cost="0.0000025"),
    ),
    "usage that grows with every chunk": (
        chunk({"content": "a"}, usage={"prompt_tokens": 9, "completion_tokens": 1})
        + chunk({"content": "b"}, usage={"prompt_tokens": 9, "completion_tokens": 2})
        + chunk({}, "stop", usage={"prompt_tokens": 9, "completion_tokens": 3})
        + DONE,
        Expected("ab", finish="stop", tokens=(9, 3)),
    ),
    "reasoning, under two names, and the reason to end twice": (
        ": PROCESSING\n\n"
        + chunk({"reasoning": "so", "reasoning_details": [{"text": "so"}]})
        + chunk({"reasoning_content": " it is", "content": ""})
        + chunk({"content": "42", "reasoning": None, "reasoning_details": []}, "stop")
        + chunk({"content": ""}, "stop", usage=USED)
        + DONE,
        Expected("42", "so it is", finish="stop", tokens=(9, 4), cost="0.0000025"),
    ),
    "content as a list of parts": (
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]})
        + chunk({"content": [{"type": "text", "text": "o"}, {"type": "text", "text": "k"}]}, "stop")
        + DONE,
        Expected("ok", "hm", finish="stop"),
    ),
    "two tool calls in fragments that alternate": (
        chunk({"role": "assistant", "content": None})
        + tool(0, "f", "", id="c-1", type="function")
        + tool(1, "g", None, id="c-2", type="function")
        + tool(0, None, '{"x"', id="")
        + tool(1, "", "[2", id="")
        + tool(0, None, ": 1}")
        + tool(1, None, "]")
        + chunk({"content": ""}, "tool_calls", usage=USED)
        + DONE,
        Expected("", "", BOTH, "tool_calls", (9, 4), "0.0000025"),
    ),
    "indexes that start at 1": (
        tool(1, "f", '{"x"', id="c-1")
        + tool(1, None, ": 1}")
        + tool(2, "g", "[2]", id="c-2")
        + chunk({}, "tool_calls")
        + DONE,
        Expected(tools=BOTH, finish="tool_calls"),
    ),
    "whole tool calls without an index": (
        tool(None, "f", '{"x": 1}', id="c-1") + tool(None, "g", "[2]") + chunk({}, "tool_calls"),
        Expected(tools=BOTH, finish="tool_calls"),
    ),
    "no DONE, and no blank line at the end": (
        (chunk({"content": "a"}) + chunk({}, "stop")).rstrip("\n"),
        Expected("a", finish="stop"),
    ),
    "DONE and no reason to end": (
        chunk({"content": "a"}) + DONE,
        Expected("a"),
    ),
    "neither DONE nor a reason to end": (
        chunk({"content": "a"}) + chunk({"content": "b"}),
        Expected("ab", ended=False),
    ),
    "a reason to end that means failure": (
        chunk({"content": "a"}) + chunk({}, "network_error") + DONE,
        Expected("a", finish="network_error", ended=False),
    ),
    "an error as an event": (
        chunk({"content": "a"})
        + 'event: error\ndata: {"error": {"message": "no such tool", "code": "x"}}\n\n',
        Expected("a", ended=False, error="no such tool"),
    ),
    "an error as a field of its own name": (
        chunk({"content": "a"}) + 'error: {"code": 400, "message": "exceeds the context size"}\n\n',
        Expected("a", ended=False, error="exceeds the context size"),
    ),
    "an error in a chunk": (
        chunk({"content": "a"}) + chunk({"content": ""}, error={"code": 502, "message": "gone"}),
        Expected("a", ended=False, error="502: gone"),
    ),
}


def given(pattern: str) -> list[Path]:
    """Return the files of this name in the folders that are given."""
    return sorted(path for folder in FOLDERS for path in folder.rglob(pattern))


def case(*events: str, **expected: object) -> tuple[bytes, dict[str, Any]]:
    """Return a case: a stream, and what the reply must be."""
    return "".join(events).encode(), {"status": "done", **expected}


PAR, STOP = chunk({"content": "par"}), chunk({}, "stop")
OWN_CASES = {
    "an error with a number": case(
        PAR, 'data: {"error": {"code": 500, "message": "x"}}\n\n', text="par", status="cut"
    ),
    "an error in a field": case(
        PAR, 'error: {"code": 400, "message": "x"}\n\n', text="par", status="cut"
    ),
    "an error in a choice": case(
        PAR, 'data: {"choices": [{"error": {"code": 429}}]}\n\n', text="par", status="cut"
    ),
    "two choices": case(
        PAR, 'data: {"choices": [{"index": 1, "delta": {"content": "no"}}]}\n\n', STOP, text="par"
    ),
    "a refusal": case(chunk({"content": None, "refusal": "I'm sorry"}), STOP, text="I'm sorry"),
    "content that is an object": case(chunk({"content": {"a": 1}}), STOP, text='{"a": 1}'),
    "reasoning in a summary": case(
        chunk({"reasoning_details": [{"summary": "Hmm"}]}), PAR, STOP, text="par", reasoning="Hmm"
    ),
    "a function call of old": case(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
        tools=[["f", "{}"]],
    ),
    "a message beside a delta": case(
        PAR,
        'data: {"choices": [{"delta": {}, "message": {"content": "par"}}]}\n\n',
        STOP,
        text="par",
    ),
    "usage of Groq": case(
        PAR, chunk({}, "stop", x_groq={"usage": USED}), text="par", usage=[9, 4, 13]
    ),
    "a cost under another name": case(
        PAR, STOP, chunk(usage={"prompt_tokens": 7, "cost": 0.00014}), cost="0.00014"
    ),
    "no end": case(PAR, text="par", status="cut", finish_reason=None),
    "half an emoji": case(
        'data: {"choices": [{"delta": {"content": "\\ud83d"}}]}\n\n',
        'data: {"choices": [{"delta": {"content": "\\ude00"}}]}\n\n',
        STOP,
        text="😀",
    ),
    "JSON in place of events": case(
        '{"choices": [{"message": {"content": "par"}, "finish_reason": "stop"}]}',
        text="par",
        finish_reason="stop",
    ),
    "no choices": case('{"code": 1, "msg": "no"}', text="", status="failed"),
}
GIVEN_CASES = {
    path.stem: (path.read_bytes(), json.loads(path.with_suffix(".json").read_text("utf-8")))
    for path in given("*.sse")
    if path.with_suffix(".json").exists()
}
STREAMS = {
    **{
        f"{name}, {end!r}": text.replace("\n", end).encode()
        for end in ("\n", "\r\n")
        for name, (text, _) in WRITTEN.items()
    },
    **{path.stem: path.read_bytes() for path in given("*.sse") if path.stem not in GIVEN_CASES},
}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
WHOLE = {
    "one of ours": json.dumps(
        {"choices": [{"message": {"content": "a", "tool_calls": [CALL]}, "finish_reason": "stop"}]}
    ).encode(),
    **{path.name: path.read_bytes() for path in given("*.nonstream.json")},
}


RECORDED = {path.stem for path in given("*.sse")} | {path.name for path in given("*.json")}


@pytest.fixture(autouse=True)
def _fed(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Note which recorded stream is fed, for the line at the end of the run."""
    name = getattr(getattr(request.node, "callspec", None), "id", "")
    if name in RECORDED:
        record_property("fed", name)


# How they are read ----------------------------------------------------------------------------


def fold(stream: bytes, *sizes: int) -> tuple[Reply, EndpointError | None]:
    """Return the reply of a stream that is read in pieces of these sizes, and its error."""
    reply, reader, at, next_size = ReplyFold(), ResponseReader(), 0, cycle(sizes)
    while at < len(stream):
        size = next(next_size)
        batch = reader.feed(stream[at : at + size])
        at += size
        reply.add(batch.events)
        if batch.error or batch.done:
            return snapshot(reply), batch.error
    batch = reader.close()
    reply.add(batch.events)
    return snapshot(reply), batch.error


def read_whole(stream: bytes) -> tuple[Reply, EndpointError | None]:
    """Return the reply of a stream that comes in one piece."""
    return fold(stream, len(stream))


def outcome(read: tuple[Reply, EndpointError | None]) -> tuple[Reply, type | None, str]:
    """Return what can be compared of a reading."""
    reply, error = read
    return reply, type(error), str(error)


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_every_chunk_size_gives_the_same_reply(stream: bytes) -> None:
    """Text, reasoning, tool calls, probabilities, usage and error do not depend on the network."""
    expected = outcome(read_whole(stream))
    for size in SIZES if len(stream) < LONG else SIZES_OF_LONG:
        assert outcome(fold(stream, size)) == expected, size


@pytest.mark.parametrize(
    ("stream", "expected"), (CASES := OWN_CASES | GIVEN_CASES).values(), ids=CASES
)
def test_recorded_stream_gives_the_expected_reply(stream: bytes, expected: dict[str, Any]) -> None:
    """Whole, byte by byte, cut in two at each byte, and at random."""
    draw = random.Random(0)
    splits = [[len(stream)], [1], *([cut, len(stream)] for cut in range(1, len(stream)))]
    splits += [[draw.randint(1, 40) for _ in range(99)] for _ in range(20)]
    for sizes in splits:
        reply, error = fold(stream, *sizes)
        usage, cut = reply.usage, error is not None or not reply.complete
        result = {
            "text": reply.text,
            "reasoning": reply.reasoning,
            "status": "cut" if cut and reply.text else "failed" if cut else "done",
            "finish_reason": reply.finish_reason,
            "usage": [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens],
            "cost": None if reply.cost is None else f"{reply.cost:f}",
            "tools": [[call.name, call.arguments] for call in reply.tool_calls],
        }
        assert {name: result[name] for name in expected} == expected, sizes


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
def test_a_whole_reply_is_read(whole: bytes) -> None:
    """A recorded body of a reply that was not streamed: each of its texts is in the reply."""
    message = json.loads(whole)["choices"][0]["message"]
    reply, error = read_whole(whole)
    assert (reply.complete, error) == (True, None)
    assert outcome(fold(whole, 7)) == outcome((reply, error))
    if isinstance(message.get("content"), str):
        assert reply.text == message["content"]
    assert [call.name for call in reply.tool_calls] == [
        call["function"]["name"] for call in message.get("tool_calls") or ()
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize(("text", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_a_stream_reads_as_it_was_meant(text: str, expected: Expected, end: str) -> None:
    """Each of the shapes that servers send gives the reply that it spells."""
    reply, error = read_whole(text.replace("\n", end).encode())
    assert expected == Expected(
        reply.text,
        reply.reasoning,
        tuple((call.name, call.arguments) for call in reply.tool_calls),
        reply.finish_reason,
        (reply.usage.prompt_tokens, reply.usage.completion_tokens),
        None if reply.cost is None else f"{reply.cost:f}",
        reply.complete,
        expected.error if error and expected.error and expected.error in str(error) else None,
    )
    assert (error is None) is (expected.error is None)


@dataclass
class Simple:
    """What a plain reading of a stream finds, line by line and by nobody's rules but JSON's."""

    text: str = ""
    reasoning: str = ""
    tools: tuple[str, ...] = ()
    finish: str | None = None
    tokens: tuple[int | None, int | None] = (None, None)
    failed: bool = False


def simple(stream: bytes) -> Simple:
    """Read a stream up to the first error in it."""
    result = Simple()
    for line in re.split(r"\r?\n", stream.decode()):
        payload = json.loads(line[5:]) if re.match(r"data: ?\{", line) else {}
        usage = payload.get("usage") or payload.get("x_groq", {}).get("usage")
        if usage:
            result.tokens = usage["prompt_tokens"], usage["completion_tokens"]
        if line.startswith(("event: error", "error:")) or payload.get("error"):
            result.failed = True
            break
        for choice in payload.get("choices") or ():
            delta = choice.get("delta", {})
            parts = delta.get("content") or ""
            if isinstance(parts, str):
                parts = [{"text": parts}]
            for part in parts:
                result.text += part.get("text", "")
                result.reasoning += "".join(each["text"] for each in part.get("thinking", ()))
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            details = delta.get("reasoning_details") or ()
            result.reasoning += thought or "".join(each.get("text", "") for each in details)
            calls = delta.get("tool_calls") or ()
            names = (call.get("function", {}).get("name") for call in calls)
            result.tools += tuple(filter(None, names))
            result.finish = choice.get("finish_reason") or result.finish
    return result


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_simple_reading_finds_the_same(stream: bytes) -> None:
    """Nothing is lost or said twice between the bytes and the reply."""
    reply, error = read_whole(stream)
    assert simple(stream) == Simple(
        reply.text,
        reply.reasoning,
        tuple(call.name for call in reply.tool_calls),
        reply.finish_reason,
        (reply.usage.prompt_tokens, reply.usage.completion_tokens),
        error is not None,
    )


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_what_is_shown_only_grows(stream: bytes) -> None:
    """Each state of the reply shows the beginning of the next one."""
    reader, growing, reply = ResponseReader(), ReplyFold(), Reply()
    for at in range(0, len(stream), 100):
        growing.add(reader.feed(stream[at : at + 100]).events)
        grown = growing.snapshot()
        assert grown.clean_text.startswith(reply.clean_text)
        reply = grown


# Error bodies ---------------------------------------------------------------------------------

CLASSES: dict[int, type[EndpointError]] = {
    **dict.fromkeys((401, 402, 403), Refused),
    **dict.fromkeys((400, 404, 405, 422), BadRequest),
    413: TooLong,
    **dict.fromkeys((408, 409, 429, 500, 502, 503, 504), Busy),
}
BODIES: list[dict[str, Any]] = [
    {"status": 403, "body": {"detail": {"error": "No key was given"}}},
    {"status": 404, "body": {"error": "There is no such model"}},
    {
        "status": 422,
        "body": {"detail": [{"loc": ["body", "top_p"], "msg": "Too big", "type": "x"}]},
    },
    {"status": 429, "body": "Slow down"},
    {"status": 500, "body": {"error": {"message": "Length 9 exceeds maximum input length 8"}}},
    {"status": 405, "body": ""},
    {"status": 200, "sse_event": {"choices": [], "error": {"code": 400, "message": "Too much"}}},
    {"status": 200, "in_stream": True, "message": "1 validation error"},
]


def bodies() -> Sequence[dict[str, Any]]:
    """Return the error bodies: ours, and the recorded ones."""
    more = (json.loads(path.read_text("utf-8")) for path in given("deepinfra_error_bodies.json"))
    return [*BODIES, *(body for found in more for body in found)]


def texts_of(body: Any) -> list[str]:
    """Return all texts in a body that are meant for a user."""
    if isinstance(body, list):
        return [text for item in body for text in texts_of(item)]
    if isinstance(body, dict):
        keys = body.keys() & {"error", "detail", "message", "msg"}
        return [text for key in sorted(keys) for text in texts_of(body[key])]
    return [body] if isinstance(body, str) and body else []


@pytest.mark.parametrize("entry", bodies(), ids=lambda entry: str(entry["status"]))
def test_an_error_body_says_what_the_server_said(entry: dict[str, Any]) -> None:
    """The server's text is in the message, and the class follows the text, else the status."""
    body: Any = entry.get("body", entry.get("sse_event"))
    status = entry["status"]
    if body is None and "message" in entry:
        body = {"error": entry["message"]}
    texts = texts_of(body)
    if status == 200:
        error = read_whole(f"data: {json.dumps(body)}\n\n".encode())[1]
        assert error is not None
        code = body["error"].get("code") if isinstance(body["error"], dict) else None
        kind = CLASSES.get(code or 0, StreamBroken)
    else:
        status = status if isinstance(status, int) else 500
        answer = body if isinstance(body, str) else json.dumps(body) if body else ""
        error = http_error(status, answer.encode())
        kind = CLASSES[status]
        assert error.status == status
    if any("maximum input length" in text for text in texts):
        kind = TooLong
    if "Not authenticated" in texts:
        kind = Refused
    assert type(error) is kind
    for text in texts:
        assert text.rstrip(".") in str(error)
    assert str(error).endswith(".")
