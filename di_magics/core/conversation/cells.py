"""Which cell of which notebook code runs in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Cell(NamedTuple):
    """Where a turn was asked: the cell's id, and the number of the ask in its execution, from 0."""

    id: str
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Where:
    """A notebook's path, the id of the cell that runs, and the kernel's id, as far as known.

    A restarted kernel keeps its id. `settled` is whether a missing cell means that there is none:
    code is being run, or there is no front end.
    """

    path: str | None = None
    cell: str | None = None
    kernel: str = ""
    settled: bool = True
