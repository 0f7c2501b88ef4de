"""A reply, and the events that it is built from: one pure fold, the same for every server.

A reply has no identity (which turn, which cell): two replies with equal values are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from typing import Any, Literal

from di_magics.core.amount import in_money_context
from di_magics.core.errors import ReplyError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.code_blocks import select_code
from di_magics.core.reply.json_reply import parse_json
from di_magics.core.token_statistics import entropy, least_likely, perplexity

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

# Finish reasons that mean that the reply is not complete.
FAILURES = frozenset({"error", "network_error", "abort"})

REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
"""Where servers send reasoning, apart from the text."""

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
    that must fit a schema. `reasoning_field` is the field in which the server sent the reasoning,
    "" where it was part of the text.
    """

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()
    objection: str = ""
    reasoning_field: str = ""

    @property
    def answered(self) -> bool:
        """Whether it can be sent: it has calls, or a text with an objection."""
        return bool(self.calls or (self.text.strip() and self.objection))


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
class Reasoning:
    """A piece of the reasoning before the reply; `source` is the field that it was in."""

    text: str
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call; the pieces of one call share an index."""

    index: int
    id: str
    name: str
    arguments: str
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Logprobs:
    """The probabilities of the tokens of this chunk."""

    tokens: tuple[TokenProbability, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """The usage of the reply so far; a later one replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Finished:
    """The server says that the reply has ended, and perhaps why."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """The server sent an image. It is neither stored nor loaded."""


@dataclass(frozen=True, slots=True)
class OtherChoice:
    """A piece of another choice than the first, which is not part of the reply."""

    index: int


ReplyEvent = (
    Served | Text | Reasoning | ToolCallDelta | Logprobs | Used | Finished | Image | OtherChoice
)

MOST_CALLS = 64
"""The calls of a reply that are kept, and run; a reply with more calls repeats itself."""
MOST_ARGUMENTS = 1_000_000
"""Characters of the arguments of one call; the rest is not kept."""


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A model's reply, complete or partial, and the request.

    `status` is `done`, `stopped` (by the user), `cut` (the stream broke off, or ended without a
    finish reason), `failed` (there is no reply) or, while it streams, `open`. `cost` is in USD,
    None if unknown; `estimate` says how it was computed, and is empty if the API sent it. `request`
    is the body that was sent. `elapsed` and `first_token` are seconds since sending. `ended` is
    whether the server reported that the reply is complete; `last_chunk` is the last piece of text,
    `call_indexes` are the server's numbers of the tool calls. `tool_calls` have no result yet;
    calls of earlier rounds are in `rounds`, with their results. `parsed` is the object in a reply
    that must fit a schema, and `validation_error` is why it does not fit. `images` counts the
    images in the reply, which are not kept, and `choices` the choices that the server sent, of
    which only the first is kept. `reasoning_field` is as in a Round.
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
    ended: bool = False
    last_chunk: str = ""
    call_indexes: tuple[int, ...] = ()
    parsed: Any = None
    validation_error: str = ""
    images: int = 0
    choices: int = 1
    reasoning_field: str = ""

    def __repr__(self) -> str:
        return f"<Reply {self.status}, {len(self.text):,} characters>"

    def __str__(self) -> str:
        return self.clean_text

    @property
    def cost_is_estimate(self) -> bool:
        """Whether the cost was computed from tokens and a price."""
        return bool(self.estimate)

    @property
    def complete(self) -> bool:
        """Whether the server reported that the reply is complete."""
        return self.status == "done"

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

    def entropy(self, position: int) -> float | None:
        """Return the entropy before the token at a position, in bits, None where it is unknown.

        What was not returned counts as one token, so the true entropy may be higher.
        """
        return entropy(self.logprobs[position])

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
                f"{error} Its text is in .text: ask again, with --schema or -f json and --repair."
            )
            explained.reply = self
            raise explained from None


class ReplyFold:
    """Builds a reply from events; `snapshot` returns it so far.

    The time is linear in the events, if snapshots are made at a constant rate.
    """

    def __init__(self, reply: Reply = Reply()) -> None:
        self._reply = reply
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tokens: list[TokenProbability] = []
        self._changes: dict[str, Any] = {}
        self._calls = [
            _GrowingCall(call.id, call.name, call.arguments, call.extra)
            for call in reply.tool_calls
        ]
        self._indexes = list(reply.call_indexes)
        if len(self._indexes) > MOST_CALLS:
            self._calls.append(_GrowingCall())
        self._newest = {index: at for at, index in enumerate(self._indexes) if index >= 0}

    @property
    def began(self) -> bool:
        """Whether the reply has any text, reasoning or tool call."""
        reply = self._reply
        return bool(self._text or self._reasoning or self._calls or reply.text or reply.reasoning)

    @property
    def ended(self) -> bool:
        """Whether the server reported that the reply is complete."""
        return bool(self._changes.get("ended", self._reply.ended))

    def add(self, events: Iterable[ReplyEvent]) -> None:
        """Add events to the reply."""
        changes = self._changes
        for event in events:
            match event:
                case Text():
                    self._text.append(event.text)
                case Served():
                    changes["model"] = event.model or changes.get("model", self._reply.model)
                    changes["id"] = event.id or changes.get("id", self._reply.id)
                case Reasoning():
                    self._reasoning.append(event.text)
                    if event.source:
                        changes["reasoning_field"] = event.source
                case ToolCallDelta():
                    self._add_call_part(event)
                case Logprobs():
                    self._tokens.extend(event.tokens)
                case Used():
                    changes["usage"] = event.usage
                    changes["cost"] = event.usage.cost
                case Image():
                    changes["images"] = changes.get("images", self._reply.images) + 1
                case OtherChoice():
                    most = changes.get("choices", self._reply.choices)
                    changes["choices"] = max(most, event.index + 1)
                case _:  # Finished
                    reason = event.reason or changes.get("finish_reason", self._reply.finish_reason)
                    changes["finish_reason"] = reason
                    changes["ended"] = reason not in FAILURES

    def snapshot(self) -> Reply:
        """Return the reply so far."""
        changes, self._changes = self._changes, {}
        if self._text:
            changes["text"] = self._reply.text + "".join(self._text)
            changes["last_chunk"] = self._text[-1]
        if self._reasoning:
            changes["reasoning"] = self._reply.reasoning + "".join(self._reasoning)
        if self._tokens:
            changes["logprobs"] = self._reply.logprobs + tuple(self._tokens)
        if self._calls:
            changes["tool_calls"] = tuple(call.build() for call in self._calls[:MOST_CALLS])
            changes["call_indexes"] = tuple(self._indexes)
        self._text, self._reasoning, self._tokens = [], [], []
        self._reply = replace(self._reply, **changes)
        return self._reply

    def _add_call_part(self, part: ToolCallDelta) -> None:
        """Add a fragment to the newest call of its index, or as the next call.

        After MOST_CALLS calls, one more collects what is not kept.
        """
        at = self._newest.get(part.index, -1) if part.index >= 0 else -1
        known = at >= 0
        if not self._calls or _begins_call(part, self._calls[at], known=known):
            if len(self._calls) > MOST_CALLS:
                self._calls.pop()
                self._indexes.pop()
            at = len(self._calls)
            self._calls.append(_GrowingCall())
            self._indexes.append(part.index if at < MOST_CALLS else -1)
            if part.index >= 0:
                self._newest[part.index] = at
        self._calls[at].add(part)


class _GrowingCall:
    """A tool call that may not be complete yet."""

    def __init__(self, id: str = "", name: str = "", arguments: str = "", extra: str = "") -> None:
        self.id, self.name, self._extra = id, name, extra
        self._parts = [arguments]
        self._left = MOST_ARGUMENTS - len(arguments)

    def add(self, part: ToolCallDelta) -> None:
        """Add a fragment."""
        self.id, self.name = self.id or part.id, self.name or part.name
        self._extra = part.extra or self._extra
        if part.arguments and self._left:
            self._parts.append(part.arguments[: self._left])
            self._left -= len(self._parts[-1])

    def build(self) -> ToolCall:
        """Return the call so far."""
        self._parts = ["".join(self._parts)]
        return ToolCall(self.id, self.name, self._parts[0], self._extra)


def _begins_call(part: ToolCallDelta, call: _GrowingCall, *, known: bool) -> bool:
    """Return whether a fragment begins another call than this one.

    Indexes may start anywhere, be missing or be all the same, and later fragments may repeat the
    name and leave the id out; so with a `known` index only another name or id means another call.
    """
    if known:
        other_id = part.id and call.id and part.id != call.id
        return bool(part.name and call.name and (other_id or part.name != call.name))
    if part.index >= 0:
        return bool(part.name or part.id)
    return bool(part.name) and (not part.id or part.id != call.id)


def with_call_ids(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Return these calls with unique ids: some servers send no ids, or the same id for all."""
    sent = {call.id for call in calls}
    unused = (f"call_{n}" for n in count() if f"call_{n}" not in sent)
    by_id: dict[str, ToolCall] = {}
    for call in calls:
        id_ = call.id if call.id and call.id not in by_id else next(unused)
        by_id[id_] = replace(call, id=id_)
    return tuple(by_id.values())


@in_money_context
def add_request(before: Reply, reply: Reply) -> Reply:
    """Return the newest request's reply with the turn's earlier rounds, and with summed usage.

    A sum with an unknown part is unknown; a request that failed adds nothing.
    """
    if not before.rounds:
        return reply
    lost = reply.status == "failed" and reply.usage == UNCOUNTED and reply.cost is None
    usage, old = reply.usage, before.usage
    sums = {
        name: getattr(old, name) if lost else _add_known(getattr(old, name), getattr(usage, name))
        for name in (*COUNTS, "cost")
    }
    return replace(
        reply,
        rounds=before.rounds,
        usage=Usage(**sums),
        cost=before.cost if lost else _add_known(before.cost, reply.cost),
        estimate=before.estimate or reply.estimate,
        elapsed=None if reply.elapsed is None else (before.elapsed or 0.0) + reply.elapsed,
        first_token=before.first_token,
    )


def _add_known(one: Any, other: Any) -> Any:
    return None if one is None or other is None else one + other
