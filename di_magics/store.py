"""Turns on disk: the only file that imports sqlite3, and the only thread that uses it.

What a turn is, is written before it is sent; its outcome each second, and once at the end. Turns
are only added; which of them are heads is a small state beside them.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from di_magics.core.chat import Cell, Conversation, Turn
from di_magics.core.errors import StoreError, one_line
from di_magics.core.record import from_record, identity, outcome
from di_magics.core.reply import Reply

T = TypeVar("T")

FILE = "conversations.sqlite3"
BUSY_SECONDS = 10.0
ABANDONED_SECONDS = 10.0
"""A turn that nobody has touched for so long was cut off by the end of its kernel."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE notebooks (id TEXT PRIMARY KEY, path TEXT, state TEXT NOT NULL DEFAULT '{}')"
        " STRICT",
        "CREATE TABLE turns (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, notebook TEXT NOT"
        " NULL REFERENCES notebooks (id), cell TEXT, identity TEXT NOT NULL, outcome TEXT, begun"
        " REAL NOT NULL, touched REAL NOT NULL, sealed INTEGER NOT NULL DEFAULT 0) STRICT",
        "CREATE INDEX turns_by_notebook ON turns (notebook, number)",
        "CREATE INDEX turns_by_cell ON turns (cell)",
    ),
)


@dataclass(frozen=True, slots=True)
class Known:
    """A notebook the store knows: its id, and where it was."""

    id: str
    path: str | None


class Store:
    """The conversations of all notebooks, in one file of mode 0600.

    Each method hands its work to the store's own thread and returns a future. Raises StoreError
    where the file cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="di_magics-store")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        return self._thread.submit(self._guarded, work)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._opened()
            return _in_transaction(self._connection, work)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The conversations in {one_line(self.path, 160)} cannot be used "
                f"({one_line(error, 120)}). Move that file away, or set DI_MAGICS_HOME to another "
                "folder, or to off to keep nothing."
            ) from error

    def _opened(self) -> sqlite3.Connection:
        # Made by us, or others could read it for a moment.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection, self.path)
        return connection

    def known(
        self, ids: Iterable[str], path: str | None, cells: Iterable[str]
    ) -> Future[Known | None]:
        """Return the notebook with the first id that is known, else one at this path and cells."""

        def find(db: sqlite3.Connection) -> Known | None:
            for each in ids:
                row = db.execute("SELECT id, path FROM notebooks WHERE id = ?", [each]).fetchone()
                if row:
                    return Known(*row)
            names = list(cells)[:900]
            marks = ",".join("?" * len(names))
            row = db.execute(
                "SELECT notebooks.id, path FROM turns JOIN notebooks ON notebook = notebooks.id "
                f"WHERE path = ? AND cell IN ({marks}) ORDER BY number DESC LIMIT 1",
                [path, *names],
            ).fetchone()
            return Known(*row) if row else None

        return self._do(find)

    def place(self, notebook: str, path: str | None) -> Future[None]:
        """Note where a notebook is, and that there is one."""

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO notebooks (id, path) VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET path = excluded.path",
                [notebook, path],
            )

        return self._do(write)

    def begin(self, notebook: str, turn: Turn) -> Future[None]:
        """Write a turn before it is sent."""
        now = time.time()
        row = [turn.id, notebook, turn.cell.id if turn.cell else None, _json(identity(turn))]

        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR IGNORE INTO notebooks (id) VALUES (?)", [notebook])
            db.execute(
                "INSERT INTO turns (id, notebook, cell, identity, begun, touched) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [*row, now, now],
            )

        return self._do(write)

    def checkpoint(self, turn: str, reply: Reply) -> Future[None]:
        """Write what has come of a reply so far."""
        return self._write_outcome(turn, reply, sealed=False)

    def seal(self, turn: str, reply: Reply) -> Future[None]:
        """Write the outcome of a turn; nothing changes it afterwards."""
        return self._write_outcome(turn, reply, sealed=True)

    def _write_outcome(self, turn: str, reply: Reply, *, sealed: bool) -> Future[None]:
        now = time.time()

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE turns SET outcome = ?, touched = ?, sealed = ? WHERE id = ? AND NOT sealed",
                [_json(outcome(reply)), now, sealed, turn],
            )

        return self._do(write)

    def keep(self, notebook: str, chat: Conversation) -> Future[None]:
        """Write which turns are heads and which each cell shows."""
        state = {
            "heads": dict(chat.heads),
            "name": chat.name,
            "showing": [[*cell, turn] for cell, turn in chat.showing.items()],
            "ahead": dict(chat.ahead),
        }

        def write(db: sqlite3.Connection) -> None:
            db.execute("UPDATE notebooks SET state = ? WHERE id = ?", [_json(state), notebook])

        return self._do(write)

    def load(self, notebook: str) -> Future[Conversation]:
        """Return a notebook's conversation; a turn that was abandoned half way is `cut`."""

        def read(db: sqlite3.Connection) -> Conversation:
            now = time.time()
            found = db.execute("SELECT state FROM notebooks WHERE id = ?", [notebook]).fetchone()
            turns: dict[str, Turn] = {}
            for identity_, outcome_, touched, sealed in db.execute(
                "SELECT identity, outcome, touched, sealed FROM turns WHERE notebook = ? "
                "ORDER BY number",
                [notebook],
            ):
                try:
                    turn = from_record(json.loads(outcome_ or "{}") | json.loads(identity_))
                except ValueError:  # forgotten
                    continue
                if not sealed:
                    abandoned = now - touched > ABANDONED_SECONDS
                    reply = replace(turn.reply, status="cut" if abandoned else "open")
                    turn = replace(turn, reply=reply)
                if turn.parent not in turns:
                    turn = replace(turn, parent=None)
                turns[turn.id] = turn
            return _with_state(turns, json.loads(found[0]) if found else {})

        return self._do(read)

    def copy(self, notebook: str, new: str, path: str | None) -> Future[None]:
        """Copy a notebook's turns under a new id; they cost nothing a second time."""

        def write(db: sqlite3.Connection) -> None:
            (state,) = db.execute("SELECT state FROM notebooks WHERE id = ?", [notebook]).fetchone()
            rows = db.execute(
                "SELECT id, cell, identity, outcome, begun, touched FROM turns "
                "WHERE notebook = ? ORDER BY number",
                [notebook],
            ).fetchall()
            ids = {row[0]: f"{row[0]}-{new[:8]}" for row in rows}
            db.execute(
                "INSERT INTO notebooks (id, path, state) VALUES (?, ?, ?)",
                [new, path, _renamed(state, ids)],
            )
            for old, cell, identity_, outcome_, begun, touched in rows:
                free = json.loads(outcome_ or "{}") | {"cost": None}
                db.execute(
                    "INSERT INTO turns (id, notebook, cell, identity, outcome, begun, touched, "
                    "sealed) VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
                    [ids[old], new, cell, _renamed(identity_, ids), _json(free), begun, touched],
                )

        return self._do(write)

    def forget(self, notebook: str | None, turns: Iterable[str] = ()) -> Future[int]:
        """Delete the texts of these turns, or of all notebooks, for good; costs are kept.

        The future's result is how many turns there were.
        """
        chosen = set(turns)

        def write(db: sqlite3.Connection) -> int:
            rows = db.execute("SELECT id, identity, outcome, notebook FROM turns").fetchall()
            gone = [
                row for row in rows if notebook is None or (row[3] == notebook and row[0] in chosen)
            ]
            for each, identity_, outcome_, _ in gone:
                known, became = json.loads(identity_), json.loads(outcome_ or "{}")
                bare = {name: known.get(name) for name in ("turn", "asked", "endpoint")}
                cost = {name: became.get(name) for name in ("status", "model", "usage", "cost")}
                db.execute(
                    "UPDATE turns SET identity = ?, outcome = ?, cell = NULL, sealed = 1 "
                    "WHERE id = ?",
                    [_json(bare), _json(cost), each],
                )
            return len(gone)

        def vacuum(written: Future[int]) -> int:
            count = written.result()
            assert self._connection
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return count

        return self._thread.submit(vacuum, self._do(write))

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


def _in_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Do all of the work or none; at once the only writer, so that it never fails half way."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = work(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return done


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a file to today's form, each step once, whoever else is at it.

    Raises StoreError for a file of a newer version than this one, which is left as it is.
    """

    def version_of(db: sqlite3.Connection) -> int:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        return int(version)

    def step(db: sqlite3.Connection) -> None:
        version = version_of(db)
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{one_line(path, 160)} is from a newer di_magics. Update di_magics, or set "
                "DI_MAGICS_HOME to another folder."
            )
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    if version_of(connection) != len(MIGRATIONS):
        _in_transaction(connection, step)


def _with_state(turns: Mapping[str, Turn], state: Mapping[str, Any]) -> Conversation:
    """Return the conversation; what the state says of turns that are not there is left out."""
    heads = {
        name: head for name, head in state.get("heads", {}).items() if head is None or head in turns
    }
    showing = {
        Cell(cell, ordinal): turn
        for cell, ordinal, turn in state.get("showing", ())
        if turn in turns
    }
    ahead = {name: turn for name, turn in state.get("ahead", {}).items() if turn in turns}
    chat = Conversation(turns, heads or {"main": None}, showing=showing, ahead=ahead)
    name = str(state.get("name"))
    return replace(chat, name=name) if name in chat.heads else chat


def _renamed(text: str, ids: Mapping[str, str]) -> str:
    def walk(found: Any) -> Any:
        if isinstance(found, dict):
            return {key: walk(value) for key, value in found.items()}
        if isinstance(found, list):
            return [walk(value) for value in found]
        return ids.get(found, found) if isinstance(found, str) else found

    return _json(walk(json.loads(text)))


def _json(found: object) -> str:
    return json.dumps(found, ensure_ascii=True, separators=(",", ":"))
