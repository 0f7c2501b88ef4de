"""Helpers for texts: numbers, columns and errors in messages."""

from __future__ import annotations

import pytest

from di_magics.core.text import (
    align_columns,
    describe_error,
    format_bytes,
    hide_image,
    replace_surrogates,
    respell_number,
    strip_colours,
)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"data:image/svg+xml;base64,{'PHN2' * 60}=", True),
        (f"iVBORw0KGgo{'A_-/' * 60}==\n", True),
        (f"/9j/{'4AAQ' * 60}", True),
        ("UklGR" + ("A" * 76 + "\n") * 4, True),
        (f"see data:image/png;base64,{'iVBO' * 60}", False),
        (f"iVBORw0KGgo{'A' * 260}: done", False),
        ("/9j/" + "a path" * 9, False),
        ("word " * 99, False),
        ("", False),
    ],
)
def test_a_text_that_is_an_image_is_its_size(text: str, hidden: bool) -> None:
    """Only where it is nothing else: a part of a text stays (open-webui 29665, koboldcpp 2374)."""
    said = f"(image in base64, {len(text):,} characters, not sent)"
    assert hide_image(text) == (said if hidden else text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\x1b[2m─ a ─\x1b[0m\x1b[48;2;38;38;38m b\x1b[K", "─ a ─ b"),
        ("\x1b]0;title\x07a\x1b]8;;https://a.b\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("a[2m and \\x1b[0m", "a[2m and \\x1b[0m"),
        ("a\x1b", "a\x1b"),
    ],
)
def test_a_text_of_a_terminal_is_plain(text: str, plain: str) -> None:
    """Colours, titles and links are left out; their text stays (openchamber 1965)."""
    assert strip_colours(text) == plain


@pytest.mark.parametrize(
    ("text", "whole", "meant"),
    [
        ("0,7", False, "0.7"),
        (" -1,5 ", False, "-1.5"),
        (",5", False, ".5"),
        ("1,000", False, "1000"),
        ("1,000", True, "1000"),
        ("12,345,678", True, "12345678"),
        ("0,7", True, None),
        ("a,b", False, None),
        ("0,7,1", False, None),
        (0.7, False, None),
        ("1" * 99 + ",5", False, None),
    ],
)
def test_a_number_with_a_comma_is_respelled(text: object, whole: bool, meant: str | None) -> None:
    """A decimal comma as a point; separators between thousands are left out."""
    hint = respell_number(text, whole=whole)
    assert hint == (f" Write {meant}." if meant else "")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "1 kB"),
        (12_345, "12 kB"),
        (999_999, "1,000 kB"),
        (1_000_000, "1 MB"),
        (1_560_000, "1.6 MB"),
        (491_000_000, "491 MB"),
        (12_345_678_901, "12,346 MB"),
    ],
)
def test_a_size_is_in_kb_or_mb(count: int, text: str) -> None:
    """A file is never of 0 kB, or it would seem to be empty."""
    assert format_bytes(count) == text


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    """To the left unless told otherwise, and without spaces at the ends of lines."""
    rows = [("a", "bb", ""), ("ccc", "d", "e")]
    assert align_columns(rows) == "a    bb\nccc  d   e"
    assert align_columns(rows, ["right", "right", "left"]) == "  a  bb\nccc   d  e"


class Unreadable(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("error", "described"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (Unreadable("no"), "Unreadable"),
    ],
)
def test_an_error_is_described_by_its_type_and_text(error: Exception, described: str) -> None:
    """By its type alone where it has no text, or its text is an error of its own."""
    assert describe_error(error) == described


def test_an_interrupt_is_raised_while_an_error_makes_its_text() -> None:
    """Otherwise ■ would be lost there."""

    class Slow(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        describe_error(Slow())


def test_pairs_are_joined_and_halves_replaced() -> None:
    """Text of UTF-8 is unchanged."""
    assert replace_surrogates("ä😀\u2028") == "ä😀\u2028"
    assert replace_surrogates("\ud83d\ude00 \ude00\ud83d") == "😀 \ufffd\ufffd"
