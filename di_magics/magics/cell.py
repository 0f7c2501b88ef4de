"""The running cell and its notebook.

The environment has the path that the notebook had when the kernel was started. It may be renamed
later, and in JupyterLab a second notebook can use the same kernel. A cell's message does not name
its notebook, only the cell's id and the page that sent it (the header's `session`, which a reload
changes). So the file is followed under its new name, and a page belongs to the notebook whose file
has the cell that it sends. The table in storage/notebook.py says which conversation that gives.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from di_magics.runtime.files import file_identity, find_containing, find_renamed

if TYPE_CHECKING:
    from di_magics.core.conversation.cells import NotebookLocation


class _Followed:
    """A file that is followed when it is renamed in its folder."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = file_identity(path)

    @property
    def path(self) -> str:
        """Where the file is now."""
        if file_identity(self._path) != self._identity:
            self._path = find_renamed(self._path, self._identity) or self._path
            self._identity = file_identity(self._path) or self._identity
        return self._path


class RunningCell:
    """Finds the running cell, and counts the asks of its execution."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._execution: object = None
        self._asks = 0
        named = self._named_path()
        self._files = [_Followed(named)] if named else []
        self._pages: dict[str, int] = {}  # the number of the notebook that a page shows
        self._searched: object = None
        self._senders: dict[int, list[str]] = {}  # the last pages that sent a notebook's cells

    @property
    def id(self) -> str | None:
        """The cell's id; None outside a front end."""
        cell_id = self._parent().get("metadata", {}).get("cellId")
        return cell_id if isinstance(cell_id, str) else None

    @property
    def page(self) -> str:
        """The page that sent the cell."""
        return str(self._parent().get("header", {}).get("session", ""))

    @property
    def tags(self) -> list[object]:
        """The cell's tags, as far as the front end sends them."""
        tags = self._parent().get("metadata", {}).get("tags")
        return tags if isinstance(tags, list) else []

    def next_ask(self) -> tuple[str, int] | None:
        """Count one more ask, and return the cell's id and the ask's number, from 0.

        None outside a front end.

        Correct only on the thread that runs the cell; elsewhere the kernel's parent is another
        message.
        """
        cell_id = self.id
        if cell_id is None:
            return None
        execution = self._parent()["header"]["msg_id"]
        if execution != self._execution:
            self._execution, self._asks = execution, 0
        self._asks += 1
        return cell_id, self._asks - 1

    def locate(self) -> NotebookLocation:
        """Return the notebook, as far as it is known, and its running cell."""
        from di_magics.core.conversation.cells import NotebookLocation

        cell = self.id
        app = getattr(getattr(self._shell, "kernel", None), "parent", None)
        file = Path(getattr(app, "connection_file", ""))
        is_final = self.executing or getattr(self._shell, "kernel", None) is None
        number = self._page_number(cell) if cell and self.executing else 0
        return NotebookLocation(
            path=self._files[number].path if self._files else None,
            cell=cell,
            kernel=file.stem,
            kernels_folder=str(file.parent) if file.stem else "",
            is_final=is_final,
            notebook=number,
            shared=len(set(self._senders.get(number, ()))) < len(self._senders.get(number, ())),
        )

    def _named_path(self) -> str | None:
        named = self._shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
        return named if isinstance(named, str) and named.endswith(".ipynb") else None

    def _page_number(self, cell: str) -> int:
        """Return the number of the notebook that has the running cell."""
        if not self._files:
            named = self._named_path()
            self._files = [_Followed(named)] if named else []
        page = self.page
        if self._files and page not in self._pages and self._searched != (page, cell):
            self._searched = page, cell
            home = self._files[0].path
            file = find_containing(home, json.dumps(cell).encode())
            if file or not self._pages:
                self._pages[page] = self._file_number(file or home)
        number = self._pages.get(page, 0)
        senders = self._senders.setdefault(number, [])
        if senders[-1:] != [page]:  # a page, another one, the first again: both are open
            self._senders[number] = [*senders, page][-3:]
        return number

    def _file_number(self, path: str) -> int:
        """Return the number of this file, which is added if it is new."""
        for number, file in enumerate(self._files):
            if os.path.realpath(file.path) == os.path.realpath(path):
                return number
        self._files.append(_Followed(path))
        return len(self._files) - 1

    def folder(self) -> Path:
        """Return the folder of the notebook, as far as it is known."""
        path = self.locate().path
        return Path(path).parent if path else Path.cwd()

    @property
    def can_ask(self) -> bool:
        """Whether the user can be asked a question, as is always so in a terminal."""
        content = self._parent().get("content", {})
        return bool(content.get("allow_stdin", getattr(self._shell, "kernel", None) is None))

    @property
    def executing(self) -> bool:
        """Whether a front end has sent code to execute, and not another request."""
        return bool(self._parent().get("header", {}).get("msg_type") == "execute_request")

    def _parent(self) -> dict[str, Any]:
        kernel = getattr(self._shell, "kernel", None)
        return (kernel.get_parent() if kernel is not None else None) or {}
