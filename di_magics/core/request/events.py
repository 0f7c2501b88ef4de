"""The payloads of a response as events.

Sources: https://deepinfra.com/docs/openai_api and recorded streams of a dozen servers. Their shapes
differ; this file reads the union of them, and nothing that no server is known to send.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, zip_longest
from typing import Any

from di_magics.core.amount import parse_amount
from di_magics.core.errors import EndpointError, StreamBroken
from di_magics.core.logprobs import TokenProbability, read_token
from di_magics.core.read_json import MAX_COUNT, as_list, as_number, as_object, as_objects
from di_magics.core.reply.fold import (
    Cited,
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
from di_magics.core.reply.reply import REASONING_FIELDS, Usage
from di_magics.core.reply.sources import parse_annotations, parse_list
from di_magics.core.request.deltas import Deltas
from di_magics.core.request.error_body import find_error
from di_magics.core.request.readers import (
    dump_json,
    load_json,
    read_count,
    read_text,
)
from di_magics.core.request.server_errors import Target, stream_error
from di_magics.core.text import replace_surrogates
from di_magics.core.visible import one_line

NO_REASON = frozenset({"", "null", "none"})
"""The finish reasons by which some servers say that the reply goes on."""

MAX_TOKEN_ALTERNATIVES = 200_000
"""The alternatives of one token that are kept: the largest vocabularies are a little smaller."""
MAX_REPLY_ALTERNATIVES = 400_000
"""The alternatives of all tokens of a reply that are kept: of 2,000 tokens 200 each."""
MAX_REPLY_TOKENS = 200_000
"""The tokens of a reply whose probability is kept."""
LONG_TOKEN = 64
"""A longer one counts as several, so that all of them together are bounded."""
LEGACY_COLUMNS = ("tokens", "token_logprobs", "top_logprobs")
MAX_EXTRA_CHARS = 100_000  # characters
CACHED_FIELDS = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
"""Where DeepSeek, Moonshot and Anthropic count the cached tokens of the prompt."""
IMAGE_PARTS = frozenset({"image", "image_url", "output_image"})
REASONING_PARTS = frozenset({"reasoning", "reasoning_text", "thinking"})


class PayloadParser:
    """Turns the payloads of one response into events; `has_content` is whether any has content.

    Half a surrogate pair (an emoji cut by the server) is held back until the other half arrives.
    """

    def __init__(self, target: Target | None = None) -> None:
        self._target = target or Target()
        self._halves: dict[str | int, str] = {}
        self._deltas = {"text": Deltas(), "reasoning": Deltas()}
        self._began = False
        self._alternatives_left = MAX_REPLY_ALTERNATIVES
        self._tokens_left = MAX_REPLY_TOKENS
        self.has_content = False

    def parse(self, data: str) -> tuple[list[ReplyEvent], EndpointError | None]:
        """Return the events of one payload, and the error that the server reports in it."""
        try:
            payload = load_json(data)
        except ValueError:
            return [], StreamBroken(
                f"The server sent something that is not JSON: {one_line(data, 120)!r}. "
                "Run the cell again, or check its address with %chat endpoint."
            )
        if isinstance(payload, list) and payload and find_error(payload[0]):  # Gemini's errors
            payload = payload[0]
        if not isinstance(payload, dict):
            return [], StreamBroken(
                f"The server sent {one_line(data, 120)!r}, which is not part of a reply. "
                "Check its address with %chat endpoint: it must have an OpenAI-compatible API."
            )
        failed = find_error(payload)
        events = list(self._payload_events(_find_reply(payload)))
        if failed:  # its text and usage count; but a model's name alone must not prevent a retry
            events = [event for event in events if not isinstance(event, Finished | Served)]
        self.has_content = self.has_content or any(
            not isinstance(event, Served | Used | Cited | OtherChoice | ToReturn)
            for event in events
        )
        return events, stream_error(failed, self._target) if failed else None

    def close(self) -> list[ReplyEvent]:
        """Return what was held back, with U+FFFD for a half without the other one."""
        halves, self._halves = self._halves, {}
        text, thought = self._deltas["text"].close(), self._deltas["reasoning"].close()
        events: list[ReplyEvent] = [Reasoning(thought)] if thought else []
        events += [Text(text)] if text else []
        for channel in halves:
            if channel == "text":
                events.append(Text("\ufffd"))
            elif channel == "reasoning":
                events.append(Reasoning("\ufffd"))
            else:
                events.append(ToolCallDelta(int(channel), "", "", "\ufffd"))
        return events

    def _join(self, channel: str | int, text: str) -> str:
        """Return the text with the half before it, and without a half at its end."""
        half = self._halves.pop(channel, "")
        if not half and text.isascii():
            return text
        text = half + text
        if "\ud800" <= text[-1:] < "\udc00":
            self._halves[channel] = text[-1]
            text = text[:-1]
        return replace_surrogates(text)

    def _payload_events(self, payload: Mapping[str, Any]) -> Iterator[ReplyEvent]:
        model, id_ = read_text(payload.get("model")), read_text(payload.get("id"))
        tier = read_text(payload.get("service_tier"))
        if model or id_ or tier:
            yield Served(model, id_, tier)
        if sources := parse_list(payload):
            yield Cited(sources, whole=True)
        choices = payload.get("choices")
        usage = payload.get("usage") or as_object(payload.get("x_groq")).get("usage")
        highest = 0
        for position, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                index = choice.get("index")
                index = position if isinstance(index, bool) or not isinstance(index, int) else index
                if index:
                    highest = max(highest, min(index, MAX_COUNT))
                else:
                    yield from self._choice_events(choice)
                    usage = usage or choice.get("usage")  # Moonshot
        if highest:
            yield OtherChoice(highest)
        if isinstance(usage, dict) and usage:
            yield Used(_parse_usage(usage))

    def _choice_events(self, choice: Mapping[str, Any]) -> Iterator[ReplyEvent]:
        delta, message = choice.get("delta"), choice.get("message")
        events = list(self._message_events(delta)) if isinstance(delta, dict) else []
        # A complete message beside the last delta repeats the text (Perplexity).
        if not events and isinstance(message, dict) and not self._began:
            events = list(self._message_events(message))
        if delta is None and message is None and isinstance(choice.get("text"), str):
            events = list(self._text_events(choice["text"]))
        self._began = self._began or bool(events)
        yield from events
        logprobs = choice.get("logprobs")
        if as_number(logprobs) is not None:  # Together: that of the token in this chunk
            logprobs = {
                "content": [{"token": as_object(delta).get("content"), "logprob": logprobs}]
            }
        if tokens := tuple(self._token_probabilities(as_object(logprobs))):
            yield Logprobs(tokens)
        reason = one_line(replace_surrogates(str(choice.get("finish_reason") or "")), 40)
        if reason.lower() not in NO_REASON:
            yield from self.close()
            yield Finished(reason)

    def _token_probabilities(self, logprobs: Mapping[str, Any]) -> Iterator[TokenProbability]:
        """Yield the tokens of a choice; one without a number is kept, as others follow it."""
        for entry in as_objects(logprobs.get("content")):
            if self._tokens_left > 0:
                top = as_list(entry.get("top_logprobs"))
                yield self._token(entry, as_objects(top[:MAX_TOKEN_ALTERNATIVES]))
        if isinstance(logprobs.get("tokens"), list):  # as the older completions API sends them
            columns = (as_list(logprobs.get(name)) for name in LEGACY_COLUMNS)
            for token, logprob, top in zip_longest(*columns):
                if self._tokens_left <= 0:
                    break
                entries = (
                    {"token": other, "logprob": number}
                    for other, number in islice(as_object(top).items(), MAX_TOKEN_ALTERNATIVES)
                )
                yield self._token({"token": token, "logprob": logprob}, entries)

    def _token(
        self, entry: Mapping[str, Any], alternatives: Iterable[Mapping[str, Any]]
    ) -> TokenProbability:
        """Return a token; a reply has a limited number of them, and of alternatives."""
        top = []
        for other in alternatives:
            if self._alternatives_left <= 0:
                break
            top.append(read_token(other))
            self._alternatives_left -= 1 + len(top[-1].token) // LONG_TOKEN
        token = read_token(entry, tuple(top))
        self._tokens_left -= 1 + len(token.token) // LONG_TOKEN
        return token

    def _message_events(self, message: Mapping[str, Any]) -> Iterator[ReplyEvent]:
        fields = ((name, message.get(name)) for name in REASONING_FIELDS)
        thoughts = ((name, text) for name, text in fields if isinstance(text, str) and text)
        name, thought = next(thoughts, ("", None))
        if thought is not None:
            yield from self._reasoning_events(thought, name)
        else:
            for detail in as_objects(message.get("reasoning_details")):
                yield from self._reasoning_events(detail.get("text") or detail.get("summary"))
        if details := as_objects(message.get("reasoning_details")):
            yield ToReturn("reasoning_details", dump_json(list(details)))
        if extra := _read_extra(message.get("extra_content")):
            yield ToReturn("extra_content", extra)
        content = message.get("content")
        if isinstance(content, str):
            yield from self._text_events(content)
        elif isinstance(content, list):
            for part in content:
                yield from self._part_events(part)
        elif isinstance(content, dict):
            is_json = "text" not in content
            yield from (
                self._text_events(dump_json(content)) if is_json else self._part_events(content)
            )
        if not content:
            yield from self._text_events(message.get("refusal"))
        if cited := parse_annotations(message):
            yield Cited(cited, whole=False)
        images = message.get("images")
        yield from (Image() for _ in (images if isinstance(images, list) else ()))
        for call in as_objects(message.get("tool_calls")):
            extra = _read_extra(call.get("extra_content"))
            if isinstance(function := call.get("function", {} if extra else None), dict):
                id_ = read_text(call.get("id")) or ""
                yield self._call_delta(call.get("index"), id_, function, extra)
        if isinstance(function := message.get("function_call"), dict):  # before tool_calls
            yield self._call_delta(0, "", function)

    def _call_delta(
        self, index: object, id_: str, function: Mapping[str, Any], extra: str = ""
    ) -> ToolCallDelta:
        number = index if isinstance(index, int) and not isinstance(index, bool) else -1
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = dump_json(arguments)
        text = self._join(number, arguments or "")
        return ToolCallDelta(number, id_, read_text(function.get("name")) or "", text, extra)

    def _part_events(self, part: object) -> Iterator[ReplyEvent]:
        """Yield the events of one part of a content list; Mistral sends its reasoning like this."""
        if isinstance(part, str):
            yield from self._text_events(part)
        if not isinstance(part, dict):
            return
        kind = part.get("type")
        if isinstance(kind, str) and kind in IMAGE_PARTS:
            yield Image()
        is_reasoning = isinstance(kind, str) and kind in REASONING_PARTS
        read = self._reasoning_events if is_reasoning else self._text_events
        yield from read(part.get("text"))
        yield from self._text_events(part.get("refusal"))
        for name in ("thinking", "summary"):
            if isinstance(part.get(name), str):
                yield from self._reasoning_events(part[name])
            for thought in as_objects(part.get(name)):
                yield from self._reasoning_events(thought.get("text"))

    def _text_events(self, text: object) -> Iterator[ReplyEvent]:
        if new := self._new_text("text", text):
            yield Text(new)

    def _reasoning_events(self, text: object, source: str = "") -> Iterator[ReplyEvent]:
        if new := self._new_text("reasoning", text):
            yield Reasoning(new, source)

    def _new_text(self, channel: str, text: object) -> str:
        joined = self._join(channel, text) if isinstance(text, str) and text else ""
        return self._deltas[channel].feed(joined) if joined else ""


def _find_reply(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a payload that has the choices.

    OpenRouter sometimes sends the complete answer of the provider in the field `provider`. Gateways
    wrap it in `result` or `data`. A proxy before Ollama may send messages of Ollama's own API.
    """
    if payload.get("choices"):
        return payload
    for name in ("provider", "result", "data"):
        if as_object(payload.get(name)).get("choices"):
            return as_object(payload[name])
    message = payload.get("message")
    if isinstance(message, dict) and "done" in payload:
        choice = {"delta": message, "finish_reason": payload.get("done_reason")}
        counts = {
            "prompt_tokens": payload.get("prompt_eval_count"),
            "completion_tokens": payload.get("eval_count"),
        }
        return {**payload, "choices": [choice], "usage": payload["done"] and counts}
    return payload


def _read_extra(value: object) -> str:
    """Return what a server wants back with a call as JSON, "" for nothing or too much."""
    text = dump_json(value) if isinstance(value, dict) and value else ""
    return text if len(text) <= MAX_EXTRA_CHARS else ""


def _parse_usage(usage: Mapping[str, Any]) -> Usage:
    details_of_prompt = as_object(usage.get("prompt_tokens_details"))
    counts = [read_count(details_of_prompt.get("cached_tokens"))]
    counts += [read_count(usage.get(name)) for name in CACHED_FIELDS]
    completion = usage.get("completion_tokens_details")
    details = completion if isinstance(completion, dict) else usage
    sent = read_count(usage.get("prompt_tokens"))
    written = read_count(usage.get("completion_tokens"))
    if not sent:  # no prompt has 0 tokens: the server has not counted
        sent, written = None, written or None
    return Usage(
        sent,
        written,
        read_count(usage.get("total_tokens")) or None,
        max((count for count in counts if count is not None), default=None),
        read_count(details.get("reasoning_tokens")),
        _parse_cost(usage),
    )


def _parse_cost(usage: Mapping[str, Any]) -> Any:
    """Return what the server charges: DeepInfra's field, else OpenRouter's or Perplexity's."""
    cost = parse_amount(usage.get("estimated_cost"))
    other = usage.get("cost")
    return parse_amount(as_object(other).get("total_cost", other)) if cost is None else cost
