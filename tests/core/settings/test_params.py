"""The parameter table: every range at its ends, beyond them, and what is no value at all."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from readme_tables import params_table

from di_magics.core.errors import ParamError
from di_magics.core.settings.flags import parse_assignments, split_line
from di_magics.core.settings.params import PARAMS, find_param, format_param, suggest, validate

SEED_END = 2**63
NUMBERS = [param for param in PARAMS.values() if param.kind in (int, float)]

# Written out a second time on purpose: the ranges of the API, not of the table.
FITS: list[tuple[str, Any, Any]] = [
    ("temperature", 0, 0),
    ("temperature", 2, 2),
    ("temperature", "0.7", 0.7),
    ("temperature", "1e-3", 0.001),
    ("temperature", Fraction(1, 2), 0.5),
    ("top_p", 1, 1),
    ("top_p", 1e-9, 1e-9),
    ("min_p", 0, 0),
    ("min_p", 1, 1),
    ("top_k", 0, 0),
    ("top_k", 999, 999),
    ("top_k", 40.0, 40),
    ("top_k", Fraction(40), 40),
    ("max_tokens", 0, 0),
    ("max_tokens", 1_000_000, 1_000_000),
    ("presence_penalty", -2, -2),
    ("presence_penalty", 2, 2),
    ("frequency_penalty", "-2.0", -2),
    ("frequency_penalty", 2, 2),
    ("repetition_penalty", 0.01, 0.01),
    ("repetition_penalty", 5, 5),
    ("seed", 0, 0),
    ("seed", SEED_END - 1, SEED_END - 1),
    ("seed", str(SEED_END - 1), SEED_END - 1),
    ("stop", "\n", ("\n",)),
    ("stop", ["a", "b"], ("a", "b")),
    ("stop", ("x",) * 16, ("x",) * 16),
    ("tool_choice", "auto", "auto"),
    ("tool_choice", "weather", "weather"),
    ("user", "abc", "abc"),
    ("reasoning_effort", "none", "none"),
    ("reasoning_effort", "xhigh", "xhigh"),
]
OUT_OF_RANGE: list[tuple[str, Any]] = [
    ("temperature", -1e-9),
    ("temperature", 2.0001),
    ("temperature", float("nan")),
    ("temperature", "nan"),
    ("temperature", float("inf")),
    ("temperature", "-inf"),
    ("top_p", 0),
    ("top_p", 1.01),
    ("min_p", -0.01),
    ("min_p", 1.01),
    ("top_k", -1),
    ("top_k", 1000),
    ("max_tokens", -1),
    ("max_tokens", 1_000_001),
    ("presence_penalty", -2.01),
    ("presence_penalty", 2.01),
    ("frequency_penalty", -2.01),
    ("frequency_penalty", 2.01),
    ("repetition_penalty", 0),
    ("repetition_penalty", 0.009),
    ("repetition_penalty", 5.01),
    ("seed", -1),
    ("seed", SEED_END),
    ("seed", str(SEED_END)),
    ("seed", float(SEED_END)),
]
NO_NUMBER: list[Any] = [True, False, None, "abc", "", "1,5", [1], b"1", 1j, 10**400]


@pytest.mark.parametrize(("name", "value", "sent"), FITS)
def test_a_value_in_range_is_sent_as_it_is(name: str, value: object, sent: object) -> None:
    """The ends that belong to a range are in it, and text is read as the parameter's type."""
    found = validate(name, value)
    assert found == sent
    assert type(found) is type(sent)


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused(name: str, value: object) -> None:
    """The message names the parameter, the value and the range."""
    with pytest.raises(ParamError, match="out of range") as error:
        validate(name, value)
    assert str(value) in str(error.value)
    assert PARAMS[name].range in str(error.value)


@pytest.mark.parametrize("name", [param.name for param in NUMBERS])
@pytest.mark.parametrize("value", NO_NUMBER)
def test_other_types_are_refused_as_numbers(name: str, value: object) -> None:
    """A truth value, None and other things are never taken for a number."""
    with pytest.raises(ParamError, match=f"^{name} "):
        validate(name, value)


@pytest.mark.parametrize("value", [0.5, "0.5", "1e2", float("nan"), float("inf"), Fraction(1, 2)])
def test_a_whole_number_is_whole(value: object) -> None:
    """A fraction is not rounded, and the message shows the value."""
    with pytest.raises(ParamError, match=r"^top_k must be a whole number, not"):
        validate("top_k", value)


@pytest.mark.parametrize("value", ["", 1, None, True, ["a"]])
@pytest.mark.parametrize("name", ["user", "tool_choice", "reasoning_effort"])
def test_a_text_is_a_text(name: str, value: object) -> None:
    """What is not a text, or is empty, is refused."""
    with pytest.raises(ParamError, match=f"^{name} must be "):
        validate(name, value)


@pytest.mark.parametrize("value", ["", [""], [1], None, 5, {"a": 1}])
def test_stop_must_be_texts(value: object) -> None:
    """Every stop text is a text that is not empty."""
    with pytest.raises(ParamError, match=r"^stop must be "):
        validate("stop", value)


@pytest.mark.parametrize("count", [0, 17])
def test_stop_is_at_most_sixteen_texts(count: int) -> None:
    """No text and too many texts are refused with their number."""
    with pytest.raises(ParamError, match=f"1 to 16 texts, not .?{count}"):
        validate("stop", ["x"] * count)


def test_a_choice_is_one_of_the_list() -> None:
    """The message lists what there is."""
    with pytest.raises(ParamError, match="one of none, minimal, low, medium, high, xhigh, max"):
        validate("reasoning_effort", "Low")


@pytest.mark.parametrize(
    ("name", "typed", "meant"),
    [
        ("temperature", "0,7", "0.7"),
        ("presence_penalty", "-1,5", "-1.5"),
        ("max_tokens", "1,000", "1000"),
    ],
)
def test_a_number_with_a_comma_is_refused_with_the_right_spelling(
    name: str, typed: str, meant: str
) -> None:
    """It is never read as another number."""
    with pytest.raises(ParamError, match=rf"Write {meant}\.$"):
        validate(name, typed)


def test_hyphens_count_as_underscores() -> None:
    """Both spellings find the same parameter."""
    assert find_param("top-p") is find_param("top_p") is PARAMS["top_p"]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("temprature", "temperature"), ("temp", "temperature"), ("topp", "top_p"), ("topk", "top_k")],
)
def test_an_unknown_name_is_refused_with_its_neighbours(wrong: str, meant: str) -> None:
    """A misspelt name is answered with the one that was meant."""
    with pytest.raises(ParamError, match=f"Did you mean .*{meant}"):
        find_param(wrong)


def test_a_name_like_no_other_gets_no_hint() -> None:
    """Without a neighbour there is none to suggest."""
    assert suggest("zzzz", PARAMS) == ""
    assert suggest("pen", ["penny", "penguin"]) == " Did you mean penny or penguin?"


def test_the_same_value_is_set_again_from_what_is_shown() -> None:
    """`%chat set` accepts what a receipt shows of a number or a text."""
    for name, value, _ in FITS:
        sent = validate(name, value)
        if not isinstance(sent, tuple):
            assert [
                (name, validate(*parse_assignments(split_line(format_param(name, sent)))[0]))
            ] == [(name, sent)]


def test_texts_are_shown_in_quotes() -> None:
    """What is not one plain word is shown as JSON, so that a newline can be seen."""
    assert format_param("user", "abc") == "user=abc"
    assert format_param("user", "a b") == 'user="a b"'
    assert format_param("stop", ("\n", "###")) == r'stop=["\n", "###"]'


def test_the_table_lists_every_parameter_once() -> None:
    """Each row has the flag, the range, the server's default and the effect."""
    rows = params_table().splitlines()[2:]
    assert len(rows) == len(PARAMS)
    assert rows[0].startswith("| `-t`, `--temperature` | 0 ≤ temperature ≤ 2 | 1 | ")
    assert "| `--seed` | 0 ≤ seed < 2^63 |" in params_table()
    assert all(row.count(" | ") == 3 for row in rows)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    """Thousands of digits are out of range, and not repeated."""
    with pytest.raises(ParamError, match="not that"):
        validate("seed", 10**5000)
