"""A text is there once, whether a server sends what is new or all of it each time."""

from __future__ import annotations

import itertools
import random

import pytest

from di_magics.core.request.deltas import MAX_HELD, Deltas

WORDS = ["The", " capital", " of", " France", " is", " Paris", "."]


def read(*pieces: str) -> list[str]:
    """Return what each piece added, and at last what was held back."""
    deltas = Deltas()
    return [*map(deltas.feed, pieces), deltas.close()]


def whole(*pieces: str) -> list[str]:
    """Return all of the text so far at each of these pieces."""
    return list(itertools.accumulate(pieces))


@pytest.mark.parametrize(
    "pieces",
    [
        WORDS,
        ["你好", "，", "世界", "！"],
        ["The", " capital", ""],
        ["The", " capital", " of", "", " France", ""],
    ],
)
def test_a_text_that_comes_whole_each_time_is_there_once(pieces: list[str]) -> None:
    """From the third piece on it is certain, and the text streams as it comes."""
    assert "".join(read(*whole(*pieces))) == "".join(pieces)


def test_pieces_stream_as_soon_as_it_is_certain() -> None:
    """One piece waits for the next."""
    assert read(*whole(*WORDS)) == ["The", "", " capital of", " France", " is", " Paris", ".", ""]


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        ["Hi"],
        ["\n", "\n", "Hi"],
        ["ha", "ha", "ha"],
        ["The", "The", "ory"],
        ["a", "aa", "aaa"],
        ["=", "==", "====", "="],
        ["-" * n for n in range(1, MAX_HELD + 5)],
        ["I", "It is", " so"],
        ["The", "Then"],
    ],
)
def test_pieces_that_only_resemble_such_a_text_are_all_there(pieces: list[str]) -> None:
    """What a model repeats is its own."""
    assert "".join(read(*pieces)) == "".join(pieces)


def test_a_shorter_text_than_before_adds_nothing_and_another_one_is_new() -> None:
    """A server may send an event again, or begin to send what is new."""
    pieces = [*whole(*WORDS[:5]), "The capital", "Lyon", "The", "Lyon"]
    assert "".join(read(*pieces)) == "The capital of France isLyonTheLyon"


@pytest.mark.parametrize("seed", range(10))
def test_both_ways_to_send_a_text_give_the_same(seed: int) -> None:
    """Whatever its words are."""
    draw = random.Random(seed)
    for _ in range(50):
        words = [draw.choice(("one", " two", "\n", "- ", "x")) for _ in range(draw.randint(3, 30))]
        pieces = ["Well, ", "so: ", *words]
        assert "".join(read(*pieces)) == "".join(read(*whole(*pieces))) == "".join(pieces)
