"""The tree of a conversation as lines of text: branches indented, what is in use marked."""

from __future__ import annotations

from di_magics.core.chat import Conversation, Turn
from di_magics.core.errors import one_line

WIDTH = 100


def tree(chat: Conversation) -> str:
    """Return a line for each turn; a chain stays in its column, a fork opens one for each branch.

    `*` marks the turns that the next request sends, and `<` the heads by name.
    """
    children: dict[str | None, list[Turn]] = {}
    for turn in chat.turns.values():
        children.setdefault(turn.parent, []).append(turn)
    in_use = {turn.id for turn in chat.path()}
    heads: dict[str | None, list[str]] = {}
    for name, head in chat.heads.items():
        heads.setdefault(head, []).append(name)
    lines: list[str] = []
    waiting = [(turn, 0, "") for turn in reversed(children.get(None, []))]
    while waiting:
        turn, depth, mark = waiting.pop()
        names = "".join(f"  < {name}" for name in heads.get(turn.id, ()))
        said = one_line(turn.reply.shown, WIDTH) or f"({turn.reply.status})"
        text = one_line(f"{turn.prompt} → {said}", WIDTH - 2 * depth)
        used = "*" if turn.id in in_use else " "
        lines.append(f"{used} {'│ ' * (depth - bool(mark))}{mark}{text}{names}")
        after = children.get(turn.id, [])
        if len(after) == 1:
            waiting.append((after[0], depth, ""))
        else:
            waiting += [(each, depth + 1, "├ ") for each in reversed(after)]
    return "\n".join(lines)
