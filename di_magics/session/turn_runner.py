"""One turn: a request, and another after each tool call or repair, until the model has answered.

    request -> reply --- plain text ------------------------------> answered
                 |------ asks for tools ---> run them ------------> next request
                 |------ not the requested JSON, --repair --------> next request (once)

Each request has its own entry in the ledger and its own check of the budget. The reply of the turn
is that of the newest request, with the earlier rounds and with the sums of all usage and costs. The
turn is sealed once.
"""

from __future__ import annotations

import concurrent.futures
from concurrent.futures import Future
from dataclasses import dataclass, replace

from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import BudgetError, ReplyError, StoreError, ToolError
from di_magics.core.money.budget import Budget, with_partial_reply
from di_magics.core.reply.json_reply import parse_json, repair_prompt
from di_magics.core.reply.reply import Reply, Round, ToolResult
from di_magics.core.reply.returned import join_returned
from di_magics.core.reply.rounds import add_request, separate_calls, with_call_ids
from di_magics.core.request.ask import Ask, Tools
from di_magics.core.request.plan import Plan, plan_next_request
from di_magics.runtime.interrupts import Interrupts
from di_magics.runtime.loop import Job, Loop
from di_magics.session.exchange import Exchange, Outcome, Recorder, seal_unsent
from di_magics.session.view import SafeView, Screen, View
from di_magics.storage.journal import Journal


@dataclass(frozen=True, slots=True)
class _PartRecorder:
    """Writes one request of several: its cost under its own id, its reply as part of the turn."""

    journal: Journal
    turn: str
    before: Reply

    def checkpoint(self, entry: str, reply: Reply) -> Future[None]:
        """Write the reply so far."""
        if entry != self.turn:
            self.journal.checkpoint(entry, reply)
        return self.journal.checkpoint(self.turn, add_request(self.before, reply))

    def seal(self, entry: str, reply: Reply) -> Future[None]:
        """Write the cost of the request; the turn continues."""
        return self.journal.seal_request(entry, reply)


@dataclass(frozen=True, slots=True)
class _PartScreen:
    """Shows the reply to a later request below the rounds before it."""

    screen: Screen
    before: Reply

    def status(self, line: str) -> None:
        """Show a status line."""
        self.screen.status(line)

    def show(self, reply: Reply) -> None:
        """Show the turn's reply so far."""
        self.screen.show(add_request(self.before, reply))


@dataclass(frozen=True, slots=True)
class _Answered:
    """The model has answered: the turn's reply."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class _Continue:
    """The model gets another request after this round."""

    round: Round


class TurnRunner:
    """Runs one turn that is on disk; `view_error` is the error if its view did not open."""

    def __init__(
        self,
        exchange: Exchange,
        loop: Loop,
        journal: Journal,
        interrupts: Interrupts,
        view: View,
    ) -> None:
        self._exchange = exchange
        self._loop = loop
        self._journal = journal
        self._interrupts = interrupts
        self._view = view
        self._safe_view = SafeView(view)
        self._job: Job[Outcome] | None = None
        self._opened = False
        self.view_error: Exception | None = None

    def run(self, plan: Plan, ask: Ask, budget: Budget) -> Outcome:
        """Return the outcome of the turn; blocks, and runs tools in this thread."""
        turn = plan.turn
        if ask.tools is None and "response_format" not in turn.fields:
            return self._request(plan, self._view, self._journal)
        reply, error = Reply(), None
        try:
            while True:
                screen = _PartScreen(self._safe_view, reply)
                outcome = self._request(plan, screen, _PartRecorder(self._journal, turn.id, reply))
                reply, error = add_request(reply, outcome.reply), outcome.error
                if error or self._interrupts.stopping or not outcome.reply.complete:
                    break
                match self._next_step(reply, ask, turn):
                    case _Answered(answer):
                        reply = answer
                        break
                    case _Continue(finished):
                        reply = _with_round(reply, finished)
                        self._journal.checkpoint(turn.id, reply)
                        if self._interrupts.stopping:
                            break
                        plan = plan_next_request(plan, len(reply.rounds) + 1, finished)
                        self._exchange.write_down(plan, budget, remembered=not ask.once).result()
        except BudgetError as refused:
            error = with_partial_reply(refused)
        except ReplyError as mismatch:
            error, reply = mismatch, replace(reply, validation_error=str(mismatch))
        except Exception as failure:  # a refusal or our own bug: the turn must be sealed
            error = failure
        if reply.status == "open":  # it ended between two requests
            reply = replace(reply, status="stopped" if self._interrupts.stopping else "failed")
        try:
            self._journal.seal(turn.id, reply).result()
        except StoreError as lost:
            error = error or lost
        return Outcome(reply, error or self._safe_view.error)

    def stop(self) -> None:
        """End the turn: the reply that streams, or the tool that runs."""
        self._interrupts.stop()
        if self._job:
            self._job.cancel()

    def _request(self, plan: Plan, screen: Screen, recorder: Recorder) -> Outcome:
        """Return the outcome of one request, which is not sent if the turn was stopped."""
        if self._interrupts.stopping:  # pressed while the request was written to disk
            self._open_view()
            return seal_unsent(plan, recorder)
        self._job = job = self._loop.submit(self._exchange.send(plan, screen, recorder))
        if not self._open_view() or self._interrupts.stopping:
            job.cancel()
        job.wait(self._interrupts)
        try:
            return job.result()
        except concurrent.futures.CancelledError:  # before it had begun
            return seal_unsent(plan, recorder)

    def _open_view(self) -> bool:
        """Open the view, once; return whether that succeeded."""
        try:
            if not self._opened:
                self._opened = True
                self._view.open(self.stop)
        except Exception as error:  # a front end may raise anything: the turn must be sealed
            self.view_error = error
        return self.view_error is None

    def _next_step(self, reply: Reply, ask: Ask, turn: Turn) -> _Answered | _Continue:
        """Return what follows a complete reply.

        Raises ToolError after too many rounds of tool calls, and ReplyError if the reply is not the
        requested JSON and will not be repaired.
        """
        if reply.tool_calls and ask.tools is not None:
            return _Continue(self._run_tools(turn.id, reply, ask, ask.tools))
        if "response_format" not in turn.fields:
            return _Answered(reply)
        try:
            text = reply.clean_text
            parsed = ask.schema.read(text) if ask.schema else parse_json(text)
            return _Answered(replace(reply, parsed=parsed))
        except ReplyError as mismatch:
            if ask.repair and not any(earlier.objection for earlier in reply.rounds):
                objection = repair_prompt(mismatch)
                return _Continue(Round(reply.clean_text, reply.reasoning, objection=objection))
            raise _with_next_step(mismatch, reply, ask) from None

    def _run_tools(self, turn_id: str, reply: Reply, ask: Ask, tools: Tools) -> Round:
        """Run the calls of a reply, and return the round with one result per call."""
        if sum(bool(earlier.calls) for earlier in reply.rounds) >= ask.rounds:
            raise ToolError(
                f"The model called tools in {ask.rounds} rounds without an answer; the results are "
                f"kept. Allow more with --rounds {2 * ask.rounds}."
            )
        calls = with_call_ids(separate_calls(reply.tool_calls))
        current = Round(
            reply.clean_text,
            reply.reasoning,
            calls,
            reasoning_field=reply.reasoning_field,
            returned=join_returned(reply.returned),
        )
        ended = -1

        def on_results(results: list[ToolResult]) -> None:
            nonlocal ended
            so_far = _with_round(reply, replace(current, results=tuple(results)))
            self._safe_view.show(so_far)
            count = sum(result.seconds is not None for result in results)
            if count > ended:  # a function may take long, or end the kernel
                ended = count
                self._journal.checkpoint(turn_id, so_far)

        results = tools.run_calls(calls, self._interrupts, on_results)
        return replace(current, results=tuple(results))


def _with_round(reply: Reply, finished: Round) -> Reply:
    """Return a turn's reply before its next request: with this round, and no text yet."""
    return replace(
        reply,
        text="",
        last_chunk="",
        reasoning="",
        returned=(),
        tool_calls=(),
        rounds=(*reply.rounds, finished),
        finish_reason=None,
        status="open",
    )


def _with_next_step(error: ReplyError, reply: Reply, ask: Ask) -> ReplyError:
    """Return the error with its next step and its reply."""
    text = "the text is in _reply.text, after di.ask in .reply.text of this error"
    if reply.hit_max_tokens:
        step = "It was cut off by max_tokens: set a higher value."
    elif not ask.repair:
        step = f"With --repair (repair=True) the model is asked once more; {text}."
    else:
        step = f"The model was asked twice; {text}."
    explained = ReplyError(f"{error} {step}")
    explained.reply = reply
    return explained
