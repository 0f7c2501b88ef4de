"""The chain of filters on what an endpoint returned: by hand, and against the whole vocabulary."""

from __future__ import annotations

import inspect
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from growth import growth

from di_magics.core.sampling import DEFAULT_ORDER, DEFAULTS, Result, logits_zero, reshape

OFF = {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0}
"""Settings with which nothing changes."""
VLLM = ["penalties", "temperature", "min_p", "top_k", "top_p"]
THREE = [(10, math.log(0.5)), (11, math.log(0.3)), (12, math.log(0.2))]


def middle(result: Result) -> dict[int, float]:
    """Return the probabilities of an exact result."""
    assert result.exact
    assert all(low == pytest.approx(high, abs=1e-12) for low, high in result.probs.values())
    return {token: low for token, (low, _) in result.probs.items()}


def test_the_signatures_are_those_of_the_reference() -> None:
    """Others call them by these names."""
    names = {f: list(inspect.signature(f).parameters) for f in (reshape, logits_zero)}
    assert names[reshape] == ["top", "vocabulary", "settings", "window", "zero"]
    assert names[logits_zero] == ["top", "window", "after", "repeat"]


@pytest.mark.parametrize(
    ("settings", "probs", "cut"),
    [
        ({}, {10: 0.5, 11: 0.3, 12: 0.2}, {}),
        ({"temperature": 0}, {10: 1}, {11: "temperature 0", 12: "temperature 0"}),
        ({"temperature": 0.5}, {10: 25 / 38, 11: 9 / 38, 12: 4 / 38}, {}),
        ({"top_k": 1}, {10: 1}, {11: "top_k", 12: "top_k"}),
        ({"top_k": 2}, {10: 5 / 8, 11: 3 / 8}, {12: "top_k"}),
        ({"top_k": 3}, {10: 0.5, 11: 0.3, 12: 0.2}, {}),
        ({"top_k": 40}, {10: 0.5, 11: 0.3, 12: 0.2}, {}),
        ({"top_p": 0.45}, {10: 1}, {11: "top_p", 12: "top_p"}),
        ({"top_p": 0.55}, {10: 5 / 8, 11: 3 / 8}, {12: "top_p"}),
        ({"top_p": 0.85}, {10: 0.5, 11: 0.3, 12: 0.2}, {}),
        ({"top_p": 1}, {10: 0.5, 11: 0.3, 12: 0.2}, {}),
        ({"top_p": 0.1, "min_keep": 2}, {10: 5 / 8, 11: 3 / 8}, {12: "top_p"}),
        ({"min_p": 0.5}, {10: 5 / 8, 11: 3 / 8}, {12: "min_p"}),
        ({"min_p": 1}, {10: 1}, {11: "min_p", 12: "min_p"}),
        ({"min_p": 1, "min_keep": 2}, {10: 5 / 8, 11: 3 / 8}, {12: "min_p"}),
        ({"top_k": 2, "top_p": 0.6}, {10: 1}, {11: "top_p", 12: "top_k"}),
        ({"top_p": 0.55, "top_k": 1}, {10: 1}, {11: "top_k", 12: "top_k"}),
    ],
)
def test_each_filter_by_hand(
    settings: dict[str, Any], probs: dict[int, float], cut: dict[int, str]
) -> None:
    """Three tokens are the whole vocabulary, so everything is exact."""
    result = reshape(THREE, 3, OFF | settings)
    assert middle(result) == pytest.approx(probs)
    assert (result.cut, result.rest, result.survivors) == (cut, (0.0, 0.0), len(probs))


@pytest.mark.parametrize(
    ("penalty", "weights"),
    [
        ({"presence_penalty": 1}, {10: 0.5 / math.e, 11: 0.3, 12: 0.2}),
        ({"frequency_penalty": 1}, {10: 0.5 / math.e**2, 11: 0.3, 12: 0.2}),
        ({"presence_penalty": -1}, {10: 0.5 * math.e, 11: 0.3, 12: 0.2}),
        ({"presence_penalty": 1, "repeat_last_n": 2}, {10: 0.5 / math.e, 11: 0.3, 12: 0.2}),
        ({"presence_penalty": 1, "repeat_last_n": 1}, {10: 0.5, 11: 0.3, 12: 0.2}),
        ({"presence_penalty": 1, "repeat_last_n": 0}, {10: 0.5, 11: 0.3, 12: 0.2}),
        ({"frequency_penalty": 1, "repeat_last_n": -1}, {10: 0.5 / math.e**2, 11: 0.3, 12: 0.2}),
    ],
)
def test_penalties_by_hand(penalty: dict[str, Any], weights: dict[int, float]) -> None:
    """Presence counts once, frequency for each time, both only in the last tokens."""
    result = reshape(THREE, 3, OFF | penalty, window=[10, 7, 10, 8])
    total = sum(weights.values())
    assert middle(result) == pytest.approx({i: weight / total for i, weight in weights.items()})


@pytest.mark.parametrize("zero", [3.0, -3.0])
def test_the_repetition_penalty_multiplies_logits(zero: float) -> None:
    """Above 0 a logit is divided, below it is multiplied."""
    result = reshape(THREE, 3, OFF | {"repeat_penalty": 1.5}, window=[10], zero=zero)
    logit = math.log(0.5) + zero
    logit = logit / 1.5 if logit > 0 else logit * 1.5
    weight = math.exp(logit - zero)
    assert middle(result)[10] == pytest.approx(weight / (weight + 0.5))


@pytest.mark.parametrize("repeat", [0.5, 1.5])
def test_without_the_zero_of_the_logits_a_repetition_penalty_is_unknown(repeat: float) -> None:
    """No probability is guessed; where no returned token repeats, there is nothing to compute."""
    settings = OFF | {"repeat_penalty": repeat}
    result = reshape(THREE, 3, settings, window=[10])
    assert result.notes
    assert set(result.probs.values()) == {(0.0, 1.0)}
    assert (result.exact, result.survivors, result.rest) == (False, None, (0.0, 1.0))
    assert middle(reshape(THREE, 3, settings, window=[7])) == pytest.approx(
        {10: 0.5, 11: 0.3, 12: 0.2}
    )


def test_a_repetition_penalty_below_1_has_no_bound_for_what_was_not_returned() -> None:
    """A token that was not returned may become the likeliest."""
    result = reshape(THREE, 30, OFF | {"repeat_penalty": 0.5}, window=[7], zero=10.0)
    assert result.notes
    assert result.rest == (0.0, 1.0)


@pytest.mark.parametrize(("name", "value"), [("xtc_probability", 0.5), ("dry_multiplier", 0.8)])
def test_a_filter_that_is_not_computed_is_named(name: str, value: float) -> None:
    """Nothing is known then; where it is off, it changes nothing."""
    result = reshape(THREE, 3, OFF | {name: value})
    assert (result.exact, result.rest) == (False, (0.0, 1.0))
    assert name.partition("_")[0] in result.notes[0]
    assert reshape(THREE, 3, OFF | {name: 0.0}).exact


def test_ties_keep_the_order_in_which_they_were_returned() -> None:
    """With min_p 1 all of them are the likeliest."""
    top = [(1, math.log(0.4)), (2, math.log(0.4)), (3, math.log(0.2))]
    assert middle(reshape(top, 3, OFF | {"top_k": 1})) == {1: 1.0}
    assert middle(reshape(top, 3, OFF | {"temperature": 0})) == {1: 1.0}
    assert middle(reshape(top, 3, OFF | {"min_p": 1})) == pytest.approx({1: 0.5, 2: 0.5})


def test_the_order_of_the_filters_decides() -> None:
    """At a high temperature top_p keeps more tokens where the temperature comes first."""
    settings = {**OFF, "temperature": 2, "top_p": 0.75}
    assert reshape(THREE, 3, settings).survivors == 2
    assert reshape(THREE, 3, settings | {"samplers": VLLM}).survivors == 3


def test_a_filter_that_is_not_in_the_order_does_nothing() -> None:
    """As in a request with `samplers`."""
    settings = {"temperature": 0, "top_k": 1, "samplers": ["min_p", "nonsense"], "min_p": 0.5}
    assert middle(reshape(THREE, 3, settings)) == pytest.approx({10: 5 / 8, 11: 3 / 8})


def test_a_missing_setting_has_the_default_of_the_server() -> None:
    """The built-in model's min_p cuts what is below a twentieth of the likeliest."""
    top = [(1, math.log(0.94)), (2, math.log(0.04)), (3, math.log(0.02))]
    result = reshape(top, 3, {})
    assert result.cut == {2: "min_p", 3: "top_p"}
    assert DEFAULTS["temperature"] == 0.8


def test_what_was_not_returned_is_an_interval() -> None:
    """Nothing is cut: the remainder is known but for the slack of 32 bits."""
    result = reshape(THREE[:2], 100, OFF)
    low, high = result.rest
    assert (result.exact, result.survivors) == (False, None)
    assert low == pytest.approx(0.2)
    assert 0.2 < high < 0.201
    assert all(low < high for low, high in result.probs.values())


@pytest.mark.parametrize("top", [[], [(1, math.nan)], [(1, -9999.0)], [(1, -math.inf)]])
def test_a_position_without_numbers_is_all_remainder(top: list[tuple[int, float]]) -> None:
    """There is nothing to reshape."""
    result = reshape(top, 100, {})
    assert (result.probs, result.rest, result.exact) == ({}, (1.0, 1.0), False)


def test_when_nearly_all_the_mass_was_not_returned_only_bounds_are_left() -> None:
    """They hold everything from nothing to nearly all."""
    result = reshape([(1, -14.0)], 50_000, {**OFF, "top_k": 5})
    low, high = result.probs[1]
    assert low <= 0.2 <= high + 1e-9
    assert result.rest[1] > 0.5


def test_a_vocabulary_of_unknown_size_leaves_the_remainder_open() -> None:
    """Above temperature 1 it has no upper bound; below, it has."""
    assert reshape(THREE[:2], None, OFF | {"temperature": 2}).rest[1] == 1.0
    assert reshape(THREE[:2], None, OFF | {"temperature": 2}).probs[10][0] == 0.0
    assert reshape(THREE[:2], None, OFF | {"temperature": 0.5}).rest[1] < 0.2
    assert reshape(THREE[:2], None, OFF | {"top_k": 2}).exact


def test_the_zero_of_the_logits_comes_back() -> None:
    """From a penalised answer: above 0 and below it, and not without both kinds of tokens."""
    for zero in (12.5, -1.0):
        logits = {token: logprob + zero for token, logprob in THREE}
        for token in (10, 11):
            logits[token] *= 1 / 1.1 if logits[token] > 0 else 1.1
        total = sum(map(math.exp, logits.values()))
        after = {token: math.exp(logit) / total for token, logit in logits.items()}
        assert logits_zero(THREE, [10, 11], after, 1.1) == pytest.approx(zero)
        assert logits_zero(THREE, [7], after, 1.1) is None
        assert logits_zero(THREE, [10, 11, 12], after, 1.1) is None


# Against the whole vocabulary ---------------------------------------------------------------------


def sample_whole(
    logits: Sequence[float], settings: Mapping[str, Any], window: Sequence[int]
) -> dict[int, float]:
    """Return the probabilities after the chain on all logits, as llama.cpp computes them."""
    left = sorted(enumerate(logits), key=lambda pair: -pair[1])
    counts = Counter(window[-64:])
    for step in settings.get("samplers", DEFAULT_ORDER):
        if step == "penalties":
            repeat = settings["repeat_penalty"]
            left = [
                (
                    token,
                    (logit * repeat if logit <= 0 else logit / repeat)
                    - counts[token] * settings["frequency_penalty"]
                    - settings["presence_penalty"]
                    if counts[token]
                    else logit,
                )
                for token, logit in left
            ]
            left.sort(key=lambda pair: -pair[1])
        elif step == "temperature":
            t = settings["temperature"]
            left = [(token, logit / t) for token, logit in left] if t > 0 else left[:1]
        elif step == "top_k" and settings["top_k"]:
            left = left[: settings["top_k"]]
        elif step == "top_p":
            probs = softmax(left)
            total = 0.0
            for kept, probability in enumerate(probs.values(), 1):
                total += probability
                if total >= settings["top_p"]:
                    left = left[:kept]
                    break
        elif step == "min_p" and settings["min_p"]:
            least = left[0][1] + math.log(settings["min_p"])
            left = [pair for pair in left if pair[1] >= least]
    return softmax(left)


def softmax(logits: Sequence[tuple[int, float]]) -> dict[int, float]:
    """Return probabilities, in the order of the logits."""
    most = max(logit for _, logit in logits)
    weights = {token: math.exp(logit - most) for token, logit in logits}
    total = math.fsum(weights.values())
    return {token: weight / total for token, weight in weights.items()}


class Case:
    """A random position of a small vocabulary, with random settings in a random order."""

    def __init__(self, seed: int) -> None:
        pick = random.Random(seed).choice
        chance = random.Random(seed)
        self.vocabulary = pick([3, 8, 60, 300])
        self.zero = chance.uniform(5, 30)
        logits = [chance.gauss(0, pick([0.5, 1.5, 3])) for _ in range(self.vocabulary)]
        norm = math.log(math.fsum(map(math.exp, logits)))
        self.logprobs = [logit - norm for logit in logits]
        size = chance.choice([0, 5, 64, 100])
        self.window = [chance.randrange(self.vocabulary) for _ in range(size)]
        self.settings: dict[str, Any] = {
            "temperature": chance.choice([0, 0.3, 0.8, 1, 1.5, 2]),
            "top_k": chance.choice([0, 0, 1, 5, 40, 100]),
            "top_p": chance.choice([1, 0.95, 0.9, 0.5, 0.1]),
            "min_p": chance.choice([0, 0.02, 0.1, 0.5, 1]),
            "repeat_penalty": chance.choice([1, 1, 1.1, 1.5]),
            "frequency_penalty": chance.choice([0, 0, 0.5, -0.5, 2]),
            "presence_penalty": chance.choice([0, 0, 0.5, -1, 2]),
        }
        if chance.random() < 0.5:
            order = list(DEFAULT_ORDER)
            chance.shuffle(order)
            self.settings["samplers"] = order

    def top(self, most: int) -> list[tuple[int, float]]:
        """Return the likeliest tokens, as an endpoint does."""
        return sorted(enumerate(self.logprobs), key=lambda pair: -pair[1])[:most]

    def truth(self) -> dict[int, float]:
        """Return the probabilities of the whole vocabulary."""
        logits = [logprob + self.zero for logprob in self.logprobs]
        return sample_whole(logits, self.settings, self.window)

    def reshape(self, most: int) -> Result:
        """Return what is known from the `most` likeliest tokens."""
        return reshape(self.top(most), self.vocabulary, self.settings, self.window, self.zero)


SEEDS = range(60)
PER_SEED = 10


@pytest.mark.parametrize("seed", SEEDS)
def test_the_interval_holds_what_the_whole_vocabulary_gives(seed: int) -> None:
    """Never outside, in any order of the filters; where it is exact, equal."""
    for case in (Case(PER_SEED * seed + n) for n in range(PER_SEED)):
        truth = case.truth()
        for most in (1, 3, 20):
            result = case.reshape(most)
            returned = {token for token, _ in case.top(most)}
            for token in returned:
                low, high = result.probs.get(token, (0.0, 0.0))
                assert low - 1e-9 <= truth.get(token, 0.0) <= high + 1e-9, vars(case)
                assert not result.exact or high - low < 1e-9
            others = sum(p for token, p in truth.items() if token not in returned)
            assert result.rest[0] - 1e-9 <= others <= result.rest[1] + 1e-9, vars(case)
            assert result.survivors in (None, len(truth)), vars(case)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_number_is_finite_and_sums_are_possible(seed: int) -> None:
    """The lower ends never exceed 1 together, the upper ends never fall short of it."""
    for case in (Case(PER_SEED * seed + n) for n in range(PER_SEED)):
        for most in (1, 3, 20):
            result = case.reshape(most)
            pairs = [*result.probs.values(), result.rest]
            assert all(0 <= low <= high + 1e-12 <= 1 + 1e-9 for low, high in pairs), vars(case)
            assert math.fsum(low for low, _ in pairs) <= 1 + 1e-9
            assert math.fsum(high for _, high in pairs) >= 1 - 1e-9


@pytest.mark.parametrize("vocabulary", [300, None])
@pytest.mark.parametrize("settings", [OFF, {}, OFF | {"temperature": 1.7}, OFF | {"top_p": 0.9}])
def test_more_returned_tokens_never_say_less(
    settings: dict[str, Any], vocabulary: int | None
) -> None:
    """The interval of the likeliest token shrinks as the number of returned tokens grows."""
    case = Case(7)
    case.vocabulary, chance = 300, random.Random(1)
    logits = [chance.gauss(0, 2) for _ in range(300)]
    norm = math.log(math.fsum(map(math.exp, logits)))
    case.logprobs = [logit - norm for logit in logits]
    [best] = [token for token, _ in case.top(1)]
    widths = []
    for most in (1, 5, 20, 100, 300):
        low, high = reshape(case.top(most), vocabulary, settings).probs[best]
        widths.append(high - low)
    assert all(later <= earlier + 4e-4 for earlier, later in pairwise(widths)), widths


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 1e-300},
        {"temperature": 1e300},
        {"temperature": 1e-7, "samplers": VLLM},
        {"presence_penalty": 1e6},
        {"presence_penalty": -1e6},
        {"frequency_penalty": -1e6, "samplers": ["temperature", "penalties", "top_p"]},
        {"repeat_penalty": 1e9},
        {"repeat_penalty": 1e-9},
        {"top_p": 1e-300},
        {"min_p": 1e-300},
        {"top_k": 10**9},
    ],
)
@pytest.mark.parametrize("vocabulary", [3, 50_000, None])
def test_extreme_settings_give_finite_numbers(
    settings: dict[str, Any], vocabulary: int | None
) -> None:
    """A division of 0 by 0 would hide behind comparisons, which are false for NaN."""
    for top in (THREE, [(1, -690.0), (2, -699.0)], [(1, 0.0), (1, -1.0)], [(1, 1e300)]):
        for window in ([], [10, 1, 5, 5]):
            result = reshape(top, vocabulary, OFF | settings, window, 10.0)
            for low, high in [*result.probs.values(), result.rest]:
                assert 0 <= low <= high + 1e-12
                assert high <= 1 + 1e-9


def test_entries_without_a_number_are_left_out() -> None:
    """A server may send anything in their place; of an id that repeats the first counts."""
    top = [*THREE, (13, math.nan), (14, -math.inf), (15, -9999.0), (10, -9.0)]
    assert set(reshape(top, 100, OFF).probs) == {10, 11, 12}


def test_the_time_is_linear_in_the_returned_tokens() -> None:
    """The built-in model can return its whole vocabulary."""

    def run(size: int) -> None:
        top = [(token, -math.log(size)) for token in range(size)]
        reshape(top, size + 5, {"temperature": 1.2, "top_k": size // 2, "presence_penalty": 1}, [1])

    assert growth(run, 10_000) <= 3
