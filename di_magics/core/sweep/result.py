"""The result of a sweep: its runs, their turns, and a summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from di_magics.core.amount import format_usd, sum_amounts
from di_magics.core.arguments import check_arguments
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError
from di_magics.core.reply.reply import Reply
from di_magics.core.sweep.runs import Run, Vary


@dataclass(frozen=True)
class SweepResult:
    """The turns of a sweep, in the order of its runs; None where a run was not sent.

    `errors` has the messages by number of the run; `notes` are about a branch's
    token and the policy.
    """

    vary: Vary
    repeats: int
    runs: tuple[Run, ...]
    turns: tuple[Turn | None, ...]
    errors: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def replies(self) -> tuple[Reply | None, ...]:
        """The replies in the order of the runs, None where a run was not sent."""
        return tuple(turn.reply if turn else None for turn in self.turns)

    @property
    def summary(self) -> str:
        """One line: how many runs, how they ended, tokens and cost."""
        replies = [reply for reply in self.replies if reply]
        done = sum(reply.complete for reply in replies)
        parts = [f"{done} of {len(self)} runs complete" if done < len(self) else f"{done} runs"]
        for status in ("stopped", "cut", "failed"):
            if count := sum(reply.status == status for reply in replies):
                parts.append(f"{count} {status}")
        if missing := self.replies.count(None):
            parts.append(f"{missing} not sent")
        tokens = (
            sum(reply.usage.prompt_tokens or 0 for reply in replies),
            sum(reply.usage.completion_tokens or 0 for reply in replies),
        )
        parts.append(f"{tokens[0]:,} → {tokens[1]:,} tokens")
        known = [reply.cost for reply in replies if reply.cost is not None]
        if known:
            about = "about " if any(reply.estimate for reply in replies) else ""
            cost = sum_amounts(known)
            parts.append(f"{about}{format_usd(cost)}" if cost else "free")
        return " · ".join([*parts, *self.notes])

    @check_arguments
    def turn(self, run: int) -> Turn:
        """Return the turn of a run, numbered from 0. Raises ChatError where it has none."""
        turn = self.turns[run] if 0 <= run < len(self) else None
        if turn is None:
            raise ChatError(f"Run {run} has no reply. Runs are numbered 0 to {len(self) - 1}.")
        return turn

    @check_arguments
    def reply(self, run: int) -> Reply:
        """Return the reply of a run, numbered from 0. Raises ChatError where it has none."""
        return self.turn(run).reply
