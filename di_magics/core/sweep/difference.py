"""Differences of texts: word by word between two, and the first difference of several."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from itertools import accumulate
from typing import Literal

MAX_STEPS = 10_000_000
"""Pairs of equal words that are looked at, at most, which takes about half a second. Prose of 4,000
words needs fewer. Of longer texts, and of those that repeat themselves, only the common beginning
and end are marked."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a comparison: in both texts, only in the old one, or only in the new one."""

    kind: Literal["same", "gone", "new"]
    text: str


class _TooLongError(Exception):
    """The comparison needs too many steps."""


class _Matcher(SequenceMatcher[str]):
    """Counts steps: for each word of the first text difflib looks at all equal ones of the second.

    Blanks do not count alone: there are so many that they would use up all steps.
    """

    def __init__(self, first: Sequence[str], second: Sequence[str]) -> None:
        super().__init__(str.isspace, first, second, autojunk=False)
        counts = Counter(word for word in second if not word.isspace())
        self._pairs = [0, *accumulate(counts[word] + 1 for word in first)]
        self._steps = len(second)

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> Match:
        end = len(self._pairs) - 1 if ahi is None else ahi
        self._steps += self._pairs[end] - self._pairs[alo]
        if self._steps > MAX_STEPS:
            raise _TooLongError
        return super().find_longest_match(alo, ahi, blo, bhi)


def compare_texts(old: str, new: str) -> list[Part]:
    """Return the parts: `same` and `gone` make up the old text, `same` and `new` the new one."""
    first, second = (re.findall(r"\s+|\w+|[^\w\s]", text) for text in (old, new))
    parts: list[Part] = []
    try:
        for kind, a, b, c, d in _Matcher(first, second).get_opcodes():
            if kind == "equal":
                parts.append(Part("same", "".join(first[a:b])))
            else:
                parts += [Part("gone", "".join(first[a:b])), Part("new", "".join(second[c:d]))]
    except _TooLongError:
        parts = [*_ends(old, new)]
    return [part for part in parts if part.text]


def _ends(old: str, new: str) -> Iterator[Part]:
    begin = _common([old, new])
    end = _common([old[begin:][::-1], new[begin:][::-1]])
    yield Part("same", old[:begin])
    yield Part("gone", old[begin : len(old) - end])
    yield Part("new", new[begin : len(new) - end])
    yield Part("same", old[len(old) - end :])


def first_difference(texts: Sequence[str]) -> int | None:
    """Return where the first word that differs begins; None for equal texts."""
    at = _common(texts)
    if all(len(text) == at for text in texts):
        return None
    longest = max(texts, key=len)
    while at > 0 and not longest[at - 1].isspace():
        at -= 1
    return at


def _common(texts: Sequence[str]) -> int:
    """Return the length of the common beginning of all texts."""
    columns = enumerate(zip(*texts, strict=False))
    differs = (at for at, characters in columns if len(set(characters)) > 1)
    return next(differs, min(map(len, texts), default=0))


def count_texts(texts: Sequence[str]) -> list[tuple[str, int]]:
    """Return the different texts and how often each occurs, the most frequent first."""
    return Counter(texts).most_common()
