"""Where texts differ."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from difflib import Match, SequenceMatcher
from math import isqrt
from typing import Any

import pytest

from di_magics.core.sweep.difference import (
    MAX_STEPS,
    Part,
    compare_texts,
    count_texts,
    first_difference,
)


def test_words_are_compared() -> None:
    """What is only in one of them stands apart."""
    assert compare_texts("The old cat.", "The new cat!") == [
        Part("same", "The "),
        Part("gone", "old"),
        Part("new", "new"),
        Part("same", " cat"),
        Part("gone", "."),
        Part("new", "!"),
    ]
    assert compare_texts("", "") == []


@pytest.mark.parametrize("size", [5, 60])
def test_the_parts_make_up_both_texts(size: int) -> None:
    """Whatever the texts are, and however long."""
    dice = random.Random(size)
    for _ in range(20):
        old, new = (
            "".join(dice.choices(["a", "b", " ", "\n", "ä", "."], k=size)) for _ in range(2)
        )
        parts = compare_texts(old, new)
        assert "".join(part.text for part in parts if part.kind != "new") == old
        assert "".join(part.text for part in parts if part.kind != "gone") == new


def test_of_long_texts_the_ends_are_compared() -> None:
    """Word by word would take minutes."""
    end = "z " * isqrt(MAX_STEPS)
    assert compare_texts(f"The old {end}", f"The new {end}") == [
        Part("same", "The "),
        Part("gone", "old"),
        Part("new", "new"),
        Part("same", f" {end}"),
    ]
    assert compare_texts(end, end) == [Part("same", end)]


def test_of_texts_that_repeat_themselves_the_ends_are_compared() -> None:
    """Each of their words pairs with hundreds of the other's."""
    again = "one two three " * 400
    assert compare_texts(f"A {again}", f"A four {again}") == [
        Part("same", "A "),
        Part("new", "four "),
        Part("same", again),
    ]


SHAPES: dict[str, Callable[[int], tuple[list[str], list[str]]]] = {
    "few words": lambda n: (words("abcdefgh", n, 1), words("abcdefgh", n, 2)),
    "two words": lambda n: (words("ab", n, 1), words("ab", n, 2)),
    "blanks only": lambda n: (words([" ", "\n"], n, 1), words([" ", "\n"], n, 2)),
    "equal words": lambda n: (["a"] * n, ["a"] * (n - 1)),
    "backwards": lambda n: (numbers := [str(i) for i in range(n)], numbers[::-1]),
    "every other word": lambda n: (["x", *map(str, range(n))], ["x"] * n),
    "signs": lambda n: (words("ab!?", n, 1), words("!?a\n", n, 2)),
}


def words(letters: Sequence[str], count: int, seed: int) -> list[str]:
    """Return random words."""
    return random.Random(seed).choices(letters, k=count)


@pytest.mark.no_cover
@pytest.mark.parametrize("size", [300, 3000, 30_000])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_comparison_of_any_size_takes_few_steps(
    monkeypatch: pytest.MonkeyPatch, shape: str, size: int
) -> None:
    """Two replies of 3 kB needed 99 seconds. The blanks count as well."""
    looked_at = 0
    find = SequenceMatcher.find_longest_match

    def count(matcher: Any, alo: int, ahi: int, blo: int, bhi: int) -> Match:
        nonlocal looked_at
        looked_at += sum(1 + len(matcher.b2j.get(word, ())) for word in matcher.a[alo:ahi])
        return find(matcher, alo, ahi, blo, bhi)

    monkeypatch.setattr(SequenceMatcher, "find_longest_match", count)
    first, second = SHAPES[shape](size)
    old, new = " ".join(first), " ".join(second)
    parts = compare_texts(old, new)
    assert looked_at <= MAX_STEPS
    assert "".join(part.text for part in parts if part.kind != "new") == old
    assert "".join(part.text for part in parts if part.kind != "gone") == new


@pytest.mark.parametrize(
    ("texts", "at"),
    [
        (["one two", "one two"], None),
        (["one two", "one tree"], 4),
        (["one two", "one"], 0),
        (["one", "one two"], 0),
        (["a", "b"], 0),
        (["only"], None),
    ],
)
def test_the_first_word_that_differs_is_found(texts: list[str], at: int | None) -> None:
    """At the beginning of the word in which they do."""
    assert first_difference(texts) == at


def test_different_texts_are_counted() -> None:
    """The most frequent first."""
    assert count_texts(["a", "b", "b"]) == [("b", 2), ("a", 1)]
