"""The types of the arguments of a public function."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from di_magics.core.arguments import MAX_WHOLE_NUMBER, check_arguments
from di_magics.core.errors import ParamError


@check_arguments
def take(
    text: str = "",
    *,
    number: int | None = None,
    share: float = 0,
    flag: bool = False,
    named: Mapping[str, Callable[[int], Any]] | None = None,
    functions: Callable[..., Any] | Iterable[Callable[..., Any]] = (),
    anything: Any = None,
    **others: Any,
) -> str:
    """Return the text."""
    return text


@check_arguments
async def take_async(text: str) -> str:
    """Return the text, later."""
    return text


class Taker:
    """Something with a method."""

    @check_arguments
    def take(self, other: Taker) -> Taker:
        """Return the other one."""
        return other


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "a"},
        {"number": 3},
        {"number": None},
        {"share": 1},
        {"share": 0.5},
        {"flag": True},
        {"named": {"a": len}},
        {"functions": len},
        {"functions": [len]},
        {"anything": object(), "another": object()},
    ],
)
def test_arguments_of_their_types_pass(arguments: dict[str, Any]) -> None:
    """Also what has no type, and keywords that have no name."""
    assert take(**arguments) == arguments.get("text", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": None}, "text must be a text, not None."),
        ({"text": b"x"}, "text must be a text, not bytes."),
        ({"number": 1.5}, "number must be a whole number, not float."),
        ({"number": True}, "number must be a whole number, not bool."),
        ({"number": MAX_WHOLE_NUMBER}, r"number is too large. It must be below 2\*\*63."),
        ({"number": -(10**5000)}, "too large"),
        ({"share": "1"}, "share must be a number, not str."),
        ({"share": True}, "share must be a number, not bool."),
        ({"flag": 1}, "flag must be True or False, not int."),
        ({"named": [len]}, "named must be a dict, not list."),
        ({"functions": 3}, "functions must be a function or a list, not int."),
    ],
)
def test_other_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    """With what they must be, and their type instead of their value, which may be long."""
    with pytest.raises(ParamError, match=message):
        take(**arguments)


def test_a_class_is_found_when_the_function_is_called() -> None:
    """As a method needs it whose class is defined around it."""
    one = Taker()
    assert one.take(one) is one
    with pytest.raises(ParamError, match="other must be a Taker, not str"):
        one.take("x")  # type: ignore[arg-type] # that is the test


def test_an_async_function_stays_one() -> None:
    """And keeps its name and docstring, as the others do."""
    assert inspect.iscoroutinefunction(take_async)
    assert asyncio.run(take_async("a")) == "a"
    with pytest.raises(ParamError, match="text must be a text"):
        asyncio.run(take_async(3))  # type: ignore[arg-type] # that is the test
    assert (take.__name__, take_async.__doc__) == ("take", "Return the text, later.")
