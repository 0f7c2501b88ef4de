"""Turns that are on disk, as a session writes them."""

from __future__ import annotations

from decimal import Decimal

from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.money.budget import Budget
from di_magics.core.money.tally import Entry
from di_magics.core.reply.reply import UNCOUNTED, Reply, Usage
from di_magics.storage.database import Database
from di_magics.storage.journal import Journal
from di_magics.storage.turns import Turns

DONE = Reply(text="yes", status="done", usage=Usage(1, 2, 3), cost=Decimal("0.00001"), model="m")


def begin(journal: Journal, turn: Turn, *, kept: bool = True) -> None:
    """Write a turn before it is sent."""
    entry = Entry(turn.id, "n", "main", "m", "e", 1.0, "", "open", UNCOUNTED)
    journal.begin(turn, entry, Budget(), is_turn=kept).result()


def keep(store: Database, *asked: Turn) -> Conversation:
    """Write turns as a session does, and return the conversation."""
    chat, journal = Conversation(), Journal(store)
    for turn in asked:
        begin(journal, turn)
        journal.seal(turn.id, turn.reply).result()
        chat = chat.with_turn(turn)
    Turns(store, "n").save_state(chat).result()
    return chat


def turn(name: str, parent: str | None = None) -> Turn:
    """Return a turn that is done, in a cell of its name."""
    return Turn(name, f"prompt {name}", parent, Cell(name, 0), notebook="n", model="m", reply=DONE)
