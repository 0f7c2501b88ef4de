"""Finds the conversation of a notebook.

A file has no identity: it can be renamed, copied, deleted and created again. So the metadata of
every output has the notebook's id, and the first cell that asks looks for it:

    what is known                                         the conversation
    ----------------------------------------------------  ------------------------------------
    no cell id (terminal, nbclient, papermill)            a new one, so that all runs are equal
    an id in the saved outputs                            that notebook's
      ... and the file it was last in still has the id    a copy of it: this file is a copy
    the path, and a turn in one of the file's cells       that notebook's: outputs were cleared
    the path, and the kernel's id                         that notebook's: nothing was saved yet
    none of these                                         a new one

A file that cannot be read counts as one without outputs.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from decimal import Decimal
from pathlib import Path

from di_magics.core.conversation.cells import Where
from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.conversation.record import METADATA_KEY
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import Entry
from di_magics.core.read_json import as_object, as_objects, as_text
from di_magics.core.reply.reply import Reply
from di_magics.runtime.files import read_bounded
from di_magics.storage.database import Database
from di_magics.storage.ledger import Ledger
from di_magics.storage.turns import Turns

LARGEST_FILE = 200_000_000


class Notebook:
    """The turns and costs of one notebook; `where` returns its place and its running cell.

    Raises StoreError.
    """

    def __init__(self, store: Database, where: Callable[[], Where]) -> None:
        self._store = store
        self._turns = Turns(store)
        self._ledger = Ledger(store)
        self._where = where
        self.id = uuid.uuid4().hex

    def resume(self) -> tuple[Conversation, str] | None:
        """Return the notebook's conversation and a note about its origin, or "".

        None while the notebook is not known, because no cell runs (a completion, a widget's
        message).
        """
        where = self._where()
        if where.cell is None:
            return (Conversation(), self._set_aside()) if where.settled else None
        ids, cells = _read_ids(where.path)
        path = os.path.realpath(where.path) if where.path else None
        known = self._turns.find_notebook(ids, path, [where.cell, *cells], where.kernel).result()
        if known is None:
            self._turns.set_location(self.id, path, where.kernel).result()
            return Conversation(), self._set_aside()
        if known.path and known.path != path and known.id in _read_ids(known.path)[0]:
            self._turns.copy(known.id, self.id, path).result()
            line = f"this notebook is a copy of {Path(known.path).name} with its own conversation"
        else:
            self.id = known.id
            self._turns.set_location(self.id, path, where.kernel).result()
            line = ""
        chat = self._turns.load(self.id).result()
        return chat, line or _describe(chat)

    def _set_aside(self) -> str:
        copy = self._store.set_aside().result()
        return f"the conversations of an older version were moved to {copy}" if copy else ""

    def is_at(self, path: Path) -> bool:
        """Return whether this is the path of the notebook's own file."""
        own = self._where().path
        return own is not None and Path(own).resolve() == path.resolve()

    def begin(self, turn: Turn, entry: Entry, budget: Budget, *, kept: bool) -> Future[None]:
        """Write a turn, or if not `kept` only its reserve, before it is sent.

        The future raises BudgetError if the reserve does not fit the budget.
        """
        return self._turns.begin(turn, entry, budget, kept=kept)

    def checkpoint(self, turn: str, reply: Reply) -> Future[None]:
        """Write the partial reply to a turn."""
        return self._turns.checkpoint(turn, reply)

    def seal(self, turn: str, reply: Reply) -> Future[None]:
        """Write the outcome of a turn."""
        return self._turns.seal(turn, reply)

    def settle(self, entry: str, reply: Reply) -> Future[None]:
        """Write the cost of one request of a turn."""
        return self._turns.settle_request(entry, reply)

    def adopt(self, turns: Iterable[Turn]) -> Future[None]:
        """Write complete turns."""
        return self._turns.adopt(self.id, turns)

    def seal_run(self, key: str, turn: str, reply: Reply) -> Future[None]:
        """Write the reply to a run of a sweep."""
        return self._turns.seal_run(self.id, key, turn, reply)

    def runs(self, keys: Collection[str]) -> dict[str, Reply]:
        """Return the stored complete replies to runs, by key."""
        return self._turns.runs(self.id, keys).result()

    def keep(self, chat: Conversation) -> Future[None]:
        """Write which turns are heads."""
        return self._turns.save_state(self.id, chat)

    def forget(self, turns: list[str] | None, name: str | None) -> int:
        """Delete these turns and the conversation of that name; return how many were deleted.

        With None, delete all turns of every notebook.
        """
        return self._turns.forget(turns, (self.id, name) if name else None).result()

    def entries(self, *, everywhere: bool = False, since: float = 0.0) -> list[Entry]:
        """Return the ledger of this notebook, or of all notebooks, since a time (POSIX seconds)."""
        return self._ledger.entries(None if everywhere else self.id, since).result()

    def names(self) -> dict[str, str]:
        """Return the names of the notebooks' files by id."""
        return self._ledger.notebooks().result()

    @property
    def committed(self) -> Decimal:
        """What this notebook has spent, and may still spend on replies in flight, in USD."""
        return self._ledger.committed(self.id).result()

    @property
    def budget(self) -> Decimal | None:
        """This notebook's own budget in USD, or None."""
        return self._ledger.budget(self.id).result()

    @budget.setter
    def budget(self, limit: Decimal | None) -> None:
        self._ledger.set_budget(self.id, limit).result()

    def close(self) -> None:
        """Finish writing."""
        self._turns.close()
        self._store.close()


def _describe(chat: Conversation) -> str:
    path = chat.path()
    if not path:
        return ""
    turns = f"{len(path)} turn{'s' * (len(path) != 1)}"
    cut = path[-1].reply.status in ("cut", "open")
    lost = f"; the last was cut off (%chat show {len(path)})" if cut else ""
    return f"continues {turns} from before{lost}; %chat new starts a new one"


def _read_ids(file: str | None) -> tuple[list[str], list[str]]:
    """Return the notebook ids in a file's outputs, the last cell's first, and its cells' ids."""
    ids: list[str] = []
    cells: list[str] = []
    try:
        data = read_bounded(Path(file), LARGEST_FILE, file) if file else b""
        notebook = as_object(json.loads(data))
    except (OSError, ValueError, RecursionError):  # a ParamError is a ValueError
        return ids, cells  # no file yet, or not a notebook
    for cell in as_objects(notebook.get("cells")):
        cells.append(as_text(cell.get("id")))
        for output in as_objects(cell.get("outputs")):
            record = as_object(as_object(output.get("metadata")).get(METADATA_KEY))
            ids.append(as_text(record.get("notebook")))
    return list(filter(None, dict.fromkeys(reversed(ids)))), list(filter(None, cells))
