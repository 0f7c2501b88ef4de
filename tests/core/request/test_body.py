"""The body of a request: what is set is sent, and how large it is for a model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from di_magics.core.conversation.attachment import IMAGE_TOKENS
from di_magics.core.conversation.messages import Message
from di_magics.core.request import body
from di_magics.core.settings.services import SERVICES
from di_magics.core.tokens import PER_TOKEN, text_weight

ASKED = [{"role": "user", "content": "Hi"}]


def test_what_is_not_set_is_not_sent() -> None:
    """The least request has a model, messages and how to stream them."""
    assert body.build_body("m", ASKED, {}) == {
        "model": "m",
        "messages": ASKED,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_what_is_set_is_sent_exactly() -> None:
    """0 is a value, texts are a list, and a reply in one piece has no stream options."""
    sent = body.build_body(
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
    ("service", "name"), [("deepinfra", "repetition_penalty"), ("local", "repeat_penalty")]
)
def test_llama_cpp_has_names_of_its_own(service: str, name: str) -> None:
    """A parameter is sent under the name that the server knows, and found again under it."""
    sent = body.build_body(
        "m", ASKED, {"repetition_penalty": 1.1, "top_k": 5}, service=SERVICES[service]
    )
    assert body.sent_params(sent) == {name: 1.1, "top_k": 5}


def test_the_size_of_a_body_is_that_of_its_texts() -> None:
    """By the kinds of their characters, with the marks around each."""
    messages = [{"role": "user", "content": "aä"}, {"role": "assistant", "content": "\ud800"}]
    assert body.prompt_weight(body.build_body("m", messages, {})) == 5 + 2 * body.MESSAGE_WEIGHT


TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000}}
CALLED = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


@pytest.mark.parametrize("chosen", ["auto", "none", "required"])
def test_a_general_tool_choice_is_sent_as_it_is(chosen: str) -> None:
    """With tools or without."""
    for fields in ({"tools": [TOOL]}, {}, None):
        sent = body.build_body("m", ASKED, {"tool_choice": chosen}, fields=fields)
        assert sent["tool_choice"] == chosen
        assert body.sent_params(sent) == {"tool_choice": chosen}


def test_a_tool_is_chosen_by_its_name() -> None:
    """The API wants an object for it; a receipt shows the name."""
    sent = body.build_body("m", ASKED, {"tool_choice": "add"}, fields={"tools": [TOOL]})
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert body.sent_params(sent) == {"tool_choice": "add"}
    assert body.build_body("m", ASKED, {"tool_choice": "add"})["tool_choice"] == "add"
    assert "tool_choice" not in body.build_body("m", ASKED, {}, fields={"tools": [TOOL]})


def test_fields_are_sent_as_they_are() -> None:
    """Beside the parameters, and are none of them."""
    fields = {"tools": [TOOL], "response_format": {"type": "json_object"}, "logprobs": True}
    sent = body.build_body("m", ASKED, {"top_k": 5}, fields=fields)
    assert {name: sent[name] for name in fields} == fields
    assert (sent["model"], sent["stream"]) == ("m", True)
    assert body.sent_params(sent) == {"top_k": 5}


def test_an_image_weighs_the_most_that_it_may_be() -> None:
    """However long its data are; the text beside it has its own weight."""
    message = {"role": "user", "content": [IMAGE, {"type": "text", "text": "aä"}]}
    assert body.message_weight([message, message]) == 2 * (IMAGE_TOKENS * PER_TOKEN + 3)


def test_calls_and_their_results_weigh_what_is_read_of_them() -> None:
    """A message of calls alone has no content."""
    calls: list[Message] = [
        {"role": "assistant", "content": None, "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "1", "content": "three"},
    ]
    assert body.message_weight(calls) == text_weight(json.dumps([CALLED])) + 5
    assert body.message_weight([]) == 0


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
    plain = body.prompt_weight(body.build_body("m", ASKED, {}))
    more = body.prompt_weight(body.build_body("m", ASKED, {}, fields={**fields, "logprobs": True}))
    assert more - plain == sum(text_weight(json.dumps(item)) for item in fields.values())


def test_together_has_the_number_of_alternatives_in_logprobs() -> None:
    """At least one, because 0 asks for none; the others have a field of its own for it."""
    together = SERVICES["together"]
    assert body.build_body("m", ASKED, {"logprobs": 5}, service=together)["logprobs"] == 5
    sent = body.build_body("m", ASKED, {"logprobs": 0}, service=together)
    assert sent["logprobs"] == 1
    assert "top_logprobs" not in sent
