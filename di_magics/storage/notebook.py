"""Finds the conversation of a notebook.

A file has no identity: it can be renamed, copied, deleted and created again. So the metadata of
every output has the notebook's id, and the first cell that asks looks for it:

    what is known                                         the conversation
    ----------------------------------------------------  ------------------------------------
    no cell id (terminal, nbclient, papermill)            a new one, so that all runs are equal
    an id in the saved outputs                            that notebook's
      ... and the file it was last in still has the id    a copy of it: this file is a copy
    the path, and a turn in one of the file's cells       that notebook's: outputs were cleared
    the path, and the kernel's id                         that notebook's: nothing was saved yet
    none of these                                         a new one

A file that cannot be read counts as one without outputs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from di_magics.core.conversation.cells import Where
from di_magics.core.conversation.record import METADATA_KEY
from di_magics.core.read_json import as_object, as_objects, as_text
from di_magics.runtime.files import read_bounded
from di_magics.storage.database import Connection, Database, insert, update_notebook
from di_magics.storage.rows import copy_attachments, copy_logprobs, read_state, replace_ids, to_json

LARGEST_FILE = 200_000_000
MOST_CELLS = 900
"""SQLite limits the values in a query: an old version to 999."""


class _Known(NamedTuple):
    id: str
    path: str | None


def find_notebook(store: Database, where: Where, new: str) -> tuple[str, str] | None:
    """Return the notebook's id, which is `new` if it is not known, and a note for the user or "".

    None while it may become known later, because no cell runs (a completion, a widget's message).
    Raises StoreError.
    """
    if where.cell is None:
        return (new, _set_aside(store)) if where.settled else None
    ids, cells = _read_ids(where.path)
    cells = [where.cell, *cells]
    path = os.path.realpath(where.path) if where.path else None
    known = store.read(lambda db: _find(db, ids, path, cells, where.kernel)).result()
    if known and known.path and known.path != path and known.id in _read_ids(known.path)[0]:
        store.write(lambda db: _copy(db, known.id, new, path)).result()
        name = Path(known.path).name
        return new, f"this notebook is a copy of {name} with its own conversation"
    found = known.id if known else new
    store.write(lambda db: update_notebook(db, found, path=path, kernel=where.kernel)).result()
    return found, "" if known else _set_aside(store)


def _set_aside(store: Database) -> str:
    copy = store.set_aside().result()
    return f"the conversations of an older version were moved to {copy}" if copy else ""


def _find(
    db: Connection, ids: Iterable[str], path: str | None, cells: list[str], kernel: str
) -> _Known | None:
    """Return the notebook with the first id that is known, else the one at this path.

    The latter must have a turn in one of these cells, or this kernel must have used it last.
    """
    for notebook in ids:
        row = db.execute("SELECT id, path FROM notebooks WHERE id = ?", [notebook]).fetchone()
        if row:
            return _Known(*row)
    names = cells[:MOST_CELLS]
    marks = ",".join("?" * len(names))
    row = db.execute(
        "SELECT notebooks.id, path FROM turns JOIN notebooks ON notebook = notebooks.id "
        f"WHERE path = ? AND cell IN ({marks}) ORDER BY number DESC LIMIT 1",
        [path, *names],
    ).fetchone()
    if row is None and kernel:
        row = db.execute(
            "SELECT id, path FROM notebooks WHERE path IS ? AND kernel = ? "
            "ORDER BY rowid DESC LIMIT 1",
            [path, kernel],
        ).fetchone()
    return _Known(*row) if row else None


def _copy(db: Connection, notebook: str, new: str, path: str | None) -> None:
    """Copy a notebook's turns to a new notebook, without their costs."""
    state = to_json(read_state(db, notebook))
    rows = db.execute(
        "SELECT id, cell, prompt, reply, identity, outcome, begun, touched FROM turns "
        "WHERE notebook = ? ORDER BY number",
        [notebook],
    ).fetchall()
    ids = {row[0]: f"{row[0]}-{new[:8]}" for row in rows}
    db.execute(
        "INSERT INTO notebooks (id, path, state, budget) "
        "SELECT ?, ?, ?, budget FROM notebooks WHERE id = ?",
        [new, path, replace_ids(state, ids), notebook],
    )
    for old, cell, prompt, reply, identity, outcome, begun, touched in rows:
        row = {
            "id": ids[old],
            "notebook": new,
            "cell": cell,
            "prompt": prompt,
            "reply": reply,
            "identity": replace_ids(identity, ids),
            "outcome": to_json(json.loads(outcome or "{}") | {"cost": None}),
            "begun": begun,
            "touched": touched,
            "sealed": 1,
        }
        insert(db, "turns", row)
        copy_attachments(db, old, ids[old])
        copy_logprobs(db, old, ids[old])


def _read_ids(file: str | None) -> tuple[list[str], list[str]]:
    """Return the notebook ids in a file's outputs, the last cell's first, and its cells' ids."""
    ids: list[str] = []
    cells: list[str] = []
    try:
        data = read_bounded(Path(file), LARGEST_FILE, file) if file else b""
        notebook = as_object(json.loads(data))
    except (OSError, ValueError, RecursionError):  # a ParamError is a ValueError
        return ids, cells  # no file yet, or not a notebook
    for cell in as_objects(notebook.get("cells")):
        cells.append(as_text(cell.get("id")))
        for output in as_objects(cell.get("outputs")):
            record = as_object(as_object(output.get("metadata")).get(METADATA_KEY))
            ids.append(as_text(record.get("notebook")))
    return list(filter(None, dict.fromkeys(reversed(ids)))), list(filter(None, cells))
