"""Turns on disk: written before they are sent, checkpointed every second, sealed once.

Turns are only added, until the user deletes them. The heads are a small state beside them. Every
method returns a future; the work runs on the database's thread.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import Entry
from di_magics.core.reply.reply import Reply
from di_magics.storage.database import Connection, Database, Work, insert, update_notebook
from di_magics.storage.ledger import add_entry, update_entry
from di_magics.storage.rows import (
    copy_attachments,
    identity_row,
    merge_state,
    outcome_row,
    read_conversation,
    read_state,
    replace_ids,
    reply_of,
    to_json,
    write_attachments,
)

MOST_CELLS = 900
"""SQLite limits the values in a query: an old version to 999."""


@dataclass(frozen=True, slots=True)
class KnownNotebook:
    """A notebook in the database: its id, and where it was last seen."""

    id: str
    path: str | None


RETRY_SECONDS = 1.0


class Turns:
    """The conversations of all notebooks."""

    def __init__(self, store: Database) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._unwritten: list[Work[None]] = []
        self._timer: threading.Timer | None = None
        self._closed = False

    def find_notebook(
        self, ids: Iterable[str], path: str | None, cells: Iterable[str], kernel: str
    ) -> Future[KnownNotebook | None]:
        """Return the notebook with the first id that is known, else the one at this path.

        The latter must have a turn in one of these cells, or this kernel must have used it last.
        """

        def find(db: Connection) -> KnownNotebook | None:
            for notebook in ids:
                row = db.execute(
                    "SELECT id, path FROM notebooks WHERE id = ?", [notebook]
                ).fetchone()
                if row:
                    return KnownNotebook(*row)
            names = list(cells)[:MOST_CELLS]
            marks = ",".join("?" * len(names))
            row = db.execute(
                "SELECT notebooks.id, path FROM turns JOIN notebooks ON notebook = notebooks.id "
                f"WHERE path = ? AND cell IN ({marks}) ORDER BY number DESC LIMIT 1",
                [path, *names],
            ).fetchone()
            if row is None and kernel:
                row = db.execute(
                    "SELECT id, path FROM notebooks WHERE path IS ? AND kernel = ? "
                    "ORDER BY rowid DESC LIMIT 1",
                    [path, kernel],
                ).fetchone()
            return KnownNotebook(*row) if row else None

        return self._store.read(find)

    def set_location(self, notebook: str, path: str | None, kernel: str) -> Future[None]:
        """Write the path and the kernel of a notebook, which is added if it is missing."""

        def write(db: Connection) -> None:
            update_notebook(db, notebook, path=path, kernel=kernel)

        return self._store.write(write)

    def begin(self, turn: Turn, entry: Entry, budget: Budget, *, kept: bool) -> Future[None]:
        """Write a turn and its ledger entry before it is sent; if not `kept`, only the entry.

        The future raises BudgetError, and nothing is written, if the worst case does not fit the
        budget. It is one transaction: no other kernel can spend in between.
        """
        row = identity_row(turn, entry.notebook)

        def write(db: Connection) -> None:
            add_entry(db, entry, budget)
            if not kept:
                return
            update_notebook(db, entry.notebook)
            insert(db, "turns", {**row, "begun": entry.begun, "touched": entry.begun})
            write_attachments(db, turn)

        self.retry()
        return self._store.write(write)

    def retry(self) -> None:
        """Write the outcomes that could not be written before, such as when the disk was full.

        It is called each second as long as there are any, and before anything new is written.
        """
        with self._lock:
            unwritten, self._unwritten = self._unwritten, []
            if self._timer:
                self._timer.cancel()
                self._timer = None
        for write in unwritten:
            self._write_until_done(write)

    def close(self) -> None:
        """Try the outcomes that are not written yet for the last time."""
        with self._lock:
            self._closed = True
        self.retry()

    def _write_until_done(self, write: Work[None]) -> Future[None]:
        future = self._store.write(write)
        future.add_done_callback(lambda done: self._keep(write) if done.exception() else None)
        return future

    def _keep(self, write: Work[None]) -> None:
        with self._lock:
            self._unwritten.append(write)
            if self._timer is None and not self._closed:
                self._timer = threading.Timer(RETRY_SECONDS, self.retry)
                self._timer.name = "di_magics-retry"
                self._timer.daemon = True
                self._timer.start()

    def checkpoint(self, turn: str, reply: Reply) -> Future[None]:
        """Write the partial reply and its cost so far."""
        return self._write_outcome(turn, reply, sealed=False)

    def seal(self, turn: str, reply: Reply) -> Future[None]:
        """Write the outcome of a turn, or only its ledger entry; nothing changes it afterwards."""
        return self._write_outcome(turn, reply, sealed=True)

    def settle_request(self, entry: str, reply: Reply) -> Future[None]:
        """Write the cost of one request of a turn, which continues."""
        now = time.time()
        return self._write_until_done(lambda db: update_entry(db, entry, reply, now, sealed=True))

    def _write_outcome(self, turn: str, reply: Reply, *, sealed: bool) -> Future[None]:
        now = time.time()

        def write(db: Connection) -> None:
            db.execute(
                "UPDATE turns SET reply = ?, outcome = ?, touched = ?, sealed = ? "
                "WHERE id = ? AND NOT sealed",
                [*outcome_row(reply).values(), now, sealed, turn],
            )
            update_entry(db, turn, reply, now, sealed=sealed)

        return self._write_until_done(write) if sealed else self._store.write(write)

    def adopt(self, notebook: str, turns: Iterable[Turn]) -> Future[None]:
        """Write complete turns, whose cost is in the ledger already."""
        sealed = {"begun": time.time(), "touched": time.time(), "sealed": 1}
        turns = list(turns)

        def write(db: Connection) -> None:
            update_notebook(db, notebook)
            for turn in turns:
                row = {**identity_row(turn, notebook), **outcome_row(turn.reply), **sealed}
                insert(db, "turns", row)
                write_attachments(db, turn)

        return self._store.write(write)

    def seal_run(self, notebook: str, key: str, turn: str, reply: Reply) -> Future[None]:
        """Write the reply to a run of a sweep, and its cost."""
        now = time.time()

        def write(db: Connection) -> None:
            db.execute("DELETE FROM runs WHERE notebook = ? AND key = ?", [notebook, key])
            insert(db, "runs", {"notebook": notebook, "key": key, **outcome_row(reply)})
            update_entry(db, turn, reply, now, sealed=True)

        return self._write_until_done(write)

    def runs(self, notebook: str, keys: Collection[str]) -> Future[dict[str, Reply]]:
        """Return the complete replies to a notebook's runs that are kept, by key."""
        wanted = set(keys)

        def read(db: Connection) -> dict[str, Reply]:
            rows = db.execute("SELECT key, reply, outcome FROM runs WHERE notebook = ?", [notebook])
            replies = {key: reply_of(text, outcome) for key, text, outcome in rows if key in wanted}
            return {key: reply for key, reply in replies.items() if reply.complete}

        return self._store.read(read)

    def save_state(self, notebook: str, chat: Conversation) -> Future[None]:
        """Write which turns are heads, and which turn every cell shows.

        Entries of other cells and conversations, written by another kernel on the same notebook,
        stay.
        """

        def write(db: Connection) -> None:
            state = merge_state(read_state(db, notebook), chat)
            update_notebook(db, notebook, state=to_json(state))

        return self._store.write(write)

    def load(self, notebook: str) -> Future[Conversation]:
        """Return a notebook's conversation; a turn left unfinished by its kernel is `cut`."""
        return self._store.read(lambda db: read_conversation(db, notebook))

    def copy(self, notebook: str, new: str, path: str | None) -> Future[None]:
        """Copy a notebook's turns to a new notebook, without their costs."""

        def write(db: Connection) -> None:
            state = to_json(read_state(db, notebook))
            rows = db.execute(
                "SELECT id, cell, prompt, reply, identity, outcome, begun, touched FROM turns "
                "WHERE notebook = ? ORDER BY number",
                [notebook],
            ).fetchall()
            ids = {row[0]: f"{row[0]}-{new[:8]}" for row in rows}
            db.execute(
                "INSERT INTO notebooks (id, path, state, budget) "
                "SELECT ?, ?, ?, budget FROM notebooks WHERE id = ?",
                [new, path, replace_ids(state, ids), notebook],
            )
            for old, cell, prompt, reply, identity, outcome, begun, touched in rows:
                row = {
                    "id": ids[old],
                    "notebook": new,
                    "cell": cell,
                    "prompt": prompt,
                    "reply": reply,
                    "identity": replace_ids(identity, ids),
                    "outcome": to_json(json.loads(outcome or "{}") | {"cost": None}),
                    "begun": begun,
                    "touched": touched,
                    "sealed": 1,
                }
                insert(db, "turns", row)
                copy_attachments(db, old, ids[old])

        return self._store.write(write)

    def forget(self, turns: Collection[str] | None, head: tuple[str, str] | None) -> Future[int]:
        """Delete these turns, or with None those of all notebooks, for good; the ledger stays.

        `head` is a notebook and the name of a conversation in it, which is deleted with the
        notebook's runs. The future's result is how many turns were deleted.
        """

        def write(db: Connection) -> int:
            if turns is None:
                db.execute("DELETE FROM runs")
                return db.execute("DELETE FROM turns").rowcount
            if head:
                notebook, name = head
                db.execute("DELETE FROM runs WHERE notebook = ?", [notebook])
                state = read_state(db, notebook)
                state.get("heads", {}).pop(name, None)
                db.execute(
                    "UPDATE notebooks SET state = ? WHERE id = ?", [to_json(state), notebook]
                )
            return sum(
                db.execute("DELETE FROM turns WHERE id = ?", [turn]).rowcount for turn in turns
            )

        return self._store.erase(write)
