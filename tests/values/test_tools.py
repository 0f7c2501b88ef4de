"""Functions as tools: what is offered, what is refused, what goes back, and how it is ended."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from di_magics.core.errors import ToolError
from di_magics.core.reply.reply import ToolCall, ToolResult
from di_magics.core.reply.tool_calls import safe
from di_magics.runtime.interrupts import Interrupts
from di_magics.values import tools
from di_magics.values.tools import Toolbox, make_toolbox


def never(call: str) -> bool:
    """Nobody may be asked."""
    raise AssertionError(call)


def box(
    *functions: Callable[..., Any], allow: Callable[[str], bool] = never, confirm: bool = False
) -> Toolbox:
    """Return a toolbox of these functions."""
    return make_toolbox(functions, allow, confirm=confirm)


class User:
    """A user who allows every call or none; `asked` has the questions."""

    def __init__(self, *, allows: bool) -> None:
        self.allows = allows
        self.asked: list[str] = []

    def __call__(self, question: str) -> bool:
        self.asked.append(question)
        return self.allows


def answers(found: Toolbox, *calls: tuple[str, str]) -> list[ToolResult]:
    """Return what comes of these calls."""
    asked = [ToolCall(f"{n}", name, arguments) for n, (name, arguments) in enumerate(calls)]
    with Interrupts() as interrupts:
        return found.run_calls(asked, interrupts, lambda results: None)


@safe
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


def test_what_a_function_returns_goes_back_as_text() -> None:
    """A number is JSON; the arguments that were left out take their defaults."""
    (result,) = answers(box(add), ("add", '{"a": 40}'))
    assert (result.content, result.failed) == ("42", False)


@dataclass
class Point:
    """A dataclass."""

    x: int


class Shown:
    """An object whose text is its own, and which is not JSON."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "shown"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a text", "a text"),
        (None, "null"),
        ({"a": [1, 2.5]}, '{"a":[1,2.5]}'),
        (Point(1), '{"x":1}'),
        (Shown(), "(Shown, 5 characters)\nshown"),
    ],
)
def test_results_are_texts(value: object, text: str) -> None:
    """A text stays as it is, what has a form in JSON takes it, anything else is its own text."""

    @safe
    def give() -> object:
        return value

    assert answers(box(give), ("give", ""))[0].content == text


def test_a_long_result_is_cut_and_says_so() -> None:
    """A model is not drowned in what a function returns."""

    @safe
    def much() -> str:
        return "word " * 100_000

    (result,) = answers(box(much), ("much", "{}"))
    assert result.content.startswith("(only the first 12,000 of 500,000 characters")
    assert len(result.content) < 12_200


def test_an_image_in_base64_does_not_come_back_as_text() -> None:
    """Wherever it is in a result: what stands beside it comes back."""
    image = "iVBORw0KGgo" + "A" * 50_000
    address = f"data:image/png;base64,{image}"

    @safe
    def screenshot(kind: str) -> object:
        return {"text": image, "address": address, "mcp": [{"data": image, "title": "t"}]}[kind]

    shots = box(screenshot)
    for kind, said in (
        ("text", "(image in base64, 50,011 characters, not sent)"),
        ("address", "(image in base64, 50,033 characters, not sent)"),
        ("mcp", '[{"data":"(image in base64, 50,011 characters, not sent)","title":"t"}]'),
    ):
        [result] = answers(shots, ("screenshot", f'{{"kind": "{kind}"}}'))
        assert result.content == said


def test_colours_of_a_terminal_do_not_come_back() -> None:
    """Of a text, within a list, and of an exception."""

    @safe
    def run(kind: str) -> object:
        """Run a command as a terminal shows it."""
        if kind == "error":
            raise ValueError("\x1b[31mred\x1b[0m")
        return {"text": "\x1b[31mred\x1b[0m", "list": ["\x1b[31mred\x1b[0m"]}[kind]

    for kind, said in (("text", "red"), ("list", '["red"]'), ("error", "ValueError: red")):
        [result] = answers(box(run), ("run", f'{{"kind": "{kind}"}}'))
        assert result.content == said


def test_an_array_comes_back_whole() -> None:
    """NumPy's own text of it has an ellipsis."""
    import numpy

    @safe
    def numbers(count: int) -> Any:
        return {"values": numpy.arange(count)}

    short, long = answers(
        box(numbers), ("numbers", '{"count": 900}'), ("numbers", '{"count": 10000000}')
    )
    assert json.loads(short.content) == {"values": list(range(900))}
    assert long.content.startswith("(only the first ")
    assert "..." not in long.content


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["generator", "iterator", "async generator", "nested"])
def test_a_result_without_an_end_is_refused(kind: str) -> None:
    """An iterator is not read; the model learns what the function is to return."""

    def count() -> Iterator[int]:
        yield from itertools.count()

    async def tick() -> AsyncIterator[int]:
        yield 1

    values = {"generator": count(), "iterator": itertools.count(), "async generator": tick()}

    @safe
    def endless() -> object:
        return values.get(kind, {"rows": [itertools.count()]})

    (result,) = answers(box(endless), ("endless", ""))
    assert result.failed
    assert "It ran" in result.content
    assert "may have no end" in result.content


class Slow(Sequence[int]):
    """A list without an end that takes its time."""

    def __init__(self, started: threading.Event) -> None:
        self.started = started

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        self.started.set()
        time.sleep(0.01)
        return 1


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_stop_ends_the_writing_of_a_result(kind: str) -> None:
    """What the result itself does is the user's code as well, and one ■ ends it."""
    started = threading.Event()

    @safe
    def plain() -> Slow:
        return Slow(started)

    @safe
    async def slow() -> Slow:
        return Slow(started)

    def end() -> None:
        started.wait(30)
        interrupt()

    with Interrupts() as interrupts:
        threading.Thread(target=end, daemon=True).start()
        call = ToolCall("1", "plain" if kind == "plain" else "slow", "")
        begun = time.monotonic()
        results = box(plain, slow).run_calls([call], interrupts, lambda results: None)
        assert interrupts.interrupted
    assert time.monotonic() - begun < 5
    assert results == [tools.STOPPED]


def test_a_table_comes_back_as_csv() -> None:
    """A DataFrame is bounded, like one that is attached."""
    import pandas

    @safe
    def table() -> Any:
        return pandas.DataFrame({"a": range(10_000)})

    (result,) = answers(box(table), ("table", "{}"))
    assert "10,000 rows × 1 column, as CSV, only the first" in result.content
    assert len(result.content) < 12_200


def test_an_exception_goes_back_as_text() -> None:
    """The model learns what was wrong and can try again."""

    @safe
    def divide(a: int) -> float:
        return a / 0

    (result,) = answers(box(divide), ("divide", '{"a": 1}'))
    assert result.failed
    assert result.content == "ZeroDivisionError: division by zero"


class Spiteful(Exception):
    """An exception whose text raises another one."""

    def __init__(self, raised: type[BaseException]) -> None:
        self.raised = raised

    def __str__(self) -> str:
        raise self.raised


@pytest.mark.parametrize(
    "error",
    [Spiteful(RuntimeError), Spiteful(KeyboardInterrupt), SystemExit(3), GeneratorExit()],
)
def test_whatever_a_function_raises_goes_back(error: BaseException) -> None:
    """Not even an exit or an exception that cannot be printed ends the turn."""

    @safe
    def fail() -> None:
        raise error

    (result,) = answers(box(fail), ("fail", "{}"))
    assert result.failed
    assert result.content.startswith(type(error).__name__)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("add", '{"a": 1', "not JSON (it breaks off in line 1)"),
        ("add", '{"a": "1"}', "valid integer"),
        ("add", '{"a": 1, "c": 2}', "Extra inputs"),
        ("add", "{}", "Field required"),
        ("add", "[1]", "object"),
        ("add", "null", "Field required"),
        ("subtract", "{}", "There is no tool subtract. The tools are add;"),
        ("", "{}", "There is no tool"),
    ],
)
def test_a_call_that_does_not_fit_runs_nothing(name: str, arguments: str, said: str) -> None:
    """The model is told why, in a line, and nobody is asked."""
    ran: list[int] = []

    def add(a: int) -> None:
        ran.append(a)

    (result,) = answers(box(add), (name, arguments))
    assert result.failed
    assert said in result.content
    assert "\n" not in result.content
    assert ran == []


@pytest.mark.parametrize(
    "name",
    [
        *["add ", " add\n", "add()", "add:12", "functions.add", "function.add", "functions:add"],
        *["tools.add", "default_api.add", "functions.add:0"],
    ],
)
def test_other_spellings_of_a_name_call_the_function(name: str) -> None:
    """Models put a namespace, a number, parentheses or spaces around the name they were given."""
    user = User(allows=True)
    (result,) = answers(box(add, allow=user, confirm=True), (name, '{"a": 40}'))
    assert (result.content, result.failed) == ("42", False)
    assert user.asked == ["add(a=40)"]


@pytest.mark.parametrize("name", ["Add", "math.add", "add.functions", "functions.", "add 2", "ad"])
def test_a_name_that_only_resembles_a_tool_runs_nothing(name: str) -> None:
    """What could be another function is not guessed."""
    (result,) = answers(box(add), (name, '{"a": 40}'))
    assert result.failed
    assert "nothing was run" in result.content


def test_a_tool_may_be_called_functions() -> None:
    """Its own name comes first."""

    @safe
    def functions() -> str:
        return "mine"

    assert answers(box(functions, add), ("functions", ""))[0].content == "mine"


def test_a_function_that_is_not_safe_runs_only_when_allowed() -> None:
    """The user sees the whole call, and a no goes back to the model."""
    asked: list[str] = []

    def delete(file: str) -> str:
        return f"deleted {file}"

    def allow(call: str) -> bool:
        asked.append(call)
        return "a.txt" in call

    found = box(delete, add, allow=allow)
    results = answers(
        found, ("delete", '{"file": "a.txt"}'), ("delete", '{"file": "b"}'), ("add", '{"a": 1}')
    )
    assert asked == ['delete(file="a.txt")', 'delete(file="b")']
    assert [result.content for result in results] == [
        "deleted a.txt",
        "The user did not allow this call; it was not run.",
        "3",
    ]


def test_confirm_asks_for_safe_functions_too() -> None:
    """With it every call is asked about."""
    user = User(allows=False)
    result = box(add, allow=user, confirm=True)
    assert answers(result, ("add", '{"a": 1}'))[0].failed
    assert len(user.asked) == 1
    assert result.asks
    assert not box(add).asks


def test_a_question_cannot_be_repainted() -> None:
    """Control characters are shown."""
    user = User(allows=False)

    def say(text: str) -> None:
        """Say something."""

    answers(box(say, allow=user), ("say", '{"text": "\\u001b[2Jno"}'))
    assert user.asked == [r'say(text="\u001b[2Jno")']


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\u3164", "\u2028", "\U000e0041", "\ufe0f"])
def test_a_question_shows_what_is_hidden_in_the_arguments(hidden: str) -> None:
    """Whoever allows one call does not allow another one that looks the same."""
    user = User(allows=False)

    def say(text: str) -> None:
        """Say something."""

    answers(box(say, allow=user), ("say", '{"text": "ab"}'), ("say", f'{{"text": "a{hidden}b"}}'))
    assert f"a⟨U+{ord(hidden):04X}⟩b" in user.asked[1]


@pytest.mark.parametrize(
    ("answer", "may"),
    [("y", True), ("YES ", True), ("n", False), ("", False), ("yesterday", False)],
)
def test_only_a_yes_is_a_yes(answer: str, may: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enter alone is a no."""
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert tools.ask_user("f()") is may


def test_nobody_to_ask_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal nothing is run unasked."""

    def nobody(question: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    assert tools.ask_user("f()") is False


def test_async_functions_run_at_the_same_time() -> None:
    """Two that wait for each other both end; the others follow one after another."""
    meeting = []

    @safe
    async def meet(name: str) -> str:
        meeting.append(name)
        while len(meeting) < 2:
            await asyncio.sleep(0)
        return f"{name} met"

    results = answers(
        box(meet, add), ("add", '{"a": 1}'), ("meet", '{"name": "A"}'), ("meet", '{"name": "B"}')
    )
    assert [result.content for result in results] == ["3", "A met", "B met"]


def test_an_async_function_that_fails_leaves_the_others_alone() -> None:
    """Its exception goes back, also an exit."""

    @safe
    async def fail(code: int) -> None:
        raise SystemExit(code) if code else ValueError("zero")

    @safe
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    results = answers(
        box(fail, work), ("fail", '{"code": 0}'), ("work", ""), ("fail", '{"code": 1}')
    )
    assert [result.content for result in results] == ["ValueError: zero", "done", "SystemExit: 1"]


def test_what_a_function_gives_to_await_is_awaited() -> None:
    """A plain function may return a coroutine, and an object may have an async call."""

    async def later() -> str:
        return "later"

    @safe
    def soon() -> Any:
        return later()

    class Waiter:
        __name__ = "waiter"
        __di_magics_safe__ = True

        async def __call__(self, n: int) -> int:
            return n + 1

    results = answers(box(soon, Waiter()), ("soon", ""), ("waiter", '{"n": 1}'))
    assert [result.content for result in results] == ["later", "2"]


def interrupt() -> None:
    """Press ■, as the kernel gets it."""
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("stop", ["interrupt", "stop"])
def test_a_stop_ends_the_call_and_the_rest_is_not_run(stop: str) -> None:
    """Both ■ and Stop end what runs; every call has an answer afterwards."""
    running = threading.Event()

    @safe
    def sleep() -> None:
        running.set()
        while stop == "interrupt":  # one signal may come just before a system call
            time.sleep(0.01)
        time.sleep(60)

    with Interrupts() as interrupts:

        def end() -> None:
            running.wait(30)
            interrupt() if stop == "interrupt" else interrupts.stop()

        threading.Thread(target=end, daemon=True).start()
        begun = time.monotonic()
        calls = [ToolCall("1", "sleep", ""), ToolCall("2", "add", '{"a": 1}')]
        results = box(sleep, add).run_calls(calls, interrupts, lambda results: None)
        assert interrupts.stopping
        assert interrupts.interrupted is (stop == "interrupt")
    assert time.monotonic() - begun < 30
    assert [result.content for result in results] == [tools.STOPPED.content, tools.NOT_RUN.content]


@pytest.mark.parametrize("stop", ["interrupt", "stop"])
def test_a_stop_cancels_async_calls(stop: str) -> None:
    """They get to clean up, and are over when this returns."""
    cleaned = []
    running = threading.Event()

    @safe
    async def wait() -> None:
        try:
            running.set()
            await asyncio.sleep(60)
        finally:
            cleaned.append("up")

    with Interrupts() as interrupts:

        def end() -> None:
            running.wait(30)
            interrupt() if stop == "interrupt" else interrupts.stop()

        threading.Thread(target=end, daemon=True).start()
        calls = [ToolCall("1", "wait", ""), ToolCall("2", "add", '{"a": 1}')]
        results = box(wait, add).run_calls(calls, interrupts, lambda results: None)
    assert cleaned == ["up"]
    assert [result.content for result in results] == [tools.STOPPED.content, tools.NOT_RUN.content]


def test_a_second_interrupt_breaks_into_an_async_call() -> None:
    """One that does not heed its being cancelled cannot hold the kernel."""
    running = threading.Event()
    first = threading.Event()

    @safe
    async def stubborn() -> None:
        running.set()
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                first.set()

    with Interrupts() as interrupts:

        def press() -> None:
            running.wait(30)
            interrupt()
            first.wait(30)
            interrupt()

        threading.Thread(target=press, daemon=True).start()
        found = box(stubborn)
        results = found.run_calls([ToolCall("1", "stubborn", "")], interrupts, lambda results: None)
    assert results == [tools.STOPPED]


def test_an_interrupt_at_the_question_is_a_no_to_all() -> None:
    """Nothing runs, and every call has an answer."""

    def delete() -> None:
        """Delete everything."""

    def allow(call: str) -> bool:
        interrupt()
        return True

    results = answers(box(delete, allow=allow), ("delete", ""), ("delete", ""))
    assert results == [tools.NOT_RUN, tools.NOT_RUN]


def test_the_calls_are_shown_as_they_go() -> None:
    """Waiting, running, done: each step is told."""
    seen: list[list[str]] = []
    with Interrupts() as interrupts:
        box(add).run_calls(
            [ToolCall("1", "add", '{"a": 1}'), ToolCall("2", "add", '{"a": 2}')],
            interrupts,
            lambda results: seen.append([result.content for result in results]),
        )
    assert ["running", "waiting"] in seen
    assert ["3", "running"] in seen
    assert seen[-1] == ["3", "4"]


def test_a_key_of_the_environment_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in a result nor in an exception."""
    monkeypatch.setenv("DB_PASSWORD", "hunter2-hunter2-zz")

    @safe
    def tell() -> dict[str, str]:
        return dict(os.environ)

    @safe
    def fail() -> None:
        raise ConnectionError(f"no entry with {os.environ['DB_PASSWORD']}")

    results = answers(box(tell, fail), ("tell", ""), ("fail", ""))
    assert all("hunter2" not in result.content for result in results)
    assert "no entry with [secret]" in results[1].content


def test_what_a_function_gave_up_is_no_stop_of_the_user() -> None:
    """A cancelled future is that function's failure, and the others run."""

    @safe
    async def fetch() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    results = answers(box(fetch, add), ("fetch", ""), ("add", '{"a": 1}'))
    assert [result.content for result in results] == ["CancelledError", "3"]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_an_interrupt_that_a_function_took_in_ends_the_turn(kind: str) -> None:
    """One that asks a model itself hears of ■ in our place; nothing more is run."""

    @safe
    def plain() -> None:
        raise KeyboardInterrupt

    @safe
    async def broken() -> None:
        raise KeyboardInterrupt

    @safe
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    name = "plain" if kind == "plain" else "broken"
    calls = [ToolCall("1", name, ""), ToolCall("2", "add", '{"a": 1}'), ToolCall("3", "work", "")]
    with Interrupts() as interrupts:
        found = box(plain, broken, work, add)
        results = found.run_calls(calls, interrupts, lambda results: None)
        assert interrupts.interrupted
    assert [result.content for result in results[:2]] == [
        tools.STOPPED.content,
        tools.NOT_RUN.content,
    ]


class Callable_:
    """An object without a name."""

    def __call__(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("functions", "said"),
    [
        ([Callable_()], "not a function with a name"),
        ([lambda: 1], "not a function with a name"),
        ([3], "not a function with a name"),
        ([add, add], "two tools called add"),
        ([functools.partial(add, 1)], "not a function with a name"),
    ],
)
def test_what_cannot_be_called_by_name_is_no_tool(functions: list[Any], said: str) -> None:
    """A model calls by name, so each has one of its own."""
    with pytest.raises(ToolError, match=said):
        make_toolbox(functions, never)


def test_a_function_is_offered_under_the_users_name() -> None:
    """In a notebook it is called what its variable is called."""
    specs: Mapping[str, Mapping[str, Any]] = Toolbox({"plus": add}, never).specs
    assert list(specs) == ["plus"]
    assert specs["plus"]["name"] == "plus"
