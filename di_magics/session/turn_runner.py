"""A turn's requests: one, and another after each round of tool calls, or to put a reply right."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from di_magics.core.errors import BudgetError, ReplyError, StoreError, ToolError
from di_magics.core.money.cost import FREE, NOTHING_SENT
from di_magics.core.reply.json_reply import parse_json, repair_prompt
from di_magics.core.reply.reply import Reply, Round, ToolResult, add_request, with_call_ids
from di_magics.core.request.plan import Ask, Plan, plan_next_request
from di_magics.runtime.loop import Interrupts, Job, Loop
from di_magics.session.exchange import exchange
from di_magics.session.ports import Client, Keeper, Notebook, Routes, Screen, View
from di_magics.session.throttle import SafeView


@dataclass(frozen=True, slots=True)
class _Kept:
    """Keeps one request of several: its cost by itself, its reply as part of the turn's."""

    notebook: Notebook
    turn: str
    before: Reply

    def checkpoint(self, entry: str, reply: Reply) -> Future[None]:
        """Write what has come so far."""
        if entry != self.turn:
            self.notebook.checkpoint(entry, reply)
        return self.notebook.checkpoint(self.turn, add_request(self.before, reply))

    def seal(self, entry: str, reply: Reply) -> Future[None]:
        """Write what the request has cost; the turn is not over."""
        return self.notebook.settle(entry, reply)


@dataclass(frozen=True, slots=True)
class _Below:
    """Shows the reply to a later request below what came before it."""

    screen: Screen
    before: Reply

    def status(self, line: str) -> None:
        """Show a line."""
        self.screen.status(line)

    def show(self, reply: Reply) -> None:
        """Show the turn's reply so far."""
        self.screen.show(add_request(self.before, reply))


class TurnRunner:
    """The requests of one turn, until the model has answered.

    `enter` writes what another request may cost before it is sent; `fault` is what went wrong with
    opening the view, if anything did.
    """

    def __init__(
        self,
        begun: Plan,
        ask: Ask,
        view: View,
        interrupts: Interrupts,
        enter: Callable[[Plan], None],
    ) -> None:
        self._begun = begun
        self._ask = ask
        self._view = view
        self._shown = SafeView(view)
        self._interrupts = interrupts
        self._enter = enter
        self._job: Job[tuple[Reply, Exception | None]] | None = None
        self._opened = False
        self._keep: Callable[[Reply], object] = lambda reply: None
        self.fault: Exception | None = None

    def run(
        self, loop: Loop, routes: Routes, client: Client, notebook: Notebook
    ) -> tuple[Reply, Exception | None]:
        """Return the turn's reply as far as it came, sealed, and what went wrong, if anything did.

        Blocks; tools run in this thread.
        """

        def exchanged(keeper: Keeper, screen: Screen) -> tuple[Reply, Exception | None]:
            if self._interrupts.stopping:  # while it was being written down
                self._open()
                return _unsent(planned, keeper)
            work = exchange(planned, routes, client, screen, keeper)
            return self._waited(loop.submit(work), planned, keeper)

        planned, turn = self._begun, self._begun.turn
        self._keep = lambda reply: notebook.checkpoint(turn.id, reply)
        if self._ask.tools is None and "response_format" not in turn.fields:
            return exchanged(notebook, self._view)
        whole, error = Reply(), None
        try:
            while True:
                kept = _Kept(notebook, turn.id, whole)
                reply, error = exchanged(kept, _Below(self._shown, whole))
                whole = add_request(whole, reply)
                if error or self._interrupts.stopping or not reply.complete:
                    break
                told = self._told(whole)
                if isinstance(told, Reply):
                    whole = told
                    break
                whole = _asking(whole, told)
                self._keep(whole)
                if self._interrupts.stopping:
                    break
                planned = plan_next_request(planned, len(whole.rounds) + 1, told)
                self._enter(planned)
        except BudgetError as refused:
            error = BudgetError(str(refused).replace(NOTHING_SENT, "What had come is kept."))
        except ReplyError as unfit:
            error, whole = unfit, replace(whole, validation_error=str(unfit))
        except Exception as fault:  # ours, or a refusal: the turn is sealed all the same
            error = fault
        if whole.status == "open":  # after tools were called, before there was a reply
            whole = replace(whole, status="stopped" if self._interrupts.stopping else "failed")
        try:
            notebook.seal(turn.id, whole).result()
        except StoreError as lost:
            error = error or lost
        return whole, error or self._shown.fault

    def _waited(
        self, job: Job[tuple[Reply, Exception | None]], planned: Plan, keeper: Keeper
    ) -> tuple[Reply, Exception | None]:
        """Return the outcome of a request that has been submitted."""
        self._job = job
        if not self._open() or self._interrupts.stopping:
            job.cancel()
        job.wait(self._interrupts)
        try:
            return job.result()
        except concurrent.futures.CancelledError:  # before it had begun
            return _unsent(planned, keeper)

    def _open(self) -> bool:
        """Open the view, once, and return whether that went well."""
        try:
            if not self._opened:
                self._opened = True
                self._view.open(self.stop)
        except Exception as failed:  # whatever a front end does: the request is stopped, not lost
            self.fault = failed
        return self.fault is None

    def stop(self) -> None:
        """End the turn: the reply that streams, or the tool that runs."""
        self._interrupts.stop()
        if self._job:
            self._job.cancel()

    def _told(self, whole: Reply) -> Round | Reply:
        """Return what the model is told of its reply, or the reply where that is as it should be.

        Raises ToolError and ReplyError where there is nothing more to be told.
        """
        ask, said = self._ask, Round(whole.clean_text, whole.reasoning)
        if whole.tool_calls and ask.tools is not None:
            if sum(bool(told.calls) for told in whole.rounds) >= ask.rounds:
                raise ToolError(
                    f"The model has asked for tools {ask.rounds} times and has not answered; all "
                    f"that came is kept. --rounds {2 * ask.rounds} lets it go on for longer."
                )
            said = replace(said, calls=with_call_ids(whole.tool_calls))

            ended = -1

            def came(results: list[ToolResult]) -> None:
                nonlocal ended
                asking = _asking(whole, replace(said, results=tuple(results)))
                self._shown.show(asking)
                count = sum(result.seconds is not None for result in results)
                if count > ended:  # a function may take long, or the kernel end with it
                    ended = count
                    self._keep(asking)

            results = ask.tools.run_calls(said.calls, self._interrupts, came)
            return replace(said, results=tuple(results))
        if "response_format" not in self._begun.turn.fields:
            return whole
        try:
            made = ask.schema.read(whole.clean_text) if ask.schema else parse_json(whole.clean_text)
            return replace(whole, parsed=made)
        except ReplyError as error:
            if ask.repair and not any(told.objection for told in whole.rounds):
                return replace(said, objection=repair_prompt(error))
            raise _explained(error, whole, ask) from None


def _unsent(planned: Plan, keeper: Keeper) -> tuple[Reply, None]:
    """Return the outcome of a request that was stopped before it was sent."""
    unsent = Reply(request=planned.body, status="stopped", elapsed=0.0, cost=FREE)
    keeper.seal(planned.turn.id, unsent)
    return unsent, None


def _asking(whole: Reply, told: Round) -> Reply:
    """Return a turn's reply before the next request: with this round, and no text yet."""
    return replace(
        whole,
        text="",
        last_chunk="",
        reasoning="",
        tool_calls=(),
        call_indexes=(),
        rounds=(*whole.rounds, told),
        finish_reason=None,
        status="open",
        ended=False,
    )


def _explained(error: ReplyError, whole: Reply, ask: Ask) -> ReplyError:
    """Return the error with the next step, and the reply it is about."""
    words = str(error)
    if whole.finish_reason == "length":
        words += " It was cut off by max_tokens: set a higher max_tokens."
    elif not ask.repair:
        words += " Its text is in _reply.text; --repair asks once more, with this error."
    else:
        words += " It was asked for twice; the text is in _reply.text."
    found = ReplyError(words)
    found.reply = whole
    return found
