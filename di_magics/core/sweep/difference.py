"""Differences of texts: word by word between two, and the first difference of several."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

LONGEST = 4000
"""Words that are compared, at most: the time is quadratic in them. In longer texts only the common
beginning and end are marked."""
MOST_PAIRS = 200_000
"""Pairs of equal words, at most. Prose of 4,000 words has fewer; a reply that repeats itself has
more, and would need a minute."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a comparison: in both texts, only in the old one, or only in the new one."""

    kind: Literal["same", "gone", "new"]
    text: str


def compare_texts(old: str, new: str) -> list[Part]:
    """Return the parts: `same` and `gone` make up the old text, `same` and `new` the new one."""
    first, second = (re.findall(r"\s+|\w+|[^\w\s]", text) for text in (old, new))
    if max(len(first), len(second)) > LONGEST or _pairs(first, second) > MOST_PAIRS:
        return [part for part in _ends(old, new) if part.text]
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    parts: list[Part] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            parts.append(Part("same", "".join(first[a:b])))
        else:
            parts += [Part("gone", "".join(first[a:b])), Part("new", "".join(second[c:d]))]
    return [part for part in parts if part.text]


def _pairs(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the number of pairs of equal words, one from each; spaces do not count."""
    one, other = Counter(first), Counter(second)
    return sum(count * other[word] for word, count in one.items() if not word.isspace())


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
