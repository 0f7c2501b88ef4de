"""Requests on disk: written before they are sent, sealed once."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from stored import DONE, begin, keep, turn

from di_magics.core.errors import StoreError
from di_magics.core.reply.reply import Reply
from di_magics.storage import database as storing
from di_magics.storage import ledger as keeping
from di_magics.storage.database import Database
from di_magics.storage.journal import Journal
from di_magics.storage.ledger import Ledger
from di_magics.storage.turns import Turns


def test_an_outcome_is_sealed_once(store: Database, journal: Journal, turns: Turns) -> None:
    """A checkpoint or a second seal that comes late changes nothing."""
    keep(store, turn("a"))
    journal.checkpoint("a", replace(DONE, text="late", status="open")).result()
    journal.seal("a", replace(DONE, text="late")).result()
    assert turns.load().turns["a"].reply.text == "yes"


def test_a_turn_nobody_finished_is_cut(
    journal: Journal, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its process has ended; until then another kernel may be at it."""
    begin(journal, turn("a"))
    journal.checkpoint("a", Reply(text="half")).result()
    assert turns.load().turns["a"].reply.status == "open"
    monkeypatch.setattr(keeping, "is_process_running", lambda process: False)
    reply = turns.load().turns["a"].reply
    assert (reply.text, reply.status) == ("half", "cut")


def test_a_turn_that_is_not_kept_leaves_only_its_cost(
    journal: Journal, turns: Turns, store: Database
) -> None:
    """`--once` is in the ledger and nowhere else."""
    begin(journal, replace(turn("a"), prompt="a-secret-prompt"), kept=False)
    journal.seal("a", replace(DONE, text="its-reply")).result()
    assert turns.load().turns == {}
    (entry,) = Ledger(store, "n").entries()
    assert (entry.cost, entry.usage.completion_tokens) == (DONE.cost, 2)
    store.close()
    assert store.path
    data = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert b"a-secret-prompt" not in data
    assert b"its-reply" not in data


def test_an_outcome_is_written_once_a_lock_is_gone(
    journal: Journal, store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else has to happen first, and nobody waits for the lock for long."""
    monkeypatch.setattr(storing, "BUSY_SECONDS", 0.01)
    begin(journal, turn("a"))
    other = sqlite3.connect(tmp_path / storing.FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = journal.seal("a", DONE)
    with pytest.raises(StoreError, match=r"locked.* on a local disk"):
        refused.result(10)
    other.execute("COMMIT")
    deadline = time.monotonic() + 30
    sealed = 0
    while not sealed and time.monotonic() < deadline:
        (sealed,) = other.execute("SELECT sealed FROM turns").fetchone()
    other.close()
    assert sealed
    journal.close()
