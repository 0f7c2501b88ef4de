"""The turns of a notebook on disk, and the kept runs of its sweeps.

Turns are only added, until the user deletes them. The heads are a small state beside them.
journal.py writes a turn that is sent.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future

from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import load_tokens
from di_magics.core.reply.reply import Reply
from di_magics.storage.database import Connection, Database, insert, update_notebook
from di_magics.storage.rows import (
    identity_row,
    merge_state,
    outcome_row,
    read_conversation,
    read_state,
    reply_of,
    to_json,
    write_attachments,
    write_logprobs,
)


class Turns:
    """The turns of the notebook with this id. Every method raises StoreError."""

    def __init__(self, database: Database, notebook: str) -> None:
        self._database = database
        self.notebook = notebook

    def load(self) -> Conversation:
        """Return the notebook's conversation; a turn left unfinished by its kernel is `cut`."""
        return self._database.read(lambda db: read_conversation(db, self.notebook)).result()

    def save_state(self, conversation: Conversation) -> Future[None]:
        """Write which turns are heads, and which turn every cell shows; does not wait.

        Entries of other cells and conversations, written by another kernel on the same notebook,
        stay.
        """

        def write(db: Connection) -> None:
            state = merge_state(read_state(db, self.notebook), conversation)
            update_notebook(db, self.notebook, state=to_json(state))

        return self._database.write(write)

    def adopt(self, turns: Sequence[Turn]) -> None:
        """Write complete turns, whose cost is in the ledger already."""
        sealed = {"begun": time.time(), "touched": time.time(), "sealed": 1}

        def write(db: Connection) -> None:
            update_notebook(db, self.notebook)
            for turn in turns:
                row = {**identity_row(turn, self.notebook), **outcome_row(turn.reply), **sealed}
                insert(db, "turns", row)
                write_attachments(db, turn)
                write_logprobs(db, turn.id, turn.reply)

        self._database.write(write).result()

    def logprobs(self, turn_id: str) -> tuple[TokenProbability, ...]:
        """Return the log-probabilities of a turn's reply, () if it has none."""

        def read(db: Connection) -> tuple[TokenProbability, ...]:
            row = db.execute("SELECT tokens FROM logprobs WHERE turn = ?", [turn_id]).fetchone()
            return load_tokens(row[0]) if row else ()

        return self._database.read(read).result()

    def runs(self, keys: Collection[str]) -> dict[str, Reply]:
        """Return the complete replies to the notebook's runs that are kept, by key."""
        wanted = set(keys)

        def read(db: Connection) -> dict[str, Reply]:
            rows = db.execute(
                "SELECT key, reply, outcome FROM runs WHERE notebook = ?", [self.notebook]
            )
            replies = {key: reply_of(text, outcome) for key, text, outcome in rows if key in wanted}
            return {key: reply for key, reply in replies.items() if reply.complete}

        return self._database.read(read).result()

    def forget(self, turns: Collection[str], name: str) -> None:
        """Delete the runs, these turns and the conversation of this name; the ledger stays."""

        def write(db: Connection) -> None:
            db.execute("DELETE FROM runs WHERE notebook = ?", [self.notebook])
            state = read_state(db, self.notebook)
            state.get("heads", {}).pop(name, None)
            db.execute(
                "UPDATE notebooks SET state = ? WHERE id = ?", [to_json(state), self.notebook]
            )
            db.executemany("DELETE FROM turns WHERE id = ?", [[turn] for turn in turns])

        self._database.write(write).result()

    def forget_all(self) -> int:
        """Delete the turns and runs of all notebooks; return how many turns there were."""

        def write(db: Connection) -> int:
            db.execute("DELETE FROM runs")
            return db.execute("DELETE FROM turns").rowcount

        return self._database.write(write).result()

    def vacuum(self) -> None:
        """Let no byte of what was deleted stay in the file."""
        self._database.vacuum().result()
