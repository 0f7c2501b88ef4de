"""Finds the conversation of a notebook.

A file has no identity of its own: it can be renamed, copied, deleted and created again. So the
metadata of every output has the notebook's id and the turn's, and the database has the path, the
identity of the file (device and inode, which a rename and a save keep) and the last kernel. When
a cell of a kernel asks for the first time, the first row that fits decides:

    what is known of the file                             the conversation
    ----------------------------------------------------  ------------------------------------
    1  no cell id (terminal, nbclient, papermill)         a new one, so that all runs are equal
    2  the path, and the kernel: it was restarted         that notebook's: nothing was saved yet
    3  a notebook's id in its outputs, and
       a  it is the same file, wherever it is now         that notebook's: it was renamed
       b  that file is elsewhere in its folder            a copy of it
       c  the notebook was last at this very path         that notebook's: the file was replaced
       d  the file at its last path has the id, too       a copy of it
       e  its last path has no such file, but its         a copy of it: it was moved while open
          last kernel runs, which is not this one
       f  none of these                                   that notebook's: it was moved, or it
                                                          is a copy and the original deleted
    4  the path, and a turn in one of its cells           that notebook's: outputs were cleared
    5  none of these                                      a new one

A copy begins with the turns up to the newest one in its own file: what was asked in the original
later is not its. Row f cannot tell a copy from a move to another disk; it keeps all turns, because
no other file has them. A file that cannot be read counts as one without outputs.

While the kernel runs (magics/cell.py asks before each cell):

    6  the file is in the same folder under another name  the same; the database gets the new path
    7  the cell is in another notebook of this kernel     that one's, by rows 2 to 5
    8  two pages use the kernel, and no file tells which  the same, and the receipt says so
       notebook the cell is in
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from di_magics.core.conversation.cells import NotebookLocation
from di_magics.core.conversation.record import METADATA_KEY
from di_magics.core.conversation.turn import MAIN
from di_magics.core.read_json import as_object, as_objects, as_text
from di_magics.runtime.files import file_identity, find_renamed, read_bounded
from di_magics.storage.database import Connection, Database, insert, update_notebook
from di_magics.storage.rows import copy_attachments, copy_logprobs, read_state, replace_ids, to_json

MAX_FILE_BYTES = 200_000_000
MAX_CELLS = 900
"""SQLite limits the values in a query: an old version to 999."""


class _Known(NamedTuple):
    id: str
    path: str | None
    file: str
    kernel: str


class _Saved(NamedTuple):
    """What is in a file: the notebooks' ids, that of the last cell first; its cells, its turns."""

    notebooks: Collection[str] = ()
    cells: Collection[str] = ()
    turns: Collection[str] = ()


def find_notebook(
    database: Database, location: NotebookLocation, new: str
) -> tuple[str, str] | None:
    """Return the notebook's id, which is `new` if it is not known, and a note for the user or "".

    None while it may become known later, because no cell runs (a completion, a widget's message).
    Raises StoreError.
    """
    if location.cell is None:
        return (new, _set_aside(database)) if location.is_final else None
    saved = _read_saved(location.path)
    place = _to_columns(location)
    cells = [location.cell, *saved.cells]
    known = database.read(lambda db: _find(db, saved.notebooks, place, cells)).result()
    original = _find_original(known, place, location.kernels_folder) if known else None
    if known and original:
        database.write(lambda db: _copy(db, known.id, new, saved.turns)).result()
        name = Path(original).name
        note = f"this notebook is a copy of {name} with its own conversation"
    else:
        new, note = (known.id, "") if known else (new, _set_aside(database))
    database.write(lambda db: update_notebook(db, new, **place)).result()
    return new, note


def set_location(database: Database, notebook: str, location: NotebookLocation) -> None:
    """Write where a notebook is now. Raises StoreError."""
    database.write(lambda db: update_notebook(db, notebook, **_to_columns(location))).result()


def _to_columns(location: NotebookLocation) -> dict[str, str | None]:
    """Return the columns of a notebook that say where it is."""
    path = os.path.realpath(location.path) if location.path else None
    return {"path": path, "file": file_identity(path), "kernel": location.kernel}


def _set_aside(database: Database) -> str:
    copy = database.set_aside().result()
    return f"the conversations of an older version were moved to {copy}" if copy else ""


def _find(
    db: Connection, ids: Iterable[str], place: Mapping[str, str | None], cells: list[str]
) -> _Known | None:
    """Return the notebook of row 2, 3 or 4 of the table."""
    select = "SELECT notebooks.id, path, file, kernel FROM notebooks"
    path, kernel = place["path"], place["kernel"]
    names = cells[:MAX_CELLS]
    marks = ",".join("?" * len(names))
    by_kernel = f"{select} WHERE path IS ? AND kernel = ? ORDER BY rowid DESC LIMIT 1"
    by_cell = (
        f"{select} JOIN turns ON notebook = notebooks.id WHERE path = ? AND cell IN ({marks}) "
        "ORDER BY number DESC LIMIT 1"
    )
    queries: list[tuple[str, list[str | None]]] = [(by_kernel, [path, kernel])] if kernel else []
    queries += [(f"{select} WHERE id = ?", [notebook]) for notebook in ids]
    queries.append((by_cell, [path, *names]))
    rows = (db.execute(query, values).fetchone() for query, values in queries)
    return next((_Known(*row) for row in rows if row), None)


def _find_original(known: _Known, place: Mapping[str, str | None], kernels: str) -> str | None:
    """Return where the notebook is whose copy this file is; None if the file is that notebook."""
    path = place["path"]
    if known.path is None or path is None or (known.file and known.file == place["file"]):
        return None
    renamed = find_renamed(known.path, known.file)
    if renamed and known.id in _read_saved(renamed).notebooks:
        return renamed
    if known.path == path:
        return None
    runs = known.kernel != place["kernel"] and _is_running(known.kernel, kernels)
    gone = not os.path.exists(known.path)
    return known.path if (gone and runs) or known.id in _read_saved(known.path).notebooks else None


def _is_running(kernel: str, kernels: str) -> bool:
    return bool(kernel and kernels) and os.path.exists(os.path.join(kernels, f"{kernel}.json"))


def _copy(db: Connection, notebook: str, new: str, saved: Collection[str]) -> None:
    """Copy a notebook's turns, up to the newest of the saved ones, without their costs.

    The turns of a copy have a suffix; the outputs in its file have the original's ids.
    """
    rows = db.execute(
        "SELECT id, cell, prompt, reply, identity, outcome, begun, touched FROM turns "
        "WHERE notebook = ? ORDER BY number",
        [notebook],
    ).fetchall()
    names = {turn.partition("-")[0] for turn in saved}
    last = max((at for at, row in enumerate(rows) if row[0].partition("-")[0] in names), default=-1)
    rows = rows[: last + 1]
    ids = {row[0]: f"{row[0].partition('-')[0]}-{new[:8]}" for row in rows}
    state = to_json(_state_of_copy(read_state(db, notebook), rows))
    db.execute(
        "INSERT INTO notebooks (id, state, budget) SELECT ?, ?, budget FROM notebooks WHERE id = ?",
        [new, replace_ids(state, ids), notebook],
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


def _state_of_copy(state: Mapping[str, Any], rows: Collection[tuple[Any, ...]]) -> dict[str, Any]:
    """Return a notebook's state with what its copy does not have replaced by the newest it has."""
    newest_of: dict[str, str] = {}
    newest_in: dict[tuple[str, int], str] = {}
    for id_, _, _, _, identity, *_ in rows:
        record = json.loads(identity)
        newest_of[record.get("conversation", MAIN)] = id_
        if cell := record.get("cell"):
            newest_in[cell[0], cell[1]] = id_
    copied = {row[0] for row in rows}
    heads = {
        name: head if head is None or head in copied else newest_of.get(name)
        for name, head in state.get("heads", {}).items()
        if head is None or head in copied or name in newest_of or name == MAIN
    }
    showing = {
        (cell, ordinal): turn for cell, ordinal, turn in state.get("showing", ()) if turn in copied
    }
    shown = newest_in | showing
    return {**state, "heads": heads, "showing": [[*cell, turn] for cell, turn in shown.items()]}


def _read_saved(file: str | None) -> _Saved:
    """Return what is in a file; nothing if it is missing or not a notebook."""
    try:
        data = read_bounded(Path(file), MAX_FILE_BYTES, file) if file else b""
        notebook = as_object(json.loads(data))
    except (OSError, ValueError, RecursionError):  # a ParamError is a ValueError
        return _Saved()
    cells = as_objects(notebook.get("cells"))
    records = [
        as_object(as_object(output.get("metadata")).get(METADATA_KEY))
        for cell in cells
        for output in as_objects(cell.get("outputs"))
    ]
    ids = (as_text(record.get("notebook")) for record in reversed(records))
    return _Saved(
        [id_ for id_ in dict.fromkeys(ids) if id_],
        [id_ for cell in cells if (id_ := as_text(cell.get("id")))],
        {id_ for record in records if (id_ := as_text(record.get("turn")))},
    )
