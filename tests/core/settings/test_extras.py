"""Fields of a request that are in no table: sent as they are, but never in another's place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from growth import growth

from di_magics.core.errors import ParamError
from di_magics.core.settings import extras
from di_magics.core.settings.extras import RESERVED, check_conflicts, check_extra, parse_extras
from di_magics.core.settings.flags import parse_flags, split_line
from di_magics.core.settings.params import PARAMS

VALUES: list[Any] = [
    0,
    -1.5,
    True,
    None,
    "flex",
    "",
    "Größe 😀",
    [1, "a", None],
    {"enable_thinking": False},
    {"a": {"b": [1]}},
    2**70,
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_kept_as_it_is(value: object) -> None:
    """From its JSON, and from Python."""
    assert parse_extras([f"x={json.dumps(value)}"]) == {"x": value}
    assert check_extra("x", value) == value


@pytest.mark.parametrize(
    "typed",
    [
        """--extra 'x={"a": "b c"}'""",
        """--extra='x={"a": "b c"}'""",
        """--extra "x=[1, 2]" """,
        """--extra x={"a":"b"}""",
        """--extra=x={"a":"b","c":[1]}""",
        """--extra x="flex" """,
        """--extra x=true""",
        """--extra x=1.5 -t 1""",
    ],
)
def test_the_quotes_of_json_survive_a_line(typed: str) -> None:
    """With quotes around the whole, or without where there is no space."""
    (text,) = parse_flags(typed).extra
    value = text.partition("=")[2]
    assert json.loads(value) == parse_extras([text])["x"]
    assert value.replace(" ", "") in typed.replace(" ", "")


def test_quotes_of_another_flag_are_removed_as_before() -> None:
    """Also of a text that is JSON, or of one that looks like a field."""
    assert split_line('-s "be brief" --stop "[1]" system="a b" x={"a":1}') == [
        "-s",
        "be brief",
        "--stop",
        "[1]",
        "system=a b",
        "x={a:1}",
    ]
    assert split_line('extra.x={"a":1} extra.y="b"') == ['extra.x={"a":1}', 'extra.y="b"']


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "is not NAME=JSON"),
        ("=1", "not the name of a field"),
        ("a b=1", "not the name of a field"),
        ("x=", "is not JSON"),
        ("x=flex", r"""'x="flex"'"""),
        ("x={a: 1}", "single quotes"),
        ("x={'a': 1}", "single quotes"),
        ("x=NaN", "is not JSON"),
        ("x=Infinity", "is not JSON"),
        ("x=" + "[" * 51 + "]" * 51, "is not JSON"),
        ("x=" + "[" * 40_000, "is not JSON"),
        ("x=" + "9" * 99_999, "is not JSON"),
        ("x=" + "1" * 100_001, "Shorten it"),
        *((f"{name}=1", "cannot replace") for name in RESERVED),
    ],
)
def test_anything_else_is_one_line(text: str, problem: str) -> None:
    """With how it is written."""
    with pytest.raises(ParamError) as error:
        parse_extras([text])
    message = str(error.value)
    assert problem in message
    assert "\n" not in message
    assert len(message) < 300


def test_the_same_field_twice_is_refused() -> None:
    """Which one is meant is not known."""
    with pytest.raises(ParamError, match="twice"):
        parse_extras(["x=1", "x=2"])


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), b"x", {"a": object()}])
def test_a_value_that_json_does_not_have_is_refused(value: object) -> None:
    """As is a name that is not a text."""
    with pytest.raises(ParamError, match="JSON"):
        check_extra("x", value)
    with pytest.raises(ParamError, match="must be a text"):
        check_extra(1, 1)


@pytest.mark.parametrize(
    ("extra", "sent"),
    [
        ("temperature", {"temperature": 0}),
        ("repeat_penalty", {"repetition_penalty": 1}),
        ("repetition_penalty", {"repetition_penalty": 1}),
        ("top_logprobs", {"logprobs": True}),
        ("random_seed", {"seed": 1}),
        ("response_format", {"response_format": {}}),
        ("tools", {"tools": []}),
    ],
)
def test_what_is_set_already_is_not_replaced(extra: str, sent: dict[str, Any]) -> None:
    """Under whichever of its names; what is not set may be sent as an extra."""
    with pytest.raises(ParamError, match="set already"):
        check_conflicts({extra: 1}, sent)
    check_conflicts({extra: 1}, {"other": 1})


def test_every_parameter_owns_its_name() -> None:
    """And the names that it has elsewhere."""
    assert extras.PARAM_OF_FIELD.items() >= {name: name for name in PARAMS}.items()
    assert extras.PARAM_OF_FIELD["random_seed"] == "seed"
    assert extras.PARAM_OF_FIELD["repeat_penalty"] == "repetition_penalty"


def test_a_long_text_is_read_in_linear_time() -> None:
    """A nested one, too."""

    def read(text: str) -> None:
        extras.is_json(text)

    assert growth(read, 40_000, lambda n: "[" * (n // 2) + "]" * (n // 2)) <= 3
    assert growth(read, 40_000, lambda n: json.dumps(["a"] * (n // 6))) <= 3
