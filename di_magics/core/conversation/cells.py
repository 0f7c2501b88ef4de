"""Which cell of which notebook code runs in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Cell(NamedTuple):
    """Where a turn was asked: the cell's id, and the number of the ask in its execution, from 0."""

    id: str
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class NotebookLocation:
    """A notebook's path, the id of the cell that runs, and the kernel's id, as far as known.

    A restarted kernel keeps its id. `kernels_folder` has a file for every kernel that runs.
    `is_final` is False if the cell may become known later: there is a front end, and it runs no
    code now. `notebook` is the number of the notebook among those that use the kernel, from 0.
    With `shared` another page also sends cells to it and may show another notebook.
    """

    path: str | None = None
    cell: str | None = None
    kernel: str = ""
    kernels_folder: str = ""
    is_final: bool = True
    notebook: int = 0
    shared: bool = False
