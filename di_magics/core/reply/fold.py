"""The events that a reply is built from: one pure fold, the same for every server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.reply import Reply, ToolCall, Usage
from di_magics.core.reply.returned import MAX_RETURNED_CHARS
from di_magics.core.reply.sources import Source, add_sources
from di_magics.core.visible import one_line

# Finish reasons that mean that the reply is not complete.
FAILURES = frozenset({"error", "network_error", "abort"})


@dataclass(frozen=True, slots=True)
class Served:
    """Which model answers, the server's id of the answer, and the tier that it is charged at."""

    model: str | None
    id: str | None
    tier: str | None = None


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
class ToReturn:
    """A piece of what the server wants back with the message: a field's name, and JSON."""

    name: str
    value: str


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
class Cited:
    """Web pages that the reply names. If `whole`, they are the complete list so far."""

    sources: tuple[Source, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class OtherChoice:
    """Other choices than the first, which are not part of the reply; `index` is the highest."""

    index: int


ReplyEvent = (
    Served
    | Text
    | Reasoning
    | ToolCallDelta
    | ToReturn
    | Logprobs
    | Used
    | Finished
    | Image
    | Cited
    | OtherChoice
)

MAX_CALLS = 64
"""The calls of a reply that are kept, and run; a reply with more calls repeats itself."""
MAX_ARGUMENT_CHARS = 1_000_000
"""Characters of the arguments of one call; the rest is not kept."""
MAX_NAME_CHARS = 1000


class ReplyFold:
    """Builds a reply from events; `snapshot` returns it so far.

    It begins with a text, its tokens and a reasoning if it continues a reply. The time is linear in
    the events, if snapshots are made at a constant rate.
    """

    def __init__(
        self, text: str = "", tokens: tuple[TokenProbability, ...] = (), reasoning: str = ""
    ) -> None:
        self.ended = False
        """Whether the server reported that the reply is complete."""
        self._reply = Reply(text=text, logprobs=tokens, reasoning=reasoning)
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tokens: list[TokenProbability] = []
        self._returned: list[tuple[str, str]] = []
        self._returnable = MAX_RETURNED_CHARS + 1
        self._changes: dict[str, Any] = {}
        self._calls: list[_GrowingCall] = []
        self._newest: dict[int, int] = {}
        self._by_id: dict[str, int] = {}

    @property
    def began(self) -> bool:
        """Whether the reply has any text, reasoning or tool call."""
        reply = self._reply
        return bool(self._text or self._reasoning or self._calls or reply.text or reply.reasoning)

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
                    if event.tier:
                        changes["service_tier"] = one_line(event.tier, 40)
                case Reasoning():
                    self._reasoning.append(event.text)
                    if event.source:
                        changes["reasoning_field"] = event.source
                case ToolCallDelta():
                    self._add_call_part(event)
                case ToReturn():
                    if self._returnable > 0:  # one that is over the limit shows that it is
                        self._returned.append((event.name, event.value))
                        self._returnable -= len(event.value)
                case Logprobs():
                    self._tokens.extend(event.tokens)
                case Used():
                    changes["usage"] = event.usage
                    changes["cost"] = event.usage.cost
                case Image():
                    changes["images"] = changes.get("images", self._reply.images) + 1
                case Cited():
                    known = changes.get("sources", self._reply.sources)
                    sources = event.sources if event.whole else add_sources(known, event.sources)
                    changes["sources"] = sources
                case OtherChoice():
                    most = changes.get("choices", self._reply.choices)
                    changes["choices"] = max(most, event.index + 1)
                case _:  # Finished
                    reason = event.reason or changes.get("finish_reason", self._reply.finish_reason)
                    changes["finish_reason"] = reason
                    self.ended = reason not in FAILURES

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
        if self._returned:
            changes["returned"] = self._reply.returned + tuple(self._returned)
        if self._calls:
            changes["tool_calls"] = tuple(call.build() for call in self._calls[:MAX_CALLS])
        self._text, self._reasoning, self._tokens, self._returned = [], [], [], []
        self._reply = replace(self._reply, **changes)
        return self._reply

    def _add_call_part(self, part: ToolCallDelta) -> None:
        """Add a fragment to the call of its id, else the newest of its index, or as the next call.

        After MAX_CALLS calls, one more collects what is not kept.
        """
        at = self._newest.get(part.index, -1) if part.index >= 0 else -1
        known = at >= 0
        if self._calls and not part.name and part.id != self._calls[at].id:
            at = self._by_id.get(part.id, at)
        if not self._calls or _begins_call(part, self._calls[at], known=known):
            if len(self._calls) > MAX_CALLS:
                self._calls.pop()
            at = len(self._calls)
            self._calls.append(_GrowingCall())
            if part.index >= 0:
                self._newest[part.index] = at
        self._calls[at].add(part)
        if part.id:
            self._by_id[part.id] = at


class _GrowingCall:
    """A tool call that may not be complete yet."""

    def __init__(self) -> None:
        self.id = self.name = self._extra = ""
        self._parts: list[str] = []
        self._left = MAX_ARGUMENT_CHARS

    @property
    def has_whole_name(self) -> bool:
        """Whether the name is complete: arguments have come, or another name is another call."""
        return bool(self.name) and (not self.id or self._left < MAX_ARGUMENT_CHARS)

    def add(self, part: ToolCallDelta) -> None:
        """Add a fragment."""
        self.id = self.id or part.id
        if not self.has_whole_name:
            before = "" if part.name.startswith(self.name) else self.name
            self.name = (before + part.name)[:MAX_NAME_CHARS]
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
    name, continue it and leave the id out; so with a `known` index only another id, or another name
    after a whole one, means another call.
    """
    if known:
        other_id = part.id and call.id and part.id != call.id
        other_name = call.has_whole_name and part.name != call.name
        return bool(part.name and call.name and (other_id or other_name))
    if part.index >= 0:
        return bool(part.name or part.id)
    return bool(part.name) and (not part.id or part.id != call.id)
