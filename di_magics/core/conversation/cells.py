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

    A restarted kernel keeps its id. `settled` is False if the cell may become known later:
    no code is being run, and there is a front end.
    """

    path: str | None = None
    cell: str | None = None
    kernel: str = ""
    settled: bool = True
