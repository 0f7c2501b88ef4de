"""Colours of code: in time, whatever the code is."""

from __future__ import annotations

from functools import partial

import pytest
from growth import cpu_seconds

from di_magics.display.highlight import MAX_CODE_CHARS, colour_code
from di_magics.display.markdown_rules import Clock

UNITS = (
    *"a\"'\\({[</#`$=@-%&*|~!",
    "/*",
    "//",
    "a.",
    "a:",
    "<a ",
    "${",
    "0x",
    '"""',
    "a b",
    "\n\n ",
)


def test_a_known_language_is_coloured() -> None:
    """Its tokens have classes; white space and plain names have none."""
    assert (
        colour_code("def f", "python", Clock(1))
        == '<span class="k">def</span> <span class="nf">f</span>\n'
    )
    assert colour_code("a<b", "nothing-known", Clock(1)) == "a&lt;b"


@pytest.mark.parametrize("code", ["a" * 301, " " * 101, "a\n" * MAX_CODE_CHARS])
def test_long_code_is_not_coloured(code: str) -> None:
    """Nor are long lines or long white space, in which one step of Pygments takes long."""
    assert colour_code(code, "python", Clock(1)) == code


def test_code_that_takes_long_is_not_coloured() -> None:
    """It is shown in one colour when the time is over."""
    code = "a = 1\n" * 100
    assert colour_code(code, "python", Clock(0)) == code


@pytest.mark.parametrize(
    "language",
    ["python", "bash", "js", "ts", "jsx", "json", "html", "css", "java", "c", "cpp", "rust", "sql"],
)
def test_no_code_takes_long(language: str) -> None:
    """One step of Pygments is short, so the clock can stop it."""
    for unit in UNITS:
        line = (unit * 300)[:300]
        code = "\n".join([line] * (MAX_CODE_CHARS // 301))
        assert cpu_seconds(partial(colour_code, code, language, Clock(0.02))) < 2
