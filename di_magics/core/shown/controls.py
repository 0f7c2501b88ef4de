"""The settings as a panel displays them: a control per parameter, presets and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from di_magics.core.errors import PolicyError
from di_magics.core.money.prices import ListedModel
from di_magics.core.settings.params import BUILT_IN_MAX_TOKENS, PARAMS, Param, Value
from di_magics.core.settings.policy import Bounds, Policy
from di_magics.core.settings.services import Service
from di_magics.core.settings.settings import Settings
from di_magics.core.visible import one_line

PRESETS: Mapping[str, Mapping[str, Value]] = {
    "Default": {},
    "Precise": {"temperature": 0.2},
    "Balanced": {"temperature": 0.7},
    "Creative": {"temperature": 1.2, "min_p": 0.05},
}
"""Values of the parameters that shape the choice of the next token; the others do not change."""


def apply_preset(settings: Settings, name: str, policy: Policy) -> Settings:
    """Return the settings with a preset's values; parameters that a policy locks do not change."""
    kept = {
        param: value
        for param, value in settings.params.items()
        if not PARAMS[param].shapes or param in policy.locks
    }
    values = {param: v for param, v in PRESETS[name].items() if param not in policy.locks}
    return replace(settings, params={**kept, **values})


def preset_states(settings: Settings, policy: Policy) -> list[dict[str, Any]]:
    """Return the presets: whether each is in use, whether it is allowed, and its values as text."""
    now = {name: value for name, value in settings.params.items() if PARAMS[name].shapes}
    presets = []
    for name, values in PRESETS.items():
        try:
            policy.apply_to({n: v for n, v in values.items() if n not in policy.locks})
            allowed = True
        except PolicyError:
            allowed = False
        text = ", ".join(f"{n} {v}" for n, v in values.items()) or "the server's own values"
        presets.append({"name": name, "on": now == values, "allowed": allowed, "words": text})
    return presets


def control_states(
    settings: Settings, policy: Policy, service: Service, *, built_in: bool = False
) -> list[dict[str, Any]]:
    """Return the control of every parameter: its value, its state, its range and its effect."""
    return [
        _control(param, settings.params.get(name), policy, service, built_in=built_in)
        for name, param in PARAMS.items()
    ]


def _control(
    param: Param, value: Value | None, policy: Policy, service: Service, *, built_in: bool
) -> dict[str, Any]:
    locked = policy.locks.get(param.name)
    bounds = policy.bounds.get(param.name, Bounds())
    default = service.default(param)
    unset = f"not sent · default {default}" if default else "not sent · the server's default"
    if param.name == "max_tokens":
        by_policy = bounds.high if isinstance(bounds.high, int) else None
        if built_in and (by_policy is None or by_policy >= BUILT_IN_MAX_TOKENS):
            default = f"{BUILT_IN_MAX_TOKENS}"
            unset = f"{default} is sent to the built-in model"
        elif by_policy is not None:
            default = f"{by_policy}"
            unset = f"{default} is sent, by policy"
    low, high = param.low, param.high
    state: dict[str, Any] = {
        "name": param.name,
        "kind": param.kind.__name__,
        "effect": param.effect,
        "range": param.range,
        "state": "locked" if locked is not None else "unset" if value is None else "set",
        "value": _plain(locked if locked is not None else value),
        "default": default,
        "unset": unset,
        "choices": list(param.choices),
        "suggestions": list(param.suggestions),
    }
    if locked is not None:
        state["note"] = f"locked by {one_line(policy.source_names, 160)}"
    elif bounds.text:
        state["note"] = f"{bounds.text}, by {one_line(policy.source_names, 160)}"
    if low is not None and high is not None:
        usual = param.usual or (low, high)
        ends = [_number(bounds.low, usual[0]), _number(bounds.high, usual[1])]
        # An open end is not in the range: the slider starts one step above it.
        ends[0] += (param.step or 0) if param.low_open and ends[0] == low else 0
        state |= {"low": ends[0], "high": ends[1], "step": param.step}
        state |= {"least": _plain(low), "most": _plain(high)}
        state["at"] = _leading_number(default or param.default, ends[0])
    return state


def _number(end: Value | None, usual: float) -> float:
    return end if isinstance(end, int | float) else usual


def _leading_number(text: str, low: float) -> float:
    try:
        return float(text.split()[0])
    except ValueError:
        return low


def _plain(value: Value | None) -> object:
    """Return a value as JSON that a browser parses exactly: its numbers end at 2^53."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, int) and abs(value) >= 2**53 else value


def setting_warnings(
    settings: Settings,
    model: ListedModel | None,
    service: Service,
    refused: Mapping[str, str],
) -> list[str]:
    """Return warnings about these settings.

    `refused` are the parameters that this model has refused before, with the server's messages.
    """
    return list(_warnings(settings.params, model, service, refused))


def _warnings(
    params: Mapping[str, Value],
    model: ListedModel | None,
    service: Service,
    refused: Mapping[str, str],
) -> Iterator[str]:
    if "temperature" in params and "top_p" in params:
        yield (
            "temperature and top_p are both set, and each changes the effect of the other. Unset "
            "one to see what the other does."
        )
    yield from (line[0].upper() + line[1:] for line in service.warnings(params))
    for name in params:
        if name in refused:
            yield f"This model has refused {name}: {one_line(refused[name], 200)}"
    tags = model.tags if model else ()
    if "reasoning_effort" in params and tags and not {"reasoning", "reasoning_effort"} & {*tags}:
        yield "This model is not listed as a reasoning model: it may refuse reasoning_effort."
    if model and model.replaced_by:
        yield f"{one_line(model.id, 80)} is being replaced by {one_line(model.replaced_by, 80)}."
