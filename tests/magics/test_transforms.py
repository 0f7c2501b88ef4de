"""What is typed in a cell is what is sent: IPython changes nothing in a prompt or a question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Loopback, Reply
from shell import Run

import di_magics as di
from di_magics.magics.commands import COMMANDS
from di_magics.magics.transforms import CELL, REPLIES, call_cell

CHAT_LINES = json.loads(Path(__file__).with_name("chat_line_cases.json").read_text("utf-8"))

BODIES = {
    "Python prompts": ">>> 1 + 1\n2\n>>> a\n... b",
    "a Python prompt below": "Explain:\n>>> 1 + 1",
    "IPython prompts": "In [1]: 1 + 1\nOut[1]: 2\n   ...: b",
    "indented": "    def f():\n        pass",
    "indented and blank": "    a\n  \n    b",
    "trailing spaces": "a  \nb \t",
    "magics": "%time x\n!ls\n?print\n%%bash\nx?",
    "questions": "Why?\nprint?\nprint??",
    "an open quote": 'it\'s (\n"""',
    "separators": "a\x0bb\x0cc\u2028d\x85e",
    "a carriage return": "a\rb",
    "braces": "{x} {1 + 1} $HOME ${x}",
    "backslashes": "a \\\nb \\",
    "comments": "# a heading\ntext",
}


def prompts(server: Loopback) -> list[str]:
    """Return the last message of each request."""
    return [request.json["messages"][-1]["content"] for request in server.chats]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(
    "above",
    ["", "# a comment\n\n", "\n \n", "%%capture\n", "%%time\n# a\n", "%%time\n%%capture out\n"],
)
def test_a_body_is_sent_as_it_was_typed(run: Run, server: Loopback, above: str, body: str) -> None:
    """Whatever IPython would make of it, and whatever stands above the line."""
    ran = run(f"{above}%%chat --once\n{body}")
    assert ran.error is None
    assert prompts(server) == [body]


@pytest.mark.parametrize(
    "cell",
    [
        "%%chat\t-t 0\nhi",
        "%%chat \t -t\t0 \nhi",
        "%%chat -t 0\r\nhi",
        "%%chat -t 0\r\nhi\r\n",
        "# note\r\n%%chat -t 0\r\nhi",
        "    %%chat -t 0\n    hi",
        "In [3]: %%chat -t 0\n   ...: hi",
        ">>> %%chat -t 0\n... hi",
    ],
)
def test_a_cell_may_have_tabs_indentation_and_other_line_ends(
    run: Run, server: Loopback, cell: str
) -> None:
    """Tabs, other line ends, indentation, and what was copied from a terminal."""
    ran = run(cell)
    assert ran.error is None
    assert server.chats[0].json["temperature"] == 0
    assert prompts(server) == ["hi"]


def test_line_ends_of_windows_are_newlines(run: Run, server: Loopback) -> None:
    """They are how a file is kept, and no part of the prompt."""
    run("%%chat\r\na\r\n\r\nb\r\n")
    assert prompts(server) == ["a\n\nb"]


@pytest.mark.parametrize(
    "block",
    [
        "for name in ['a']:\n    %chat ask Who is {{name}}?",
        "if True:\n    %chat ask Who is a?\nelse:\n    %chat ask Who is b?",
        "with open(__file__ if False else '/dev/null'):\n\t%chat ask Who is a?",
        "def f():\n    %chat ask Who is a?\nf()",
        "def f():\n    if True:\n        return_value = %chat ask Who is a?\nf()",
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    %chat ask Who is a?",
        "if True: %chat ask Who is a?",
        "x = 1; %chat ask Who is a?",
        "x = %chat ask Who is a?",
        "x = {}\nx['a'] = %chat ask Who is a?",
        "%chat\task Who is a?",
        "  %chat ask Who is a?",
        "%chat ask Who \\\n  is a?",
        ">>> %chat ask Who is a?",
        "# note\n%chat ask Who is a?\n# note",
        "%chat ask Who is a?\n'a string\\\n'",
        "s = '''\n%chat ask Is this a string?\n'''\n%chat ask Who is a?",
    ],
)
def test_a_question_may_stand_anywhere_in_python(run: Run, server: Loopback, block: str) -> None:
    """In a block, behind `=`, on a line of its own; never taken for a call for help."""
    run("name = 'a'")
    ran = run(block)
    assert ran.error is None
    assert [" ".join(prompt.split()) for prompt in prompts(server)] == ["Who is a?"]


@pytest.mark.parametrize(
    "question",
    [
        "what's {x} and $x?",
        'Say "a (b" and [c?',
        'what does """ do?',
        "Is 5 % 2 == 1; yes?",
        "a # b?",
        "C:\\new\\?",
        "Why??",
        "ü — 😀?",
        "print?",
        "x = %chat ask y?",
    ],
)
def test_a_question_is_sent_as_it_was_typed(run: Run, server: Loopback, question: str) -> None:
    """Quotes, brackets and signs of Python among them; lines above and below run as well."""
    ran = run(f"before = 1\nr = %chat ask {question}\nafter = 2")
    assert ran.error is None
    assert prompts(server) == [question]


def test_a_question_in_a_loop_binds_its_own_reply(
    run: Run, shell: InteractiveShell, server: Loopback
) -> None:
    """No value of before is left in the variable."""
    server.reply(Reply("one"), Reply("two"))
    run("texts = []\nfor i in range(2):\n    r = %chat ask Number {{i}}?\n    texts.append(r.text)")
    assert prompts(server) == ["Number 0?", "Number 1?"]
    assert shell.user_ns["texts"] == ["one", "two"]


@pytest.mark.parametrize("line", ["%chat Why is the sky blue?", "%chat undo?", "%chat frobnicate?"])
def test_a_line_that_is_not_a_command_is_refused_by_di_magics(
    run: Run, server: Loopback, line: str
) -> None:
    """Not answered with IPython's help for its last word."""
    assert isinstance(run(line).error, di.ParamError)
    assert server.requests == []


@pytest.mark.parametrize(
    "code",
    [
        "x = 7 % 4\nassert x == 3",
        "chat = 2\nassert 7 % chat == 1 and (7\n%chat) == 1",
        "s = '%chat ask a?'\nassert s.endswith('?')",
        "s = '''\n%%chat\nhi\n'''\nassert '%%chat' in s",
        "# %chat ask a?\n# %%chat",
        "assert 1 == 1 # %chat ask a?",
    ],
)
def test_python_stays_python(run: Run, server: Loopback, code: str) -> None:
    """The modulo sign, strings and comments are not lines of ours."""
    assert run(code).error is None
    assert server.requests == []


def test_other_magics_stay_what_they_are(run: Run, shell: InteractiveShell) -> None:
    """Their lines, cells and help."""
    assert "Docstring" in run("print?").text
    run("%%capture out\nprint('x?')")
    assert shell.user_ns["out"].stdout == "x?\n"
    run(">>> y = 1\n>>> y += 1")
    assert shell.user_ns["y"] == 2


def test_a_cell_typed_in_a_terminal_ends_with_an_empty_line(shell: InteractiveShell) -> None:
    """Until then more is expected; only a call for help is whole at once."""
    for cell, state in (
        ("%%chat -t 0\n", "incomplete"),
        ("%%chat\na prompt\n", "incomplete"),
        ("%%chat\na prompt\n\n", "complete"),
        ("%%chat -h\n", "complete"),
        ("%chat ask why?\n", "complete"),
    ):
        assert shell.check_complete(cell)[0] == state, cell


@pytest.mark.parametrize(
    "cell",
    [
        "x = 1\n%%chat -t 0\nWhy is the sky blue?",
        "import os\n\n%%chat\nit's an open quote",
        "%time x = 1\n%%chat\nhi",
    ],
)
def test_a_cell_with_code_above_the_line_is_refused(run: Run, server: Loopback, cell: str) -> None:
    """Nothing of it runs, and the message says where the line belongs."""
    ran = run(cell)
    assert isinstance(ran.error, di.ParamError)
    assert "Traceback" not in ran.text
    assert server.requests == []


@pytest.mark.parametrize(("cell", "line"), CHAT_LINES)
def test_a_prompt_is_found_as_the_labextension_finds_it(cell: str, line: int) -> None:
    """`line` is the number of the %%chat line, 0 in a cell of code."""
    lines = cell.splitlines(keepends=True)
    call = "".join(call_cell(lines))
    assert ("_cell_magic('chat'" in call or "_cell_magic(\\'chat\\'" in call) == bool(line)
    assert not line or CELL.fullmatch(lines[line - 1])


def test_a_command_that_shows_its_reply_does_not_show_it_again_as_a_value() -> None:
    """All commands that return one are known as such."""
    values = {name: item.run.__annotations__["return"] for name, item in COMMANDS.items()}
    assert {name for name in values if "Reply" in str(values[name])} == {
        name for name in COMMANDS if REPLIES.match(name)
    }
