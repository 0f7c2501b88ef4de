"""The conversation of a notebook: a tree of turns that only grows; what moves is the head.

Ids come from outside; the messages of a request are derived from the path, never stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from di_magics.core.conversation.attachment import Attachment, message_content
from di_magics.core.conversation.cells import Cell
from di_magics.core.errors import ChatError
from di_magics.core.reply.json_reply import parse_strict_json
from di_magics.core.reply.reply import Reply, Round, ToolCall
from di_magics.core.settings.params import Value

MAIN = "main"
NOTHING = Reply()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a turn's prompt is sent with, and where.

    `system` is the system prompt; `system_is_policy` says that it is a teacher's, which does not
    leave this machine. `endpoint` is the endpoint's name and `url` its address, empty where
    llama.cpp answers on this machine (`local`). `context` is how many turns before this one are
    sent along, None for all. `fields` are the request's fields besides messages and parameters
    (tools, response_format). `format` is how the reply is shown, empty for Markdown.
    """

    system: str | None = None
    system_is_policy: bool = False
    model: str = ""
    endpoint: str = ""
    url: str = ""
    local: bool = False
    stream: bool = True
    context: int | None = None
    params: Mapping[str, Value] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn(Sent):
    """A prompt and its reply.

    `parent` is the turn that it follows. `replaces` is the first turn that it is another try at,
    where no cell says so (a retry in a terminal).
    """

    id: str
    prompt: str
    parent: str | None = None
    cell: Cell | None = None
    replaces: str | None = None
    conversation: str = MAIN
    notebook: str = ""
    reply: Reply = NOTHING


def _position(turn: Turn) -> Cell | str:
    return turn.cell or turn.replaces or turn.id


@dataclass(frozen=True)
class Conversation:
    """All turns of a notebook, with a head for each conversation and the one in use.

    `showing` says which of its turns each cell shows now, `ahead` where each conversation's head
    was before it was moved back.
    """

    turns: Mapping[str, Turn] = field(default_factory=dict)
    heads: Mapping[str, str | None] = field(default_factory=lambda: {MAIN: None})
    name: str = MAIN
    showing: Mapping[Cell, str] = field(default_factory=dict)
    redo_heads: Mapping[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str | None:
        """The id of the turn that the next one follows."""
        return self.heads.get(self.name)

    def turn_shown_in(self, cell: Cell | None) -> Turn | None:
        """Return the turn that this cell shows now."""
        shown = self.showing.get(cell) if cell else None
        return self.turns[shown] if shown else None

    def place_turn(
        self, cell: Cell | None, name: str | None = None, *, append: bool = False
    ) -> tuple[str, str | None]:
        """Return the conversation and the parent for a turn asked in this cell.

        A cell that has asked before gets a variant, on the turn that its old parent's cell shows
        now, so that what is sent is what stands above; any other cell, and one that `append`s or
        asks another conversation by `name`, follows the head.
        """
        old = None if append else self.turn_shown_in(cell)
        if old is None or name not in (None, old.conversation):
            name = name or self.name
            return name, self.heads.get(name)
        above = self.turns[old.parent] if old.parent else None
        if above is None:
            return old.conversation, None
        now = self.turn_shown_in(above.cell)
        if now is None or self._is_ancestor(old.id, now.id):  # it was appended after this very turn
            now = above
        return old.conversation, now.id

    def with_turn(self, turn: Turn, *, aside: bool = False) -> Conversation:
        """Return the conversation with this turn added, or replaced, as the head.

        Its conversation is in use then, unless it was asked `aside`.
        """
        showing = {**self.showing, turn.cell: turn.id} if turn.cell else self.showing
        return replace(
            self,
            turns={**self.turns, turn.id: turn},
            heads={**self.heads, turn.conversation: turn.id},
            name=self.name if aside else turn.conversation,
            showing=showing,
            redo_heads={
                name: to for name, to in self.redo_heads.items() if name != turn.conversation
            },
        )

    def with_outcome(self, turn: Turn) -> Conversation:
        """Return the conversation with this turn's outcome; no head moves."""
        return replace(self, turns={**self.turns, turn.id: turn})

    def path(self, turn: str | None = None) -> tuple[Turn, ...]:
        """Return the turns from the root to this one (the head unless named)."""
        path: list[Turn] = []
        at = turn or self.head
        while at is not None:
            path.append(self.turns[at])
            at = path[-1].parent
        return tuple(reversed(path))

    def variants(self, turn: Turn) -> tuple[Turn, ...]:
        """Return the turns in this one's place: its cell's, less those it follows or is before."""
        return tuple(
            other
            for other in self._by_position.get(_position(turn), ())
            if other.id == turn.id
            or not (self._is_ancestor(other.id, turn.id) or self._is_ancestor(turn.id, other.id))
        )

    @cached_property
    def _by_position(self) -> dict[Cell | str, list[Turn]]:
        found: dict[Cell | str, list[Turn]] = {}
        for turn in self.turns.values():
            found.setdefault(_position(turn), []).append(turn)
        return found

    def _is_ancestor(self, turn: str, to: str) -> bool:
        return any(turn == each.id for each in self.path(to))

    def count_descendants(self, turn: Turn) -> int:
        """Return how many turns hang on this one, directly or not."""
        known = {turn.id}
        for other in self.turns.values():  # parents come before their children
            if other.parent in known:
                known.add(other.id)
        return len(known) - 1

    def start(self, name: str | None = None) -> Conversation:
        """Return it with an empty conversation in use, named `chat-2`, `chat-3`, … unless told."""
        count = 2
        while name is None or name in self.heads:
            name, count = f"chat-{count}", count + 1
        return replace(self, heads={**self.heads, name: None}, name=name)

    def switch_to(self, name: str) -> Conversation:
        """Return it with this conversation in use, begun if there is none of that name."""
        return replace(self, heads={name: None, **self.heads}, name=name)

    def undo(self, count: int = 1) -> Conversation:
        """Return it with the head moved back by so many turns, which are kept.

        Raises ChatError when there are not that many.
        """
        path = self.path()
        if not 1 <= count <= len(path):
            raise ChatError(
                f"Cannot undo {count}: conversation {self.name} has {len(path)} "
                f"turn{'s' * (len(path) != 1)}. %chat history shows them."
            )
        return self._move_head_back(path[-count].parent)

    def rewind(self, number: int) -> Conversation:
        """Return it with the turn of that number as the head. Raises ChatError for no such turn."""
        return self._move_head_back(self.turn_at(number).id)

    def _move_head_back(self, head: str | None) -> Conversation:
        farthest = self.redo_heads.get(self.name) or self.head
        ahead = {**self.redo_heads, self.name: farthest} if farthest else self.redo_heads
        return replace(self, heads={**self.heads, self.name: head}, redo_heads=ahead)

    def redo(self, count: int = 1) -> Conversation:
        """Return it with the head moved forward again to where it had been.

        Raises ChatError when it has not been moved back so far.
        """
        farthest = self.redo_heads.get(self.name)
        path = self.path(farthest) if farthest else ()
        at = next((i for i, turn in enumerate(path) if turn.id == self.head), -1)
        if not 1 <= count < len(path) - at:
            raise ChatError("There is nothing to redo: the head was not moved back that far.")
        return replace(self, heads={**self.heads, self.name: path[at + count].id})

    def fork(self, name: str) -> Conversation:
        """Return it with a conversation of that name in use, which begins as this one is now.

        Raises ChatError when there is one.
        """
        if name in self.heads:
            raise ChatError(f"There is a conversation {name} already: %chat use {name}.")
        return replace(self, heads={**self.heads, name: self.head}, name=name)

    def remove(self, gone: Collection[str], name: str) -> Conversation:
        """Return it without these turns and without the conversation of that name."""
        turns = {
            turn.id: replace(turn, parent=None if turn.parent in gone else turn.parent)
            for turn in self.turns.values()
            if turn.id not in gone
        }
        heads = {
            each: None if head in gone else head
            for each, head in self.heads.items()
            if each != name or name == MAIN
        }
        return replace(
            self,
            turns=turns,
            heads=heads or {MAIN: None},
            name=self.name if self.name in heads else next(iter(heads), MAIN),
            showing={cell: turn for cell, turn in self.showing.items() if turn not in gone},
            redo_heads={each: turn for each, turn in self.redo_heads.items() if turn not in gone},
        )

    def join(self, other: Conversation, name: str, ids: Mapping[str, str]) -> Conversation:
        """Return it with the turns of another conversation, in use under a new name.

        `ids` are new ids for its turns; those that are here already stay what they are. No cell
        shows the others.
        """
        wanted, count = name, 1
        while name in self.heads:
            count += 1
            name = f"{wanted}-{count}"
        named = {turn: turn if turn in self.turns else ids[turn] for turn in other.turns}
        turns = {
            named[turn.id]: replace(
                turn,
                id=named[turn.id],
                parent=named[turn.parent] if turn.parent else None,
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
        """Return it with another variant in use, and the turns that last followed it.

        It is a variant of the last turn on the path that has any. Raises ChatError when there is
        none, or none of that number.
        """
        turn = next((t for t in reversed(self.path()) if len(self.variants(t)) > 1), None)
        if turn is None:
            raise ChatError("No turn has variants yet: running a cell again makes one.")
        variants = self.variants(turn)
        if not 1 <= number <= len(variants):
            raise ChatError(f"There is no variant {number}: there are 1 to {len(variants)}.")
        leaf = variants[number - 1].id
        for other in self.turns.values():  # parents come before their children
            if other.parent == leaf:
                leaf = other.id
        shown = {each.cell: each.id for each in self.path(leaf) if each.cell}
        name = self.turns[leaf].conversation
        return replace(
            self,
            heads={**self.heads, name: leaf},
            name=name,
            showing={**self.showing, **shown},
            redo_heads={key: to for key, to in self.redo_heads.items() if key != name},
        )

    def turn_at(self, number: int | None = None) -> Turn:
        """Return the turn of that number on the path, counted from 1; the last unless told.

        Raises ChatError when there is none.
        """
        path = self.path()
        if not path:
            raise ChatError(f"Conversation {self.name} has no turns yet. Ask in a %%chat cell.")
        if number is None:
            return path[-1]
        if not 1 <= number <= len(path):
            raise ChatError(
                f"There is no turn {number}: conversation {self.name} has turns 1 to "
                f"{len(path)}. %chat history shows them."
            )
        return path[number - 1]


def request_messages(path: Iterable[Turn], turn: Turn) -> list[dict[str, Any]]:
    """Return the API's messages for a turn after this path, with what it has been told so far.

    One system message, the newest. A turn with neither text nor answered tool calls is left out;
    one with partial text is sent as it stands, so that roles alternate.
    """
    sent: list[dict[str, Any]] = []
    if turn.system:
        sent.append({"role": "system", "content": turn.system})
    for each in path:
        if not each.reply.is_empty:
            sent += turn_messages(each)
    return [*sent, *_prompt_messages(turn)]


def turn_messages(turn: Turn) -> list[dict[str, Any]]:
    """Return the messages of a turn that has been answered."""
    asked, reply = _prompt_messages(turn), turn.reply.clean_text
    if reply.strip():
        return [*asked, {"role": "assistant", "content": reply}]
    return asked[:-1] if len(asked) > 1 and asked[-1]["role"] == "user" else asked


def _prompt_messages(turn: Turn) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = [
        {"role": "user", "content": message_content(turn.prompt, turn.attachments)}
    ]
    for each in turn.reply.rounds:
        asked += round_messages(each)
    return asked


def round_messages(told: Round) -> list[dict[str, Any]]:
    """Return the messages of a round: what the model said, and what it was told.

    Reasoning is never sent back, and every call has its result.
    """
    if not told.answered:
        return []
    if not told.calls:
        return [
            {"role": "assistant", "content": told.text},
            {"role": "user", "content": told.objection},
        ]
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": _arguments(call)},
        }
        for call in told.calls
    ]
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": result.content or "(nothing)"}
        for call, result in zip(told.calls, told.results, strict=False)
    ]
    return [{"role": "assistant", "content": told.text or None, "tool_calls": calls}, *results]


def _arguments(call: ToolCall) -> str:
    """Return a call's arguments as they came; what is no JSON object would be an error there."""
    try:
        fits = isinstance(parse_strict_json(call.arguments), dict)
    except ValueError:
        fits = False
    return call.arguments if fits else "{}"
