"""Converts turns, their attachments and a notebook's state to rows of the database, and back.

The long texts of a turn (prompt, reply, contents of attachments) are columns of their own; the rest
is JSON as core/conversation/record.py writes it.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.record import (
    identity_record,
    outcome_record,
    parse_reply,
    parse_turn,
)
from di_magics.core.conversation.turn import Turn
from di_magics.core.packed_tokens import dump_tokens
from di_magics.core.read_json import as_list, as_object
from di_magics.core.reply.reply import Reply, Status
from di_magics.storage.database import Connection, insert, to_utf8
from di_magics.storage.ledger import is_in_flight


def identity_row(turn: Turn, notebook: str) -> dict[str, str | None]:
    """Return the columns of a turn that are known before it is sent."""
    record = identity_record(turn)
    prompt = to_utf8(record.pop("prompt"))
    record.pop("notebook", None)  # it has a column
    cell = turn.cell.id if turn.cell else None
    identity = to_json(record)
    return dict(id=turn.id, notebook=notebook, cell=cell, prompt=prompt, identity=identity)


def outcome_row(reply: Reply) -> dict[str, str]:
    """Return the columns of a turn's reply."""
    record = outcome_record(reply)
    return dict(reply=to_utf8(record.pop("reply", "")), outcome=to_json(record))


def reply_of(text: str, outcome: str) -> Reply:
    """Return the reply of these columns."""
    return parse_reply({**json.loads(outcome), "reply": text})


def read_conversation(db: Connection, notebook: str) -> Conversation:
    """Return a notebook's conversation; a turn whose parent was forgotten is a root."""
    rows = db.execute(
        "SELECT prompt, reply, identity, outcome, touched, sealed, "
        "(SELECT process FROM ledger WHERE turn = id AND NOT turns.sealed) FROM turns "
        "WHERE notebook = ? ORDER BY number",
        [notebook],
    ).fetchall()
    with _pause_gc():
        turns: dict[str, Turn] = {}
        for turn in _parse_turns(rows, notebook):
            orphan = turn.parent not in turns
            turns[turn.id] = replace(turn, parent=None) if orphan else turn
        _read_attachments(db, notebook, turns)
        return _with_state(turns, read_state(db, notebook))


@contextmanager
def _pause_gc() -> Iterator[None]:
    """Turn the garbage collector off, which would scan the growing turns again and again."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


def _parse_turns(rows: Sequence[tuple[Any, ...]], notebook: str) -> Iterator[Turn]:
    identities = _parse_objects([row[2] for row in rows])
    outcomes = _parse_objects([row[3] or "{}" for row in rows])
    for row, identity, outcome in zip(rows, identities, outcomes, strict=True):
        prompt, text, _, _, touched, sealed, process = row
        columns = {"prompt": prompt, "reply": text, "notebook": notebook}
        turn = parse_turn(outcome | identity | columns)
        if not sealed:
            status: Status = "open" if is_in_flight(sealed, process or "", touched) else "cut"
            turn = replace(turn, reply=replace(turn.reply, status=status))
        yield turn


def _parse_objects(texts: list[str]) -> list[dict[str, Any]]:
    """Parse many small JSON objects in one call, because the call costs more than the parsing."""
    objects: list[dict[str, Any]] = json.loads(f"[{','.join(texts)}]")
    return objects


def write_attachments(db: Connection, turn: Turn) -> None:
    """Write the contents of a turn's attachments; their names are in its identity."""
    for number, attachment in enumerate(turn.attachments):
        if attachment.content:
            content = to_utf8(attachment.content)
            insert(db, "attachments", {"turn": turn.id, "number": number, "content": content})


def _read_attachments(db: Connection, notebook: str, turns: dict[str, Turn]) -> None:
    rows = db.execute(
        "SELECT turn, attachments.number, content FROM attachments "
        "JOIN turns ON turns.id = turn WHERE notebook = ?",
        [notebook],
    )
    for id_, number, content in rows:
        turn = turns[id_]
        if number < len(turn.attachments):
            attachments = list(turn.attachments)
            attachments[number] = replace(attachments[number], content=content)
            turns[id_] = replace(turn, attachments=tuple(attachments))


def copy_attachments(db: Connection, old: str, new: str) -> None:
    """Copy the attachments of a turn to another one."""
    db.execute(
        "INSERT INTO attachments (turn, number, content) "
        "SELECT ?, number, content FROM attachments WHERE turn = ?",
        [new, old],
    )


def write_logprobs(db: Connection, turn_id: str, reply: Reply) -> None:
    """Write the log-probabilities of a turn's reply, if it has any and the turn is kept.

    Where the memory does not suffice for them, the reply is kept without.
    """
    if reply.logprobs:
        with suppress(MemoryError):
            db.execute(
                "INSERT OR REPLACE INTO logprobs (turn, tokens) "
                "SELECT id, ? FROM turns WHERE id = ?",
                [dump_tokens(reply.logprobs), turn_id],
            )


def copy_logprobs(db: Connection, old: str, new: str) -> None:
    """Copy the log-probabilities of a turn to another one."""
    db.execute(
        "INSERT INTO logprobs (turn, tokens) SELECT ?, tokens FROM logprobs WHERE turn = ?",
        [new, old],
    )


def read_state(db: Connection, notebook: str) -> dict[str, Any]:
    """Return a notebook's heads and what its cells show, {} for an unknown notebook.

    What is damaged in it counts as missing: the turns say enough to go on.
    """
    row = db.execute("SELECT state FROM notebooks WHERE id = ?", [notebook]).fetchone()
    try:
        state = as_object(json.loads(row[0])) if row else {}
    except (ValueError, TypeError, RecursionError):
        state = {}
    return {
        "heads": _texts_by_name(state.get("heads")),
        "name": state.get("name"),
        "showing": [entry for entry in as_list(state.get("showing")) if _is_shown(entry)],
        "ahead": _texts_by_name(state.get("ahead")),
    }


def _texts_by_name(value: object) -> dict[str, str | None]:
    return {n: t for n, t in as_object(value).items() if t is None or isinstance(t, str)}


def _is_shown(entry: object) -> bool:
    """Return whether this is a cell's id, its ordinal and a turn."""
    kinds = [type(value) for value in entry] if isinstance(entry, list) else []
    return kinds == [str, int, str]


def merge_state(before: Mapping[str, Any], conversation: Conversation) -> dict[str, Any]:
    """Return the state of a conversation, with the heads and cells that only `before` has."""
    heads = {name: head for name, head in before.get("heads", {}).items() if head}
    showing = {(cell, ordinal): turn for cell, ordinal, turn in before.get("showing", ())}
    showing |= {(cell.id, cell.ordinal): turn for cell, turn in conversation.shown_turns.items()}
    return {
        "heads": heads | dict(conversation.heads),
        "name": conversation.name,
        "showing": [[*cell, turn] for cell, turn in showing.items()],
        "ahead": dict(conversation.redo_heads),
    }


def _with_state(turns: Mapping[str, Turn], state: Mapping[str, Any]) -> Conversation:
    """Return the conversation, without the parts of the state whose turns are missing."""
    heads = {
        name: head for name, head in state.get("heads", {}).items() if head is None or head in turns
    }
    showing = {
        Cell(cell, ordinal): turn
        for cell, ordinal, turn in state.get("showing", ())
        if turn in turns
    }
    ahead = {name: turn for name, turn in state.get("ahead", {}).items() if turn in turns}
    conversation = Conversation(
        turns, heads or Conversation().heads, shown_turns=showing, redo_heads=ahead
    )
    name = str(state.get("name"))
    return replace(conversation, name=name) if name in conversation.heads else conversation


def replace_ids(text: str, ids: Mapping[str, str]) -> str:
    """Return JSON with the old ids replaced by the new ones."""

    def walk(value: object) -> object:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return ids.get(value, value) if isinstance(value, str) else value

    return to_json(walk(json.loads(text)))


def to_json(value: object) -> str:
    """Return JSON in ASCII, without spaces."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
