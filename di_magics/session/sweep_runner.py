"""A sweep: its runs are planned, sent concurrently and kept; a kept run is not sent again."""

from __future__ import annotations

import asyncio
import concurrent.futures
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from di_magics.core.amount import in_money_context, sum_amounts
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import DiMagicsError, Interrupted
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import FREE
from di_magics.core.money.prices import request_cost
from di_magics.core.reply.reply import Reply
from di_magics.core.request.ask import Ask
from di_magics.core.request.plan import Plan, turn_budget
from di_magics.core.shown.notes import branch_notes, policy_notes
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
from di_magics.runtime.interrupts import Interrupts
from di_magics.session.limiter import Limiter
from di_magics.session.session import Session
from di_magics.session.view import SweepView
from di_magics.storage.journal import Journal

CONCURRENCY = 8
LOCAL_CONCURRENCY = 1
"""A local server computes one request after another: see endpoints/local_process.py."""
MAX_CONCURRENCY = 200
"""DeepInfra's limit of concurrent requests (https://deepinfra.com/docs/advanced/rate-limits)."""


@dataclass(frozen=True, slots=True)
class _RunRecorder:
    """Writes the outcome of one run."""

    journal: Journal
    key: str

    def checkpoint(self, turn_id: str, reply: Reply) -> concurrent.futures.Future[None]:
        """Write the cost of the run so far."""
        return self.journal.checkpoint(turn_id, reply)

    def seal(self, turn_id: str, reply: Reply) -> concurrent.futures.Future[None]:
        """Write the reply and its cost."""
        return self.journal.seal_run(self.key, turn_id, reply)


class SweepRunner:
    """Runs one sweep for a session; `result` holds its replies once it has ended."""

    def __init__(self, session: Session, ask: Ask, vary: Vary, repeats: int) -> None:
        self._session = session
        self._ask = ask
        self._vary = vary
        self._repeats = repeats
        self.runs = make_runs(vary, repeats)
        self.result: SweepResult | None = None
        self._plans: list[Plan] = []
        self._keys: list[str] = []
        self._replies: dict[int, Reply] = {}
        self._errors: dict[int, Exception] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def run(
        self, view: SweepView, *, concurrency: int | None = None, fresh: bool = False
    ) -> SweepResult:
        """Return the result when every run has ended; blocks, and can be interrupted.

        Runs that are complete on disk are not sent again, unless `fresh`. Raises BudgetError
        before anything is sent if the user's consent is missing or the worst case does not fit,
        Interrupted if the user interrupted the cell, and the first error if no run succeeded.
        """
        session = self._session
        with Interrupts() as interrupts:
            session.look_up(self._ask_for(self.runs[0]))
            self._make_plans()
            policy = self._plans[0].policy
            session.policies.check_log(policy)
            kept = {} if fresh else session.notebook.turns.runs(self._keys)
            for run, key in zip(self.runs, self._keys, strict=True):
                if key in kept:
                    self._replies[run.index] = replace(
                        kept[key], request=self._plans[run.index].body
                    )
            missing = [run for run in self.runs if run.index not in self._replies]
            budget = self._check_budget([self._plans[run.index] for run in missing])
            limiter = Limiter(self._concurrency(concurrency))
            job = session.loop.submit(self._run_all(missing, view, limiter, budget))
            view.open(job.cancel, self._stop_run)
            job.wait(interrupts)
            with suppress(concurrent.futures.CancelledError):  # partial replies are stored
                job.result()
            turns = [
                replace(plan.turn, reply=self._replies[index]) if index in self._replies else None
                for index, plan in enumerate(self._plans)
            ]
            errors = {index: str(error) for index, error in self._errors.items()}
            begun = self._ask.prefill.tokens if self._ask.prefill else ()
            notes = (*branch_notes(begun), *policy_notes(self._plans[0].turn, policy))
            self.result = result = SweepResult(
                self._vary, self._repeats, self.runs, tuple(turns), errors, notes
            )
            view.close(result)
            session.watchers.notify("turns")
        if self._errors and not any(reply and reply.complete for reply in result.replies):
            raise next(iter(self._errors.values()))
        if interrupts.interrupted:
            raise Interrupted(
                "Stopped; the replies so far are kept. Run the cell again for the others."
            )
        return result

    def _ask_for(self, run: Run) -> Ask:
        varied = dict(run.varied)
        model, system = varied.pop("model", None), varied.pop("system", None)
        return replace(
            self._ask,
            model=self._ask.model if model is None else str(model),
            system=self._ask.system if system is None else str(system),
            params={**self._ask.params, **varied},
        )

    def _make_plans(self) -> None:
        """Plan every run; runs with the same system prompt share their messages."""
        shared: dict[str | None, tuple[list[dict[str, Any]], str]] = {}
        for run in self.runs:
            ask = self._ask_for(run)
            messages, messages_digest = shared.get(ask.system, (None, ""))
            plan = self._session.plan(ask, messages)
            if messages is None and ask.prefill is None:
                messages_digest = digest(plan.body["messages"])
                shared[ask.system] = plan.body["messages"], messages_digest
            self._plans.append(plan)
            self._keys.append(run_key(plan.turn.url, plan.body, messages_digest, run.repeat))

    def _concurrency(self, wanted: int | None) -> int:
        local = any(plan.route.local for plan in self._plans)
        most = LOCAL_CONCURRENCY if local else MAX_CONCURRENCY
        return max(1, min(wanted or CONCURRENCY, most))

    def _check_budget(self, plans: list[Plan]) -> Budget:
        """Return the limits for every one of these runs. Raises BudgetError as `run` does."""
        ask, session = self._ask, self._session
        paid = [plan for plan in plans if not plan.route.free]
        budget = turn_budget(paid[0], ask, session.budget) if paid else Budget()
        unknown = [plan for plan in paid if plan.reserve is None]
        worst = None if unknown else sum_amounts(plan.reserve for plan in paid)
        committed = session.notebook.ledger.committed(budget.policies)
        budget.check(worst, committed, unknown[0].turn.model if unknown else "")
        covered = budget.lowest is not None and worst is not None
        check_consent(len(plans), _likely_cost(paid), covered, yes=ask.yes)
        return budget

    async def _run_all(
        self, missing: list[Run], view: SweepView, limiter: Limiter, budget: Budget
    ) -> None:
        for run in missing:
            work = self._run_one(run, view, limiter, budget)
            self._tasks[run.index] = asyncio.ensure_future(work)
        for run in self.runs:
            if run.index in self._replies:
                self._finish(run, view)
        try:
            if self._tasks:
                await asyncio.wait(self._tasks.values())
        except asyncio.CancelledError:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run_one(self, run: Run, view: SweepView, limiter: Limiter, budget: Budget) -> None:
        plan, session = self._plans[run.index], self._session
        exchange, recorder = session.exchange, _RunRecorder(session.journal, self._keys[run.index])
        async with limiter:
            written = exchange.write_down(
                plan, Budget() if plan.route.free else budget, remembered=False
            )
            try:
                await asyncio.shield(asyncio.wrap_future(written))
            except DiMagicsError as refused:
                self._errors[run.index] = refused
                return
            except asyncio.CancelledError:  # it was written, and is not sent
                session.journal.seal(plan.turn.id, Reply(status="stopped", cost=FREE))
                raise
            outcome = await exchange.send(plan, view.screen(run), recorder, limiter.on_busy)
            if outcome.error:
                self._errors[run.index] = outcome.error
            elif outcome.reply.complete:
                limiter.on_success()
            self._replies[run.index] = replace(outcome.reply, request=plan.body)
            turn = self._finish(run, view)
            if not_logged := exchange.log(plan, turn):
                self._errors.setdefault(run.index, not_logged)

    def _finish(self, run: Run, view: SweepView) -> Turn:
        turn = replace(self._plans[run.index].turn, reply=self._replies[run.index])
        view.finish(run, turn)
        return turn

    def _stop_run(self, index: int) -> None:
        def cancel() -> None:
            if task := self._tasks.get(index):
                task.cancel()

        self._session.loop.call_later(0, cancel)


@in_money_context
def _likely_cost(plans: list[Plan]) -> Decimal | None:
    """Return about how many USD these requests cost together, None where a price is not known."""
    total = FREE
    for plan in plans:
        if plan.price is None:
            return None
        limit = plan.turn.params.get("max_tokens")
        written = limit if isinstance(limit, int) else TYPICAL_TOKENS
        total += request_cost(plan.size, written, plan.price)
    return total
