"""Notes for a receipt."""

from __future__ import annotations

from dataclasses import replace

from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.policy import Policy
from di_magics.core.shown.notes import (
    adopted_notes,
    branch_notes,
    logprobs_notes,
    policy_notes,
    resumed_note,
    variant_notes,
)

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


def test_a_branch_names_the_token_that_was_put_there() -> None:
    """With its place in the reply; one that begins at the first token has none."""
    kept = [TokenProbability("A", 0.0), TokenProbability(" the", -0.1)]
    assert branch_notes(kept) == ["token 2 is ' the' in all runs"]
    assert branch_notes([]) == []


def test_a_conversation_that_is_read_from_disk_is_named() -> None:
    """And a reply that was cut off, with how to see it."""
    assert resumed_note(Conversation()) == ""
    chat = Conversation().with_turn(turn("a", None, "a"))
    assert resumed_note(chat) == "continues 1 turn from before; %chat new starts a new one"
    cut = replace(turn("b", "a", "b"), reply=Reply(text="ye", status="cut"))
    assert "2 turns from before; the last was cut off (%chat show 2)" in resumed_note(
        chat.with_turn(cut)
    )


def test_turns_that_an_adopted_one_leaves_out_are_counted() -> None:
    """Those after the turn that it stands for, or those that no variant goes back to."""
    before = Conversation().with_turn(turn("a1", None, "a")).with_turn(turn("b1", "a1", "b"))
    again = turn("a2", None, "a")
    assert adopted_notes(before, before.with_turn(again), again) == [
        "variant 2 of 2",
        "1 later turn after variant 1 (%chat variant 1 goes back)",
    ]
    before = before.with_turn(turn("c1", "b1", "c"))
    other = turn("d1", "a1", "d")
    assert adopted_notes(before, before.with_turn(other), other) == [
        "2 later turns not sent any more (%chat history --tree)"
    ]
