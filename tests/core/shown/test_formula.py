"""What a formula is: the cases and the fuzz that Python and JavaScript share, and its bounds."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import SupportsIndex

import pytest

from di_magics.core.shown import formula
from di_magics.core.shown.formula import MAX_DEPTH, MAX_FORMULA_CHARS, Formula, formula_at

CASES = json.loads(Path(__file__).with_name("formula_cases.json").read_text("utf-8"))
READ_IN_NODE = Path(__file__).resolve().parents[2] / "js" / "read_formulas.mjs"
# What means something to the rule, and what looks like it in another script.
PIECES = [
    *(
        "$",
        "$$",
        "\\(",
        "\\)",
        "\\[",
        "\\]",
        "\\",
        "\\\\",
        "\\$",
        "{",
        "}",
        "%",
        "&",
        "*",
        "[",
        "]",
    ),
    *('"', "`", "'", "_", "th", "s", "ths"),
    *(" ", "\n", "\t", "\r", "\f", "\v", "\u00a0", "\u2003", "\u2028", "\ufeff", "\x1c", "\x85"),
    *("1", "\u0663", "a", "\u00e9", "\u0131", "\U0001f600", "x^2", "\\alpha", "\\frac", "\\evil"),
    *("\\begin{matrix}", "\\end{matrix}", "\\begin{array}", "{cc}", "\\end{array}", "[3pt]"),
    *("\\left(", "\\right)", "\\displaystyle", "\\hspace", "{1em}", "\\text{", "\\ "),
]
ALLOWED = [
    *(
        "a",
        "x^2",
        "\\alpha ",
        "\\frac{1}{2}",
        "{",
        "}",
        " ",
        "\n",
        "\u00a0",
        "\U0001f600",
        "\\$",
        "\\\\",
    ),
    *(
        "\\left(a\\right)",
        "\\begin{matrix}a&b\\end{matrix}",
        "\\hspace{1em}",
        "\\text{$a$}",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case[0]))
def test_these_are_formulas_and_these_are_not(case: list[object]) -> None:
    """By the file that JavaScript reads, too."""
    text, start, latex, *rest = case
    assert isinstance(text, str)
    assert isinstance(start, int)
    expected = None if latex is None else Formula(latex, *rest)  # type: ignore[arg-type]
    assert formula_at(text, start) == expected


@pytest.mark.parametrize(("opening", "closing"), formula.CLOSINGS.items())
def test_a_formula_has_a_bounded_length(opening: str, closing: str) -> None:
    """In characters, each as long as any other."""
    for char in ("a", "\U0001f600"):
        assert formula_at(f"{opening}{char * MAX_FORMULA_CHARS}{closing}", 0)
        assert not formula_at(f"{opening}{char * (MAX_FORMULA_CHARS + 1)}{closing}", 0)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("{", "}"),
        ("\\frac{1}{", "}"),
        ("\\left(", "\\right)"),
        ("\\begin{matrix}", "\\end{matrix}"),
        ("\\displaystyle ", ""),
    ],
)
def test_a_formula_has_a_bounded_depth(opening: str, closing: str) -> None:
    """Whatever nests in it counts, together."""
    for depth, is_formula in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
        text = f"$a{opening * depth}x{closing * depth}$"
        assert bool(formula_at(text, 0)) == is_formula
        mixed = f"$a{{{opening * (depth - 1)}x{closing * (depth - 1)}}}$"
        assert bool(formula_at(mixed, 0)) == is_formula


def test_a_style_ends_with_its_group_its_cell_or_its_row() -> None:
    """So a long table may have one in each cell."""
    for end in ("}", "&", "\\\\"):
        style = "{\\displaystyle a" if end == "}" else "\\displaystyle a"
        assert formula_at(f"${(style + end) * 100}$", 0)


def random_texts(count: int) -> list[str]:
    """Return texts of pieces that mean something, half of them between delimiters."""
    chance = random.Random(20)
    texts = []
    for _ in range(count):
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 9)))
        opening, closing = chance.choice([("", ""), *formula.CLOSINGS.items()])
        if chance.random() < 0.02:
            opening += "a" * (MAX_FORMULA_CHARS - 10)
        texts.append(text[-50:] + opening + "".join(chance.choices(ALLOWED, k=4)) + closing + text)
    return texts


@pytest.mark.no_cover
def test_python_and_javascript_agree() -> None:
    """On each position of 20,000 random texts, in any script."""
    node = shutil.which("node")
    assert node, "Node is missing. Run the tests with tests/run.py."
    texts = random_texts(20_000)
    expected = []
    for text in texts:
        starts = [at for at, char in enumerate(text) if char in "$\\"]
        expected.append([(at, formula_at(text, at)) for at in starts])
    read = subprocess.run(
        [node, str(READ_IN_NODE)],
        input=json.dumps(texts),
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(read.stdout) == json.loads(json.dumps(expected))
    assert sum(found is not None for text in expected for _, found in text) > 5000


class Counted(str):
    """A text that counts how many characters are looked at."""

    reads = 0

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        """Count what is looked at."""
        self.reads += 1
        return super().__getitem__(key)


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "$",
            "$a",
            "$$",
            "$$a",
            "$ ",
            "$a ",
            "\\(",
            "\\(a",
            "\\[",
            "\\[a",
            "\\(\\[",
            "\\($$",
            "\\\\",
        ),
        *(
            "$$\\[\\(",
            "\\({",
            "\\[\\text{$a ",
            "\\[{$$a ",
            "\\(\n",
            "\\(a\n \n",
            "\\(\\\\ ",
            "$\\alpha ",
        ),
        *(
            "\\(\\\\",
            "$\\\\ [",
            "$$\\left",
            "\\[\\begin{matrix}",
            "\\(%",
            "\\(\\evil",
            "$\\$",
            "\\[ \\",
        ),
        *("a", " ", "\n", "\\"),
    ],
)
def test_the_scan_of_a_whole_text_is_linear(unit: str) -> None:
    """With a call for each opening, of what is made to be slow."""
    steps = []
    for count in (4000, 8000):
        text = Counted(unit * count)
        at = 0
        while at < len(text):
            formula_at(text, at)
            at += 2 if str(text).startswith("\\\\", at) else 1
        steps.append(text.reads)
    assert steps[1] <= 2.2 * steps[0]


def test_the_rule_for_javascript_has_every_list_and_limit() -> None:
    """So that no number or name of it stands in a script."""
    rule = json.loads(formula.as_json())
    assert (rule["longest"], rule["deepest"], rule["most"]) == (
        MAX_FORMULA_CHARS,
        MAX_DEPTH,
        formula.MAX_FORMULAS,
    )
    assert rule["usual"] == formula.USUAL
    assert rule["commands"] == json.loads(json.dumps(formula.COMMANDS))
    assert rule["environments"] == json.loads(json.dumps(formula.ENVIRONMENTS))


def test_a_longer_formula_counts_as_several() -> None:
    """All formulas of a reply together are bounded by this."""
    assert Formula("x", True, 0).weight == 1
    assert Formula("x" * formula.USUAL * 3, True, 0).weight == 4
