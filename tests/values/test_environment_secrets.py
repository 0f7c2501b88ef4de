"""Secrets of the environment: hidden in results, and found before something is sent."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from collections.abc import Callable

import pytest
from growth import growth
from loopback import Loopback
from shell import Run

from di_magics.core.reply.reply import ToolCall
from di_magics.core.reply.tool_calls import safe
from di_magics.runtime.interrupts import Interrupts
from di_magics.values.environment_secrets import (
    add_key_variables,
    held_secret,
    hide_secrets,
    unhidden_names,
)
from di_magics.values.tools import make_toolbox

SECRETS = [
    "pass",
    "12345",
    "hunter2",
    "postgres",
    "correct horse battery",
    'say "hi"',
    "it's-mine",
    "both'and\"so",
    "back\\slash\\n",
    "tab\tnew\nline",
    "pässwörd",
    "пароль-мой",
    "密码密码",
    "😀secret😀",
    "a+b/c=d&e%f",
    "<b>&amp;",
    "~!@#$%^&*()_+",
    "\x1b[31mred",
    "q7Zt9Lm2Xw4Vb8Nc",
    "ÿþýüûú",
]
DATA: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "repr": repr,
    "repr of a dict": lambda s: repr({"it's": s}),
    "ascii": ascii,
    "bytes": lambda s: repr(s.encode()),
    "json": json.dumps,
    "plain json": lambda s: json.dumps(s, ensure_ascii=False),
    "json in json": lambda s: json.dumps(json.dumps({"a": s})),
    "plain json in json": lambda s: json.dumps(
        json.dumps({"a": s}, ensure_ascii=False), ensure_ascii=False
    ),
    "repr in json": lambda s: json.dumps(repr(s), ensure_ascii=False),
    "percent": urllib.parse.quote,
    "percent all": lambda s: urllib.parse.quote(s, safe=""),
    "form": lambda s: urllib.parse.urlencode({"p": s}),
    "javascript": lambda s: urllib.parse.quote(s, safe="!*'()"),
    "percent lower": lambda s: urllib.parse.quote(s, safe="").lower(),
    "html": html.escape,
    "html text": lambda s: html.escape(s, quote=False),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64url": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "basic auth": lambda s: base64.b64encode(f"ann:{s}".encode()).decode(),
    "basic auth 2": lambda s: base64.b64encode(f"bo:{s}".encode()).decode(),
    "basic auth 3": lambda s: base64.b64encode(f"x:{s}@host".encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
}
AROUND = ["{}", "x{}y", "before {} after", "\\n{}", "%3D{}", "'{}'", '{{"p":"{}"}}']


@pytest.mark.parametrize("spelled", DATA.values(), ids=DATA.keys())
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_hidden_however_it_is_spelled(
    secret: str, spelled: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stands; no four characters of it in a row are left."""
    if spelled is DATA["percent lower"]:
        secret = secret.lower()
    monkeypatch.setenv("DB_PASSWORD", secret)
    text = spelled(secret)
    filler = spelled("\0" * 30)
    for around in AROUND:
        shown = hide_secrets(around.replace("{}", text, 1))
        assert "[secret]" in shown
        left = shown.replace("[secret]", "\0")
        parts = [secret[start : start + 4] for start in range(len(secret) - 3)]
        assert not any(part in left for part in parts if part not in filler + around)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_does_not_come_back_from_a_tool(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a text, nor in JSON, nor in an exception."""
    monkeypatch.setenv("DB_PASSWORD", secret)

    @safe
    def text() -> str:
        return f"password={secret}"

    @safe
    def data() -> object:
        return {"rows": [{"user": "ann", "value": secret}], secret: 1}

    @safe
    def fail() -> None:
        raise ConnectionError(f"no entry with {secret!r}")

    calls = [ToolCall(name, name, "") for name in ("text", "data", "fail")]
    with Interrupts() as interrupts:
        results = make_toolbox([text, data, fail], lambda call: False).run_calls(
            calls, interrupts, lambda results: None
        )
    for result in results:
        assert "[secret]" in result.content
        assert secret not in result.content
        assert json.dumps(secret)[1:-1] not in result.content


@pytest.mark.parametrize("place", range(11_900, 12_100, 7))
def test_a_secret_at_the_cut_is_hidden_whole(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No part of it stands at the end of what is left."""
    monkeypatch.setenv("DB_PASSWORD", "q7zt9lm2xw4vb8nc")

    @safe
    def much() -> str:
        return "w " * (place // 2) + "q7zt9lm2xw4vb8nc" + " w" * 50_000

    with Interrupts() as interrupts:
        (result,) = make_toolbox([much], lambda call: False).run_calls(
            [ToolCall("1", "much", "")], interrupts, lambda results: None
        )
    assert "q7zt" not in result.content


def test_a_password_within_a_url_is_a_secret_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """DATABASE_URL does not say so by its name."""
    monkeypatch.setenv("DATABASE_URL", "postgres://ann:s3cr%40t@db.example.org/x")
    for text in ("postgres://ann:s3cr%40t@db.example.org/x", "the s3cr%40t", "the s3cr@t"):
        assert "s3cr" not in hide_secrets(text)


def test_a_line_of_a_long_secret_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A private key is often printed line by line."""
    lines = ["MIIEvQIBADANBgkqhkiG9w0B", "AQEFAASCBKcwggSjAgEAAoIB"]
    monkeypatch.setenv("MY_SECRET", "\n".join(lines))
    assert hide_secrets(f"key: {lines[1]}") == "key: [secret]"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "a"),
        ("DB_PASSWORD", "abc"),
        ("DB_PASSWORD", "true"),
        ("USE_PASSWORD", "1"),
        ("PWD", "/home/ann/notebooks"),
        ("OLDPWD", "/home/ann/notebooks"),
        ("AWS_CREDENTIALS_FILE", "/home/ann/notebooks"),
        ("SSH_AUTH_SOCK", "/home/ann/agent1234567890"),
        ("LANGUAGE_OF_IT", "q7Zt9Lm2Xw4Vb8Nc"),
    ],
)
def test_what_is_in_every_text_is_not_hidden(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short texts, switches and paths stay, and what stays of a password is named."""
    monkeypatch.setenv(name, value)
    assert hide_secrets(f"a {value} b") == f"a {value} b"
    assert (name in unhidden_names()) is (name == "DB_PASSWORD" and value in ("a", "abc"))


@pytest.mark.parametrize(
    "secret", ["hunter2", "correcthorse", "q7Zt9Lm2Xw4Vb8Nc", "a-b-c-d", "pässwörd1"]
)
def test_a_text_that_holds_a_secret_is_found(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named, so that the user knows which it is."""
    monkeypatch.setenv("DB_PASSWORD", secret)
    for text in (secret, f"x{secret}y", json.dumps({"a": secret}), repr(secret)):
        assert held_secret(text) == "DB_PASSWORD"


@pytest.mark.parametrize("secret", ["test", "postgres", "admin", "12345678"])
def test_a_secret_that_is_a_word_is_found_only_alone(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text about postgres may be sent where that is a password as well."""
    monkeypatch.setenv("DB_PASSWORD", secret)
    assert held_secret(f" {secret}\n") == "DB_PASSWORD"
    assert held_secret(f"This is the {secret} of all.") is None


def test_secrets_of_a_long_text_are_hidden_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the text takes about twice the time."""
    monkeypatch.setenv("DB_PASSWORD", "aaaa'\"\\é")
    assert growth(lambda n: hide_secrets("aaaa" * n), 20_000) <= 3
    assert growth(lambda n: held_secret("aaaa" * n), 20_000) <= 3


@pytest.mark.parametrize("name", ["DEEPINFRA_TOKEN", "LLAMA_API_KEY", "SCHOOL_ACCESS"])
def test_the_key_of_an_endpoint_is_a_secret_whatever_it_is(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the table's and of the user's own, also where it is made of words."""
    add_key_variables(["SCHOOL_ACCESS"])
    for key in ("correct-horse-battery", "/srv/words/only"):
        monkeypatch.setenv(name, key)
        assert held_secret(f"My key is {key}.") == name
        assert key not in hide_secrets(f"My key is {key}.")


def test_the_key_variables_of_the_users_endpoints_are_known(
    run: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once they are named in %config, a cell with such a key is refused."""
    monkeypatch.setenv("SCHOOL_DOOR", "correct-horse-battery")
    run(
        "%config ChatMagics.endpoints = "
        "{'school': {'url': 'https://ai.example.org/v1', 'key_variable': 'SCHOOL_DOOR'}}"
    )
    ran = run("%%chat --once\nMy key is correct-horse-battery")
    assert "SCHOOL_DOOR" in str(ran.error)
    assert server.requests == []
