"""Where texts differ."""

from __future__ import annotations

import random

import pytest

from di_magics.core.sweep.difference import (
    LONGEST,
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
    end = "z " * LONGEST
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
