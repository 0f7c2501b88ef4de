"""When a conversation is too long for its model: which turns to leave out, and by how much."""

from __future__ import annotations

from collections.abc import Mapping

from di_magics.core.conversation.conversation import Conversation, Turn, turn_messages
from di_magics.core.errors import TooLong
from di_magics.core.money.prices import estimate_tokens
from di_magics.core.request.body import text_bytes
from di_magics.core.request.plan import context_turns

# The server's count and ours differ by a little.
MARGIN = 1.05


def shortening_advice(error: TooLong, sent: Mapping[int, Turn], prompt: str) -> str:
    """Return the next step: the fewest of the oldest turns that make room, else what is too long.

    `sent` is what went along, by number. Sizes are in tokens, as the server gave them, shared out
    by the length of the texts.
    """
    sizes = [estimate_tokens(text_bytes(turn_messages(turn))) for turn in sent.values()]
    if not error.asked or not error.limit:
        half = -(-len(sent) // 2)
        return f"Leave out {_turns_option(half, sent)}." if sent else SHORTER
    over = error.asked - error.limit
    whole = f"It is too long by {over:,} tokens: {error.asked:,}, and {error.limit:,} fit."
    counted = sum(sizes) + estimate_tokens(_size(prompt))
    scale = min(1.0, error.asked / counted) if counted else 1.0
    room = 0.0
    for count, size in enumerate(sizes, 1):
        room += size * scale
        if room >= over * MARGIN:
            return f"{whole} For about {room:,.0f} of them leave out {_turns_option(count, sent)}."
    if sent:
        return f"{whole} Even alone (--last 0) the prompt leaves too little room: {SHORTER}"
    return f"{whole} {SHORTER}"


def context_tokens(turn: Turn, chat: Conversation) -> int:
    """Return about how many tokens go along with a turn: as the server counted them, else ours."""
    sent = list(context_turns(turn, chat).values())
    if sent and turn.context is None:
        usage = sent[-1].reply.usage
        asked, written = usage.prompt_tokens, usage.completion_tokens
        # Several requests count what went along several times.
        if asked is not None and written is not None and not sent[-1].reply.rounds:
            return asked + written
    sizes = (text_bytes(turn_messages(each)) for each in sent)
    return estimate_tokens(_size(turn.system or "") + sum(sizes))


SHORTER = "Shorten the prompt, lower --max-tokens, or take a model with a longer context."


def _turns_option(count: int, sent: Mapping[int, Turn]) -> str:
    first, *_, last = [*sent][:count] * 2
    which = f"turns {first} to {last}" if count > 1 else f"turn {first}"
    left = len(sent) - count
    return f"{which}: --last {left}, or from now on %chat set context={left}"


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
