"""The payloads of a reply: every shape that servers send."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from grow import grow

from di_magics.core.errors import BadRequest, Busy, EndpointError, StreamBroken, TooLong
from di_magics.core.logprobs import MAX_TOKEN_BYTES, TokenProbability
from di_magics.core.read_json import MAX_COUNT
from di_magics.core.reply.fold import (
    Finished,
    Image,
    Logprobs,
    OtherChoice,
    Reasoning,
    ReplyEvent,
    Served,
    Text,
    ToolCallDelta,
    ToReturn,
    Used,
)
from di_magics.core.reply.reply import Reply, Usage
from di_magics.core.request import events
from di_magics.core.request.events import (
    LONG_TOKEN,
    PayloadParser,
)


def read(payload: object) -> list[ReplyEvent]:
    """Return the events of this payload, or raise the error in it."""
    return parse(json.dumps(payload))


def parse(data: str) -> list[ReplyEvent]:
    """Return the events of this text, or raise the error in it."""
    parser = PayloadParser()
    events, error = parser.parse(data)
    if error:
        raise error
    return [*events, *parser.close()]


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


def test_other_choices_are_counted_once_for_each_payload() -> None:
    """There may be millions of them, and only how many there are is shown."""
    choices = [{"index": 2}, {"index": 0, "text": "a"}, {"index": 1}]
    assert read({"choices": choices}) == [Text("a"), OtherChoice(2)]


def test_the_number_of_a_choice_is_bounded() -> None:
    """Python does not write an int of more than 4,300 digits, and reads one of 4,300."""
    assert read({"choices": [{"index": 10**4300 - 1}]}) == [OtherChoice(MAX_COUNT)]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {}}]},
        {"choices": [{"delta": []}]},
        {"choices": [{"delta": {}, "finish_reason": "null"}]},
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
        {"thinking": "a"},
        {"reasoning_details": [{"text": "a"}, {"data": "b"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "a"}]},
        {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}]},
        {"content": [{"type": "reasoning", "text": "a"}]},
        {"content": [{"type": "thinking", "thinking": "a"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}, {}]}]},
    ],
)
def test_reasoning_comes_in_several_shapes(fields: dict[str, Any]) -> None:
    """Whichever field holds the reasoning, it is read once; details also go back as they are."""
    details = fields.get("reasoning_details")
    back = [ToReturn("reasoning_details", json.dumps(details))] if details else []
    assert delta(**fields) == [Reasoning("a"), *back]


def test_what_a_message_wants_back_is_read() -> None:
    """An object; it is no content by itself."""
    assert delta(extra_content={"a": 1}) == [ToReturn("extra_content", '{"a": 1}')]
    assert delta(extra_content=[1], reasoning_details={}) == []
    parser = PayloadParser()
    parser.parse(json.dumps({"choices": [{"delta": {"reasoning_details": [{"data": "x"}]}}]}))
    assert not parser.has_content


def test_reasoning_that_is_no_text_is_left_out() -> None:
    """An object where a text should be is nothing to show."""
    assert delta(reasoning={"effort": "low"}, content="x") == [Text("x")]


def test_content_may_be_a_list_of_parts() -> None:
    """The texts of the parts are read one after the other."""
    parts = [{"type": "text", "text": "a"}, {"type": "file"}, {"text": ""}, {"text": "b"}, "c", 7]
    assert delta(content=parts) == [Text("a"), Text("b"), Text("c")]


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"delta": {"content": {"name": "Ada", "age": 36}}}, '{"name": "Ada", "age": 36}'),
        ({"delta": {"content": {"type": "text", "text": "a"}}}, "a"),
        ({"delta": {"content": None, "refusal": "I'm sorry"}}, "I'm sorry"),
        ({"message": {"content": None, "refusal": "I'm sorry"}}, "I'm sorry"),
        ({"message": {"content": "a", "refusal": "a"}}, "a"),
        ({"delta": {"content": [{"type": "refusal", "refusal": "no"}]}}, "no"),
        ({"text": "of old"}, "of old"),
        ({"delta": {}, "message": {"content": "a"}}, "a"),
        ({"delta": {"content": "a"}, "message": {"content": "a and more"}}, "a"),
    ],
)
def test_text_comes_in_several_shapes(choice: dict[str, Any], text: str) -> None:
    """An object, a refusal, a completion of old, a whole message in place of a delta."""
    assert read({"choices": [{"index": 0, **choice}]}) == [Text(text)]


def test_a_whole_message_after_deltas_is_not_read_again() -> None:
    """Perplexity sends it beside the last delta, which is empty."""
    parser = PayloadParser()
    first = parser.parse(json.dumps({"choices": [{"delta": {"content": "a"}}]}))
    last = {"delta": {}, "message": {"content": "a"}, "finish_reason": "stop"}
    assert first == ([Text("a")], None)
    assert parser.parse(json.dumps({"choices": [last]})) == ([Finished("stop")], None)


@pytest.mark.parametrize(
    "fields",
    [
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
        {"content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]},
    ],
)
def test_an_image_is_counted_and_not_kept(fields: dict[str, Any]) -> None:
    """Neither its data nor its address is in the reply."""
    assert delta(**fields) == [Image()]


def test_a_reply_in_the_providers_field_is_read() -> None:
    """OpenRouter sometimes passes the complete answer of a provider on in this field."""
    answer = {"choices": [{"message": {"content": "a"}}], "model": "m", "provider": "Google"}
    assert read({"choices": None, "id": None, "provider": answer}) == [Served("m", None), Text("a")]
    assert read(answer) == [Served("m", None), Text("a")]


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda answer: {"result": answer, "success": True, "errors": [], "messages": []},
        lambda answer: {"code": 200, "msg": "success", "data": answer},
    ],
)
def test_a_reply_that_a_gateway_wrapped_is_read(
    wrapped: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """Cloudflare answers like this, and gateways made for one company."""
    answer = {"choices": [{"message": {"content": "a"}}], "model": "m"}
    assert read(wrapped(answer)) == [Served("m", None), Text("a")]


def test_a_message_of_ollamas_own_api_is_read() -> None:
    """Its counts are there at the end; the `message` of an error is not a message of a reply."""
    message = {"role": "assistant", "content": "a"}
    assert read({"message": message, "done": False}) == [Text("a")]
    counts = {"prompt_eval_count": 3, "eval_count": 2}
    end = {"message": {"content": ""}, "done": True, "done_reason": "stop", **counts}
    assert read(end) == [Finished("stop"), Used(Usage(3, 2))]
    assert read({"message": "asleep", "done": True}) == []


def test_only_the_first_choice_is_the_reply() -> None:
    """Others are counted; without an index the place in the list counts."""
    first, second = {"delta": {"content": "yes"}}, {"delta": {"content": "no"}}
    for choices in (
        [{"index": 1, **second}, {"index": 0, **first}],
        [first, second],
        [{"index": None, **first}, {"index": None, **second}],
    ):
        events = read({"choices": choices})
        assert Text("yes") in events
        assert OtherChoice(1) in events
        assert Text("no") not in events


@pytest.mark.parametrize("reason", [None, "", "null", "None", 0])
def test_a_reason_that_is_not_said_is_no_end(reason: object) -> None:
    """Some servers write null as a text."""
    assert read({"choices": [{"delta": {"content": "a"}, "finish_reason": reason}]}) == [Text("a")]


def test_a_function_call_of_old_is_a_tool_call() -> None:
    """The field of 2023 has a name and arguments, and no index."""
    assert delta(content=None, function_call={"name": "f", "arguments": "{"}) == [
        ToolCallDelta(0, "", "f", "{")
    ]


EMOJI, HIGH, LOW = "\U0001f600", "\ud83d", "\ude00"


def fold(*deltas: dict[str, Any], finish: str | None = "stop") -> Reply:
    """Return the reply of these deltas, each a payload of its own."""
    parser, events = PayloadParser(), []
    for fields in deltas:
        events += parser.parse(json.dumps({"choices": [{"delta": fields}]}))[0]
    if finish:
        events += parser.parse(json.dumps({"choices": [{"finish_reason": finish}]}))[0]
    return grow([*events, *parser.close()])


@pytest.mark.parametrize("finish", ["stop", None])
@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((HIGH, LOW), EMOJI),
        (("a" + HIGH, LOW + "b"), f"a{EMOJI}b"),
        ((HIGH, "", LOW), EMOJI),
        ((HIGH + LOW,), EMOJI),
        ((HIGH,), "\ufffd"),
        ((LOW,), "\ufffd"),
        ((HIGH, "a"), "\ufffda"),
        ((HIGH, HIGH, LOW), f"\ufffd{EMOJI}"),
        (("a" + LOW + "b",), "a\ufffdb"),
        (("ä", "\u2028"), "ä\u2028"),
    ],
)
def test_half_an_emoji_waits_for_the_other_half(
    pieces: tuple[str, ...], text: str, finish: str | None
) -> None:
    """In text, reasoning and arguments; a half that stays alone is U+FFFD."""
    assert fold(*({"content": piece} for piece in pieces), finish=finish).text == text
    thoughts = ({"reasoning_content": piece} for piece in pieces)
    assert fold(*thoughts, finish=finish).reasoning == text
    calls = (
        {"tool_calls": [{"index": 2, "id": "c", "function": {"name": "f", "arguments": piece}}]}
        for piece in pieces
    )
    [call] = fold(*calls, finish=finish).tool_calls
    assert call.arguments == text


def test_halves_of_different_texts_are_not_joined() -> None:
    """Reasoning may come between two pieces of text."""
    reply = fold({"content": HIGH}, {"reasoning": "b"}, {"content": LOW})
    assert (reply.text, reply.reasoning) == (EMOJI, "b")


def test_names_hold_no_half_of_a_pair() -> None:
    """Model, id, name, token and reason to end can be encoded, whatever a server sends."""
    half = "x" + HIGH
    call = {"index": 0, "id": half, "function": {"name": half, "arguments": "{}"}}
    choice = {
        "delta": {"tool_calls": [call]},
        "logprobs": {"content": [{"token": half, "top_logprobs": [{"token": half}]}]},
        "finish_reason": half,
    }
    events = read({"id": half, "model": half, "choices": [choice]})
    tokens = next(event.tokens for event in events if isinstance(event, Logprobs))
    assert f"{events} {tokens[0].top}".count("\ufffd") == 7
    assert HIGH not in str([vars_of(event) for event in events])


def vars_of(event: ReplyEvent) -> list[object]:
    """Return the values of an event."""
    return [getattr(event, name) for name in event.__slots__]


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


@pytest.mark.parametrize(
    "value", ["null", "NaN", "-Infinity", '"-1"', "1" + "0" * 400, "-9999", "-9999.0", "true"]
)
def test_a_token_without_a_probability_is_kept(value: str) -> None:
    """Without it the tokens after it would stand at the wrong place; its number is unknown."""
    entry = f'{{"token": "a", "logprob": {value}, "top_logprobs": [{{"logprob": {value}}}]}}'
    good = '{"token": "b", "logprob": -1, "top_logprobs": [{"token": "b", "logprob": 0}]}'
    data = f'{{"choices": [{{"logprobs": {{"content": [{entry}, {good}]}}}}]}}'
    unknown = TokenProbability("a", None, (TokenProbability("", None),))
    known = TokenProbability("b", -1.0, (TokenProbability("b", 0.0),))
    assert parse(data) == [Logprobs((unknown, known))]


def tokens_of(entries: object, **choice: object) -> tuple[TokenProbability, ...]:
    """Return the tokens of a chunk with these log-probabilities."""
    logprobs = {"content": entries} if isinstance(entries, list) else entries
    events = read({"choices": [{"delta": {}, "logprobs": logprobs, **choice}]})
    return tuple(t for e in events if isinstance(e, Logprobs) for t in e.tokens)


def test_a_token_has_its_bytes_and_its_id_where_they_are_sent() -> None:
    """llama.cpp sends ids; a part of a character has bytes and no text."""
    part = {"id": 7, "token": "", "bytes": [240, 159], "logprob": -2}
    entry = {"id": 5, "token": "é", "bytes": [195, 169], "logprob": -1, "top_logprobs": [part]}
    other = TokenProbability("", -2.0, (), b"\xf0\x9f", 7)
    assert tokens_of([entry]) == (TokenProbability("é", -1.0, (other,), "é".encode(), 5),)


@pytest.mark.parametrize(
    "bytes_", [None, "ab", [256], [-1], [1.5], ["a"], [None], {"0": 1}, [1] * 2000]
)
@pytest.mark.parametrize("id_", [None, -1, "7", True, 1.5, 10**12])
def test_bytes_and_ids_of_another_kind_count_as_missing(bytes_: object, id_: object) -> None:
    """The token itself is kept."""
    entry = {"token": "a", "logprob": -1, "bytes": bytes_, "id": id_}
    assert tokens_of([entry]) == (TokenProbability("a", -1.0),)


def test_several_entries_and_those_beside_the_finish_reason_are_read() -> None:
    """A chunk may have many tokens, and the last one may come with the end."""
    entries = [{"token": sign, "logprob": -1} for sign in "abc"]
    assert [token.token for token in tokens_of(entries, finish_reason="stop")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "logprobs", [None, {}, [], {"content": None}, {"content": {}}, {"content": [1]}]
)
def test_a_chunk_without_entries_has_no_tokens(logprobs: object) -> None:
    """llama.cpp leaves them out after a stop text."""
    assert read({"choices": [{"delta": {"content": "a"}, "logprobs": logprobs}]}) == [Text("a")]


def test_the_lists_of_the_older_api_are_read() -> None:
    """Some servers send them for chats, too; a list may be shorter or null."""
    lists = {"tokens": ["a", "b"], "token_logprobs": [None, -0.5], "top_logprobs": [{"a": -1}]}
    first = TokenProbability("a", None, (TokenProbability("a", -1.0),))
    assert tokens_of(lists) == (first, TokenProbability("b", -0.5))
    assert tokens_of({"tokens": ["a"], "top_logprobs": None}) == (TokenProbability("a", None),)


@pytest.mark.parametrize(("sent", "read"), [(0.0, 0.0), (1e-7, 0.0), (0.5, None), (1e299, None)])
def test_a_probability_is_not_above_one(sent: float, read: float | None) -> None:
    """But for what the server rounds."""
    assert tokens_of([{"token": "a", "logprob": sent}])[0].logprob == read


def test_the_alternatives_of_a_reply_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come in the server's order; tokens beyond the limit are kept without any."""
    monkeypatch.setattr(events, "MAX_REPLY_ALTERNATIVES", 400)
    parser = PayloadParser()
    top = [{"token": str(n), "logprob": -n} for n in range(100)]
    entry = {"token": "0", "logprob": 0, "top_logprobs": top}
    data = json.dumps({"choices": [{"logprobs": {"content": [entry]}}]})
    counts = []
    for _ in range(6):
        [event], _ = parser.parse(data)
        assert isinstance(event, Logprobs)
        counts.append(len(event.tokens[0].top))
    assert counts == [len(top)] * 4 + [0, 0]


@pytest.mark.parametrize("form", ["content", "tokens"])
def test_the_tokens_of_a_reply_are_bounded(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A stream of 256 MB has room for ten million; longer ones count as several."""
    monkeypatch.setattr(events, "MAX_REPLY_TOKENS", 400)
    parser = PayloadParser()
    count = 100
    sent = [("a", count, count), ("b" * LONG_TOKEN, count, count), ("c", count + 1, count)]
    for text, number, kept in [*sent, ("d", 9, 0)]:
        tokens = [text if form == "tokens" else {"token": text}] * number
        data = json.dumps({"choices": [{"logprobs": {form: tokens}}]})
        parsed, _ = parser.parse(data)
        read = [len(event.tokens) for event in parsed if isinstance(event, Logprobs)]
        assert read == ([kept] if kept else [])


@pytest.mark.parametrize(
    ("length", "kept"), [(MAX_TOKEN_BYTES, MAX_TOKEN_BYTES), (1 + MAX_TOKEN_BYTES, 1)]
)
def test_a_token_is_bounded(length: int, kept: int) -> None:
    """None is that long; it is not cut off, because a part of a key might be left."""
    [token] = tokens_of([{"token": "a" * length}])
    assert len(token.token) == kept


@pytest.mark.parametrize(
    "payload",
    [
        {"choices": [], "x_groq": {"usage": {"prompt_tokens": 7}}},
        {"choices": [], "usage": {"prompt_tokens": 7}, "x_groq": {"usage": {"prompt_tokens": 8}}},
        {"choices": [{"delta": {}, "usage": {"prompt_tokens": 7}}]},
    ],
)
def test_usage_stands_in_several_places(payload: dict[str, Any]) -> None:
    """The standard one first; then Groq's and Moonshot's."""
    assert read(payload) == [Used(Usage(7))]


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"cost": 0.00014}, "0.00014"),
        ({"cost": "0.00014"}, "0.00014"),
        ({"cost": 5, "estimated_cost": 0}, "0"),
        ({"cost": 5, "estimated_cost": None}, "5"),
        ({"cost": {"total_cost": 0.006, "request_cost": 0.005}}, "0.006"),
        ({"cost": {}}, None),
        ({"cost": "free"}, None),
    ],
)
def test_a_cost_comes_under_two_names(fields: dict[str, Any], cost: str | None) -> None:
    """DeepInfra's own first; then that of OpenRouter, Vercel, Avian and Perplexity."""
    read_as = usage(prompt_tokens=1, **fields).cost
    assert read_as == (None if cost is None else Decimal(cost))


@pytest.mark.parametrize(("field", "kind"), [("content", Text), ("reasoning", Reasoning)])
@pytest.mark.parametrize("count", [2, 5])
def test_a_text_that_comes_whole_in_each_event_is_there_once(
    field: str, kind: type[Text] | type[Reasoning], count: int
) -> None:
    """As DashScope sends it; two events are too few to be certain of it."""
    parser, words = PayloadParser(), ["One", " two", " 😀", " four", " five"][:count]
    events: list[ReplyEvent] = []
    for number in range(1, count + 1):
        delta = {field: "".join(words[:number])}
        events += parser.parse(json.dumps({"choices": [{"delta": delta}]}))[0]
    events += parser.parse(json.dumps({"choices": [{"finish_reason": "stop"}]}))[0]
    text = "".join(event.text for event in events if isinstance(event, kind))
    assert text == ("OneOne two" if count == 2 else "".join(words))
    assert events[-1] == Finished("stop")


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


@pytest.mark.parametrize(
    ("fields", "cached"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 8}}, 8),
        ({"prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2}, 8),
        ({"cached_tokens": 8}, 8),
        ({"cache_read_input_tokens": 8, "cache_creation_input_tokens": 2}, 8),
        ({"prompt_tokens_details": {"cached_tokens": 8}, "prompt_cache_hit_tokens": 8}, 8),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "cached_tokens": 8}, 8),
        ({"prompt_tokens_details": {"cached_tokens": 0}}, 0),
        ({}, None),
    ],
)
def test_cached_tokens_come_under_four_names(fields: dict[str, Any], cached: int | None) -> None:
    """OpenAI's, DeepSeek's, Moonshot's (pi 8075) and Anthropic's; several are one count."""
    assert usage(prompt_tokens=10, **fields).cached_tokens == cached


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
    [event] = parse(f'{{"choices": [], "usage": {{"estimated_cost": {cost}}}}}')
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
        parse(data)


@pytest.mark.parametrize("data", ["1", "null", '"text"', "[]"])
def test_what_is_no_object_breaks_the_stream(data: str) -> None:
    """JSON alone is not yet a part of a reply."""
    with pytest.raises(StreamBroken, match="not part of a reply"):
        parse(data)


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


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"code": 50001, "msg": "no quota today"}, "no quota today"),
        ({"code": "E1", "message": "not today"}, "not today"),
        (
            {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}},
            "login",
        ),
        (
            {"result": None, "success": False, "errors": [{"code": 1, "message": "no route"}]},
            "route",
        ),
        ({"choices": [{"error": {"code": 502, "message": "gone"}, "delta": {}}]}, "502: gone"),
        ([{"error": {"code": 400, "message": "odd"}}], "400: odd"),
        ({"error": {"code": "503", "message": "later"}}, "503: later"),
    ],
)
def test_an_error_may_stand_in_other_fields(payload: object, said: str) -> None:
    """MiniMax, Cloudflare, OpenRouter and Gemini have their own."""
    with pytest.raises(EndpointError, match=said):
        read(payload)


@pytest.mark.parametrize(
    "payload",
    [
        {"choices": [], "base_resp": {"status_code": 0, "status_msg": "success"}},
        {"choices": [], "code": 200, "message": "ok"},
        {"choices": [], "code": 0, "msg": "ok"},
        {"choices": [], "code": "Success", "message": "ok"},
        {"choices": [], "code": None, "message": "ok"},
        {"choices": [], "errors": [], "success": True},
        {"choices": [], "message": "hello"},
    ],
)
def test_success_is_no_error(payload: object) -> None:
    """The same fields with the values of success."""
    assert read(payload) == []


def test_what_stands_beside_an_error_is_kept() -> None:
    """Text and usage in the payload of the error count; its reason to end does not."""
    choice = {"delta": {"content": "a"}, "finish_reason": "error"}
    payload = {"id": "1", "choices": [choice], "usage": {"prompt_tokens": 3}, "error": "gone"}
    events, error = PayloadParser().parse(json.dumps(payload))
    assert events == [Text("a"), Used(Usage(3))]
    assert "gone" in str(error)


@pytest.mark.parametrize("depth", [10, 100, *range(850, 1000, 3), 5000])
def test_an_error_of_any_depth_is_one_error(depth: int) -> None:
    """A server cannot make the reader of its errors overflow."""
    for key in ("error", "detail", "errors", "x"):
        data = f'{{"error": {{"{key}":' + f'{{"{key}":' * depth + "1" + "}" * depth + "}}"
        with pytest.raises(EndpointError) as raised:
            parse(data)
        assert str(raised.value).isprintable()
    for key in ("content", "reasoning", "tool_calls"):
        nested = f'{{"{key}":' * depth + "1" + "}" * depth
        PayloadParser().parse(f'{{"choices": [{{"delta": {{"{key}": {nested}}}}}]}}')


def test_detail_beside_choices_is_no_error() -> None:
    """Only a payload without choices is an error because of its `detail`."""
    assert read({"detail": "x", "choices": [{"delta": {"content": "a"}}]}) == [Text("a")]


def test_the_service_tier_is_that_of_the_server() -> None:
    """It may come with any chunk, and later ones need not repeat it."""
    events = [
        *read({"id": "r", "service_tier": "flex", "choices": []}),
        *read({"id": "r", "service_tier": None, "choices": []}),
    ]
    assert events[0] == Served(None, "r", "flex")
    assert grow(events).service_tier == "flex"
    assert len(grow(read({"service_tier": "x" * 1000})).service_tier) <= 40


def test_the_log_probability_of_a_chunk_may_be_a_number() -> None:
    """Together sends that of the chunk's one token."""
    events = read({"choices": [{"delta": {"content": "Hi"}, "logprobs": -0.5}]})
    assert events == [Text("Hi"), Logprobs((TokenProbability("Hi", -0.5),))]
