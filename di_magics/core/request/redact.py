"""The key of an endpoint is removed from everything that its server sends.

So are the values of its headers and its query. A server may repeat the key it was given: in an
error, a header, the reply. `Redactor.clean` removes it from a complete text, in the spellings of
servers and proxies: as it is, with JSON's or Python's escapes, percent-encoded, in base64, also
over several lines. It must run before any cut: half a key is not recognised.

A reply arrives in pieces, and a key may be split over them. `ReplyRedactor` holds events back
while the text so far ends in what may be the beginning of the key: at most a few dozen
characters, which are released as soon as they continue differently. Text, reasoning, the arguments
of a tool call and the tokens with probabilities are checked separately.

Short keys are not secret (`none`, `EMPTY`, `ollama`) and may be words: a key of fewer than 8
characters stays in replies and is removed elsewhere only as a separate word; a key of fewer than 4
characters stays everywhere.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.fold import (
    Finished,
    Logprobs,
    Reasoning,
    ReplyEvent,
    Served,
    Text,
    ToolCallDelta,
    ToReturn,
    Used,
)

REDACTED = "[key]"
SHORTEST, SHORTEST_IN_REPLY = 4, 8
_Span = tuple[int, int]

_HEX = "([0-9a-fA-F]{2})"
_BACKSLASH = re.compile(rf"\\(?:u00{_HEX}|x{_HEX}|([^\w\s]))")
_PERCENT = re.compile(f"%{_HEX}")
_LINE_BREAK = re.compile(r"(?:[\r\n]|\\[rn])[ \t]*")
_CUT_ESCAPE = re.compile(r"(?:\\(?:u[0-9a-fA-F]{0,3}|x[0-9a-fA-F]?)?|%[0-9a-fA-F]?)\Z")
_ESCAPED = re.compile(r"[\\%\r\n]")
LONGEST_SIGN = 12
"""The longest spelling of one character of the key, which may be escaped three times."""
LONGEST_ESCAPED = 1 << 20
"""In a longer text escapes are not decoded to find a key: a megabyte of them needs a second."""


class Secret(str):
    """A key or another secret text; its repr hides it, as in a traceback with local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[secret]'"

    def strip(self, chars: str | None = None, /) -> Secret:
        """Return it without blanks around it, as a secret."""
        return Secret(super().strip(chars))


def hide_text(value: Any) -> Any:
    """Return a text as a Secret, anything else as it is."""
    return Secret(value) if isinstance(value, str) else value


def hide_values(values: Any) -> Any:
    """Return a mapping with its texts as Secrets, anything else as it is."""
    if not isinstance(values, Mapping):
        return values
    return {name: hide_text(value) for name, value in values.items()}


class _Secret:
    """One key in all its spellings."""

    def __init__(self, key: str) -> None:
        self.in_replies = len(key) >= SHORTEST_IN_REPLY
        self.longest = LONGEST_SIGN * len(key)
        self.spellings = [key, *_base64_spellings(key)] if self.in_replies else [key]

    def spans(self, text: str, readings: Sequence[tuple[str, Sequence[int]]]) -> list[_Span]:
        """Return where it is in a text with these readings."""
        spans = [
            (starts[at], starts[at + len(spelling)])
            for plain, starts in readings
            for spelling in self.spellings
            for at in _find(spelling, plain)
        ]
        return spans if self.in_replies else [span for span in spans if _is_word(text, *span)]

    def open_end(self, text: str) -> int:
        """Return where it may begin at the end of the text, or the text's length."""
        cut = max(0, len(text) - self.longest)
        end = len(text)
        if not _ESCAPED.search(text):
            return min(cut + _open_end(spelling, text[cut:]) for spelling in self.spellings)
        for plain, starts in _readings(text[cut:]):
            half = _CUT_ESCAPE.search(plain, max(0, len(plain) - LONGEST_SIGN))
            for part in (plain, plain[: half.start()]) if half else (plain,):
                for spelling in self.spellings:
                    end = min(end, cut + starts[_open_end(spelling, part)])
        return end


class Redactor:
    """Removes keys, and whatever else is as secret, from texts."""

    def __init__(self, *keys: str | None) -> None:
        self._keys = [key for key in dict.fromkeys(keys) if key and len(key) >= SHORTEST]
        self._secrets = [_Secret(key) for key in self._keys]
        self._shortest = min(map(len, self._keys), default=0)
        # Only a text that this matches can hold a spelling of a key, or begin one at its end.
        begun = "|".join(
            rf"{re.escape(text[0])}(?:{re.escape(text[1])}|[\r\n]|\Z)"
            for secret in self._secrets
            for text in secret.spellings
        )
        self._hint = re.compile(rf"{begun}|[\\%]")

    def with_keys(self, keys: Iterable[str]) -> Redactor:
        """Return a redactor that removes these as well."""
        return Redactor(*self._keys, *keys)

    def in_replies(self) -> Redactor:
        """Return the redactor of replies, in which short keys stay."""
        return Redactor(*(key for key in self._keys if len(key) >= SHORTEST_IN_REPLY))

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def clean(self, text: str) -> str:
        """Return the text without the keys."""
        return _without(text, 0, self.spans(text))

    def spans(self, text: str) -> list[_Span]:
        """Return where keys are in the text, in order and without overlaps."""
        if not self._secrets or len(text) < self._shortest:
            return []
        readings = list(_readings(text))
        return _merge([span for secret in self._secrets for span in secret.spans(text, readings)])

    def may_hold_key(self, text: str) -> bool:
        """Return whether a key is in the text, or begins at its end."""
        return bool(self._hint.search(text)) and (
            self.open_end(text) < len(text) or bool(self.spans(text))
        )

    def open_end(self, text: str) -> int:
        """Return where a key may begin at the end of the text, or the text's length."""
        return min((secret.open_end(text) for secret in self._secrets), default=len(text))


def _readings(text: str) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield a text with 0 to 3 levels of backslashes and 0 to 2 of percents decoded, and in a line.

    The second value has the positions of its characters in the original text.
    """
    starts = range(len(text) + 1)
    if len(text) > LONGEST_ESCAPED:
        yield text, starts
        return
    for plain, places in _unescape(text, starts, _BACKSLASH, 3):
        yield from _unescape(plain, places, _PERCENT, 2)
    if _LINE_BREAK.search(text):
        yield _join_lines(text)


def _join_lines(text: str) -> tuple[str, Sequence[int]]:
    plain: list[str] = []
    places: list[int] = []
    at = 0
    for line_break in _LINE_BREAK.finditer(text):
        plain.append(text[at : line_break.start()])
        places.extend(range(at, line_break.start()))
        at = line_break.end()
    return "".join([*plain, text[at:]]), [*places, *range(at, len(text) + 1)]


def _unescape(
    text: str, starts: Sequence[int], escapes: re.Pattern[str], levels: int
) -> Iterator[tuple[str, Sequence[int]]]:
    yield text, starts
    for _ in range(levels):
        plain: list[str] = []
        places: list[int] = []
        at = 0
        for escape in escapes.finditer(text):
            plain.append(text[at : escape.start()])
            places.extend(starts[at : escape.start() + 1])
            *codes, sign = escape.groups() if escapes is _BACKSLASH else (escape[1], "")
            code = next(filter(None, codes), None)
            plain.append(chr(int(code, 16)) if code else sign)
            at = escape.end()
        if not at:
            return
        plain.append(text[at:])
        places.extend(starts[at:])
        text, starts = "".join(plain), places
        yield text, starts


def _find(part: str, text: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _open_end(part: str, text: str) -> int:
    """Return where the longest suffix of a text starts that is a prefix of `part`."""
    at = text.find(part[0], max(0, len(text) - len(part) + 1))
    while at >= 0:
        if part.startswith(text[at:]):
            return at
        at = text.find(part[0], at + 1)
    return len(text)


def _is_word(text: str, start: int, end: int) -> bool:
    around = text[max(0, start - 1) : start] + text[end : end + 1]
    return not any(sign.isalnum() or sign == "_" for sign in around)


def _merge(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _base64_spellings(key: str) -> list[str]:
    """Return the base64 of the key at each of the three offsets it can have in a longer text."""
    spellings: dict[str, None] = {}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + key.encode()).decode().rstrip("=")
        # The first characters depend on what is before the key, the last one on what is after it.
        inner = encoded[-(-before * 8 // 6) : None if (before + len(key)) % 3 == 0 else -1]
        spellings |= {inner: None, inner.replace("+", "-").replace("/", "_"): None}
    return list(spellings)


class ReplyRedactor:
    """Removes a key from the events of one reply, also where it is split over them."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor.in_replies()
        self._held: list[ReplyEvent] = []
        self._served: ReplyEvent | None = None

    def feed(self, events: list[ReplyEvent]) -> list[ReplyEvent]:
        """Return the events that can be passed on; the rest is kept for the next call."""
        if not self._redactor or not (self._held or self._are_suspect(events)):
            return events
        held = self._held + events
        self._clean(held)
        end = len(held)
        for parts in _streams(held).values():
            text = "".join(part for _, part in parts)
            open_end = self._redactor.open_end(text)
            if open_end < len(text):
                end = min(end, _part_at(parts, open_end))
        if any(isinstance(event, Finished) for event in held):
            end = len(held)
        self._held = held[end:]
        return held[:end]

    def _are_suspect(self, events: list[ReplyEvent]) -> bool:
        """Return whether any of them may hold a part of the key: a quick check, as most do not."""
        may_hold_key = self._redactor.may_hold_key
        for event in events:
            kind = type(event)
            if kind is Text or kind is Reasoning:
                if may_hold_key(event.text):  # type: ignore[union-attr]
                    return True
            elif kind is ToReturn:
                if may_hold_key(event.value):  # type: ignore[union-attr]
                    return True
            elif kind is Served:
                if event != self._served:
                    return True
            elif kind is Logprobs:
                if any(map(may_hold_key, _texts(event.tokens))):  # type: ignore[union-attr]
                    return True
            elif kind is not Used:
                return True
        return False

    def close(self) -> list[ReplyEvent]:
        """Return what was held back."""
        held, self._held = self._held, []
        return held

    def _clean(self, held: list[ReplyEvent]) -> None:
        """Remove the key from these events.

        The probabilities of its tokens go, too, and what would be sent back and has its text.
        """
        redactor, removed = self._redactor, False
        for parts in _streams(held).values():
            spans = redactor.spans("".join(part for _, part in parts))
            start = 0
            for index, part in parts:
                text = _without(part, start, spans)
                start += len(part)
                if text != part:
                    removed = True
                    held[index] = _with_text(held[index], text)
        for index, event in enumerate(held):
            match event:
                case Served(model, id, tier):
                    texts = (text and redactor.clean(text) for text in (model, id, tier))
                    clean = Served(*texts)
                    if clean == event:
                        self._served = event
                    held[index] = clean
                case ToolCallDelta(_, id, name, _, extra):
                    clean_id, clean_extra = redactor.clean(id), redactor.clean(extra)
                    name = redactor.clean(name)
                    held[index] = replace(event, id=clean_id, name=name, extra=clean_extra)
                case ToReturn(_, value) if redactor.spans(value):
                    removed = True
                case Finished(reason) if reason:
                    reason = redactor.clean(reason)
                    if reason.endswith("…"):  # it was cut when it was read, perhaps within a key
                        reason = reason[: redactor.open_end(reason[:-1])] + "…"
                    held[index] = replace(event, reason=reason)
        if removed or any(map(self._alternatives_hold_key, held)):
            held[:] = [event for event in held if not isinstance(event, Logprobs | ToReturn)]

    def _alternatives_hold_key(self, event: ReplyEvent) -> bool:
        """Return whether the alternatives of a token spell the key, as text or as bytes."""
        return isinstance(event, Logprobs) and any(
            self._redactor.may_hold_key(text) and self._redactor.spans(text)
            for token in event.tokens
            for text in (_join(token.top), _join_bytes(token.top))
        )


def _texts(tokens: Sequence[TokenProbability]) -> Iterator[str]:
    """Yield all texts of these tokens and of their alternatives."""
    yield _join(tokens)
    yield _join_bytes(tokens)
    for token in tokens:
        if token.top:
            yield _join(token.top)
            yield _join_bytes(token.top)


def _join(tokens: Iterable[TokenProbability]) -> str:
    return "".join(token.token for token in tokens)


def _join_bytes(tokens: Iterable[TokenProbability]) -> str:
    return b"".join(token.data for token in tokens).decode("utf-8", "replace")


def _streams(events: Iterable[ReplyEvent]) -> dict[str, list[tuple[int, str]]]:
    """Return the pieces of every growing text, with the indexes of their events."""
    streams: dict[str, list[tuple[int, str]]] = {}
    for index, event in enumerate(events):
        match event:
            case Text(text) | Reasoning(text):
                streams.setdefault("text" if isinstance(event, Text) else "reasoning", []).append(
                    (index, text)
                )
            case ToolCallDelta(call, _, _, arguments):
                streams.setdefault(f"call {call}", []).append((index, arguments))
            case Logprobs(tokens):
                streams.setdefault("tokens", []).append((index, _join(tokens)))
                streams.setdefault("bytes", []).append((index, _join_bytes(tokens)))
    return streams


def _part_at(parts: list[tuple[int, str]], position: int) -> int:
    """Return the index of the event in which a position of the joined text lies."""
    end = 0
    return next(index for index, part in parts if (end := end + len(part)) > position)


def _without(part: str, start: int, spans: list[tuple[int, int]]) -> str:
    """Return a piece of a text that begins at `start`, with a mark in place of every span."""
    kept, at = "", start
    end = start + len(part)
    for first, last in spans:
        if last <= start or first >= end:
            continue
        kept += part[at - start : max(first, start) - start]
        kept += REDACTED if first >= start else ""
        at = min(last, end)
    return kept + part[at - start :]


def _with_text(event: ReplyEvent, text: str) -> ReplyEvent:
    match event:
        case ToolCallDelta():
            return replace(event, arguments=text)
        case Text():
            return Text(text)
        case Reasoning():
            return Reasoning(text)
    return event
