"""What is kept on disk: turns before they are sent, outcomes once, nothing that is forgotten."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from di_magics import store as storing
from di_magics.core.chat import Cell, Conversation, Turn
from di_magics.core.errors import StoreError
from di_magics.core.reply import Reply, Usage
from di_magics.store import MIGRATIONS, Store

DONE = Reply(
    text="yes", status="done", ended=True, usage=Usage(1, 2, 3), cost=Decimal("0.00001"), model="m"
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in a folder of its own."""
    store = Store(tmp_path)
    yield store
    store.close()


def kept(store: Store, *turns: Turn) -> Conversation:
    """Write turns as a session does, and return the conversation."""
    chat = Conversation()
    for turn in turns:
        store.begin("n", turn).result()
        store.seal(turn.id, turn.reply).result()
        chat = chat.with_turn(turn)
    store.keep("n", chat).result()
    return chat


def turn(name: str, parent: str | None = None) -> Turn:
    """Return a turn that is done, in a cell of its name."""
    return Turn(name, f"prompt {name}", parent, Cell(name, 0), notebook="n", model="m", reply=DONE)


def test_a_conversation_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    """Turns, heads, and what each cell shows survive the process."""
    chat = kept(store, turn("a"), turn("b", "a")).undone().forked("other")
    store.keep("n", chat).result()
    store.close()
    again = Store(tmp_path)
    assert again.load("n").result() == chat
    again.close()


def test_the_file_is_private(store: Store) -> None:
    """Only its owner can read it, and what SQLite puts beside it."""
    kept(store, turn("a"))
    for path in store.path.parent.glob("conversations.sqlite3*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_outcome_is_sealed_once(store: Store) -> None:
    """A checkpoint or a second seal that comes late changes nothing."""
    kept(store, turn("a"))
    store.checkpoint("a", replace(DONE, text="late", status="open")).result()
    store.seal("a", replace(DONE, text="late")).result()
    assert store.load("n").result().turns["a"].reply.text == "yes"


def test_a_turn_nobody_finished_is_cut(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Untouched for ten seconds it has lost its kernel; until then another may be at it."""
    store.begin("n", turn("a")).result()
    store.checkpoint("a", Reply(text="half")).result()
    assert store.load("n").result().turns["a"].reply.status == "open"
    monkeypatch.setattr(storing, "ABANDONED_SECONDS", -1)
    reply = store.load("n").result().turns["a"].reply
    assert (reply.text, reply.status) == ("half", "cut")


def test_what_is_forgotten_is_gone_from_the_file(store: Store) -> None:
    """No byte of prompt or reply is left; the costs are."""
    secret = replace(turn("a"), prompt="a-secret-prompt", reply=replace(DONE, text="its-reply"))
    kept(store, secret, turn("b", "a"))
    assert store.forget("n", ["a"]).result() == 1
    store.close()
    data = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert b"a-secret-prompt" not in data
    assert b"its-reply" not in data
    with sqlite3.connect(store.path) as db:
        outcome = db.execute("SELECT outcome FROM turns WHERE id = 'a'").fetchone()[0]
    assert "0.00001" in outcome


def test_what_hung_on_a_forgotten_turn_stays(store: Store) -> None:
    """It is a root then."""
    kept(store, turn("a"), turn("b", "a"))
    store.forget("n", ["a"]).result()
    assert [each.id for each in store.load("n").result().path()] == ["b"]


def test_a_copy_has_ids_of_its_own_and_costs_nothing(store: Store) -> None:
    """A copied notebook begins with the same turns and does not pay for them again."""
    kept(store, turn("a"), turn("b", "a"))
    store.copy("n", "copy-of-it", "/other.ipynb").result()
    path = store.load("copy-of-it").result().path()
    assert [each.prompt for each in path] == ["prompt a", "prompt b"]
    assert {each.id for each in path}.isdisjoint({"a", "b"})
    assert all(each.reply.cost is None for each in path)
    assert [each.id for each in store.load("n").result().path()] == ["a", "b"]


def test_a_file_from_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """The line says to update; nothing is written."""
    with sqlite3.connect(tmp_path / storing.FILE) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="newer"):
        store.load("n").result()
    store.close()


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    """What is no database is named, with the ways out."""
    (tmp_path / storing.FILE).write_bytes(b"no database " * 100)
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="DI_MAGICS_HOME"):
        store.load("n").result()
    store.close()


def test_each_migration_leads_to_the_next(tmp_path: Path) -> None:
    """From every earlier version a file comes to today's, with its turns."""
    for version in range(len(MIGRATIONS)):
        path = tmp_path / f"{version}.sqlite3"
        db = sqlite3.connect(path, isolation_level=None)
        for statements in MIGRATIONS[:version]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")
        storing.migrate(db, path)
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert db.execute("SELECT count(*) FROM turns").fetchone() == (0,)
        db.close()


WRITER = """
import sys
from pathlib import Path
from di_magics.core.chat import Turn
from di_magics.core.reply import Reply
from di_magics.store import Store
store = Store(Path(sys.argv[1]))
for number in range(100):
    turn = Turn(f"{sys.argv[2]}-{number}", "hi", notebook="n")
    store.begin("n", turn)
    store.checkpoint(turn.id, Reply(text="h"))
    last = store.seal(turn.id, Reply(text="hi", status="done"))
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
    store = Store(tmp_path)
    chat = store.load("n").result()
    store.close()
    assert len(chat.turns) == 400
    assert all(each.reply.text == "hi" for each in chat.turns.values())
