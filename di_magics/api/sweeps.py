"""Sweeps from Python, and the difference of two replies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from di_magics.api.loaded import loaded_magics, open_session
from di_magics.core.amount import parse_usd
from di_magics.core.arguments import check_arguments
from di_magics.core.reply.reply import Reply
from di_magics.core.request.ask import Ask
from di_magics.core.sweep.difference import Part, compare_texts
from di_magics.core.sweep.measures import Measure
from di_magics.core.sweep.runs import Vary, check_measures, check_vary
from di_magics.display.sweep import Sweep
from di_magics.display.views import FinalGrid
from di_magics.endpoints.endpoint import Endpoint
from di_magics.magics.chat import ChatMagics
from di_magics.session.session import Session
from di_magics.session.sweep_runner import SweepRunner


@check_arguments
def sweep(
    prompt: str,
    *,
    vary: Mapping[str, Iterable[Any]],
    n: int = 1,
    concurrency: int | None = None,
    measures: Mapping[str, Callable[[Reply], Any]] | None = None,
    fresh: bool = False,
    yes: bool = False,
    budget: float | str | Decimal | None = None,
    model: str | None = None,
    system: str | None = None,
    endpoint: str | Endpoint | None = None,
    extra: Mapping[str, Any] | None = None,
    **params: Any,
) -> Sweep:
    """Return a sweep: `n` replies for every combination of the values in `vary`.

    `vary` has names of sampling parameters, `model` or `system`; `measures` are functions of a
    reply, by name. `concurrency` is the number of concurrent requests: 8 by default, at most 200,
    and one for a local model. `extra` are other fields of the request. Only the progress is
    displayed, and the conversation does not change. A run with a complete saved reply is not sent
    again, unless `fresh`. Raises the errors of `ask`; BudgetError also for more than 20 calls or
    $0.05 without `yes` or a `budget` in USD.
    """
    limit = None if budget is None else parse_usd(budget, "budget")
    asked = Ask(
        prompt,
        model=model,
        system=system,
        endpoint=endpoint,
        params=params,
        extra=extra or {},
        once=True,
        budget=limit,
        yes=yes,
    )
    values = check_vary(vary)
    check_measures(measures or {}, values)
    magics = loaded_magics()
    with open_session(magics) as session:
        options = {"fresh": fresh, "concurrency": concurrency}
        return run_sweep(magics, session, asked, values, n, measures, **options)


def run_sweep(
    magics: ChatMagics | None,
    session: Session,
    ask: Ask,
    vary: Vary,
    repeats: int,
    measures: Mapping[str, Measure] | None = None,
    **options: Any,
) -> Sweep:
    """Return a sweep, as one of the running cell if the extension is loaded."""
    if magics:
        ask = replace(ask, cell=magics.asking.make_cell())
        return magics.asking.sweep(
            ask, vary, repeats, measures=measures, show_replies=False, **options
        )
    result = SweepRunner(session, ask, vary, repeats).run(FinalGrid(final=False), **options)
    return Sweep.of(result, measures or {})


@check_arguments
def diff(one: str | Reply, other: str | Reply) -> list[Part]:
    """Return the parts of two texts or replies: in both, only in the first, only in the second."""
    first, second = (t.clean_text if isinstance(t, Reply) else t for t in (one, other))
    return compare_texts(first, second)
