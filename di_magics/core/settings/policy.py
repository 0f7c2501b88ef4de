"""A teacher's rules: which models, which parameters within which bounds, how much money.

They are checked last, just before sending; a violation is a PolicyError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from di_magics.core.amount import least_amount, parse_usd
from di_magics.core.errors import DiMagicsError, PolicyError
from di_magics.core.settings.extras import PARAM_OF_FIELD, PREFIX, check_extra, format_extra
from di_magics.core.settings.params import (
    DEFAULT_MAX_TOKENS,
    Value,
    find_param,
    format_param,
    suggest,
    validate,
)
from di_magics.core.visible import one_line

NOTEBOOK_FILE_KEYS = (
    "models",
    "parameters",
    "extra",
    "system",
    "budget",
    "budget_per_notebook",
    "above",
)
"""The names allowed in a file beside the notebook, which anybody may have put there."""
NAMES = (*NOTEBOOK_FILE_KEYS, "endpoint", "key_variable", "key_file", "log")
ZERO_IS_NO_LIMIT = ("max_tokens", "top_k")
"""The parameters of which servers read 0 as no limit."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The lowest and the highest value that a parameter may have; None for no limit."""

    low: Value | None = None
    high: Value | None = None

    @property
    def text(self) -> str:
        """The bounds in words, such as `at least 1 and at most 500`."""
        low = "" if self.low is None else f"at least {self.low}"
        high = "" if self.high is None else f"at most {self.high}"
        return " and ".join(filter(None, (low, high)))


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force.

    models                lists of patterns; a model must match one pattern of every list
    default_models        the lists of the teacher's files; the first model in them is the default
                          (a file beside the notebook may only narrow)
    locks                 values of parameters that are always sent
    bounds                limits of parameters
    extra_locks           values of other fields that are always sent
    extras                lists of other fields that may be sent; if a policy limits requests and
                          has no list, none may be sent, because a field that we do not know
                          could change the model or a limit
    system                the system prompt
    system_source         the path of the file it is from
    above                 whether the cells above may be sent with a prompt
    budgets               USD that all notebooks together may spend under a file, by its path
    budget_per_notebook   USD that each notebook may spend
    key_variable          the environment variable with the key for `endpoint`
    key_file              the file with that key
    log                   a folder for turns
    sources               the paths of the files that the rules are from
    """

    models: tuple[tuple[str, ...], ...] = ()
    default_models: tuple[tuple[str, ...], ...] = ()
    locks: Mapping[str, Value] = field(default_factory=dict)
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    extra_locks: Mapping[str, Any] = field(default_factory=dict)
    extras: tuple[tuple[str, ...], ...] = ()
    system: str | None = None
    system_source: str = ""
    above: bool = True
    budgets: Mapping[str, Decimal] = field(default_factory=dict)
    budget_per_notebook: Decimal | None = None
    endpoint: str | None = None
    key_variable: str | None = None
    key_file: str | None = None
    log: str | None = None
    sources: tuple[str, ...] = ()

    @property
    def source_names(self) -> str:
        """The files that the rules are from, for a message."""
        return " and ".join(self.sources) or "no policy"

    @property
    def model(self) -> str | None:
        """The default model: the first one without a wildcard, or None.

        A file that may only narrow does not choose it.
        """
        names = (name for patterns in self.default_models for name in patterns)
        return next((name for name in names if self.allows(name) and not _is_pattern(name)), None)

    def allows(self, model: str) -> bool:
        """Return whether a model may be asked."""
        return all(
            any(fnmatchcase(model, pattern) for pattern in patterns) for patterns in self.models
        )

    def apply_to(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Return the parameters as they may be sent, with the locked values.

        A bounded max_tokens is sent even when it is not set, because the server's default may be
        higher; a bound never raises it.
        Raises PolicyError for a value that is locked to another one or out of bounds.
        """
        sent = dict(params)
        for name, value in self.locks.items():
            if sent.setdefault(name, value) != value:
                raise PolicyError(
                    f"{format_param(name, sent[name])} is not allowed here: {self.source_names} "
                    f"locks it to {format_param(name, value)}. Use %chat unset {name}."
                )
        for name, bounds in self.bounds.items():
            if name == "max_tokens" and name not in sent and isinstance(bounds.high, int):
                sent[name] = min(bounds.high, DEFAULT_MAX_TOKENS)
            if name in sent and not _is_within(name, sent[name], bounds):
                raise PolicyError(
                    f"{format_param(name, sent[name])} is not allowed here: {self.source_names} "
                    f"requires {bounds.text}. Choose a value in this range, or use %chat unset "
                    f"{name}."
                )
        return sent

    def apply_to_extra(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """Return the other fields of a request as they may be sent, with the locked ones.

        Raises PolicyError for one that is not allowed, that is locked to another value, or that
        would replace a parameter with a rule.
        """
        sent = dict(extra)
        for name, value in self.extra_locks.items():
            if sent.setdefault(name, value) != value:
                raise PolicyError(
                    f"The extra {format_extra(name, sent[name])} is not allowed here: "
                    f"{self.source_names} locks it to {format_extra(name, value)}. Leave it out."
                )
        for name in sent:
            owner = PARAM_OF_FIELD.get(name, name)
            is_listed = bool(self.extras) and all(name in names for names in self.extras)
            if name not in self.extra_locks and (
                owner in self.locks
                or owner in self.bounds
                or (self.limits_requests and not is_listed)
            ):
                raise PolicyError(
                    f"The extra {name} is not allowed here, by {self.source_names}. Leave it out."
                )
        return sent

    @property
    def limits_requests(self) -> bool:
        """Whether there are rules about requests, so that other fields must be listed."""
        rules = (self.models, self.locks, self.bounds, self.extra_locks, self.extras, self.budgets)
        return any(rules) or self.budget_per_notebook is not None

    def check_model(self, model: str) -> None:
        """Raise PolicyError for a model that may not be asked."""
        if not self.allows(model):
            names = [name for patterns in self.models for name in patterns]
            allowed = ", ".join(one_line(name, 80) for name in names[:5])
            raise PolicyError(
                f"The model {one_line(model, 80)} is not allowed here: {self.source_names} allows "
                f"{allowed}{', …' if len(names) > 5 else ''}.{suggest(model, names)} Choose one of "
                "these with -m or %chat model."
            )

    def check_above(self) -> None:
        """Raise PolicyError where the cells above may not be sent."""
        if not self.above:
            raise PolicyError(
                f"The cells above may not be sent here, by {self.source_names}. Leave out --above."
            )


NO_POLICY = Policy()


def parse_policy(table: Mapping[str, Any], source: str, *, narrowing: bool = False) -> Policy:
    """Return the policy in a file's table; `narrowing` for a file that may only narrow.

    Raises PolicyError for anything unknown, because no rule may be ignored.
    """
    allowed = NOTEBOOK_FILE_KEYS if narrowing else NAMES
    for name in table:
        if name not in allowed:
            why = "may not set" if name in NAMES else "has an unknown entry"
            raise _policy_error(source, f"{why} {one_line(name, 40)!r}.{suggest(name, allowed)}")
    rules = table.get("parameters", {})
    extra_locks = _parse_extra_locks(rules, source, narrowing=narrowing)
    if extra_locks:
        rules = {name: rule for name, rule in rules.items() if not name.startswith(PREFIX)}
    locks, bounds = _parse_parameters(rules, source, narrowing=narrowing)
    models = _parse_names(table, "models", source, 1)
    budget = _parse_budget(table, "budget", source)
    return Policy(
        models=models,
        default_models=() if narrowing else models,
        locks=locks,
        bounds=bounds,
        extra_locks=extra_locks,
        extras=_parse_names(table, "extra", source),
        system=_parse_text(table, "system", source),
        system_source=source if "system" in table else "",
        above=_parse_above(table.get("above", True), source),
        budgets={} if budget is None else {source: budget},
        budget_per_notebook=_parse_budget(table, "budget_per_notebook", source),
        endpoint=_parse_text(table, "endpoint", source),
        key_variable=_parse_text(table, "key_variable", source),
        key_file=_parse_text(table, "key_file", source),
        log=_parse_text(table, "log", source),
        sources=(source,),
    )


def merge_policies(outer: Policy, inner: Policy) -> Policy:
    """Return a policy with the rules of both; where they conflict, `outer` wins."""
    bounds = dict(outer.bounds)
    for name, other in inner.bounds.items():
        mine = bounds.get(name, Bounds())
        lows = [end for end in (mine.low, other.low) if end is not None]
        highs = [end for end in (mine.high, other.high) if end is not None]
        bounds[name] = Bounds(max(lows, default=None), min(highs, default=None))
    merged = replace(
        outer,
        models=outer.models + inner.models,
        locks={**inner.locks, **outer.locks},
        # If the outer rules allow no extras, the inner ones must not allow any.
        extras=(outer.extras or (((),) if outer.limits_requests else ())) + inner.extras,
        bounds=bounds,
        above=outer.above and inner.above,
        budgets={**inner.budgets, **outer.budgets},
        budget_per_notebook=least_amount(outer.budget_per_notebook, inner.budget_per_notebook),
        sources=outer.sources + inner.sources,
    )
    if outer.system is None:
        merged = replace(merged, system=inner.system, system_source=inner.system_source)
    return merged


def _is_within(name: str, value: Value, bounds: Bounds) -> bool:
    if not isinstance(value, int | float):
        return True
    if value == 0 and name in ZERO_IS_NO_LIMIT:
        return bounds.high is None
    return not (
        (isinstance(bounds.low, int | float) and value < bounds.low)
        or (isinstance(bounds.high, int | float) and value > bounds.high)
    )


def _is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _policy_error(source: str, why: str) -> PolicyError:
    return PolicyError(
        f"The policy {one_line(source, 160)} {why} Nothing was sent: its author must correct it."
    )


def _parse_names(
    table: Mapping[str, Any], name: str, source: str, least: int = 0
) -> tuple[tuple[str, ...], ...]:
    names = table.get(name)
    if names is None:
        return ()
    is_list = isinstance(names, list) and all(isinstance(text, str) and text for text in names)
    if not is_list or len(names) < least:
        raise _policy_error(source, f"must have its {name} as a list of names: {name} = ['…'].")
    return (tuple(names),)


def _parse_extra_locks(rules: object, source: str, *, narrowing: bool) -> dict[str, Any]:
    if not isinstance(rules, Mapping):
        return {}
    locks = {}
    for key, value in rules.items():
        if not key.startswith(PREFIX):
            continue
        if narrowing:
            raise _policy_error(source, f"may not set {one_line(key, 60)!r}.")
        try:
            locks[key.removeprefix(PREFIX)] = check_extra(key.removeprefix(PREFIX), value)
        except DiMagicsError as error:
            raise _policy_error(source, f"is wrong: {str(error).rstrip('.')}.") from None
    return locks


def _parse_parameters(
    rules: object, source: str, *, narrowing: bool
) -> tuple[dict[str, Value], dict[str, Bounds]]:
    locks: dict[str, Value] = {}
    bounds: dict[str, Bounds] = {}
    if not isinstance(rules, Mapping):
        raise _policy_error(source, "must have its parameters in a table: [parameters].")
    for name, rule in rules.items():
        try:
            param = find_param(str(name))
            if isinstance(rule, Mapping):
                ends = {end: validate(param.name, value) for end, value in rule.items()}
                if not ends.keys() <= {"min", "max"} or param.kind not in (int, float):
                    raise _policy_error(source, "may bound only numbers, with min and max.")
                _check_limit(param.name, ends.get("max"), source)
                bounds[param.name] = Bounds(ends.get("min"), ends.get("max"))
            elif narrowing and param.name == "tool_choice":
                raise _policy_error(source, "may not set 'tool_choice'.")
            elif narrowing and param.name == "max_tokens":  # a lock could raise it
                bounds[param.name] = Bounds(high=validate(param.name, rule))
                _check_limit(param.name, bounds[param.name].high, source)
            else:
                locks[param.name] = validate(param.name, rule)
        except PolicyError:
            raise
        except DiMagicsError as error:
            raise _policy_error(source, f"is wrong: {str(error).rstrip('.')}.") from None
    return locks, bounds


def _check_limit(name: str, most: Value | None, source: str) -> None:
    if most == 0 and name in ZERO_IS_NO_LIMIT:
        raise _policy_error(source, f"must limit {name} to 1 or more: servers read 0 as unlimited.")


def _parse_budget(table: Mapping[str, Any], name: str, source: str) -> Decimal | None:
    if name not in table:
        return None
    try:
        return parse_usd(table[name], f"its {name}")
    except DiMagicsError as error:
        raise _policy_error(source, f"is wrong: {error}") from None


def _parse_above(value: object, source: str) -> bool:
    if not isinstance(value, bool):
        raise _policy_error(source, "must set above to true or false.")
    return value


def _parse_text(table: Mapping[str, Any], name: str, source: str) -> str | None:
    value = table.get(name)
    if name in table and (not isinstance(value, str) or not value.strip()):
        raise _policy_error(source, f"must have a text as its {name}.")
    return value
