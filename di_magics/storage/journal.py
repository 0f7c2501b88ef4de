"""Requests on disk: written before they are sent, checkpointed every second, sealed once.

Every method returns a future; the work runs on the database's thread. An outcome that cannot be
written, such as on a full disk, is tried again each second, and before anything new is written.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from di_magics.core.conversation.turn import Turn
from di_magics.core.money.budget import Budget
from di_magics.core.money.tally import Entry
from di_magics.core.reply.reply import Reply
from di_magics.storage.database import Connection, Database, Work, insert, update_notebook
from di_magics.storage.ledger import add_entry, update_entry
from di_magics.storage.rows import identity_row, outcome_row, write_attachments, write_logprobs

RETRY_SECONDS = 1.0


class Journal:
    """Writes what is sent and how it ended, for all notebooks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._unwritten: list[Work[None]] = []
        self._timer: threading.Timer | None = None
        self._closed = False

    def begin(self, turn: Turn, entry: Entry, budget: Budget, *, is_turn: bool) -> Future[None]:
        """Write a turn and its ledger entry before it is sent; if not `is_turn`, only the entry.

        The future raises BudgetError, and nothing is written, if the worst case does not fit the
        budget. It is one transaction: no other kernel can spend in between.
        """
        row = identity_row(turn, entry.notebook)

        def write(db: Connection) -> None:
            add_entry(db, entry, budget)
            if not is_turn:
                return
            update_notebook(db, entry.notebook)
            insert(db, "turns", {**row, "begun": entry.begun, "touched": entry.begun})
            write_attachments(db, turn)

        self.retry()
        return self._database.write(write)

    def checkpoint(self, turn_id: str, reply: Reply) -> Future[None]:
        """Write the partial reply and its cost so far."""
        return self._write_outcome(turn_id, reply, sealed=False)

    def seal(self, turn_id: str, reply: Reply) -> Future[None]:
        """Write the outcome of a turn, or only its ledger entry; nothing changes it afterwards."""
        return self._write_outcome(turn_id, reply, sealed=True)

    def seal_request(self, entry: str, reply: Reply) -> Future[None]:
        """Write the cost of one request of a turn, which continues."""
        now = time.time()
        return self._write_until_done(lambda db: update_entry(db, entry, reply, now, sealed=True))

    def seal_run(self, key: str, turn_id: str, reply: Reply) -> Future[None]:
        """Write the reply to a run of a sweep, and its cost."""
        now = time.time()

        def write(db: Connection) -> None:
            (notebook,) = db.execute(
                "SELECT notebook FROM ledger WHERE turn = ?", [turn_id]
            ).fetchone()
            db.execute("DELETE FROM runs WHERE notebook = ? AND key = ?", [notebook, key])
            insert(db, "runs", {"notebook": notebook, "key": key, **outcome_row(reply)})
            update_entry(db, turn_id, reply, now, sealed=True)

        return self._write_until_done(write)

    def retry(self) -> None:
        """Write the outcomes that could not be written before."""
        with self._lock:
            unwritten, self._unwritten = self._unwritten, []
            if self._timer:
                self._timer.cancel()
                self._timer = None
        for write in unwritten:
            self._write_until_done(write)

    def close(self) -> None:
        """Try the outcomes that are not written yet for the last time, and close the database."""
        with self._lock:
            self._closed = True
        self.retry()
        self._database.close()

    def _write_outcome(self, turn_id: str, reply: Reply, *, sealed: bool) -> Future[None]:
        now = time.time()

        def write(db: Connection) -> None:
            db.execute(
                "UPDATE turns SET reply = ?, outcome = ?, touched = ?, sealed = ? "
                "WHERE id = ? AND NOT sealed",
                [*outcome_row(reply).values(), now, sealed, turn_id],
            )
            update_entry(db, turn_id, reply, now, sealed=sealed)
            if sealed:
                write_logprobs(db, turn_id, reply)

        return self._write_until_done(write) if sealed else self._database.write(write)

    def _write_until_done(self, write: Work[None]) -> Future[None]:
        future = self._database.write(write)
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
