"""Code with the classes that JupyterLab colours; the only file with Pygments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import TypeVar

from di_magics.display.long_text import escape_long_text
from di_magics.display.markdown_rules import Clock, TooSlowError

T = TypeVar("T")

# In such code every step of Pygments is short, so the clock can stop it.
MAX_CODE_CHARS = 20_000  # characters of code
_LONG = re.compile(r"[^\n]{301}|\s{101}")


def colour_code(code: str, language: str, clock: Clock) -> str:
    """Return code as HTML, with the classes of Pygments if there is time for it."""
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    if len(code) > MAX_CODE_CHARS or _LONG.search(code):
        return escape_long_text(code)
    coloured = StringIO()
    try:
        pairs = get_lexer_by_name(language, stripnl=False).get_tokens(code)
        HtmlFormatter(nowrap=True).format(_timed(pairs, clock), coloured)
    except (ClassNotFound, TooSlowError):
        return escape_long_text(code)
    # White space and plain names have no colour of their own, and are half of the bytes.
    return re.sub(r'<span class="[wn]">([^<]*)</span>', r"\1", coloured.getvalue())


def _timed(pairs: Iterable[tuple[T, str]], clock: Clock) -> Iterator[tuple[T, str]]:
    for pair in pairs:
        clock.check()
        yield pair
