"""Turns as messages of the Chat Completions API. They are built for every request, never stored.

A turn becomes its prompt, then its rounds (tool calls with their results, or a reply with an
objection to it), then its reply. Two rules keep a conversation acceptable to strict servers: no
message is empty, and the roles user and assistant alternate.

While a turn calls tools, its reasoning goes back in the field in which it was sent, with whatever
else the server wants back (core/reply/returned.py), because some models refuse to continue without
it. In later turns it is left out, as their makers recommend, except where one is known to require
it (`kept` in the table of services). Ids of calls go back unchanged, except to a service that only
accepts ids of a certain length.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from di_magics.core.conversation.attachment import message_content
from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.json_reply import mend_json, parse_strict_json
from di_magics.core.reply.reply import Round, ToolCall
from di_magics.core.reply.returned import read_returned
from di_magics.core.settings.services import Service

Message = dict[str, Any]
KEPT, CALL_ID = "reasoning_content", "tool_call_id"
"""Names of what the table of services may know."""


def request_messages(path: Iterable[Turn], turn: Turn) -> list[Message]:
    """Return the messages of a request for this turn, which follows the turns of the path.

    They begin with the turn's own system prompt and end with its prompt and rounds. A turn on the
    path with neither text nor answered tool calls is left out.
    """
    messages: list[Message] = []
    if turn.system:
        messages.append({"role": "system", "content": turn.system})
    keep = turn.service.fact(KEPT).send_back
    for earlier in path:
        if not earlier.reply.is_empty:
            messages += turn_messages(earlier, with_reasoning=keep)
    messages += _prompt_messages(turn, with_reasoning=True)
    return [_with_valid_ids(message, turn.service) for message in messages]


def turn_messages(turn: Turn, *, with_reasoning: bool = False) -> list[Message]:
    """Return the messages of an answered turn; a partial reply is sent as it is.

    `with_reasoning` keeps the reasoning of a turn with tool calls.
    """
    has_calls = any(step.calls for step in turn.reply.rounds)
    messages = _prompt_messages(turn, with_reasoning=with_reasoning)
    reply = turn.reply.clean_text
    if reply.strip():
        thought = turn.reply.reasoning if with_reasoning and has_calls else ""
        reasoning = {KEPT: thought} if thought else {}
        return [*messages, {"role": "assistant", "content": reply, **reasoning}]
    unanswered_objection = len(messages) > 1 and messages[-1]["role"] == "user"
    return messages[:-1] if unanswered_objection else messages


def _prompt_messages(turn: Turn, *, with_reasoning: bool) -> list[Message]:
    messages: list[Message] = [
        {"role": "user", "content": message_content(turn.prompt, turn.attachments)}
    ]
    for step in turn.reply.rounds:
        messages += round_messages(step, with_reasoning=with_reasoning)
    return messages


def round_messages(step: Round, *, with_reasoning: bool = False) -> list[Message]:
    """Return the messages of a round: the assistant's and the answers to it."""
    if not step.answered:
        return []
    if not step.calls:
        return [
            {"role": "assistant", "content": step.text},
            {"role": "user", "content": step.objection},
        ]
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": _arguments(call)},
            **({"extra_content": json.loads(call.extra)} if call.extra else {}),
        }
        for call in step.calls
    ]
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": result.content or "(nothing)"}
        for call, result in zip(step.calls, step.results, strict=False)
    ]
    message: Message = {"role": "assistant", "content": step.text or None, "tool_calls": calls}
    if with_reasoning and step.reasoning and step.reasoning_field:
        message[step.reasoning_field] = step.reasoning
    if with_reasoning:
        message |= read_returned(step.returned)
    return [message, *results]


def _with_valid_ids(message: Message, service: Service) -> Message:
    """Return a message with ids of calls that a service accepts: those of another may be longer."""
    length = service.fact(CALL_ID).length
    if not length:
        return message
    if "tool_call_id" in message:
        return {**message, "tool_call_id": _valid_id(message["tool_call_id"], length)}
    calls = message.get("tool_calls", ())
    valid = [{**call, "id": _valid_id(call["id"], length)} for call in calls]
    return {**message, "tool_calls": valid} if valid else message


def _valid_id(id_: str, length: int) -> str:
    if len(id_) == length and id_.isascii() and id_.isalnum():
        return id_
    return hashlib.sha256(id_.encode()).hexdigest()[:length]


def _arguments(call: ToolCall) -> str:
    """Return a call's arguments, or {} where servers would refuse them."""
    arguments = mend_json(call.arguments)
    try:
        valid = isinstance(parse_strict_json(arguments), dict)
    except ValueError:
        valid = False
    return arguments if valid else "{}"
