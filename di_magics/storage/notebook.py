"""Which conversation a notebook has, and the notebook's place in the store.

The id in the outputs of the saved file decides; the path is a hint, and cells tell where outputs
were cleared. A kernel that was restarted before anything was saved is known by its own id.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from decimal import Decimal
from pathlib import Path
from typing import Any

from di_magics.core.conversation.cells import Where
from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.conversation.record import METADATA_KEY
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import Entry
from di_magics.core.reply.reply import Reply
from di_magics.storage.database import Database
from di_magics.storage.ledger import Ledger
from di_magics.storage.turns import Turns

LARGEST_FILE = 200_000_000


class Notebook:
    """A notebook whose turns are kept: `where` tells which it is, and which cell runs now.

    Without a cell id (nbclient, papermill, a terminal) nothing is restored. Raises StoreError.
    """

    def __init__(self, store: Database, where: Callable[[], Where]) -> None:
        self._store = store
        self._turns = Turns(store)
        self._ledger = Ledger(store)
        self._where = where
        self.id = uuid.uuid4().hex

    def resume(self) -> tuple[Conversation, str] | None:
        """Return the conversation to go on with, and a line that says so, if it is an old one.

        None where no cell runs now that would tell: a completion, a widget's message.
        """
        where = self._where()
        if where.cell is None:
            return (Conversation(), self._set_aside()) if where.settled else None
        ids, cells = _named(where.path)
        path = os.path.realpath(where.path) if where.path else None
        found = self._turns.find_notebook(ids, path, [where.cell, *cells], where.kernel).result()
        if found is None:
            self._turns.set_location(self.id, path, where.kernel).result()
            return Conversation(), self._set_aside()
        if found.path != path and found.path and found.id in _named(found.path)[0]:
            self._turns.copy(found.id, self.id, path).result()
            said = f"this notebook is a copy of {Path(found.path).name} and goes its own way"
        else:
            self.id = found.id
            self._turns.set_location(self.id, path, where.kernel).result()
            said = ""
        chat = self._turns.load(self.id).result()
        return chat, said or _continued(chat)

    def _set_aside(self) -> str:
        copy = self._store.set_aside().result()
        return f"the conversations of an older version are now in {copy}" if copy else ""

    def is_at(self, path: Path) -> bool:
        """Return whether this path is the notebook's own."""
        own = self._where().path
        return own is not None and Path(own).resolve() == path.resolve()

    def begin(self, turn: Turn, entry: Entry, budget: Budget, *, kept: bool) -> Future[None]:
        """Write a turn, or if not `kept` only what it may cost, before it is sent.

        The future raises BudgetError where that does not fit the budget.
        """
        return self._turns.begin(turn, entry, budget, kept=kept)

    def checkpoint(self, turn: str, reply: Reply) -> Future[None]:
        """Write what has come of a reply so far."""
        return self._turns.checkpoint(turn, reply)

    def seal(self, turn: str, reply: Reply) -> Future[None]:
        """Write the outcome of a turn."""
        return self._turns.seal(turn, reply)

    def settle(self, entry: str, reply: Reply) -> Future[None]:
        """Write what one request of a turn has cost."""
        return self._turns.settle_request(entry, reply)

    def adopt(self, turns: Iterable[Turn]) -> Future[None]:
        """Write turns whose replies are there already."""
        return self._turns.adopt(self.id, turns)

    def seal_run(self, key: str, turn: str, reply: Reply) -> Future[None]:
        """Write the reply of a run of a grid."""
        return self._turns.seal_run(self.id, key, turn, reply)

    def runs(self, keys: Collection[str]) -> dict[str, Reply]:
        """Return the whole replies of runs that there are, by key."""
        return self._turns.runs(self.id, keys).result()

    def keep(self, chat: Conversation) -> Future[None]:
        """Write which turns are heads."""
        return self._turns.save_state(self.id, chat)

    def forget(self, turns: list[str] | None, name: str | None) -> int:
        """Delete these turns and the conversation of that name; return how many turns there were.

        With None, those of every notebook.
        """
        return self._turns.forget(turns, (self.id, name) if name else None).result()

    def entries(self, *, everywhere: bool = False, since: float = 0.0) -> list[Entry]:
        """Return what this notebook's requests cost, or those of all notebooks."""
        return self._ledger.entries(None if everywhere else self.id, since).result()

    def names(self) -> dict[str, str]:
        """Return the names of all notebooks' files by id, as far as they are known."""
        return self._ledger.notebooks().result()

    @property
    def committed(self) -> Decimal:
        """What this notebook has spent, and may yet spend on replies in flight, in USD."""
        return self._ledger.committed(self.id).result()

    @property
    def budget(self) -> Decimal | None:
        """This notebook's own budget in USD."""
        return self._ledger.budget(self.id).result()

    @budget.setter
    def budget(self, limit: Decimal | None) -> None:
        self._ledger.set_budget(self.id, limit).result()

    def close(self) -> None:
        """Finish writing."""
        self._turns.retry()
        self._store.close()


def _continued(chat: Conversation) -> str:
    path = chat.path()
    if not path:
        return ""
    turns = f"{len(path)} turn{'s' * (len(path) != 1)}"
    cut = path[-1].reply.status in ("cut", "open")
    lost = f"; the last was cut off (%chat show {len(path)})" if cut else ""
    return f"continues {turns} from before{lost}; %chat new starts afresh"


def _named(named: str | None) -> tuple[list[str], list[str]]:
    """Return the notebook ids in a file's outputs, newest cell last, and its cells' ids."""
    ids: list[str] = []
    cells: list[str] = []
    try:
        path = Path(named) if named else None
        if path is None or path.stat().st_size > LARGEST_FILE:
            return ids, cells
        found: Any = json.loads(path.read_bytes())
        for cell in found["cells"]:
            if isinstance(cell.get("id"), str):
                cells.append(cell["id"])
            for output in cell.get("outputs") or ():
                record = (output.get("metadata") or {}).get(METADATA_KEY) or {}
                if isinstance(record.get("notebook"), str) and record["notebook"]:
                    ids.append(record["notebook"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass  # no file yet, or none that can be read: the conversation starts afresh
    return list(dict.fromkeys(reversed(ids))), cells
