"""The SQLite file that holds all state. This is the only importer of sqlite3.

`schema.sql` has the tables; the other files of this folder read and write them. A file of an
earlier version gets what it lacks from MIGRATIONS, which only add, so that a kernel that still runs
the earlier version can go on. A file of a development version without migrations is copied to
`conversations.sqlite3.old` and emptied, in one transaction. It is not renamed, because another
kernel may use it, whose `-wal` file would then be mistaken for the new file's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

from di_magics.core.errors import DiMagicsError, StoreError
from di_magics.core.visible import one_line

try:
    import sqlite3
except ModuleNotFoundError:
    raise StoreError(
        "This Python was built without SQLite, which di_magics needs. Use another Python, for "
        "example from python.org or conda."
    ) from None

T = TypeVar("T")
Connection = sqlite3.Connection
Work = Callable[[Connection], T]

FILE = "conversations.sqlite3"
SCHEMA = Path(__file__).with_name("schema.sql")
BUSY_SECONDS = 2.0
"""A cell must not wait longer for a file that another program has locked; outcomes are retried."""
MAPPED_BYTES = 1 << 28
"""SQLite reads this much of the file without copying its pages."""

# (application_id, user_version) of a file.
CURRENT = (0x64694D67, 4)
NEW = (0, 0)
MIGRATIONS = {
    (CURRENT[0], 1): "ALTER TABLE ledger ADD COLUMN policies TEXT NOT NULL DEFAULT '[]';"
    "ALTER TABLE ledger ADD COLUMN process TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE policies (file TEXT PRIMARY KEY, spent TEXT NOT NULL DEFAULT '0') STRICT",
    (CURRENT[0], 2): "CREATE TABLE logprobs (turn TEXT PRIMARY KEY REFERENCES turns (id) "
    "ON DELETE CASCADE, tokens BLOB NOT NULL) STRICT",
    (CURRENT[0], 3): "ALTER TABLE notebooks ADD COLUMN file TEXT NOT NULL DEFAULT ''",
}
"""The statements that bring a file of this version to the next one."""
DEVELOPMENT = [(0, version) for version in range(1, 7)]


class Database:
    """The file of mode 0600 in a folder, or a database in memory where there is no folder.

    Work runs on the database's own thread, which an interrupt cannot reach; every method returns a
    future. Raises StoreError if the file cannot be used.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = folder / FILE if folder else None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="di_magics-store")
        self._connection: Connection | None = None
        self._opened: tuple[int, int] | None = None
        self._set_aside: Path | None = None
        self._closed = False

    def write(self, work: Work[T]) -> Future[T]:
        """Run this work in a transaction, as the only writer."""
        return self._thread.submit(self._run, work, "BEGIN IMMEDIATE")

    def read(self, work: Work[T]) -> Future[T]:
        """Run work that only reads, on a snapshot of the file."""
        return self._thread.submit(self._run, work, "BEGIN")

    def vacuum(self) -> Future[None]:
        """Write the file anew, so that no byte of what was deleted stays in it."""

        def vacuum(db: Connection) -> None:
            db.execute("VACUUM")
            (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise sqlite3.OperationalError("deleted, but another kernel still reads it")

        return self._thread.submit(self._run, vacuum, None)

    def set_aside(self) -> Future[Path | None]:
        """Return the copy of an earlier version's file, if this kernel made one."""
        return self.read(lambda db: self._set_aside)

    def _run(self, work: Work[T], begin: str | None) -> T:
        try:
            if self._connection and self._opened != _identify(self.path):
                self._close_connection()  # the file was moved away or deleted: nobody would find it
            if self._connection is None:
                self._connection = self._open()
                self._opened = _identify(self.path)
            if begin is None:
                return work(self._connection)
            return _in_transaction(self._connection, work, begin)
        except DiMagicsError:
            raise
        # The last three: values that SQLite cannot hold, or rows that cannot be read.
        except (sqlite3.Error, OSError, ValueError, ArithmeticError, TypeError) as error:
            raise StoreError(_describe(error, self.path)) from error

    def _open(self) -> Connection:
        if self.path:
            # SQLite would let others read a file that it creates. An existing file is not opened
            # here: closing it would remove the locks of this process.
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                _create_private(self.path)
            _make_private(self.path)
        name = self.path or ":memory:"
        connection = sqlite3.connect(name, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, db: Connection) -> None:
        version = _version(db)
        if version not in (CURRENT, NEW, *MIGRATIONS, *DEVELOPMENT):
            raise StoreError(
                f"{one_line(self.path, 160)} is from a newer di_magics. Update di_magics, or set "
                "DI_MAGICS_HOME to another folder."
            )
        with suppress(sqlite3.OperationalError):  # network drives have no shared memory
            db.execute("PRAGMA journal_mode = WAL")
        (mode,) = db.execute("PRAGMA journal_mode").fetchone()
        # Without WAL, a power cut could damage a file that is written with NORMAL.
        db.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")
        db.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        if version != CURRENT:
            _in_transaction(db, self._update_tables, "BEGIN IMMEDIATE")
        db.execute("PRAGMA foreign_keys = ON")

    def _update_tables(self, db: Connection) -> None:
        version = _version(db)
        if version == CURRENT:  # another kernel was faster
            return
        if self.path and version in DEVELOPMENT:
            self._set_aside = _copy_aside(self.path)
            tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                db.execute(f'DROP TABLE "{table}"')
        application, number = CURRENT
        if version in MIGRATIONS:
            scripts = [MIGRATIONS[application, step] for step in range(version[1], number)]
        else:
            scripts = [SCHEMA.read_text("utf-8")]
        for script in scripts:
            for statement in script.split(";"):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {application}")
        db.execute(f"PRAGMA user_version = {number}")

    def close(self) -> None:
        """Finish the waiting work and close the file; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._thread.submit(self._close_connection)
        self._thread.shutdown(wait=True)

    def _close_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _identify(path: Path | None) -> tuple[int, int] | None:
    """Return what stays the same of a file while it is written, None if it is not there."""
    try:
        status = os.stat(path) if path else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None


def _version(db: Connection) -> tuple[int, int]:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (number,) = db.execute("PRAGMA user_version").fetchone()
    return application, number


def _create_private(path: Path) -> None:
    """Create an empty file of mode 0600. Raises FileExistsError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _make_private(path: Path) -> None:
    """Take the rights of others from a database and its `-wal` and `-shm` files.

    Raises StoreError for a symbolic link in their place: somebody else may have put it there.
    """
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        with suppress(FileNotFoundError):
            mode = os.lstat(file).st_mode
            if stat.S_ISLNK(mode):
                raise StoreError(
                    f"{one_line(file, 160)} is a symbolic link, so it is not used. Move it away, "
                    "or set DI_MAGICS_HOME to another folder."
                )
            if mode & 0o077:
                os.chmod(file, 0o600)


def _copy_aside(path: Path) -> Path:
    """Copy a database, with what is in its `-wal` file, to a name that is not in use."""
    for number in count(1):
        copy = path.with_name(f"{path.name}.old{number if number > 1 else ''}")
        with suppress(FileExistsError):
            _create_private(copy)
            break
    try:
        # The connection that writes cannot be copied.
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
    except BaseException:
        copy.unlink()
        raise
    return copy


def _describe(error: Exception, path: Path | None) -> str:
    reason, where = one_line(error, 120), one_line(path or "memory", 160)
    if "locked" in reason or "still reads" in reason:
        step = (
            "Another program uses that file, or its disk has no locks (NFS): try again in a "
            "moment, or set DI_MAGICS_HOME to a folder on a local disk."
        )
    elif "full" in reason or "disk I/O" in reason:
        step = "Free some space on that disk, or set DI_MAGICS_HOME to a folder on another one."
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
        if connection.in_transaction:  # with a full disk SQLite has ended it already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return done


def insert(db: Connection, table: str, row: Mapping[str, object], conflict: str = "") -> None:
    """Insert a row, given by column."""
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks}) {conflict}", list(row.values()))


def update_notebook(db: Connection, notebook: str, **columns: object) -> None:
    """Set columns of a notebook, which is added if it is missing."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
    action = f"DO UPDATE SET {changes}" if columns else "DO NOTHING"
    insert(db, "notebooks", {"id": notebook, **columns}, f"ON CONFLICT (id) {action}")


def to_utf8(text: str) -> str:
    """Return text that can be stored: a lone half of a surrogate pair becomes `?`."""
    return text.encode("utf-8", "replace").decode()
