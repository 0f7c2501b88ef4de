"""A database of its own for each test, and what reads and writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from di_magics.storage.database import Database
from di_magics.storage.journal import Journal
from di_magics.storage.turns import Turns


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    """A store in a folder of its own."""
    store = Database(tmp_path)
    yield store
    store.close()


@pytest.fixture
def turns(store: Database) -> Turns:
    """The turns of a notebook in the store."""
    return Turns(store, "n")


@pytest.fixture
def journal(store: Database) -> Journal:
    """The journal of the store."""
    return Journal(store)
