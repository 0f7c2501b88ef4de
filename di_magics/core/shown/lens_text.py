"""The lens's texts: probability bands, token labels, and why a setting is disabled.

A token belongs to a band by its probability. The bands are the same for every reply, so that the
same colour is always the same number; `display/static/tokens.js` has them, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from di_magics.core.errors import ParamError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import LensData
from di_magics.core.sampling import DEFAULT_ORDER
from di_magics.core.settings.params import PARAMS, suggest, validate
from di_magics.core.settings.services import LOCAL, SERVICES
from di_magics.core.visible import make_visible, one_line

BANDS = (0.9, 0.5, 0.2, 0.05, 0.01, 0.001, 0.0)
BAND_NAMES = ("≥ 90 %", "50–90 %", "20–50 %", "5–20 %", "1–5 %", "0.1–1 %", "< 0.1 %")
NOT_KNOWN = len(BANDS)
"""The band of a token without a probability."""
ORDERS: Mapping[str, tuple[str, ...]] = {
    "llama.cpp": ("penalties", "top_k", "top_p", "min_p", "temperature"),
    "vLLM": ("penalties", "temperature", "min_p", "top_k", "top_p"),
}
"""The filters of a lab in the order of the servers whose order is known."""
FILTERS = ORDERS["llama.cpp"]
NEUTRAL: Mapping[str, float] = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repeat_penalty": 1.0,
}
"""The values with which the settings of a lab change nothing, by llama.cpp's names."""
BASIS = {
    "raw": "The probabilities are the model's own, before temperature and filters.",
    "unknown": "Whether the probabilities are before or after temperature and filters is not "
    "known.",
}
LAB_BASIS = {
    "raw": "Colours, legend and “now” are with the settings below. Perplexity, surprise and "
    "“model” are the model's own, before temperature and filters.",
    "unknown": "Colours, legend and “now” are with the settings below. Perplexity, surprise and "
    "“model” are as they were sent; whether before or after temperature and filters is not known.",
}
"""The same for a lab."""
LOGITS_UNKNOWN = "It needs the logits, which are not sent."


def band_of(token: TokenProbability) -> int:
    """Return the number of a token's band, NOT_KNOWN if it has no probability."""
    probability = probability_of(token)
    if probability is None:
        return NOT_KNOWN
    return next(band for band, least in enumerate(BANDS) if probability >= least)


def probability_of(token: TokenProbability) -> float | None:
    """Return a token's probability, None if it is not known."""
    return None if token.logprob is None else math.exp(min(0.0, token.logprob))


def format_percent(probability: float | None) -> str:
    """Return a probability as text, with three digits at most."""
    if probability is None:
        return "not known"
    if probability >= 1 - 1e-9:
        return "100 %"
    if probability >= 0.9995:
        return "> 99.9 %"
    if probability >= 0.00005:
        return f"{probability * 100:.{1 if probability >= 0.0995 else 2}f} %"
    return "< 0.01 %" if probability else "0"


def token_label(text: str) -> str:
    """Return a token in one line with every character visible; one without text ends the reply."""
    spaces = text.replace(" ", "·").replace("\n", "↵").replace("\t", "⇥")
    return make_visible(spaces) or "⟨end⟩"


def filter_order(data: LensData) -> list[str]:
    """Return the filters of a lab in their order, llama.cpp's where the endpoint's is unknown."""
    order = DEFAULT_ORDER if data.order is None else data.order
    return [name for name in order if name in FILTERS]


def parse_order(text: str) -> list[str]:
    """Return the filters that `vllm` or `top_p,temperature` names; one not named is not applied.

    Raises ParamError for another name.
    """
    for server, order in ORDERS.items():
        if text.lower() == server.lower():
            return list(order)
    names = [name.strip().lower().replace("-", "_") for name in text.split(",")]
    for name in names:
        if name not in FILTERS or names.count(name) > 1:
            known = [*ORDERS, *FILTERS]
            raise ParamError(
                f"{one_line(name, 40)!r} is not a filter, or is there twice.{suggest(name, known)} "
                f"Write {' or '.join(ORDERS)}, or filters in their order: {','.join(FILTERS)}."
            )
    return names


def sampling_params(values: Mapping[str, float]) -> dict[str, float]:
    """Return settings of a lab by the names of their parameters."""
    names = {SERVICES[LOCAL].name_of(name): name for name in PARAMS}
    return {names[name]: value for name, value in values.items() if name in NEUTRAL}


def lab_values(settings: Mapping[str, object]) -> dict[str, float]:
    """Return settings of a lab by llama.cpp's names. Raises ParamError for another setting."""
    sliders = {name: SERVICES[LOCAL].name_of(name) for name in PARAMS}
    sliders = {name: local for name, local in sliders.items() if local in NEUTRAL}
    values = {}
    for name, value in settings.items():
        if name not in sliders:
            raise ParamError(
                f"A lab has no setting {one_line(name, 40)!r}.{suggest(name, sliders)} "
                f"It has {', '.join(sliders)}."
            )
        number = validate(name, value)
        assert isinstance(number, int | float)
        values[sliders[name]] = float(number)
    return values


def about_lines(data: LensData, *, lab: bool = False) -> Iterator[str]:
    """Yield what the user must know of the numbers, those of a lab with sliders included."""
    yield (LAB_BASIS if lab else BASIS)[data.basis]
    of = "" if data.vocabulary is None else f" of {data.vocabulary:,}"
    if data.most:
        yield f"The {data.most:,} most likely{of} tokens are known at each position."
    else:
        yield "The endpoint sent no other tokens than those of the reply."
    if data.unreported:
        were = "token was" if data.unreported == 1 else "tokens were"
        yield f"{data.unreported:,} {were} not reported: parts of characters, or the end."
    if data.note:
        yield data.note


def setting_notes(data: LensData) -> Iterator[str]:
    """Yield what the lab does not know about the endpoint's settings."""
    if data.order is None:
        yield (
            "The order of this endpoint's filters is not known: it is llama.cpp's here. Continue "
            "from here leaves the endpoint's order as it is."
        )
    if data.basis == "unknown":
        yield (
            "The probabilities may already include temperature and filters; then both are applied "
            "twice here."
        )
    if not data.prompt:
        yield "Penalties count the tokens of the reply only: those of the prompt are not known."
