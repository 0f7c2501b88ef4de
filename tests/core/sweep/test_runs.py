"""A sweep: parsed from a line, laid out in runs, and kept as plain records."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from di_magics.core.errors import BudgetError, ParamError
from di_magics.core.reply.reply import Reply, Usage
from di_magics.core.sweep.runs import (
    Run,
    check_consent,
    check_measures,
    check_vary,
    digest,
    make_runs,
    parse_vary,
    run_key,
    run_record,
)


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("temperature=0,0.7,1.4", (0, 0.7, 1.4)),
        ("top-p=0.5", (0.5,)),
        ("temperature=0..0.5/0.1", (0, 0.1, 0.2, 0.3, 0.4, 0.5)),
        ("temperature=0..2", (0, 1, 2)),
        ("seed=1..4,9", (1, 2, 3, 4, 9)),
        ("presence_penalty=-1..1", (-1, 0, 1)),
        ("model=a/b, c", ("a/b", "c")),
        ("system=Be brief, please.|Be rude.", ("Be brief, please.", "Be rude.")),
        ("reasoning_effort=low,high", ("low", "high")),
        ("user=1..2", ("1..2",)),
    ],
)
def test_values_of_vary_are_parsed(word: str, values: tuple[Any, ...]) -> None:
    """Lists, ranges with exact steps, models and system prompts."""
    assert list(parse_vary([word]).values()) == [values]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["temperature"], "NAME=A,B,C"),
        (["temprature=1"], "Did you mean temperature?"),
        (["stop=a,b"], "cannot be varied"),
        (["temperature="], "no values"),
        (["temperature=0,9"], "out of range"),
        (["temperature=0,0"], "a value twice"),
        (["temperature=0,9"], "Write 0.9"),
        (["top_p=0,5"], "Write 0.5"),
        (["temperature=0,5;1,0"], "Write 0.5"),
        (["temperature=0,5|1,0"], "Write 0.5"),
        (["temperature=0..1,5/0,25"], "A comma separates"),
        (["seed=1", "seed=2"], "is set twice"),
        (["temperature=2..0"], "not a range"),
        (["temperature=0..1/0"], "not a range"),
        (["temperature=0..x"], "not a range"),
        (["seed=0..999999"], "not a range"),
        (["seed=0..1e999"], "not a range"),
        (["temperature=0..1/inf"], "not a range"),
        (["seed=1e9999999..1e9999999"], "not a range"),
        (["model=a, ,b"], None),
    ],
)
def test_what_cannot_be_varied_is_refused(words: list[str], hint: str | None) -> None:
    """In one line; empty places between commas are none."""
    if hint is None:
        assert parse_vary(words) == {"model": ("a", "b")}
        return
    with pytest.raises(ParamError, match=hint):
        parse_vary(words)


@pytest.mark.parametrize(
    "vary",
    [
        {"model": "ab"},
        {"model": [""]},
        {"model": [1]},
        {"seed": []},
        {"temperature": 0.7},
        {"top-p": [0.5], "top_p": [0.6]},
        {1: [0.5]},
    ],
)
def test_values_from_python_are_checked_too(vary: dict[str, Any]) -> None:
    """A text or a number is no list of values, and two spellings are one name."""
    with pytest.raises(ParamError):
        check_vary(vary)
    assert check_vary({"top-k": (1, 2)}) == {"top_k": (1, 2)}


def test_the_last_name_changes_fastest_and_repeats_faster_still() -> None:
    """As the loops one would write."""
    result = make_runs({"temperature": (0, 1), "model": ("a", "b")}, 2)
    assert len(result) == 8
    assert [run.index for run in result] == list(range(8))
    assert (result[1].varied, result[1].repeat) == ({"temperature": 0, "model": "a"}, 1)
    assert result[2].label == "run 2: temperature=0 model=b #1"
    assert make_runs({"seed": (1,)})[0].label == "run 0: seed=1"
    assert make_runs({}, 3)[2].label == "run 2: #3"


@pytest.mark.parametrize(("vary", "repeats"), [({}, 0), ({"seed": tuple(range(101))}, 100)])
def test_too_few_and_too_many_runs(vary: dict[str, Any], repeats: int) -> None:
    """None at all, or more than ten thousand."""
    with pytest.raises(ParamError):
        make_runs(vary, repeats)


def test_a_key_identifies_the_request() -> None:
    """The same for the same, another for another value, place or repeat."""
    body = {"model": "m", "messages": [1], "temperature": 0}
    known = run_key("u", body, digest([1]), 0)
    assert known == run_key("u", {**body, "messages": "elsewhere"}, digest([1]), 0)
    others = {
        run_key("v", body, digest([1]), 0),
        run_key("u", {**body, "temperature": 1}, digest([1]), 0),
        run_key("u", body, digest([2]), 0),
        run_key("u", body, digest([1]), 1),
    }
    assert known not in others
    assert len(others) == 4


def test_a_record_is_plain() -> None:
    """What was varied, what came, and what was measured; unknown is None."""
    reply = Reply(
        text="Hi",
        reasoning="hm",
        status="done",
        finish_reason="stop",
        model="b",
        usage=Usage(3, 4),
        cost=Decimal("0.5"),
        elapsed=3.0,
        first_token=1.0,
    )
    result = run_record(Run(1, {"model": "a"}, 0, 1), reply, {"words": 1})
    assert result["model"] == "a"
    assert result["answered_by"] == "b"
    assert (result["cost"], result["tokens_per_second"], result["words"]) == (0.5, 1.5, 1)
    assert result["reasoning"] == "hm"
    bare = run_record(Run(0, {}, 0, 1), Reply(), {})
    assert bare["cost"] is None
    assert bare["tokens_per_second"] is None
    assert "reasoning" not in bare


@pytest.mark.parametrize(
    ("tokens", "first", "elapsed"),
    [(None, 1.0, 3.0), (1, 1.0, 3.0), (9, None, 3.0), (9, 1.0, None), (9, 3.0, 3.001)],
)
def test_no_speed_is_recorded_where_none_was_measured(
    tokens: int | None, first: float | None, elapsed: float | None
) -> None:
    """As under the reply: a reply in one piece is written in no time."""
    reply = Reply(usage=Usage(None, tokens), first_token=first, elapsed=elapsed)
    assert run_record(Run(0, {}, 0, 1), reply, {})["tokens_per_second"] is None


@pytest.mark.parametrize(
    ("calls", "about", "hint"),
    [
        (21, Decimal("0.01"), r"21 calls, about \$0\.010"),
        (2, Decimal("0.06"), r"about \$0\.060"),
        (21, None, "unknown"),
    ],
)
def test_many_calls_or_a_high_cost_need_consent(
    calls: int, about: Decimal | None, hint: str
) -> None:
    """`--yes`, or a budget that has covered the worst case, is leave."""
    with pytest.raises(BudgetError, match=hint):
        check_consent(calls, about, False, yes=False)
    check_consent(calls, about, True, yes=False)
    check_consent(calls, about, False, yes=True)
    check_consent(20, Decimal("0.05"), False, yes=False)


def test_free_calls_need_no_consent() -> None:
    """They cost nothing but time, and Stop ends them."""
    check_consent(10_000, Decimal(0), False, yes=False)


@pytest.mark.parametrize("name", ["cost", "temperature", "error", "words"])
def test_a_measure_cannot_replace_a_column(name: str) -> None:
    """Neither one of ours nor what is varied; a built-in measure may be replaced."""
    if name == "words":
        check_measures({name: len}, {"temperature": (1,)})
        return
    with pytest.raises(ParamError, match=name):
        check_measures({name: len}, {"temperature": (1,)})


@pytest.mark.parametrize("measures", [{"length": 3}, {3: len}])
def test_measures_are_functions_by_name(measures: Any) -> None:
    """Refused before anything is sent, not in every record."""
    with pytest.raises(ParamError, match="dict of functions"):
        check_measures(measures, {})
