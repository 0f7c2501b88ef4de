"""When a conversation is too long for its model: which turns to leave out, and by how much."""

from __future__ import annotations

from collections.abc import Sequence

from di_magics.core.chat import Turn
from di_magics.core.errors import TooLong
from di_magics.core.prices import tokens_in

# The server's count and ours differ by a little.
MARGIN = 1.05


def advice(error: TooLong, path: Sequence[Turn], number: int, prompt: str) -> str:
    """Return the next step: the fewest of the oldest turns that make room, else what is too long.

    `path` is what went along, `number` that of its first turn. Sizes are in tokens, as the server
    gave them, shared out by the length of the texts.
    """
    sizes = [tokens_in(_size(turn.prompt) + _size(turn.reply.shown)) for turn in path]
    if not error.asked or not error.limit:
        count = -(-len(path) // 2)
        how = f"The {count} oldest of them are about half"
        return _leaving(how, count, len(path), number) if path else SHORTER
    over = error.asked - error.limit
    whole = f"It is too long by {over:,} tokens: {error.asked:,}, and {error.limit:,} fit."
    counted = sum(sizes) + tokens_in(_size(prompt))
    scale = min(1.0, error.asked / counted) if counted else 1.0
    room = 0.0
    for count, size in enumerate(sizes, 1):
        room += size * scale
        if room >= over * MARGIN:
            how = f"{whole} Turns {number} to {number + count - 1} are about {room:,.0f} of them"
            if count == 1:
                how = f"{whole} Turn {number} is about {room:,.0f} of them"
            return _leaving(how, count, len(path), number)
    if path:
        return f"{whole} Even alone (--last 0) the prompt leaves too little room: {SHORTER}"
    return f"{whole} {SHORTER}"


SHORTER = "Shorten the prompt, lower --max-tokens, or take a model with a longer context."


def _leaving(how: str, count: int, of: int, number: int) -> str:
    left = of - count
    return (
        f"{how}: leave them out with --last {left}, or from now on with %chat set context={left}."
    )


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
