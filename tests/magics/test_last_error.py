"""`%chat fix` asks about the cell that failed, and `%chat code` fills the next one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from growth import growth
from IPython.core.interactiveshell import InteractiveShell
from loopback import Fault, Loopback, Reply
from shell import Run

import di_magics as di
from di_magics.magics.last_error import MAX_CELL_CHARS, MAX_TRACE_CHARS, fix_prompt

KEY = "sk-" + "B" * 40
FIRST = "This cell failed. Explain why in one or two sentences, and give the corrected cell."


@pytest.fixture(autouse=True)
def _nothing_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No error is left over from another test."""
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        monkeypatch.delattr(sys, name, raising=False)


def asked(server: Loopback) -> str:
    """Return the last question that was sent."""
    found = server.chats[-1].json["messages"][-1]["content"]
    assert isinstance(found, str)
    return found


def fixed(run: Run, server: Loopback, cell: str, line: str = "%chat fix") -> str:
    """Let a cell fail, and return what is asked about it."""
    assert run(cell).error is not None
    ran = run(line)
    assert ran.error is None, ran.text
    return asked(server)


# fix ----------------------------------------------------------------------------------------


def test_the_cell_and_its_traceback_are_sent(run: Run, server: Loopback) -> None:
    """The question holds what was asked to be done, the cell, and the error as Python says it."""
    assert fixed(run, server, "a = 1\na / 0") == (
        f"{FIRST}\n\n```python\na = 1\na / 0\n```\n\n```\nTraceback (most recent call last):\n"
        "  Cell In[1], line 2, in <module>\n    a / 0\n    ~~^~~\n"
        "ZeroDivisionError: division by zero\n```"
    )


def test_no_other_variable_is_sent(run: Run, server: Loopback) -> None:
    """Neither the values of variables nor other cells go along."""
    run("private = 'a-private-value'")
    run("def helper(x):\n    # a-private-remark\n    return x / 0")
    prompt = fixed(run, server, "helper(len(private))")
    assert "a-private" not in prompt
    assert "return x / 0" in prompt


def test_the_answer_is_a_turn_like_any_other(run: Run, server: Loopback) -> None:
    """The conversation goes along with the question and goes on after it."""
    server.reply(Reply("one"), Reply("Divide by 1."), Reply("three"))
    run("%%chat\nfirst")
    prompt = fixed(run, server, "1/0")
    run("%%chat\nthanks")
    sent = [message["content"] for message in server.chats[-1].json["messages"]]
    assert sent == ["first", "one", prompt, "Divide by 1.", "thanks"]


def test_a_remark_replaces_the_question(run: Run, server: Loopback) -> None:
    """`%chat fix TEXT` asks that about the cell."""
    prompt = fixed(run, server, "1/0", "%chat fix Why is that so?")
    assert prompt.startswith("Why is that so?\n\n```python\n1/0\n```")
    assert FIRST not in prompt


def test_without_a_failed_cell_there_is_an_error(run: Run, server: Loopback) -> None:
    """Without an error there is nothing to ask, and nothing is sent."""
    error = run("%chat fix").error
    assert isinstance(error, di.ChatError)
    assert "No cell has failed" in str(error)
    assert server.requests == []


def test_a_fix_without_an_error_is_not_itself_the_last_error(run: Run, server: Loopback) -> None:
    """Asked twice with nothing to fix, the first refusal is not what gets sent."""
    run("%chat fix")
    assert isinstance(run("%chat fix").error, di.ChatError)
    assert server.requests == []


@pytest.mark.parametrize(
    "after", ["%chat undo 99999", "%%chat --no-such-flag\nhello", "%chat fix"], ids=str.split
)
def test_our_own_errors_are_not_remembered(run: Run, server: Loopback, after: str) -> None:
    """The cell is still what is asked about after a command was refused, or a first try failed."""
    run("1/0")
    server.reply(Fault(400, {"error": {"message": "not now"}}))
    assert isinstance(run(after).error, di.DiMagicsError)
    server.reply(Reply("Divide by 1."))
    run("%chat fix")
    assert "```python\n1/0\n```" in asked(server)


def test_errors_that_led_to_it_are_sent(run: Run, server: Loopback) -> None:
    """A chain of errors is sent whole, with the cells' own names and no temporary ones."""
    run("def inner():\n    raise KeyError('first')")
    prompt = fixed(
        run,
        server,
        "try:\n    inner()\nexcept KeyError as error:\n    raise ValueError('second') from error",
    )
    assert "KeyError: 'first'" in prompt
    assert "direct cause" in prompt
    assert "ValueError: second" in prompt
    assert "ipython-input" not in prompt


def test_errors_in_a_group_are_sent(run: Run, server: Loopback) -> None:
    """The errors of an ExceptionGroup are sent, with the cells' own names."""
    run("def inner():\n    raise KeyError('first')")
    prompt = fixed(
        run,
        server,
        "try:\n    inner()\nexcept KeyError as error:\n    raise ExceptionGroup('two', [error])",
    )
    assert "KeyError: 'first'" in prompt
    assert "ExceptionGroup: two" in prompt
    assert "ipython-input" not in prompt


@pytest.mark.parametrize(
    "cell", ["x = (1,\ny = 2", "if True:\npass", "'''", "print 'a'", "a = 1\n  b = 2"]
)
def test_a_cell_with_wrong_syntax_is_sent(run: Run, server: Loopback, cell: str) -> None:
    """The cell and where it is wrong are sent, and nothing of what IPython did with it."""
    prompt = fixed(run, server, cell)
    assert f"```python\n{cell}\n```" in prompt
    assert "Cell In[" in prompt
    assert "Error: " in prompt
    assert "ipython-input" not in prompt
    assert "site-packages" not in prompt


def test_an_error_in_a_module_is_sent_with_the_cell(
    run: Run, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell is the one that was run, and the module's line stands in the traceback."""
    (tmp_path / "a_failing_module.py").write_text("# private\ndef go():\n    return {}['x']\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    prompt = fixed(run, server, "import a_failing_module\na_failing_module.go()")
    assert "```python\nimport a_failing_module\na_failing_module.go()\n```" in prompt
    assert "a_failing_module.py\", line 3, in go\n    return {}['x']" in prompt
    assert "private" not in prompt


def test_a_module_with_wrong_syntax_is_sent_with_the_cell(
    run: Run, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell that imports it is what is to be corrected."""
    (tmp_path / "a_broken_module.py").write_text("def go(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    prompt = fixed(run, server, "import a_broken_module")
    assert "```python\nimport a_broken_module\n```" in prompt
    assert 'a_broken_module.py", line 1' in prompt


def test_an_error_without_a_text_is_sent(run: Run, server: Loopback) -> None:
    """An error whose own text cannot be had is sent as far as it goes."""
    cell = "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd"
    assert "Odd" in fixed(run, server, cell).rpartition("```python")[2]


def test_a_long_cell_loses_its_middle(run: Run, server: Loopback) -> None:
    """Of a very long cell both ends are sent, and it says how much is left out."""
    prompt = fixed(run, server, "first = 1\n" + "# filler\n" * 5000 + "last = 1 / 0")
    cell = prompt.partition("```python\n")[2].partition("\n```")[0]
    assert cell.startswith("first = 1\n")
    assert cell.endswith("last = 1 / 0")
    assert "characters left out …" in cell
    assert len(cell) < MAX_CELL_CHARS + 60


def test_a_huge_cell_takes_no_longer_than_a_large_one(shell: InteractiveShell) -> None:
    """Secrets are searched near its ends only, because the rest is not sent."""

    def make(size: int) -> str:
        return "".join(f"password=a{at}!b " for at in range(size // 18))

    error = ValueError("x")
    assert growth(lambda cell: fix_prompt(shell, (cell, error)), 1_000_000, make) <= 1.5


def test_a_long_traceback_loses_its_middle(run: Run, server: Loopback) -> None:
    """Of a very long traceback both ends are sent, and it says how much is left out."""
    prompt = fixed(run, server, "raise ValueError('m' * 50_000 + ' and its end')")
    trace = prompt.partition("Traceback")[2].rpartition("\n```")[0]
    assert trace.endswith("m and its end")
    assert "characters left out …" in trace
    assert len(trace) < MAX_TRACE_CHARS + 60


def test_an_endless_recursion_is_sent_in_short(run: Run, server: Loopback) -> None:
    """The traceback of a function that calls itself for ever is shortened."""
    run("%xmode Plain")  # by default IPython takes seconds to show this traceback
    prompt = fixed(run, server, "def f(n):\n    return f(n + 1)\nf(0)")
    assert "RecursionError" in prompt
    assert len(prompt) < 2 * MAX_TRACE_CHARS


def test_a_fence_in_a_cell_does_not_end_its_block(run: Run, server: Loopback) -> None:
    """A cell with three backticks in it is in a longer fence."""
    prompt = fixed(run, server, "x = '''\n```\n'''\n1/0")
    assert "````python\nx = '''\n```\n'''\n1/0\n````" in prompt


@pytest.mark.parametrize(
    "cell",
    [
        f"key = '{KEY}'\n1/0",
        f"raise ValueError('not a key: {KEY}')",
        f"f('{KEY}'",
        f"raise ValueError(\n    'https://user:{'p' * 20}@example.org'\n)",
    ],
    ids=["cell", "error", "syntax", "address"],
)
def test_what_looks_like_a_key_is_replaced(run: Run, server: Loopback, cell: str) -> None:
    """A key in the cell or in the error is not sent, and [secret] stands in its place."""
    prompt = fixed(run, server, cell)
    assert "BBBB" not in prompt
    assert "pppp" not in prompt
    assert "[secret]" in prompt


def test_the_value_of_a_variable_that_is_called_like_a_secret_is_replaced(
    run: Run, server: Loopback
) -> None:
    """Wherever the notebook has it from, as a library repeats it."""
    run("password = '-'.join(['hunter2', '9Xq'])")
    prompt = fixed(run, server, "raise ValueError(f'no login for ada with {password}')")
    assert "no login for ada with [secret]" in prompt
    assert "9Xq" not in prompt


def test_a_key_in_a_remark_is_replaced(run: Run, server: Loopback) -> None:
    """What the user adds is searched as well."""
    assert KEY not in fixed(run, server, "1/0", f"%chat fix Is {KEY} wrong?")


@pytest.mark.parametrize("shown", [1, 10, 20, 30, 42])
@pytest.mark.parametrize("end", ["before", "after"])
def test_a_key_where_a_cell_is_cut_is_replaced(
    run: Run, server: Loopback, shown: int, end: str
) -> None:
    """Of a key that lies across the place of the cut no part is sent."""
    half = MAX_CELL_CHARS // 2
    if end == "before":
        start = "x = '" + "-" * (half - shown - 5)
        cell = start + KEY + "'\n#" + "-" * MAX_CELL_CHARS + "\n1/0"
    else:
        rest = "'\n1/0"
        tail = "-" * (half - shown - len(rest))
        cell = "#" + "-" * MAX_CELL_CHARS + "\nx = '" + KEY + tail + rest
    assert "B" not in fixed(run, server, cell).replace("ZeroDivisionError", "")


# code ---------------------------------------------------------------------------------------

BLOCKS = """First install it:

```bash
pip install numpy
```

Then:

```python
import numpy
```

and

```py
print(numpy.pi)
```
"""


def filled(shell: InteractiveShell) -> str | None:
    """Return what the next cell begins with."""
    found: str | None = getattr(shell, "rl_next_input", None)
    return found


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("", "import numpy\n\nprint(numpy.pi)"),
        (" 1", "pip install numpy"),
        (" 2", "import numpy"),
        (" bash", "pip install numpy"),
        (" py", "import numpy\n\nprint(numpy.pi)"),
    ],
)
def test_chat_code_sets_the_next_input(
    run: Run, server: Loopback, shell: InteractiveShell, named: str, code: str
) -> None:
    """`%chat code` uses the Python of the last reply, or the block that is named."""
    server.reply(Reply(BLOCKS))
    run("%%chat\nHow?")
    assert run(f"%chat code{named}").error is None
    assert filled(shell) == code


@pytest.mark.parametrize(
    ("named", "code"),
    [("code", "import numpy\n\nprint(numpy.pi)"), ("code:1", "pip install numpy")],
)
def test_a_format_fills_the_next_cell(
    run: Run, server: Loopback, shell: InteractiveShell, named: str, code: str
) -> None:
    """`-f code` does it as soon as the reply is there, and shows the reply."""
    server.reply(Reply(BLOCKS))
    assert "First install it" in run(f"%%chat -f {named}\nHow?").text
    assert filled(shell) == code


@pytest.mark.parametrize(
    ("reply", "named", "why"),
    [
        ("No code.", "", "no code block in this reply"),
        ("No code.", " 1", "no code block in this reply"),
        (BLOCKS, " 4", "There is no block 4: this reply has 3 blocks (1 bash, 2 python, 3 py)"),
        (BLOCKS, " 0", "There is no block 0"),
        (BLOCKS, " rust", "There is no block rust"),
    ],
)
def test_an_unknown_block_is_an_error(
    run: Run, server: Loopback, shell: InteractiveShell, reply: str, named: str, why: str
) -> None:
    """Where there is none, the line says what there is, and the next cell stays empty."""
    server.reply(Reply(reply))
    run("%%chat\nHow?")
    error = run(f"%chat code{named}").error
    assert isinstance(error, di.ChatError)
    assert why in str(error)
    assert filled(shell) is None


def test_a_reply_without_code_is_kept(run: Run, server: Loopback, shell: InteractiveShell) -> None:
    """`-f code` without a block says so in a line below the reply, which is as it should be."""
    server.reply(Reply("No code."))
    ran = run("%%chat -f code\nHow?")
    assert ran.error is None
    assert "no code block in this reply" in ran.text
    assert filled(shell) is None
    assert "No code." in run("%chat history").text


def test_without_a_reply_there_is_an_error(run: Run, server: Loopback) -> None:
    """Without a turn there is no code."""
    assert isinstance(run("%chat code").error, di.DiMagicsError)
    assert server.requests == []


def test_code_of_a_reply_is_not_run(run: Run, server: Loopback, shell: InteractiveShell) -> None:
    """The code stands in the next cell, and only the user runs it."""
    server.reply(Reply("```python\nran = True\n```"))
    run("%%chat -f code\nHow?")
    run("%chat code")
    assert "ran" not in shell.user_ns


@pytest.mark.parametrize(
    "hidden",
    [
        "\u202e",  # turns the line around
        "\u2066",
        "\u061c",
        "\u200b",  # no width
        "\u200e",
        "\u2060",
        "\ufeff",
        "\u00ad",  # a hyphen that is not seen
        "\u180e",
        "\u206a",
        "\U000e0041",  # a letter that is not seen
        "\u2028",  # a line end to some, and none to Python
        "\u2029",
        "\x00",
        "\x08",  # goes back over what was written
        "\x1b",
        "\x7f",
        "\x9b",
    ],
    ids=ascii,
)
def test_hidden_characters_do_not_reach_the_cell(
    run: Run, server: Loopback, shell: InteractiveShell, hidden: str
) -> None:
    """Marks that reorder, hide or erase text are taken out of the code."""
    server.reply(Reply(f"```python\nuser = 'ad{hidden}min'  # {hidden}\n```"))
    run("%%chat -f code\nHow?")
    result = filled(shell)
    assert result is not None
    assert result.startswith("user = 'ad")
    assert hidden not in result


def test_visible_characters_reach_the_cell(
    run: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """Tabs, line ends and the letters of all languages are code."""
    code = "if größe:\n\tprint('日本語 😀 é עברית')"
    server.reply(Reply(f"```python\n{code}\n```"))
    run("%%chat -f code\nHow?")
    assert filled(shell) == code
