"""The key of an endpoint is removed from everything that its server sends.

So are the values of its headers and its query. A server may repeat the key it was given: in an
error, a header, the reply. `Redactor.clean` removes it from a complete text, in the spellings of
servers and proxies: as it is, with JSON's or Python's escapes, with HTML's entities,
percent-encoded, in hexadecimal or base64, also over several lines, and with characters in it that
are hidden or removed later. It must run after what is decoded and before any cut: half a key is not
recognised.

A reply arrives in pieces, and a key may be split over them. `ReplyRedactor` holds an event back
while its text ends in what may be the beginning of the key: about as many characters as the key
has, or up to 12 times as many if they are escaped. They are released as soon as they continue
differently. Text, reasoning, the arguments of each tool call and the tokens with probabilities are
separate texts: what one of them holds back does not delay the others, because nothing depends on
the order between them. Fields that are returned to the server (ToReturn) wait as long as any text
holds something back. If a key is found they are dropped, because they repeat the text in another
form.

Short keys are not secret (`none`, `EMPTY`, `ollama`) and may be words: a key of fewer than 8
characters stays in replies and is removed elsewhere only as a separate word; a key of fewer than 4
characters stays everywhere.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from operator import itemgetter
from typing import Any, NoReturn, SupportsIndex

from di_magics.core.errors import ParamError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.fold import (
    Cited,
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
from di_magics.core.reply.sources import Source

REDACTED = "[key]"
MIN_KEY_CHARS, MIN_KEY_CHARS_IN_REPLY = 4, 8
_Span = tuple[int, int]

_HEX = "([0-9a-fA-F]{2})"
_BACKSLASH = re.compile(rf"\\(?:u00{_HEX}|x{_HEX}|([^\w\s]))")
_PERCENT = re.compile(f"%{_HEX}")
_LINE_BREAK = re.compile(r"(?:[\r\n]|\\[rn])[ \t]*")
# What is removed from a reply before it is shown, or is not seen; a terminal's sequence may be cut.
_HIDDEN = (
    r"(?:\x1b\[[0-?]{0,99}[ -/]{0,99}(?:[@-~]|\Z)|[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f"
    r"\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffd\U000e0000-\U000e0fff])"
)
_NOT_SEEN = re.compile(_HIDDEN)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")
_CUT_ESCAPE = re.compile(
    r"(?:\\(?:u[0-9a-fA-F]{0,3}|x[0-9a-fA-F]?)?|%[0-9a-fA-F]?|&#?\w{0,8})\Z", re.ASCII
)
_ESCAPED = re.compile(rf"[\\%&\r\n]|{_HIDDEN}")
MAX_SPELLING_CHARS = 12
"""The longest spelling of one character of the key, which may be escaped three times."""
MAX_ESCAPED_CHARS = 1 << 20
"""In a longer text escapes are not decoded to find a key: a megabyte of them needs a second."""


class Secret(str):
    """A key or another secret text; its repr hides it, as in a traceback with local variables.

    It cannot be pickled, so that no program writes it to a file with the object that holds it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[secret]'"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise ParamError(
            "A key cannot be pickled, because it could end up in a file. Make the endpoint again "
            "where you need it."
        )

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

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


class _KeySpellings:
    """One key in all its spellings."""

    def __init__(self, key: str) -> None:
        self.in_replies = len(key) >= MIN_KEY_CHARS_IN_REPLY
        self.longest = MAX_SPELLING_CHARS * len(key)
        self.spellings = [key]
        if self.in_replies:
            digits = key.encode().hex()
            self.spellings += [digits, digits.upper(), *_base64_spellings(key)]

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
            half = _CUT_ESCAPE.search(plain, max(0, len(plain) - MAX_SPELLING_CHARS))
            for part in (plain, plain[: half.start()]) if half else (plain,):
                for spelling in self.spellings:
                    end = min(end, cut + starts[_open_end(spelling, part)])
        return end


class Redactor:
    """Removes keys, and whatever else is as secret, from texts."""

    def __init__(self, *keys: str | None) -> None:
        self._keys = [key for key in dict.fromkeys(keys) if key and len(key) >= MIN_KEY_CHARS]
        self._secrets = [_KeySpellings(key) for key in self._keys]
        self._shortest = min(map(len, self._keys), default=0)
        # Only a text that this matches can hold a spelling of a key, or begin one at its end.
        begun = "|".join(
            rf"{re.escape(text[0])}(?:{re.escape(text[1])}|[\r\n]|{_HIDDEN}|\Z)"
            for secret in self._secrets
            for text in secret.spellings
        )
        self._hint = re.compile(rf"{begun}|[\\%&]")

    def with_keys(self, keys: Iterable[str]) -> Redactor:
        """Return a redactor that removes these as well."""
        return Redactor(*self._keys, *keys)

    def in_replies(self) -> Redactor:
        """Return the redactor of replies, in which short keys stay."""
        return Redactor(*(key for key in self._keys if len(key) >= MIN_KEY_CHARS_IN_REPLY))

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def clean(self, text: str) -> str:
        """Return the text without the keys."""
        return _without(text, 0, self.spans(text))

    def clean_values(self, value: object) -> object:
        """Return parsed JSON without the keys in its texts and names."""
        if isinstance(value, str):
            return self.clean(value) if self._hint.search(value) else value
        if isinstance(value, list):
            return [self.clean_values(item) for item in value]
        if isinstance(value, dict):
            return {str(self.clean_values(n)): self.clean_values(v) for n, v in value.items()}
        return value

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
    """Yield a text with 0 to 3 levels of backslashes and 0 to 2 of percents decoded.

    Also with its entities decoded, without line breaks, and without hidden characters. The second
    value has the positions of its characters in the original text.
    """
    starts = range(len(text) + 1)
    if len(text) > MAX_ESCAPED_CHARS:
        yield text, starts
        return
    for plain, places in _unescape(text, starts, _BACKSLASH, 3):
        yield from _unescape(plain, places, _PERCENT, 2)
    for pattern in (_LINE_BREAK, _NOT_SEEN):
        if pattern.search(text):
            yield _replace(text, pattern, lambda match: "")
    if _ENTITY.search(text):
        yield _replace(text, _ENTITY, lambda match: html.unescape(match[0])[:1])


def _replace(
    text: str, pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str]
) -> tuple[str, Sequence[int]]:
    """Return a reading in which what the pattern matches is replaced by at most one character."""
    plain: list[str] = []
    places: list[int] = []
    at = 0
    for match in pattern.finditer(text):
        sign = replacement(match)
        plain += [text[at : match.start()], sign]
        places.extend(range(at, match.start() + len(sign)))
        at = match.end()
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
        self._held: dict[str, list[tuple[int, ReplyEvent]]] = {}
        self._to_return: list[tuple[int, ReplyEvent]] = []
        self._count = 0
        self._removed = False
        self._served: ReplyEvent | None = None

    def feed(self, events: list[ReplyEvent]) -> list[ReplyEvent]:
        """Return the events that can be passed on; the rest is kept for the next call."""
        is_open = self._held or self._to_return
        if not self._redactor or not (is_open or self._are_suspect(events)):
            return events
        self._removed = False
        passed: list[tuple[int, ReplyEvent]] = []
        grown: dict[str, None] = {}
        for event in events:
            self._count += 1
            if isinstance(event, ToolCallDelta):
                event = self._clean_call(event)
            if isinstance(event, ToReturn):
                self._removed |= bool(self._redactor.spans(event.value))
                self._to_return.append((self._count, event))
            elif name := _stream(event):
                self._held.setdefault(name, []).append((self._count, event))
                grown[name] = None
            else:
                passed += [(self._count, clean) for clean in self._clean_whole(event)]
        is_end = any(isinstance(event, Finished) for event in events)
        for name in list(self._held if is_end else grown):
            passed += self._release(name, whole=is_end)
        if self._removed:
            self._to_return.clear()
        if is_end or not self._held:
            passed += self._to_return
            self._to_return.clear()
        return [event for _, event in sorted(passed, key=itemgetter(0))]

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
        items = [item for held in (*self._held.values(), self._to_return) for item in held]
        self._held.clear()
        self._to_return.clear()
        return [event for _, event in sorted(items, key=itemgetter(0))]

    def _release(self, name: str, *, whole: bool) -> list[tuple[int, ReplyEvent]]:
        """Return what a stream can pass on, without the key; all of it if it is `whole`."""
        held = self._held.pop(name)
        held = self._clean_tokens(held) if name == TOKENS else self._clean_texts(held)
        end = len(held) if whole else min(map(self._open_at, _readings_of(held)), default=0)
        if held[end:]:
            self._held[name] = held[end:]
        return held[:end]

    def _open_at(self, parts: Sequence[str]) -> int:
        """Return the index of the part in which a key may begin, or the number of parts."""
        text = "".join(parts)
        open_end = self._redactor.open_end(text)
        ends = accumulate(map(len, parts))
        return next((at for at, end in enumerate(ends) if end > open_end), len(parts))

    def _clean_texts(self, held: list[tuple[int, ReplyEvent]]) -> list[tuple[int, ReplyEvent]]:
        """Remove the key from the pieces of a text."""
        [parts] = _readings_of(held)
        spans = self._redactor.spans("".join(parts))
        cleaned: list[tuple[int, ReplyEvent]] = []
        start = 0
        for (number, event), part in zip(held, parts, strict=True):
            text = _without(part, start, spans)
            start += len(part)
            if text != part:
                self._removed = True
                changes: dict[str, Any] = {FIELDS[type(event)]: text}
                event = replace(event, **changes)
            cleaned.append((number, event))
        return cleaned

    def _clean_tokens(self, held: list[tuple[int, ReplyEvent]]) -> list[tuple[int, ReplyEvent]]:
        """Drop the probabilities of the tokens that spell the key, as text or as bytes."""
        dropped: set[int] = set()
        for parts in _readings_of(held):
            spans = self._redactor.spans("".join(parts))
            start = 0
            for at, part in enumerate(parts):
                if _without(part, start, spans) != part:
                    dropped.add(at)
                start += len(part)
        return [
            item
            for at, item in enumerate(held)
            if at not in dropped and not self._alternatives_hold_key(item[1])
        ]

    def _clean_whole(self, event: ReplyEvent) -> Iterator[ReplyEvent]:
        """Yield an event that is not a piece of a longer text, without the key."""
        clean = self._redactor.clean
        match event:
            case Served(model, id, tier):
                cleaned = Served(*(text and clean(text) for text in (model, id, tier)))
                if cleaned == event:
                    self._served = event
                yield cleaned
            case Cited(sources):
                named = tuple(Source(*map(clean, source)) for source in sources)
                yield replace(event, sources=named)
            case Finished(reason) if reason:
                reason = clean(reason)
                if reason.endswith("…"):  # it was cut when it was read, perhaps within a key
                    reason = reason[: self._redactor.open_end(reason[:-1])] + "…"
                yield replace(event, reason=reason)
            case _:
                yield event

    def _clean_call(self, event: ToolCallDelta) -> ToolCallDelta:
        """Return an event without the key in what is not a piece of its arguments."""
        clean = self._redactor.clean
        id_, name, extra = clean(event.id), clean(event.name), clean(event.extra)
        return replace(event, id=id_, name=name, extra=extra)

    def _alternatives_hold_key(self, event: ReplyEvent) -> bool:
        """Return whether the alternatives of a token spell the key, as text or as bytes."""
        return isinstance(event, Logprobs) and any(
            self._redactor.may_hold_key(text) and self._redactor.spans(text)
            for token in event.tokens
            for text in (_join(token.top), _join_bytes(token.top))
        )


TOKENS = "tokens"
FIELDS = {Text: "text", Reasoning: "text", ToolCallDelta: "arguments"}
"""The field of an event that is a piece of a longer text."""


def _stream(event: ReplyEvent) -> str:
    """Return the name of the growing text that an event is a piece of, "" for another event."""
    match event:
        case Text():
            return "text"
        case Reasoning():
            return "reasoning"
        case ToolCallDelta(call):
            return f"call {call}"
        case Logprobs():
            return TOKENS
    return ""


def _readings_of(held: Sequence[tuple[int, ReplyEvent]]) -> list[list[str]]:
    """Return the pieces of text in the events of a stream; tokens have two, text and bytes."""
    events = [event for _, event in held]
    tokens = [event.tokens for event in events if isinstance(event, Logprobs)]
    if tokens:
        return [list(map(_join, tokens)), list(map(_join_bytes, tokens))]
    return [[_text_of(event) for event in events]]


def _text_of(event: ReplyEvent) -> str:
    text: str = getattr(event, FIELDS[type(event)])
    return text


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
