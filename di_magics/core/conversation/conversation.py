"""The conversations of a notebook: a tree of turns that only grows, and a head for each of them.

A turn never changes its place. A conversation is a name with a *head*, the turn that its next
turn follows; the path from the root to the head is what is sent. Undo, redo, rewind, variant and
fork only move or add heads, so every turn stays reachable.

A turn belongs to a *cell*: the cell's id, and which ask of that execution it was. The first
turn of a cell follows the head. When the cell runs again, its new turn is a *variant* of the last.
The variant's parent is the turn that the old parent's cell shows now, because the user expects what
is sent to be what stands above on the screen:

    cells A, B, C run from the top      a1 - b1 - c1
    A runs again                        a1 - b1 - c1        A shows a2
                                        a2
    B runs again                        a1 - b1 - c1        B follows what A shows: a2
                                        a2 - b2

So a second Run All makes a second chain of the same shape: a2 - b2 - c2. Where the turn above now
follows the old turn itself (A ran again with --append), the old parent is kept. Without a cell id
(a terminal, papermill) every turn follows the head, and only a retry makes a variant:
`Turn.replaces` is its place then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.turn import MAIN, Turn
from di_magics.core.errors import ChatError
from di_magics.core.text import count_noun
from di_magics.core.visible import one_line


def readable_name(name: str) -> str:
    """Return the name that a conversation gets: on one line, with hidden characters visible.

    The name of a file that somebody else has chosen may have any character in it.
    """
    return one_line(name, 80)


def _place(turn: Turn) -> object:
    """Return what a turn shares with its variants; without a cell their parent is the same."""
    return turn.cell or (turn.replaces or turn.id, turn.parent)


@dataclass(frozen=True)
class Conversation:
    """All turns of a notebook, oldest first, a head for each conversation, and the one in use.

    `shown_turns` has the turn that each cell shows now, `redo_heads` the farthest head of each
    conversation whose head was moved back. Every method returns a new value.
    """

    turns: Mapping[str, Turn] = field(default_factory=dict)
    heads: Mapping[str, str | None] = field(default_factory=lambda: {MAIN: None})
    name: str = MAIN
    shown_turns: Mapping[Cell, str] = field(default_factory=dict)
    redo_heads: Mapping[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str | None:
        """The id of the turn that the next one follows."""
        return self.heads.get(self.name)

    def turn_shown_in(self, cell: Cell | None) -> Turn | None:
        """Return the turn that this cell shows now."""
        turn = self.shown_turns.get(cell) if cell else None
        return self.turns[turn] if turn else None

    def place_turn(
        self,
        cell: Cell | None,
        name: str | None = None,
        *,
        append: bool = False,
        new: bool = False,
        once: bool = False,
        replaces: Turn | None = None,
    ) -> tuple[str, str | None]:
        """Return the name of the conversation and the id of the parent for a turn in this cell.

        A cell that asked before makes a variant (see the head of this file), unless `append` is set
        or the cell names another conversation than before. `replaces` is the turn of which this one
        is a variant without that. With `new` it begins another conversation, or is a variant of the
        turn that began it; with `once` it follows no turn.
        """
        if replaces:
            conversation, parent = replaces.conversation, replaces.parent
        elif new and not once and self.turn_shown_in(cell) is None:
            conversation, parent = self.start().name, None
        else:
            conversation, parent = self._follow(cell, name, append=append)
        return conversation, None if new or once else parent

    def _follow(
        self, cell: Cell | None, name: str | None, *, append: bool
    ) -> tuple[str, str | None]:
        old = None if append else self.turn_shown_in(cell)
        if old is None or name not in (None, old.conversation):
            name = readable_name(name) if name else self.name
            return name, self.heads.get(name)
        above = self.turns[old.parent] if old.parent else None
        if above is None:
            return old.conversation, None
        now = self.turn_shown_in(above.cell)
        if now is None or self._is_ancestor(old.id, now.id):  # it was appended after this very turn
            now = above
        return old.conversation, now.id

    def with_turn(self, turn: Turn, *, keep_current: bool = False) -> Conversation:
        """Return a copy with this turn added as the head of its conversation.

        It becomes the current conversation, unless `keep_current`.
        """
        added = self.with_turns([turn])
        return replace(added, name=self.name) if keep_current else added

    def with_turns(self, new: Iterable[Turn]) -> Conversation:
        """Return a copy with these turns added one after another, in linear time."""
        turns, heads, name = dict(self.turns), dict(self.heads), self.name
        shown_turns, redo_heads = dict(self.shown_turns), dict(self.redo_heads)
        for turn in new:
            turns[turn.id] = turn
            heads[turn.conversation] = turn.id
            name = turn.conversation
            redo_heads.pop(name, None)
            if turn.cell:
                shown_turns[turn.cell] = turn.id
        return replace(
            self,
            turns=turns,
            heads=heads,
            name=name,
            shown_turns=shown_turns,
            redo_heads=redo_heads,
        )

    def with_outcome(self, turn: Turn) -> Conversation:
        """Return a copy with this turn's reply; no head moves."""
        return replace(self, turns={**self.turns, turn.id: turn})

    def path(self, turn_id: str | None = None) -> tuple[Turn, ...]:
        """Return the turns from the root to this one (the head unless named)."""
        path: list[Turn] = []
        at = turn_id or self.head
        while at is not None:
            path.append(self.turns[at])
            at = path[-1].parent
        return tuple(reversed(path))

    def variants(self, turn: Turn) -> tuple[Turn, ...]:
        """Return the turns in this one's place, oldest first, with itself.

        A cell's turns that follow one another (`--append`) are not variants, nor are those that
        failed without a reply.
        """
        return tuple(
            other
            for other in self._by_place.get(_place(turn), ())
            if other.id == turn.id
            or not (
                (other.reply.status == "failed" and other.reply.is_empty)
                or self._is_ancestor(other.id, turn.id)
                or self._is_ancestor(turn.id, other.id)
            )
        )

    @cached_property
    def _by_place(self) -> dict[object, list[Turn]]:
        places: dict[object, list[Turn]] = {}
        for turn in self.turns.values():
            places.setdefault(_place(turn), []).append(turn)
        return places

    def _is_ancestor(self, turn_id: str, to: str) -> bool:
        return self._numbers[to].start in self._numbers[turn_id]

    @cached_property
    def _numbers(self) -> dict[str, range]:
        """The numbers of each turn and of the turns that follow it, in depth-first order."""
        sizes = dict.fromkeys(self.turns, 1)
        for turn in reversed([*self.turns.values()]):  # parents come before their children
            if turn.parent:
                sizes[turn.parent] += sizes[turn.id]
        numbers: dict[str, range] = {}
        free: dict[str | None, int] = {None: 0}
        for turn in self.turns.values():
            start = free[turn.parent]
            free[turn.id] = start + 1
            free[turn.parent] = start + sizes[turn.id]
            numbers[turn.id] = range(start, free[turn.parent])
        return numbers

    def count_descendants(self, turn: Turn) -> int:
        """Return how many turns follow this one, directly or not."""
        known = {turn.id}
        for other in self.turns.values():  # parents come before their children
            if other.parent in known:
                known.add(other.id)
        return len(known) - 1

    def start(self, name: str | None = None) -> Conversation:
        """Return a copy with an empty conversation in use, named chat-2, chat-3, … by default."""
        count, name = 2, name and readable_name(name)
        while name is None or name in self.heads:
            name, count = f"chat-{count}", count + 1
        return replace(self, heads={**self.heads, name: None}, name=name)

    def switch_to(self, name: str) -> Conversation:
        """Return a copy with this conversation in use, started if there is none."""
        return replace(self, heads={name: None, **self.heads}, name=name)

    def undo(self, count: int = 1) -> Conversation:
        """Return a copy with the head moved back by so many turns.

        Raises ChatError where there are fewer.
        """
        path = self.path()
        if not 1 <= count <= len(path):
            raise ChatError(
                f"Cannot undo {count}: conversation {self.name} has "
                f"{count_noun(len(path), 'turn')}. %chat history shows them."
            )
        return self._move_head_back(path[-count].parent)

    def rewind(self, number: int) -> Conversation:
        """Return a copy with the turn of that number as the head. Raises ChatError."""
        return self._move_head_back(self.turn_at(number).id)

    def _move_head_back(self, head: str | None) -> Conversation:
        farthest = self.redo_heads.get(self.name) or self.head
        ahead = {**self.redo_heads, self.name: farthest} if farthest else self.redo_heads
        return replace(self, heads={**self.heads, self.name: head}, redo_heads=ahead)

    def redo(self, count: int = 1) -> Conversation:
        """Return a copy with the head moved forward again by so many turns.

        Raises ChatError where it was not moved back that far.
        """
        farthest = self.redo_heads.get(self.name)
        path = self.path(farthest) if farthest else ()
        at = next((i for i, turn in enumerate(path) if turn.id == self.head), -1)
        if not 1 <= count < len(path) - at:
            raise ChatError("There is nothing to redo. %chat history --tree shows all turns.")
        return replace(self, heads={**self.heads, self.name: path[at + count].id})

    def fork(self, name: str, at: Turn | None = None) -> Conversation:
        """Return a copy with a new conversation of that name in use.

        It has the turns up to `at`, by default those of this one. Raises ChatError where the name
        is in use.
        """
        name = readable_name(name)
        if name in self.heads:
            raise ChatError(f"Conversation {name} exists already. %chat use {name} switches to it.")
        return replace(self, heads={**self.heads, name: at.id if at else self.head}, name=name)

    def remove(self, gone: Collection[str], name: str) -> Conversation:
        """Return a copy without these turns and without the conversation of that name."""
        turns = {
            turn.id: replace(turn, parent=None if turn.parent in gone else turn.parent)
            for turn in self.turns.values()
            if turn.id not in gone
        }
        heads = {
            other: None if head in gone else head
            for other, head in self.heads.items()
            if other != name or name == MAIN
        }
        return replace(
            self,
            turns=turns,
            heads=heads or {MAIN: None},
            name=self.name if self.name in heads else next(iter(heads), MAIN),
            shown_turns={cell: turn for cell, turn in self.shown_turns.items() if turn not in gone},
            redo_heads={key: turn for key, turn in self.redo_heads.items() if turn not in gone},
        )

    def join(self, other: Conversation, name: str, ids: Mapping[str, str]) -> Conversation:
        """Return a copy with the turns of another conversation, in use under a new name.

        `ids` are the new ids of its turns. Turns that are here already are unchanged; the others
        get no cell.
        """
        wanted, count = readable_name(name), 1
        name = wanted
        while name in self.heads:
            count += 1
            name = f"{wanted}-{count}"
        named = {turn: turn if turn in self.turns else ids[turn] for turn in other.turns}
        turns = {
            named[turn.id]: replace(
                turn,
                id=named[turn.id],
                parent=named[turn.parent] if turn.parent else None,
                parent_cell="",
                replaces=named.get(turn.replaces) if turn.replaces else None,
                cell=None,
                conversation=name,
            )
            for turn in other.turns.values()
            if turn.id not in self.turns
        }
        head = named[other.head] if other.head else None
        return replace(
            self,
            turns={**self.turns, **turns},
            heads={**self.heads, name: head},
            name=name,
        )

    def with_variant(self, number: int) -> Conversation:
        """Return a copy with that variant in use, and the newest turns that follow it.

        It is a variant of the last turn on the path that has several. Raises ChatError if
        there is no such turn or number.
        """
        turn = next((t for t in reversed(self.path()) if len(self.variants(t)) > 1), None)
        if turn is None:
            raise ChatError("No turn has variants yet. Run a cell again to make one.")
        variants = self.variants(turn)
        if not 1 <= number <= len(variants):
            raise ChatError(
                f"There is no variant {number}. Variants are numbered 1 to {len(variants)}."
            )
        leaf = variants[number - 1].id
        for other in self.turns.values():  # parents come before their children
            if other.parent == leaf:
                leaf = other.id
        shown_turns = {turn.cell: turn.id for turn in self.path(leaf) if turn.cell}
        name = self.turns[leaf].conversation
        return replace(
            self,
            heads={**self.heads, name: leaf},
            name=name,
            shown_turns={**self.shown_turns, **shown_turns},
            redo_heads={key: to for key, to in self.redo_heads.items() if key != name},
        )

    def turn_at(self, number: int | None = None) -> Turn:
        """Return the turn of that number on the path, counted from 1; the last by default.

        Raises ChatError where there is none.
        """
        path = self.path()
        if not path:
            raise ChatError(f"Conversation {self.name} has no turns yet. Ask in a %%chat cell.")
        if number is None:
            return path[-1]
        if not 1 <= number <= len(path):
            raise ChatError(
                f"Conversation {self.name} has no turn {number}. Turns are numbered 1 to "
                f"{len(path)}: %chat history shows them."
            )
        return path[number - 1]

    def find_turn(self, beginning: str) -> Turn:
        """Return the turn of any conversation whose id begins so. Raises ChatError."""
        turns = [turn for id, turn in self.turns.items() if id.startswith(beginning)]
        if len(turns) != 1:
            raise ChatError(
                f"This notebook has no turn {one_line(beginning, 40)}. %chat history shows the "
                "numbers of turns."
            )
        return turns[0]
