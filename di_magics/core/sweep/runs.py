"""A grid of settings: what is varied, the runs that follow from it, and a record for each.

A value may be a sampling parameter's, a model or a system prompt.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import prod
from typing import Any

from di_magics.core.amount import format_usd
from di_magics.core.errors import BudgetError, ParamError
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.params import (
    PARAMS,
    Value,
    find_param,
    format_param,
    suggest,
    validate,
)
from di_magics.core.text import one_line

TEXTS = ("model", "system")
MOST_RUNS = 10_000
ASKED_CALLS = 20
ASKED_COST = Decimal("0.05")
TYPICAL_TOKENS = 400
"""How long a reply usually is, where nothing limits it: for what a grid costs *about*."""

Vary = Mapping[str, tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Run:
    """One cell of the grid: its place in it, what is varied, and which repeat it is, from 0."""

    index: int
    varied: Mapping[str, Value]
    repeat: int
    repeats: int

    @property
    def label(self) -> str:
        """Its number, and what tells it from the others."""
        words = [
            one_line(f"{name}={value}" if name in TEXTS else format_param(name, value), 80)
            for name, value in self.varied.items()
        ]
        if self.repeats > 1:
            words.append(f"#{self.repeat + 1}")
        return f"run {self.index}: {' '.join(words)}"


def parse_vary(words: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Return what `--vary` words such as `temperature=0,0.7` or `seed=1..20` ask for.

    Values are separated by commas, or by `|` where one holds a comma. `1..20` and `0..1.5/0.25`
    are ranges, both ends included. Raises ParamError for what cannot be varied or is out of range.
    """
    found: dict[str, Sequence[object]] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign:
            raise ParamError(f"Write --vary NAME=A,B,C; not {one_line(word, 60)!r}.")
        name = name.replace("-", "_")
        if name in found:
            raise ParamError(f"--vary {one_line(name, 40)} is there twice: put all values in one.")
        parts = [part.strip() for part in text.split("|" if "|" in text else ",")]
        values = (_parse_range(part) if _has_ranges(name) else None for part in parts)
        found[name] = [
            value
            for part, steps in zip(parts, values, strict=True)
            for value in (steps or ([part] if part else []))
        ]
    return check_vary(found)


def check_vary(vary: Mapping[str, Iterable[object]]) -> dict[str, tuple[Value, ...]]:
    """Return the values of each name, as they will be sent. Raises ParamError as `varied` does."""
    found: dict[str, tuple[Value, ...]] = {}
    for name, given in vary.items():
        name = name.replace("-", "_")
        said = one_line(name, 40)
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ParamError(f"{said} takes several values: a list, not {one_line(given, 40)!r}.")
        if name in found:
            raise ParamError(f"{said} is there twice: put all values in one list.")
        values = tuple(_parse_value(name, value) for value in given)
        if not values:
            raise ParamError(f"--vary {said} has no values: {said}=A,B,C.")
        if len(set(values)) < len(values):
            raise ParamError(f"--vary {name} has a value twice. For repeats there is -n N.")
        found[name] = values
    return found


def _parse_value(name: str, value: object) -> Value:
    if name in TEXTS:
        if not isinstance(value, str) or not value.strip():
            raise ParamError(f"{name} takes texts that are not empty.")
        return value
    if name not in PARAMS or PARAMS[name].kind is list:
        known = [*TEXTS, *(each for each in PARAMS if PARAMS[each].kind is not list)]
        raise ParamError(f"{one_line(name, 60)!r} cannot be varied.{suggest(name, known)}")
    return validate(name, value)


def _has_ranges(name: str) -> bool:
    return name in PARAMS and find_param(name).kind in (int, float)


def _parse_range(text: str) -> list[str] | None:
    """Read `first..last` or `first..last/step`, exactly; None for anything else."""
    ends, _, step_text = text.partition("/")
    first_text, sign, last_text = ends.partition("..")
    if not sign:
        return None
    try:
        first, last = Decimal(first_text), Decimal(last_text)
        step = Decimal(step_text or "1")
        count = int((last - first) / step) if step > 0 else -1
        fits = 0 <= count < MOST_RUNS
        steps = [f"{first + i * step:f}" for i in range(count + 1)] if fits else []
    except (ArithmeticError, ValueError):  # also of an infinite step, or beyond what Decimal holds
        steps = []
    if not steps:
        raise ParamError(
            f"{one_line(text, 40)!r} is no range: write 1..20, or 0..1.5/0.25 with a step."
        )
    return steps


def make_runs(vary: Vary, repeats: int = 1) -> tuple[Run, ...]:
    """Return the runs of the grid: the name given last changes fastest, repeats faster still.

    Raises ParamError for no repeat at all, or for more runs than 10,000.
    """
    if repeats < 1:
        raise ParamError(f"-n takes a number of repeats from 1 on, not {repeats}.")
    count = prod(len(values) for values in vary.values()) * repeats
    if count > MOST_RUNS:
        raise ParamError(f"That would be {count:,} runs; at most {MOST_RUNS:,} go at once.")
    found = itertools.product(itertools.product(*vary.values()), range(repeats))
    return tuple(
        Run(index, dict(zip(vary, values, strict=True)), repeat, repeats)
        for index, (values, repeat) in enumerate(found)
    )


def digest(found: object) -> str:
    """Return what identifies plain data: the same for the same, whenever and wherever."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:32]


def run_key(url: str, body: Mapping[str, Any], said: str, repeat: int) -> str:
    """Return what identifies a run's request, so that a reply is found again after a restart.

    `said` is the digest of its messages, which many runs share.
    """
    rest = {name: value for name, value in body.items() if name != "messages"}
    return digest([url, rest, said, repeat])


def run_record(run: Run, reply: Reply, measures: Mapping[str, object]) -> dict[str, Any]:
    """Return a run as plain data: what was varied, what came, what it used, and its measures.

    `cost` is in USD and None where it is not known, times are in seconds.
    """
    return {
        "run": run.index,
        **run.varied,
        "repeat": run.repeat,
        "text": reply.clean_text,
        **({"reasoning": reply.reasoning} if reply.reasoning else {}),
        "status": reply.status,
        "finish_reason": reply.finish_reason,
        "answered_by": reply.model,
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
        "cost": None if reply.cost is None else float(reply.cost),
        "cost_is_estimate": reply.cost_is_estimate,
        "first_token": reply.first_token,
        "elapsed": reply.elapsed,
        "tokens_per_second": reply.tokens_per_second,
        **measures,
    }


def check_measures(names: Iterable[str], vary: Vary) -> None:
    """Raise ParamError for a measure that would take the place of a column that is there."""
    fixed = run_record(Run(0, {}, 0, 1), Reply(), {})
    taken = {*fixed, *vary, "reasoning", "error"} & {*names}
    if taken:
        raise ParamError(
            f"A measure cannot be called {one_line(min(taken), 40)}: that is a column already."
        )


def check_consent(calls: int, about: Decimal | None, covered: bool, *, yes: bool) -> None:
    """Raise BudgetError for a grid that needs the reader's leave: many calls, or much money.

    A budget that has covered the worst case is leave enough.
    """
    if yes or covered or (calls <= ASKED_CALLS and (about is None or about <= ASKED_COST)):
        return
    cost = "of unknown cost" if about is None else f"about {format_usd(about)}" if about else "free"
    raise BudgetError(
        f"{calls} calls, {cost}: nothing was sent yet. Run it with --yes, or set a budget that "
        "covers its worst case (%chat budget)."
    )
