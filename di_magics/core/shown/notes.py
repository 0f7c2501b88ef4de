"""Notes for a receipt: what was continued, which variant a turn is, what a policy did."""

from __future__ import annotations

from collections.abc import Sequence

from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.logprobs import TokenProbability
from di_magics.core.settings.policy import Policy
from di_magics.core.text import count_noun
from di_magics.core.visible import make_visible

SHARED = "another page uses this kernel. Save its notebook to give it its own conversation"


def policy_notes(turn: Turn, policy: Policy) -> list[str]:
    """Return notes about the policy under which a turn was sent."""
    notes = [f"system prompt of {policy.system_source}"] if turn.system_is_policy else []
    return [*notes, f"kept for your teacher in {policy.log}"] if policy.log else notes


def branch_notes(kept: Sequence[TokenProbability]) -> list[str]:
    """Return a note about the last of the tokens with which every run of a branch begins."""
    return [f"token {len(kept)} is {make_visible(kept[-1].text, 40)!r} in all runs"] if kept else []


def logprobs_notes(turn: Turn) -> list[str]:
    """Return a note if the log-probabilities that were asked for did not come."""
    missing = "logprobs" in turn.params and not turn.reply.logprobs
    return ["the endpoint sent no log-probabilities"] if missing and turn.reply.complete else []


def resumed_note(conversation: Conversation) -> str:
    """Return a note about the conversation that was read from disk, or ""."""
    path = conversation.path()
    if not path:
        return ""
    cut = path[-1].reply.status in ("cut", "open")
    lost = f"; the last was cut off (%chat show {len(path)})" if cut else ""
    return (
        f"continues {count_noun(len(path), 'turn')} from before{lost}; %chat new starts a new one"
    )


def variant_notes(conversation: Conversation, turn: Turn) -> list[str]:
    """Return notes about which variant a turn is, and which other variant has later turns."""
    variants = conversation.variants(turn)
    if len(variants) < 2 or turn.reply.status == "failed":
        return []
    number = [variant.id for variant in variants].index(turn.id) + 1
    notes = [f"variant {number} of {len(variants)}"]
    followed = [
        (other, after)
        for other, variant in enumerate(variants, 1)
        if other != number and (after := conversation.count_descendants(variant))
    ]
    if followed:
        other, after = followed[-1]
        turns = count_noun(after, "later turn")
        notes.append(f"{turns} after variant {other} (%chat variant {other} goes back)")
    return notes


def adopted_notes(before: Conversation, after: Conversation, turn: Turn) -> list[str]:
    """Return notes about an adopted turn: which variant it is, and which turns it leaves out."""
    notes, head = variant_notes(after, turn), before.heads.get(turn.conversation)
    kept = {other.id for other in after.path(turn.id)}
    left = [other.id for other in before.path(head) if other.id not in kept] if head else []
    if left and left[0] not in {variant.id for variant in after.variants(turn)}:
        turns = count_noun(len(left), "later turn")
        notes.append(f"{turns} not sent any more (%chat history --tree)")
    return notes
