"""The tree of a conversation, row by row: branches are indented, and sent turns are marked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.visible import one_line

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A turn in the tree, with the lines drawn before it and the conversations that end at it.

    `is_sent` is whether the next request includes it; `number` is then its number in %chat history.
    """

    turn: Turn
    strokes: str
    is_sent: bool
    number: int | None
    heads: tuple[str, ...]

    @property
    def prompt(self) -> str:
        """The beginning of the prompt."""
        return one_line(self.turn.prompt, WIDTH)

    @property
    def reply(self) -> str:
        """The beginning of the reply, and its status unless it is complete."""
        text = one_line(self.turn.reply.clean_text, WIDTH)
        status = "" if text and self.turn.reply.complete else f"({self.turn.reply.status})"
        return f"{text} {status}".strip()


def tree_rows(conversation: Conversation) -> Iterator[Row]:
    """Yield the row of every turn; a chain stays in its column, a fork adds a column per branch."""
    children: dict[str | None, list[Turn]] = {}
    for turn in conversation.turns.values():
        children.setdefault(turn.parent, []).append(turn)
    in_use = {turn.id: number for number, turn in enumerate(conversation.path(), 1)}
    heads: dict[str | None, tuple[str, ...]] = {}
    for name, head in conversation.heads.items():
        heads[head] = (*heads.get(head, ()), name)

    def below(parent: str | None, bars: str) -> list[tuple[Turn, str, str]]:
        """Return the turns after this one, last first, with the lines drawn before them."""
        after = children.get(parent, [])
        if len(after) < 2:
            return [(turn, bars, "") for turn in after]
        strokes = ["├ "] * (len(after) - 1) + ["└ "]
        return [(turn, bars, mark) for turn, mark in zip(after, strokes, strict=True)][::-1]

    waiting = below(None, "")
    while waiting:
        turn, bars, mark = waiting.pop()
        number = in_use.get(turn.id)
        yield Row(turn, bars + mark, number is not None, number, heads.get(turn.id, ()))
        waiting += below(turn.id, bars + {"├ ": "│ ", "└ ": "  "}.get(mark, ""))


def tree_text(conversation: Conversation) -> str:
    """Return one line per turn: `*` marks the turns of the next request, `<` the heads."""
    lines = []
    for row in tree_rows(conversation):
        text = one_line(f"{row.prompt} → {row.reply}", WIDTH - len(row.strokes))
        heads = "".join(f"  < {name}" for name in row.heads)
        lines.append(f"{'*' if row.is_sent else ' '} {row.strokes}{text}{heads}")
    return "\n".join(lines)
