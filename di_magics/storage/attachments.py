"""What was attached to turns, on disk: the contents alone, the rest is with the turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from di_magics.core.conversation.conversation import Turn
from di_magics.storage.database import Connection, to_utf8


def write(db: Connection, turns: Iterable[Turn]) -> None:
    """Write the contents of these turns' attachments."""
    db.executemany(
        "INSERT OR REPLACE INTO attachments (turn, number, content) VALUES (?, ?, ?)",
        [
            [turn.id, number, to_utf8(each.content)]
            for turn in turns
            for number, each in enumerate(turn.attachments)
            if each.content
        ],
    )


def read(db: Connection, notebook: str, turns: dict[str, Turn]) -> None:
    """Give the turns of a notebook what was attached to them."""
    rows = db.execute(
        "SELECT turn, attachments.number, content FROM attachments "
        "JOIN turns ON turns.id = turn WHERE notebook = ?",
        [notebook],
    )
    for id_, number, content in rows:
        turn = turns.get(id_)
        if turn and number < len(turn.attachments):
            found = list(turn.attachments)
            found[number] = replace(found[number], content=content)
            turns[id_] = replace(turn, attachments=tuple(found))


def copy(db: Connection, ids: Mapping[str, str]) -> None:
    """Copy what was attached to turns to those of new ids."""
    db.executemany(
        "INSERT INTO attachments (turn, number, content) "
        "SELECT ?, number, content FROM attachments WHERE turn = ?",
        [[new, old] for old, new in ids.items()],
    )
