"""Numbers about replies, and how they spread over a parameter."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest
from growth import cpu_seconds

from di_magics.core.errors import ParamError
from di_magics.core.reply.reply import Reply
from di_magics.core.sweep.measures import (
    MAX_WORDS,
    Statistics,
    distinct_share,
    diversity,
    group_statistics,
    measure_reply,
    similarity,
    split_words,
)


def test_words_are_those_of_any_language() -> None:
    """In lower case, with their apostrophes."""
    assert split_words("Don't, L’été — 2 Äpfel!") == ["don't", "l’été", "2", "äpfel"]


@pytest.mark.parametrize(
    ("text", "one", "two"),
    [("", None, None), ("a", 1.0, None), ("a a a a", 0.25, 1 / 3), ("a b c", 1.0, 1.0)],
)
def test_distinct_n_grams(text: str, one: float | None, two: float | None) -> None:
    """Different ones among all; of a text without any there is no number."""
    assert (distinct_share(text, 1), distinct_share(text, 2)) == (one, two)


def test_similarity_and_diversity() -> None:
    """1 for the same words, 0 for none in common; of one text there is no diversity."""
    assert similarity("The cat.", "the cat") == 1
    assert similarity("a b", "c d") == 0
    assert diversity(["a b", "a b"]) == 0
    assert diversity(["a b", "c d", "a b"]) == pytest.approx(2 / 3)
    assert diversity(["a"]) is None
    assert diversity(["a"] * 500) == 0
    assert similarity("", "!") == 1
    assert similarity("a b c d", "b x d") == 2 * 2 / 7


@pytest.mark.parametrize("seed", range(5))
def test_similarity_is_by_the_longest_common_subsequence(seed: int) -> None:
    """As the textbook computes it."""
    draw = random.Random(seed)
    for _ in range(40):
        first, second = (draw.choices("abcd", k=draw.randint(1, 90)) for _ in range(2))
        row = [0] * (len(second) + 1)
        for word in first:
            diagonal = 0
            for at, other in enumerate(second, 1):
                diagonal, row[at] = (
                    row[at],
                    diagonal + 1 if word == other else max(row[at], row[at - 1]),
                )
        expected = 2 * row[-1] / (len(first) + len(second))
        assert similarity(" ".join(first), " ".join(second)) == expected


@pytest.mark.no_cover
@pytest.mark.parametrize("shape", ["a ", "a b ", "x 1 x 2 x 3 ", "ab! "])
def test_words_that_repeat_themselves_take_no_longer(shape: str) -> None:
    """Thirty such replies were compared for minutes."""
    draw = random.Random(3)

    def seconds(texts: list[str]) -> float:
        return min(cpu_seconds(lambda: diversity(texts)) for _ in range(3))

    prose = [" ".join(map(str, draw.sample(range(5000), MAX_WORDS))) for _ in range(4)]
    assert seconds([shape * MAX_WORDS] * 2 + ["a b c " * MAX_WORDS] * 2) < 5 * seconds(prose)


def test_a_users_measure_that_fails_leaves_the_others() -> None:
    """What a function raises stands in its place."""

    def broken(reply: Reply) -> object:
        raise KeyError("x")

    result = measure_reply(
        Reply(text="one two"), {"shouts": lambda r: r.text.upper(), "broken": broken}
    )
    assert (result["words"], result["characters"], result["shouts"]) == (2, 7, "ONE TWO")
    assert result["broken"] == "error: KeyError: 'x'"


RECORDS: list[dict[str, Any]] = [
    {"temperature": 1, "model": "b", "words": 4, "text": "a"},
    {"temperature": 0, "model": "a", "words": 2, "text": "a"},
    {"temperature": 1, "model": "a", "words": 8, "text": "b"},
    {"temperature": 0.5, "model": "a", "words": None, "text": "b"},
]


def test_statistics_are_grouped_by_the_x_column() -> None:
    """Numbers in order, with mean, ends and deviation; what has no number is left out."""
    assert group_statistics(RECORDS, "temperature", "words") == [
        Statistics(0, 2, 2, 2, 0, 1),
        Statistics(1, 6, 4, 8, 2, 2),
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "error: x", None])
def test_values_that_are_not_numbers_are_left_out(value: object) -> None:
    """The user's own measures return what they like; numbers of any type count."""
    found = group_statistics([{"x": 1, "y": value}, {"x": 1, "y": Fraction(1, 2)}], "x", "y")
    assert found == [Statistics(1, 0.5, 0.5, 0.5, 0, 1)]


def test_replies_that_failed_do_not_count() -> None:
    """They are not replies of no words, and not all alike."""
    failed = [{"temperature": 1, "words": 0, "text": "", "status": "failed"}] * 2
    for y in ("words", "diversity"):
        assert group_statistics([*RECORDS, *failed], "temperature", y) == group_statistics(
            RECORDS, "temperature", y
        )


def test_text_groups_keep_their_order_of_appearance() -> None:
    """As they came."""
    assert [item.x for item in group_statistics(RECORDS, "model", "words")] == ["b", "a"]


def test_diversity_is_computed_for_each_value() -> None:
    """Of each value's texts; a single text has none."""
    assert group_statistics(RECORDS, "temperature", "diversity") == [Statistics(1, 1, 1, 1, 0, 1)]


@pytest.mark.parametrize(
    ("x", "y", "hint"),
    [
        ("temprature", "words", "Did you mean temperature?"),
        ("model", "word", "Did you mean words?"),
        ("model", "text", "no numbers"),
    ],
)
def test_a_column_without_numbers_is_refused(x: str, y: str, hint: str) -> None:
    """With the columns that there are."""
    with pytest.raises(ParamError) as error:
        group_statistics(RECORDS, x, y)
    assert hint in str(error.value)
