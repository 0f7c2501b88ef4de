"""A model's reply, complete or partial, and its parts.

A reply has no identity (which turn, which cell): two replies with equal values are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from di_magics.core.arguments import check_arguments
from di_magics.core.errors import ChatError, ReplyError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.code_blocks import select_code
from di_magics.core.reply.json_reply import parse_json
from di_magics.core.reply.returned import Pieces
from di_magics.core.reply.sources import Source
from di_magics.core.token_statistics import entropy, least_likely, perplexity
from di_magics.core.visible import strip_controls

Status = Literal["open", "done", "stopped", "cut", "failed"]

# Some servers leak the token that ends a turn as the last piece of text.
END_TOKENS = frozenset(
    {"</s>", "<|im_end|>", "<|eot_id|>", "<|end|>", "<|endoftext|>", "<end_of_turn>", "<eos>"}
)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them, None where it did not. `cost` is in USD."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: Decimal | None = None


UNCOUNTED = Usage()
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")

# Below this time the speed cannot be measured, as for a reply in one piece.
MEASURABLE_SECONDS = 0.05

REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
"""Where servers send reasoning, apart from the text."""

OPTIONS = "stream_options"
"""The field that asks for the usage; a server that refuses it is asked without it."""

LIMIT_REASONS = ("length", "max_tokens", "MAX_TOKENS")
"""The finish reasons of a reply that max_tokens cut off."""

LOOP = "loop"
"""The finish reason of a reply that was ended here because it repeated itself."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for; `arguments` is text that may be invalid JSON.

    `extra` is the JSON of what the server wants back with the call, such as Gemini's signature.
    """

    id: str
    name: str
    arguments: str
    extra: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool call: the text that is sent back to the model, and how long it took.

    `failed` is whether the function raised or was not run; `seconds` is None while it runs.
    """

    content: str
    failed: bool = False
    seconds: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Round:
    """One tool-call or repair step: the assistant's message and the answers sent back.

    `results` are those of its calls, in their order; `objection` is what was wrong with a reply
    that must fit a schema. `returned` is the JSON of what else the server wants back (returned.py).
    `reasoning_field` is the field in which the server sent the reasoning,
    "" where it was part of the text.
    """

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()
    objection: str = ""
    reasoning_field: str = ""
    returned: str = ""

    @property
    def answered(self) -> bool:
        """Whether it can be sent: it has calls, or a text with an objection."""
        return bool(self.calls or (self.text.strip() and self.objection))


MAX_SHOWN_CHARS = 1_000_000
"""Of a text of a reply. The notebook holds it three times, and no page could show more."""


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A model's reply, complete or partial, and the request.

    tool_calls         calls that have no result yet
    rounds             the earlier steps of the turn, with their calls and results
    status             done; stopped (by the user); cut (the stream broke off, or ended without a
                       finish reason); failed (there is no reply); open (it streams)
    cost               in USD, None if unknown
    estimate           how the cost was computed, "" if the API sent it
    request            the body that was sent
    elapsed            seconds since sending
    first_token        seconds from sending to the first token
    last_chunk         the last piece of the text
    parsed             the object in a reply that must fit a schema
    validation_error   why the reply does not fit
    images             how many images the reply had; they are not kept
    sources            the web pages that it names, as (url, title)
    choices            how many choices the server sent; only the first is kept
    reasoning_field    as in a Round
    returned           the pieces of a Round's `returned`
    service_tier       what the server charged by, "" if unknown
    refused_fields     the fields that the server refused and that were left out then
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    rounds: tuple[Round, ...] = ()
    finish_reason: str | None = None
    status: Status = "open"
    usage: Usage = UNCOUNTED
    cost: Decimal | None = None
    estimate: str = ""
    model: str | None = None
    id: str | None = None
    request: Mapping[str, Any] | None = None
    logprobs: tuple[TokenProbability, ...] = ()
    elapsed: float | None = None
    first_token: float | None = None
    last_chunk: str = ""
    parsed: Any = None
    validation_error: str = ""
    images: int = 0
    sources: tuple[Source, ...] = ()
    choices: int = 1
    reasoning_field: str = ""
    returned: Pieces = ()
    service_tier: str = ""
    refused_fields: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Reply {self.status}, {len(self.text):,} characters>"

    def __str__(self) -> str:
        return strip_controls(self.clean_text)  # print() is no way to a terminal's escapes

    @property
    def cost_is_estimate(self) -> bool:
        """Whether the cost was computed from tokens and a price."""
        return bool(self.estimate)

    @property
    def complete(self) -> bool:
        """Whether the server reported that the reply is complete."""
        return self.status == "done"

    @property
    def hit_max_tokens(self) -> bool:
        """Whether the reply was cut off by max_tokens."""
        return self.finish_reason in LIMIT_REASONS

    @property
    def tokens_per_second(self) -> float | None:
        """The speed of the tokens after the first, None where it is not measurable."""
        tokens = self.usage.completion_tokens or 0
        if self.first_token is None or self.elapsed is None or tokens < 2 or self.rounds:
            return None
        writing = self.elapsed - self.first_token
        return (tokens - 1) / writing if writing >= MEASURABLE_SECONDS else None

    @property
    def clean_text(self) -> str:
        """The text without an end token that leaked as its very last piece.

        While the reply grows, an earlier value is always the beginning of a later one.
        """
        return self.text[: -len(self.last_chunk)] if self.last_chunk in END_TOKENS else self.text

    @property
    def perplexity(self) -> float | None:
        """exp(-mean log-probability) of the tokens with a number, None without any."""
        return perplexity(self.logprobs)

    @check_arguments
    def entropy(self, position: int) -> float | None:
        """Return the entropy before the token at a position, in bits, None where it is unknown.

        What was not returned counts as one token, so the true entropy may be higher.
        """
        if not -len(self.logprobs) <= position < len(self.logprobs):
            raise ChatError(
                f"There is no token {position}: the reply has {len(self.logprobs):,} tokens with a "
                "log-probability. Ask with logprobs=20, or use another position."
            )
        return entropy(self.logprobs[position])

    @check_arguments
    def least_likely(self, most: int = 10) -> list[tuple[int, TokenProbability]]:
        """Return the least likely tokens with their positions, the least likely first."""
        return [(at, self.logprobs[at]) for at in least_likely(self.logprobs, most)]

    @property
    def is_empty(self) -> bool:
        """Whether it cannot be sent: it has no text and no tool call with a result."""
        return not self.clean_text.strip() and not any(step.answered for step in self.rounds)

    @property
    def code(self) -> str:
        """The code of the reply's Python blocks, else of all its blocks. Raises ChatError."""
        return select_code(self.clean_text)

    def json(self) -> Any:
        """Return the value of the JSON in the reply; an object of the schema's class if it has one.

        The JSON may be in a code block or between sentences. Raises ReplyError, with the place.
        """
        if self.parsed is not None:
            return self.parsed
        try:
            if self.validation_error:
                raise ReplyError(self.validation_error)
            return parse_json(self.clean_text)
        except ReplyError as error:
            explained = ReplyError(
                f"{error} Its text is in .text. Ask again with --schema (or -f json) and --repair."
            )
            explained.reply = self
            raise explained from None
