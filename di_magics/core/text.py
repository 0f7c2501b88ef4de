"""Helpers for texts: numbers, nouns, columns, and what an exception says."""

from __future__ import annotations

import re
from collections.abc import Sequence

_IMAGE = re.compile(
    # An address with data, or the first bytes of a PNG, JPEG, WebP or GIF.
    r"\s*(?:data:image/[\w.+-]{1,40};base64,|iVBORw0KGgo|/9j/|UklGR|R0lGOD)[\w+/\s-]{200,}={0,2}\s*",
    re.ASCII,
)
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
_SURROGATE = re.compile("[\ud800-\udfff]")


def cut_middle(text: str, limit: int) -> str:
    """Return the text, without its middle if it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def hide_image(text: str) -> str:
    """Return the text, or one of its size if it is nothing but an image in base64.

    As a text it would be thousands of tokens that no model can look at.
    """
    return (
        f"(image in base64, {len(text):,} characters, not sent)" if _IMAGE.fullmatch(text) else text
    )


def strip_colours(text: str) -> str:
    """Return a text without what sets the colours and the title of a terminal."""
    return _TERMINAL.sub("", text) if "\x1b" in text else text


def respell_number(text: object, *, whole: bool = False) -> str:
    """Return ` Write 0.7.` for a number such as `0,7`, ` Write 1000.` for `1,000`, else nothing."""
    if not isinstance(text, str) or len(text) > 40:
        return ""
    if re.fullmatch(r"\s*[-+]?[1-9]\d{0,2}(,\d{3})+\s*", text, re.ASCII):
        return f" Write {text.strip().replace(',', '')}."
    if not whole and re.fullmatch(r"\s*[-+]?\d*,\d+\s*", text, re.ASCII):
        return f" Write {text.strip().replace(',', '.')}."
    return ""


def describe_error(error: BaseException) -> str:
    """Return an exception's type and text; its own `str` may raise anything.

    An interrupt meanwhile is raised.
    """
    name = type(error).__name__
    try:
        return f"{name}: {error}".removesuffix(": ")
    except KeyboardInterrupt:
        raise
    except BaseException:
        return name


def align_columns(rows: Sequence[Sequence[str]], align: Sequence[str] = ()) -> str:
    """Return rows as columns of plain text; `align` has `left` or `right` for each column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = align or ["left"] * len(widths)
    lines = (
        "  ".join(
            cell.rjust(width) if side == "right" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def count_noun(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 turn` and `1,200 turns`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def format_bytes(count: int) -> str:
    """Return a size such as `12 kB`, `1.5 MB` and `491 MB`."""
    if count < 1e6:
        return f"{max(1, round(count / 1e3)):,} kB"
    return f"{count / 1e6:,.{0 if count >= 1e7 else 1}f}".removesuffix(".0") + " MB"


def replace_surrogates(text: str) -> str:
    """Return a text with surrogate pairs joined, and U+FFFD in place of a lone half."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
