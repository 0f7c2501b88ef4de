"""Flags of tools, attachments and forms: how they are read, and which do not go together."""

from __future__ import annotations

from typing import Any

import pytest

from di_magics.core.errors import ParamError
from di_magics.core.settings.flags import parse_flags


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("--tools add", {"tools": ["add"]}),
        ("--tools ' add, look ,,x.y '", {"tools": ["add", "look", "x.y"]}),
        ("--tools add --rounds 3 --confirm", {"rounds": 3, "confirm": True}),
        ("-f markdown", {"format": "markdown", "block": None}),
        ("-f text", {"format": "text"}),
        ("-f code", {"format": "code"}),
        ("--format=code:2", {"format": "code", "block": "2"}),
        ("-f code:bash", {"format": "code", "block": "bash"}),
        ("-f code:a:b", {"format": "code", "block": "a:b"}),
        ("-f json --repair", {"format": "json", "repair": True}),
        ("--schema Person", {"schema": "Person", "format": None}),
        ("--schema Person -f json --repair", {"schema": "Person", "repair": True}),
        ("-a a.png --attach b", {"attach": ["a.png", "b"]}),
        ("-a x --attach-tokens 5 --resize 640", {"attach_tokens": 5, "resize": 640}),
        ("-a x --attach_tokens=5", {"attach_tokens": 5}),
    ],
)
def test_flags_are_read(line: str, found: dict[str, Any]) -> None:
    """Names are split at commas, numbers are numbers."""
    flags = parse_flags(line)
    assert {name: getattr(flags, name) or None for name in found} == found


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "²", "9" * 99])
@pytest.mark.parametrize("flag", ["attach-tokens", "resize", "rounds"])
def test_a_number_is_one_above_zero(flag: str, text: str) -> None:
    """The line names the flag."""
    with pytest.raises(ParamError, match=rf"--{flag} takes a whole number above 0, not"):
        parse_flags(f"-a x --tools f --{flag}='{text}'")


@pytest.mark.parametrize("text", ["pdf", "jsn", "json:1", "code:", ":1", "Code", "a\x1b[31m"])
def test_a_form_is_one_of_four(text: str) -> None:
    """The line lists them, and the nearest."""
    with pytest.raises(ParamError, match="-f takes markdown, text, code, json or code:N") as error:
        parse_flags(f"-f '{text}'")
    assert str(error.value).isprintable()
    assert ("json?" in str(error.value)) or text != "jsn"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--tools f --vary t=0,1", "calls no tools"),
        ("--tools f -n 3", "calls no tools"),
        ("--schema P -f text", "--schema asks for JSON"),
        ("--schema P -f code", "--schema asks for JSON"),
        ("--repair", "--repair is for JSON"),
        ("--repair -f markdown", "--repair is for JSON"),
        ("--confirm", "--confirm is for tools"),
        ("--rounds 3", "--rounds is for tools"),
        ("--tools , --confirm", "--tools takes the names"),
        ("--attach-tokens 5", "--attach-tokens is for attachments"),
        ("--resize 640", "--resize is for attachments"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(line: str, said: str) -> None:
    """The line says which to add or to leave out."""
    with pytest.raises(ParamError, match=said):
        parse_flags(line)
