"""The file that holds all state: private, migrated, and safe with several kernels at it."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path

import pytest

from di_magics.core.errors import StoreError
from di_magics.storage import database as storing
from di_magics.storage.database import MIGRATIONS, Connection, Database
from di_magics.storage.ledger import Ledger
from di_magics.storage.turns import Turns


def write(db: Connection) -> None:
    """Write something."""
    db.execute("INSERT INTO notebooks (id) VALUES ('n')")


def test_the_file_is_private(tmp_path: Path) -> None:
    """Only its owner can read it, and what SQLite puts beside it."""
    store = Database(tmp_path)
    store.write(write).result()
    found = list(tmp_path.glob("conversations.sqlite3*"))
    assert len(found) > 1
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.close()


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    """The same works in memory."""
    store = Database(None)
    store.write(write).result()
    assert store.read(lambda db: db.execute("SELECT id FROM notebooks").fetchall()).result()
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_work_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    """An error half way leaves nothing behind, and is the caller's."""

    def half(db: Connection) -> None:
        write(db)
        raise KeyError("half way")

    store = Database(tmp_path)
    with pytest.raises(KeyError):
        store.write(half).result()
    assert store.read(lambda db: db.execute("SELECT * FROM notebooks").fetchall()).result() == []
    store.close()


def test_a_file_from_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """The line says to update; nothing is written."""
    with sqlite3.connect(tmp_path / storing.FILE) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    store = Database(tmp_path)
    with pytest.raises(StoreError, match="newer"):
        store.write(write).result()
    store.close()


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    """What is no database is named, with the ways out."""
    (tmp_path / storing.FILE).write_bytes(b"no database " * 100)
    store = Database(tmp_path)
    with pytest.raises(StoreError, match="DI_MAGICS_HOME"):
        store.write(write).result()
    store.close()


def of_version(path: Path, version: int) -> sqlite3.Connection:
    """Return a file as an earlier version of the package made it."""
    db = sqlite3.connect(path, isolation_level=None)
    for step in MIGRATIONS[:version]:
        step(db)
    db.execute(f"PRAGMA user_version = {version}")
    return db


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_each_migration_leads_to_the_next(tmp_path: Path, version: int) -> None:
    """From every earlier version an empty file comes to today's."""
    db = of_version(tmp_path / "f", version)
    storing.migrate(db, tmp_path)
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert db.execute("SELECT count(*) FROM turns").fetchone() == (0,)
    db.close()


def test_version_2_takes_the_texts_and_the_costs_of_version_1(tmp_path: Path) -> None:
    """The conversation is what it was, and its costs are in the ledger."""
    db = of_version(tmp_path / storing.FILE, 1)
    db.execute(
        "INSERT INTO notebooks VALUES ('n', NULL, ?)", [json.dumps({"heads": {"main": "b"}})]
    )
    asked = {"turn": "a", "prompt": "ä \ud83d?", "asked": "m", "endpoint": "e"}
    became = {
        "status": "done",
        "reply": "yes",
        "usage": {"prompt_tokens": 7, "cached_tokens": None},
        "cost": "0.00001",
    }
    forgotten = {"turn": "c", "asked": "m"}
    rows = [("a", asked, became), ("b", {"turn": "b", "parent": "a", "prompt": "B"}, None)]
    for turn, known, outcome in [*rows, ("c", forgotten, became)]:
        db.execute(
            "INSERT INTO turns VALUES (NULL, ?, 'n', NULL, ?, ?, 1.0, 2.0, 1)",
            [turn, json.dumps(known), outcome and json.dumps(outcome)],
        )
    db.close()
    store = Database(tmp_path)
    path = Turns(store).load("n").result().path()
    entries = Ledger(store).entries("n").result()
    store.close()
    assert [(turn.prompt, turn.reply.text) for turn in path] == [("ä ??", "yes"), ("B", "")]
    assert [(entry.turn, entry.cost) for entry in entries] == [
        ("a", Decimal("0.00001")),
        ("b", None),
        ("c", Decimal("0.00001")),
    ]
    assert entries[0].usage.prompt_tokens == 7


WRITER = """
import sys
from pathlib import Path
from di_magics.core.conversation.conversation import Turn
from di_magics.core.money.cost import Entry
from di_magics.core.reply.reply import UNCOUNTED, Reply
from di_magics.storage.database import Database
from di_magics.storage.turns import Turns
store = Database(Path(sys.argv[1]))
turns = Turns(store)
for number in range(100):
    turn = Turn(f"{sys.argv[2]}-{number}", "hi", notebook="n")
    entry = Entry(turn.id, "n", "main", "m", "e", 1.0, "", "open", UNCOUNTED)
    turns.begin(turn, entry, None, kept=True)
    turns.checkpoint(turn.id, Reply(text="h"))
    last = turns.seal(turn.id, Reply(text="hi", status="done"))
last.result()
store.close()
"""


def test_processes_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Four kernels on one new file, a hundred turns each: all are there, and none met a lock."""
    writers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), name])
        for name in "abcd"
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    store = Database(tmp_path)
    chat = Turns(store).load("n").result()
    entries = Ledger(store).entries("n").result()
    store.close()
    assert len(chat.turns) == len(entries) == 400
    assert all(each.reply.text == "hi" for each in chat.turns.values())
