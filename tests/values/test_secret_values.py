"""Files, tables and texts that look like secrets are refused before they are sent."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pydantic
import pytest
from loopback import Loopback
from shell import Run

import di_magics as di
from di_magics.core.errors import ParamError
from di_magics.core.reply.reply import ToolCall
from di_magics.core.reply.tool_calls import safe
from di_magics.core.tokens import PER_TOKEN
from di_magics.runtime.interrupts import Interrupts
from di_magics.values.attach import TOKENS, attach, attach_value
from di_magics.values.namespace import Namespace
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
    ],
)
def test_a_file_with_a_secret_in_it_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """By the form of a key, and by the names of columns and settings."""
    (tmp_path / name).write_text(text)
    message = refused(lambda: attach(name, {}, tmp_path))
    assert name in message
    assert "Remove" in message


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
        table, found = make_toolbox([users, settings], lambda call: False).run_calls(
            [ToolCall("1", "users", ""), ToolCall("2", "settings", "")], interrupts, lambda r: None
        )
    assert table.failed
    assert "password" in table.content
    assert "hunter2" not in table.content
    assert json.loads(found.content)["text"] == "Bearer [secret]"
    assert "a1B2" not in found.content
    assert "s3cret" not in found.content


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
