"""The Chat Completions protocol: settings -> the body that is sent; payloads -> events.

Sources: https://deepinfra.com/docs/openai_api and recorded streams of a dozen servers, whose
shapes differ; what is read here is the union of what they send.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from di_magics.core.amount import parse_amount
from di_magics.core.conversation.attachment import IMAGE_TOKENS, content_bytes
from di_magics.core.errors import BadRequest, Busy, EndpointError, Refused, StreamBroken, TooLong
from di_magics.core.money.prices import BYTES_PER_TOKEN
from di_magics.core.read_json import LARGEST_COUNT
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
from di_magics.core.settings.params import PARAMS, TOOL_CHOICES, Value
from di_magics.core.text import one_line

DONE = "[DONE]"
MARKS = 24
"""A chat template puts about eight tokens around each message, of about three bytes."""


def build_body(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    params: Mapping[str, Value],
    *,
    stream: bool = True,
    local: bool = False,
    fields: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body of the request: what is set is sent exactly, what is not set is not sent.

    `local` spells the parameters as llama.cpp does; `fields` are sent as they are.
    """
    sent: dict[str, Any] = {"model": model, "messages": list(messages)}
    for name, value in params.items():
        spelled = PARAMS[name].local if local else None
        sent[spelled or name] = list(value) if isinstance(value, tuple) else value
    chosen = sent.get("tool_choice")
    if "tools" in (fields or {}) and chosen not in (None, *TOOL_CHOICES):
        sent["tool_choice"] = {"type": "function", "function": {"name": chosen}}
    sent |= fields or {}
    sent["stream"] = stream
    if stream:
        sent["stream_options"] = {"include_usage": True}
    return sent


def encode_body(request: Mapping[str, Any]) -> bytes:
    """Return a body as it goes out; half a surrogate pair, which UTF-8 cannot say, becomes `?`."""
    text = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def prompt_bytes(request: Mapping[str, Any]) -> int:
    """Return how many bytes a model reads of a body, with something for the marks in between.

    Those are messages, tools and the form of the reply; an image counts for the most it may be.
    """
    shape = [request[name] for name in ("tools", "response_format") if name in request]
    messages = request["messages"]
    return (
        text_bytes(messages) + MARKS * len(messages) + sum(len(json.dumps(each)) for each in shape)
    )


def text_bytes(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return how many bytes of text these messages hold."""
    image = IMAGE_TOKENS * BYTES_PER_TOKEN
    return sum(
        content_bytes(message["content"], image)
        + (len(json.dumps(message["tool_calls"])) if "tool_calls" in message else 0)
        for message in messages
    )


def sent_params(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sampling parameters of a body, under the names in it."""
    names = {name for param in PARAMS.values() for name in (param.name, param.local)}
    sent = {name: value for name, value in request.items() if name in names}
    if isinstance(chosen := sent.get("tool_choice"), dict):
        sent["tool_choice"] = chosen["function"]["name"]
    return sent


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
        yield Served(_str(payload.get("model")), _str(payload.get("id")))
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
        for detail in _dicts(message.get("reasoning_details")):
            if isinstance(detail.get("text"), str):
                yield Reasoning(detail["text"])
    content = message.get("content")
    if isinstance(content, str):
        if content:
            yield Text(content)
    else:
        yield from _part_events(content)
    for call in _dicts(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            index = call.get("index")
            yield ToolCallDelta(
                index if isinstance(index, int) else -1,
                _str(call.get("id")) or "",
                _str(function.get("name")) or "",
                _arguments(function.get("arguments")),
            )


def _arguments(found: object) -> str:
    """Read a fragment of arguments: text, nothing yet, or (not by the standard) an object."""
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found)


def _part_events(content: object) -> Iterator[ReplyEvent]:
    """Read content that is a list of parts (Mistral sends its thinking so)."""
    for part in _dicts(content):
        if isinstance(part.get("text"), str) and part["text"]:
            yield Text(part["text"])
        for thought in _dicts(part.get("thinking")):
            if isinstance(thought.get("text"), str):
                yield Reasoning(thought["text"])


def _logprobs(found: object) -> Iterator[TokenProbability]:
    for token in _dicts(found.get("content") if isinstance(found, dict) else None):
        if isinstance(token.get("token"), str) and _is_finite(token.get("logprob")):
            top = tuple(
                (other["token"], float(other["logprob"]))
                for other in _dicts(token.get("top_logprobs"))
                if isinstance(other.get("token"), str) and _is_finite(other.get("logprob"))
            )
            yield TokenProbability(token["token"], float(token["logprob"]), top)


def _usage(usage: Mapping[str, Any]) -> Usage:
    prompt = usage.get("prompt_tokens_details")
    completion = usage.get("completion_tokens_details")
    sent, written = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if not sent:  # no prompt is without tokens: 0 is what a server says that has not counted
        sent, written = None, written or None
    return Usage(
        sent,
        written,
        _count(usage.get("total_tokens")) or None,
        _count(prompt.get("cached_tokens")) if isinstance(prompt, dict) else None,
        _count(completion.get("reasoning_tokens"))
        if isinstance(completion, dict)
        else _count(usage.get("reasoning_tokens")),
        parse_amount(usage.get("estimated_cost")),
    )


def _count(found: object) -> int | None:
    """Read a number of tokens; what is beyond all reason is none."""
    whole = isinstance(found, int) and not isinstance(found, bool)
    if not whole or not isinstance(found, int) or found > LARGEST_COUNT:
        return None
    return max(found, 0)


def _is_finite(found: object) -> bool:
    return isinstance(found, int | float) and abs(found) < 1e300


def _str(found: object) -> str | None:
    return found if isinstance(found, str) and found else None


def _dicts(found: object) -> Iterator[dict[str, Any]]:
    if isinstance(found, list):
        yield from (item for item in found if isinstance(item, dict))


def error_text(payload: object) -> str | None:
    """Return the server's own words in an error body, whichever of its shapes it has."""
    match payload:
        case str() if payload.strip():
            return one_line(payload)
        case {"msg": str() as message, "loc": [*loc]}:  # FastAPI names the field it refuses
            place = ".".join(str(part) for part in loc if part != "body")
            return one_line(f"{place}: {message}" if place else message)
        case {**found}:
            every = (error_text(found.get(key)) for key in ("error", "detail", "message"))
            return next(filter(None, every), None)
        case [*items]:
            found_words = [said for item in items[:3] if (said := error_text(item))]
            return "; ".join(found_words) or None
        case _:
            return None


def stream_error(payload: Mapping[str, Any]) -> EndpointError:
    """Return the error that a payload inside a stream reports."""
    inner = payload.get("error")
    code = (inner if isinstance(inner, dict) else payload).get("code")
    said = (error_text(payload) or "no reason given").rstrip(".")
    if isinstance(code, int) and 400 <= code < 600:
        return http_error(code, json.dumps(payload).encode())
    if is_too_long(said):
        return _too_long_error(f"The server reported an error: {said}.", said, payload)
    return StreamBroken(f"The server reported an error: {said}. Run the cell again.")


_TOO_LONG = (
    "maximum input length",
    "context length",
    "context size",
    "context window",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input too long",
)
SHORTEN = "The conversation is too long for the model: %chat undo, %chat new, or a shorter prompt."


def is_too_long(said: str) -> bool:
    """Return whether a server's words say that the input does not fit."""
    return any(sign in said.lower() for sign in _TOO_LONG)


def mentions_param(said: str, param: str) -> bool:
    """Return whether a server's words are about this parameter, and not only hold its name."""
    pattern = rf"['\"`]{param}['\"`]|\b{param}:|\bparameter {param}\b"
    return bool(re.search(pattern, said)) or ("_" in param and param in said)


def http_error(
    status: int,
    answer: bytes,
    *,
    model: str = "",
    endpoint: str = "The server",
    deepinfra: bool = True,
    retry_after: float | None = None,
    request_id: str | None = None,
) -> EndpointError:
    """Return the error for an answer that is not 2xx: the server's words and the next step.

    `deepinfra` says whose key and account it is about.
    """
    try:
        payload: object = json.loads(answer)
    except (ValueError, RecursionError):
        text = answer.decode("utf-8", "replace").strip()
        payload = None if text.startswith("<") else text
    said = error_text(payload)
    kind, step = _next_step(status, said or "", model, deepinfra)
    quoted = f": {said.rstrip('.')}" if said else ""
    answered = f"{endpoint} answered {status}{quoted}."
    if kind is TooLong:
        return _too_long_error(answered, said or "", payload, status=status, request_id=request_id)
    return kind(f"{answered} {step}", status=status, request_id=request_id, retry_after=retry_after)


_LIMIT = re.compile(
    r"(?:maximum|limit|context (?:size|length|window))[^\d]{0,40}?(\d[\d,]*)", re.IGNORECASE
)


def _too_long_error(message: str, said: str, payload: object, **answer: Any) -> TooLong:
    """Read how long the input was and may be: from llama.cpp's fields, else the server's words."""
    error = TooLong(f"{message} {SHORTEN}", **answer)
    inner = payload.get("error") if isinstance(payload, dict) else None
    fields = inner if isinstance(inner, dict) else {}
    asked, limit = _count(fields.get("n_prompt_tokens")), _count(fields.get("n_ctx"))
    if not asked or not limit:
        found = _LIMIT.search(said)
        limit = int(found[1].replace(",", "")) if found else None
        numbers = [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", said)]
        asked = max(numbers, default=0)
    if limit and asked and asked > limit:
        error.asked, error.limit = asked, limit
    error.server_text = message
    return error


# llama.cpp's and vLLM's words.
_NO_IMAGES = ("image input is not supported", "is not a multimodal model", "at most 0 image")


def _next_step(
    status: int, said: str, model: str, deepinfra: bool
) -> tuple[type[EndpointError], str]:
    if is_too_long(said):
        return TooLong, SHORTEN
    if any(sign in said.lower() for sign in _NO_IMAGES):
        return BadRequest, "This model cannot look at images: name one that can with -m."
    if status == 402:
        where = "at https://deepinfra.com/dash/billing" if deepinfra else "to your account there"
        return Refused, f"Add funds {where}."
    if status in (401, 403):
        how = "with %chat key, or in the environment as DEEPINFRA_TOKEN"
        other = "in the environment as DI_MAGICS_API_KEY, for DI_MAGICS_BASE_URL"
        return Refused, f"Set the key {how if deepinfra else other}."
    if status == 404 and "model" in said.lower():
        return BadRequest, f"Check the model's name ({model}) with %chat model."
    if status in (404, 405) or status < 400:
        return BadRequest, "Check the endpoint's address and the model's name with %chat."
    if status in (408, 409, 429) or status >= 500:
        return Busy, "Try again in a moment; what was there is kept."
    return BadRequest, "%chat show --request prints what was sent."
