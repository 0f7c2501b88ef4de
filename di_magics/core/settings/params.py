"""The one table of sampling parameters, used by validation, flags, help, panel and README.

The ranges are those of https://deepinfra.com/codellama/CodeLlama-70b-Instruct-hf/api.
"""

from __future__ import annotations

import json
import numbers
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from di_magics.core.errors import ParamError
from di_magics.core.text import respell_number
from di_magics.core.visible import one_line

DEFAULT_MAX_TOKENS = 16_384
"""What DeepInfra uses where max_tokens is not sent."""
TOOL_CHOICES = ("auto", "none", "required")
"""What `tool_choice` may be besides the name of a tool."""
MAX_LOGPROBS = 20
"""How many alternatives of a token most servers send at most."""
TYPE_NAMES = {float: "a number", int: "a whole number", str: "text", list: "text"}

BUILT_IN_MAX_TOKENS = 512
"""What is sent to the built-in model unless max_tokens is set: small models repeat themselves."""


class Param(NamedTuple):
    """One sampling parameter: the API's own name, its range and its effect.

    `low` and `high` belong to the range unless `low_open` or `high_open`; `choices` are all values
    of a text, `suggestions` only some of them. `default` says what DeepInfra does when it is not
    sent; other endpoints are in services.py. `usual` are the ends of a slider where the range is
    too wide for one. `shapes` is whether it shapes the choice of the next token, `bare` the value
    of its flag without one.
    """

    name: str
    kind: type
    effect: str
    default: str
    low: int | float | None = None
    high: int | float | None = None
    low_open: bool = False
    high_open: bool = False
    step: float | None = None
    choices: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    max_texts: int | None = None
    short: str | None = None
    usual: tuple[float, float] | None = None
    shapes: bool = False
    bare: str = ""

    @property
    def range(self) -> str:
        """The range as text, such as `0 < top_p ≤ 1`."""
        if self.choices:
            return ", ".join(self.choices)
        if self.max_texts:
            return f"up to {self.max_texts} texts"
        if self.low is None or self.high is None:
            return TYPE_NAMES[self.kind]
        low, high = ("2^63" if end == 2**63 else f"{end}" for end in (self.low, self.high))
        return (
            f"{low} {'<' if self.low_open else '≤'} {self.name} "
            f"{'<' if self.high_open else '≤'} {high}"
        )


PARAMS: Mapping[str, Param] = {
    param.name: param
    for param in (
        Param(
            "temperature",
            float,
            "Higher: more varied and surprising words; 0: always the likeliest word.",
            "1",
            low=0,
            high=2,
            step=0.05,
            short="-t",
            shapes=True,
        ),
        Param(
            "top_p",
            float,
            "Draw only from the likeliest words that together hold this share of probability.",
            "1 (off)",
            low=0,
            high=1,
            low_open=True,
            step=0.01,
            shapes=True,
        ),
        Param(
            "min_p",
            float,
            "Drop words less likely than this fraction of the likeliest one.",
            "0 (off)",
            low=0,
            high=1,
            step=0.01,
            shapes=True,
        ),
        Param(
            "top_k",
            int,
            "Draw only from the k likeliest words; 0: from all of them.",
            "0 (off)",
            low=0,
            high=1000,
            high_open=True,
            step=1,
            usual=(0, 200),
            shapes=True,
        ),
        Param(
            "max_tokens",
            int,
            "The reply is cut off after this many tokens.",
            "the server's limit",
            low=0,
            high=1_000_000,
            step=1,
            usual=(1, 2000),
        ),
        Param(
            "presence_penalty",
            float,
            "Above 0: words that were used already become less likely; below 0: more likely.",
            "0 (off)",
            low=-2,
            high=2,
            step=0.05,
            shapes=True,
        ),
        Param(
            "frequency_penalty",
            float,
            "Like presence_penalty, but stronger the more often a word was used.",
            "0 (off)",
            low=-2,
            high=2,
            step=0.05,
            shapes=True,
        ),
        Param(
            "repetition_penalty",
            float,
            "Above 1: words of the prompt and the reply so far become less likely.",
            "1 (off)",
            low=0.01,
            high=5,
            step=0.05,
            usual=(0.5, 2),
            shapes=True,
        ),
        Param(
            "seed",
            int,
            "The same seed and settings give the same reply, as far as the server can.",
            "a new one every time",
            low=0,
            high=2**63,
            high_open=True,
            step=1,
            usual=(0, 100),
        ),
        Param(
            "stop",
            list,
            "The reply ends before any of these texts.",
            "none",
            max_texts=16,
        ),
        Param(
            "tool_choice",
            str,
            "Whether the model may call a tool: auto, none, required, or a tool's name.",
            "auto with tools, else none",
            suggestions=TOOL_CHOICES,
        ),
        Param(
            "user",
            str,
            "An id of the user, for the provider's abuse checks; send a hash, not a name.",
            "none",
        ),
        Param(
            "reasoning_effort",
            str,
            "How long a reasoning model thinks before it answers.",
            "the model's own",
            choices=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
        ),
        Param(
            "logprobs",
            int,
            "Get the log-probability of every token, and of this many alternatives to it.",
            "none",
            low=0,
            high=10_000,
            step=1,
            usual=(0, 20),
            bare="20",
        ),
    )
}

Value = int | float | str | tuple[str, ...]


MAX_NAME_CHARS = 100
"""Characters of a name that is compared with a misspelled one."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean …?` with up to three of the nearest known words, or nothing."""
    import difflib  # only a mistake needs it

    choices = list(known)
    begun = [choice for choice in choices if len(word) > 2 and choice.startswith(word)]
    short = [choice for choice in choices if len(choice) <= MAX_NAME_CHARS]  # the time is quadratic
    near = begun[:3] or difflib.get_close_matches(word[:MAX_NAME_CHARS], short, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(one_line(word, 80) for word in near)}?" if near else ""


def find_param(name: str) -> Param:
    """Return the parameter of that name; hyphens count as underscores.

    Raises ParamError for an unknown name, with its nearest neighbours.
    """
    param = PARAMS.get(name.replace("-", "_"))
    if param is None:
        raise ParamError(
            f"There is no parameter {one_line(name, 60)!r}.{suggest(name, PARAMS)} "
            "%chat params lists them."
        )
    return param


def validate(name: str, value: object) -> Value:
    """Return the value as it will be sent: an int, a float, a text, or texts for `stop`.

    Text is parsed as the parameter's type. A whole number stays an int (0 is sent as 0). Raises
    ParamError for a value of another type or out of range.
    """
    param = find_param(name)
    if param.kind is list:
        return _parse_texts(param, value)
    if param.kind is str:
        return _parse_text(param, value)
    number = _parse_whole(value) if param.kind is int else _parse_real(value)
    low, high = param.low, param.high
    if number is None:
        raise _invalid(param, value, f"must be {TYPE_NAMES[param.kind]}")
    if (
        low is None
        or high is None
        or not low <= number <= high
        or (param.low_open and number == low)
        or (param.high_open and number == high)
    ):
        raise _invalid(param, value, f"is out of range: {param.range}")
    return number


def _invalid(param: Param, value: object, why: str) -> ParamError:
    try:
        plain = isinstance(value, str) and _parse_real(value) is not None
        text = one_line(value if plain else repr(value), 60)
    except ValueError:  # Python does not print numbers of thousands of digits
        text = "that number"
    hint = respell_number(value, whole=param.kind is int) if param.kind in (int, float) else ""
    return ParamError(f"{param.name} {why}, not {text}.{hint or f' {param.effect}'}")


def _parse_whole(value: object) -> int | None:
    """Parse a whole number without a float in between, in which 2**63 - 1 would change."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    real = _parse_real(value)
    return real if isinstance(real, int) else None


def _parse_real(value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, str | numbers.Real):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() else number


def _parse_text(param: Param, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(param, value, "must be a non-empty text")
    if param.choices and value not in param.choices:
        raise _invalid(param, value, f"must be one of {', '.join(param.choices)}")
    return value


def _parse_texts(param: Param, value: object) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(t, str) and t for t in texts):
        raise _invalid(param, value, "must be a list of non-empty texts")
    if not texts or (param.max_texts and len(texts) > param.max_texts):
        raise _invalid(param, f"{len(texts)}", f"must be 1 to {param.max_texts} texts")
    return tuple(texts)


def format_param(name: str, value: Value) -> str:
    """Return `name=value` as a receipt shows it."""
    plain = value if isinstance(value, str) and value.isalpha() else json.dumps(value)
    return f"{name}={plain}"
