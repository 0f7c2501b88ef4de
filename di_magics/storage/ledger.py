"""The costs of all requests, stored apart from the texts and kept when those are deleted.

An entry is written before its request is sent, updated with every checkpoint, and sealed once. A
notebook has committed the sum of its sealed costs and of the reserves of requests in flight.
"""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from di_magics.core.amount import parse_amount, sum_amounts
from di_magics.core.money.budget import Budget
from di_magics.core.money.cost import FREE, Entry
from di_magics.core.reply.reply import Reply, Usage
from di_magics.storage.database import Connection, Database, insert, to_utf8, update_notebook

ABANDONED_SECONDS = 10.0
"""A waiting kernel updates its entry every second; after this long without one it has ended."""

COLUMNS = (
    "turn, notebook, conversation, model, endpoint, begun, status, prompt_tokens, "
    "completion_tokens, cached_tokens, reasoning_tokens, cost, estimate, reserve"
)


def is_in_flight(sealed: int, touched: float) -> bool:
    """Return whether a kernel still waits for the reply."""
    return not sealed and time.time() - touched < ABANDONED_SECONDS


class Ledger:
    """The costs of the notebook with this id. Every method raises StoreError."""

    def __init__(self, store: Database, notebook: str) -> None:
        self._store = store
        self._notebook = notebook

    def entries(self, *, everywhere: bool = False, since: float = 0.0) -> list[Entry]:
        """Return the entries of this notebook, or of all, begun since that time (POSIX seconds)."""
        notebook = None if everywhere else self._notebook
        return self._store.read(lambda db: _entries(db, notebook, since)).result()

    def names(self) -> dict[str, str]:
        """Return the names of all notebooks' files by id, without those that have no file."""

        def read(db: Connection) -> dict[str, str]:
            rows = db.execute("SELECT id, path FROM notebooks WHERE path IS NOT NULL")
            return {id_: Path(path).name for id_, path in rows}

        return self._store.read(read).result()

    @property
    def committed(self) -> Decimal:
        """What the notebook has spent, and may still spend on replies in flight, in USD."""
        return self._store.read(lambda db: _committed(db, self._notebook)).result()

    @property
    def budget(self) -> Decimal | None:
        """The notebook's own budget in USD, or None."""

        def read(db: Connection) -> Decimal | None:
            row = db.execute(
                "SELECT budget FROM notebooks WHERE id = ?", [self._notebook]
            ).fetchone()
            return parse_amount(row[0]) if row else None

        return self._store.read(read).result()

    @budget.setter
    def budget(self, limit: Decimal | None) -> None:
        self._store.write(
            lambda db: update_notebook(db, self._notebook, budget=_text(limit))
        ).result()


def add_entry(db: Connection, entry: Entry, budget: Budget) -> None:
    """Add the entry of a request before it is sent. Raises BudgetError if it does not fit."""
    spent = FREE if budget.notebook is None else _committed(db, entry.notebook)
    budget.check(entry.reserve, spent, entry.model)
    row = {
        "turn": entry.turn,
        "notebook": entry.notebook,
        "conversation": entry.conversation,
        "model": to_utf8(entry.model),
        "endpoint": entry.endpoint,
        "begun": entry.begun,
        "touched": entry.begun,
        "status": entry.status,
        "cost": _text(entry.cost),
        "estimate": entry.estimate,
        "reserve": _text(entry.reserve),
    }
    insert(db, "ledger", row)


def update_entry(db: Connection, turn: str, reply: Reply, now: float, *, sealed: bool) -> None:
    """Write the cost of a request so far, or its final cost."""
    usage, model = reply.usage, None if reply.model is None else to_utf8(reply.model)
    row = [now, sealed, reply.status, model, usage.prompt_tokens, usage.completion_tokens]
    row += [usage.cached_tokens, usage.reasoning_tokens, _text(reply.cost), reply.estimate, turn]
    changed = db.execute(
        "UPDATE ledger SET touched = ?, sealed = ?, status = ?, model = coalesce(?, model), "
        "prompt_tokens = ?, completion_tokens = ?, cached_tokens = ?, reasoning_tokens = ?, "
        "cost = ?, estimate = ? WHERE turn = ? AND NOT sealed",
        row,
    ).rowcount
    if changed and sealed:
        (notebook,) = db.execute("SELECT notebook FROM ledger WHERE turn = ?", [turn]).fetchone()
        total = sum_amounts([_spent(db, notebook), reply.cost])
        update_notebook(db, notebook, spent=str(total))


def _spent(db: Connection, notebook: str) -> Decimal:
    row = db.execute("SELECT spent FROM notebooks WHERE id = ?", [notebook]).fetchone()
    return sum_amounts(row or ())


def _committed(db: Connection, notebook: str) -> Decimal:
    rows = db.execute(
        "SELECT cost, reserve, touched FROM ledger WHERE notebook = ? AND NOT sealed", [notebook]
    )
    unsealed = [
        max(sum_amounts([cost]), sum_amounts([reserve]) if is_in_flight(False, touched) else FREE)
        for cost, reserve, touched in rows
    ]
    return sum_amounts([_spent(db, notebook), *unsealed])


def _entries(db: Connection, notebook: str | None, since: float) -> list[Entry]:
    where = "begun >= ?" if notebook is None else "notebook = ? AND begun >= ?"
    values = [since] if notebook is None else [notebook, since]
    rows = db.execute(
        f"SELECT {COLUMNS}, touched, sealed FROM ledger WHERE {where} ORDER BY begun", values
    )
    return [_parse_entry(*row) for row in rows]


def _parse_entry(*row: Any) -> Entry:
    turn, notebook, conversation, model, endpoint, begun, status, *rest = row
    sent, written, cached, reasoning, cost, estimate, reserve, touched, sealed = rest
    in_flight = is_in_flight(sealed, touched)
    return Entry(
        turn=turn,
        notebook=notebook,
        conversation=conversation,
        model=model,
        endpoint=endpoint,
        begun=begun,
        day=time.strftime("%Y-%m-%d", time.localtime(begun)),
        status=status if sealed else "open" if in_flight else "cut",
        usage=Usage(sent, written, None, cached, reasoning),
        cost=parse_amount(cost),
        estimate=estimate,
        reserve=parse_amount(reserve) if in_flight else None,
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
