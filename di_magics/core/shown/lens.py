"""A turn as a lens and a sampling lab show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import Continuing, LensData
from di_magics.core.reply.reply import Reply
from di_magics.core.sampling import DEFAULT_ORDER, DEFAULTS
from di_magics.core.settings.services import LOCAL, SERVICES
from di_magics.core.shown.lens_text import NEUTRAL, sampling_params
from di_magics.core.visible import one_line

OFF: Mapping[str, float] = {**DEFAULTS, **NEUTRAL}
"""What other servers use for a setting that is not sent."""
SAMPLERS = "samplers"
"""llama.cpp's field for the filters in their order."""


def build_lens_data(turn: Turn, tokens: Sequence[TokenProbability]) -> LensData:
    """Return what a lens shows of a turn, whose reply has these tokens.

    Raises ChatError where there are none.
    """
    if not tokens:
        raise ChatError(_without_tokens(turn))
    counted = turn.reply.usage.completion_tokens or 0
    settings = dict(DEFAULTS if turn.local else OFF)
    for name, value in turn.params.items():
        local = SERVICES[LOCAL].name_of(name)
        if local in settings and isinstance(value, int | float):
            settings[local] = value
    continues: Continuing = "ids" if turn.local else "text"
    return LensData(
        tokens=tuple(tokens),
        model=turn.reply.model or turn.model,
        basis=turn.service.fact("logprobs").basis,
        settings=settings,
        order=sent_order(turn.extra) if turn.local else None,
        continues=continues,
        unreported=max(0, counted - len(tokens)),
    )


def sent_order(extra: Mapping[str, object]) -> tuple[str, ...]:
    """Return the filters of a request to llama.cpp with these extras, in their order."""
    names = extra.get(SAMPLERS)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return DEFAULT_ORDER
    return tuple(names)


def params_to_send(
    values: Mapping[str, float], params: Mapping[str, object], *, local: bool
) -> dict[str, float]:
    """Return what these settings of a lab change in a request with these parameters."""
    defaults = DEFAULTS if local else OFF
    return {
        name: value
        for name, value in sampling_params(values).items()
        if value != params.get(name, defaults[SERVICES[LOCAL].name_of(name)])
    }


def build_text_lens(reply: Reply) -> LensData:
    """Return what a lens shows of a text that a local model has scored."""
    return LensData(
        tokens=reply.logprobs,
        model=reply.model or "",
        basis="raw",
        settings=DEFAULTS,
        order=DEFAULT_ORDER,
    )


def _without_tokens(turn: Turn) -> str:
    if turn.reply.is_empty and turn.reply.status != "done":
        return "This turn ended without a reply, so it has no tokens. Ask again with --logprobs."
    if "logprobs" not in turn.params:
        offer = "; %chat lens --score reads the reply again" if turn.local else ""
        return (
            "This turn has no log-probabilities, because they were not asked for. Ask again with "
            f"%%chat --logprobs{offer}."
        )
    return (
        f"{one_line(turn.endpoint, 80)} sent no log-probabilities for "
        f"{one_line(turn.model, 80)}. The built-in model does: %chat endpoint local."
    )
