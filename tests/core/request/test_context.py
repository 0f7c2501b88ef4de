"""What to leave out of a conversation that is too long for its model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import TooLong
from di_magics.core.reply.reply import Reply, Usage
from di_magics.core.request.context import context_tokens, image_advice, shortening_advice


def turn(size: int) -> Turn:
    """Return a turn of about so many tokens."""
    return Turn("t", "p" * size, reply=Reply(text="r" * size * 2))


def too_long(asked: int | None = None, limit: int | None = None) -> TooLong:
    """Return what a server reported."""
    error = TooLong("too long")
    error.asked, error.limit = asked, limit
    return error


def test_the_fewest_of_the_oldest_turns_make_room() -> None:
    """The advice has how much is too long, which turns to leave out, and the flag for it."""
    sent = {4: turn(400), 6: turn(400), 7: turn(400)}
    assert shortening_advice(too_long(1300, 800), sent, "p" * 300) == (
        "It is too long by 500 tokens: 1,300 of at most 800. Leave out turns 4 to 6 (about 800 "
        "tokens): --last 1, or from now on %chat set context=1."
    )


def test_one_turn_may_be_enough() -> None:
    """Then the first one is left out."""
    advice = shortening_advice(too_long(1300, 1000), {1: turn(400), 2: turn(400)}, "p" * 1500)
    assert "Leave out turn 1 (about 400 tokens): --last 1" in advice


def test_our_count_is_scaled_to_the_servers() -> None:
    """Where the server counts half as many tokens, a turn has half as many."""
    advice = shortening_advice(too_long(600, 450), {1: turn(400), 2: turn(400)}, "p" * 1200)
    assert "Leave out turn 1 (about 200 tokens)" in advice


@pytest.mark.parametrize(
    ("sent", "says"),
    [({1: turn(100)}, "the prompt alone (--last 0)"), ({}, "Shorten the prompt")],
)
def test_a_prompt_that_is_too_long_alone_must_be_shortened(
    sent: dict[int, Turn], says: str
) -> None:
    """Leaving turns out would not make room for it."""
    advice = shortening_advice(too_long(9000, 1000), sent, "p" * 24000)
    assert says in advice
    assert "context=" not in advice


def test_without_the_servers_numbers_half_of_the_turns_are_left_out() -> None:
    """A guess, because its limit is not known."""
    advice = shortening_advice(too_long(), {1: turn(1), 2: turn(1), 3: turn(1)}, "p")
    assert advice == "Leave out turns 1 to 2: --last 1, or from now on %chat set context=1."
    assert shortening_advice(too_long(), {}, "p").startswith("Shorten")


def test_an_empty_request_can_be_too_long() -> None:
    """No division by zero."""
    assert "at most 1" in shortening_advice(too_long(9, 1), {}, "")


def test_the_tokens_that_are_sent_along_are_counted() -> None:
    """As the server counted them with the last reply, else from the texts that are sent."""
    first = Turn("1", "p" * 30, reply=Reply(text="r" * 30))
    second = Turn("2", "p" * 30, "1", reply=Reply(text="r", usage=Usage(100, 10)))
    chat = Conversation().with_turn(first).with_turn(second)
    assert context_tokens(Turn("3", "next", "2"), chat) == 110
    assert context_tokens(Turn("3", "next", "2", context=1, system="s" * 2), chat) == 11
    assert context_tokens(Turn("3", "next", "1"), chat) == 20
    assert context_tokens(Turn("3", "next"), chat) == 0


def test_turns_are_left_out_up_to_the_last_one_with_an_image() -> None:
    """One of a loaded file has no image any more, and a text is none."""
    image = Attachment("image", "a.png", "PNG", "data:image/png;base64,")
    seen, lost = (Turn("t", "p", attachments=(a,)) for a in (image, replace(image, content="")))
    text = Turn("t", "p", attachments=(Attachment("text", "a.txt", "", "a"),))
    assert image_advice({1: lost, 2: text}) == ""
    assert image_advice({3: seen, 5: seen, 6: lost}) == (
        "Turn 5 has an image. Leave out turns 3 to 5: --last 1, or from now on %chat set context=1."
    )
