"""A reply and the events it grows from: one pure fold, the same for every server.

Identity (which turn, which cell) is not here: two equal replies are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

Status = Literal["open", "done", "stopped", "cut", "failed"]

# Some servers leak the token that ends a turn as the last piece of text.
END_TOKENS = frozenset(
    {"</s>", "<|im_end|>", "<|eot_id|>", "<|end|>", "<|endoftext|>", "<end_of_turn>", "<eos>"}
)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them; None where it did not say. `cost` is in USD."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: Decimal | None = None


UNCOUNTED = Usage()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for; `arguments` is its text, which need not be valid JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class TokenProbability:
    """A token of the reply, its log-probability, and the likeliest tokens in its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Served:
    """Which model answers, and the server's id of the answer."""

    model: str | None
    id: str | None


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of the reasoning before the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A piece of a tool call; the pieces of one call share an index."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Logprobs:
    """The probabilities of the tokens that have just come."""

    tokens: tuple[TokenProbability, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """What the reply has used so far; a later one replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Finished:
    """The server says that the reply is whole, and perhaps why it ended."""

    reason: str | None = None


ReplyEvent = Served | Text | Thought | ToolCallPart | Logprobs | Used | Finished


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A model's reply, whole or partial, and what was sent for it.

    `status` is `done`, `stopped` (by the reader), `cut` (the stream ended without saying so) or
    `failed`; while it streams, `open`. `cost` is in USD, None when unknown. `request` is the body
    that was sent. `elapsed` and `first_token` are seconds since sending. `ended` is whether the
    server has said that the reply is whole; `tail` is the last piece of text as it came.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    status: Status = "open"
    usage: Usage = UNCOUNTED
    cost_is_estimate: bool = False
    cost: Decimal | None = None
    model: str | None = None
    id: str | None = None
    request: Mapping[str, Any] | None = None
    logprobs: tuple[TokenProbability, ...] = ()
    elapsed: float | None = None
    first_token: float | None = None
    ended: bool = False
    tail: str = ""

    def __repr__(self) -> str:
        return f"<Reply {self.status}, {len(self.text):,} characters>"

    def __str__(self) -> str:
        return self.shown

    @property
    def complete(self) -> bool:
        """Whether the server said that the reply is whole."""
        return self.status == "done"

    @property
    def shown(self) -> str:
        """The text without an end token that leaked as its very last piece.

        While the reply grows, an earlier value is always the beginning of a later one.
        """
        return self.text[: -len(self.tail)] if self.tail in END_TOKENS else self.text

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show or to send back: no text and no tool call."""
        return not self.shown.strip() and not self.tool_calls

    def grow(self, events: Iterable[ReplyEvent]) -> Reply:
        """Return the reply with these events added."""
        text: list[str] = []
        thoughts: list[str] = []
        tokens: list[TokenProbability] = []
        calls = self.tool_calls
        changes: dict[str, Any] = {}
        for event in events:
            match event:
                case Text():
                    text.append(event.text)
                case Served():
                    changes["model"] = event.model or changes.get("model", self.model)
                    changes["id"] = event.id or changes.get("id", self.id)
                case Thought():
                    thoughts.append(event.text)
                case ToolCallPart():
                    calls = _with_part(calls, event)
                case Logprobs():
                    tokens.extend(event.tokens)
                case Used():
                    changes["usage"] = event.usage
                    changes["cost"] = event.usage.cost
                case Finished():
                    changes["ended"] = True
                    if event.reason:
                        changes["finish_reason"] = event.reason
        if text:
            changes["text"] = self.text + "".join(text)
            changes["tail"] = text[-1]
        if thoughts:
            changes["reasoning"] = self.reasoning + "".join(thoughts)
        if tokens:
            changes["logprobs"] = self.logprobs + tuple(tokens)
        return replace(self, tool_calls=calls, **changes)


def _with_part(calls: tuple[ToolCall, ...], part: ToolCallPart) -> tuple[ToolCall, ...]:
    """Add a fragment: to the call of its index, else as the next call.

    Indexes may start at 1 or be missing, and later fragments may carry an empty id, so a
    fragment continues the last call unless it names a new one.
    """
    at = min(part.index, len(calls)) if part.index >= 0 else len(calls) - 1
    starts = bool(part.name) and (part.index < 0 or at >= len(calls))
    if starts or not calls:
        return (*calls, ToolCall(part.id, part.name, part.arguments))
    at = min(max(at, 0), len(calls) - 1)
    call = calls[at]
    grown = ToolCall(call.id or part.id, call.name or part.name, call.arguments + part.arguments)
    return (*calls[:at], grown, *calls[at + 1 :])
