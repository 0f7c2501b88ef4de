"""Notes for a receipt: which variant of a turn it is, and what a policy did."""

from __future__ import annotations

from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.settings.policy import Policy


def policy_notes(turn: Turn, policy: Policy) -> list[str]:
    """Return notes about the policy under which a turn was sent."""
    notes = [f"system prompt of {policy.system_source}"] if turn.system_is_policy else []
    return [*notes, f"kept for your teacher in {policy.log}"] if policy.log else notes


def variant_notes(chat: Conversation, turn: Turn) -> list[str]:
    """Return notes about which variant a turn is, and which other variant has later turns."""
    variants = chat.variants(turn)
    if len(variants) < 2:
        return []
    number = [variant.id for variant in variants].index(turn.id) + 1
    notes = [f"variant {number} of {len(variants)}"]
    followed = [
        (other, after)
        for other, variant in enumerate(variants, 1)
        if other != number and (after := chat.count_descendants(variant))
    ]
    if followed:
        other, after = followed[-1]
        turns = f"{after} later turn{'s' * (after != 1)}"
        notes.append(f"{turns} after variant {other} (%chat variant {other} goes back)")
    return notes
