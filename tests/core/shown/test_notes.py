"""Notes for a receipt."""

from __future__ import annotations

from dataclasses import replace

from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation, Turn
from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.policy import Policy
from di_magics.core.shown.notes import logprobs_notes, policy_notes, variant_notes

DONE = Reply(text="yes", status="done")


def turn(name: str, parent: str | None, cell: str) -> Turn:
    """Return a turn that is done."""
    return Turn(name, name, parent, Cell(cell, 0), notebook="n", model="m", reply=DONE)


def test_a_note_names_the_variant_that_later_turns_follow() -> None:
    """And how to go back to it; the first one has nothing to say."""
    chat = Conversation().with_turn(turn("a1", None, "a")).with_turn(turn("b1", "a1", "b"))
    assert variant_notes(chat, chat.turns["a1"]) == []
    again = turn("a2", None, "a")
    assert variant_notes(chat.with_turn(again), again) == [
        "variant 2 of 2",
        "1 later turn after variant 1 (%chat variant 1 goes back)",
    ]


def test_notes_say_what_a_policy_does() -> None:
    """A system prompt of its own, and where turns are kept."""
    policy = Policy(system="Be brief.", log="/logs", sources=("class.toml",))
    notes = policy_notes(turn("a", None, "a"), policy)
    assert notes == ["kept for your teacher in /logs"]


def test_variants_that_nothing_follows_are_only_counted() -> None:
    """There is nothing to go back to."""
    chat = Conversation().with_turn(turn("a1", None, "a"))
    again = turn("a2", None, "a")
    assert variant_notes(chat.with_turn(again), again) == ["variant 2 of 2"]


def test_log_probabilities_that_did_not_come_are_noted() -> None:
    """Where they were asked for, and the reply is complete."""
    asked = replace(turn("a", None, "a"), params={"logprobs": 5})
    token = TokenProbability("yes", -0.5)
    assert logprobs_notes(asked) == ["the endpoint sent no log-probabilities"]
    assert logprobs_notes(turn("a", None, "a")) == []
    assert logprobs_notes(replace(asked, reply=replace(DONE, logprobs=(token,)))) == []
    assert logprobs_notes(replace(asked, reply=replace(DONE, status="failed"))) == []
