"""The payloads of a reply: every shape that servers send."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from di_magics.core.errors import BadRequest, Busy, EndpointError, StreamBroken, TooLong
from di_magics.core.reply.reply import (
    Finished,
    Logprobs,
    Reasoning,
    ReplyEvent,
    Served,
    Text,
    TokenProbability,
    ToolCallDelta,
    Usage,
    Used,
)
from di_magics.core.request.events import parse_event


def read(payload: object) -> list[ReplyEvent]:
    """Return the events of this payload."""
    return parse_event(json.dumps(payload))


def delta(**fields: object) -> list[ReplyEvent]:
    """Return the events of a chunk with this delta."""
    return read({"choices": [{"index": 0, "delta": fields}]})


def usage(**fields: object) -> Usage:
    """Return what is read of this usage."""
    [event] = read({"choices": [], "usage": fields})
    assert isinstance(event, Used)
    return event.usage


# What is read ---------------------------------------------------------------------------------


def test_a_chunk_is_read_in_order() -> None:
    """Model, reasoning, text, probabilities, end and usage come as events in this order."""
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "reasoning_content": "hm", "content": "Hi"},
        "logprobs": {"content": [{"token": "Hi", "logprob": -0.5}]},
        "finish_reason": "stop",
    }
    assert read({"id": "1", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 3}}) == [
        Served("m", "1"),
        Reasoning("hm"),
        Text("Hi"),
        Logprobs((TokenProbability("Hi", -0.5),)),
        Finished("stop"),
        Used(Usage(3)),
    ]


def test_a_whole_reply_is_read_like_a_chunk() -> None:
    """Where no stream was asked for there is a message in place of a delta."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
    }
    assert read({"choices": [choice]}) == [Text("Hi"), Finished("stop")]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"choices": None},
        {"choices": [None, {}, {"delta": None}, {"delta": {}}, {"delta": []}]},
        {"choices": [{"delta": {"role": "assistant", "content": None, "tool_calls": None}}]},
        {"choices": [{"delta": {"content": ""}, "finish_reason": "", "logprobs": None}]},
        {"choices": [{"delta": {"content": 5, "reasoning": None, "tool_calls": [None, {}]}}]},
        {"choices": [], "usage": None, "error": None},
        {"choices": [], "usage": {}, "id": "", "model": None},
        {"choices": [{"delta": {}, "logprobs": {"content": None}}], "object": "whatever"},
    ],
)
def test_a_chunk_may_say_nothing(payload: object) -> None:
    """Explicit nulls, empty texts and empty lists are no events."""
    assert read(payload) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "a"},
        {"reasoning": "a"},
        {"reasoning_content": "", "reasoning": "a"},
        {"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]},
        {"reasoning_details": [{"text": "a"}, {"summary": "b"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}, {}]}]},
    ],
)
def test_reasoning_comes_in_several_shapes(fields: dict[str, Any]) -> None:
    """Whichever field holds the reasoning, it is read once."""
    assert delta(**fields) == [Reasoning("a")]


def test_reasoning_that_is_no_text_is_left_out() -> None:
    """An object where a text should be is nothing to show."""
    assert delta(reasoning={"effort": "low"}, content="x") == [Text("x")]


def test_content_may_be_a_list_of_parts() -> None:
    """The texts of the parts are read one after the other."""
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"text": ""}, {"text": "b"}, 7]
    assert delta(content=parts) == [Text("a"), Text("b")]


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (
            {"index": 1, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}},
            ToolCallDelta(1, "c", "f", ""),
        ),
        ({"index": 0, "function": {"arguments": '{"x"'}}, ToolCallDelta(0, "", "", '{"x"')),
        ({"index": 0, "id": None, "function": {"name": None}}, ToolCallDelta(0, "", "", "")),
        (
            {"id": "c", "function": {"name": "f", "arguments": None}},
            ToolCallDelta(-1, "c", "f", ""),
        ),
        (
            {"id": "c", "function": {"name": "f", "arguments": {"x": 1}}},
            ToolCallDelta(-1, "c", "f", '{"x": 1}'),
        ),
        (
            {"id": "c", "function": {"name": "f", "arguments": {}}},
            ToolCallDelta(-1, "c", "f", "{}"),
        ),
    ],
)
def test_a_tool_call_comes_whole_or_in_fragments(call: dict[str, Any], part: ToolCallDelta) -> None:
    """Any field may be missing or null; arguments stay text, and null is no text at all."""
    assert delta(tool_calls=[call]) == [part]


def test_probabilities_that_are_no_numbers_are_left_out() -> None:
    """A null, a NaN or an infinity (all seen) drops the token, and not the reply."""
    wrong = ["null", "NaN", "-Infinity", '"-1"', "1" + "0" * 400]
    tokens = ",".join(f'{{"token": "x", "logprob": {value}}}' for value in wrong)
    good = (
        '{"token": "a", "logprob": -1, "bytes": [97], "top_logprobs":'
        ' [{"token": "a", "logprob": -1}, {"token": "b", "logprob": null}, {"logprob": 0}]}'
    )
    data = f'{{"choices": [{{"delta": {{}}, "logprobs": {{"content": [{tokens}, {good}]}}}}]}}'
    assert parse_event(data) == [Logprobs((TokenProbability("a", -1.0, (("a", -1.0),)),))]


def test_usage_is_read_field_by_field() -> None:
    """Counts are whole numbers, the cost is the decimal that the server wrote."""
    assert usage(
        prompt_tokens=328,
        completion_tokens=81,
        total_tokens=409,
        estimated_cost=1.47e-05,
        prompt_tokens_details={"cached_tokens": 0},
        completion_tokens_details={"reasoning_tokens": 7},
    ) == Usage(328, 81, 409, 0, 7, Decimal("0.0000147"))
    assert usage(prompt_tokens=1, prompt_tokens_details=None, reasoning_tokens=4) == Usage(
        1, reasoning_tokens=4
    )


@pytest.mark.parametrize("count", [None, True, "5", 1.5, [1]])
def test_a_count_that_is_no_whole_number_is_unknown(count: object) -> None:
    """What cannot be counted with is None."""
    assert usage(prompt_tokens=count, total_tokens=count) == Usage()


def test_zero_tokens_are_unknown_where_they_cannot_be() -> None:
    """No prompt has 0 tokens: that is what a server says that has not counted."""
    assert usage(prompt_tokens=0, completion_tokens=0, total_tokens=0) == Usage()
    assert usage(prompt_tokens=0, completion_tokens=5, total_tokens=5) == Usage(None, 5, 5)
    assert usage(prompt_tokens=5, completion_tokens=0, total_tokens=5) == Usage(5, 0, 5)
    assert usage(prompt_tokens=-5, completion_tokens=-1) == Usage()


@pytest.mark.parametrize(
    ("cost", "read_as"),
    [
        ("0", Decimal(0)),
        ("0.0", Decimal(0)),
        ("1e-7", Decimal("1e-7")),
        ('"0.002"', Decimal("0.002")),
        ("null", None),
        ("true", None),
        ("-1", None),
        ("NaN", None),
        ("Infinity", None),
        ('"free"', None),
        ("{}", None),
    ],
)
def test_a_cost_is_a_decimal_or_unknown(cost: str, read_as: Decimal | None) -> None:
    """0 is a cost that was said; what is no amount is unknown, never 0."""
    [event] = parse_event(f'{{"choices": [], "usage": {{"estimated_cost": {cost}}}}}')
    assert isinstance(event, Used)
    assert event.usage.cost == read_as


def test_the_reason_to_end_is_one_printable_line() -> None:
    """A server's word cannot repaint the line it is quoted in."""
    assert read({"choices": [{"finish_reason": "stop\x1b[31m\n" + "x" * 99}]}) == [
        Finished("stop " + "x" * 34 + "…")
    ]


# Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["", "{", "<html>", '{"a": 1} x', "[" * 100_000])
def test_what_is_not_json_breaks_the_stream(data: str) -> None:
    """The beginning of what came is quoted."""
    with pytest.raises(StreamBroken, match="not JSON"):
        parse_event(data)


@pytest.mark.parametrize("data", ["1", "null", '"text"', "[]"])
def test_what_is_no_object_breaks_the_stream(data: str) -> None:
    """JSON alone is not yet a part of a reply."""
    with pytest.raises(StreamBroken, match="no part of a reply"):
        parse_event(data)


@pytest.mark.parametrize(
    ("payload", "kind", "said"),
    [
        ({"error": "boom"}, StreamBroken, "error: boom. Run"),
        ({"error": {"message": "Boom."}, "choices": []}, StreamBroken, "error: Boom. Run"),
        ({"error": {}, "detail": "boom"}, StreamBroken, "error: boom. Run"),
        ({"error": {"code": "x"}}, StreamBroken, "no reason given"),
        ({"error": True}, StreamBroken, "no reason given"),
        ({"detail": "Not Found"}, StreamBroken, "Not Found"),
        ({"error": {"code": 429, "message": "slow"}}, Busy, "429: slow"),
        ({"error": {"code": 503}}, Busy, "503"),
        ({"error": {"code": 400, "message": "no"}}, BadRequest, "400: no"),
        ({"error": {"code": 200, "message": "no"}}, StreamBroken, "error: no"),
        ({"object": "error", "message": "no", "code": 400}, BadRequest, "400: no"),
        ({"object": "error", "message": "no"}, StreamBroken, "error: no"),
        ({"error": {"message": "context length exceeded"}}, TooLong, "too long for the model"),
    ],
)
def test_an_error_in_the_stream_is_raised(
    payload: object, kind: type[EndpointError], said: str
) -> None:
    """Its class follows its code, and the server's words are in the message."""
    with pytest.raises(EndpointError) as error:
        read(payload)
    assert type(error.value) is kind
    assert said in str(error.value)


def test_detail_beside_choices_is_no_error() -> None:
    """Only a payload without choices is an error because of its `detail`."""
    assert read({"detail": "x", "choices": [{"delta": {"content": "a"}}]}) == [Text("a")]
