"""A grid of replies as a value: records, tables, plots; the only file that imports pandas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from di_magics.core.amount import dollars, total_of
from di_magics.core.conversation.conversation import Turn
from di_magics.core.errors import ChatError, ParamError
from di_magics.core.reply.reply import Reply
from di_magics.core.request.export import as_csv
from di_magics.core.sweep.difference import Part, difference
from di_magics.core.sweep.measures import Measure, measured
from di_magics.core.sweep.runs import Run, Vary, record


@dataclass(frozen=True)
class Sweep:
    """The replies of a grid, in the order of its runs; None where a run was not sent.

    `turns` are what was asked, `measures` the reader's own, by name, `errors` what went wrong, by
    run, and `notes` what the reader should know of the policy.
    """

    vary: Vary
    repeats: int
    runs: tuple[Run, ...]
    turns: tuple[Turn | None, ...]
    replies: tuple[Reply | None, ...]
    measures: Mapping[str, Measure] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.runs)

    def __repr__(self) -> str:
        return f"<Sweep: {self.words}>"

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """A plain dict for each reply: what was varied, the text, tokens, cost, times, measures."""
        found = []
        for run, reply in zip(self.runs, self.replies, strict=True):
            if reply:
                more = {"error": self.errors[run.index]} if run.index in self.errors else {}
                found.append(record(run, reply, measured(reply, self.measures) | more))
        return found

    @property
    def words(self) -> str:
        """The whole in a line: how many runs, how they ended, tokens and cost."""
        replies = [reply for reply in self.replies if reply]
        done = sum(reply.complete for reply in replies)
        parts = [f"{done} of {len(self)} runs whole" if done < len(self) else f"{done} runs"]
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
            cost = total_of(known)
            parts.append(f"{about}{dollars(cost)}" if cost else "free")
        return " · ".join([*parts, *self.notes])

    def to_csv(self, path: str | Path | None = None) -> str | None:
        """Return the records as CSV, or write them to a file."""
        text = as_csv(self.records)
        if path is None:
            return text
        Path(path).expanduser().write_text(text, "utf-8", "replace", newline="")
        return None

    def to_pandas(self) -> Any:
        """Return the records as a pandas DataFrame. Raises ParamError where pandas is missing."""
        try:
            import pandas
        except ImportError:
            raise ParamError("pandas is not installed. .records and .to_csv() need none.") from None
        return pandas.DataFrame(self.records)

    def plot(self, y: str | None = None, x: str | None = None) -> Any:
        """Return a figure of a measure against what was varied, with its spread over the runs.

        `y` is a column of the records or `diversity`; `x` a column. Raises ParamError where
        matplotlib is missing or a column has no numbers.
        """
        from di_magics.display.plot import figure

        return figure(self, y, x)

    def diff(self, one: int, other: int) -> list[Part]:
        """Return the difference of two runs' replies. Raises ChatError for no such run."""
        return difference(self.reply(one).shown, self.reply(other).shown)

    def reply(self, run: int) -> Reply:
        """Return a run's reply, counted from 0. Raises ChatError where there is none."""
        found = self.replies[run] if 0 <= run < len(self) else None
        if found is None:
            raise ChatError(f"There is no reply of run {run}: there are 0 to {len(self) - 1}.")
        return found

    def _repr_html_(self) -> str:
        from di_magics.display.final import grid

        return grid(self)["text/html"]
