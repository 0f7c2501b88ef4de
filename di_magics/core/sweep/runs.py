"""A sweep: the varied values, the runs that result, and their records.

A sweep varies sampling parameters, the model or the system prompt.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import prod
from typing import Any

from di_magics.core.amount import format_usd
from di_magics.core.errors import BudgetError, ParamError
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.flags import VARIED_TEXTS
from di_magics.core.settings.params import (
    PARAMS,
    Value,
    find_param,
    format_param,
    suggest,
    validate,
)
from di_magics.core.text import respell_number
from di_magics.core.visible import one_line

MAX_RUNS = 10_000
MAX_CALLS_UNASKED = 20
MAX_COST_UNASKED = Decimal("0.05")
TYPICAL_TOKENS = 400
"""The usual length of a reply that nothing limits, to estimate the cost of a sweep."""

Vary = Mapping[str, tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Run:
    """One request of a sweep: its number, the varied values, and which repeat it is, from 0."""

    index: int
    varied: Mapping[str, Value]
    repeat: int
    repeats: int

    @property
    def varied_texts(self) -> list[str]:
        """The values in which it differs from the others, as `name=value`."""
        return [
            one_line(f"{name}={value}" if name in VARIED_TEXTS else format_param(name, value), 80)
            for name, value in self.varied.items()
        ]

    @property
    def label(self) -> str:
        """Its number, and the values in which it differs from the others."""
        parts = self.varied_texts
        if self.repeats > 1:
            parts.append(f"#{self.repeat + 1}")
        return f"run {self.index}: {' '.join(parts)}"


def parse_vary(texts: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Return the values of `--vary` texts such as `temperature=0,0.7` or `seed=1..20`, by name.

    Values are separated by commas, or by `|` where one holds a comma. `1..20` and `0..1.5/0.25`
    are ranges, both ends included. Raises ParamError for what cannot be varied or is out of range.
    """
    vary: dict[str, tuple[Value, ...]] = {}
    for assignment in texts:
        name, sign, text = assignment.partition("=")
        if not sign:
            raise ParamError(f"--vary must be NAME=A,B,C, not {one_line(assignment, 60)!r}.")
        name = name.replace("-", "_")
        if name in vary:
            raise ParamError(
                f"--vary {one_line(name, 40)} is set twice. Put all values into one --vary."
            )
        kind = find_param(name).kind if name in PARAMS else str
        parts = [part.strip() for part in text.split("|" if "|" in text else ",")]
        try:
            steps = [kind in (int, float) and _parse_range(part) for part in parts]
            values = [v for part, many in zip(parts, steps, strict=True) for v in many or [part]]
            vary |= check_vary({name: [value for value in values if value]})
        except ParamError as error:
            comma = re.search(r"(?<![\d.])\d+,\d+(?![\d.])", text)
            if comma is None or kind is not float or "|" in text:
                raise
            hint = f" A comma separates values.{respell_number(comma[0])}"
            raise ParamError(f"{error}{hint}") from None
    return vary


def check_vary(vary: Mapping[str, Iterable[object]]) -> dict[str, tuple[Value, ...]]:
    """Return the values of each name as they will be sent. Raises ParamError as `parse_vary`."""
    checked: dict[str, tuple[Value, ...]] = {}
    for name, given in vary.items():
        if not isinstance(name, str):
            raise ParamError("What is varied must be the name of a parameter, model or system.")
        name = name.replace("-", "_")
        label = one_line(name, 40)
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ParamError(f"{label} must be a list of values, not {one_line(given, 40)!r}.")
        if name in checked:
            raise ParamError(f"{label} is set twice. Put all values into one list.")
        values = tuple(_parse_value(name, value) for value in given)
        if not values:
            raise ParamError(f"--vary {label} has no values. Write {label}=A,B,C.")
        if len(set(values)) < len(values):
            raise ParamError(f"--vary {label} has a value twice. Repeat with -n N.")
        checked[name] = values
    return checked


def _parse_value(name: str, value: object) -> Value:
    if name in VARIED_TEXTS:
        if not isinstance(value, str) or not value.strip():
            raise ParamError(f"{name} must be a list of non-empty texts.")
        return value
    if name not in PARAMS or PARAMS[name].kind is list:
        known = [*VARIED_TEXTS, *(param for param in PARAMS if PARAMS[param].kind is not list)]
        raise ParamError(
            f"{one_line(name, 60)!r} cannot be varied.{suggest(name, known)} "
            "Vary a parameter, model or system."
        )
    return validate(name, value)


def _parse_range(text: str) -> list[str] | None:
    """Return the values of `first..last` or `first..last/step`, exactly; None for no range."""
    ends, _, step_text = text.partition("/")
    first_text, sign, last_text = ends.partition("..")
    if not sign:
        return None
    try:
        first, last = Decimal(first_text), Decimal(last_text)
        step = Decimal(step_text or "1")
        count = int((last - first) / step) if step > 0 else -1
        fits = 0 <= count < MAX_RUNS
        steps = [f"{first + i * step:f}" for i in range(count + 1)] if fits else []
    except (ArithmeticError, ValueError):  # also of an infinite step, or beyond what Decimal holds
        steps = []
    if not steps:
        raise ParamError(
            f"{one_line(text, 40)!r} is not a range. Write 1..20, or 0..1.5/0.25 with a step."
        )
    return steps


def make_runs(vary: Vary, repeats: int = 1) -> tuple[Run, ...]:
    """Return the runs in order: the name given last changes fastest, repeats faster still.

    Raises ParamError for less than one repeat, and for more than 10,000 runs.
    """
    if repeats < 1:
        raise ParamError(f"-n must be at least 1, not {repeats}.")
    count = prod(len(values) for values in vary.values()) * repeats
    if count > MAX_RUNS:
        raise ParamError(
            f"A sweep has at most {MAX_RUNS:,} runs, not {count:,}. Vary fewer values."
        )
    combinations = itertools.product(itertools.product(*vary.values()), range(repeats))
    return tuple(
        Run(index, dict(zip(vary, values, strict=True)), repeat, repeats)
        for index, (values, repeat) in enumerate(combinations)
    )


def digest(data: object) -> str:
    """Return a hash of plain data, which is the same in every process."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]


def run_key(url: str, body: Mapping[str, Any], messages_digest: str, repeat: int) -> str:
    """Return what identifies a run's request, so that its reply is used again after a restart.

    The digest of the messages is computed once, because many runs share them.
    """
    rest = {name: value for name, value in body.items() if name != "messages"}
    return digest([url, rest, messages_digest, repeat])


def run_record(run: Run, reply: Reply, measures: Mapping[str, object]) -> dict[str, Any]:
    """Return a run as plain data: the varied values, the reply, its usage and its measures.

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


def check_measures(measures: Mapping[str, object], vary: Vary) -> None:
    """Raise ParamError for a measure that is not a function or has the name of another column."""
    for name, measure in measures.items():
        if not isinstance(name, str) or not callable(measure):
            raise ParamError("measures must be a dict of functions by name: {'words': count}.")
    fixed = run_record(Run(0, {}, 0, 1), Reply(), {})
    taken = {*fixed, *vary, "reasoning", "error"} & {*measures}
    if taken:
        raise ParamError(
            f"The measure {one_line(min(taken), 40)} has the name of a column. Give it another "
            "name."
        )


def check_consent(calls: int, about: Decimal | None, covered: bool, *, yes: bool) -> None:
    """Raise BudgetError for a sweep of many calls or of a high cost without the user's consent.

    Consent is `yes`, or a budget that has `covered` the worst case. Free calls need none.
    """
    is_cheap = about is None or about <= MAX_COST_UNASKED
    is_free = about is not None and not about
    if yes or covered or is_free or (calls <= MAX_CALLS_UNASKED and is_cheap):
        return
    cost = "of unknown cost" if about is None else f"about {format_usd(about)}"
    raise BudgetError(
        f"Nothing was sent yet: this is {calls} calls, {cost}. Add --yes, or set a budget that "
        "covers the worst case (%chat budget)."
    )
