"""The file that holds all state: private, of one version, safe with several kernels at it."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from di_magics.core.conversation.cells import NotebookLocation
from di_magics.core.errors import StoreError
from di_magics.storage import database as storing
from di_magics.storage.database import Connection, Database
from di_magics.storage.ledger import Ledger
from di_magics.storage.notebook import find_notebook
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


def test_an_existing_file_that_others_can_read_is_made_private(tmp_path: Path) -> None:
    """Whoever gave it those rights, and also what SQLite has put beside it."""
    first = Database(tmp_path)
    first.write(write).result()
    result = list(tmp_path.glob("conversations.sqlite3*"))
    for path in result:
        path.chmod(0o644)
    second = Database(tmp_path)
    second.read(lambda db: db.execute("SELECT 1").fetchone()).result()
    assert {stat.S_IMODE(path.stat().st_mode) for path in result} == {0o600}
    second.close()
    first.close()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_symbolic_link_in_the_place_of_a_file_is_not_followed(
    tmp_path: Path, suffix: str
) -> None:
    """What it leads to stays as it is."""
    target = tmp_path / "elsewhere"
    (tmp_path / f"conversations.sqlite3{suffix}").symlink_to(target)
    store = Database(tmp_path)
    with pytest.raises(StoreError, match="symbolic link"):
        store.write(write).result()
    store.close()
    assert not target.exists()


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    """The same work runs in memory."""
    store = Database(None)
    store.write(write).result()
    assert store.read(lambda db: db.execute("SELECT id FROM notebooks").fetchall()).result()
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_failed_work_is_rolled_back(tmp_path: Path) -> None:
    """An error half way leaves nothing behind, and is the caller's."""

    def half(db: Connection) -> None:
        write(db)
        raise KeyError("half way")

    store = Database(tmp_path)
    with pytest.raises(KeyError):
        store.write(half).result()
    assert store.read(lambda db: db.execute("SELECT * FROM notebooks").fetchall()).result() == []
    store.close()


@pytest.mark.parametrize("version", [(storing.CURRENT[0], storing.CURRENT[1] + 1), (0, 7), (5, 1)])
def test_a_file_from_a_newer_version_is_left_alone(
    tmp_path: Path, version: tuple[int, int]
) -> None:
    """The error says to update; no byte of the file changes."""
    path = tmp_path / storing.FILE
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA application_id = {version[0]}")
        db.execute(f"PRAGMA user_version = {version[1]}")
    before = path.read_bytes()
    store = Database(tmp_path)
    with pytest.raises(StoreError, match="newer"):
        store.write(write).result()
    store.close()
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == {path: before}


def test_a_file_that_is_not_a_database_is_an_error(tmp_path: Path) -> None:
    """The error names the file, and the ways out."""
    (tmp_path / storing.FILE).write_bytes(b"no database " * 100)
    store = Database(tmp_path)
    with pytest.raises(StoreError, match="DI_MAGICS_HOME"):
        store.write(write).result()
    store.close()


EARLIER = {1: "schema_1.sql", 2: "schema_2.sql"}
"""The tables of a file of an earlier version, as they were then."""


def tables(db: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return the columns of all tables, with their types and defaults."""
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: db.execute(f"PRAGMA table_info({name})").fetchall() for name in names}


@pytest.mark.parametrize("version", EARLIER)
def test_a_file_of_an_earlier_version_keeps_all_and_gets_what_it_lacks(
    tmp_path: Path, version: int
) -> None:
    """While a kernel of that version goes on writing; afterwards it is like a new one."""
    old = sqlite3.connect(tmp_path / storing.FILE, isolation_level=None)
    old.execute("PRAGMA journal_mode = WAL")
    old.executescript(Path(__file__).with_name(EARLIER[version]).read_text("utf-8"))
    old.execute(f"PRAGMA application_id = {storing.CURRENT[0]}")
    old.execute(f"PRAGMA user_version = {version}")
    entry = (
        "INSERT INTO ledger (turn, notebook, conversation, model, endpoint, begun, touched, "
        "sealed, status, cost, estimate) VALUES (?, 'n', 'main', 'm', 'e', 1, 1, 1, 'done', 2, '')"
    )
    old.execute("INSERT INTO notebooks (id, spent) VALUES ('n', '2')")
    old.execute(entry, ["before"])
    store = Database(tmp_path)
    assert store.set_aside().result() is None
    old.execute(entry, ["after"])
    entries = Ledger(store, "n").entries()
    assert [(found.turn, str(found.cost)) for found in entries] == [("before", "2"), ("after", "2")]
    (tmp_path / "new").mkdir()
    new = Database(tmp_path / "new")
    assert store.read(tables).result() == new.read(tables).result()
    assert Ledger(store, "n").committed().notebook == 2
    for database in (store, new, old):
        database.close()


class WithoutWal(sqlite3.Connection):
    """A connection on a drive where SQLite cannot have its write-ahead log."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == "PRAGMA journal_mode = WAL":
            raise sqlite3.OperationalError("locking protocol")
        return super().execute(sql, *values)


@pytest.mark.parametrize("drive", ["no shared memory", "an error"])
def test_a_drive_without_a_write_ahead_log_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drive: str
) -> None:
    """As a network drive: two kernels share the file, which is written with more care."""
    connect: Any = sqlite3.connect

    def connect_to_drive(name: Path, **options: Any) -> Any:
        if drive == "an error":
            return connect(name, factory=WithoutWal, **options)
        return connect(f"file:{name}?vfs=unix-dotfile", uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", connect_to_drive)
    one, two = Database(tmp_path), Database(tmp_path)
    for number, store in enumerate((one, two, one)):
        store.write(partial(write_named, name=f"secret-{number}")).result()
    for store in (one, two):
        assert store.read(count_notebooks).result() == 3
        settings = store.read(
            lambda db: [db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("journal_mode", SYNC)]
        )
        assert settings.result() == ["delete", FULL]
    two.write(lambda db: db.execute("DELETE FROM notebooks")).result()
    two.vacuum().result()
    one.close()
    two.close()
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


SYNC, FULL = "synchronous", 2


def write_named(db: Connection, name: str) -> None:
    """Write a notebook of this name."""
    db.execute("INSERT INTO notebooks (id) VALUES (?)", [name])


def count_notebooks(db: Connection) -> int:
    """Return how many notebooks there are."""
    (number,) = db.execute("SELECT count(*) FROM notebooks").fetchone()
    return int(number)


@pytest.mark.parametrize("fate", ["deleted", "moved", "replaced", "deleted with its folder"])
def test_a_file_that_is_gone_is_made_anew(tmp_path: Path, fate: str) -> None:
    """What is written from then on is where the next kernel looks for it."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    store = Database(home)
    store.write(lambda db: write_named(db, "before")).result()
    path = home / storing.FILE
    if fate == "moved":
        path.rename(home / "away.sqlite3")
    elif fate == "deleted with its folder":
        shutil.rmtree(home)
    else:
        path.unlink()
    if fate == "replaced":
        other = Database(home)
        other.write(lambda db: write_named(db, "other")).result()
        other.close()
    store.write(lambda db: write_named(db, "after")).result()
    store.close()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    with closing(sqlite3.connect(path)) as db:
        names = [name for (name,) in db.execute("SELECT id FROM notebooks ORDER BY id")]
    assert names == (["after", "other"] if fate == "replaced" else ["after"])


def development_file(folder: Path, version: int = 6) -> sqlite3.Connection:
    """Return a connection to a file of a development version, as a kernel holds it."""
    db = sqlite3.connect(folder / storing.FILE, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE notebooks (id TEXT PRIMARY KEY)")
    db.execute("CREATE TABLE turns (id TEXT, notebook TEXT REFERENCES notebooks (id))")
    db.execute("INSERT INTO notebooks VALUES ('n')")
    db.execute("INSERT INTO turns VALUES ('precious', 'n')")
    db.execute(f"PRAGMA user_version = {version}")
    return db


def turns_in(path: Path) -> list[tuple[str, ...]]:
    """Return the turns in a file, read as a file on its own."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT id FROM turns").fetchall()


@pytest.mark.parametrize("version", range(1, 7))
def test_a_development_file_is_set_aside(tmp_path: Path, version: int) -> None:
    """All of it is in a private copy, though a kernel still holds it and its `-wal` file."""
    old = development_file(tmp_path, version)
    store = Database(tmp_path)
    copy = store.set_aside().result()
    assert copy == tmp_path / "conversations.sqlite3.old"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    store.write(write).result()
    store.close()
    old.close()
    assert turns_in(copy) == [("precious",)]
    assert turns_in(tmp_path / storing.FILE) == []
    assert {path.name for path in tmp_path.iterdir()} == {storing.FILE, copy.name}


def test_setting_aside_overwrites_nothing(tmp_path: Path) -> None:
    """A copy that is there already stays, and the next one has a number."""
    mine = tmp_path / "conversations.sqlite3.old"
    mine.write_bytes(b"mine")
    development_file(tmp_path).close()
    store = Database(tmp_path)
    copy = store.set_aside().result()
    store.close()
    assert copy == tmp_path / "conversations.sqlite3.old2"
    assert turns_in(copy) == [("precious",)]
    assert mine.read_bytes() == b"mine"


def test_a_development_file_is_set_aside_once(tmp_path: Path) -> None:
    """The next kernel opens the new file, and has nothing to say."""
    development_file(tmp_path).close()
    for copied in (True, False):
        store = Database(tmp_path)
        assert bool(store.set_aside().result()) is copied
        store.close()


@pytest.mark.parametrize("cell", [None, "c"])
def test_the_first_line_says_what_was_set_aside(tmp_path: Path, cell: str | None) -> None:
    """In a notebook and in a terminal; the conversation is a new one."""
    development_file(tmp_path).close()
    store = Database(tmp_path)
    result = find_notebook(store, NotebookLocation(cell=cell), "new")
    store.close()
    assert result
    assert result[0] == "new"
    assert str(tmp_path / "conversations.sqlite3.old") in result[1]


def test_a_development_file_in_the_middle_of_a_write_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says to try again, and a moment later it works."""
    monkeypatch.setattr(storing, "BUSY_SECONDS", 0.01)
    old = development_file(tmp_path)
    old.execute("BEGIN IMMEDIATE")
    old.execute("INSERT INTO turns VALUES ('late', 'n')")
    store = Database(tmp_path)
    with pytest.raises(StoreError, match="try again"):
        store.write(write).result()
    old.execute("COMMIT")
    old.close()
    copy = store.set_aside().result()
    store.close()
    assert copy
    assert turns_in(copy) == [("precious",), ("late",)]


@pytest.mark.parametrize("broken", ["closing", "SCHEMA"])
def test_a_failure_to_set_aside_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Whether the copy or the new tables cannot be written, the file is what it was."""
    development_file(tmp_path).close()

    def refuse(connection: sqlite3.Connection) -> None:
        connection.close()
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        missing = tmp_path / "is not there"
        patch.setattr(storing, broken, refuse if broken == "closing" else missing)
        store = Database(tmp_path)
        with pytest.raises(StoreError):
            store.write(write).result()
        store.close()
    assert turns_in(tmp_path / storing.FILE) == [("precious",)]
    if broken == "closing":
        assert [path.name for path in tmp_path.iterdir()] == [storing.FILE]


WRITER = """
import sys
from pathlib import Path
from di_magics.core.conversation.turn import Turn
from di_magics.core.money.budget import Budget
from di_magics.core.money.tally import Entry
from di_magics.core.reply.reply import UNCOUNTED, Reply
from di_magics.storage.database import Database
from di_magics.storage.journal import Journal
store = Database(Path(sys.argv[1]))
journal = Journal(store)
for number in range(100):
    turn = Turn(f"{sys.argv[2]}-{number}", "hi", notebook="n")
    entry = Entry(turn.id, "n", "main", "m", "e", 1.0, "", "open", UNCOUNTED)
    journal.begin(turn, entry, Budget(), is_turn=True)
    journal.checkpoint(turn.id, Reply(text="h"))
    last = journal.seal(turn.id, Reply(text="hi", status="done"))
last.result()
store.close()
"""


@pytest.mark.parametrize("old", [False, True])
def test_processes_at_the_same_time_lose_nothing(tmp_path: Path, old: bool) -> None:
    """Four kernels on a new or a development file, a hundred turns each: none met a lock."""
    if old:
        development_file(tmp_path).close()
    writers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), name])
        for name in "abcd"
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    store = Database(tmp_path)
    chat = Turns(store, "n").load()
    entries = Ledger(store, "n").entries()
    store.close()
    assert len(chat.turns) == len(entries) == 400
    assert all(item.reply.text == "hi" for item in chat.turns.values())
    copies = [path for path in tmp_path.iterdir() if "old" in path.name]
    assert [turns_in(path) for path in copies] == [[("precious",)]] * old
