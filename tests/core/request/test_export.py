"""A request exported as JSON, curl, Python or a cell sends the same as the original."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from typing import Any
from unicodedata import category

import pytest
from growth import growth
from loopback import Fault, Loopback, Reply, event

from di_magics.core.request.body import build_body
from di_magics.core.request.export import Destination, as_csv, as_curl, as_json, as_magic, as_python
from di_magics.core.settings.flags import parse_flags
from di_magics.core.settings.settings import Settings

BODY = build_body(
    "m",
    [{"role": "user", "content": 'It\'s $HOME, `x` & "y"\n\\n ü 😀'}],
    {"temperature": 0, "seed": 2**63 - 1, "stop": ("\n", "'")},
)
URL = "https://host/v1"


def run(*command: str, key: str = "k-1") -> str:
    """Return what a program prints that has the key in its environment."""
    env = {**os.environ, "A_KEY": key, "NO_PROXY": "*", "no_proxy": "*"}
    done = subprocess.run(command, env=env, capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def test_json_is_the_body() -> None:
    """Other scripts stay readable."""
    assert json.loads(as_json(BODY)) == BODY
    assert "ü 😀" in as_json(BODY)


@pytest.mark.parametrize("stream", [True, False])
def test_python_program_sends_the_body_and_prints_the_text(server: Loopback, stream: bool) -> None:
    """It runs as it stands, whatever is in the text."""
    body = build_body("m", BODY["messages"], {"stop": ("\n", "'")}, stream=stream)
    text = "Hi, ü 😀\u2028\x85\n\ndata: x\n"
    server.reply(Reply(text))
    assert (
        run(sys.executable, "-c", as_python(body, Destination(server.url, "A_KEY"))) == f"{text}\n"
    )
    assert server.chats[0].json == body
    assert server.chats[0].headers["authorization"] == "Bearer k-1"


@pytest.mark.parametrize(
    "failure",
    [
        Fault(401, {"error": {"message": "no such key"}}),
        Reply(chunks=["Hi", event({"error": {"message": "no such key"}})]),
    ],
)
def test_python_program_ends_with_the_servers_error(server: Loopback, failure: Any) -> None:
    """It prints the error and exits with status 1."""
    server.reply(failure)
    with pytest.raises(subprocess.CalledProcessError) as error:
        run(sys.executable, "-c", as_python(BODY, Destination(server.url, None)))
    assert b"no such key" in error.value.stderr
    assert b"Traceback" not in error.value.stderr


def test_a_program_without_a_key_sends_none(server: Loopback) -> None:
    """Where the endpoint has no key there is no header and no import for it."""
    program = as_python(BODY, Destination(server.url, None))
    assert "os" not in program.split("body =")[0]
    run(sys.executable, "-c", program)
    assert "authorization" not in server.chats[0].headers


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("sh")), reason="needs sh and curl")
@pytest.mark.parametrize("variable", ["A_KEY", None])
def test_the_curl_command_asks_the_same(server: Loopback, variable: str | None) -> None:
    """The shell changes nothing in the body, and fills in the key from the environment."""
    server.reply(Reply("Hi"))
    assert "[DONE]" in run("sh", "-c", as_curl(BODY, Destination(server.url, variable)))
    assert server.chats[0].json == BODY
    sent = server.chats[0].headers.get("authorization")
    assert sent == ("Bearer k-1" if variable else None)


def test_a_key_is_named_and_never_shown() -> None:
    """What is exported holds the variable's name; without one, no header."""
    for export in (as_curl, as_python):
        assert "A_KEY" in export(BODY, Destination(URL, "A_KEY"))
        assert "Authorization" not in export(BODY, Destination(URL))
        assert URL + "/chat/completions" in export(BODY, Destination(URL))


@pytest.mark.parametrize("system", ["Be brief.", 'Say "yes".', "It's fine.", "a\\b", "#1"])
def test_a_magic_line_reads_back(system: str) -> None:
    """Its flags set what was set, whatever is in the texts."""
    settings = Settings("m x", "local", system, 3, {"temperature": 0, "stop": ("\n", "it's")})
    cell, left = as_magic(settings, "Hi")
    line, _, prompt = cell.partition("\n")
    flags = parse_flags(line.removeprefix("%%chat"))
    assert (flags.model, flags.endpoint, flags.system, flags.last) == ("m x", "local", system, 3)
    assert flags.params == {"temperature": "0", "stop": ["\n", "it's"]}
    assert (prompt, left) == ("Hi", [])


@pytest.mark.parametrize("system", ["one\ntwo", "both ' and \""])
def test_texts_that_a_line_cannot_hold_are_left_out_and_named(system: str) -> None:
    """There is no escape character on a line."""
    assert as_magic(Settings(system=system), "Hi") == ("%%chat\nHi", ["-s"])


def test_csv_has_every_column_and_no_formula() -> None:
    """Quoted where need be, empty where there is nothing, and a spreadsheet computes nothing."""
    text = as_csv([{"a": 1, "b": 'x "y", z'}, {"c": "=1+1", "a": -2.5}, {"a": None}])
    assert text == 'a,b,c\r\n1,"x ""y"", z",\r\n-2.5,,\'=1+1\r\n,,\r\n'


FORMULA = "=cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    "before", ["", " ", "a;", "a\n", "a\r\n", "a\t", "a; ", "\t", "\r", 'a;"', ";;"]
)
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝", "＋", "－", "＠", "- "])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_of_a_csv_file_is_a_formula(before: str, sign: str, separator: str) -> None:
    """Whatever a spreadsheet takes for the separator."""
    text = as_csv([{f"{before}{sign}name|!": 1, "text": before + FORMULA.replace("=", sign, 1)}])
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
        for cell in row:
            assert not cell.strip(' \t\r\n"').startswith(tuple("=+-@＝＋－＠"))


def test_csv_leaves_lists_as_they_are_and_shows_controls() -> None:
    """`cat` in a terminal prints the file."""
    text = as_csv([{"a": "Two:\n- one\n- two (2)\n+ three", "b": "\x1b]52;\x9b\u202eé"}])
    assert as_csv([{"a": "x = 1"}]) == "a\r\nx = 1\r\n"
    assert text == ('a,b\r\n"Two:\n- one\n\'- two (2)\n+ three",⟨U+001B⟩]52;⟨U+009B⟩⟨U+202E⟩é\r\n')


@pytest.mark.parametrize("piece", ["a;", "\n ", "\n- a", "=\n", "\t"])
def test_the_time_of_csv_is_linear(piece: str) -> None:
    """In the length of a text."""
    assert growth(lambda text: as_csv([{"a": text}]), 50_000, lambda n: piece * (n // 2)) <= 3


def test_exports_print_no_hidden_character_and_send_the_same() -> None:
    """JSON and curl hold them as escapes, Python as well, and each is read back exactly."""
    characters = map(chr, range(0xE1000))
    text = "".join(c for c in characters if category(c) in ("Cc", "Cf", "Zl", "Zp"))
    assert set("\x9b\u202e\U000e0041") < set(text)
    body = build_body("m", [{"role": "user", "content": text + "'\"\\ é"}], {})
    forms = [
        as_json(body),
        as_curl(body, Destination(URL, "A_KEY")),
        as_python(body, Destination(URL, "A_KEY")),
    ]
    for form in forms:
        assert not set(form) & set(text) - {"\n"}
        assert "é" in form
    assert json.loads(forms[0]) == body
    data = shlex.split(forms[1].replace("\\\n", " "))[-1]
    assert json.loads(data) == body
    assert ast.literal_eval(forms[2].partition("body = ")[2].partition("\nwith ")[0]) == body


def test_address_is_printed_without_hidden_characters() -> None:
    """A file of others names any address; its hidden characters are encoded as a client does."""
    for export in (as_curl, as_python):
        assert "https://host/%E2%80%AEv1/chat/completions" in export(
            BODY, Destination("https://host/\u202ev1")
        )


def test_headers_and_query_are_sent_with_the_values_of_variables(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell and Python fill them in; nothing of a name or a value is run."""
    monkeypatch.setenv("X_COURSE", "ml 101")
    monkeypatch.setenv("CODE", "secret")
    headers = {"X-Course": "$X_COURSE", "X-`id`": "it's $(id)"}
    query = {"api-version": "2026-10-01", "code": "$CODE", "a&b": "`id`&"}
    to = Destination(server.url, None, headers, query)
    run("sh", "-c", as_curl(BODY, to))
    run(sys.executable, "-c", as_python(BODY, to))
    assert "ml 101" not in as_curl(BODY, to) + as_python(BODY, to)
    for request in server.chats:
        assert request.headers["x-course"] == "ml 101"
        assert request.headers["x-`id`"] == "it's $(id)"
        path = request.path.replace("%60", "`")
        assert path.endswith("?api-version=2026-10-01&code=secret&a%26b=`id`%26")
    assert len(server.chats) == 2
