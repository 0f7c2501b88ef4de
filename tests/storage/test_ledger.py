"""The ledger: what every request has cost, and may yet cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from di_magics.core.conversation.conversation import Turn
from di_magics.core.errors import BudgetError
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import Entry
from di_magics.core.reply.reply import UNCOUNTED, Reply, Usage
from di_magics.storage import ledger as keeping
from di_magics.storage.database import Database
from di_magics.storage.journal import Journal
from di_magics.storage.ledger import Ledger

ENTRY = Entry(
    "t",
    "n",
    "main",
    "asked",
    "e",
    1_800_000_000.0,
    "",
    "open",
    UNCOUNTED,
    cost=Decimal("0.001"),
    estimate="the prompt alone",
    reserve=Decimal("0.05"),
)


def begin(store: Database, name: str, limit: str | None = None, **changes: object) -> None:
    """Enter a request."""
    entry = replace(ENTRY, turn=name, **changes)  # type: ignore[arg-type]
    budget = Budget(notebook=None if limit is None else Decimal(limit))
    Journal(store).begin(Turn(name, "hi"), entry, budget, kept=False).result()


def test_an_entry_comes_back(store: Database) -> None:
    """With the local date, and as in flight until it is sealed."""
    begin(store, "t", begun=9e9)
    (found,) = Ledger(store, "n").entries()
    assert replace(found, day="") == replace(ENTRY, begun=9e9)
    assert found.day.startswith("2255-")


def test_a_sealed_entry_has_what_was_paid(store: Database) -> None:
    """Tokens, cost and the model that answered take the place of what was reserved."""
    begin(store, "t", begun=9e9)
    reply = Reply(status="done", model="b", usage=Usage(1, 2, 3, 4, 5), cost=Decimal("1E-7"))
    Journal(store).seal("t", reply).result()
    (found,) = Ledger(store, "n").entries()
    assert (found.model, found.status, found.cost, found.reserve) == ("b", "done", reply.cost, None)
    assert found.usage == Usage(1, 2, None, 4, 5)
    assert found.estimate == ""


def test_an_abandoned_entry_is_cut(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reserve no longer counts; the cost of the partial reply does."""
    begin(store, "t", begun=9e9)
    monkeypatch.setattr(keeping, "ABANDONED_SECONDS", -9e9)
    (found,) = Ledger(store, "n").entries()
    assert (found.status, found.cost, found.reserve) == ("cut", ENTRY.cost, None)


def test_entries_can_be_of_one_notebook_or_of_some_time(store: Database) -> None:
    """Of all, of one, or since a moment."""
    begin(store, "a", notebook="other", begun=1.0)
    begin(store, "b", begun=2.0)
    begin(store, "c", begun=3.0)
    ledger = Ledger(store, "n")
    found = [
        [entry.turn for entry in entries]
        for entries in (
            ledger.entries(everywhere=True),
            ledger.entries(),
            ledger.entries(since=3.0),
        )
    ]
    assert found == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_a_limit_holds_for_what_is_in_flight_too(store: Database) -> None:
    """The second request does not fit beside the first, which has not ended yet."""
    begin(store, "a", "0.09", begun=9e9)
    with pytest.raises(BudgetError) as refused:
        begin(store, "b", "0.09", begun=9e9)
    assert refused.value.left == Decimal("0.04")
    assert len(Ledger(store, "n").entries()) == 1
    Journal(store).seal("a", Reply(status="done", cost=Decimal("0.01"))).result()
    begin(store, "b", "0.09", begun=9e9)


def test_other_notebooks_do_not_count(store: Database) -> None:
    """A budget is a notebook's own."""
    begin(store, "a", notebook="other", begun=9e9)
    begin(store, "b", "0.06", begun=9e9)


def test_a_budget_is_kept(store: Database) -> None:
    """Exactly, until it is removed."""
    ledger = Ledger(store, "n")
    assert ledger.budget is None
    ledger.budget = Decimal("0.10")
    assert ledger.budget == Decimal("0.10")
    ledger.budget = None
    assert ledger.budget is None
