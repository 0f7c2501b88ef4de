"""What of a conversation is sent: messages that strict servers accept."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.messages import request_messages, round_messages, turn_messages
from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.reply import Reply, Round, ToolCall, ToolResult
from di_magics.core.settings.services import SERVICES


def test_the_messages_are_derived_from_the_path() -> None:
    """One system message, then prompt and reply in turns, then the prompt."""
    path = (Turn("1", "a", reply=Reply("b")), Turn("2", "c", reply=Reply("d")))
    assert request_messages(path, Turn("3", "e", system="Be brief.")) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
        {"role": "user", "content": "e"},
    ]
    alone = [{"role": "user", "content": "e"}]
    assert (
        request_messages((), Turn("1", "e"))
        == request_messages((), Turn("1", "e", system=""))
        == alone
    )


@pytest.mark.parametrize(
    ("reply", "sent"),
    [
        (Reply(), []),
        (Reply(" \n", status="done"), []),
        (Reply(reasoning="hm", status="done"), []),
        (Reply("par", status="stopped"), ["a", "par"]),
        (Reply("par", status="cut"), ["a", "par"]),
        (Reply("x</s>", last_chunk="</s>"), ["a", "x"]),
    ],
)
def test_an_empty_turn_is_not_sent(reply: Reply, sent: list[str]) -> None:
    """One with partial text is sent as it stands, so that roles always alternate."""
    path = (Turn("1", "a", reply=reply),)
    assert [message["content"] for message in request_messages(path, Turn("2", "b"))] == [
        *sent,
        "b",
    ]


def tool_round(*calls: tuple[str, str, str], text: str = "") -> Round:
    """Return a round with these calls, each given its id, arguments and result."""
    return Round(
        text,
        "a thought",
        tuple(ToolCall(name, f"f{name}", arguments) for name, arguments, _ in calls),
        tuple(ToolResult(result) for _, _, result in calls),
    )


def asked(name: str, arguments: str) -> dict[str, Any]:
    """Return a call as it is sent back."""
    return {
        "id": name,
        "type": "function",
        "function": {"name": f"f{name}", "arguments": arguments},
    }


def test_calls_are_sent_back_with_their_results() -> None:
    """In their order, with what was said beside them, and without the reasoning."""
    step = tool_round(("1", '{"a": 1}', "one"), ("2", "{}", ""), text="Let me see.")
    assert round_messages(step) == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [asked("1", '{"a": 1}'), asked("2", "{}")],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "2", "content": "(nothing)"},
    ]
    assert round_messages(tool_round(("1", "{}", "x")))[0]["content"] is None


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (' {"a" : 1 } ', ' {"a" : 1 } '),
        ('{"a": "x\ny"}', '{"a": "x\\ny"}'),
        ('{"a": 1', "{}"),
        ("", "{}"),
        ("[1]", "{}"),
        ('"{}"', "{}"),
        ("null", "{}"),
        ("f(1)", "{}"),
        ('{"a": ' + "9" * 5000 + "}", "{}"),
        ('{"a":' * 100_000, "{}"),
    ],
)
def test_arguments_that_are_not_an_object_are_sent_empty(arguments: str, sent: str) -> None:
    """Servers would refuse the whole request; all others are sent unchanged."""
    call = round_messages(tool_round(("1", arguments, "x")))[0]["tool_calls"][0]
    assert call["function"]["arguments"] == sent


def test_an_objection_is_a_message_of_the_user() -> None:
    """It follows the reply that it is about."""
    assert round_messages(Round('{"a":', "hm", objection="It breaks off.")) == [
        {"role": "assistant", "content": '{"a":'},
        {"role": "user", "content": "It breaks off."},
    ]


def test_the_rounds_of_a_turn_stand_between_prompt_and_reply() -> None:
    """In every turn on the path, and in the one that is being answered."""
    first = tool_round(("1", "{}", "one"))
    second = tool_round(("2", "{}", "two"))
    answered = Turn("a", "A", reply=Reply("Done.", rounds=(first, second)))
    assert turn_messages(answered) == [
        {"role": "user", "content": "A"},
        *round_messages(first),
        *round_messages(second),
        {"role": "assistant", "content": "Done."},
    ]
    open_ = Turn("b", "B", "a", system="S", reply=Reply(rounds=(first,)))
    assert request_messages((answered,), open_) == [
        {"role": "system", "content": "S"},
        *turn_messages(answered),
        {"role": "user", "content": "B"},
        *round_messages(first),
    ]


def test_a_turn_with_tool_calls_and_no_text_is_sent() -> None:
    """It has no empty reply at its end."""
    step = tool_round(("1", "{}", "one"))
    turn = Turn("a", "A", reply=Reply(" </s>", last_chunk="</s>", rounds=(step,), status="stopped"))
    assert request_messages((turn,), Turn("b", "B")) == [
        {"role": "user", "content": "A"},
        *round_messages(step),
        {"role": "user", "content": "B"},
    ]


def test_roles_alternate_after_an_unanswered_objection() -> None:
    """Many servers refuse two messages of the user in a row."""
    step = Round('{"a":', objection="It breaks off.")
    turn = Turn("a", "A", reply=Reply(rounds=(step,), status="failed"))
    roles = [message["role"] for message in request_messages((turn,), Turn("b", "B"))]
    assert roles == ["user", "assistant", "user"]


def test_no_message_of_a_round_is_empty() -> None:
    """Servers refuse one; so an objection to an empty reply is not sent."""
    for step in (Round(objection="It is empty."), Round()):
        turn = Turn("a", "A", reply=Reply("Hi", rounds=(step,)))
        assert all(message["content"] for message in request_messages((turn,), Turn("b", "B")))


def test_attachments_are_sent_with_their_prompt() -> None:
    """In later turns too; an attachment whose content is lost is mentioned."""
    notes = Attachment("text", "n.txt", "2 characters", "hi")
    image = Attachment("image", "a.png", "image", "data:image/png;base64,AA")
    lost = Attachment("image", "b.png", "image")
    path = (Turn("a", "A", attachments=(image,), reply=Reply("1")),)
    sent = request_messages(path, Turn("b", "B", attachments=(notes, lost)))
    assert sent[0]["content"] == [
        {"type": "image_url", "image_url": {"url": image.content}},
        {"type": "text", "text": "A"},
    ]
    assert sent[2]["content"] == (
        "n.txt (2 characters):\n\n```\nhi\n```\n\n"
        "(b.png was attached here; its content was not kept.)\n\nB"
    )


def test_a_service_gets_ids_that_it_accepts() -> None:
    """Mistral refuses the ids of other services; a call and its result keep the same one."""
    step = tool_round(("call_PTLP8xhu3uwZk4l3nlnrrJha", "{}", "one"), ("aB3456789", "{}", "two"))
    path = (Turn("a", "A", reply=Reply("1", rounds=(step,))),)
    _, calls, *results, _, _ = request_messages(
        path, Turn("b", "B", dialect=SERVICES["mistral"].name)
    )
    sent = [call["id"] for call in calls["tool_calls"]]
    assert [result["tool_call_id"] for result in results] == sent
    assert re.fullmatch("[0-9a-f]{9}", sent[0])
    assert sent[1] == "aB3456789"
    unchanged = request_messages(path, Turn("b", "B"))[1]["tool_calls"]
    assert [call["id"] for call in unchanged] == [call.id for call in step.calls]


def test_reasoning_goes_back_in_the_field_that_it_came_in() -> None:
    """Only within a turn, and only where the server sent it in a field."""
    step = Round("", "hm", (ToolCall("1", "f", "{}"),), (ToolResult("5"),))
    named = replace(step, reasoning_field="reasoning_content")
    assert round_messages(named, with_reasoning=True)[0]["reasoning_content"] == "hm"
    for messages in (round_messages(named), round_messages(step, with_reasoning=True)):
        assert "hm" not in str(messages)
