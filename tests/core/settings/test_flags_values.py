"""Flags of tools, attachments and formats: how their values are parsed."""

from __future__ import annotations

from typing import Any

import pytest

from di_magics.core.errors import ParamError
from di_magics.core.settings.flags import parse_flags


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("--tools add", {"tools": ("add",)}),
        ("--tools ' add, look ,,x.y '", {"tools": ("add", "look", "x.y")}),
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
        ("-a a.png --attach b", {"attach": ("a.png", "b")}),
        ("-a x --attach-tokens 5 --resize 640", {"attach_tokens": 5, "resize": 640}),
        ("-a x --attach_tokens=5", {"attach_tokens": 5}),
    ],
)
def test_values_are_parsed(line: str, values: dict[str, Any]) -> None:
    """Names are split at commas, numbers are numbers."""
    flags = parse_flags(line)
    assert {name: getattr(flags, name) or None for name in values} == values


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "²", "9" * 99])
@pytest.mark.parametrize("flag", ["attach-tokens", "resize", "rounds"])
def test_a_number_is_one_above_zero(flag: str, text: str) -> None:
    """The line names the flag."""
    with pytest.raises(ParamError, match=rf"^--{flag} "):
        parse_flags(f"-a x --tools f --{flag}='{text}'")


@pytest.mark.parametrize("text", ["pdf", "jsn", "json:1", "code:", ":1", "Code", "a\x1b[31m"])
def test_a_format_is_one_of_four(text: str) -> None:
    """The line lists them, and the nearest."""
    with pytest.raises(ParamError, match="markdown, text, code, json") as error:
        parse_flags(f"-f '{text}'")
    assert str(error.value).isprintable()
    assert ("json?" in str(error.value)) or text != "jsn"


@pytest.mark.parametrize("line", ["--tools , --confirm", "--tools f, g", "--tools ''"])
def test_tools_are_names_with_commas_and_no_spaces(line: str) -> None:
    """The message shows how they are written."""
    with pytest.raises(ParamError, match="--tools f,g"):
        parse_flags(line)
