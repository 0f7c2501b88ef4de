"""A teacher's rules: read strictly, merged towards the narrower, checked last."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from di_magics.core.errors import PolicyError
from di_magics.core.settings.policy import NO_POLICY, Bounds, Policy, merge_policies, parse_policy
from di_magics.storage.policy_file import BESIDE, PolicyFiles

RULES: dict[str, Any] = {
    "models": ["a/small", "b/*"],
    "system": "Be brief.",
    "budget": 0.5,
    "budget_per_notebook": 0.25,
    "endpoint": "https://class.example/v1",
    "key_variable": "CLASS_KEY",
    "log": "/logs",
    "parameters": {
        "temperature": 0.7,
        "max-tokens": {"max": 500},
        "top_p": {"min": 0.5, "max": 1},
    },
}


def test_a_policy_is_parsed() -> None:
    """Locks, bounds, models, money and the name of what holds the key."""
    policy = parse_policy(RULES, "p.toml")
    assert policy.locks == {"temperature": 0.7}
    assert policy.bounds == {"max_tokens": Bounds(None, 500), "top_p": Bounds(0.5, 1)}
    assert policy.budgets == {"p.toml": Decimal("0.5")}
    assert policy.budget_per_notebook == Decimal("0.25")
    assert (policy.system, policy.log) == ("Be brief.", "/logs")
    assert (policy.endpoint, policy.key_variable) == ("https://class.example/v1", "CLASS_KEY")
    assert (policy.source_names, NO_POLICY.source_names) == ("p.toml", "no policy")


@pytest.mark.parametrize(
    ("rules", "hint"),
    [
        ({"model": ["a"]}, "'model'. Did you mean models?"),
        ({"models": []}, "its models"),
        ({"models": "a"}, "its models"),
        ({"models": ["a", 1]}, "its models"),
        ({"parameters": 1}, "table"),
        ({"parameters": {"temprature": 1}}, "Did you mean temperature?"),
        ({"parameters": {"temperature": 9}}, "out of range"),
        ({"parameters": {"temperature": {"least": 1}}}, "min and max"),
        ({"parameters": {"user": {"min": "a"}}}, "min and max"),
        ({"parameters": {"max_tokens": {"max": 0}}}, "limit max_tokens to 1 or more"),
        ({"parameters": {"top_k": {"min": 0, "max": 0}}}, "limit top_k to 1 or more"),
        ({"budget": "much"}, "amount of USD"),
        ({"budget": -1}, "amount of USD"),
        ({"budget_per_notebook": "much"}, "its budget_per_notebook must be an amount of USD"),
        ({"system": 1}, "as its system"),
        ({"log": " "}, "as its log"),
        ({"above": "no"}, "set above to true or false"),
    ],
)
def test_what_is_not_understood_is_refused(rules: dict[str, Any], hint: str) -> None:
    """A rule that was overlooked would be no rule."""
    with pytest.raises(PolicyError) as error:
        parse_policy(rules, "p.toml")
    assert hint in str(error.value)
    assert "p.toml" in str(error.value)


@pytest.mark.parametrize("name", ["endpoint", "key_variable", "key_file", "log"])
def test_a_narrowing_file_cannot_send_things_elsewhere(name: str) -> None:
    """Anyone may have put it there."""
    with pytest.raises(PolicyError, match="may not set"):
        parse_policy({name: "x"}, "p.toml", narrowing=True)


def test_locked_values_are_sent_and_nothing_else_in_their_place() -> None:
    """The same value may be named, another one is refused."""
    policy = parse_policy(RULES, "p.toml")
    assert policy.apply_to({})["temperature"] == 0.7
    assert policy.apply_to({"temperature": 0.7})["temperature"] == 0.7
    with pytest.raises(PolicyError, match=r"temperature=1 is not allowed.*temperature=0\.7"):
        policy.apply_to({"temperature": 1})


@pytest.mark.parametrize(
    ("params", "hint"),
    [
        ({"max_tokens": 501}, "at most 500"),
        ({"top_p": 0.4}, r"at least 0\.5 and at most 1"),
    ],
)
def test_bounds_hold(params: dict[str, Any], hint: str) -> None:
    """What is out of them is refused."""
    with pytest.raises(PolicyError, match=hint):
        parse_policy(RULES, "p.toml").apply_to(params)


@pytest.mark.parametrize("name", ["max_tokens", "top_k"])
def test_where_0_is_no_limit_it_is_more_than_every_bound(name: str) -> None:
    """Servers read it so."""
    for ends in ({"max": 40}, {"min": 0, "max": 40}):
        policy = parse_policy({"parameters": {name: ends}}, "p.toml")
        assert policy.apply_to({name: 40})[name] == 40
        with pytest.raises(PolicyError, match="at most 40"):
            policy.apply_to({name: 0})
    assert parse_policy({"parameters": {name: {"min": 9}}}, "p").apply_to({name: 0})[name] == 0
    assert parse_policy({"parameters": {name: 0}}, "p").apply_to({}) == {name: 0}
    rules = {"parameters": {"temperature": {"max": 0}, "top_p": {"max": 1}}}
    assert parse_policy(rules, "p").apply_to({"temperature": 0}) == {"temperature": 0}


def test_a_bounded_max_tokens_is_always_sent() -> None:
    """Left out it would mean as many as the server likes; other parameters stay unset."""
    policy = parse_policy(RULES, "p.toml")
    assert policy.apply_to({}) == {"temperature": 0.7, "max_tokens": 500}
    assert policy.apply_to({"max_tokens": 500, "top_p": 0.5})["max_tokens"] == 500
    assert Policy(bounds={"max_tokens": Bounds(1, None)}).apply_to({}) == {}
    assert Policy(bounds={"stop": Bounds()}).apply_to({"stop": ("a",)}) == {"stop": ("a",)}


def test_models_are_patterns() -> None:
    """The first that is spelled out is the one asked where none is named."""
    policy = parse_policy(RULES, "p.toml")
    policy.check_model("b/large")
    assert policy.model == "a/small"
    with pytest.raises(PolicyError, match=r"model a/smal is not allowed .* Did you mean a/small"):
        policy.check_model("a/smal")
    assert parse_policy({"models": ["b/*"]}, "p").model is None
    with pytest.raises(PolicyError, match=", …"):
        parse_policy({"models": list("abcdef")}, "p").check_model("z")


def test_the_rules_of_both_files_hold() -> None:
    """The narrower end of everything; the outer's lock and system prompt where only one can be."""
    outer = parse_policy(RULES, "outer")
    inner = parse_policy(
        {
            "models": ["a/*"],
            "system": "Be rude.",
            "budget": "$0.10",
            "budget_per_notebook": 1,
            "parameters": {"temperature": 1, "seed": 1, "top_p": {"min": 0.6}, "top_k": {"max": 9}},
        },
        "inner",
        narrowing=True,
    )
    policy = merge_policies(outer, inner)
    assert policy.allows("a/small")
    assert not policy.allows("b/large")
    assert policy.locks == {"temperature": 0.7, "seed": 1}
    assert policy.bounds["top_p"] == Bounds(0.6, 1)
    assert policy.bounds["top_k"] == Bounds(None, 9)
    assert policy.system == "Be brief."
    assert policy.budgets == {"outer": Decimal("0.5"), "inner": Decimal("0.10")}
    assert policy.budget_per_notebook == Decimal("0.25")
    assert policy.source_names == "outer and inner"
    assert merge_policies(NO_POLICY, inner).system == "Be rude."
    assert merge_policies(NO_POLICY, inner).system_source == "inner"
    assert merge_policies(NO_POLICY, NO_POLICY).budget_per_notebook is None
    assert merge_policies(NO_POLICY, inner).budget_per_notebook == 1


@pytest.fixture
def policies(tmp_path: Path) -> PolicyFiles:
    """The policies of a notebook in the test's folder."""
    return PolicyFiles(lambda: tmp_path, None)


def test_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    """The teacher's file, and one beside the notebook."""
    (tmp_path / "class.toml").write_text("budget = 0.5")
    policies = PolicyFiles(lambda: tmp_path, str(tmp_path / "class.toml"))
    assert policies.current().locks == {}
    (tmp_path / BESIDE).write_text("[parameters]\nseed = 1")
    assert policies.current().locks == {"seed": 1}
    (tmp_path / "class.toml").write_text("budget = 0.5\n[parameters]\nseed = 22")
    assert policies.current().locks == {"seed": 22}
    (tmp_path / "class.toml").write_text("budget = 0.25")
    (tmp_path / BESIDE).unlink()
    assert list(policies.current().budgets.values()) == [Decimal("0.25")]


def test_a_file_is_known_by_one_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whichever folder it is reached, from wherever, and whatever version a link leads to."""
    real, linked = tmp_path / "real", tmp_path / "linked"
    real.mkdir()
    linked.symlink_to(real)
    for version in ("first", "second"):
        (real / version).write_text("budget = 1")
    (real / "class.toml").symlink_to("first")
    monkeypatch.chdir(real)
    spellings = ["class.toml", f"{linked}/../linked/class.toml", f"{real}/class.toml"]
    policies = [PolicyFiles(lambda: tmp_path, spelling) for spelling in spellings]
    monkeypatch.chdir("/")
    expected = (os.path.realpath(real) + "/class.toml",)
    assert {policy.current().sources for policy in policies} == {expected}
    (real / "class.toml").unlink()
    (real / "class.toml").symlink_to("second")
    assert {policy.current().sources for policy in policies} == {expected}


@pytest.mark.parametrize("content", [b"models = [", b"\xff\xfe", b"models = ['a'] trailing"])
def test_a_broken_file_is_an_error(policies: PolicyFiles, tmp_path: Path, content: bytes) -> None:
    """It is named, and no rules are made up."""
    (tmp_path / BESIDE).write_bytes(content)
    with pytest.raises(PolicyError, match=r"di_magics\.toml cannot be read"):
        policies.current()


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Without it the class would have no rules."""
    with pytest.raises(PolicyError, match="No such file"):
        PolicyFiles(lambda: tmp_path, "/no/such/file.toml").current()


def test_only_the_user_can_read_the_log(policies: PolicyFiles, tmp_path: Path) -> None:
    """Others cannot read it, and a link in its place is not followed."""
    logs, elsewhere = tmp_path / "logs", tmp_path / "elsewhere"
    policy = Policy(log=str(logs), sources=("class.toml",))
    policies.check_log(policy)
    (log,) = logs.iterdir()
    assert log.stat().st_mode & 0o007 == 0
    log.unlink()
    log.symlink_to(elsewhere)
    with pytest.raises(PolicyError, match="cannot be written"):
        policies.check_log(policy)
    assert not elsewhere.exists()


@pytest.mark.parametrize("is_read", [False, True])
def test_a_pipe_in_the_place_of_the_log_is_refused(
    policies: PolicyFiles, tmp_path: Path, is_read: bool
) -> None:
    """Nobody waits for its reader, and nobody reads there what was asked."""
    policy = Policy(log=str(tmp_path / "logs"), sources=("class.toml",))
    policies.check_log(policy)
    (log,) = (tmp_path / "logs").iterdir()
    log.unlink()
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK) if is_read else None
    with pytest.raises(PolicyError, match="cannot be written"):
        policies.check_log(policy)
    if reader is not None:
        os.close(reader)


def test_a_file_that_is_too_large_is_an_error(policies: PolicyFiles, tmp_path: Path) -> None:
    """It is not cut off, which would lose rules."""
    (tmp_path / BESIDE).write_text("#" * 1_048_577 + "\nmodels = ['a']")
    with pytest.raises(PolicyError, match="too large"):
        policies.current()


def test_the_key_is_where_the_policy_says(
    policies: PolicyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a variable or a file; without a policy there is none."""
    assert policies.key() is None
    policy = tmp_path / "class.toml"
    policies = PolicyFiles(lambda: tmp_path, str(policy))
    policy.write_text("key_variable = 'CLASS_KEY'")
    with pytest.raises(PolicyError, match="environment variable CLASS_KEY"):
        policies.key()
    monkeypatch.setenv("CLASS_KEY", " k1 ")
    assert policies.key() == "k1"
    policy.write_text(f"key_file = '{tmp_path}/the-key'")
    with pytest.raises(PolicyError, match="the-key"):
        policies.key()
    (tmp_path / "the-key").write_text("k2\n")
    assert policies.key() == "k2"


def test_a_file_that_narrows_chooses_no_model() -> None:
    """It forbids others; which of those it allows is asked is for the user to say."""
    inner = parse_policy({"models": ["dear/model"]}, "di_magics.toml", narrowing=True)
    assert merge_policies(NO_POLICY, inner).model is None
    outer = parse_policy({"models": ["a/*", "b"]}, "p.toml")
    assert merge_policies(outer, inner).model is None
    assert outer.model == "b"


def test_a_file_that_narrows_sets_no_tool_choice() -> None:
    """A model would be made to call a tool that the user did not mean to be called."""
    rules = {"parameters": {"tool_choice": "required"}}
    with pytest.raises(PolicyError, match="tool_choice"):
        parse_policy(rules, "di_magics.toml", narrowing=True)


@pytest.mark.parametrize("rule", [0, {"max": 0}])
def test_a_file_that_narrows_never_says_no_limit(rule: object) -> None:
    """As 0 does."""
    with pytest.raises(PolicyError, match="1 or more"):
        parse_policy({"parameters": {"max_tokens": rule}}, "di_magics.toml", narrowing=True)


@pytest.mark.parametrize("rule", [900_000, {"max": 900_000}])
def test_a_file_that_narrows_never_raises_max_tokens(rule: object) -> None:
    """Neither as a lock nor as a bound; a smaller value of the user's stays."""
    rules = {"parameters": {"max_tokens": rule}}
    policy = parse_policy(rules, "di_magics.toml", narrowing=True)
    assert policy.apply_to({}) == {"max_tokens": 16_384}
    assert policy.apply_to({"max_tokens": 5}) == {"max_tokens": 5}


def test_extras_are_locked_listed_and_refused_like_parameters() -> None:
    """A locked one is always sent; a list names the others; a rule for a parameter holds."""
    policy = parse_policy(
        {
            "extra": ["service_tier", "top_a"],
            "parameters": {"extra.service_tier": "flex", "top_k": 5, "seed": {"max": 9}},
        },
        "class.toml",
    )
    assert policy.locks == {"top_k": 5}
    assert policy.apply_to_extra({}) == {"service_tier": "flex"}
    assert policy.apply_to_extra({"top_a": 1}) == {"service_tier": "flex", "top_a": 1}
    for refused in ({"service_tier": "priority"}, {"other": 1}, {"top_k": 9}, {"random_seed": 99}):
        with pytest.raises(PolicyError, match=r"class\.toml"):
            policy.apply_to_extra(refused)
    assert NO_POLICY.apply_to_extra({"other": 1}) == {"other": 1}


# Names that some servers have for another model, a longer reply or several replies.
RESPELLED = (
    *("models", "route", "preset", "fallbacks", "best_of", "num_return_sequences", "N"),
    *("Temperature", "top-p", "topk", "maxTokens", "Max_Tokens", "num_predict", "max_length"),
    *("options", "extra_body", "generation_config", "ignore_eos", "Service_Tier", "seeds"),
)


@pytest.mark.parametrize(
    "rules",
    [
        {"models": ["a/*"]},
        {"budget": 1},
        {"budget_per_notebook": 1},
        {"parameters": {"max_tokens": {"max": 500}}},
        {"parameters": {"temperature": 0.7}},
        {"parameters": {"extra.service_tier": "flex"}},
        {"extra": ["top_a"], "models": ["a/*"]},
    ],
)
def test_rules_let_through_only_the_extras_that_a_policy_names(rules: dict[str, Any]) -> None:
    """Whatever a server may understand by another name."""
    policy = parse_policy(rules, "p.toml")
    for name in RESPELLED:
        with pytest.raises(PolicyError, match=f"extra {name} is not allowed here"):
            policy.apply_to_extra({name: 1})
    for name in rules.get("extra", ()):
        assert policy.apply_to_extra({name: 1}) == {name: 1}


def test_a_policy_that_limits_no_request_leaves_extras_alone() -> None:
    """Such as one that only says where to ask."""
    policy = parse_policy({"endpoint": "https://class.example/v1", "system": "Be brief."}, "p")
    assert policy.apply_to_extra({"top_a": 1}) == {"top_a": 1}


def test_a_lock_of_an_extra_needs_no_list() -> None:
    """It is sent whether or not others may be."""
    policy = parse_policy({"extra": [], "parameters": {"extra.a": {"b": 1}}}, "class.toml")
    assert policy.apply_to_extra({}) == {"a": {"b": 1}}
    with pytest.raises(PolicyError):
        policy.apply_to_extra({"c": 1})


def test_a_file_beside_the_notebook_narrows_the_list_and_sets_no_extra() -> None:
    """Both lists must have a name."""
    outer = parse_policy({"extra": ["a", "b"]}, "class.toml")
    inner = parse_policy({"extra": ["b", "c"]}, "beside.toml", narrowing=True)
    merged = merge_policies(outer, inner)
    assert merged.apply_to_extra({"b": 1}) == {"b": 1}
    for name in ("a", "c"):
        with pytest.raises(PolicyError, match=r"class\.toml and beside\.toml"):
            merged.apply_to_extra({name: 1})
    with pytest.raises(PolicyError, match="may not set"):
        parse_policy({"parameters": {"extra.a": 1}}, "beside.toml", narrowing=True)


REQUESTS: list[dict[str, Any]] = [
    {"model": "cheap", "params": {}, "extra": {}},
    {"model": "dear", "params": {}, "extra": {}},
    {"model": "cheap", "params": {"temperature": 1.5}, "extra": {}},
    {"model": "cheap", "params": {"max_tokens": 5000}, "extra": {}},
    {"model": "cheap", "params": {}, "extra": {"best_of": 50}},
    {"model": "cheap", "params": {}, "extra": {"models": ["dear"]}},
]
OUTER: list[dict[str, Any]] = [
    {"models": ["cheap"]},
    {"budget": 1},
    {"budget_per_notebook": 1},
    {"parameters": {"temperature": 0.5}},
    {"parameters": {"max_tokens": {"max": 100}}},
    {"parameters": {"extra.seed_2": 1}},
    {"extra": []},
    {"extra": ["best_of"]},
    {"system": "Be kind."},
]
INNER: list[dict[str, Any]] = [
    {"extra": ["models", "best_of"]},
    {"extra": []},
    {"models": ["*"]},
    {"parameters": {"max_tokens": {"max": 9000}}},
    {"parameters": {"temperature": {"max": 2}}},
    {"budget": 100},
    {"budget_per_notebook": 100},
    {"system": "Be rude."},
]


def lets_through(policy: Policy, request: dict[str, Any]) -> bool:
    """Return whether a policy lets a request through."""
    try:
        policy.check_model(request["model"])
        policy.apply_to(request["params"])
        policy.apply_to_extra(request["extra"])
    except PolicyError:
        return False
    return True


@pytest.mark.parametrize("beside", INNER)
@pytest.mark.parametrize("rules", OUTER)
def test_a_file_that_narrows_lets_nothing_more_through(
    rules: dict[str, Any], beside: dict[str, Any]
) -> None:
    """A list of extras in it allowed what the teacher's policy does not name."""
    outer = parse_policy(rules, "class.toml")
    merged = merge_policies(outer, parse_policy(beside, "beside.toml", narrowing=True))
    for request in REQUESTS:
        assert lets_through(outer, request) or not lets_through(merged, request)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"extra": "a"}, "list of names"),
        ({"extra": [1]}, "list of names"),
        ({"parameters": {"extra.model": "m"}}, "cannot replace model"),
        ({"parameters": {"extra.a b": 1}}, "not the name of a field"),
        ({"parameters": 1}, "in a table"),
    ],
)
def test_a_wrong_rule_about_extras_is_refused(table: dict[str, Any], problem: str) -> None:
    """Nothing is sent then."""
    with pytest.raises(PolicyError, match=problem):
        parse_policy(table, "class.toml")


@pytest.mark.parametrize(("outer", "inner"), [(True, False), (False, True), (False, False)])
def test_cells_above_are_sent_only_where_every_policy_allows_it(outer: bool, inner: bool) -> None:
    """A file beside the notebook can forbid it, and cannot allow it."""
    allowed = parse_policy({"above": True}, "a.toml")
    allowed.check_above()
    NO_POLICY.check_above()
    mine = parse_policy({"above": outer}, "a.toml")
    other = parse_policy({"above": inner}, "b.toml", narrowing=True)
    with pytest.raises(PolicyError, match="Leave out --above"):
        merge_policies(mine, other).check_above()
