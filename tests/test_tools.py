"""The tools that are there to be offered: a variable is looked at, code is run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from kernel import Kernel
from loopback import Loopback, Reply
from shell import Run

import di_magics as di
from di_magics.core.errors import ParamError, ToolError
from di_magics.tools import MAX_OUTPUT, inspect, run_python

VARIABLES = """
import numpy as np, pandas as pd, math
import di_magics as di
from pathlib import Path
df = pd.DataFrame({"city": ["Oslo", "Rome"], "warm": [12.5, 28.0]})
array = np.zeros((3, 4))
words = ["a", "b"]
text = "x" * 100_000
nothing = None
token = {"password": "gX8!kq2-Zr"}

def area(r: float) -> float:
    "Of a circle."
    return math.pi * r * r

class Broken:
    shape = property(lambda self: 1 / 0)
    def __repr__(self):
        raise ValueError("no text")
broken = Broken()
"""


@pytest.fixture
def variables(run: Run) -> Run:
    """A shell with some variables."""
    assert run(VARIABLES).error is None
    return run


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("df", ["df: pandas", "shape (2, 2)", "city", "warm float64", "Oslo,12.5"]),
        ("array", ["array: numpy.ndarray, shape (3, 4), dtype float64", "0. 0. 0. 0."]),
        ("words", ["words: list, length 2", "['a', 'b']"]),
        ("text", ["text: str, length 100,000", "only the first"]),
        ("nothing", ["nothing: NoneType", "is None"]),
        ("area", ["area: function", "is a function"]),
        ("broken", ["its size cannot be read", "no text"]),
    ],
)
def test_a_variable_is_described(variables: Run, name: str, parts: list[str]) -> None:
    """By its type, its shape or length, and its first lines, of any kind and bounded."""
    found = inspect(name)
    assert [part for part in parts if part not in found] == []
    assert len(found) < 4000


@pytest.mark.parametrize("name", ["dff", "df.city", "_", "In", "math", "1+1", ""])
def test_only_a_variable_of_the_user_is_described(variables: Run, name: str) -> None:
    """The error lists the variables; nothing is evaluated."""
    with pytest.raises(ToolError, match=r"There is no variable called .*The variables are: .*df"):
        inspect(name)


def test_a_variable_with_a_password_is_not_shown(variables: Run) -> None:
    """As it is not attached either."""
    with pytest.raises(ParamError, match="password") as error:
        inspect("token")
    assert "gX8" not in str(error.value)


def test_the_password_of_a_variable_is_hidden_in_what_the_tools_return(variables: Run) -> None:
    """Under another name, in an object's text, in what is printed, and in an error."""
    variables("login = token['password']\nlogins = [login, 'seen']")
    assert "[secret]" in inspect("login")
    texts = [inspect("logins"), run_python("print(login, 'seen')"), run_python("logins")]
    with pytest.raises(ToolError) as error:
        run_python("raise ValueError(login + ' seen')")
    for text in (*texts, str(error.value)):
        assert "seen" in text
        assert "gX8" not in text


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("1 + 1", "2"),
        ("print('a')\n'b'", "a\n'b'"),
        ("import sys; print('e', file=sys.stderr)", "e\n"),
        ("made = 7", "(no output)"),
        ("words", "['a', 'b']"),
        ("%who_ls str", "['text']"),
        ("", "(no output)"),
    ],
)
def test_code_is_run_among_the_users_variables(
    variables: Run, shell: InteractiveShell, code: str, expected: str
) -> None:
    """What it prints and the value of its last line come back; what it sets stays."""
    assert run_python(code) == expected
    assert shell.user_ns.get("made") == (7 if "made" in code else None)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("print('before')\nx = 1\n1 / 0", "before\nZeroDivisionError: division by zero (line 3)"),
        ("undefined", "NameError: name 'undefined' is not defined (line 1)"),
        ("def f(:", "SyntaxError: "),
    ],
)
def test_an_exception_comes_with_what_was_printed_before(
    variables: Run, code: str, error: str
) -> None:
    """And with the line of the code."""
    with pytest.raises(ToolError) as raised:
        run_python(code)
    assert str(raised.value).startswith(error)


def test_output_is_bounded(variables: Run) -> None:
    """A loop that prints does not fill the memory."""
    assert len(run_python("for i in range(300_000): print('line')")) == MAX_OUTPUT


def test_it_works_outside_ipython(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the variables are those of the program."""
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    monkeypatch.setattr("__main__.ready_made", 3, raising=False)
    assert run_python("ready_made + 1") == "4"
    assert "int" in inspect("ready_made")


def test_run_python_cannot_be_marked_as_safe() -> None:
    """The user is asked, whatever the notebook says."""
    with pytest.raises(ToolError, match="always asked"):
        di.safe(di.tools.run_python)


def test_both_are_offered_by_their_dotted_names(
    variables: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only run_python asks, and the question shows the code."""
    asked: list[str] = []

    def allow(question: str) -> str:
        asked.append(question)
        return "y"

    monkeypatch.setattr("builtins.input", allow)
    calls: list[dict[str, Any]] = [
        {"name": "inspect", "arguments": json.dumps({"name": "words"})},
        {"name": "run_python", "arguments": json.dumps({"code": "len(words)\nlen(words) * 3"})},
    ]
    server.reply(Reply("", tool_calls=calls, finish="tool_calls"), Reply("Six."))
    assert variables("%%chat --tools di.tools.inspect,di.tools.run_python\ngo").error is None
    offered = [tool["function"] for tool in server.chats[0].json["tools"]]
    assert [tool["name"] for tool in offered] == ["inspect", "run_python"]
    assert all(tool["description"] for tool in offered)
    messages = server.chats[1].json["messages"]
    results = [message["content"] for message in messages if message["role"] == "tool"]
    assert results[0].startswith("words: list, length 2")
    assert results[1] == "6"
    assert len(asked) == 1
    assert "len(words)\\n" in asked[0]
    assert "len(words) * 3" in asked[0]


@pytest.mark.parametrize("name", ["di.tools.nothing", "di.nothing.inspect", "df.head", "di.tools"])
def test_a_dotted_name_is_a_function_of_a_module(
    variables: Run, server: Loopback, name: str
) -> None:
    """Nothing else is looked up, and the error names the tools."""
    error = variables(f"%%chat --tools {name}\ngo").error
    assert isinstance(error, ToolError)
    assert "di.tools.inspect" in str(error)
    assert server.chats == []


def test_two_tools_of_one_name_are_refused(variables: Run, server: Loopback) -> None:
    """The model could not tell them apart."""
    error = variables("def inspect(): ...\n").error
    assert error is None
    error = variables("%%chat --tools inspect,di.tools.inspect\ngo").error
    assert isinstance(error, ToolError)
    assert "two tools" in str(error)
    assert server.chats == []


@pytest.mark.kernel
def test_stop_ends_the_code_of_the_model(kernel: Kernel, server: Loopback) -> None:
    """■ while it runs: the call says that it was stopped, and the kernel goes on."""
    setup = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    assert kernel.run(setup).status == "ok"
    assert kernel.run("import di_magics as di").status == "ok"
    code = "display('started')\nwhile True: pass"
    calls = [{"name": "run_python", "arguments": json.dumps({"code": code})}]
    server.reply(Reply("", tool_calls=calls, finish="tool_calls"), Reply("Stopped."))
    cell = kernel.start("%%chat --tools di.tools.run_python\ngo", inputs=["y"])
    kernel.wait(
        cell,
        lambda: any(o.get("data", {}).get("text/plain") == "'started'" for o in cell.outputs),
    )
    kernel.interrupt()
    kernel.wait(cell)
    assert "Stopped by the user" in cell.text
    assert kernel.run("1 + 1").text == "2\n"
