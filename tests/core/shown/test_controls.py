"""What a panel shows of the settings: states, presets and warnings."""

from __future__ import annotations

from typing import Any

import pytest

from di_magics.core.money.prices import ListedModel
from di_magics.core.settings.params import PARAMS, validate
from di_magics.core.settings.policy import NO_POLICY, parse_policy
from di_magics.core.settings.services import SERVICES, UNKNOWN_SERVICE
from di_magics.core.settings.settings import Settings
from di_magics.core.shown.controls import (
    PRESETS,
    apply_preset,
    control_states,
    preset_states,
    setting_warnings,
)


def setting(**params: Any) -> Settings:
    """Return settings with these parameters."""
    return Settings(params={name: validate(name, value) for name, value in params.items()})


def of(settings: Settings, name: str, rules: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the control of a parameter."""
    policy = parse_policy(rules, "p.toml") if rules else NO_POLICY
    return next(
        c for c in control_states(settings, policy, SERVICES["deepinfra"]) if c["name"] == name
    )


def test_there_is_a_control_for_each_parameter() -> None:
    """In the order of the one table, with its range and effect."""
    found = control_states(Settings(), NO_POLICY, SERVICES["deepinfra"])
    assert [control["name"] for control in found] == list(PARAMS)
    assert all(control["effect"] == PARAMS[control["name"]].effect for control in found)


def test_a_control_says_whether_it_is_sent() -> None:
    """Not sent with the default in its place, or sent; 0 is a value."""
    assert (of(Settings(), "temperature")["state"], of(Settings(), "temperature")["at"]) == (
        "unset",
        1,
    )
    assert of(setting(temperature=0), "temperature")["value"] == 0
    assert of(setting(temperature=0), "temperature")["state"] == "set"
    assert of(setting(stop=["a"]), "stop")["value"] == ["a"]


def test_numbers_a_browser_would_round_are_text() -> None:
    """JavaScript's whole numbers end at 2^53."""
    assert of(setting(seed=2**53), "seed")["value"] == "9007199254740992"
    assert of(setting(seed=2**53 - 1), "seed")["value"] == 2**53 - 1


def test_a_slider_has_a_usable_range() -> None:
    """Within the range, open ends left out; the field beside it has the whole range."""
    seed, top_p = of(Settings(), "seed"), of(Settings(), "top_p")
    assert (seed["low"], seed["high"], seed["most"]) == (0, 100, str(2**63))
    assert top_p["low"] == 0.01
    assert of(Settings(), "max_tokens")["at"] == 1


def test_the_local_model_has_its_own_defaults() -> None:
    """llama.cpp's own."""
    result = {
        c["name"]: c["default"] for c in control_states(Settings(), NO_POLICY, SERVICES["local"])
    }
    assert (result["temperature"], result["top_k"], result["seed"]) == (
        "0.8",
        "40",
        "a new one every time",
    )


@pytest.mark.parametrize(
    ("rules", "built_in", "default", "text"),
    [
        ({}, True, 512, "512 is sent to the built-in model"),
        ({"max_tokens": {"max": 50}}, True, 50, "50 is sent, by policy"),
        ({"max_tokens": {"max": 900}}, True, 512, "512 is sent to the built-in model"),
        ({"max_tokens": {"max": 50}}, False, 50, "50 is sent, by policy"),
        ({}, False, 0, "not sent · default the server's limit"),
    ],
)
def test_a_limit_that_is_sent_without_being_set_is_not_called_not_sent(
    rules: dict[str, Any], built_in: bool, default: int, text: str
) -> None:
    """The built-in model's, or the bound of a policy."""
    policy = parse_policy({"parameters": rules}, "p.toml") if rules else NO_POLICY
    states = control_states(Settings(), policy, SERVICES["local"], built_in=built_in)
    (limit,) = [control for control in states if control["name"] == "max_tokens"]
    assert limit["unset"] == text
    assert limit["at"] == (default or 1)


def test_a_policys_rules_are_in_the_controls() -> None:
    """A locked value cannot be moved, a bounded one not beyond its bounds; both say by whom."""
    rules = {"parameters": {"seed": 3, "top_k": {"min": 5, "max": 9}}}
    assert of(setting(seed=1), "seed", rules)["value"] == 3
    assert of(Settings(), "seed", rules)["note"] == "locked by p.toml"
    top_k = of(Settings(), "top_k", rules)
    assert (top_k["low"], top_k["high"]) == (5, 9)
    assert top_k["note"] == "at least 5 and at most 9, by p.toml"


def test_a_control_shows_the_bound_that_a_policy_sends() -> None:
    """A bounded max_tokens, also where it is not set."""
    control = of(Settings(), "max_tokens", {"parameters": {"max_tokens": {"max": 50}}})
    assert (control["state"], control["default"]) == ("unset", "50")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_on_until_a_value_changes(name: str) -> None:
    """What does not shape the choice of tokens does not matter to it."""
    settings = apply_preset(setting(seed=1, presence_penalty=1), name, NO_POLICY)
    assert [preset["name"] for preset in preset_states(settings, NO_POLICY) if preset["on"]] == [
        name
    ]
    assert settings.params["seed"] == 1
    moved = settings.with_value("temperature", 0.33)
    assert not any(preset["on"] for preset in preset_states(moved, NO_POLICY))


def test_a_preset_does_not_change_locked_values() -> None:
    """And one that is out of bounds cannot be chosen."""
    locked = parse_policy({"parameters": {"temperature": 0.5}}, "p")
    assert apply_preset(Settings(), "Creative", locked).params == {"min_p": 0.05}
    bounded = parse_policy({"parameters": {"temperature": {"max": 1}}}, "p")
    allowed = {preset["name"]: preset["allowed"] for preset in preset_states(Settings(), bounded)}
    assert allowed == {"Default": True, "Precise": True, "Balanced": True, "Creative": False}


@pytest.mark.parametrize(
    ("params", "model", "hints"),
    [
        ({"temperature": 1, "top_p": 0.5}, None, ["both set"]),
        ({"temperature": 1}, None, []),
        ({"top_k": 5}, None, ["refused top_k: no"]),
        (
            {"reasoning_effort": "low"},
            ListedModel("m", None, None, ("chat",)),
            ["not listed as a reasoning model"],
        ),
        ({"reasoning_effort": "low"}, ListedModel("m", None, None, ("reasoning",)), []),
        ({"reasoning_effort": "low"}, ListedModel("m", None, None), []),
        ({}, ListedModel("m", None, None, replaced_by="n"), ["m is being replaced by n"]),
    ],
)
def test_conflicting_settings_have_a_warning(
    params: dict[str, Any], model: ListedModel | None, hints: list[str]
) -> None:
    """What one should know before asking."""
    found = setting_warnings(setting(**params), model, UNKNOWN_SERVICE, refused={"top_k": "no"})
    assert len(found) == len(hints)
    for line, hint in zip(found, hints, strict=True):
        assert hint in line


def test_parameters_that_the_local_model_ignores_are_named() -> None:
    """llama.cpp ignores some parameters."""
    (line,) = setting_warnings(setting(user="me"), None, SERVICES["local"], refused={})
    assert line == "The local model ignores user."
