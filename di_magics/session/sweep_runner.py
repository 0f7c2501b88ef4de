"""A grid of runs: planned, sent side by side, kept as they come; what is kept is not sent again."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from di_magics.core.amount import in_money_context, sum_amounts
from di_magics.core.conversation.conversation import Turn
from di_magics.core.errors import DiMagicsError, Interrupted
from di_magics.core.money.cost import FREE, over_budget, unknown_price
from di_magics.core.money.prices import estimate_tokens
from di_magics.core.reply.reply import Reply
from di_magics.core.request.plan import Ask, Plan, ledger_entry
from di_magics.core.shown.notes import policy_notes
from di_magics.core.sweep.result import SweepResult
from di_magics.core.sweep.runs import (
    TYPICAL_TOKENS,
    Run,
    Vary,
    check_consent,
    digest,
    make_runs,
    run_key,
)
from di_magics.runtime.loop import Interrupts
from di_magics.session.exchange import exchange
from di_magics.session.limiter import Limiter
from di_magics.session.ports import Notebook, View
from di_magics.session.session import Session

CONCURRENCY = 8
LOCAL_CONCURRENCY = 1
"""On this machine requests that run together are computed together, in another order: no faster on
two cores, and a temperature of 0 or a seed would not give the same reply each time."""
LOCAL_SLOTS = 4
MOST_AT_ONCE = 200
"""DeepInfra takes so many requests for a model (https://deepinfra.com/docs/advanced/rate-limits)."""


class Grid(Protocol):
    """Shows runs while they come; `open` and `close` on the main thread, the rest on the loop."""

    def open(self, stop: Callable[[], None], stop_one: Callable[[int], None]) -> None: ...
    def cell(self, run: Run) -> View: ...
    def finished(self, run: Run, turn: Turn) -> None: ...
    def close(self, sweep: SweepResult) -> None: ...


@dataclass(frozen=True, slots=True)
class Kept:
    """Keeps the outcome of one run."""

    notebook: Notebook
    key: str

    def checkpoint(self, turn: str, reply: Reply) -> concurrent.futures.Future[None]:
        """Write what it costs so far."""
        return self.notebook.checkpoint(turn, reply)

    def seal(self, turn: str, reply: Reply) -> concurrent.futures.Future[None]:
        """Write the reply and what it cost."""
        return self.notebook.seal_run(self.key, turn, reply)


class SweepRunner:
    """Runs one grid for a session; `result` is what has come of it, once it has ended."""

    def __init__(self, session: Session, ask: Ask, vary: Vary, repeats: int) -> None:
        self._session = session
        self._ask = ask
        self._vary = vary
        self._repeats = repeats
        self.runs = make_runs(vary, repeats)
        self.result: SweepResult | None = None
        self._said: dict[str | None, tuple[list[dict[str, Any]], str]] = {}
        with Interrupts() as interrupts:
            first, _ = self._planned(self.runs[0])
            session.with_price(ask, first, interrupts)
        plans = [self._planned(run) for run in self.runs]
        self._plans = [planned for planned, _ in plans]
        self._keys = [run_key for _, run_key in plans]
        self._turns = [planned.turn for planned in self._plans]
        self._sent: set[int] = set()
        self._errors: dict[int, Exception] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def _planned(self, run: Run) -> tuple[Plan, str]:
        """Return a run's plan and key; runs with the same system prompt share their messages."""
        varied = dict(run.varied)
        model, system = varied.pop("model", None), varied.pop("system", None)
        ask = replace(
            self._ask,
            model=self._ask.model if model is None else str(model),
            system=self._ask.system if system is None else str(system),
            params={**self._ask.params, **varied},
        )
        said = self._said.get(ask.system)
        planned = self._session.plan(ask, said[0] if said else None)
        if said is None:
            said = planned.body["messages"], digest(planned.body["messages"])
            self._said[ask.system] = said
        return planned, run_key(planned.turn.url, planned.body, said[1], run.repeat)

    def run(
        self,
        view: Grid,
        *,
        concurrency: int | None = None,
        fresh: bool = False,
    ) -> SweepResult:
        """Return the grid once every run has ended; blocks, and can be interrupted.

        Runs that are kept whole from before are not sent again, unless `fresh`. Raises
        BudgetError before anything is sent where the reader's leave is missing or the worst case
        does not fit, Interrupted where the reader pressed the stop square, and the first error
        where no run came through.
        """
        session = self._session
        session.policies.check_log(self._plans[0].policy)
        kept = {} if fresh else session.notebook.runs(self._keys)
        for run, key in zip(self.runs, self._keys, strict=True):
            if key in kept:
                self._settle(run, kept[key])
        missing = [run for run in self.runs if run.index not in self._sent]
        limit = self._limit([self._plans[run.index] for run in missing])
        local = any(planned.route.local for planned in self._plans)
        usual, most = (LOCAL_CONCURRENCY, LOCAL_SLOTS) if local else (CONCURRENCY, MOST_AT_ONCE)
        gate = Limiter(max(1, min(concurrency or usual, most)))
        with Interrupts() as interrupts:
            job = session.loop.submit(self._all(missing, view, gate, limit))
            view.open(job.cancel, self._stop_one)
            job.wait(interrupts)
            with suppress(concurrent.futures.CancelledError):  # what had come is in its place
                job.result()
            turns = [t if i in self._sent else None for i, t in enumerate(self._turns)]
            self.result = result = SweepResult(
                self._vary,
                self._repeats,
                self.runs,
                tuple(turns),
                {index: str(error) for index, error in self._errors.items()},
                tuple(policy_notes(self._plans[0].turn, self._plans[0].policy)),
            )
            view.close(result)
            session.notify("turns")
        if self._errors and not any(reply and reply.complete for reply in result.replies):
            raise next(iter(self._errors.values()))
        if interrupts.interrupted:
            raise Interrupted("stopped; what had come is kept. Run the cell again for the rest.")
        return result

    @in_money_context
    def _limit(self, plans: list[Plan]) -> Decimal | None:
        """Return what the notebook may spend in all. Raises BudgetError as `explore` says."""
        ask = self._ask
        paid = [planned for planned in plans if not planned.route.local]
        budget = self._session.budget
        limits = [each for each in (ask.budget, budget) if each is not None]
        reserves = [planned.reserve for planned in paid]
        worst = None if None in reserves else sum_amounts(reserves)
        if limits and worst is None and not ask.yes:
            unknown = next(planned for planned in paid if planned.reserve is None)
            raise unknown_price(unknown.turn.model, min(limits))
        spent = self._session.committed if budget is not None else FREE
        if worst and ask.budget is not None and worst > ask.budget:
            raise over_budget(worst, ask.budget, flag="--budget")
        if worst and budget is not None and spent + worst > budget:
            raise over_budget(worst, budget, spent)
        check_consent(len(plans), _about(paid), bool(limits and worst is not None), yes=ask.yes)
        return budget

    async def _all(
        self, missing: list[Run], view: Grid, gate: Limiter, limit: Decimal | None
    ) -> None:
        for run in missing:
            work = self._one(run, view, gate, limit)
            self._tasks[run.index] = asyncio.ensure_future(work)
        for run in self.runs:
            if run.index in self._sent:
                view.finished(run, self._turns[run.index])
        try:
            if self._tasks:
                await asyncio.wait(self._tasks.values())
        except asyncio.CancelledError:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _one(self, run: Run, view: Grid, gate: Limiter, limit: Decimal | None) -> None:
        planned, session = self._plans[run.index], self._session
        async with gate:
            line = ledger_entry(planned, time.time(), kept=False)
            most = None if planned.route.local else limit
            begun = session.notebook.begin(planned.turn, line, most, kept=False)
            try:
                await asyncio.shield(asyncio.wrap_future(begun))
            except DiMagicsError as refused:
                self._errors[run.index] = refused
                return
            except asyncio.CancelledError:  # it was written, and is not sent
                session.notebook.seal(planned.turn.id, Reply(status="stopped", cost=FREE))
                raise
            keeper = Kept(session.notebook, self._keys[run.index])
            reply, error = await exchange(
                planned, session.routes, session.client, view.cell(run), keeper, gate.on_busy
            )
            if error:
                self._errors[run.index] = error
            elif reply.complete:
                gate.on_success()
            self._settle(run, reply)
            view.finished(run, self._turns[run.index])
            if unlogged := session.log_turn(planned, self._turns[run.index]):
                self._errors.setdefault(run.index, unlogged)

    def _settle(self, run: Run, reply: Reply) -> None:
        turn = self._turns[run.index]
        body = self._plans[run.index].body
        self._turns[run.index] = replace(turn, reply=replace(reply, request=body))
        self._sent.add(run.index)

    def _stop_one(self, index: int) -> None:
        def cancel() -> None:
            if task := self._tasks.get(index):
                task.cancel()

        self._session.loop.call_later(0, cancel)


@in_money_context
def _about(plans: list[Plan]) -> Decimal | None:
    """Return about what these requests cost together, None where a price is not known."""
    total = FREE
    for planned in plans:
        if planned.price is None:
            return None
        most = planned.turn.params.get("max_tokens")
        written = most if isinstance(most, int) else TYPICAL_TOKENS
        price = planned.price
        total += estimate_tokens(planned.size) * price.input + written * price.output
    return total
