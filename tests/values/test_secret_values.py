"""Files, tables and texts that look like secrets are refused before they are sent."""

from __future__ import annotations

import argparse
import dataclasses
import json
import types
from collections import ChainMap, Counter, UserDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import numpy as np
import pandas as pd
import pydantic
import pytest
from loopback import Loopback
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from shell import Run

import di_magics as di
from di_magics.core.errors import ParamError
from di_magics.core.reply.reply import ToolCall
from di_magics.core.reply.tool_calls import safe
from di_magics.core.tokens import PER_TOKEN
from di_magics.runtime.interrupts import Interrupts
from di_magics.values.attach import TOKENS, attach, attach_value
from di_magics.values.namespace import Namespace
from di_magics.values.secret_values import secrets_by_name
from di_magics.values.tools import make_toolbox

KEY = "sk-" + "a1B2" * 10
RANDOM = "0a1B2c3D4e5F6g7H8"


def refused(call: Callable[[], object]) -> str:
    """Return the one line with which something is refused."""
    with pytest.raises(ParamError) as caught:
        call()
    assert str(caught.value).isprintable()
    assert KEY not in str(caught.value)
    return str(caught.value)


def fill(prompt: str, **names: Any) -> str:
    """Return a prompt that is filled in."""
    return Namespace(names, Path(), can_ask=False).fill(prompt)


@pytest.mark.parametrize("name", [".env", "id_rsa", "secrets.toml", "server.key", ".netrc"])
def test_a_file_of_secrets_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    """Whatever is in it, directly and by a link of another name; the error says how to go on."""
    (tmp_path / name).write_text("HARMLESS=1")
    (tmp_path / "notes.txt").symlink_to(name)
    for named in (name, "notes.txt", str(tmp_path / name)):
        message = refused(lambda named=named: attach(named, {}, tmp_path))  # type: ignore[misc]
        assert "Copy what the model may read into a file of another name" in message


@pytest.mark.parametrize("name", [".env.example", "id_rsa.pub", "environment.yml", "keys.py"])
def test_a_file_that_only_resembles_one_is_attached(tmp_path: Path, name: str) -> None:
    """Examples and public keys are for everybody."""
    (tmp_path / name).write_text("HARMLESS=1")
    assert attach(name, {}, tmp_path).content == "HARMLESS=1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.txt", f"use {KEY}"),
        ("compose.yml", "url: postgres://ann:s3cret@db/x"),
        ("a.json", '{"user": "ann", "password": "hunter2"}'),
        ("a.yaml", "db:\n  password: hunter2\n"),
        ("a.ini", "[db]\npassword=hunter2"),
        ("users.csv", "name,password\nann,hunter2\n"),
        ("users.tsv", 'name\t"Password"\nann\thunter2\n'),
        ("tokens.csv", f"name,api_key\nann,{RANDOM}\n"),
        ("comment.csv", "# exported 2026\nuser,password\nada,hunter2\n"),
        ("comments.csv", "# exported, by Ann\n\n#user,password\nada,hunter2\n"),
        ("blank.csv", "\n\nuser,password\nada,hunter2\n"),
        ("title.csv", "The users\nuser,password\nada,hunter2\n"),
        ("comma.csv", '"name, first",password\nada,hunter2\n'),
        ("semicolons.csv", "user;password\nada;hunter2\n"),
        ("alone.csv", "password\nhunter2\n"),
        ("late.csv", "user,password\n" + "ada,\n" * 500 + "bob,hunter2\n"),
        ("list.json", '{"user": ["ada"], "password": ["hunter2"]}'),
        ("dollar.json", '{"password": "$hunter2$"}'),
        ("next.json", '{"password":\n  "hunter2"}'),
        ("cut.json", '{"password": "hunter2", "rest": [' + "1, " * 9000),
        ("item.yaml", "users:\n  - password: hunter2\n"),
        ("block.toml", 'password = """\nhunter2"""'),
        ("web.xml", "<user><password>hunter2</password></user>"),
        ("notes.txt", "Things\n\nPassword: hunter2\n"),
        ("settings", "user = ann\npassword = hunter2\n"),
        ("login.py", "connect(user='ann', password='hunter2')"),
    ],
)
def test_a_file_with_a_secret_in_it_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """By the form of a key, and by the names of columns and settings."""
    (tmp_path / name).write_text(text)
    message = refused(lambda: attach(name, {}, tmp_path))
    assert name in message
    assert "Remove" in message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("words.csv", "English,German\npassword,Passwort\nhouse,Haus\n"),
        ("counts.csv", "login,password\n3,0\n1,12\n"),
        ("empty.csv", "user,password\nada,\nbob,***\n"),
        ("schema.json", '{"properties": {"password": {"type": "string", "minLength": 8}}}'),
        ("labels.json", '{"password": "Password", "hint": "Your password"}'),
        ("app.yaml", "password: ${DB_PASSWORD}\nsecret: !vault db\npwd: {{ pwd }}\n"),
        ("app.py", 'import os\npassword = os.environ["PASSWORD"]\nprint("password: ")\n'),
        ("app.js", "const password = process.env.PASSWORD;"),
        ("manual.md", "Set `password: hunter2` and `PASSWORD=hunter2`; the password is secret."),
        ("notes.txt", "The password: it is hidden. PASSWORD=hunter2 is an example."),
    ],
)
def test_a_file_that_only_speaks_of_secrets_is_sent(tmp_path: Path, name: str, text: str) -> None:
    """Vocabularies, counts, schemas, labels, places for a secret, programs that read one, prose."""
    (tmp_path / name).write_text(text)
    assert attach(name, {}, tmp_path).content


@pytest.mark.parametrize("before", [*range(-60, 8, 4), 100, 3000])
def test_a_key_at_the_cut_is_refused_whole(tmp_path: Path, before: int) -> None:
    """A key of which only the first half would be sent is a key."""
    text = "x" * (TOKENS * PER_TOKEN + before - 1) + " " + KEY + " " + "x" * 90_000
    (tmp_path / "a.txt").write_text(text)
    refused(lambda: attach("a.txt", {}, tmp_path))
    refused(lambda: attach_value(text, "notes"))


def test_a_key_far_behind_the_cut_is_not_sent(tmp_path: Path) -> None:
    """So it does not matter."""
    (tmp_path / "a.txt").write_text("word " * 20_000 + KEY)
    assert KEY[:8] not in attach("a.txt", {}, tmp_path).content


@dataclasses.dataclass
class User:
    """A user with a password."""

    name: str
    password: str


class Account(pydantic.BaseModel):
    """An account with a password."""

    password: str


class Login(NamedTuple):
    """A login."""

    user: str
    password: str


@dataclasses.dataclass(slots=True)
class Slotted:
    """A dataclass without a dict."""

    password: str


SECRET_VALUES: dict[str, Any] = {
    "frame": pd.DataFrame({"name": ["ann"], "password": ["hunter2"]}),
    "two of a name": pd.DataFrame([["ann", "x"]], columns=["password", "password"]),
    "late": pd.DataFrame({"password": [None, None, "x"]}),
    "tokens": pd.DataFrame({"access_token": [RANDOM]}),
    "series": pd.Series(["x"], name="password"),
    "dict": {"user": "ann", "password": "hunter2"},
    "rows": [{"user": "ann", "password": "hunter2"}],
    "nested": {"db": {"main": [{"Password": "x"}]}},
    "dataclass": User("ann", "hunter2"),
    "dataclasses": [User("ann", "hunter2")],
    "model": Account(password="x"),
    "columns": {"user": ["ann", "bob"], "password": ["hunter2", "tr0ub4dor"]},
    "number": {"user": "ann", "password": 73194628},
    "float": pd.DataFrame({"password": [None, 73194628]}),
    "bytes": {"password": b"hunter2"},
    "below": {"password": {0: "hunter2", 1: "x"}},
    "deep": {"password": [["hunter2"]]},
    "index": pd.DataFrame({"user": ["a"], "password": ["hunter2"]}).set_index("password"),
    "turned": pd.DataFrame({"user": ["a"], "password": ["hunter2"]}).T,
    "turned index": pd.DataFrame({"user": ["a"], "password": ["x1"]}).set_index("password").T,
    "labels": pd.Series({"user": "ann", "password": "hunter2"}),
    "index alone": pd.Index(["hunter2"], name="password"),
    "levels": pd.DataFrame([["a", "x1"]], columns=[["db", "db"], ["user", "password"]]),
    "far": pd.DataFrame({"user": range(3000), "password": [None] * 2999 + ["hunter2"]}),
    "cells": pd.DataFrame({"login": [{"password": "hunter2"}]}),
    "frame in a dict": {"staff": pd.DataFrame({"password": ["hunter2"]})},
    "frame in a list": [pd.DataFrame({"password": ["hunter2"]})],
    "named tuple": Login("ann", "hunter2"),
    "user dict": UserDict(password="hunter2"),
    "chain": ChainMap({}, {"password": "hunter2"}),
    "default dict": defaultdict(list, password=["hunter2"]),
    "read only": types.MappingProxyType({"password": "hunter2"}),
    "namespace": types.SimpleNamespace(password="hunter2"),
    "arguments": argparse.Namespace(db_password="hunter2"),
    "slots": Slotted("hunter2"),
    "record": np.array([("ann", "hunter2")], dtype=[("user", "U9"), ("password", "U9")]),
    "rows with a header": [["user", "password"], ["ann", "hunter2"]],
    "pairs": [("user", "ann"), ("password", "hunter2")],
    "items": {"user": "ann", "password": "hunter2"}.items(),
    "names and values": [{"name": "DB_PASSWORD", "value": "hunter2"}],
    "json": '{"password": ["hunter2"]}',
}


@pytest.mark.parametrize("value", SECRET_VALUES.values(), ids=SECRET_VALUES.keys())
def test_a_column_or_a_member_of_passwords_is_refused(value: Any) -> None:
    """Neither `-a` nor `{{x}}` sends it; the error names it and says what to do."""
    for call in (lambda: attach_value(value, "x"), lambda: fill("{{x}}", x=value)):
        message = refused(call)
        assert "x has" in message
        assert "Remove it, or give it another name" in message


@pytest.mark.parametrize(
    "value",
    [
        pd.DataFrame({"name": ["ann"], "password": [None]}),
        pd.DataFrame({"token": ["The", "cat"], "key": ["a", "b"]}),
        pd.DataFrame({"passengers": [3], "id": [RANDOM]}),
        {"user": "ann", "password": ""},
        {"password": {"min_length": 8}},
        {"sort_key": RANDOM},
        [1, {"a": ["b"]}],
        {"password": {"type": "string", "title": "Password", "default": "changeit"}},
        {"password": ["***", "", None], "secret": True},
        pd.DataFrame({"password": ["********", "<hidden>", "[redacted]"]}),
        pd.DataFrame({"password": [0, 1, 12], "login": [3, 0, 1]}),
        pd.DataFrame({"password": [0.25, 0.5]}),
        Counter({"password": 12345, "the": 99999}),
        [("house", "Haus"), ("password", "Passwort")],
        [["English", "German"], ["password", "Passwort"]],
        {"password_length": 12345, "has_password": True, "password_file": "/run/secrets/x"},
        {"compass": "north", "passenger": "Ann", "secretary": "Bob", "pass": "yes"},
        {"name": "Ann", "value": "hunter2"},
        {"user": "Ann", "pass": "monthly"},
        {"auth": {"pass": True}},
        {"exam": {"pass": 12345}},
        "[password\n",
        "The password is required. Use mysql -p.",
    ],
)
def test_ordinary_tables_and_dicts_are_sent(value: Any) -> None:
    """Empty columns, words and identifiers are not passwords."""
    assert attach_value(value, "x").content
    assert fill("{{x}}", x=value)


def test_a_table_of_passwords_does_not_come_back_from_a_tool() -> None:
    """The model learns which column is to be left out."""

    @safe
    def users() -> Any:
        return SECRET_VALUES["frame"]

    @safe
    def settings() -> Any:
        return {"key": KEY, "url": "postgres://ann:s3cret@db/x", "text": f"Bearer {KEY}"}

    with Interrupts() as interrupts:
        table, result = make_toolbox([users, settings], lambda call: False).run_calls(
            [ToolCall("1", "users", ""), ToolCall("2", "settings", "")], interrupts, lambda r: None
        )
    assert table.failed
    assert "password" in table.content
    assert "hunter2" not in table.content
    assert json.loads(result.content)["text"] == "Bearer [secret]"
    assert "a1B2" not in result.content
    assert "s3cret" not in result.content


@pytest.mark.parametrize("prompt", [f"Why does {KEY} not work?", f"curl -H 'x: {KEY}'\nfails"])
def test_a_key_in_a_prompt_is_refused(prompt: str) -> None:
    """The line says what the key begins with, and nothing more of it."""
    message = refused(lambda: fill(prompt))
    assert "The prompt holds what looks like a key (OpenAI" in message
    assert "sk-…" in message
    assert message.endswith("nothing was sent. Remove it.")


def test_a_password_of_the_environment_in_a_prompt_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variable is named; a word that is a password as well may be written."""
    monkeypatch.setenv("DB_PASSWORD", "hunter2-x")
    assert "the value of DB_PASSWORD" in refused(lambda: fill("Is hunter2-x safe?"))
    monkeypatch.setenv("DB_PASSWORD", "postgres")
    assert fill("What is postgres?") == "What is postgres?"
    assert "DB_PASSWORD" in refused(lambda: fill("Use {{x}}", x="postgres"))


@pytest.mark.parametrize("cell", ["%%chat\nUse {}", "%chat ask Use {}"])
def test_nothing_is_sent_of_a_prompt_with_a_key(run: Run, server: Loopback, cell: str) -> None:
    """Neither from a cell nor from a line, and it is not remembered."""
    ran = run(cell.format(KEY))
    assert isinstance(ran.error, di.ParamError)
    assert server.requests == []
    assert KEY not in run("%chat history").text


@pytest.mark.parametrize(
    ("line", "cell", "what"),
    [
        ("", f"%%chat --system 'Use {KEY}'", "The system prompt"),
        ("", f"%%chat --user {KEY}", "user"),
        ("", f"%%chat --stop {KEY}", "stop"),
        ("", f"""%%chat --extra 'meta={{"a": ["{KEY}"]}}'""", "meta"),
        (f"%chat system Use {KEY}", "%%chat", "The system prompt"),
        (f"%chat set user={KEY}", "%%chat", "user"),
        ("", "%%chat --user hunter2-x", "user"),
        ("", f"%%chat --vary 'system=be nice|{KEY}' --yes", "--vary"),
        ("", f"%%chat --vary model=a,{KEY} --yes", "--vary"),
        ("", f"%%chat -m {KEY}", "The model"),
        (f"%chat model {KEY}", "%%chat", "The model"),
        ("", f"%%chat --extra {KEY}=1", "The name of an extra"),
        (f"S = {{'type': 'object', 'description': '{KEY}'}}", "%%chat --schema S", "The schema"),
    ],
)
def test_a_key_beside_the_prompt_is_refused(
    run: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch, line: str, cell: str, what: str
) -> None:
    """In what a cell sends with it, whether it was typed now or set before."""
    monkeypatch.setenv("DB_PASSWORD", "hunter2-x")
    if line:
        run(line)
    message = str(run(f"{cell}\nHi").error)
    assert message.startswith(f"{what} holds ")
    assert KEY not in message
    assert server.chats == []


def test_a_password_that_is_too_short_to_be_hidden_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where tools are offered, whose results could hold it."""

    @safe
    def tell() -> str:
        return ""

    monkeypatch.setenv("DB_PASSWORD", "abc")
    names = Namespace({"tell": tell}, Path(), can_ask=False)
    with pytest.warns(UserWarning, match="DB_PASSWORD in the environment is too short"):
        names.tools(["tell"], confirm=False)


SECRET_TEXT = "Hq7!vbn-42Kd"
RANDOM_TEXT = "a1B2c3D4e5F6g7H8i9J0k1L2"
IN_PROGRAMS = {
    ".py": [
        "password = '…'",
        "password: str = '…'",
        'self.password: str = "…"',
        "password = r'…'",
        'password = f"…"',
        "os.environ['DB_PASSWORD'] = '…'",
        "os.environ.setdefault('DB_PASSWORD', '…')",
        "monkeypatch.setenv('DB_PASSWORD', '…')",
        "os.getenv('DB_PASSWORD', '…')",
        "settings['password'] = '…'",
        "df['password'] = ['…']",
        "if (password := '…'):",
        "parser.add_argument('--password', default='…')",
        "password = os.getenv('X') or '…'",
        "password = Secret('…')",
        "password = '''…'''",
        "PASSWORDS = ['…']",
        "def f(password: str = '…'): pass",
        "def f(password='…'): pass",
    ],
    ".go": [
        'password := "…"',
        'var password string = "…"',
        'const password = "…"',
        'Password: "…",',
    ],
    ".ts": [
        "const password: string = '…';",
        'private password: string = "…";',
        "process.env.DB_PASSWORD = '…'",
        "process.env['DB_PASSWORD'] = '…'",
    ],
    ".kt": ['val password: String = "…"'],
    ".rs": ['let password: &str = "…";', 'const PASSWORD: &str = "…";'],
    ".java": ['String password = "…";', 'setPassword("…");'],
    ".php": ["$password = '…';", "'password' => '…',", "define('DB_PASSWORD', '…');"],
    ".r": ['password <- "…"'],
    ".rb": ["password: '…'", "ENV['DB_PASSWORD'] = '…'"],
    ".ps1": ['$Password = "…"', '$env:DB_PASSWORD = "…"'],
    ".swift": ['let password: String = "…"'],
    ".sh": [
        "export DB_PASSWORD='…'",
        "DB_PASSWORD=…",
        "export DB_PASSWORD=…",
        "cd; DB_PASSWORD=… psql",
    ],
    ".c": ['#define PASSWORD "…"', 'char *password = "…";'],
    ".pl": ["my $password = '…';"],
}


@pytest.mark.parametrize(
    ("suffix", "line"), [(suffix, line) for suffix, lines in IN_PROGRAMS.items() for line in lines]
)
def test_a_program_with_a_password_or_a_key_by_name_is_refused(
    tmp_path: Path, suffix: str, line: str
) -> None:
    """In each language's own spelling; with a placeholder in its place it is sent."""
    key_line = line.replace("password", "api_key").replace("Password", "ApiKey")
    key_line = key_line.replace("PASSWORD", "API_KEY")
    for text, value in ((line, SECRET_TEXT), (key_line, RANDOM_TEXT)):
        (tmp_path / f"x{suffix}").write_text(f"x = 1\n{text.replace('…', value)}\ny = 2\n")
        with pytest.raises(ParamError, match="nothing was"):
            attach(f"x{suffix}", {}, tmp_path)
    for value in ("<yours>", "********", ""):
        (tmp_path / f"x{suffix}").write_text(f"x = 1\n{line.replace('…', value)}\ny = 2\n")
        attach(f"x{suffix}", {}, tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "password = input('Password: ')",
        "password = getpass('Your password, please')",
        "if password == 'weak': print(password, 'is weak')",
        "parser.add_argument('--password', '-p', help='of the database')",
        "password = os.environ['DB_PASSWORD']",
        "fields = ['user', 'password', 'host']",
        "raise ValueError('the password must be longer')",
        "PASSWORD=$(pass show db)",
        "PASSWORD=${PASSWORD:-}",
        'var passwordField string = "user_password"',
    ],
)
def test_a_program_that_only_reads_a_password_is_sent(tmp_path: Path, line: str) -> None:
    """Also in a shell."""
    for suffix in (".py", ".sh"):
        (tmp_path / f"x{suffix}").write_text(line)
        attach(f"x{suffix}", {}, tmp_path)


IN_SETTINGS = {
    ".yaml": [
        "- name: DB_PASSWORD\n  value: …",
        "password: &p …",
        "password: !!str …",
        "env:\n  - DB_PASSWORD=…",
        "? password\n: …",
        "auth:\n  user: ada\n  pass: …",
        "command: mysql -p… db",
    ],
    ".json": [
        '{"name": "password", "value": "…"}',
        '{"key": "password", "value": "…"}',
        '{"id": "password", "text": "…"}',
        '{"password": {"value": "…"}}',
        '{"pass\\u0077ord": "…"}',
        '{"env": ["DB_PASSWORD=…"]}',
        '{"auth": {"user": "ada", "pass": "…"}}',
        '{"user": "ada", "pass": "…"}',
        '{"command": "mysql -p…"}',
    ],
    ".ini": ["[smtp]\nhost = x\npass = …"],
    ".properties": ["password …", "password\\\n= …"],
    ".sql": ["CREATE USER a IDENTIFIED BY '…';", "ALTER USER a WITH PASSWORD '…';"],
    ".dockerfile": ["ENV DB_PASSWORD …", "ENV A=1 DB_PASSWORD=…", "RUN curl -u ada:… x"],
    ".toml": ['db = { password = "…" }', 'db.password = "…"', 'password = [ "…" ]'],
    ".xml": [
        "<entry key='password'>…</entry>",
        '<add key="password" value="…"/>',
        '<property name="password" value="…"/>',
        "<password><![CDATA[…]]></password>",
        "<password>\n…\n</password>",
        "<string name='password'>…</string>",
        "<key>password</key><string>…</string>",
        "<password value='…'/>",
        "<property name='password'><value>…</value></property>",
    ],
    ".tf": ['variable "password" { default = "…" }'],
    ".csv": ["key,value\npassword,…"],
    ".txt": ["- password: …", "* Password: …", "ENV PASSWORD=…", "Hi. The password is …."],
}


@pytest.mark.parametrize(
    ("suffix", "text"), [(suffix, text) for suffix, texts in IN_SETTINGS.items() for text in texts]
)
def test_settings_with_a_password_beside_its_name_are_refused(
    tmp_path: Path, suffix: str, text: str
) -> None:
    """As siblings, in attributes, behind an anchor."""
    (tmp_path / f"x{suffix}").write_text(text.replace("…", SECRET_TEXT))
    with pytest.raises(ParamError, match="nothing was"):
        attach(f"x{suffix}", {}, tmp_path)
    (tmp_path / f"x{suffix}").write_text(text.replace("…", "********"))
    attach(f"x{suffix}", {}, tmp_path)


class Shown:
    """An object whose text has a password."""

    def __repr__(self) -> str:
        return f"Shown(password='{SECRET_TEXT}')"


@pytest.mark.parametrize(
    "value",
    [
        f"password: {SECRET_TEXT}\nuser: a",
        f"password = '{SECRET_TEXT}'",
        ["user: a", f"password: {SECRET_TEXT}"],
        {("db", "password"): SECRET_TEXT},
        {"Authorization": f"Bearer {SECRET_TEXT}"},
        {"id": "password", "default": SECRET_TEXT},
        {"env": [f"DB_PASSWORD={SECRET_TEXT}"]},
        Shown(),
        f"Hi. The password is {SECRET_TEXT}.",
        f"mysql -p{SECRET_TEXT} db",
        {"auth": {"user": "ada", "pass": SECRET_TEXT}},
        {"user": "ada", "pass": SECRET_TEXT},
    ],
)
def test_a_variable_is_read_as_a_file_is(value: Any) -> None:
    """Its lines, its siblings, and the text of an object."""
    with pytest.raises(ParamError, match="nothing was"):
        attach_value(value, "x")


class Raising:
    """An object whose members cannot be read."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def test_the_secrets_of_a_notebooks_variables_are_known_by_name() -> None:
    """At any level; words, counts and history are not, and a table hides no other variable."""
    table = pd.DataFrame({"password": [f"pw-{n}!" for n in range(5000)]})
    variables = {
        "table": table,
        "password": SECRET_TEXT,
        "settings": {"db": {"password": "hunter2"}},
        "token": RANDOM_TEXT,
        "tokens": ["the", "cat"],
        "password_length": 12345,
        "In": ["password = 1"],
        "_": Raising(),
        "headers": {"Authorization": f"Bearer {RANDOM_TEXT}"},
    }
    secrets = secrets_by_name(variables)
    own = {SECRET_TEXT, "hunter2", RANDOM_TEXT, f"Bearer {RANDOM_TEXT}"}
    assert own <= set(secrets)
    assert set(secrets) - own < set(table["password"])
    assert secrets_by_name({"x": Raising(), "password": "hunter2"}) == ["hunter2"]


@pytest.mark.parametrize(
    "cell",
    [
        new_code_cell(f"password = '{SECRET_TEXT}'"),
        new_code_cell(f"!mysql -p{SECRET_TEXT}"),
        new_code_cell(f"%env DB_PASSWORD={SECRET_TEXT}"),
        new_code_cell("1", outputs=[new_output("stream", text=f"{{'password': '{SECRET_TEXT}'}}")]),
    ],
)
def test_a_notebook_with_a_password_in_a_cell_of_code_is_refused(
    tmp_path: Path, cell: dict[str, Any]
) -> None:
    """Or in an output; its Markdown may show an example, and its code read one."""
    harmless = [
        new_markdown_cell(f"Write `password = '{SECRET_TEXT}'`, or\n\n    mysql -p{SECRET_TEXT}"),
        new_code_cell("password = getpass('Password: ')\n!mysql -p$PW\n%env TOKENS=3"),
    ]
    for cells, refuse in (([*harmless, cell], True), ([cell, *harmless], True), (harmless, False)):
        nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
        if refuse:
            assert "a.ipynb has " in refused(lambda: attach("a.ipynb", {}, tmp_path))
        else:
            assert "getpass" in attach("a.ipynb", {}, tmp_path).content
