r"""Where formulas are in Markdown: one rule for the live view, the saved HTML and its Markdown.

A formula is `\(…\)`, `\[…\]`, `$$…$$`, or `$…$` as Pandoc reads it
(https://pandoc.org/MANUAL.html#extension-tex_math_dollars): no white space inside the dollars and
no digit after the last one, so that "$5 and $10" stays money. Nor is there a letter, `_` or `{`, as
GitHub has it, so that `$HOME/$USER` stays code; but "$n$th" and "$x$s" are formulas. Between
dollars, `"` and backticks are only within braces: `"$a", "$"` is JSON. A formula ends within its
paragraph. White space is WHITE, a letter A to Z and a digit 0 to 9, no other script's.
`display/static/formula.js` holds the same rule and gets its lists from here;
`tests/core/shown/formula_cases.json` and a fuzz test hold the two together.

The text is hostile, and a typesetter is an interpreter. So only formulas made of the commands and
environments listed below reach it. They typeset and do nothing else: none defines, styles, links,
loads, counts or has an unbounded number. Groups, environments, `\left…\right` and `\displaystyle`,
which lasts until its group ends, nest at most MAX_DEPTH deep, because a typesetter recurses. A `%`
would hide braces from this count. Text that is not a formula is displayed as its source.

The scan of a text, with a call for every opening that no backslash escapes, is linear in it. A scan
ends at the first token that cannot be in a formula, and the opening `\(` or `\[` of another formula
is such a token, as is `$` outside braces. So no character is scanned more than once by each of the
four kinds of formulas (twice in a run of dollars).
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

MAX_FORMULA_CHARS = 5000  # characters of LaTeX
MAX_DEPTH = 30
MAX_FORMULAS = 500  # formulas in one reply; renderers show what follows as its source
USUAL = 100  # characters; a longer formula counts as several
WHITE = " \t\n\r\f\v"

CLOSINGS = {r"\(": r"\)", r"\[": r"\]", "$$": "$$", "$": "$"}

# What is allowed, an environment with or without a star. `static/formula.js` gets these lists.
ENVIRONMENTS = (
    "matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix array cases split aligned "
    "gathered align gather equation multline eqnarray"
)
COMMANDS = (
    # Greek, and aleph
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    "sigma tau upsilon phi chi psi omega varepsilon vartheta varpi varrho varsigma varphi Gamma "
    "Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega aleph "
    # letters and other ordinary symbols
    "imath jmath ell wp Re Im partial infty prime emptyset varnothing nabla top bot angle "
    "triangle square Box forall exists nexists neg lnot hbar complement checkmark S "
    # large operators
    "sum prod coprod bigvee bigwedge bigcap bigcup bigoplus bigotimes int iint iiint oint limits "
    "nolimits "
    # functions
    "arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf "
    "limsup ln log max min Pr sec sin sinh sup tan tanh bmod pmod mod "
    # binary operators
    "pm mp times div cdot ast star circ bullet cap cup vee lor wedge land setminus oplus ominus "
    "otimes oslash odot dagger ddagger "
    # relations
    "lt gt leq le geq ge neq ne equiv sim simeq approx cong doteq propto ll gg subset supset "
    "subseteq supseteq in ni notin mid nmid parallel perp models "
    "vdash vDash prec succ preceq succeq leqslant geqslant coloneqq subsetneq supsetneq nsubseteq "
    "therefore because not "
    # arrows
    "leftarrow gets rightarrow to leftrightarrow Leftarrow Rightarrow Leftrightarrow "
    "longleftarrow longrightarrow longleftrightarrow Longleftarrow Longrightarrow "
    "Longleftrightarrow iff implies impliedby mapsto longmapsto uparrow downarrow updownarrow "
    "Uparrow Downarrow nearrow searrow swarrow nwarrow hookrightarrow rightharpoonup "
    "rightleftharpoons xleftarrow xrightarrow "
    # dots and spaces
    "dots ldots cdots vdots ddots colon quad qquad "
    # accents, and what stands over and under
    "hat widehat check tilde widetilde acute grave dot ddot dddot breve bar vec overline "
    "underline overbrace underbrace overleftarrow overrightarrow overset underset stackrel "
    "substack boxed cancel cancelto "
    # fonts and text
    "mathbb mathbf mathcal mathfrak mathit mathrm mathscr mathsf mathtt boldsymbol rm bf it cal "
    "text textbf textit textrm textsf texttt mbox operatorname "
    # what lasts until its group ends and nests what follows: the names that end in "style"
    "displaystyle textstyle scriptstyle scriptscriptstyle "
    # fractions, roots, classes and boxes
    "frac dfrac tfrac cfrac binom dbinom tbinom sqrt over choose mathop mathbin mathrel mathord "
    "phantom hphantom vphantom bra ket braket tag notag nonumber hline "
    # delimiters
    "middle big Big bigg Bigg bigl Bigl biggl Biggl bigr Bigr biggr Biggr langle rangle lbrace "
    "rbrace lbrack rbrack lvert rvert lVert rVert vert Vert lfloor rfloor lceil rceil backslash "
    # signs
    ", : ; ! > { } | $ % & # _"
)
_COMMANDS = frozenset((*COMMANDS.split(), " "))

_SIZE = r"[0-9]{0,2}(?:\.[0-9]{1,2})?(?:pt|px|mu|mm|ex|em|cm)"
_NAME = re.compile(r"[A-Za-z]+|.", re.DOTALL)
_ENVIRONMENT = re.compile(rf"\{{(?:{ENVIRONMENTS.replace(' ', '|')})\*?\}}")
_COLUMNS = re.compile(r"(?:\[[tbc]\])?\{[clr|: ]{1,99}\}")
_SPACE = re.compile(rf"\{{{_SIZE}\}}")
# What may stand between `\\` and the brackets with its size, and these brackets.
_ROW_GAP = re.compile(r"[^!-~]*(?:\*[^!-~]*)?(?=\[)")
_ROW_SPACE = re.compile(rf"\[{_SIZE}\]")
_BLANK_LINE = re.compile(r"[ \t\r\f\v]*\n")
# What a formula in single dollars is not followed by: the name or number of what begins there.
_NAME_OR_NUMBER = re.compile(r"(?!(?:st|nd|rd|th|s)(?![A-Za-z0-9_]))[A-Za-z0-9_{]")


class Formula(NamedTuple):
    """A formula: its LaTeX, whether it stands on its own, and where it ends in the text."""

    latex: str
    display: bool
    end: int

    @property
    def weight(self) -> int:
        """As how many formulas this one counts."""
        return 1 + len(self.latex) // USUAL


def as_json() -> str:
    """Return the lists and limits of this rule as JSON, for `static/formula.js`."""
    rule = {
        "longest": MAX_FORMULA_CHARS,
        "deepest": MAX_DEPTH,
        "most": MAX_FORMULAS,
        "usual": USUAL,
        "environments": ENVIRONMENTS,
        "commands": COMMANDS,
    }
    return json.dumps(rule, separators=(",", ":"))


def formula_at(text: str, start: int) -> Formula | None:
    """Return the formula that begins at this position, or None."""
    opening = text[start : start + 2]
    if opening not in CLOSINGS:
        opening = opening[:1]
    if opening not in CLOSINGS:
        return None
    closing = CLOSINGS[opening]
    begin = start + len(opening)
    latex = text[begin : _closing_at(text, begin, closing)]
    if not latex.strip(WHITE):
        return None
    end = begin + len(latex) + len(closing)
    if closing == "$" and (
        latex[0] in WHITE or latex[-1] in WHITE or _NAME_OR_NUMBER.match(text, end)
    ):
        return None
    return Formula(latex, closing in ("$$", r"\]"), end)


def _closing_at(text: str, begin: int, closing: str) -> int:
    """Return where the closing is, or 0 if the text before it is not allowed in a formula."""
    groups: list[str] = []  # what ends each open group; "" for a style
    limit = min(begin + MAX_FORMULA_CHARS, len(text) - 1)
    at = begin
    while 0 < at <= limit and len(groups) <= MAX_DEPTH:
        if text.startswith(closing, at):
            return 0 if any(groups) else at
        char = text[at]
        at += 1
        if char == "\\":
            at = _command_end(text, at, groups)
        elif char == "{":
            groups.append("}")
        elif char == "&":
            _end_styles(groups)
        elif (
            char == "%"
            or (char == "}" and not _ends(groups, char))
            or (char == "$" and not any(groups))
            or (char in '"`' and closing[0] == "$" and not any(groups))
            or (char == "\n" and _BLANK_LINE.match(text, at))
        ):
            return 0
    return 0


def _command_end(text: str, at: int, groups: list[str]) -> int:
    """Return the end of the command whose name begins here, or 0 if it is not allowed."""
    end = _match_end(_NAME, text, at)
    name = text[at:end]
    if name in ("begin", "end"):
        after = _match_end(_ENVIRONMENT, text, end)
        if not after:
            return 0
        environment = text[end + 1 : after - 1]
        if name == "end":
            return after if _ends(groups, environment) else 0
        groups.append(environment)
        return _match_end(_COLUMNS, text, after) if environment == "array" else after
    if name == "\\":
        _end_styles(groups)
        gap = _match_end(_ROW_GAP, text, end)
        return _match_end(_ROW_SPACE, text, gap) if gap else end
    if name == "hspace":
        return _match_end(_SPACE, text, end)
    if name == "left":
        groups.append("right")
    elif name not in _COMMANDS and not (name == "right" and _ends(groups, name)):
        return 0
    elif name.endswith("style"):
        groups.append("")
    return end


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where this pattern ends if it begins here, or 0."""
    match = pattern.match(text, at)
    return match.end() if match else 0


def _end_styles(groups: list[str]) -> None:
    while groups and not groups[-1]:
        groups.pop()


def _ends(groups: list[str], name: str) -> bool:
    """End the innermost group and return whether this is what ends it."""
    _end_styles(groups)
    return bool(groups) and groups.pop() == name
