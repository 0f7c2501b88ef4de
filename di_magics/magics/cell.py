"""Where code runs: in which cell, of which notebook."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from di_magics.core.conversation.cells import Where


class RunningCell:
    """Knows in which cell code runs, and how many asks of this execution came before."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._execution: object = None
        self._asks = 0

    def cell(self) -> tuple[str, int] | None:
        """Return the cell's id and the ordinal of the next ask; None outside a front end.

        Right only on the thread that runs the cell: elsewhere the kernel's parent is another
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
        """Return which notebook this is, as far as it is known, and which of its cells runs."""
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
        """Whether whoever runs the code can be asked a question; a terminal always can."""
        content = self._parent().get("content", {})
        return bool(content.get("allow_stdin", getattr(self._shell, "kernel", None) is None))

    @property
    def executing(self) -> bool:
        """Whether a front end has sent the code to be run, and not only to be looked at."""
        return bool(self._parent().get("header", {}).get("msg_type") == "execute_request")

    def _parent(self) -> dict[str, Any]:
        kernel = getattr(self._shell, "kernel", None)
        return (kernel.get_parent() if kernel is not None else None) or {}
