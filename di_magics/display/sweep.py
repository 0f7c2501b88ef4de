"""A sweep as a value for the user: records, tables, plots; the only file that imports pandas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from di_magics.core.arguments import check_arguments
from di_magics.core.errors import ParamError
from di_magics.core.request.export import as_csv
from di_magics.core.sweep.difference import Part, compare_texts
from di_magics.core.sweep.measures import Measure, measure_reply
from di_magics.core.sweep.result import SweepResult
from di_magics.core.sweep.runs import run_record


@dataclass(frozen=True, repr=False)
class Sweep(SweepResult):
    """The replies of a sweep, in the order of its runs; None where a run was not sent.

    `turns` are the turns of the runs, `measures` the user's own functions by name, and `errors` the
    messages by index of the run.
    """

    measures: Mapping[str, Measure] = field(default_factory=dict)

    @classmethod
    def of(cls, result: SweepResult, measures: Mapping[str, Measure]) -> Sweep:
        """Return the sweep with this result."""
        return cls(**vars(result), measures=measures)

    def __repr__(self) -> str:
        return f"<Sweep: {self.summary}>"

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """A plain dict per reply: the varied values, the text, tokens, cost, times, measures."""
        records = []
        for run, reply in zip(self.runs, self.replies, strict=True):
            if reply:
                error = {"error": self.errors[run.index]} if run.index in self.errors else {}
                records.append(run_record(run, reply, measure_reply(reply, self.measures) | error))
        return records

    @check_arguments
    def to_csv(self, path: str | Path | None = None) -> str | None:
        """Return the records as CSV, or write them to a file."""
        text = as_csv(self.records)
        if path is None:
            return text
        Path(path).expanduser().write_text(text, "utf-8", "replace", newline="")
        return None

    def to_pandas(self) -> Any:
        """Return the records as a pandas DataFrame. Raises ParamError if pandas is missing."""
        try:
            import pandas
        except ImportError:
            raise ParamError(
                "pandas is not installed. Install it, or use .records or .to_csv()."
            ) from None
        return pandas.DataFrame(self.records)

    @check_arguments
    def plot(self, y: str | None = None, x: str | None = None) -> Any:
        """Return a figure of a measure against what was varied, with its spread over the runs.

        `y` is a column of the records or `diversity`; `x` a column. Raises ParamError if matplotlib
        is missing or a column has no numbers.
        """
        from di_magics.display.plot import figure

        return figure(self.records, self.vary, self.repeats, y, x)

    @check_arguments
    def diff(self, one: int, other: int) -> list[Part]:
        """Return the difference of two runs' replies. Raises ChatError for no such run."""
        return compare_texts(self.reply(one).clean_text, self.reply(other).clean_text)

    def _repr_html_(self) -> str:
        from di_magics.display.final import grid_output

        return grid_output(self)["text/html"]
