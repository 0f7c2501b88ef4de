"""Loops are noticed, and what only looks like one is not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from growth import growth

from di_magics.core.reply.repetition import (
    LOOKED_AT,
    MIN_REPEATED_CHARS,
    RepetitionDetector,
    ends_in_repetition,
)

SAMPLE = (Path(__file__).parents[2] / "bench" / "sample.md").read_text("utf-8")


@pytest.mark.parametrize("length", [1, 2, 7, 50, 100, 333, 600])
def test_a_passage_again_and_again_is_a_loop(length: int) -> None:
    """Wherever it is cut, and whatever came before, five times and 500 characters on."""
    draw = random.Random(length)
    passage = "".join(draw.choices("abcdefgh \n", k=length - 1)) + "!"
    times = max(5, -(-MIN_REPEATED_CHARS // length))
    for cut in {0, 1, length // 2}:
        text = SAMPLE + passage * (times + 1)
        assert ends_in_repetition(text[: len(text) - cut])
    assert not ends_in_repetition(SAMPLE + passage * (times - 2))


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", SAMPLE, "ha " * 100, "| --- " * 60, "=" * 400),
        "\n".join(f"{n}. item" for n in range(300)),
        "\n".join(f"| {n} | {n * n} |" for n in range(300)),
        "again " * 200 + "and that was it.",
    ],
)
def test_what_looks_like_a_loop_goes_on(text: str) -> None:
    """A rule of a table, a numbered list, a loop that has ended."""
    assert not ends_in_repetition(text)


def test_it_is_noticed_soon_while_the_text_grows() -> None:
    """Whatever the parts that it comes in."""
    text = SAMPLE[:1000] + "I am not sure. " * 200
    for size in (1, 7, 300):
        detector, read = RepetitionDetector(), 0
        while not detector.is_repeating:
            detector.feed(text[read : read + size])
            read += size
        assert 1000 + MIN_REPEATED_CHARS <= read <= 1000 + MIN_REPEATED_CHARS + 600


def test_repetition_is_found_in_linear_time() -> None:
    """The time is linear in what is looked at, and the rest is not."""
    for unit in ("a", "ab", "aab", "abacabad", SAMPLE):
        for size in (LOOKED_AT // 2, 50 * LOOKED_AT):

            def make(n: int, unit: str = unit) -> str:
                return (unit * n)[:n]

            assert growth(ends_in_repetition, size, make) < 3
