"""The payloads of a reply as events.

Sources: https://deepinfra.com/docs/openai_api and recorded streams of a dozen servers. Their shapes
differ; this file reads the union of what they send.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from di_magics.core.amount import parse_amount
from di_magics.core.errors import StreamBroken
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
from di_magics.core.request.readers import read_count, read_dicts, read_text
from di_magics.core.request.refusals import stream_error
from di_magics.core.text import one_line

DONE = "[DONE]"


def parse_event(data: str) -> list[ReplyEvent]:
    """Return the events of one payload of a stream, or of a whole reply.

    Raises StreamBroken when it is not JSON, and the error the server reports in it.
    """
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        raise StreamBroken(
            f"The server sent something that is not JSON: {one_line(data, 120)!r}. "
            "Run the cell again, or check the endpoint's address."
        ) from None
    if not isinstance(payload, dict):
        raise StreamBroken(
            f"The server sent {one_line(data, 120)!r}, which is no part of a reply. "
            "Check the endpoint's address: it must speak the OpenAI Chat Completions API."
        )
    failed = payload.get("detail") or payload.get("object") == "error"
    if payload.get("error") or (failed and "choices" not in payload):
        raise stream_error(payload)
    return list(_payload_events(payload))


def _payload_events(payload: Mapping[str, Any]) -> Iterator[ReplyEvent]:
    if payload.get("model") or payload.get("id"):
        yield Served(read_text(payload.get("model")), read_text(payload.get("id")))
    choices = payload.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        message = choice.get("delta") or choice.get("message")
        if isinstance(message, dict):
            yield from _delta_events(message)
        tokens = tuple(_logprobs(choice.get("logprobs")))
        if tokens:
            yield Logprobs(tokens)
        if choice.get("finish_reason"):
            yield Finished(one_line(choice["finish_reason"], 40))
    usage = payload.get("usage")
    if isinstance(usage, dict) and usage:
        yield Used(_usage(usage))


def _delta_events(message: Mapping[str, Any]) -> Iterator[ReplyEvent]:
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str) and thought:
        yield Reasoning(thought)
    elif not thought:
        for detail in read_dicts(message.get("reasoning_details")):
            if isinstance(detail.get("text"), str):
                yield Reasoning(detail["text"])
    content = message.get("content")
    if isinstance(content, str):
        if content:
            yield Text(content)
    else:
        yield from _part_events(content)
    for call in read_dicts(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            index = call.get("index")
            yield ToolCallDelta(
                index if isinstance(index, int) else -1,
                read_text(call.get("id")) or "",
                read_text(function.get("name")) or "",
                _arguments(function.get("arguments")),
            )


def _arguments(found: object) -> str:
    """Read a fragment of arguments: text, nothing yet, or (not by the standard) an object."""
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found)


def _part_events(content: object) -> Iterator[ReplyEvent]:
    """Read content that is a list of parts (Mistral sends its thinking so)."""
    for part in read_dicts(content):
        if isinstance(part.get("text"), str) and part["text"]:
            yield Text(part["text"])
        for thought in read_dicts(part.get("thinking")):
            if isinstance(thought.get("text"), str):
                yield Reasoning(thought["text"])


def _logprobs(found: object) -> Iterator[TokenProbability]:
    for token in read_dicts(found.get("content") if isinstance(found, dict) else None):
        if isinstance(token.get("token"), str) and _is_finite(token.get("logprob")):
            top = tuple(
                (other["token"], float(other["logprob"]))
                for other in read_dicts(token.get("top_logprobs"))
                if isinstance(other.get("token"), str) and _is_finite(other.get("logprob"))
            )
            yield TokenProbability(token["token"], float(token["logprob"]), top)


def _usage(usage: Mapping[str, Any]) -> Usage:
    prompt = usage.get("prompt_tokens_details")
    completion = usage.get("completion_tokens_details")
    sent, written = (
        read_count(usage.get("prompt_tokens")),
        read_count(usage.get("completion_tokens")),
    )
    if not sent:  # no prompt is without tokens: 0 is what a server says that has not counted
        sent, written = None, written or None
    return Usage(
        sent,
        written,
        read_count(usage.get("total_tokens")) or None,
        read_count(prompt.get("cached_tokens")) if isinstance(prompt, dict) else None,
        read_count(completion.get("reasoning_tokens"))
        if isinstance(completion, dict)
        else read_count(usage.get("reasoning_tokens")),
        parse_amount(usage.get("estimated_cost")),
    )


def _is_finite(found: object) -> bool:
    return isinstance(found, int | float) and abs(found) < 1e300
