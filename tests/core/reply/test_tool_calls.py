"""Tool calls as a user sees them: one printable line for each, whatever a model asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hostile import FRAGMENTS

from di_magics.core.errors import ToolError
from di_magics.core.reply.reply import Round, ToolCall, ToolResult
from di_magics.core.reply.tool_calls import (
    ASKING,
    RUNNING,
    WAITING,
    always_ask,
    call_headline,
    calls_with_results,
    is_safe,
    result_text,
    round_folds,
    round_text,
    safe,
)

CALL = ToolCall("1", "add", '{"a": 1, "b": "x"}')


class Answering:
    """An object that has every attribute."""

    def __getattr__(self, name: str) -> str:
        return name


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (ToolResult("3", seconds=0.126), 'add(a=1, b="x") → 3 · 0.13 s'),
        (ToolResult("", seconds=1), 'add(a=1, b="x") → (nothing) · 1.00 s'),
        (ToolResult(" \n\t", seconds=1), 'add(a=1, b="x") → (nothing) · 1.00 s'),
        (ToolResult("a\nb"), 'add(a=1, b="x") → a b · 0.00 s'),
        (ToolResult("TypeError: no", failed=True), 'add(a=1, b="x") ✗ TypeError: no'),
        (ToolResult("", failed=True, seconds=2), 'add(a=1, b="x") ✗ (nothing)'),
        (RUNNING, 'add(a=1, b="x") · running'),
        (WAITING, 'add(a=1, b="x") · waiting'),
        (ASKING, 'add(a=1, b="x") · asking you'),
    ],
)
def test_a_call_is_one_line(result: ToolResult, line: str) -> None:
    """Name, arguments, what came of it, and how long that took."""
    assert call_headline(CALL, result) == line


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("", ""),
        ("{}", ""),
        (" { } ", ""),
        ('{"a": [1, {"b": null}]}', 'a=[1, {"b": null}]'),
        ('{"a": "ü😀"}', 'a="ü😀"'),
        ('{"a": 1', '{"a": 1'),
        ("[1]", "[1]"),
        ("5", "5"),
        ("null", "null"),
        ("hello", "hello"),
        ('{"a": NaN}', "a=NaN"),
    ],
)
def test_arguments_are_shown_as_python_has_them(arguments: str, shown: str) -> None:
    """What is no object is shown as it came."""
    assert call_headline(ToolCall("", "f", arguments), RUNNING) == f"f({shown}) · running"


@pytest.mark.parametrize("foreign", FRAGMENTS)
def test_a_hostile_call_stays_one_printable_line(foreign: str) -> None:
    """Name, arguments, key and result may be anything."""
    for arguments in (foreign, json.dumps({foreign: foreign}), f'{{"a": "{foreign}'):
        call = ToolCall(foreign, foreign, arguments)
        for result in (ToolResult(foreign), ToolResult(foreign, failed=True), RUNNING):
            line = call_headline(call, result)
            assert line.splitlines() == [line]
            assert not any(sign in line for sign in "\x00\x07\x1b\n\r\u2028\u202e")


@pytest.mark.parametrize("foreign", ["\x1b[2J\x07", "a\nb\r\nc", "a\u2028", "\u202ea", "\x9b31m"])
def test_control_characters_are_left_out(foreign: str) -> None:
    """A terminal or a cell cannot be repainted by what a model asks for."""
    call = ToolCall("1", f"f{foreign}", json.dumps({f"a{foreign}": f"b{foreign}"}))
    raw = ToolCall("1", "f", f'{{"a": "{foreign}"')
    for item in (call, raw):
        assert call_headline(item, ToolResult(f"x{foreign}")).isprintable()


def test_a_long_call_is_cut() -> None:
    """The line says so with an ellipsis in each place, and how long the arguments are."""
    call = ToolCall("1", "f" * 999, json.dumps({"a": "x" * 999_999}))
    line = call_headline(call, ToolResult("y" * 999_999))
    assert len(line) < 300
    assert line.count("…") == 2
    assert "(1,000,008 characters)" in line


def test_arguments_nested_deeply_are_shown() -> None:
    """As far as Python goes into them, else as they came."""
    for depth in range(0, 998, 3):
        call = ToolCall("1", "f", '{"a":' + "[" * depth + "]" * depth + "}")
        assert call_headline(call, RUNNING).startswith("f(")


def test_calls_are_paired_with_what_came_of_them() -> None:
    """One without a result yet waits."""
    second = ToolCall("2", "g", "{}")
    done = ToolResult("3")
    assert list(calls_with_results(Round(calls=(CALL, second), results=(done,)))) == [
        (CALL, done),
        (second, WAITING),
    ]
    assert list(calls_with_results(Round(calls=(CALL, second), results=(done, RUNNING)))) == [
        (CALL, done),
        (second, RUNNING),
    ]
    assert list(calls_with_results(Round(text="x"))) == []


def test_running_call_has_no_result_text() -> None:
    """A call that waits has brought nothing."""
    assert result_text(ToolResult("3")) == "3"
    assert result_text(RUNNING) == result_text(WAITING) == ""


def test_a_round_is_a_text_with_a_line_for_each_call() -> None:
    """What was said comes first."""
    told = Round("Let me see.\n", calls=(CALL, CALL), results=(ToolResult("3"),))
    assert round_text(told) == (
        'Let me see.\n⚙ add(a=1, b="x") → 3 · 0.00 s\n⚙ add(a=1, b="x") · waiting'
    )
    assert round_text(Round()) == ""


def test_a_round_unfolds_to_its_calls_and_to_why_it_was_asked_again() -> None:
    """Each is a line with its texts; a call without a result has an empty one."""
    calls = (CALL, ToolCall("2", "g", "{}"))
    folds = round_folds(Round(calls=calls, results=(ToolResult("3"),), objection="No JSON."))
    assert folds == [
        ('⚙ add(a=1, b="x") → 3 · 0.00 s', CALL.arguments, "3"),
        ("⚙ g() · waiting", "{}", ""),
        ("asked again", "No JSON."),
    ]
    assert round_folds(Round("x")) == []


def test_arguments_that_the_user_is_asked_about_unfold_whole() -> None:
    """With what is hidden in them visible; other texts are cut for the live view."""
    call = ToolCall("1", "f", json.dumps({"a": "\u200b" + "x " * 50, "b": [1]}))
    folds = round_folds(Round(calls=(call, call), results=(ASKING, ToolResult("y" * 99))), 9)
    assert [fold[1:] for fold in folds] == [
        ('a="⟨U+200B⟩' + "x " * 50 + '"\nb=[1]', ""),
        (call.arguments[:9], "y" * 9),
    ]


def test_a_reply_that_was_put_right_says_why() -> None:
    """On one line, cut."""
    told = Round('{"a":', objection="No\nJSON." + "x" * 999)
    first, second = round_text(told).split("\n")
    assert first == '{"a":'
    assert second.startswith("(asked again: No JSON.xxx")
    assert len(second) < 250


def test_a_function_is_safe_once_it_is_marked() -> None:
    """The mark is on the function itself, which stays what it is."""

    def look() -> int:
        return 1

    assert not is_safe(look)
    assert safe(look) is look
    assert is_safe(look)
    assert look() == 1


@pytest.mark.parametrize("kind", [Answering, Path, str])
def test_nothing_else_is_safe(kind: type) -> None:
    """An object that says yes to everything is not marked."""
    assert not is_safe(kind())
    assert not is_safe(kind)


@pytest.mark.parametrize("function", [len, int, None])
def test_only_what_is_ones_own_can_be_marked(function: Any) -> None:
    """A function of Python holds no mark."""
    with pytest.raises(ToolError, match="function of your own"):
        safe(function)


def test_an_object_that_stands_for_another_is_not_safe() -> None:
    """Whatever it raises when it is asked, it is not marked."""

    class Proxy:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError

    assert not is_safe(Proxy())


def test_a_function_that_always_asks_cannot_be_marked_as_safe() -> None:
    """Nor is it safe before."""

    def run() -> None: ...

    assert always_ask(run) is run
    with pytest.raises(ToolError, match="run cannot be marked as safe"):
        safe(run)
    assert not is_safe(run)
