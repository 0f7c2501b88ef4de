"""What sampling settings make of the log-probabilities that an endpoint returned for a position.

An endpoint returns the K likeliest tokens of a position. The chain of filters is applied to them as
llama.cpp does it (its order is DEFAULT_ORDER); what is not known is bounded, never guessed:

* The other tokens are a group: at most `count` of them, none likelier than the K-th, with a sum of
  probabilities between `low` and `high`. llama.cpp normalises in 32 bits, which loses small terms,
  so `high` is SLACK above 1 - the sum of the returned ones.
* A temperature T makes p ** (1 / T) of a probability p. The sum of these over the group has two
  extremes: all probabilities are equal, or as many as possible are as large as the K-th. For T > 1
  the sum is largest in the first case and smallest in the second; for T < 1 it is the reverse
  (Karamata's inequality: x ** a is concave for a <= 1 and convex above).
* A filter whose limit depends on the group may keep or cut a token: such a token is uncertain, and
  its probability may be 0. The others are normalised once with it and once without it: these are
  their bounds.
* The repetition penalty multiplies logits, and log-probabilities do not show where a logit is 0.
  `logits_zero` finds it from one more answer.

Weights are natural logarithms, up to a constant of the position. The group is kept as it was before
any temperature, and `power` is the exponent of all temperatures so far: the product of their 1 / T.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DEFAULT_ORDER = (
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typ_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)
DEFAULTS: Mapping[str, float] = {
    "temperature": 0.8,
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "min_keep": 0,
    "repeat_last_n": 64,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""What llama.cpp's server uses for a setting that is not sent."""
OTHER_FILTERS: Mapping[str, tuple[str, float]] = {
    "dry": ("dry_multiplier", 0.0),
    "top_n_sigma": ("top_n_sigma", -1.0),
    "typ_p": ("typical_p", 1.0),
    "xtc": ("xtc_probability", 0.0),
}
"""The filters that are not computed here: the setting that turns each on, and its value for off."""
SLACK = 3e-4
NEAR = 3e-6
"""Closer to a limit than this, 32 bits decide whether a token is kept."""
MIN_LOGPROB = -700.0
"""A lower log-probability is not a number but a mark for "unknown", such as -9999."""
MIN_TEMPERATURE = 1e-6
_MAX_EXPONENT = 700.0


@dataclass(slots=True)
class Result:
    """A position under some settings.

    `probs` are the lowest and highest possible probability of every returned token that may
    survive, by id; `rest` those of all tokens that were not returned together. `cut` is the filter
    after which a token is surely gone, by id, and `doubts` has the filters that may have cut one
    before. `exact` is whether nothing is estimated, `survivors` how many tokens are left, None
    where that is not known, and `notes` what could not be computed.
    """

    probs: dict[int, tuple[float, float]]
    rest: tuple[float, float]
    cut: dict[int, str]
    exact: bool
    survivors: int | None
    notes: list[str] = field(default_factory=list)
    doubts: dict[int, list[str]] = field(default_factory=dict)


def reshape(
    top: Iterable[tuple[int, float]],
    vocabulary: int | None,
    settings: Mapping[str, Any],
    window: Sequence[int] = (),
    zero: float | None = None,
) -> Result:
    """Return what the settings make of one position.

    `top` has the ids and log-probabilities that were returned, `vocabulary` is how many tokens the
    model has (None: not known), `settings` has llama.cpp's names, and its defaults for those that
    are missing. `window` has the ids before the position, of prompt and reply; `zero` is the
    logit minus the log-probability there, which only the repetition penalty needs.
    """
    position = _Position(top, vocabulary)
    values = {**DEFAULTS, **settings}
    if not position.tokens:
        return Result({}, (1.0, 1.0), {}, False, None, ["no log-probabilities"])
    for step in settings.get("samplers", DEFAULT_ORDER):
        if step == "penalties":
            position.apply_penalties(values, window, zero)
        elif step == "temperature":
            position.apply_temperature(float(values["temperature"]))
        elif step == "top_k" and values["top_k"] > 0:
            position.keep_best(int(values["top_k"]), "top_k")
        elif step == "top_p" and values["top_p"] < 1:
            position.apply_top_p(float(values["top_p"]), int(values["min_keep"]))
        elif step == "min_p" and values["min_p"] > 0:
            position.apply_min_p(float(values["min_p"]), int(values["min_keep"]))
        elif step in OTHER_FILTERS:
            name, off = OTHER_FILTERS[step]
            if settings.get(name, off) != off:
                position.notes.append(f"{step} is not computed here")
    return position.result()


def logits_zero(
    top: Iterable[tuple[int, float]],
    window: Sequence[int],
    after: Mapping[int, float],
    repeat: float,
) -> float | None:
    """Return logit - log-probability of a position, from an answer with a repetition penalty alone.

    `after` has the probabilities of that answer by id: penalty `repeat` (above 1), temperature 1,
    no filters. None if all of the returned tokens, or none of them, are in the window.
    """
    before = dict(top)
    seen = set(window[-int(DEFAULTS["repeat_last_n"]) :])
    usable = [token for token in after if token in before and after[token] > 0]
    others = [token for token in usable if token not in seen]
    penalised = [token for token in usable if token in seen]
    if not others or not penalised:
        return None
    other = max(others, key=lambda token: after[token])
    shift = math.log(after[other]) - before[other]
    # The penalised logits, minus the zero that is sought.
    lowered = {token: math.log(after[token]) - shift for token in penalised}
    best = max(penalised, key=lambda token: after[token])
    positive = (before[best] / repeat - lowered[best]) / (1 - 1 / repeat)
    negative = (lowered[best] - before[best] * repeat) / (repeat - 1)

    def misfit(zero: float) -> float:
        """Return how far the penalised tokens are from what this zero would make of them."""
        logits = {token: before[token] + zero for token in penalised}
        return sum(
            abs((x * repeat if x <= 0 else x / repeat) - zero - lowered[token])
            for token, x in logits.items()
        )

    # One token alone fits both; the logits of likely tokens are above 0.
    return negative if misfit(negative) < misfit(positive) - NEAR else positive


@dataclass(slots=True)
class _Token:
    id: int
    weight: float
    sure: bool = True


class _Position:
    """The tokens that are left after some filters, likeliest first, and the group of the others."""

    def __init__(self, top: Iterable[tuple[int, float]], vocabulary: int | None) -> None:
        known: dict[int, float] = {}
        for token, logprob in top:
            if logprob >= MIN_LOGPROB:  # false for NaN, too
                known.setdefault(token, min(0.0, logprob))
        self.tokens = [_Token(*pair) for pair in sorted(known.items(), key=lambda pair: -pair[1])]
        self.ids = list(known)
        self.cut: dict[int, str] = {}
        self.doubts: dict[int, list[str]] = {}
        self.notes: list[str] = []
        self.power = 1.0
        self.count = math.inf if vocabulary is None else float(max(0, vocabulary - len(known)))
        self.low = max(0.0, 1 - math.fsum(math.exp(logprob) for logprob in known.values()))
        self.high = self.low + SLACK
        self.cap = self.tokens[-1].weight if self.tokens else 0.0
        """The logarithm of the largest probability that a token of the group may have."""
        if not self.count:
            self._close()

    def _close(self) -> None:
        """No token of the group is left."""
        self.count = self.low = self.high = 0.0

    @property
    def open(self) -> bool:
        return self.count > 0

    def _outranks(self, token: _Token) -> bool:
        """Return whether a token is at least as likely as any token of the group."""
        return not self.open or token.weight >= self.power * self.cap - NEAR

    def _group_sum(self, scale: float) -> tuple[float, float]:
        """Return the bounds of the group's sum of weights, in units of exp(scale)."""
        if not self.open:
            return 0.0, 0.0
        unit = scale / self.power
        low, high = (_exp(_log(mass) - unit) for mass in (self.low, self.high))
        cap = _exp(self.cap - unit)
        lowest, highest = _concentrated_sum, _uniform_sum
        if self.power > 1:
            lowest, highest = highest, lowest
        return (
            lowest(low, self.count, cap, self.power),
            highest(high, self.count, cap, self.power),
        )

    def _keep(self, decided: Iterable[tuple[_Token, bool | None]], name: str) -> None:
        """Keep the tokens with True, cut those with False; None makes a token uncertain."""
        left = []
        for token, kept in decided:
            if kept is False:
                self.cut[token.id] = name
                continue
            if kept is None:
                token.sure = False
                self.doubts.setdefault(token.id, []).append(name)
            left.append(token)
        self.tokens = left

    def apply_penalties(
        self, values: Mapping[str, Any], window: Sequence[int], zero: float | None
    ) -> None:
        repeat, last = float(values["repeat_penalty"]), int(values["repeat_last_n"])
        frequency = float(values["frequency_penalty"])
        presence = float(values["presence_penalty"])
        if (repeat, frequency, presence) == (1, 0, 0) or last == 0:
            return
        counts = Counter(window[-last:] if last > 0 else window)
        for token in self.tokens:
            if times := counts.get(token.id):
                if repeat != 1 and zero is not None:
                    base = self.power * zero
                    logit = token.weight + base
                    token.weight = (logit * repeat if logit <= 0 else logit / repeat) - base
                elif repeat != 1:
                    self.notes.append("the repetition penalty needs the logits, which are not sent")
                token.weight -= times * frequency + presence
        self.tokens.sort(key=lambda token: -token.weight)
        others = [times for token, times in counts.items() if token not in self.ids]
        if not self.open or not others:
            return
        # Some tokens of the group are penalised, too; which is not known.
        penalties = [times * frequency + presence for times in (min(others), max(others))]
        self.low *= _exp(-max(0.0, *penalties) / self.power)
        rise = -min(0.0, *penalties) / self.power
        self.high *= _exp(rise)
        self.cap += rise
        if repeat > 1:
            self.low = 0.0
        elif repeat < 1:
            self.notes.append("a repetition penalty below 1 raises tokens that were not returned")

    def apply_temperature(self, temperature: float) -> None:
        if temperature <= 0:
            self.keep_best(1, "temperature 0")
            return
        temperature = max(temperature, MIN_TEMPERATURE)
        for token in self.tokens:
            token.weight /= temperature
        self.power /= temperature

    def keep_best(self, most: int, name: str) -> None:
        """Keep the `most` likeliest tokens."""
        decided: list[tuple[_Token, bool | None]] = []
        sure = possible = outranking = 0
        for token in self.tokens:
            outranks = self._outranks(token)
            surely = possible + (0 if outranks else self.count) < most
            decided.append((token, surely or (None if sure < most else False)))
            possible += 1
            sure += token.sure
            outranking += token.sure and outranks
        self._keep(decided, name)
        left = most - outranking
        if left <= 0:
            self._close()
        elif self.open:
            least = max(0, most - possible)
            share = min(1.0, least / self.count)
            self.count = min(self.count, left)
            self.high = min(self.high, left * _exp(self.cap))
            self.low = min(self.low * share, self.high)

    def apply_top_p(self, share: float, least: int) -> None:
        """Keep the likeliest tokens that together hold this share, and at least `least`."""
        scale = self.tokens[0].weight
        low, high = self._group_sum(scale)
        masses = [math.exp(token.weight - scale) for token in self.tokens]
        below, above = math.fsum(masses), 0.0
        sure_below = math.fsum(m for m, t in zip(masses, self.tokens, strict=True) if t.sure)
        sure_above, sure_rank, outranking = 0.0, 0, 0.0
        decided: list[tuple[_Token, bool | None]] = []
        for rank, (token, mass) in enumerate(zip(self.tokens, masses, strict=True)):
            outranks = self._outranks(token)
            sure_below -= mass if token.sure else 0.0
            # The share of the tokens before this one, which is kept while that is below the limit.
            smallest = sure_above / (sure_above + below + high)
            behind = mass + max(0.0, sure_below)
            largest = _share(above, behind + low) if outranks else _share(above + high, behind)
            kept = outranks and (not rank or rank < least or largest < share - NEAR)
            cut = rank > 0 and sure_rank >= least and smallest >= share + NEAR
            decided.append((token, kept or (False if cut else None)))
            above += mass
            below = max(0.0, below - mass)
            if token.sure:
                sure_above += mass
                sure_rank += 1
                outranking += mass if outranks else 0.0
        total = math.fsum(masses)
        self._keep(decided, "top_p")
        if not self.open:
            return
        if sure_rank >= least and outranking / (total + high) >= share + NEAR:
            self._close()
        elif self.power == 1:
            kept_mass = math.fsum(_exp(t.weight) for t in self.tokens if t.sure)
            total *= math.exp(scale)
            limit = share * (total + self.high) - kept_mass + _exp(self.cap)
            self.low = max(0.0, share * self.low - (1 - share) * total - NEAR)
            self.high = min(self.high, max(0.0, limit) + NEAR)
        else:
            self.low = 0.0

    def apply_min_p(self, share: float, least: int) -> None:
        """Keep the tokens at least this fraction as likely as the likeliest, at least `least`."""
        group = self.power * self.cap if self.open else -math.inf
        first = next((token.weight for token in self.tokens if token.sure), -math.inf)
        lowest = first + math.log(share)
        highest = max(self.tokens[0].weight, group) + math.log(share)
        decided: list[tuple[_Token, bool | None]] = []
        for rank, token in enumerate(self.tokens):
            best = not rank and self._outranks(token)
            kept = best or rank < least or token.weight >= highest + NEAR
            kept = kept or lowest == highest == token.weight
            decided.append((token, kept or (None if token.weight > lowest - NEAR else False)))
        self._keep(decided, "min_p")
        if self.open and lowest > group + NEAR:
            self._close()
        elif self.open:
            self.low = 0.0
            fitting = math.floor(_exp(_log(self.high) - lowest / self.power) + NEAR)
            self.count = min(self.count, max(1, fitting))

    def result(self) -> Result:
        if self.notes:
            unknown = dict.fromkeys(self.ids, (0.0, 1.0))
            return Result(unknown, (0.0, 1.0), {}, False, None, list(dict.fromkeys(self.notes)))
        scale = max((token.weight for token in self.tokens), default=0.0)
        low, high = self._group_sum(scale)
        weights = [math.exp(token.weight - scale) for token in self.tokens]
        every = math.fsum(weights)
        sure = math.fsum(w for w, t in zip(weights, self.tokens, strict=True) if t.sure)
        probs = {
            token.id: (
                weight / (every + high) if token.sure else 0.0,
                weight / (sure + low + (0.0 if token.sure else weight)),
            )
            for token, weight in zip(self.tokens, weights, strict=True)
        }
        certain = all(token.sure for token in self.tokens)
        closed = not self.open
        rest = (_share(low, every), _share(high, sure))
        survivors = len(self.tokens) if closed and certain else None
        return Result(probs, rest, self.cut, closed and certain, survivors, doubts=self.doubts)


def _share(part: float, others: float) -> float:
    """Return part / (part + others), 1 for an infinite part and 0 for none."""
    return 1.0 if part == math.inf else part / (part + others) if part else 0.0


def _uniform_sum(total: float, count: float, cap: float, power: float) -> float:
    """Return the sum of p ** power over `count` equal probabilities with this total."""
    if total <= 0:
        return 0.0
    if count == math.inf:
        return total if power == 1 else math.inf if power < 1 else 0.0
    return count * _exp(power * math.log(total / count))


def _concentrated_sum(total: float, count: float, cap: float, power: float) -> float:
    """Return the sum of p ** power with as many probabilities as possible at `cap`."""
    cap = max(min(cap, total), total / count)
    if cap <= 0:
        return 0.0
    full = math.floor(min(total / cap, 1e300) + 1e-12)
    left = max(0.0, total - full * cap)
    return full * _exp(power * math.log(cap)) + (_exp(power * math.log(left)) if left else 0.0)


def _exp(exponent: float) -> float:
    return math.exp(min(exponent, _MAX_EXPONENT))


def _log(number: float) -> float:
    return math.log(number) if number > 0 else -math.inf
