"""What belongs to one notebook: its conversation, its turns on disk and its costs.

A kernel may serve several notebooks. `enter` switches to the notebook whose cell runs.
A notebook's conversation is resumed from disk when it is first read.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from di_magics.core.conversation.cells import NotebookLocation
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.shown.notes import SHARED, resumed_note
from di_magics.core.visible import one_line
from di_magics.session.watchers import Watchers
from di_magics.storage.database import Database
from di_magics.storage.ledger import Ledger
from di_magics.storage.notebook import find_notebook, set_location
from di_magics.storage.turns import Turns


class Notebook:
    """The notebook whose cell runs. `locate` returns its place and its running cell."""

    def __init__(
        self, database: Database, locate: Callable[[], NotebookLocation], watchers: Watchers
    ) -> None:
        self.locate = locate
        self.last_once: Turn | None = None
        """The last turn, if it is not remembered and the conversation has not changed since."""
        self._database = database
        self._watchers = watchers
        self._location = NotebookLocation()
        self._conversation: Conversation | None = None
        self._others: dict[int, tuple[Turns, Ledger, Conversation | None]] = {}
        self._pending_notes: list[str] = []
        self._lock = threading.RLock()
        self._bind(uuid.uuid4().hex)

    def _bind(self, notebook: str) -> None:
        self._turns = Turns(self._database, notebook)
        self._ledger = Ledger(self._database, notebook)

    def enter(self) -> None:
        """Work with the notebook whose cell runs, where it is now."""
        location, before = self.locate(), self._location
        if location.cell is None:
            return
        with self._lock:
            if location.notebook != before.notebook:
                self._others[before.notebook] = self._turns, self._ledger, self._conversation
                self._bind(uuid.uuid4().hex)
                self._conversation, self.last_once = None, None
                if location.notebook in self._others:
                    self._turns, self._ledger, self._conversation = self._others[location.notebook]
            elif location.path != before.path and self._conversation is not None:
                set_location(self._database, self._turns.notebook, location)
            if location.shared and not before.shared:
                self._pending_notes.append(SHARED)
            self._location = location
        if location.notebook != before.notebook:
            self._watchers.notify("turns")

    @property
    def conversation(self) -> Conversation:
        """The conversation, resumed from disk.

        It is empty until it is known which notebook this is: most front ends tell that only with a
        running cell.
        """
        with self._lock:
            if self._conversation is None:
                self._location = self.locate()
                result = find_notebook(self._database, self._location, self._turns.notebook)
                if result is None:
                    return Conversation()
                notebook, note = result
                self._bind(notebook)
                self._conversation = self._turns.load()
                self._pending_notes += filter(None, [note or resumed_note(self._conversation)])
            return self._conversation

    @property
    def is_resumed(self) -> bool:
        """Whether the conversation has been read: then it is known which notebook this is."""
        return self._conversation is not None

    @property
    def id(self) -> str:
        """The notebook's id on disk."""
        _ = self.conversation  # resuming it decides which notebook this is
        return self._turns.notebook

    @property
    def turns(self) -> Turns:
        """The turns on disk."""
        _ = self.conversation
        return self._turns

    @property
    def ledger(self) -> Ledger:
        """The costs."""
        _ = self.conversation
        return self._ledger

    def update(self, change: Callable[[Conversation], Conversation]) -> Conversation:
        """Replace the conversation by what `change` makes of it, save it and return it."""
        with self._lock:
            conversation = change(self.conversation)
            self._conversation, self.last_once = conversation, None
            self._turns.save_state(conversation).add_done_callback(self._on_saved)
        self._watchers.notify("turns")
        return conversation

    def _on_saved(self, saved: Future[None]) -> None:
        if error := saved.exception():
            self._pending_notes.append(
                f"the state of the conversation could not be saved: {one_line(error, 200)}"
            )

    def keep(self, turn: Turn, *, remembered: bool) -> None:
        """Add a turn's outcome to the conversation, or keep it apart until the next change."""
        if remembered:
            self.update(lambda conversation: conversation.with_outcome(_without_bulk(turn)))
        else:
            self.last_once = replace(turn, parent=None)  # which may be in a di.Conversation

    def adopt(self, turn: Turn) -> None:
        """Make a complete turn the head of its conversation."""
        self.turns.adopt([turn])
        self.update(lambda conversation: conversation.with_turn(_without_bulk(turn)))

    def join(self, other: Conversation, name: str) -> None:
        """Continue another conversation, under this name or a similar one."""
        ids = {turn: uuid.uuid4().hex for turn in other.turns}

        def joined(before: Conversation) -> Conversation:
            after = before.join(other, name, ids)
            self._turns.adopt(
                [turn for turn in after.turns.values() if turn.id not in before.turns]
            )
            return after

        self.update(joined)

    def forget(self, name: str | None) -> int:
        """Delete a conversation's turns for good, or with None those of all notebooks.

        Returns how many turns were deleted. Costs are kept.
        """
        # The disk comes first: where it fails, all is as before, and it can be tried again.
        if name is None:
            count = self._turns.forget_all()
            self.update(lambda conversation: Conversation())
        else:
            turns = self.conversation.turns.values()
            gone = {turn.id for turn in turns if turn.conversation == name}
            count = len(gone)
            self._turns.forget(gone, name)
            self.update(lambda conversation: conversation.remove(gone, name))
        self._turns.vacuum()
        return count

    def take_notes(self) -> list[str]:
        """Return what the next receipt must say of the notebook, once."""
        news, self._pending_notes = self._pending_notes, []
        return news


def _without_bulk(turn: Turn) -> Turn:
    """Return a turn without its request and its log-probabilities.

    The request can be built again, and every turn would hold the turns before it; log-probabilities
    are large, and they are on disk.
    """
    return replace(turn, reply=replace(turn.reply, request=None, logprobs=()))
