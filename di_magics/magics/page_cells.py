"""The cells of a notebook as the page shows them, with unsaved edits and Markdown.

A kernel cannot ask the page while a cell runs. So the extension of JupyterLab sends the cells above
right before a cell that may ask with `--above` (labextension/static/cells_above.js), on the same
channel: the kernel gets both one after the other. They count for this run of this cell alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from di_magics.core.read_json import as_count, as_object

if TYPE_CHECKING:
    from di_magics.core.conversation.notebook_file import NotebookCell


class SentCells(NamedTuple):
    """The last cells above, in their order, and how many further above are missing."""

    cells: list[NotebookCell]
    missing: int


class PageCells:
    """The cells above that a page has sent last."""

    def __init__(self) -> None:
        self._page: object = None
        self._data: dict[str, Any] = {}

    def receive(self, message: Mapping[str, Any]) -> None:
        """Keep what a message of a page holds."""
        self._page = message["header"].get("session")
        self._data = as_object(message["content"].get("data"))

    def forget(self) -> None:
        """Drop the cells: the cell that they were sent for has run."""
        self._data = {}

    def above(self, cell: str | None, page: str) -> SentCells | None:
        """Return the cells above this one, None if its page has not sent them."""
        from di_magics.core.conversation.notebook_file import read_cells

        if cell is None or self._data.get("cell") != cell or self._page != page:
            return None
        cells = read_cells({"cells": self._data.get("above")})
        return SentCells(cells, max(0, (as_count(self._data.get("count")) or 0) - len(cells)))
