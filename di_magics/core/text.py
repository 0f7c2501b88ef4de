"""Foreign text made harmless to look at: on one line, and with nothing hidden in it."""

from __future__ import annotations

import re
import unicodedata

# Terminal escapes and other control characters, and the marks that reorder or hide text: a
# server's words must not be able to repaint the line they are quoted in.
_UNPRINTABLE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069]+"
)


def one_line(text: object, limit: int = 400) -> str:
    """Return foreign text as one printable line of at most `limit` characters."""
    line = " ".join(_UNPRINTABLE.sub(" ", str(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def make_visible(text: str) -> str:
    """Return foreign code as it looks: without what reorders, hides or erases a part of it."""
    return "".join(
        sign
        for sign in text.replace("\r\n", "\n").replace("\r", "\n")
        if sign in "\n\t" or unicodedata.category(sign) not in _HIDDEN
    )


def describe_error(error: BaseException) -> str:
    """Return an exception's type and text; its own `str` may raise whatever it likes."""
    name = type(error).__name__
    try:
        return f"{name}: {error}".removesuffix(": ")
    except BaseException:
        return name
