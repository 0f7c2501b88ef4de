"""A reply grows by a pure fold, the same however its events are cut into reads."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from grow import GROWN, TOKEN, grow
from growth import growth

from di_magics.core.reply.fold import (
    MAX_ARGUMENT_CHARS,
    MAX_CALLS,
    Finished,
    Image,
    Logprobs,
    OtherChoice,
    Reasoning,
    ReplyEvent,
    ReplyFold,
    Served,
    Text,
    ToolCallDelta,
    Used,
)
from di_magics.core.reply.reply import END_TOKENS, Reply, Usage

EVENTS: list[ReplyEvent] = [
    Served("m", "1"),
    Reasoning("h"),
    Reasoning("m"),
    Text("Hi"),
    Text(" there"),
    Logprobs((TOKEN,)),
    Logprobs((TOKEN,)),
    ToolCallDelta(0, "c", "f", "{"),
    Served(None, "2"),
    ToolCallDelta(0, "", "", "}"),
    Used(Usage(1, cost=Decimal("0.1"))),
    Finished("stop"),
    Used(Usage(1, 2, cost=Decimal("0.2"))),
    Served("n", None),
    Finished(),
]


def calls(*parts: ToolCallDelta) -> list[tuple[str, str, str]]:
    """Return the calls that these fragments make, which come one by one."""
    reply = grow(*([part] for part in parts))
    return [(call.id, call.name, call.arguments) for call in reply.tool_calls]


@pytest.mark.parametrize("size", range(1, len(EVENTS) + 1))
def test_a_reply_is_the_same_however_its_events_are_cut(size: int) -> None:
    """One event at a time or all at once: text adds up, of the rest the last one holds."""
    assert grow(*(EVENTS[at : at + size] for at in range(0, len(EVENTS), size))) == GROWN


def test_no_events_leave_the_reply_unchanged() -> None:
    """Another snapshot is an equal reply."""
    assert grow(EVENTS, []) == GROWN


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "eos", None])
def test_a_reply_has_ended_when_the_server_says_so(reason: str | None) -> None:
    """Any reason will do, and so will none."""
    reply = grow([Text("a"), Finished(reason)])
    assert reply.complete
    assert reply.finish_reason == reason


@pytest.mark.parametrize("reason", ["error", "network_error", "abort"])
def test_a_reply_that_failed_at_the_server_is_not_whole(reason: str) -> None:
    """The end of the stream after such a reason does not make it so."""
    for reply in (
        grow([Text("a"), Finished(reason), Finished()]),
        grow([Text("a"), Finished(reason)], [Finished()]),
    ):
        assert not reply.complete
        assert reply.finish_reason == reason


@pytest.mark.parametrize("token", sorted(END_TOKENS))
def test_an_end_token_that_leaked_is_not_shown(token: str) -> None:
    """Only as the very last piece, and the raw text keeps it."""
    events: list[ReplyEvent] = [Text("Hi"), Text(token), Finished("stop")]
    reply = grow(events)
    assert (reply.text, reply.clean_text, str(reply)) == (f"Hi{token}", "Hi", "Hi")
    more = grow(events, [Text("!")])
    assert more.clean_text == f"Hi{token}!"
    assert more.clean_text.startswith(reply.clean_text)


def test_an_end_token_within_a_piece_is_text() -> None:
    """A model that writes about `</s>` is quoted as it is."""
    assert grow([Text("a </s>")]).clean_text == "a </s>"


@pytest.mark.parametrize("first", [0, 1])
def test_fragments_of_one_index_are_one_call(first: int) -> None:
    """Indexes may start at 1, the fragments of two calls may alternate."""
    assert calls(
        ToolCallDelta(first, "a", "f", ""),
        ToolCallDelta(first + 1, "b", "g", "["),
        ToolCallDelta(first, "", "", "{"),
        ToolCallDelta(first + 1, "", "", "]"),
        ToolCallDelta(first, "", "", "}"),
    ) == [("a", "f", "{}"), ("b", "g", "[]")]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("again", ["", "a"])
def test_a_name_may_be_repeated(index: int, again: str) -> None:
    """With each fragment of a call, with the id or without."""
    assert calls(
        ToolCallDelta(index, "a", "f", "{"),
        ToolCallDelta(index, again, "f", "}"),
    ) == [("a", "f", "{}")]


@pytest.mark.parametrize(("index", "again"), [(-1, "a"), (0, ""), (0, "a")])
@pytest.mark.parametrize("pieces", [("no", "w"), ("no", "now"), ("n", "o", "w"), ("now", "now")])
def test_a_name_may_come_in_pieces(pieces: tuple[str, ...], index: int, again: str) -> None:
    """Each new, or with those before it, until arguments follow."""
    first, *more = pieces
    assert calls(
        ToolCallDelta(index, "a", first, ""),
        *(ToolCallDelta(index, again, piece, "") for piece in more),
        ToolCallDelta(index, again, "", "{}"),
    ) == [("a", "now", "{}")]


def test_calls_that_share_an_index_are_told_apart() -> None:
    """By another id, or by another name where there is no id."""
    assert calls(
        ToolCallDelta(0, "a", "f", "{}"),
        ToolCallDelta(0, "b", "f", "{}"),
        ToolCallDelta(0, "", "g", "["),
        ToolCallDelta(0, "", "", "]"),
    ) == [("a", "f", "{}"), ("b", "f", "{}"), ("", "g", "[]")]


@pytest.mark.parametrize("index", [-1, 0])
def test_calls_with_one_index_may_alternate(index: int) -> None:
    """The id says whose a fragment is."""
    assert calls(
        ToolCallDelta(index, "a", "f", "{"),
        ToolCallDelta(index, "b", "f", "["),
        ToolCallDelta(index, "a", "", "}"),
        ToolCallDelta(index, "b", "", "]"),
    ) == [("a", "f", "{}"), ("b", "f", "[]")]


def test_without_indexes_a_name_begins_a_call() -> None:
    """A fragment without a name, or with the same id, continues the last call."""
    assert calls(
        ToolCallDelta(-1, "a", "f", "{"),
        ToolCallDelta(-1, "", "", "}"),
        ToolCallDelta(-1, "b", "f", "["),
        ToolCallDelta(-1, "b", "f", "]"),
        ToolCallDelta(-1, "", "f", ""),
    ) == [("a", "f", "{}"), ("b", "f", "[]"), ("", "f", "")]


def test_a_call_may_be_named_late() -> None:
    """Its id and its name are the first that are not empty."""
    assert calls(
        ToolCallDelta(0, "", "", "{"),
        ToolCallDelta(0, "a", "f", ""),
        ToolCallDelta(0, "", "", "}"),
        ToolCallDelta(3, "b", "", ""),
        ToolCallDelta(3, "", "g", "{}"),
        ToolCallDelta(7, "", "", "!"),
    ) == [("a", "f", "{}"), ("b", "g", "{}!")]


# Growth ---------------------------------------------------------------------------------------


GROWING: dict[str, Callable[[int], ReplyEvent]] = {
    "text": lambda i: Text("word "),
    "reasoning": lambda i: Reasoning("word "),
    "logprobs": lambda i: Logprobs((TOKEN,)),
    "calls": lambda i: ToolCallDelta(i, f"c{i}", "f", "{}"),
    "unnumbered calls": lambda i: ToolCallDelta(-1, f"c{i}", "f", "{}"),
    "arguments": lambda i: ToolCallDelta(0, "c", "f", "word "),
    "choices": lambda i: OtherChoice(i),
    "usage": lambda i: Used(Usage(i)),
}


@pytest.mark.parametrize("kind", GROWING)
def test_a_reply_grows_in_linear_time(kind: str) -> None:
    """With events that come one at a time, and as many snapshots as the user sees frames."""

    def fold_all(events: list[ReplyEvent]) -> None:
        fold = ReplyFold()
        for number, event in enumerate(events):
            fold.add([event])
            if number % (len(events) // 20) == 0:
                fold.snapshot()
        fold.snapshot()

    assert growth(fold_all, 20_000, lambda n: [GROWING[kind](i) for i in range(n)]) <= 3


@pytest.mark.parametrize("index", ["one each", "none"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_calls_of_a_reply_are_bounded(index: str, size: int) -> None:
    """What comes after the last is in none of them, however the events are cut."""
    parts = []
    for i in range(MAX_CALLS + 10):
        at = i if index == "one each" else -1
        parts += [ToolCallDelta(at, f"c{i}", "f", "{"), ToolCallDelta(at, "", "", "}")]
    late = [ToolCallDelta(5, "", "", "!")] if index == "one each" else []
    reply = grow(*(parts[at : at + size] for at in range(0, len(parts), size)), late)
    assert len(reply.tool_calls) == MAX_CALLS
    assert [call.id for call in reply.tool_calls] == [f"c{i}" for i in range(MAX_CALLS)]
    assert {call.arguments for call in reply.tool_calls} == {"{}"} | ({"{}!"} if late else set())


@pytest.mark.no_cover
@pytest.mark.parametrize("size", [7, 1000, MAX_ARGUMENT_CHARS + 1])
def test_the_arguments_of_a_call_are_bounded(size: int) -> None:
    """The beginning is kept."""
    text = "abcdefghij" * (MAX_ARGUMENT_CHARS // 10 + 5)
    fold = ReplyFold()
    fold.add(ToolCallDelta(0, "c", "f", text[at : at + size]) for at in range(0, len(text), size))
    assert fold.snapshot().tool_calls[0].arguments == text[:MAX_ARGUMENT_CHARS]


def test_images_and_other_choices_are_counted() -> None:
    """They are no part of the text."""
    reply = grow([Image(), OtherChoice(2)], [Image(), OtherChoice(1), Text("a")])
    assert (reply.images, reply.choices, reply.text) == (2, 3, "a")
    assert (Reply().images, Reply().choices) == (0, 1)


def test_a_fold_gives_the_reply_at_any_time() -> None:
    """What was taken from it before does not change."""
    fold = ReplyFold("a")
    assert fold.began
    before = fold.snapshot()
    assert not fold.ended
    fold.add([Text("b"), Finished("stop")])
    assert fold.ended
    assert (before.text, fold.snapshot().text, fold.snapshot().text) == ("a", "ab", "ab")
    assert not ReplyFold().began
    assert not ReplyFold().ended
