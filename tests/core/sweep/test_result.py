"""What a sweep gave: its line, and its turns by number."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError
from di_magics.core.reply.reply import Reply
from di_magics.core.sweep.result import SweepResult
from di_magics.core.sweep.runs import make_runs

RUNS = make_runs({}, 3)
DONE = Turn("a", "hi", reply=Reply(text="one", status="done"))
CUT = replace(DONE, id="b", reply=Reply(text="t", status="cut"))


def test_the_summary_counts_what_is_not_complete() -> None:
    """Runs that were not sent are counted, too."""
    summary = SweepResult({}, 3, RUNS, (DONE, CUT, None)).summary
    assert summary.startswith("1 of 3 runs complete · 1 cut · 1 not sent")


@pytest.mark.parametrize("run", [-1, 1, 3])
def test_a_run_without_a_reply_is_an_error(run: int) -> None:
    """It says which numbers there are."""
    result = SweepResult({}, 3, RUNS, (DONE, None, CUT))
    assert result.turn(0) == DONE
    with pytest.raises(ChatError, match=rf"Run {run} has no reply"):
        result.reply(run)


def test_the_summary_has_the_cost() -> None:
    """Known costs are added up; one estimate makes an estimate of the sum."""

    def summary(*costs: str | None, estimate: str = "") -> str:
        amounts = [Decimal(cost) if cost else None for cost in costs]
        replies = [replace(DONE.reply, cost=cost, estimate=estimate) for cost in amounts]
        turns = tuple(replace(DONE, reply=reply) for reply in replies)
        return SweepResult({}, len(turns), RUNS[: len(turns)], turns).summary

    assert summary("0.01", None, "0.02") == "3 runs · 0 → 0 tokens · $0.030"
    assert summary("0.01", estimate="a list").endswith(" · about $0.010")
    assert summary("0", "0").endswith(" · free")
    assert summary(None).endswith(" tokens")
