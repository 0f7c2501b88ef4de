"""The file that holds all state; the only importer of sqlite3, and one thread uses it.

What is kept in it is for turns.py and ledger.py to say.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from di_magics.core.amount import sum_amounts
from di_magics.core.errors import DiMagicsError, StoreError
from di_magics.core.text import one_line

T = TypeVar("T")
Connection = sqlite3.Connection
Work = Callable[[Connection], T]

FILE = "conversations.sqlite3"
BUSY_SECONDS = 10.0
MAPPED = 1 << 28
"""So many bytes of the file are read without a copy of each page."""


class Database:
    """The file of mode 0600 in a folder, or with no folder the same in memory.

    Work is handed to the store's own thread, which an interrupt cannot reach; each method returns
    a future. Raises StoreError where the file cannot be used.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = folder / FILE if folder else None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="di_magics-store")
        self._connection: Connection | None = None
        self._closed = False

    def write(self, work: Work[T]) -> Future[T]:
        """Do all of this work or none of it, as the only writer."""
        return self._thread.submit(self._guarded, work, "BEGIN IMMEDIATE")

    def read(self, work: Work[T]) -> Future[T]:
        """Do work that only reads, on the file as it is at one moment."""
        return self._thread.submit(self._guarded, work, "BEGIN")

    def erase(self, work: Work[T]) -> Future[T]:
        """Do work that deletes, and leave no byte of what it deleted in the file."""

        def vacuum(db: Connection) -> None:
            db.execute("VACUUM")
            (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise sqlite3.OperationalError("deleted, but another kernel still reads it")

        def erased() -> T:
            done = self._guarded(work, "BEGIN IMMEDIATE")
            self._guarded(vacuum, None)
            return done

        return self._thread.submit(erased)

    def _guarded(self, work: Work[T], begin: str | None) -> T:
        try:
            if self._connection is None:
                self._connection = self._opened()
            if begin is None:
                return work(self._connection)
            return _in_transaction(self._connection, work, begin)
        except DiMagicsError:
            raise
        # The last ones: values that SQLite cannot hold, or that are none.
        except (sqlite3.Error, OSError, ValueError, ArithmeticError, TypeError) as error:
            raise StoreError(_why(error, self.path)) from error

    def _opened(self) -> Connection:
        if self.path:
            # Made by us, or others could read it for a moment.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        name = self.path or ":memory:"
        connection = sqlite3.connect(name, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA mmap_size = {MAPPED}")
        migrate(connection, self.path or Path(FILE))
        return connection

    def close(self) -> None:
        """Finish what is to be written and close the file; once is enough."""
        if self._closed:
            return
        self._closed = True
        self._thread.submit(self._end)
        self._thread.shutdown(wait=True)

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _why(error: Exception, path: Path | None) -> str:
    reason, where = one_line(error, 120), one_line(path, 160)
    if "locked" in reason or "still reads" in reason:
        step = "Something else is using that file: try again in a moment."
    elif "full" in reason or "disk I/O" in reason:
        step = "Make room on that disk, and go on."
    else:
        step = (
            "Move that file away, or set DI_MAGICS_HOME to another folder, or to off to keep "
            "nothing."
        )
    return f"The conversations in {where} cannot be used ({reason}). {step}"


def _in_transaction(connection: Connection, work: Work[T], begin: str) -> T:
    connection.execute(begin)
    try:
        done = work(connection)
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return done


def migrate(connection: Connection, path: Path) -> None:
    """Bring a file to today's form, each step once, whoever else is at it.

    Raises StoreError for a file of a newer version than this one, which is left as it is.
    """

    def version_of(db: Connection) -> int:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        return int(version)

    def steps(db: Connection) -> None:
        version = version_of(db)
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{one_line(path, 160)} is from a newer di_magics. Update di_magics, or set "
                "DI_MAGICS_HOME to another folder."
            )
        for step in MIGRATIONS[version:]:
            step(db)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    if version_of(connection) != len(MIGRATIONS):
        _in_transaction(connection, steps, "BEGIN IMMEDIATE")


def _turns(db: Connection) -> None:
    db.execute(
        "CREATE TABLE notebooks (id TEXT PRIMARY KEY, path TEXT, state TEXT NOT NULL DEFAULT '{}')"
        " STRICT"
    )
    db.execute(
        "CREATE TABLE turns (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, notebook TEXT NOT"
        " NULL REFERENCES notebooks (id), cell TEXT, identity TEXT NOT NULL, outcome TEXT, begun"
        " REAL NOT NULL, touched REAL NOT NULL, sealed INTEGER NOT NULL DEFAULT 0) STRICT"
    )
    db.execute("CREATE INDEX turns_by_notebook ON turns (notebook, number)")
    db.execute("CREATE INDEX turns_by_cell ON turns (cell)")


def _texts_and_ledger(db: Connection) -> None:
    """Long texts become columns of their own, and what was paid outlives the turn."""
    db.execute("ALTER TABLE notebooks ADD COLUMN budget TEXT")
    db.execute("ALTER TABLE turns ADD COLUMN prompt TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE turns ADD COLUMN reply TEXT NOT NULL DEFAULT ''")
    db.execute(
        "CREATE TABLE ledger (turn TEXT PRIMARY KEY, notebook TEXT NOT NULL, conversation TEXT NOT"
        " NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL, begun REAL NOT NULL, touched REAL NOT"
        " NULL, sealed INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL DEFAULT 'open',"
        " prompt_tokens INTEGER, completion_tokens INTEGER, cached_tokens INTEGER,"
        " reasoning_tokens INTEGER, cost TEXT, estimate TEXT NOT NULL DEFAULT '', reserve TEXT)"
        " STRICT"
    )
    db.execute("CREATE INDEX ledger_by_notebook ON ledger (notebook, begun)")
    db.execute("CREATE INDEX ledger_by_time ON ledger (begun)")
    rows = db.execute("SELECT id, notebook, identity, outcome, begun, touched, sealed FROM turns")
    for turn, notebook, identity, outcome, begun, touched, sealed in rows.fetchall():
        known, became = json.loads(identity), json.loads(outcome or "{}")
        usage = became.get("usage") or {}
        counts = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
        row = [turn, notebook, known.get("conversation") or "main"]
        row += [became.get("model") or known.get("asked") or "", known.get("endpoint") or ""]
        row += [begun, touched, sealed, became.get("status") or "cut"]
        row += [*(usage.get(name) for name in counts), became.get("cost")]
        db.execute(f"INSERT INTO ledger VALUES ({', '.join('?' * len(row))}, '', NULL)", row)
        prompt, reply = known.pop("prompt", None), became.pop("reply", "")
        if prompt is None:  # forgotten, when that kept the row
            db.execute("DELETE FROM turns WHERE id = ?", [turn])
            continue
        texts = [to_utf8(prompt), to_utf8(reply), json.dumps(known), json.dumps(became), turn]
        db.execute(
            "UPDATE turns SET prompt = ?, reply = ?, identity = ?, outcome = ? WHERE id = ?", texts
        )


def _runs(db: Connection) -> None:
    """The replies of a grid, found again by what was asked."""
    db.execute(
        "CREATE TABLE runs (notebook TEXT NOT NULL, key TEXT NOT NULL, reply TEXT NOT NULL,"
        " outcome TEXT NOT NULL, PRIMARY KEY (notebook, key)) STRICT"
    )


def _kernels(db: Connection) -> None:
    """A restarted kernel finds its notebook before that is saved."""
    db.execute("ALTER TABLE notebooks ADD COLUMN kernel TEXT NOT NULL DEFAULT ''")


def _totals(db: Connection) -> None:
    """What a notebook has spent is kept added up, and what is in flight is found at once."""
    db.execute("ALTER TABLE notebooks ADD COLUMN spent TEXT NOT NULL DEFAULT '0'")
    db.execute("CREATE INDEX ledger_open ON ledger (notebook) WHERE NOT sealed")
    for (notebook,) in db.execute("SELECT DISTINCT notebook FROM ledger").fetchall():
        rows = db.execute("SELECT cost FROM ledger WHERE notebook = ? AND sealed", [notebook])
        total = sum_amounts(cost for (cost,) in rows)
        db.execute(
            "INSERT INTO notebooks (id, spent) VALUES (?, ?) "
            "ON CONFLICT (id) DO UPDATE SET spent = excluded.spent",
            [notebook, str(total)],
        )


def _attached(db: Connection) -> None:
    """What goes along with a prompt is kept beside it: it may be large."""
    db.execute(
        "CREATE TABLE attached (turn TEXT NOT NULL, number INTEGER NOT NULL, content TEXT NOT NULL,"
        " PRIMARY KEY (turn, number)) STRICT"
    )


MIGRATIONS = (_turns, _texts_and_ledger, _runs, _kernels, _totals, _attached)


def to_utf8(text: str) -> str:
    """Return text that can be stored: half a surrogate pair, which JSON may hold, cannot."""
    return text.encode("utf-8", "replace").decode()
