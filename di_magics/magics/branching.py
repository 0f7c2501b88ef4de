"""Continues replies from one of their tokens: `%chat branch`, `di.branch` and the lab."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import PolicyError
from di_magics.core.packed_tokens import LensData
from di_magics.core.request.ask import Ask
from di_magics.core.settings.services import is_local
from di_magics.core.shown.lens import SAMPLERS, params_to_send, sent_order
from di_magics.core.shown.lens_text import FILTERS
from di_magics.core.sweep.runs import Vary
from di_magics.core.visible import one_line
from di_magics.display.sweep import Sweep
from di_magics.magics.asking import CellAsker
from di_magics.session.inspector import BRANCH_TOKENS
from di_magics.session.session import Session

CONTINUATIONS = 4
"""How many times a lab continues a reply."""
MAX_CHARS_BEFORE = 80
"""How many characters of the reply a lab shows before each continuation."""


def branch_runs(ask: Ask, count: int) -> tuple[Vary, int]:
    """Return what varies between `count` continuations, and how often each is repeated.

    With a seed each has one of its own, or they would be the same.
    """
    seed = ask.params.get("seed")
    if isinstance(seed, int):
        return {"seed": tuple(range(seed, seed + count))}, 1
    return {}, count


def branch(
    asking: CellAsker,
    turn: Turn,
    position: int,
    count: int,
    *,
    token: str | None = None,
    rank: int | None = None,
    max_tokens: int = BRANCH_TOKENS,
) -> Sweep:
    """Return a sweep of `count` continuations of a turn's reply from a position."""
    ask = asking.session.inspector.branch(
        turn, position, token=token, rank=rank, max_tokens=max_tokens
    )
    ask = replace(ask, cell=asking.make_cell())
    return asking.sweep(ask, *branch_runs(ask, count), fresh=True)


def name_continuing(session: Session, turn: Turn) -> str:
    """Return a note that says which model continues the reply, "" for the current endpoint."""
    endpoint = session.settings.endpoint
    if not turn.local or not endpoint or is_local(endpoint):
        return ""
    return (
        "The built-in model continues, because it wrote this reply; "
        f"{one_line(endpoint, 80)} is not asked."
    )


def lab_functions(asking: CellAsker, turn: Turn, data: LensData) -> dict[str, Any]:
    """Return what a lab of a turn calls, by the names of Lens's arguments."""

    def continue_from(
        position: int,
        token: str,
        values: Mapping[str, float],
        order: Sequence[str],
        show: Callable[[Any], None],
    ) -> str:
        """Continue a reply after a token, with the lab's settings, as a sweep.

        `show` is called with the widget of its grid, in which the replies begin with the last words
        before the token.
        """
        from di_magics.display.grid import WidgetGrid

        ask = asking.session.inspector.branch(turn, position, token=token)
        params = params_to_send(values, ask.params, local=turn.local)
        extra = _order_to_send(asking.session, order) if turn.local else {}
        ask = replace(ask, params={**ask.params, **params}, extra=extra)
        text = ask.prefill.text if ask.prefill else ""
        before = len(text) - MAX_CHARS_BEFORE
        skip = text.find(" ", before) if before > 0 else 0
        asking.sweep(
            ask,
            *branch_runs(ask, CONTINUATIONS),
            fresh=True,
            make_view=lambda runs: WidgetGrid(runs, show=show, skip=max(0, skip)),
        )
        return name_continuing(asking.session, turn)

    return {"continue_from": continue_from, **lens_functions(asking.session, turn, data)}


def lens_functions(session: Session, turn: Turn, data: LensData) -> dict[str, Any]:
    """Return what a lens of a turn calls for the panel's preview."""
    return {"read_zeros": session.inspector.normalizer_reader(turn, data)} if turn.local else {}


def _order_to_send(session: Session, order: Sequence[str]) -> dict[str, Any]:
    """Return the extra with which llama.cpp applies its filters in this order, if needed.

    Raises PolicyError where the policy does not allow it.
    """
    policy = session.policies.current()
    sent = sent_order(policy.apply_to_extra(session.settings.extra))
    usual = [name for name in sent if name in FILTERS]
    if list(order) == usual:
        return {}
    extra = {SAMPLERS: list(order)}
    try:
        return policy.apply_to_extra(extra)
    except PolicyError:
        raise PolicyError(
            f"The order of the filters cannot be sent: {policy.source_names} does not allow "
            f"the extra {SAMPLERS}. Choose the order {', '.join(usual)}."
        ) from None
