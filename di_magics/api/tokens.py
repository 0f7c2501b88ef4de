"""Replies token by token: the lens, the lab, branches, and the score of a text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from di_magics.api.loaded import loaded_magics, open_session
from di_magics.api.sweeps import run_sweep
from di_magics.core.arguments import check_arguments
from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.reply import Reply
from di_magics.core.request.body import sent_params
from di_magics.core.settings.extras import PARAM_OF_FIELD
from di_magics.core.shown.lens import SAMPLERS
from di_magics.display.sweep import Sweep
from di_magics.magics.branching import branch_runs, lab_functions, lens_functions
from di_magics.session.inspector import BRANCH_TOKENS
from di_magics.session.session import Session

if TYPE_CHECKING:
    from di_magics.display.lens import Lens


@check_arguments
def lens(reply: Reply) -> Lens:
    """Return the tokens of a reply by probability, to display in a notebook.

    The reply needs log-probabilities: `ask(prompt, logprobs=20)`. Raises ChatError without any.
    """
    from di_magics.display.lens import Lens

    magics = loaded_magics()
    with open_session(magics) as session:
        turn = _turn_of(session, reply)
        data = session.inspector.lens_data(turn)
        return Lens(data, **lens_functions(session, turn, data) if magics else {})


@check_arguments
def lab(reply: Reply, *, at: int = 0, order: str | None = None, **settings: Any) -> Lens:
    """Return what other settings make of a reply, to display in a notebook with sliders.

    `at` is the index of the token to begin with in `reply.logprobs`. `order` is the order of the
    filters: a server whose order is known, or names of filters with commas. `settings` are sampling
    parameters (`temperature=1.4`, `top_p=0.9`, …); the others are as they were sent. Raises
    ChatError without log-probabilities, ParamError for an invalid setting.
    """
    from di_magics.core.shown.lens_text import lab_values, parse_order
    from di_magics.display.lens import Lens

    values, filters = lab_values(settings), order and parse_order(order)
    magics = loaded_magics()
    with open_session(magics) as session:  # without the extension it ends with the call
        turn = _turn_of(session, reply)
        data = session.inspector.lens_data(turn)
        functions = lab_functions(magics.asking, turn, data) if magics else {}
        return Lens(data, lab=True, at=at, values=values, order=filters or None, **functions)


@check_arguments
def branch(
    reply: Reply,
    *,
    at: int,
    token: str | None = None,
    rank: int | None = None,
    n: int = 8,
    max_tokens: int = BRANCH_TOKENS,
) -> Sweep:
    """Return `n` continuations of a reply from one of its tokens, as a sweep.

    `at` is the index of the token in `reply.logprobs`. The token there is the reply's own, the one
    with this text, or the one of this rank (1: the likeliest). The current settings are used. Only
    the progress is displayed, and the conversation does not change. Raises ChatError without
    log-probabilities, ParamError where there is no such token, and EndpointError.
    """
    magics = loaded_magics()
    with open_session(magics) as session:
        turn = _turn_of(session, reply)
        ask = session.inspector.branch(turn, at, token=token, rank=rank, max_tokens=max_tokens)
        return run_sweep(magics, session, ask, *branch_runs(ask, n), fresh=True)


def _turn_of(session: Session, reply: Reply) -> Turn:
    """Return the turn of a reply, which may not be part of the conversation."""
    turns = [*session.conversation.turns.values(), session.notebook.last_once]
    for turn in turns:
        if turn and reply.id and turn.reply.id == reply.id:
            return replace(turn, reply=reply)
    request = reply.request or {}
    texts = {m.get("role"): m.get("content") for m in request.get("messages", ())}
    prompt = texts.get("user")
    return Turn(
        "",
        prompt if isinstance(prompt, str) else "",
        system=texts.get("system"),
        model=reply.model or "",
        # A local server costs nothing, and is the one that sends ids.
        local=reply.cost == 0 and all(token.id is not None for token in reply.logprobs),
        extra={SAMPLERS: request[SAMPLERS]} if SAMPLERS in request else {},
        params={PARAM_OF_FIELD[name]: value for name, value in sent_params(request).items()},
        reply=reply,
    )


@check_arguments
def score(text: str, *, prompt: str | None = None, endpoint: str = "local") -> Reply:
    """Return a text as a reply with the log-probabilities that a local model gives its tokens.

    The model reads it after a prompt, or by itself; about 13 ms a token. `endpoint` is `local` or
    `local:FILE.gguf`. Raises ParamError for an empty text, or one of more than 4,000 tokens, and
    EndpointError.
    """
    with open_session(loaded_magics()) as session:
        return session.inspector.score(text, prompt, endpoint)
