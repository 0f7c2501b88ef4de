"""Turns on disk: what a turn is before it is sent, its outcome each second and once at the end.

Turns are only added; which of them are heads is a small state beside them.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import di_magics.storage.attachments as attachments
from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.conversation.record import (
    identity_record,
    outcome_record,
    parse_reply,
    parse_turn,
)
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import Entry
from di_magics.core.reply.reply import Reply
from di_magics.storage.database import Connection, Database, Work, to_utf8
from di_magics.storage.ledger import ABANDONED_SECONDS, add_entry, update_entry


@dataclass(frozen=True, slots=True)
class KnownNotebook:
    """A notebook the store knows: its id, and where it was."""

    id: str
    path: str | None


class Turns:
    """The conversations of all notebooks in a store."""

    def __init__(self, store: Database) -> None:
        self._store = store
        self._unwritten: list[Work[None]] = []

    def find_notebook(
        self, ids: Iterable[str], path: str | None, cells: Iterable[str], kernel: str
    ) -> Future[KnownNotebook | None]:
        """Return the notebook with the first id that is known, else the one at this path.

        At the path it must have had one of these cells, or this kernel.
        """

        def find(db: Connection) -> KnownNotebook | None:
            for each in ids:
                row = db.execute("SELECT id, path FROM notebooks WHERE id = ?", [each]).fetchone()
                if row:
                    return KnownNotebook(*row)
            names = list(cells)[:900]
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
        """Note where a notebook is, in which kernel, and that there is one."""

        def write(db: Connection) -> None:
            db.execute(
                "INSERT INTO notebooks (id, path, kernel) VALUES (?, ?, ?) ON CONFLICT (id) "
                "DO UPDATE SET path = excluded.path, kernel = excluded.kernel",
                [notebook, path, kernel],
            )

        return self._store.write(write)

    def begin(self, turn: Turn, entry: Entry, budget: Budget, *, kept: bool) -> Future[None]:
        """Write a turn, and what it may cost, before it is sent; if not `kept`, only the latter.

        The future raises BudgetError, and nothing is written, where the worst case does not fit
        the budget; no other kernel can come in between.
        """
        row = [*_identity(turn, entry.notebook), entry.begun, entry.begun]

        def write(db: Connection) -> None:
            add_entry(db, entry, budget)
            if not kept:
                return
            db.execute("INSERT OR IGNORE INTO notebooks (id) VALUES (?)", [entry.notebook])
            db.execute(
                "INSERT INTO turns (id, notebook, cell, prompt, identity, begun, touched) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            attachments.write(db, [turn])

        self.retry()
        return self._store.write(write)

    def retry(self) -> None:
        """Write the outcomes that could not be written when it was their time."""
        unwritten, self._unwritten = self._unwritten, []
        for write in unwritten:
            self._write_until_done(write)

    def _write_until_done(self, write: Work[None]) -> Future[None]:
        future = self._store.write(write)
        future.add_done_callback(
            lambda done: self._unwritten.append(write) if done.exception() else None
        )
        return future

    def checkpoint(self, turn: str, reply: Reply) -> Future[None]:
        """Write what has come of a reply so far, and what it costs."""
        return self._write_outcome(turn, reply, sealed=False)

    def seal(self, turn: str, reply: Reply) -> Future[None]:
        """Write the outcome of a turn, kept or not; nothing changes it afterwards."""
        return self._write_outcome(turn, reply, sealed=True)

    def settle_request(self, entry: str, reply: Reply) -> Future[None]:
        """Write what one request of a turn has cost; the turn goes on."""
        now = time.time()
        return self._write_until_done(lambda db: update_entry(db, entry, reply, now, sealed=True))

    def _write_outcome(self, turn: str, reply: Reply, *, sealed: bool) -> Future[None]:
        now = time.time()

        def write(db: Connection) -> None:
            db.execute(
                "UPDATE turns SET reply = ?, outcome = ?, touched = ?, sealed = ? "
                "WHERE id = ? AND NOT sealed",
                [*_outcome(reply), now, sealed, turn],
            )
            update_entry(db, turn, reply, now, sealed=sealed)

        return self._write_until_done(write) if sealed else self._store.write(write)

    def adopt(self, notebook: str, adopted: Iterable[Turn]) -> Future[None]:
        """Write turns whose replies are there already, and paid for."""
        now = time.time()
        adopted = list(adopted)
        rows = [[*_identity(turn, notebook), *_outcome(turn.reply), now, now] for turn in adopted]

        def write(db: Connection) -> None:
            db.execute("INSERT OR IGNORE INTO notebooks (id) VALUES (?)", [notebook])
            db.executemany(
                "INSERT INTO turns (id, notebook, cell, prompt, identity, reply, outcome, begun, "
                "touched, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
                rows,
            )
            attachments.write(db, adopted)

        return self._store.write(write)

    def seal_run(self, notebook: str, key: str, turn: str, reply: Reply) -> Future[None]:
        """Write the reply of a run of a grid, and what it cost."""
        now = time.time()

        def write(db: Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)",
                [notebook, key, *_outcome(reply)],
            )
            update_entry(db, turn, reply, now, sealed=True)

        return self._write_until_done(write)

    def runs(self, notebook: str, keys: Collection[str]) -> Future[dict[str, Reply]]:
        """Return the whole replies of a notebook's runs that there are, by key."""
        wanted = set(keys)

        def read(db: Connection) -> dict[str, Reply]:
            rows = db.execute("SELECT key, reply, outcome FROM runs WHERE notebook = ?", [notebook])
            found = (
                (key, parse_reply({**json.loads(became), "reply": text}))
                for key, text, became in rows
                if key in wanted
            )
            return {key: reply for key, reply in found if reply.complete}

        return self._store.read(read)

    def save_state(self, notebook: str, chat: Conversation) -> Future[None]:
        """Write which turns are heads and which each cell shows.

        What another kernel on the same notebook has written of other cells and conversations
        stays.
        """
        showing = {(cell.id, cell.ordinal): turn for cell, turn in chat.showing.items()}

        def write(db: Connection) -> None:
            before = _state(db, notebook)
            heads = {name: head for name, head in before.get("heads", {}).items() if head}
            seen = {(cell, ordinal): turn for cell, ordinal, turn in before.get("showing", ())}
            state = {
                "heads": heads | dict(chat.heads),
                "name": chat.name,
                "showing": [[*cell, turn] for cell, turn in (seen | showing).items()],
                "ahead": dict(chat.redo_heads),
            }
            db.execute(
                "INSERT INTO notebooks (id, state) VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET state = excluded.state",
                [notebook, _json(state)],
            )

        return self._store.write(write)

    def load(self, notebook: str) -> Future[Conversation]:
        """Return a notebook's conversation; a turn that was abandoned half way is `cut`."""

        def read(db: Connection) -> Conversation:
            lost = time.time() - ABANDONED_SECONDS
            rows = db.execute(
                "SELECT prompt, reply, identity, outcome, touched, sealed FROM turns "
                "WHERE notebook = ? ORDER BY number",
                [notebook],
            ).fetchall()
            with _pause_gc():
                turns: dict[str, Turn] = {}
                for turn in _read(rows, notebook, lost):
                    orphan = turn.parent not in turns  # its parent was forgotten
                    turns[turn.id] = replace(turn, parent=None) if orphan else turn
                attachments.read(db, notebook, turns)
                return _with_state(turns, _state(db, notebook))

        return self._store.read(read)

    def copy(self, notebook: str, new: str, path: str | None) -> Future[None]:
        """Copy a notebook's turns under a new id; they cost nothing a second time."""

        def write(db: Connection) -> None:
            state = _json(_state(db, notebook))
            rows = db.execute(
                "SELECT id, cell, prompt, reply, identity, outcome, begun, touched FROM turns "
                "WHERE notebook = ? ORDER BY number",
                [notebook],
            ).fetchall()
            ids = {row[0]: f"{row[0]}-{new[:8]}" for row in rows}
            db.execute(
                "INSERT INTO notebooks (id, path, state, budget) "
                "SELECT ?, ?, ?, budget FROM notebooks WHERE id = ?",
                [new, path, _renamed(state, ids), notebook],
            )
            for old, cell, prompt, reply, known, became, begun, touched in rows:
                free = json.loads(became or "{}") | {"cost": None}
                row = [ids[old], new, cell, prompt, reply, _renamed(known, ids), _json(free)]
                db.execute(
                    "INSERT INTO turns (id, notebook, cell, prompt, reply, identity, outcome, "
                    "begun, touched, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
                    [*row, begun, touched],
                )
            attachments.copy(db, ids)

        return self._store.write(write)

    def forget(self, turns: Collection[str] | None, head: tuple[str, str] | None) -> Future[int]:
        """Delete these turns, or those of all notebooks, for good; the ledger stays.

        `head` is a notebook and the name of its conversation to take out; its grids go along. The
        future's result is how many turns there were.
        """

        def write(db: Connection) -> int:
            if turns is None:
                db.execute("DELETE FROM runs")
                return db.execute("DELETE FROM turns").rowcount
            if head:
                notebook, name = head
                db.execute("DELETE FROM runs WHERE notebook = ?", [notebook])
                state = _state(db, notebook)
                state.get("heads", {}).pop(name, None)
                db.execute("UPDATE notebooks SET state = ? WHERE id = ?", [_json(state), notebook])
            return sum(
                db.execute("DELETE FROM turns WHERE id = ?", [turn]).rowcount for turn in turns
            )

        return self._store.erase(write)


def _identity(turn: Turn, notebook: str) -> list[str | None]:
    """Return the columns of what a turn is: id, notebook, cell, prompt and the rest as JSON."""
    known = identity_record(turn)
    prompt = to_utf8(known.pop("prompt"))
    known.pop("notebook", None)  # the row says it
    return [turn.id, notebook, turn.cell.id if turn.cell else None, prompt, _json(known)]


def _outcome(reply: Reply) -> list[str]:
    """Return the columns of what became of a turn: the text and the rest as JSON."""
    became = outcome_record(reply)
    return [to_utf8(became.pop("reply", "")), _json(became)]


@contextmanager
def _pause_gc() -> Iterator[None]:
    """Keep the collector from walking again and again over what is just being read."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


def _read(rows: Sequence[tuple[Any, ...]], notebook: str, lost: float) -> Iterator[Turn]:
    """Yield the turns of these rows; one untouched since `lost` and not sealed is cut."""
    identities = _objects([row[2] for row in rows])
    outcomes = _objects([row[3] or "{}" for row in rows])
    for row, known, became in zip(rows, identities, outcomes, strict=True):
        prompt, text, _, _, touched, sealed = row
        texts = {"prompt": prompt, "reply": text, "notebook": notebook}
        turn = parse_turn(became | known | texts)
        if not sealed:
            status: Any = "open" if touched > lost else "cut"
            turn = replace(turn, reply=replace(turn.reply, status=status))
        yield turn


def _state(db: Connection, notebook: str) -> dict[str, Any]:
    row = db.execute("SELECT state FROM notebooks WHERE id = ?", [notebook]).fetchone()
    state: dict[str, Any] = json.loads(row[0]) if row else {}
    return state


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
    chat = Conversation(turns, heads or {"main": None}, showing=showing, redo_heads=ahead)
    name = str(state.get("name"))
    return replace(chat, name=name) if name in chat.heads else chat


def _objects(texts: list[str]) -> list[dict[str, Any]]:
    """Read many small objects of JSON, at once because the call costs more than the reading."""
    found: list[dict[str, Any]] = json.loads(f"[{','.join(texts)}]")
    return found


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
