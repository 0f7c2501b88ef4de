"""The protocol: the body that is sent, and every shape of answer that servers send."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from di_magics.core.conversation.attachment import IMAGE_TOKENS
from di_magics.core.errors import BadRequest, Busy, EndpointError, Refused, StreamBroken, TooLong
from di_magics.core.money.prices import BYTES_PER_TOKEN
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
from di_magics.core.request import wire
from di_magics.core.request.retry import retry_delay

ASKED = [{"role": "user", "content": "Hi"}]


def read(payload: object) -> list[ReplyEvent]:
    """Return the events of this payload."""
    return wire.parse_event(json.dumps(payload))


def delta(**fields: object) -> list[ReplyEvent]:
    """Return the events of a chunk with this delta."""
    return read({"choices": [{"index": 0, "delta": fields}]})


def usage(**fields: object) -> Usage:
    """Return what is read of this usage."""
    [event] = read({"choices": [], "usage": fields})
    assert isinstance(event, Used)
    return event.usage


# What is sent ---------------------------------------------------------------------------------


def test_what_is_not_set_is_not_sent() -> None:
    """The least request has a model, messages and how to stream them."""
    assert wire.build_body("m", ASKED, {}) == {
        "model": "m",
        "messages": ASKED,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_what_is_set_is_sent_exactly() -> None:
    """0 is a value, texts are a list, and a reply in one piece has no stream options."""
    sent = wire.build_body(
        "m", ASKED, {"temperature": 0, "stop": ("\n",), "seed": 2**63 - 1}, stream=False
    )
    assert sent == {
        "model": "m",
        "messages": ASKED,
        "temperature": 0,
        "stop": ["\n"],
        "seed": 2**63 - 1,
        "stream": False,
    }
    assert str(2**63 - 1) in json.dumps(sent)


@pytest.mark.parametrize(
    ("local", "name"), [(False, "repetition_penalty"), (True, "repeat_penalty")]
)
def test_llama_cpp_has_names_of_its_own(local: bool, name: str) -> None:
    """A parameter is sent under the name that the server knows, and found again under it."""
    sent = wire.build_body("m", ASKED, {"repetition_penalty": 1.1, "top_k": 5}, local=local)
    assert wire.sent_params(sent) == {name: 1.1, "top_k": 5}


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
    assert wire.parse_event(data) == [Logprobs((TokenProbability("a", -1.0, (("a", -1.0),)),))]


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
    [event] = wire.parse_event(f'{{"choices": [], "usage": {{"estimated_cost": {cost}}}}}')
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
        wire.parse_event(data)


@pytest.mark.parametrize("data", ["1", "null", '"text"', "[]"])
def test_what_is_no_object_breaks_the_stream(data: str) -> None:
    """JSON alone is not yet a part of a reply."""
    with pytest.raises(StreamBroken, match="no part of a reply"):
        wire.parse_event(data)


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


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("boom", "boom"),
        ({"error": "boom"}, "boom"),
        ({"error": {"message": "boom"}}, "boom"),
        ({"detail": "boom"}, "boom"),
        ({"detail": {"error": "boom"}}, "boom"),
        ({"object": "error", "message": "boom"}, "boom"),
        ({"error": None, "message": "boom"}, "boom"),
        ({"error": 500, "detail": "boom"}, "boom"),
        ({"detail": [{"loc": ["body", "top_p"], "msg": "too big", "type": "x"}]}, "top_p: too big"),
        ({"detail": [{"loc": ["body"], "msg": "a"}, {"loc": [1, "b"], "msg": "c"}]}, "a; 1.b: c"),
        ({"detail": [{"loc": [], "msg": str(i)} for i in range(9)]}, "0; 1; 2"),
        ({"detail": []}, None),
        ({"detail": [{}, None]}, None),
        ({"error": {"message": "a\nb\x1b[2J"}}, "a b"),
        ({}, None),
        ("  ", None),
        (None, None),
        (5, None),
    ],
)
def test_the_servers_words_are_found_in_every_shape(payload: object, said: str | None) -> None:
    """All error bodies that DeepInfra and its kin send have words somewhere."""
    assert wire.error_text(payload) == said


@pytest.mark.parametrize(
    ("status", "answer", "kind", "step"),
    [
        (400, b'{"error": "no"}', BadRequest, "show --request"),
        (401, b"", Refused, "key"),
        (402, b"", Refused, "funds"),
        (403, b'{"detail": {"error": "Not authenticated"}}', Refused, "key"),
        (404, b'{"error": "Model not found"}', BadRequest, "(m)"),
        (404, b'{"detail": "Not Found"}', BadRequest, "address"),
        (405, b"", BadRequest, "address"),
        (408, b"", Busy, "Try again"),
        (409, b"", Busy, "Try again"),
        (413, b"", BadRequest, "show --request"),
        (422, b"", BadRequest, "show --request"),
        (429, b"Rate limited", Busy, "Try again"),
        (500, b"", Busy, "Try again"),
        (502, b"<html>bad gateway</html>", Busy, "Try again"),
        (504, b"The upstream took too long to answer", Busy, "Try again"),
        (
            500,
            b'{"error": "Input length 9 exceeds maximum input length 8"}',
            TooLong,
            "%chat new",
        ),
        (400, b"the prompt is too long", TooLong, "%chat new"),
        (302, b"", BadRequest, "address"),
    ],
)
def test_a_refusal_says_what_to_do_next(
    status: int, answer: bytes, kind: type[EndpointError], step: str
) -> None:
    """The class follows the status, unless the words say that the input is too long."""
    error = wire.http_error(status, answer, model="m", endpoint="here")
    assert type(error) is kind
    assert error.status == status
    assert str(error).startswith(f"here answered {status}")
    assert step in str(error)
    assert "<html>" not in str(error)


@pytest.mark.parametrize("answer", [b"\xff\xfe\x00", b"\xc3(", b"[" * 100_000, b"[1, 2]", b"7"])
def test_a_refusal_may_say_anything(answer: bytes) -> None:
    """Whatever the bytes are, there is an error with the status in it."""
    assert "500" in str(wire.http_error(500, answer))


def test_a_refusal_carries_the_headers_that_matter() -> None:
    """The request's id and the pause that the server asks for are kept."""
    error = wire.http_error(429, b"", retry_after=3.0, request_id="r-1")
    assert (error.retry_after, error.request_id) == (3.0, "r-1")


def words_and_fields(message: str, **fields: int) -> bytes:
    """Return an answer that says this."""
    return json.dumps({"error": {"message": message, **fields}}).encode()


@pytest.mark.parametrize(
    ("answer", "asked", "limit"),
    [
        (
            words_and_fields("Requested input length 99009 exceeds maximum input length 8192"),
            99009,
            8192,
        ),
        (
            words_and_fields(
                "This model's maximum context length is 8,192 tokens. However, you requested "
                "9,500 tokens (9,000 in the messages, 500 in the completion)."
            ),
            9500,
            8192,
        ),
        (
            words_and_fields(
                "the request exceeds the available context size, try increasing it",
                n_prompt_tokens=9001,
                n_ctx=8192,
            ),
            9001,
            8192,
        ),
        (words_and_fields("the request (9000 tokens) exceeds the context size (512)"), 9000, 512),
        (words_and_fields("prompt is too long"), None, None),
        (words_and_fields("context length 8192 exceeded"), None, None),
    ],
)
def test_how_much_too_long_is_read(answer: bytes, asked: int | None, limit: int | None) -> None:
    """From llama.cpp's fields, else from the server's words; else it is not known."""
    error = wire.http_error(400, answer)
    assert isinstance(error, TooLong)
    assert (error.asked, error.limit) == (asked, limit)
    assert error.server_text
    assert "%chat" not in error.server_text


def test_the_size_of_a_body_is_that_of_its_texts() -> None:
    """In bytes, whatever the characters are, with the marks around each."""
    messages = [{"role": "user", "content": "aä"}, {"role": "assistant", "content": "\ud800"}]
    assert wire.prompt_bytes(wire.build_body("m", messages, {})) == 4 + 2 * wire.MARKS


@pytest.mark.parametrize(
    ("said", "param", "about"),
    [
        ("'seed' is not supported", "seed", True),
        ("seed: not permitted", "seed", True),
        ("Unknown parameter seed", "seed", True),
        ("top_k must be below 100", "top_k", True),
        ("the user is over quota", "user", False),
        ("please stop", "stop", False),
    ],
)
def test_a_refusal_is_about_a_parameter(said: str, param: str, about: bool) -> None:
    """Where its name stands as one, not as a word of the language."""
    assert wire.mentions_param(said, param) is about


TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000}}
CALLED = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


@pytest.mark.parametrize("chosen", ["auto", "none", "required"])
def test_a_general_tool_choice_is_sent_as_it_is(chosen: str) -> None:
    """With tools or without."""
    for fields in ({"tools": [TOOL]}, {}, None):
        sent = wire.build_body("m", ASKED, {"tool_choice": chosen}, fields=fields)
        assert sent["tool_choice"] == chosen
        assert wire.sent_params(sent) == {"tool_choice": chosen}


def test_a_tool_is_chosen_by_its_name() -> None:
    """The API wants an object for it; a receipt shows the name."""
    sent = wire.build_body("m", ASKED, {"tool_choice": "add"}, fields={"tools": [TOOL]})
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert wire.sent_params(sent) == {"tool_choice": "add"}
    assert wire.build_body("m", ASKED, {"tool_choice": "add"})["tool_choice"] == "add"
    assert "tool_choice" not in wire.build_body("m", ASKED, {}, fields={"tools": [TOOL]})


def test_fields_are_sent_as_they_are() -> None:
    """Beside the parameters, and are none of them."""
    fields = {"tools": [TOOL], "response_format": {"type": "json_object"}, "logprobs": True}
    sent = wire.build_body("m", ASKED, {"top_k": 5}, fields=fields)
    assert {name: sent[name] for name in fields} == fields
    assert (sent["model"], sent["stream"]) == ("m", True)
    assert wire.sent_params(sent) == {"top_k": 5}


def test_an_image_weighs_the_most_that_it_may_be() -> None:
    """However long its data are; the text beside it counts in bytes."""
    message = {"role": "user", "content": [IMAGE, {"type": "text", "text": "aä"}]}
    assert wire.text_bytes([message, message]) == 2 * (IMAGE_TOKENS * BYTES_PER_TOKEN + 3)


def test_calls_and_their_results_weigh_what_is_read_of_them() -> None:
    """A message of calls alone has no content."""
    calls = [
        {"role": "assistant", "content": None, "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "1", "content": "three"},
    ]
    assert wire.text_bytes(calls) == len(json.dumps([CALLED])) + 5
    assert wire.text_bytes([]) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [TOOL]},
        {"response_format": {"type": "json_object"}},
        {"tools": [TOOL], "response_format": {"type": "json_object"}},
    ],
)
def test_tools_and_the_form_count_in_the_size(fields: dict[str, Any]) -> None:
    """A model reads them; other fields it does not."""
    plain = wire.prompt_bytes(wire.build_body("m", ASKED, {}))
    more = wire.prompt_bytes(wire.build_body("m", ASKED, {}, fields={**fields, "logprobs": True}))
    assert more - plain == sum(len(json.dumps(each)) for each in fields.values())


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (400, "Qwen2.5-7B-Instruct is not a multimodal model"),
        (400, "At most 0 image(s) may be provided in one request."),
        (422, "Image input is not supported"),
    ],
)
def test_a_model_without_eyes_is_not_asked_again(status: int, said: str) -> None:
    """Whatever the status is, another try would be refused as well."""
    payload = {"error": {"message": said, "code": status}}
    error = wire.http_error(status, json.dumps(payload).encode(), model="m")
    in_stream = wire.stream_error(payload)
    for each in (error, in_stream):
        assert type(each) is BadRequest
        assert "cannot look at images" in str(each)
        assert retry_delay(1, each, 0.0) is None
