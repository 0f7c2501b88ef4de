"""The running cell and its notebook."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from di_magics.core.conversation.cells import Where


class RunningCell:
    """Finds the running cell, and counts the asks of its execution."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._execution: object = None
        self._asks = 0

    def cell(self) -> tuple[str, int] | None:
        """Return the cell's id and the number of the next ask, from 0; None outside a front end.

        Correct only on the thread that runs the cell; elsewhere the kernel's parent is another
        message.
        """
        parent = self._parent()
        cell_id = parent.get("metadata", {}).get("cellId")
        if not isinstance(cell_id, str):
            return None
        execution = parent["header"]["msg_id"]
        if execution != self._execution:
            self._execution, self._asks = execution, 0
        self._asks += 1
        return cell_id, self._asks - 1

    def where(self) -> Where:
        """Return the notebook, as far as it is known, and its running cell."""
        cell_id = self._parent().get("metadata", {}).get("cellId")
        named = self._shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
        path = named if isinstance(named, str) and named.endswith(".ipynb") else None
        app = getattr(getattr(self._shell, "kernel", None), "parent", None)
        kernel = Path(getattr(app, "connection_file", "")).stem
        settled = self.executing or getattr(self._shell, "kernel", None) is None
        return Where(path, cell_id if isinstance(cell_id, str) else None, kernel, settled)

    def folder(self) -> Path:
        """Return the folder of the notebook, as far as it is known."""
        path = self.where().path
        return Path(path).parent if path else Path.cwd()

    @property
    def can_ask(self) -> bool:
        """Whether the user can be asked a question; in a terminal always."""
        content = self._parent().get("content", {})
        return bool(content.get("allow_stdin", getattr(self._shell, "kernel", None) is None))

    @property
    def executing(self) -> bool:
        """Whether a front end has sent code to execute, and not another request."""
        return bool(self._parent().get("header", {}).get("msg_type") == "execute_request")

    def _parent(self) -> dict[str, Any]:
        kernel = getattr(self._shell, "kernel", None)
        return (kernel.get_parent() if kernel is not None else None) or {}
