"""The body of a request to the Chat Completions API, and the weight of what a model reads of it.

A weight is what core/tokens.py estimates tokens by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from di_magics.core.conversation.attachment import IMAGE_TOKENS, content_weight
from di_magics.core.reply.reply import REASONING_FIELDS
from di_magics.core.reply.returned import RETURNED_FIELDS
from di_magics.core.settings.extras import PARAM_OF_FIELD, check_conflicts
from di_magics.core.settings.params import TOOL_CHOICES, Value
from di_magics.core.settings.services import UNKNOWN_SERVICE, Service
from di_magics.core.tokens import PER_TOKEN, text_weight

MESSAGE_WEIGHT = 8 * PER_TOKEN
"""A chat template adds about eight tokens to every message."""


def build_body(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    params: Mapping[str, Value],
    *,
    stream: bool = True,
    service: Service = UNKNOWN_SERVICE,
    fields: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body of the request: only what is set, and how it is streamed.

    With `stream` it also asks for the usage (`stream_options`), unless the service refuses that.
    Parameters have the names that the `service` has for them; `fields` and `extra` are sent
    unchanged. Raises ParamError for an extra that would replace another field.
    """
    sent: dict[str, Any] = {"model": model, "messages": list(messages)}
    for name, value in params.items():
        if name == "logprobs":
            fact = service.fact(name)
            most = value or fact.min_count
            sent |= {name: most} if fact.is_number else {name: True, "top_logprobs": most}
            continue
        sent[service.name_of(name)] = list(value) if isinstance(value, tuple) else value
    choice = sent.get("tool_choice")
    if "tools" in (fields or {}) and choice not in (None, *TOOL_CHOICES):
        sent["tool_choice"] = {"type": "function", "function": {"name": choice}}
    sent |= fields or {}
    check_conflicts(extra or {}, sent)
    sent |= extra or {}
    sent["stream"] = stream
    if stream and not service.fact("stream_options").refused:
        sent["stream_options"] = {"include_usage": True}
    return sent


def encode_body(request: Mapping[str, Any]) -> bytes:
    """Return a body as bytes; half a surrogate pair, which UTF-8 cannot encode, becomes `?`."""
    text = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def prompt_weight(request: Mapping[str, Any]) -> int:
    """Return the weight of what a model reads of a body, the chat template's tokens included.

    It reads messages, tools and the response format; an image counts as the largest it may be.
    """
    messages = request["messages"]
    fields = [request[name] for name in ("tools", "response_format") if name in request]
    weight = message_weight(messages) + MESSAGE_WEIGHT * len(messages)
    return weight + sum(text_weight(json.dumps(field)) for field in fields)


def message_weight(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return the weight of the text in these messages."""
    image = IMAGE_TOKENS * PER_TOKEN
    return sum(
        content_weight(message["content"], image)
        + (text_weight(json.dumps(message["tool_calls"])) if "tool_calls" in message else 0)
        + sum(text_weight(message.get(name, "")) for name in REASONING_FIELDS)
        + sum(text_weight(json.dumps(message[name])) for name in RETURNED_FIELDS if name in message)
        for message in messages
    )


def sent_params(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sampling parameters of a body, under the names in it; not `logprobs`."""
    names = PARAM_OF_FIELD.keys() - {"logprobs", "top_logprobs"}
    sent = {name: value for name, value in request.items() if name in names}
    if isinstance(choice := sent.get("tool_choice"), dict):
        sent["tool_choice"] = choice["function"]["name"]
    return sent
