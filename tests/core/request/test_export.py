"""A request as something to run elsewhere, which asks for the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from loopback import Loopback, Reply

from di_magics.core.request.body import build_body
from di_magics.core.request.export import as_csv, as_curl, as_json, as_magic, as_python
from di_magics.core.settings.flags import parse_flags, sampling_params
from di_magics.core.settings.settings import Settings

BODY = build_body(
    "m",
    [{"role": "user", "content": 'It\'s $HOME, `x` & "y"\n\\n ü 😀'}],
    {"temperature": 0, "seed": 2**63 - 1, "stop": ("\n", "'")},
)
URL = "https://host/v1"


def run(*command: str, key: str = "k-1") -> str:
    """Return what a program prints that finds the key in its environment."""
    env = {**os.environ, "A_KEY": key, "NO_PROXY": "*", "no_proxy": "*"}
    done = subprocess.run(command, env=env, capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def test_json_is_the_body() -> None:
    """Readable, and the same when it is read."""
    assert json.loads(as_json(BODY)) == BODY
    assert "ü 😀" in as_json(BODY)


def test_the_python_program_asks_the_same(server: Loopback) -> None:
    """It runs as it stands, and prints the stream."""
    server.reply(Reply("Hi"))
    assert "[DONE]" in run(sys.executable, "-c", as_python(BODY, server.url, "A_KEY"))
    assert server.chats[0].json == BODY
    assert server.chats[0].headers["authorization"] == "Bearer k-1"


def test_a_program_without_a_key_sends_none(server: Loopback) -> None:
    """Where the endpoint has no key there is no header and no import for it."""
    program = as_python(BODY, server.url, None)
    assert "os" not in program.split("body =")[0]
    run(sys.executable, "-c", program)
    assert "authorization" not in server.chats[0].headers


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("sh")), reason="needs sh and curl")
@pytest.mark.parametrize("variable", ["A_KEY", None])
def test_the_curl_command_asks_the_same(server: Loopback, variable: str | None) -> None:
    """The shell changes nothing in the body, and fills in the key from the environment."""
    server.reply(Reply("Hi"))
    assert "[DONE]" in run("sh", "-c", as_curl(BODY, server.url, variable))
    assert server.chats[0].json == BODY
    sent = server.chats[0].headers.get("authorization")
    assert sent == ("Bearer k-1" if variable else None)


def test_a_key_is_named_and_never_shown() -> None:
    """What is exported holds the variable's name; without one, no header."""
    for export in (as_curl, as_python):
        assert "A_KEY" in export(BODY, URL, "A_KEY")
        assert "Authorization" not in export(BODY, URL, None)
        assert URL + "/chat/completions" in export(BODY, URL, None)


@pytest.mark.parametrize("system", ["Be brief.", 'Say "yes".', "It's fine.", "a\\b", "#1"])
def test_a_magic_line_reads_back(system: str) -> None:
    """Its flags set what was set, whatever is in the texts."""
    settings = Settings("m x", "local", system, 3, {"temperature": 0, "stop": ("\n", "it's")})
    cell, left = as_magic(settings, "Hi")
    line, _, prompt = cell.partition("\n")
    found = parse_flags(line.removeprefix("%%chat"))
    assert (found.model, found.endpoint, found.system, found.last) == ("m x", "local", system, 3)
    assert sampling_params(found) == {"temperature": "0", "stop": ["\n", "it's"]}
    assert (prompt, left) == ("Hi", [])


@pytest.mark.parametrize("system", ["one\ntwo", "both ' and \""])
def test_what_no_line_can_hold_is_left_out_and_named(system: str) -> None:
    """There is no escape character on a line."""
    assert as_magic(Settings(system=system), "Hi") == ("%%chat\nHi", ["-s"])


def test_csv_has_every_column_and_no_formula() -> None:
    """Quoted where need be, empty where there is nothing, and a spreadsheet computes nothing."""
    text = as_csv([{"a": 1, "b": 'x "y", z'}, {"c": "=1+1", "a": -2.5}, {"a": None}])
    assert text == 'a,b,c\r\n1,"x ""y"", z",\r\n-2.5,,\'=1+1\r\n,,\r\n'
