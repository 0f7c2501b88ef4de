"""A disk that is full, read-only, locked, corrupt or of a newer version: errors, and no loss."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from attack.conftest import Attacks, scaled
from attack.models import stored_turns

from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import StoreError
from di_magics.core.money.budget import Budget
from di_magics.core.money.tally import Entry
from di_magics.core.reply.reply import UNCOUNTED, Reply
from di_magics.storage.database import BUSY_SECONDS, CURRENT, FILE, Database
from di_magics.storage.journal import Journal


class Writer:
    """Writes turns as a kernel does, and remembers those that it was told are written."""

    def __init__(self, home: Path) -> None:
        self.store = Database(home)
        self.journal = Journal(self.store)
        self.written: set[str] = set()
        self.number = 0

    def write(self, size: int) -> bool:
        """Write a turn with a reply of this size; return whether that succeeded."""
        self.number += 1
        name = f"turn {self.number}"
        entry = Entry(name, "n", "main", "m", "e", 1.0, "", "open", UNCOUNTED)
        reply = Reply("x" * size, status="done")
        try:
            self.journal.begin(Turn(name, name), entry, Budget(), is_turn=True).result()
            self.written.add(name)
            self.journal.seal(name, reply).result()
        except StoreError:
            return False
        return True

    def close(self) -> None:
        """Finish writing."""
        self.journal.close()
        self.store.close()


@contextmanager
def writer(home: Path) -> Iterator[Writer]:
    """A writer, which is closed at the end."""
    found = Writer(home)
    yield found
    found.close()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond this size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_loses_nothing_that_was_written(attacks: Attacks, tmp_path: Path) -> None:
    """It becomes full at any byte; when there is space again, outcomes are written after all."""
    chance = random.Random(8)
    for number in range(scaled(200)):
        home = tmp_path / str(number)
        home.mkdir()
        with writer(home) as kernel:
            kernel.write(1000)
            sizes = [path.stat().st_size for path in home.iterdir()]
            with largest_file(max(sizes) + chance.randrange(60_000)):
                results = [kernel.write(chance.randrange(40_000)) for _ in range(6)]
            again = kernel.write(1000)
        turns = stored_turns(home)
        prompts = {turn.prompt for turn in turns}
        whole = all(turn.sealed for turn in turns) and prompts == kernel.written
        attacks.check(again and whole, (number, results, prompts ^ kernel.written))


def test_a_locked_file_loses_nothing(
    attacks: Attacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program holds it for a while: an error, and later everything is there."""
    monkeypatch.setattr("di_magics.storage.database.BUSY_SECONDS", BUSY_SECONDS / 40)
    for number in range(scaled(50)):
        home = tmp_path / str(number)
        home.mkdir()
        with writer(home) as kernel:
            kernel.write(1000)
            with closing(sqlite3.connect(home / FILE, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                refused = not kernel.write(1000)
                other.execute("COMMIT")
            again = kernel.write(1000)
        prompts = {turn.prompt for turn in stored_turns(home) if turn.sealed}
        attacks.check(refused and again and prompts == kernel.written, (number, prompts))


def test_a_corrupt_file_is_an_error_and_nothing_more(attacks: Attacks, tmp_path: Path) -> None:
    """Bytes at random, or the end missing; a fresh kernel and one that has it open."""
    chance = random.Random(9)
    for number in range(scaled(200)):
        home = tmp_path / str(number)
        home.mkdir()
        with writer(home) as kernel:
            for _ in range(3):
                kernel.write(20_000)
        path = home / FILE
        data = bytearray(path.read_bytes())
        if number % 2:
            del data[chance.randrange(len(data)) :]
        else:
            for _ in range(chance.randrange(1, 200)):
                data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        with writer(home) as kernel:
            outcomes = [kernel.write(1000) for _ in range(2)]  # an error or not, but no crash
        attacks.check(True, outcomes)


@pytest.mark.parametrize("kind", ["newer", "folder", "directory"])
def test_a_file_that_cannot_be_used_is_left_alone(
    attacks: Attacks, tmp_path: Path, kind: str
) -> None:
    """A newer version, a folder in its place, or a file in the place of its folder."""
    home = tmp_path / "home"
    home.mkdir()
    path = home / FILE
    if kind == "newer":
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA application_id = {CURRENT[0]}")
            db.execute(f"PRAGMA user_version = {CURRENT[1] + 1}")
    elif kind == "folder":
        path.mkdir()
    else:
        home.rmdir()
        home.write_text("not a folder")
    before = path.read_bytes() if path.is_file() else None
    with writer(home) as kernel:
        attacks.check(not kernel.write(1000), kind)
    assert before == (path.read_bytes() if path.is_file() else None)


def test_a_missing_folder_is_made(attacks: Attacks, tmp_path: Path) -> None:
    """As at the first start: only its owner may read it."""
    home = tmp_path / "new" / "home"
    with writer(home) as kernel:
        attacks.check(kernel.write(1000), "missing")
    assert (home / FILE).stat().st_mode & 0o077 == 0


def test_a_read_only_folder_is_an_error(attacks: Attacks, tmp_path: Path) -> None:
    """It can be read, and what is not written is not sent."""
    with writer(tmp_path) as kernel:
        kernel.write(1000)
    if os.geteuid() == 0:  # rights mean nothing to root
        with closing(sqlite3.connect(tmp_path / FILE)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
        connect = sqlite3.connect
        with pytest.MonkeyPatch.context() as patch:
            read_only = f"file:{tmp_path / FILE}?mode=ro&immutable=1"
            patch.setattr(sqlite3, "connect", lambda *_, **o: connect(read_only, uri=True, **o))
            with writer(tmp_path) as kernel:
                attacks.check(not kernel.write(1000), "read-only")
        return
    for path in (tmp_path / FILE, tmp_path):
        path.chmod(path.stat().st_mode & ~0o222)
    with writer(tmp_path) as kernel:
        attacks.check(not kernel.write(1000), "read-only")
    tmp_path.chmod(0o700)
