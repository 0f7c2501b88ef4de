"""The user's variables in `%%chat` cells: filled in, as a schema, as tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Loopback, Reply
from shell import Ran, Run

import di_magics as di
from di_magics.core.errors import DiMagicsError, ReplyError
from di_magics.values.namespace import Namespace

SECRET = "q7Zt9Lm2Xw4Vb8Nc"
KEY = "sk-" + "a1B2" * 10


def prompts(server: Loopback) -> list[str]:
    """Return the last message of each request."""
    return [request.json["messages"][-1]["content"] for request in server.chats]


def refused(ran: Ran, server: Loopback, kind: type[DiMagicsError]) -> str:
    """Return the one line of a cell that was refused before anything was sent."""
    assert type(ran.error) is kind, ran.text
    assert server.requests == []
    message = str(ran.error)
    assert len(message.splitlines()) == 1
    assert "Traceback" not in ran.text
    return message


# {{name}} -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["%%chat\n{}", "%chat ask {}"])
def test_a_variable_is_filled_in(
    run: Run, server: Loopback, shell: InteractiveShell, cell: str
) -> None:
    """`{{name}}` becomes the text of that variable, in a cell and in a line."""
    shell.user_ns |= {"city": "Ulm", "count": 3}
    assert run(cell.format("What of {{city}}, {{count}} times {{city}}?")).error is None
    assert prompts(server) == ["What of Ulm, 3 times Ulm?"]


def test_other_braces_stay(run: Run, server: Loopback, shell: InteractiveShell) -> None:
    """Single braces, spaces, unknown names and braces in a value are left as they are."""
    text = "{city} {{ city }} {{town.upper()}} {{town[0]}} $city {{}}"
    shell.user_ns |= {"city": "Ulm", "nested": "{{city}}"}
    run(f"%%chat\n{text} {{{{nested}}}}")
    assert prompts(server) == [text + " {{city}}"]


def test_only_the_prompt_is_filled_in(run: Run, server: Loopback, shell: InteractiveShell) -> None:
    """A flag's text is sent as it was typed."""
    shell.user_ns["city"] = "Ulm"
    run('%%chat -s "About {{city}}."\n{{city}}')
    assert [m["content"] for m in server.chats[0].json["messages"]] == ["About {{city}}.", "Ulm"]


def test_the_conversation_holds_what_was_sent(
    run: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """What was filled in stays what it was when the variable changes."""
    shell.user_ns["city"] = "Ulm"
    run("%%chat\nWhere is {{city}}?")
    shell.user_ns["city"] = "Bonn"
    run("%%chat\nAnd now?")
    run("%chat undo")
    run("%chat retry")
    firsts = [request.json["messages"][0]["content"] for request in server.chats]
    assert firsts == ["Where is Ulm?"] * 3


def test_an_unknown_name_is_refused_with_the_nearest(
    run: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """Nothing is sent, nothing is remembered, and the line says how braces are kept."""
    shell.user_ns["city"] = "Ulm"
    message = refused(run("%%chat\nWhat of {{citty}}?"), server, di.ParamError)
    assert "Did you mean city?" in message
    assert "{{ citty }}" in message
    assert "no turns" in run("%chat history").text


class Loud:
    """It has no text."""

    def __str__(self) -> str:
        raise SystemExit("loud")


@pytest.mark.parametrize("cell", ["%%chat\nUse {{found}}", "%chat ask Use {{found}}"])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        (KEY, "looks like a key"),
        ({"headers": {"authorization": f"Bearer {KEY}"}}, "looks like a password or a key"),
        (Loud(), "its str() raised SystemExit"),
        ("x" * 200_001, "-a found"),
    ],
    ids=["key", "key-within", "no-text", "too-long"],
)
def test_a_value_that_is_no_part_of_a_prompt_is_refused(
    run: Run, server: Loopback, shell: InteractiveShell, value: object, why: str, cell: str
) -> None:
    """A key, what has no text and what is too long are one line; nothing is sent or shown."""
    shell.user_ns["found"] = value
    ran = run(cell)
    assert why in refused(ran, server, di.ParamError)
    assert KEY not in ran.text


# Secrets of the environment -----------------------------------------------------------------


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """A key that only the environment knows to be one."""
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    return SECRET


HELD = {
    "text": SECRET,
    "within": f"curl -H 'x-auth: {SECRET}' example.org",
    "dict": {"a": [SECRET]},
    "environment": {"PATH": "/bin", "SOME_API_KEY": SECRET},
}


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize(
    "cell", ["%%chat\nUse {{it}}", "%chat ask Use {{it}}", "%%chat -a it\nUse"]
)
def test_a_secret_of_the_environment_goes_nowhere(
    run: Run, server: Loopback, shell: InteractiveShell, held: str, cell: str
) -> None:
    """A value with a key from the environment in it is neither filled in nor attached nor shown."""
    shell.user_ns["it"] = HELD[held]
    ran = run(cell)
    assert "a key" in refused(ran, server, di.ParamError)
    assert SECRET not in ran.text


@pytest.mark.usefixtures("secret")
def test_a_dry_run_shows_no_secret(run: Run, server: Loopback, shell: InteractiveShell) -> None:
    """What would not be sent is not shown either."""
    shell.user_ns["it"] = HELD["within"]
    ran = run("%%chat --dry-run\nUse {{it}}")
    refused(ran, server, di.ParamError)
    assert SECRET not in ran.text


@pytest.mark.usefixtures("secret")
def test_a_secret_that_is_a_default_of_a_tool_goes_nowhere(run: Run, server: Loopback) -> None:
    """A function that takes its key from the environment by default does not tell it."""
    run(
        "import os\n"
        "def fetch(url: str, key: str = os.environ['SOME_API_KEY']):\n"
        "    'Fetch a page.'\n"
        "    return 'page'"
    )
    ran = run("%%chat --tools fetch\nFetch it")
    assert SECRET not in ran.text
    assert all(SECRET.encode() not in request.body for request in server.requests)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOME_API_KEY", "true"),
        ("SOME_API_KEY_FILE", "/home/ann/the.key"),
        ("SOME_AUTHOR", "no digits in here"),
        ("LANGUAGE_OF_IT", SECRET),
    ],
)
def test_what_is_no_secret_may_be_sent(
    run: Run,
    server: Loopback,
    shell: InteractiveShell,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    """Switches, places, and variables of other names are no keys."""
    monkeypatch.setenv(name, value)
    shell.user_ns["it"] = value
    run("%%chat\n{{it}}")
    assert prompts(server) == [value]


# --dry-run ----------------------------------------------------------------------------------


def test_a_dry_run_shows_the_prompt_filled_in(
    run: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """--dry-run shows the request with the variable's text, and sends and remembers nothing."""
    shell.user_ns["city"] = "Ulm"
    ran = run("%%chat --dry-run -t 0\nWhere is {{city}}?")
    assert json.loads(ran.text)["messages"] == [{"role": "user", "content": "Where is Ulm?"}]
    assert server.requests == []
    assert "no turns" in run("%chat history").text


# --schema -----------------------------------------------------------------------------------

PERSON = """
from dataclasses import dataclass
@dataclass
class Person:
    name: str
    age: int
"""
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


def test_a_class_is_asked_for_and_made(run: Run, server: Loopback) -> None:
    """--schema NAME sends the class's schema, and the reply is an object of it."""
    run(PERSON)
    server.reply(Reply('{"name": "Ada", "age": 36}'))
    assert "as JSON: Person" in run("%%chat --schema Person\nWho?").text
    form = server.chats[0].json["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["name"] == "Person"
    assert form["json_schema"]["schema"]["required"] == ["name", "age"]
    assert run("_reply.json() == Person('Ada', 36)").text.endswith("True\n")


@pytest.mark.parametrize("named", ["schema", "schema.json", "./schema.json"])
def test_a_json_schema_comes_from_a_dict_or_a_file(
    run: Run,
    server: Loopback,
    shell: InteractiveShell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: str,
) -> None:
    """--schema takes a dict by its name, and a file next to the notebook."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    shell.user_ns["schema"] = SCHEMA
    server.reply(Reply('{"age": 36}'))
    assert run(f"%%chat --schema {named}\nHow old?").error is None
    form = server.chats[0].json["response_format"]["json_schema"]
    assert form == {"name": "schema", "schema": SCHEMA}
    assert run("_reply.json()").text.endswith("{'age': 36}\n")


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("Persn", "Did you mean Person?"),
        ("nothing_like_it", "There is no class and no dict called nothing_like_it."),
        ("missing.json", "There is no class and no file"),
        ("Person.json", "There is no class and no file"),
        ("list[Person]", "There is no class and no file"),
        ("~no-such-reader/x.json", "There is no class and no file"),
        ("number", "number is not a class and not a JSON Schema"),
        ("wrong", "wrong is not a JSON Schema: at $.type"),
        ("unsendable", "unsendable is not a JSON Schema"),
        ("unhashable", "unhashable is not a JSON Schema"),
    ],
)
def test_what_is_no_schema_sends_nothing(
    run: Run, server: Loopback, shell: InteractiveShell, named: str, why: str
) -> None:
    """A name of nothing, a missing file and a value that is no schema are one line."""
    run(PERSON)
    shell.user_ns |= {
        "number": 5,
        "wrong": {"type": "nothing"},
        "unsendable": {"default": {1}},
        "unhashable": {"$schema": []},
    }
    assert why in refused(run(f"%%chat --schema {named}\nWho?"), server, di.ParamError)


def test_a_reply_that_does_not_fit_is_kept(run: Run, server: Loopback) -> None:
    """The cell ends with where it is wrong, and the text is there."""
    run(PERSON)
    server.reply(Reply('{"name": "Ada", "age": "old"}'))
    error = run("%%chat --schema Person\nWho?").error
    assert isinstance(error, ReplyError)
    assert "at $.age" in str(error)
    assert run("_reply.text").text.endswith('\'{"name": "Ada", "age": "old"}\'\n')


FAILING = """
from dataclasses import dataclass
@dataclass
class Person:
    name: str
    def __post_init__(self):
        raise KeyError("boom")
"""


@pytest.mark.parametrize("named", ["Person", "circle"])
def test_a_reply_that_cannot_be_read_is_not_lost(
    run: Run, server: Loopback, shell: InteractiveShell, named: str
) -> None:
    """Where a class or a schema itself fails on a reply, that is one line, and the turn is kept."""
    run(FAILING)
    shell.user_ns["circle"] = {"$ref": "#"}
    server.reply(Reply('{"name": "Ada"}'), Reply("two"))
    ran = run(f"%%chat --schema {named}\nWho?")
    assert isinstance(ran.error, DiMagicsError)
    assert "Traceback" not in ran.text
    assert "Ada" in run("%chat history").text
    run("%%chat\nAnd?")
    sent: list[Any] = [m["content"] for m in server.chats[1].json["messages"]]
    assert sent == ["Who?", '{"name": "Ada"}', "And?"]


# --tools ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("ad", "Did you mean add?"),
        ("nothing_like_it", "There is no function called nothing_like_it."),
        ("number", "There is no function called number."),
        ("print", "There is no function called print."),
        ("add,number", "There is no function called number."),
        ("any_number", "any_number cannot be a tool"),
    ],
)
def test_what_is_no_tool_sends_nothing(run: Run, server: Loopback, named: str, why: str) -> None:
    """A name of nothing, and a value that cannot be called, are one line."""
    run("def add(a: int): return a\ndef any_number(*of): return of\nnumber = 5")
    assert why in refused(run(f"%%chat --tools {named}\nGo"), server, di.ToolError)


def test_functions_are_offered_by_the_names_they_have_here(run: Run, server: Loopback) -> None:
    """A tool is called as the user calls it, with spaces between the names or without."""
    run("import di_magics as di\n@di.safe\ndef add(a: int):\n    'Add.'\n    return a\nmore = add")
    run('%%chat --tools "add, more"\nGo')
    tools = server.chats[0].json["tools"]
    assert [tool["function"]["name"] for tool in tools] == ["add", "more"]


def test_a_tool_is_taken_as_it_is_now(run: Run, server: Loopback) -> None:
    """A function that was defined anew is offered as it was defined last."""
    run("def add(a: int): return a")
    run("def add(b: int): return b")
    run("%%chat --tools add\nGo")
    (tool,) = server.chats[0].json["tools"]
    assert list(tool["function"]["parameters"]["properties"]) == ["b"]


def add(a: int) -> int:
    """Add."""
    return a


@di.safe
def safe(a: int) -> int:
    """Add."""
    return a


@pytest.mark.parametrize(("name", "confirm"), [("add", False), ("safe", True)])
def test_a_tool_that_needs_leave_needs_somebody_to_ask(
    tmp_path: Path, name: str, confirm: bool
) -> None:
    """Where nobody can answer, only functions that are marked as safe are offered."""
    names = {"add": add, "safe": safe}
    nobody, somebody = (Namespace(names, tmp_path, can_ask=item) for item in (False, True))
    assert list(somebody.tools([name], confirm=confirm).specs) == [name]
    assert list(nobody.tools(["safe"], confirm=False).specs) == ["safe"]
    with pytest.raises(di.ToolError, match=r"@di\.safe"):
        nobody.tools([name], confirm=confirm)
