"""Measures of replies: length, variety, similarity; and their statistics over a parameter."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean, pstdev
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.params import suggest
from di_magics.core.text import describe_error
from di_magics.core.visible import one_line

MAX_WORDS = 600
"""Words of a text that are compared: the time is quadratic in them."""
MAX_TEXTS = 30

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def split_words(text: str) -> list[str]:
    """Return the words of a text in lower case; without spaces a phrase is one word."""
    return _WORD.findall(text.lower())


def distinct_share(text: str, size: int) -> float | None:
    """Return the share of different n-grams of words among all of them, None without any.

    Source: Li et al. 2016, A Diversity-Promoting Objective Function, https://arxiv.org/abs/1510.03055
    """
    unigrams = split_words(text)
    grams = list(pairwise(unigrams)) if size == 2 else unigrams
    return len(set(grams)) / len(grams) if grams else None


def similarity(one: str, other: str) -> float:
    """Return how similar two texts are: 1 for the same words in the same order, 0 for none.

    It is twice the length of the longest common subsequence of words, by the length of both.
    """
    first, second = split_words(one)[:MAX_WORDS], split_words(other)[:MAX_WORDS]
    if not first and not second:
        return 1.0
    return 2 * _common_length(first, second) / (len(first) + len(second))


def _common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, a bit for each word of the first.

    Source: Hyyrö 2004, Bit-Parallel LCS-length Computation Revisited.
    """
    places: dict[str, int] = {}
    for at, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << at
    everything = (1 << len(first)) - 1
    unmatched = everything
    for word in second:
        found = unmatched & places.get(word, 0)
        unmatched = ((unmatched + found) | (unmatched - found)) & everything
    return len(first) - unmatched.bit_count()


def diversity(texts: Sequence[str]) -> float | None:
    """Return 1 − the mean similarity of all pairs, None for fewer than two texts.

    Of more than 30 texts, 30 at even distances are compared.
    """
    if len(texts) < 2:
        return None
    step = max(1.0, len(texts) / MAX_TEXTS)
    chosen = [texts[int(i * step)] for i in range(min(len(texts), MAX_TEXTS))]
    return 1 - fmean(similarity(one, other) for one, other in combinations(chosen, 2))


Measure = Callable[[Reply], object]

MEASURES: Mapping[str, Measure] = {
    "characters": lambda reply: len(reply.clean_text),
    "words": lambda reply: len(split_words(reply.clean_text)),
    "distinct_1": lambda reply: distinct_share(reply.clean_text, 1),
    "distinct_2": lambda reply: distinct_share(reply.clean_text, 2),
}
"""The measures of every reply."""


def measure_reply(reply: Reply, own: Mapping[str, Measure]) -> dict[str, object]:
    """Return the measures of a reply, and those of the user's own functions.

    If a function fails, its error replaces the number.
    """
    values: dict[str, object] = {name: measure(reply) for name, measure in MEASURES.items()}
    for name, measure in own.items():
        try:
            values[name] = measure(reply)
        except Exception as error:  # the user's function: the other numbers are kept
            values[name] = f"error: {one_line(describe_error(error), 120)}"
    return values


@dataclass(frozen=True, slots=True)
class Statistics:
    """A measure at one value of a parameter: mean, range, standard deviation, number of replies."""

    x: Any
    mean: float
    low: float
    high: float
    deviation: float
    count: int


def group_statistics(records: Sequence[Mapping[str, Any]], x: str, y: str) -> list[Statistics]:
    """Return a measure by the values of another column, sorted where those are numbers.

    `diversity` is computed from the texts of each value. Failed replies are left out. Raises
    ParamError for an unknown column and for one without numbers.
    """
    columns = list(dict.fromkeys(name for record in records for name in record))
    for name in (x, y):
        if name not in [*columns, "diversity"]:
            raise ParamError(
                f"There is no column {one_line(name, 40)!r}.{suggest(name, columns)} "
                f"Choose one of {', '.join([*columns, 'diversity'])}."
            )
    groups: dict[object, list[Mapping[str, Any]]] = {}
    for record in records:
        if record.get("status") == "failed":  # it would count as an empty reply
            continue
        groups.setdefault(record.get(x), []).append(record)
    statistics = []
    for value, group in groups.items():
        numbers = _numbers(group, y)
        if numbers:
            ends = (min(numbers), max(numbers), pstdev(numbers), len(numbers))
            statistics.append(Statistics(value, fmean(numbers), *ends))
    if not statistics:
        raise ParamError(
            f"The column {y} has no numbers to plot. Choose another one, such as words or "
            "completion_tokens."
        )
    if all(isinstance(point.x, int | float) for point in statistics):
        statistics.sort(key=lambda point: point.x)
    return statistics


def _numbers(group: Sequence[Mapping[str, Any]], y: str) -> list[float]:
    if y == "diversity":
        value = diversity([str(record.get("text", "")) for record in group])
        return [] if value is None else [value]
    values = (record.get(y) for record in group)
    floats = [float(value) for value in values if isinstance(value, numbers.Real)]
    return [number for number in floats if math.isfinite(number)]
