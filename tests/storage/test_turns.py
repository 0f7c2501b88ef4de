"""Turns on disk: written before they are sent, sealed once, and gone when they are forgotten."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.errors import StoreError
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import Entry
from di_magics.core.reply.reply import UNCOUNTED, Reply, Usage
from di_magics.storage import database as storing
from di_magics.storage import ledger as keeping
from di_magics.storage.database import Database
from di_magics.storage.ledger import Ledger
from di_magics.storage.turns import Turns

DONE = Reply(
    text="yes", status="done", ended=True, usage=Usage(1, 2, 3), cost=Decimal("0.00001"), model="m"
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    """A store in a folder of its own."""
    store = Database(tmp_path)
    yield store
    store.close()


@pytest.fixture
def turns(store: Database) -> Turns:
    """The turns in the store."""
    return Turns(store)


def begin(turns: Turns, turn: Turn, *, kept: bool = True) -> None:
    """Write a turn before it is sent."""
    entry = Entry(turn.id, "n", "main", "m", "e", 1.0, "", "open", UNCOUNTED)
    turns.begin(turn, entry, Budget(), kept=kept).result()


def kept(turns: Turns, *asked: Turn) -> Conversation:
    """Write turns as a session does, and return the conversation."""
    chat = Conversation()
    for turn in asked:
        begin(turns, turn)
        turns.seal(turn.id, turn.reply).result()
        chat = chat.with_turn(turn)
    turns.save_state("n", chat).result()
    return chat


def turn(name: str, parent: str | None = None) -> Turn:
    """Return a turn that is done, in a cell of its name."""
    return Turn(name, f"prompt {name}", parent, Cell(name, 0), notebook="n", model="m", reply=DONE)


def test_a_conversation_comes_back_as_it_was(turns: Turns, store: Database, tmp_path: Path) -> None:
    """Turns, heads, and what each cell shows survive the process."""
    chat = kept(turns, turn("a"), turn("b", "a")).undo().fork("other")
    turns.save_state("n", chat).result()
    store.close()
    again = Database(tmp_path)
    assert Turns(again).load("n").result() == chat
    again.close()


def test_an_outcome_is_sealed_once(turns: Turns) -> None:
    """A checkpoint or a second seal that comes late changes nothing."""
    kept(turns, turn("a"))
    turns.checkpoint("a", replace(DONE, text="late", status="open")).result()
    turns.seal("a", replace(DONE, text="late")).result()
    assert turns.load("n").result().turns["a"].reply.text == "yes"


def test_a_turn_nobody_finished_is_cut(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Untouched for ten seconds it has lost its kernel; until then another may be at it."""
    begin(turns, turn("a"))
    turns.checkpoint("a", Reply(text="half")).result()
    assert turns.load("n").result().turns["a"].reply.status == "open"
    monkeypatch.setattr(keeping, "ABANDONED_SECONDS", -1)
    reply = turns.load("n").result().turns["a"].reply
    assert (reply.text, reply.status) == ("half", "cut")


def test_half_a_surrogate_pair_can_be_kept(turns: Turns) -> None:
    """JSON may hold one, UTF-8 cannot; the rest of the text is as it was."""
    kept(turns, replace(turn("a"), prompt="a\ud83d", reply=replace(DONE, text="b\udc00")))
    found = turns.load("n").result().turns["a"]
    assert (found.prompt, found.reply.text) == ("a?", "b?")


def test_a_turn_that_is_not_kept_leaves_only_its_cost(turns: Turns, store: Database) -> None:
    """`--once` is in the ledger and nowhere else."""
    begin(turns, replace(turn("a"), prompt="a-secret-prompt"), kept=False)
    turns.seal("a", replace(DONE, text="its-reply")).result()
    assert turns.load("n").result().turns == {}
    (entry,) = Ledger(store).entries("n").result()
    assert (entry.cost, entry.usage.completion_tokens) == (DONE.cost, 2)
    store.close()
    assert store.path
    data = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert b"a-secret-prompt" not in data
    assert b"its-reply" not in data


def test_two_kernels_keep_what_the_other_shows(turns: Turns) -> None:
    """Cells and conversations that only one of them has stay."""
    one = kept(turns, turn("a"))
    begin(turns, turn("b"))
    other = Conversation().with_turn(replace(turn("b"), conversation="other"))
    turns.save_state("n", other).result()
    found = turns.load("n").result()
    assert found.showing == {**one.showing, **other.showing}
    assert found.heads == {"main": "a" if found.heads["main"] else None, "other": "b"}


def test_what_is_forgotten_is_gone_from_the_file(turns: Turns, store: Database) -> None:
    """No byte of prompt or reply is left; the costs are."""
    secret = replace(turn("a"), prompt="a-secret-prompt", reply=replace(DONE, text="its-reply"))
    kept(turns, secret, turn("b", "a"))
    assert turns.forget(["a"], ("n", "other")).result() == 1
    assert Ledger(store).entries("n").result()[0].cost == DONE.cost
    store.close()
    assert store.path
    data = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert b"a-secret-prompt" not in data
    assert b"its-reply" not in data


def test_a_turn_that_followed_a_forgotten_one_stays(turns: Turns) -> None:
    """It is a root from then on."""
    kept(turns, turn("a"), turn("b", "a"))
    turns.forget(["a"], None).result()
    assert [each.id for each in turns.load("n").result().path()] == ["b"]


def test_a_forgotten_conversation_does_not_come_back(turns: Turns) -> None:
    """Not even by its name, where another conversation has the same head."""
    chat = kept(turns, turn("a")).fork("other")
    turns.save_state("n", chat).result()
    turns.save_state("n", replace(chat, heads={"main": "a"}, name="main")).result()
    assert "other" in turns.load("n").result().heads
    turns.forget([], ("n", "other")).result()
    assert turns.load("n").result().heads == {"main": "a"}


def test_all_can_be_forgotten(turns: Turns) -> None:
    """Those of every notebook."""
    kept(turns, turn("a"), turn("b", "a"))
    assert turns.forget(None, None).result() == 2
    assert turns.load("n").result().turns == {}


def test_a_copy_has_ids_of_its_own_and_costs_nothing(turns: Turns, store: Database) -> None:
    """A copied notebook begins with the same turns and budget and does not pay a second time."""
    kept(turns, turn("a"), turn("b", "a"))
    Ledger(store).set_budget("n", Decimal("0.5")).result()
    turns.copy("n", "copy-of-it", "/other.ipynb").result()
    path = turns.load("copy-of-it").result().path()
    assert [each.prompt for each in path] == ["prompt a", "prompt b"]
    assert {each.id for each in path}.isdisjoint({"a", "b"})
    assert Ledger(store).entries("copy-of-it").result() == []
    assert Ledger(store).budget("copy-of-it").result() == Decimal("0.5")
    assert [each.id for each in turns.load("n").result().path()] == ["a", "b"]


def test_a_row_that_is_not_json_is_an_error(turns: Turns, store: Database) -> None:
    """It names the file that was edited by hand."""
    kept(turns, turn("a"))
    store.write(lambda db: db.execute("UPDATE turns SET identity = 'no'")).result()
    with pytest.raises(StoreError, match=r"conversations\.sqlite3"):
        turns.load("n").result()


IMAGE = Attachment("image", "plot.png", "PNG image, 1 kB", "data:image/png;base64,QUJDREVG")
TEXT = Attachment("text", "notes", "text, 6 characters", "SECRET")


def test_attachments_come_back(turns: Turns, store: Database, tmp_path: Path) -> None:
    """The contents survive the process, and the ones of a copy are its own."""
    chat = kept(turns, replace(turn("a"), attachments=(IMAGE, TEXT)), turn("b", "a"))
    turns.copy("n", "m" * 32, None).result()
    store.close()
    again = Database(tmp_path)
    assert Turns(again).load("n").result() == chat
    (copied, _) = Turns(again).load("m" * 32).result().path()
    assert copied.attachments == (IMAGE, TEXT)
    again.close()


def test_an_adopted_turn_keeps_its_attachments(turns: Turns) -> None:
    """A run of a grid that becomes the reply goes on to send its attachments."""
    begin(turns, turn("a"))
    turns.adopt("n", [replace(turn("b"), attachments=(TEXT,))]).result()
    assert turns.load("n").result().turns["b"].attachments == (TEXT,)


@pytest.mark.parametrize("everything", [True, False])
def test_attachments_are_forgotten_with_their_turn(
    turns: Turns, store: Database, tmp_path: Path, everything: bool
) -> None:
    """No byte of it stays in the file."""
    kept(turns, replace(turn("a"), attachments=(TEXT,)))
    turns.forget(None if everything else ["a"], None if everything else ("n", "main")).result()
    store.close()
    assert all(b"SECRET" not in file.read_bytes() for file in tmp_path.iterdir())


def test_an_outcome_is_written_once_a_lock_is_gone(
    turns: Turns, store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else has to happen first, and nobody waits for the lock for long."""
    monkeypatch.setattr(storing, "BUSY_SECONDS", 0.01)
    begin(turns, turn("a"))
    other = sqlite3.connect(tmp_path / storing.FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = turns.seal("a", DONE)
    with pytest.raises(StoreError, match="locked"):
        refused.result(10)
    other.execute("COMMIT")
    deadline = time.monotonic() + 30
    sealed = 0
    while not sealed and time.monotonic() < deadline:
        (sealed,) = other.execute("SELECT sealed FROM turns").fetchone()
    other.close()
    assert sealed
    turns.close()
