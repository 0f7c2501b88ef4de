"""How much of a model's context window a conversation fills, and which turns to leave out."""

from __future__ import annotations

from collections.abc import Mapping

from di_magics.core.conversation.attachment import is_image
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.messages import turn_messages
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import TooLong
from di_magics.core.request.body import message_weight
from di_magics.core.request.turn_body import context_turns
from di_magics.core.tokens import estimate_text_tokens, text_weight, weight_tokens

MARGIN = 1.05
"""The server's count of tokens and ours differ by a little."""

SHORTER = (
    "Shorten the prompt, lower --max-tokens, or choose a model with a larger context window (-m)."
)


def shortening_advice(error: TooLong, sent: Mapping[int, Turn], prompt: str) -> str:
    """Return the next step: leave out as few of the oldest turns as needed, or shorten.

    `sent` are the turns that were sent with the prompt, by number. The server's count of tokens is
    divided among them by the length of their texts.
    """
    sizes = [weight_tokens(message_weight(turn_messages(turn))) for turn in sent.values()]
    if not error.asked or not error.limit:
        half = -(-len(sent) // 2)
        return _leave_out(half, sent) if sent else SHORTER
    excess = error.asked - error.limit
    problem = f"It is too long by {excess:,} tokens: {error.asked:,} of at most {error.limit:,}"
    counted = sum(sizes) + estimate_text_tokens(prompt)
    scale = min(1.0, error.asked / counted) if counted else 1.0
    room = 0.0
    for count, size in enumerate(sizes, 1):
        room += size * scale
        if room >= excess * MARGIN:
            return f"{problem}. {_leave_out(count, sent, f' (about {room:,.0f} tokens)')}"
    alone = ", and the prompt alone (--last 0) is too long as well" if sent else ""
    return f"{problem}{alone}. {SHORTER}"


def image_advice(sent: Mapping[int, Turn]) -> str:
    """Return which of the turns that were sent with a prompt has an image, "" if none has."""
    with_image = [
        place for place, turn in enumerate(sent.values(), 1) if any(map(is_image, turn.attachments))
    ]
    if not with_image:
        return ""
    last = with_image[-1]
    return f"Turn {[*sent][last - 1]} has an image. {_leave_out(last, sent)}"


def context_tokens(turn: Turn, conversation: Conversation) -> int:
    """Return about how many tokens are sent before a turn's prompt: the server's count, or ours."""
    sent = list(context_turns(turn, conversation).values())
    if sent and turn.context is None:
        usage = sent[-1].reply.usage
        asked, written = usage.prompt_tokens, usage.completion_tokens
        # With rounds the sum of several requests counts the conversation several times.
        if asked is not None and written is not None and not sent[-1].reply.rounds:
            return asked + written
    weights = (message_weight(turn_messages(earlier)) for earlier in sent)
    return weight_tokens(text_weight(turn.system or "") + sum(weights))


def _leave_out(count: int, sent: Mapping[int, Turn], size: str = "") -> str:
    first, *_, last = [*sent][:count] * 2
    which = f"turns {first} to {last}" if count > 1 else f"turn {first}"
    left = len(sent) - count
    return f"Leave out {which}{size}: --last {left}, or from now on %chat set context={left}."
