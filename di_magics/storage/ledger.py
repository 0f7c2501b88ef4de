"""The costs of all requests, stored apart from the texts and kept when those are deleted.

An entry is written before its request is sent, updated with every checkpoint, and sealed once. A
notebook, and a policy's file, has committed the sum of its sealed costs and of the reserves of
requests in flight.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from di_magics.core.amount import in_money_context, parse_amount
from di_magics.core.money.budget import Budget, Committed
from di_magics.core.money.cost import FREE
from di_magics.core.money.tally import Entry
from di_magics.core.reply.reply import Reply, Usage
from di_magics.runtime.process import is_process_running, name_process
from di_magics.storage.database import Connection, Database, insert, to_utf8, update_notebook

ABANDONED_SECONDS = 600.0
"""A kernel that waits writes a checkpoint every second. On another machine its process cannot be
looked up, so it counts as ended this long after its last checkpoint."""

COLUMNS = (
    "turn, notebook, conversation, model, endpoint, begun, status, prompt_tokens, "
    "completion_tokens, cached_tokens, reasoning_tokens, cost, estimate, reserve, policies, "
    "process, touched, sealed"
)


def is_in_flight(sealed: int, process: str, touched: float) -> bool:
    """Return whether the kernel in this process, which last wrote at `touched`, still waits."""
    if sealed:
        return False
    running = is_process_running(process)
    return time.time() - touched < ABANDONED_SECONDS if running is None else running


class Ledger:
    """The costs of the notebook with this id. Every method raises StoreError."""

    def __init__(self, database: Database, notebook: str) -> None:
        self._database = database
        self._notebook = notebook

    def entries(self, *, everywhere: bool = False, since: float = 0.0) -> list[Entry]:
        """Return the entries of this notebook, or of all, begun since that time (POSIX seconds)."""
        notebook = None if everywhere else self._notebook
        return self._database.read(lambda db: _entries(db, notebook, since)).result()

    def names(self) -> dict[str, str]:
        """Return the names of all notebooks' files by id, without those that have no file."""

        def read(db: Connection) -> dict[str, str]:
            rows = db.execute("SELECT id, path FROM notebooks WHERE path IS NOT NULL")
            return {id_: Path(path).name for id_, path in rows}

        return self._database.read(read).result()

    def committed(self, policies: Iterable[str] = ()) -> Committed:
        """Return what the notebook, and all under these files of a policy, have committed."""
        return self._database.read(lambda db: _committed(db, self._notebook, policies)).result()

    @property
    def budget(self) -> Decimal | None:
        """The notebook's own budget in USD, or None."""

        def read(db: Connection) -> Decimal | None:
            row = db.execute(
                "SELECT budget FROM notebooks WHERE id = ?", [self._notebook]
            ).fetchone()
            limit = parse_amount(row[0]) if row else None
            if limit is None and row and row[0] is not None:
                raise ValueError("the budget is damaged")  # it is not lifted without a word
            return limit

        return self._database.read(read).result()

    @budget.setter
    def budget(self, limit: Decimal | None) -> None:
        self._database.write(
            lambda db: update_notebook(db, self._notebook, budget=_text(limit))
        ).result()


def add_entry(db: Connection, entry: Entry, budget: Budget) -> None:
    """Add the entry of a request before it is sent. Raises BudgetError if it does not fit."""
    budget.check(entry.reserve, _committed(db, entry.notebook, budget.policies), entry.model)
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
        "policies": json.dumps(entry.policies),
        "process": name_process(),
    }
    insert(db, "ledger", row)


def update_entry(db: Connection, turn_id: str, reply: Reply, now: float, *, sealed: bool) -> None:
    """Write the cost of a request so far, or its final cost."""
    usage, model = reply.usage, None if reply.model is None else to_utf8(reply.model)
    row = [now, sealed, reply.status, model, usage.prompt_tokens, usage.completion_tokens]
    row += [usage.cached_tokens, usage.reasoning_tokens, _text(reply.cost), reply.estimate, turn_id]
    changed = db.execute(
        "UPDATE ledger SET touched = ?, sealed = ?, status = ?, model = coalesce(?, model), "
        "prompt_tokens = ?, completion_tokens = ?, cached_tokens = ?, reasoning_tokens = ?, "
        "cost = ?, estimate = ? WHERE turn = ? AND NOT sealed",
        row,
    ).rowcount
    if changed and sealed:
        _add_to_sums(db, turn_id, reply.cost)


def _add_to_sums(db: Connection, turn_id: str, cost: Decimal | None) -> None:
    query = "SELECT notebook, policies FROM ledger WHERE turn = ?"
    notebook, policies = db.execute(query, [turn_id]).fetchone()
    total = _add(_spent(db, "notebooks", "id", notebook), cost)
    update_notebook(db, notebook, spent=str(total))
    for file in _parse_files(policies):
        row = {"file": file, "spent": str(_add(_spent(db, "policies", "file", file), cost))}
        insert(db, "policies", row, "ON CONFLICT (file) DO UPDATE SET spent = excluded.spent")


def _spent(db: Connection, table: str, key: str, value: str) -> Decimal:
    row = db.execute(f"SELECT spent FROM {table} WHERE {key} = ?", [value]).fetchone()
    spent = Decimal(row[0]) if row else FREE
    if not spent.is_finite() or spent < 0:
        raise ValueError("the sum of what was spent is damaged")  # the database makes it StoreError
    return spent


@in_money_context
def _add(total: Decimal, amount: Decimal | None) -> Decimal:
    return total + (amount or FREE)


def _committed(db: Connection, notebook: str, policies: Iterable[str]) -> Committed:
    mine = _spent(db, "notebooks", "id", notebook)
    by_file = {file: _spent(db, "policies", "file", file) for file in policies}
    query = (
        "SELECT notebook, policies, cost, reserve, process, touched FROM ledger WHERE NOT sealed"
    )
    rows = db.execute(query) if by_file else db.execute(f"{query} AND notebook = ?", [notebook])
    for owner, files, cost, reserve, process, touched in rows:
        amount = parse_amount(cost) or FREE
        if is_in_flight(False, process, touched):
            amount = max(amount, parse_amount(reserve) or FREE)
        if owner == notebook:
            mine = _add(mine, amount)
        for file in by_file.keys() & {*_parse_files(files)}:
            by_file[file] = _add(by_file[file], amount)
    return Committed(mine, by_file)


def _entries(db: Connection, notebook: str | None, since: float) -> list[Entry]:
    where = "begun >= ?" if notebook is None else "notebook = ? AND begun >= ?"
    values = [since] if notebook is None else [notebook, since]
    rows = db.execute(
        f"SELECT {COLUMNS} FROM ledger WHERE {where} ORDER BY begun",
        values,
    )
    return [_parse_entry(*row) for row in rows]


def _parse_entry(*row: Any) -> Entry:
    turn, notebook, conversation, model, endpoint, begun, status, *rest = row
    sent, written, cached, reasoning, cost, estimate, reserve, *state = rest
    policies, process, touched, sealed = state
    in_flight = is_in_flight(sealed, process, touched)
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
        policies=_parse_files(policies),
    )


def _parse_files(policies: str) -> tuple[str, ...]:
    """Return the files of the policies of a request; a damaged row has none."""
    try:
        files = json.loads(policies)
    except (ValueError, RecursionError):
        return ()
    return tuple(file for file in files if isinstance(file, str)) if isinstance(files, list) else ()


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
