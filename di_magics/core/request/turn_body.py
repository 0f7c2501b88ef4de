"""The body of a turn's request, built from the turns that it follows; also for one of the past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.messages import request_messages
from di_magics.core.conversation.turn import Turn
from di_magics.core.request.ask import Prefill
from di_magics.core.request.body import build_body
from di_magics.core.settings.services import ASK_TO_CONTINUE, FINAL, PREFIX

CONTINUE_PROMPT = (
    "Your reply was cut off. Continue it exactly where it ends, even in the middle of a word: "
    "begin with the next character, repeat nothing, and explain nothing."
)


def build_request(turn: Turn, conversation: Conversation) -> dict[str, Any]:
    """Return the body of the request for a turn, built from the turns that it follows."""
    body = build_base(turn, conversation)
    for name in turn.reply.refused_fields:
        body.pop(name, None)
    if not turn.continued_by:
        return body
    return continue_body(body, Prefill(turn.beginning, (), method=turn.continued_by))


def build_base(
    turn: Turn, conversation: Conversation, messages: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the body before the beginning of a reply that is continued is added.

    `messages` are those of the conversation, if they are built already.
    """
    if messages is None:
        messages = request_messages(context_turns(turn, conversation).values(), turn)
    body = build_body(
        turn.model,
        messages,
        turn.params,
        stream=turn.stream,
        service=turn.service,
        fields=turn.fields,
        extra=turn.extra,
    )
    return relax_tool_choice(body) if any(step.calls for step in turn.reply.rounds) else body


def continue_body(body: Mapping[str, Any], prefill: Prefill) -> dict[str, Any]:
    """Return the body of a request that continues a reply.

    With ids it is a request for completions. Without them the reply is the last message, or is
    followed by a request to go on.
    """
    if not prefill.ids:
        message: dict[str, Any] = {"role": "assistant", "content": prefill.text}
        added = [message]
        fields: dict[str, Any] = {}
        if prefill.method == FINAL:
            fields = {"continue_final_message": True, "add_generation_prompt": False}
        elif prefill.method == PREFIX:
            message["prefix"] = True
        elif prefill.method == ASK_TO_CONTINUE:
            added.append({"role": "user", "content": CONTINUE_PROMPT})
        return {**body, "messages": [*body["messages"], *added], **fields}
    sent = {name: value for name, value in body.items() if name not in ("messages", "top_logprobs")}
    if "top_logprobs" in body:
        sent["logprobs"] = body["top_logprobs"]
    where = {"prompt": list(prefill.ids), "id_slot": prefill.slot, "cache_prompt": True}
    return {**sent, **where}


def relax_tool_choice(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body without a forced tool call, which would repeat without end."""
    chosen = body.get("tool_choice")
    return body if chosen in (None, "none", "auto") else {**body, "tool_choice": "auto"}


def context_turns(turn: Turn, conversation: Conversation) -> dict[int, Turn]:
    """Return the turns that are sent before this one, by their numbers in the history."""
    path = conversation.path(turn.parent) if turn.parent else ()
    sent = [(n, earlier) for n, earlier in enumerate(path, 1) if not earlier.reply.is_empty]
    return dict(sent if turn.context is None else sent[max(0, len(sent) - turn.context) :])
