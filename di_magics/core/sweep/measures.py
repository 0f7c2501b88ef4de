"""Numbers about replies: how long, how varied, how alike; and how they spread over a parameter."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations, pairwise
from statistics import fmean, pstdev
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.params import suggest
from di_magics.core.text import one_line

LONGEST = 600
"""Only so many words of a text are compared: the time grows with their square."""
MOST_TEXTS = 30

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def split_words(text: str) -> list[str]:
    """Return the words of a text, in lower case; scripts without spaces give whole phrases."""
    return _WORD.findall(text.lower())


def distinct_share(text: str, size: int) -> float | None:
    """Return the share of different n-grams of words among all of them, None for a text of none.

    Source: Li et al. 2016, A Diversity-Promoting Objective Function, https://arxiv.org/abs/1510.03055
    """
    found = split_words(text)
    grams = list(pairwise(found)) if size == 2 else found
    return len(set(grams)) / len(grams) if grams else None


def similarity(one: str, other: str) -> float:
    """Return how alike two texts are, word by word: 1 for the same words in the same order."""
    first, second = split_words(one)[:LONGEST], split_words(other)[:LONGEST]
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def diversity(texts: Sequence[str]) -> float | None:
    """Return 1 − the mean similarity of all pairs, None for fewer than two texts.

    Of more than 30 texts 30 are compared, taken evenly.
    """
    if len(texts) < 2:
        return None
    step = max(1.0, len(texts) / MOST_TEXTS)
    chosen = [texts[int(i * step)] for i in range(min(len(texts), MOST_TEXTS))]
    return 1 - fmean(similarity(one, other) for one, other in combinations(chosen, 2))


Measure = Callable[[Reply], object]

MEASURES: Mapping[str, Measure] = {
    "characters": lambda reply: len(reply.clean_text),
    "words": lambda reply: len(split_words(reply.clean_text)),
    "distinct_1": lambda reply: distinct_share(reply.clean_text, 1),
    "distinct_2": lambda reply: distinct_share(reply.clean_text, 2),
}
"""What is measured of every reply."""


def measure_reply(reply: Reply, more: Mapping[str, Measure]) -> dict[str, object]:
    """Return the measures of a reply, the reader's own functions among them.

    Where one of those fails, its error stands in the place of the number.
    """
    found: dict[str, object] = {name: measure(reply) for name, measure in MEASURES.items()}
    for name, measure in more.items():
        try:
            found[name] = measure(reply)
        except Exception as error:  # the reader's own: the other runs' numbers are not lost
            found[name] = f"error: {one_line(f'{type(error).__name__}: {error}', 120)}"
    return found


@dataclass(frozen=True, slots=True)
class Statistics:
    """A measure at one value of a parameter: mean, ends, standard deviation, and of how many."""

    x: Any
    mean: float
    low: float
    high: float
    deviation: float
    count: int


def group_statistics(records: Sequence[Mapping[str, Any]], x: str, y: str) -> list[Statistics]:
    """Return a measure by the values of another column: numbers in order, texts as they come.

    `diversity` is reckoned from the texts of each value. Replies that failed are left out. Raises
    ParamError for no such column, or one without numbers.
    """
    columns = list(dict.fromkeys(name for record in records for name in record))
    for name in (x, y):
        if name not in [*columns, "diversity"]:
            raise ParamError(
                f"There is no column {one_line(name, 40)!r}.{suggest(name, columns)} "
                f"There are {', '.join([*columns, 'diversity'])}."
            )
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for record in records:
        if record.get("status") == "failed":  # no reply is not a reply of no words
            continue
        groups.setdefault(record.get(x), []).append(record)
    found = []
    for value, group in groups.items():
        numbers = _numbers(group, y)
        if numbers:
            ends = (min(numbers), max(numbers), pstdev(numbers), len(numbers))
            found.append(Statistics(value, fmean(numbers), *ends))
    if not found:
        raise ParamError(f"The column {y} has no numbers to plot.")
    if all(isinstance(each.x, int | float) for each in found):
        found.sort(key=lambda each: each.x)
    return found


def _numbers(group: Sequence[Mapping[str, Any]], y: str) -> list[float]:
    if y == "diversity":
        value = diversity([str(record.get("text", "")) for record in group])
        return [] if value is None else [value]
    values = (record.get(y) for record in group)
    found = [float(value) for value in values if isinstance(value, numbers.Real)]
    return [number for number in found if math.isfinite(number)]
