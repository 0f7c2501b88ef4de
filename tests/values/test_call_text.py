"""The question "May the model run …?" shows what will run, whatever a model writes."""

from __future__ import annotations

import enum
import itertools
import json
import unicodedata
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pydantic
import pytest
from growth import growth

from di_magics.core.reply.reply import ToolCall
from di_magics.core.visible import show_exactly
from di_magics.runtime.interrupts import Interrupts
from di_magics.values import tools
from di_magics.values.call_text import ANYWAY, MAX_LINES, WIDTH, call_text, question
from di_magics.values.tools import make_toolbox

PAD = " " * 2100


def ask(function: Callable[..., Any], *arguments: str) -> tuple[list[str], list[str]]:
    """Return the calls that a user is asked about, who allows all, and the results."""
    asked: list[str] = []

    def allow(call: str) -> bool:
        asked.append(call)
        return True

    calls = [ToolCall(str(at), function.__name__, text) for at, text in enumerate(arguments)]
    with Interrupts() as interrupts:
        results = make_toolbox([function], allow).run_calls(calls, interrupts, lambda results: None)
    return asked, [result.content for result in results]


def shell(command: str) -> str:
    """Run a command; here it is only returned."""
    return command


@pytest.mark.parametrize(
    "arguments",
    [
        f'{{"command": "ls"{PAD}, "command": "rm -rf ~/work"}}',
        '{"command": "ls", "command": "ls"}',
        '{"command": "ls", "\\u0063ommand": "rm"}',
    ],
)
def test_duplicate_argument_name_is_refused(arguments: str) -> None:
    """Nothing is asked or run, and the model learns why."""
    asked, (result,) = ask(shell, arguments)
    assert asked == []
    assert "an object has the name command twice" in result
    assert "nothing was run" in result


def test_a_name_that_stands_twice_within_an_argument_is_refused() -> None:
    """At any level."""

    def put(rows: list[dict[str, int]]) -> str:
        return str(rows)

    asked, (result,) = ask(put, '{"rows": [{"a": 1, "a": 2}]}')
    assert asked == []
    assert "the name a twice" in result


def test_the_question_shows_what_the_function_gets() -> None:
    """The values after parsing, however the JSON was written."""

    def take(count: int, items: list[str], limit: int | None = None) -> str:
        return repr((count, items, limit))

    asked, results = ask(take, f'{{"count": 3.0,{PAD}"items": "[\\"\\u0061\\"]", "limit": null}}')
    assert results == ["(3, ['a'], None)"]
    assert asked == ['take(count=3, items=["a"], limit=null)']


class Colour(enum.Enum):
    """An enumeration whose text says nothing."""

    RED = "red"

    def __repr__(self) -> str:
        return "colour"


@dataclass
class Job:
    """A dataclass whose text hides a field."""

    command: str = field(repr=False)
    at: date


class Login(pydantic.BaseModel):
    """A model whose text hides a secret."""

    user: str
    password: pydantic.SecretStr


class Options(pydantic.BaseModel, extra="allow"):
    """A model that keeps what it does not know."""

    size: int


@dataclass
class Command:
    """A dataclass that keeps more than its fields."""

    name: str
    arguments: InitVar[str] = ""

    def __post_init__(self, arguments: str) -> None:
        self._line = f"{self.name} {arguments}"


@dataclass
class OwnInit:
    """A dataclass with an `__init__` of its own."""

    name: str

    def __init__(self, name: str, hidden: str = "") -> None:
        self.name, self._hidden = name, hidden


class Private(pydantic.BaseModel):
    """A model that keeps a value where no field is."""

    name: str
    _line: str = pydantic.PrivateAttr("")

    def model_post_init(self, context: Any, /) -> None:
        """Keep the name in another form."""
        self._line = self.name.strip()


class OwnModelInit(pydantic.BaseModel):
    """A model that is made by code of its own."""

    name: str

    def __init__(self, name: str, hidden: str = "") -> None:
        super().__init__(name=name)
        object.__setattr__(self, "_hidden", hidden)


class Validated(pydantic.BaseModel, extra="ignore"):
    """A model whose validator sees what is not kept."""

    name: str

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def keep(cls, value: Any, handler: Any) -> Any:
        """Keep everything, out of sight."""
        made = handler(value)
        object.__setattr__(made, "_all", value)
        return made


@pytest.mark.parametrize("kind", [Command, OwnInit, Private, OwnModelInit, Validated])
@pytest.mark.parametrize("nested", [False, True])
def test_an_object_that_may_hide_something_is_shown_as_its_json(kind: type, nested: bool) -> None:
    """So that objects that differ in what is not seen have different texts."""
    names = {Command: "arguments", OwnInit: "hidden", OwnModelInit: "hidden", Validated: "cmd"}
    documents = [
        {"name": "ls", names.get(kind, "name"): value} for value in ("ls", "rm -rf ~", " ls")
    ]

    def take(x: Any) -> str:
        return "taken"

    take.__annotations__["x"] = list[kind] if nested else kind  # type: ignore[valid-type]
    texts = [json.dumps({"x": [value] if nested else value}) for value in documents]
    asked, results = ask(take, *texts)
    if results == ["taken"] * 3:
        assert len(set(asked)) == 3
        assert "rm -rf" in asked[1]


@pytest.mark.parametrize(
    ("hint", "value", "shown"),
    [
        (Job, {"command": "rm", "at": "2026-01-02"}, 'Job(command="rm", at=datetime.date(2026, 1'),
        (Login, {"user": "a", "password": "p"}, '{"user": "a", "password": "p"}'),
        (Options, {"size": 1, "run": "x"}, 'Options(size=1, run="x")'),
        (Colour, "red", '"red"'),
        (Path, "a/b", "Path('a/b')"),
        (set[int], [1], "[1]"),
        (dict[str, float], {"a": 0.5}, '{"a": 0.5}'),
        (bytes, "ab", "b'ab'"),
    ],
)
def test_an_object_is_shown_with_all_it_holds(hint: Any, value: Any, shown: str) -> None:
    """Also where its own text hides a part."""

    def take(it: Any) -> None:
        """Take it."""

    take.__annotations__ = {"it": hint, "return": None}
    ((asked,), _) = ask(take, json.dumps({"it": value}))
    assert shown in asked


def test_no_two_calls_look_alike() -> None:
    """Padding, hidden characters, letters of other scripts, and texts that imitate our marks."""
    commands = [
        "ls",
        "ls ",
        "ls\n",
        "ls\t",
        "ls\u200b",
        "ls\u00a0",
        "ls\\n",
        "l\u0455",
        "1s",
        "ls⟩",
    ]
    commands += ["ls" + " " * n for n in (19, 20, 21, 2100)] + ["ls⟨20 spaces⟩", "ls⟨U+200B⟩"]
    commands += ["ls" + "#" * n for n in (19, 20, 21)] + ["ls⟨20 × #⟩", "ls⟨⟨20 spaces⟩"]
    commands += ["ls" + "\n" * n for n in (20, 21)] + ["ls" + "\u200b" * n for n in (20, 21)]
    commands += ['ls", x="', "сор", "cop", "ls ⟨2,100 × \\n⟩"]
    questions = [question(call_text("shell", {"command": text}, {}))[0] for text in commands]
    for (one, first), (other, second) in itertools.combinations(
        zip(commands, questions, strict=True), 2
    ):
        assert first != second, (one, other)


@pytest.mark.parametrize("end", ["", "rm -rf ~"])
@pytest.mark.parametrize(
    "padding",
    [" ", "\n", "\t", "a", "\\", "\u200b", "é", '"', "\x1b", " \U0001d159", " \n\t", "\u200b  \n"],
)
def test_padding_pushes_nothing_out_of_the_question(padding: str, end: str) -> None:
    """It is counted."""
    text, whole = question(call_text("shell", {"command": "ls" + padding * 200_000 + end}, {}))
    assert whole
    assert len(text) < 200
    assert end in text


def test_a_long_call_is_shown_whole_on_several_lines() -> None:
    """With the line breaks of code, and with its length."""
    code = "\n".join(f"print({n})  # {'ab' * n}" for n in range(25))
    text, whole = question(call_text("run", {"code": code}, {}))
    assert whole
    first, *lines, last = text.split("\n")
    assert first.startswith("May the model run this call (")
    assert "characters in 25 lines" in first
    assert last == "[y/N] "
    assert "".join(line[2:] for line in lines) == f"run(code={json.dumps(code)})"
    assert max(map(len, lines)) <= WIDTH + 2


def test_a_call_that_is_not_shown_whole_needs_another_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its beginning, its end and what is missing are shown; `y` is a no."""
    call = call_text("write", {"text": " ".join(map(str, range(5000))), "to": "a.txt"}, {})
    text, whole = question(call)
    assert not whole
    assert text.count("\n") <= MAX_LINES + 3
    assert "write(text=" in text
    assert 'to="a.txt")' in text
    assert "characters are not shown" in text
    asked: list[str] = []
    answers = ["y", "yes", "", f" {ANYWAY.upper()}"]

    def reply(question: str) -> str:
        asked.append(question)
        return answers[len(asked) - 1]

    monkeypatch.setattr("builtins.input", reply)
    assert [tools.ask_user(call) for _ in answers] == [False, False, False, True]
    assert asked[-1] == text
    assert f"Type {ANYWAY} to run it" in text


@pytest.mark.parametrize(
    "piece", ["a", " a", "\\n", "⟨", "⟨U+200B⟩", "сa", "\u200b\n", "1", "é漢ш ", " \n\t"]
)
def test_the_time_of_a_question_is_linear(piece: str) -> None:
    """A call may have a million characters."""
    assert growth(lambda n: question(show_exactly(piece * n)), 20_000) <= 3


def test_what_the_question_shows_as_it_is_has_one_spelling_and_a_width() -> None:
    """Of all of Unicode: letters and a few signs, composed, and none that changes the order.

    Of the planes without characters, and of those for private use, the first and the last ones.
    Within a word of another script, those of the first plane.
    """
    planes = (range(0x7F, 0x34000), range(0xDFF00, 0xF0100), range(0x10FF00, 0x110000))
    everything = [chr(number) for plane in planes for number in plane]
    for prefix in ("", "Θ", "Ж"):
        characters = everything[:0xFF00] if prefix else everything
        words = [prefix + character for character in characters]
        shown = show_exactly(" ".join(words)).split(" ")
        assert len(shown) == len(words)
        as_they_are = [
            character
            for character, word, text in zip(characters, words, shown, strict=True)
            if word == text
        ]
        assert as_they_are
        for character in as_they_are:
            assert unicodedata.normalize("NFC", character) == character
            assert unicodedata.category(character)[0] in "LSP" or character in "²³¼½¾"
            assert unicodedata.bidirectional(character) in ("L", "ON", "ET", "EN")
            assert unicodedata.combining(character) == 0
