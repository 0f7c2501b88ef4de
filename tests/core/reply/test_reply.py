"""A reply grows by a pure fold, the same however its events are cut into reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from grow import grow
from growth import growth

from di_magics.core.errors import ChatError, ReplyError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.reply import (
    END_TOKENS,
    MOST_ARGUMENTS,
    MOST_CALLS,
    Finished,
    Image,
    Logprobs,
    OtherChoice,
    Reasoning,
    Reply,
    ReplyEvent,
    ReplyFold,
    Round,
    Served,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Usage,
    Used,
    add_request,
    with_call_ids,
)

TOKEN = TokenProbability("Hi", -0.5)
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
GROWN = Reply(
    text="Hi there",
    reasoning="hm",
    tool_calls=(ToolCall("c", "f", "{}"),),
    finish_reason="stop",
    usage=Usage(1, 2, cost=Decimal("0.2")),
    cost=Decimal("0.2"),
    model="n",
    id="2",
    logprobs=(TOKEN, TOKEN),
    ended=True,
    last_chunk=" there",
    call_indexes=(0,),
)


def calls(*parts: ToolCallDelta) -> list[tuple[str, str, str]]:
    """Return the calls that these fragments make, which come one by one."""
    reply = Reply()
    for part in parts:
        reply = grow(reply, [part])
    return [(call.id, call.name, call.arguments) for call in reply.tool_calls]


@pytest.mark.parametrize("size", range(1, len(EVENTS) + 1))
def test_a_reply_is_the_same_however_its_events_are_cut(size: int) -> None:
    """One event at a time or all at once: text adds up, of the rest the last one holds."""
    reply = Reply()
    for at in range(0, len(EVENTS), size):
        reply = grow(reply, EVENTS[at : at + size])
    assert reply == GROWN


def test_nothing_changes_a_reply_by_nothing() -> None:
    """Growing by no events gives an equal reply."""
    assert grow(GROWN, []) == GROWN


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "eos", None])
def test_a_reply_has_ended_when_the_server_says_so(reason: str | None) -> None:
    """Any reason will do, and so will none."""
    reply = grow(Reply(), [Text("a"), Finished(reason)])
    assert reply.ended
    assert reply.finish_reason == reason


@pytest.mark.parametrize("reason", ["error", "network_error", "abort"])
def test_a_reply_that_failed_at_the_server_is_not_whole(reason: str) -> None:
    """The end of the stream after such a reason does not make it so."""
    for reply in (
        grow(Reply(), [Text("a"), Finished(reason), Finished()]),
        grow(grow(Reply(), [Text("a"), Finished(reason)]), [Finished()]),
    ):
        assert not reply.ended
        assert reply.finish_reason == reason


@pytest.mark.parametrize("token", sorted(END_TOKENS))
def test_an_end_token_that_leaked_is_not_shown(token: str) -> None:
    """Only as the very last piece, and the raw text keeps it."""
    reply = grow(Reply(), [Text("Hi"), Text(token), Finished("stop")])
    assert (reply.text, reply.clean_text, str(reply)) == (f"Hi{token}", "Hi", "Hi")
    more = grow(reply, [Text("!")])
    assert more.clean_text == f"Hi{token}!"
    assert more.clean_text.startswith(reply.clean_text)


def test_an_end_token_within_a_piece_is_text() -> None:
    """A model that writes about `</s>` is quoted as it is."""
    assert grow(Reply(), [Text("a </s>")]).clean_text == "a </s>"


@pytest.mark.parametrize(
    ("reply", "empty"),
    [
        (Reply(), True),
        (Reply(text=" \n"), True),
        (Reply(reasoning="hm"), True),
        (grow(Reply(), [Text("</s>")]), True),
        (Reply(text="a"), False),
        (Reply(tool_calls=(ToolCall("", "f", ""),)), True),
        (
            Reply(rounds=(Round(calls=(ToolCall("1", "f", ""),), results=(ToolResult("2"),)),)),
            False,
        ),
    ],
)
def test_a_reply_is_empty_without_text_and_answered_call(reply: Reply, empty: bool) -> None:
    """Reasoning, and calls that nobody has answered, are nothing to send back."""
    assert reply.is_empty is empty


def test_only_a_done_reply_is_complete() -> None:
    """Every other status is not."""
    assert Reply(status="done").complete
    assert not any(Reply(status=s).complete for s in ("open", "stopped", "cut", "failed"))


def test_the_repr_is_short() -> None:
    """A notebook that echoes a reply shows neither its text nor the request."""
    assert repr(Reply(text="x" * 12345, status="done")) == "<Reply done, 12,345 characters>"


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


def test_calls_that_share_an_index_are_told_apart() -> None:
    """By another id, or by another name where there is no id."""
    assert calls(
        ToolCallDelta(0, "a", "f", "{}"),
        ToolCallDelta(0, "b", "f", "{}"),
        ToolCallDelta(0, "", "g", "["),
        ToolCallDelta(0, "", "", "]"),
    ) == [("a", "f", "{}"), ("b", "f", "{}"), ("", "g", "[]")]


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


@pytest.mark.parametrize(
    ("ids", "named_as"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        ([""], ["call_0"]),
        (["", ""], ["call_0", "call_1"]),
        (["a", "a", "a"], ["a", "call_0", "call_1"]),
        (["a", "", "a"], ["a", "call_0", "call_1"]),
        (["_"], ["_"]),
    ],
)
def test_every_call_has_an_id_of_its_own(ids: list[str], named_as: list[str]) -> None:
    """Some servers send none, or one for all; what is there is kept."""
    calls = [ToolCall(each, f"f{number}", "{}") for number, each in enumerate(ids)]
    assert [call.id for call in with_call_ids(calls)] == named_as
    assert [call.name for call in with_call_ids(calls)] == [call.name for call in calls]


@pytest.mark.parametrize(
    "ids",
    [
        ["call_1", ""],
        ["call_2", "", ""],
        ["", "call_0"],
        ["a", "call_2_a", "a"],
        ["call_1_a", "a", "a", ""],
        ["_", "_", "_"],
        ["call_3", "call_2", "", ""],
    ],
)
def test_no_call_is_lost_whatever_the_ids_are(ids: list[str]) -> None:
    """An id that is made up is not one that a server has given."""
    calls = [ToolCall(each, f"f{number}", "{}") for number, each in enumerate(ids)]
    found = with_call_ids(calls)
    assert [call.name for call in found] == [call.name for call in calls]
    assert len({call.id for call in found}) == len(calls)


ROUND = Round(calls=(ToolCall("1", "f", "{}"),), results=(ToolResult("2"),))


def test_one_request_is_the_turns_reply() -> None:
    """Without rounds before it nothing is added."""
    assert add_request(Reply(text="x", usage=Usage(1), elapsed=1), GROWN) is GROWN


def test_the_requests_of_a_turn_add_up() -> None:
    """Tokens, cost and time; the text is the newest, the first text that of the first request."""
    before = Reply(
        rounds=(ROUND,),
        usage=Usage(10, 2, 12, 4, 1, Decimal("0.1")),
        cost=Decimal("0.1"),
        estimate="a list",
        elapsed=1.5,
        first_token=0.5,
    )
    newest = Reply(
        text="Hi",
        status="done",
        usage=Usage(20, 3, 23, 5, 0, Decimal("0.2")),
        cost=Decimal("0.2"),
        elapsed=2.0,
        first_token=0.25,
    )
    assert add_request(before, newest) == Reply(
        text="Hi",
        status="done",
        rounds=(ROUND,),
        usage=Usage(30, 5, 35, 9, 1, Decimal("0.3")),
        cost=Decimal("0.3"),
        estimate="a list",
        elapsed=3.5,
        first_token=0.5,
    )


def test_a_sum_of_which_a_part_is_not_known_is_not_known() -> None:
    """On either side."""
    known = Reply(rounds=(ROUND,), usage=Usage(1, 2), cost=Decimal(1), elapsed=1)
    unknown = Reply(rounds=(ROUND,), text="x")
    for before, newest in ((known, unknown), (unknown, known)):
        whole = add_request(before, newest)
        assert (whole.usage, whole.cost) == (Usage(), None)
    assert add_request(known, unknown).elapsed is None
    assert add_request(unknown, known).elapsed == 1


def test_a_request_that_failed_adds_nothing() -> None:
    """What the ones before have cost stays known, unless it has cost something itself."""
    before = Reply(rounds=(ROUND,), usage=Usage(1, 2, 3), cost=Decimal("0.1"), elapsed=1.0)
    failed = Reply(status="failed", elapsed=0.5)
    whole = add_request(before, failed)
    assert (whole.usage, whole.cost) == (before.usage, before.cost)
    assert (whole.status, whole.elapsed) == ("failed", 1.5)
    paid = add_request(before, Reply(status="failed", usage=Usage(4, 5, 6), cost=Decimal("0.2")))
    assert (paid.usage, paid.cost) == (Usage(5, 7, 9), Decimal("0.3"))
    stopped = add_request(before, Reply(status="stopped"))
    assert (stopped.usage, stopped.cost) == (Usage(), None)


def test_several_requests_have_no_speed() -> None:
    """The time between them is not the model's."""
    timed = Reply(usage=Usage(1, 11), first_token=0.5, elapsed=1.5)
    assert timed.tokens_per_second == 10
    assert add_request(Reply(rounds=(ROUND,), usage=Usage(1, 1)), timed).tokens_per_second is None


@pytest.mark.parametrize(
    ("reply", "made"),
    [
        (Reply(text='{"a": 1}'), {"a": 1}),
        (Reply(text="```json\n[1]\n```\n"), [1]),
        (Reply(text="1</s>", last_chunk="</s>"), 1),
        (Reply(text="null"), None),
        (Reply(text="no JSON", parsed=GROWN), GROWN),
        (Reply(text="1", parsed=0), 0),
        (Reply(text="null", parsed=None), None),
    ],
)
def test_a_reply_may_be_json(reply: Reply, made: object) -> None:
    """What it was read as already, else what its text is."""
    assert reply.json() == made


@pytest.mark.parametrize("text", ["", "Hello", '{"a":', "NaN"])
def test_a_reply_that_is_no_json_is_an_error_that_holds_it(text: str) -> None:
    """For a program that goes on with what there is."""
    reply = Reply(text=text)
    with pytest.raises(ReplyError) as error:
        reply.json()
    assert error.value.reply is reply


def test_a_reply_that_was_refused_by_its_schema_is_an_error() -> None:
    """Although its text is JSON: it is not what was asked for."""
    reply = Reply(text="1", validation_error="1 is not an object.")
    with pytest.raises(ReplyError, match="not an object") as error:
        reply.json()
    assert error.value.reply is reply


def test_the_code_of_a_reply() -> None:
    """That of its Python blocks; a leaked end token is no part of it."""
    assert Reply(text="```r\na\n```\n```py\nb\n```").code == "b"
    assert Reply(text="```py\nb\n```</s>", last_chunk="</s>").code == "b"
    with pytest.raises(ChatError, match="no code block"):
        _ = Reply(text="Hi").code


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
    for i in range(MOST_CALLS + 10):
        at = i if index == "one each" else -1
        parts += [ToolCallDelta(at, f"c{i}", "f", "{"), ToolCallDelta(at, "", "", "}")]
    late = [ToolCallDelta(5, "", "", "!")] if index == "one each" else []
    reply = Reply()
    for at in range(0, len(parts), size):
        reply = grow(reply, parts[at : at + size])
    reply = grow(reply, late)
    assert len(reply.tool_calls) == MOST_CALLS
    assert [call.id for call in reply.tool_calls] == [f"c{i}" for i in range(MOST_CALLS)]
    assert {call.arguments for call in reply.tool_calls} == {"{}"} | ({"{}!"} if late else set())


@pytest.mark.no_cover
@pytest.mark.parametrize("size", [1, 1000, MOST_ARGUMENTS + 1])
def test_the_arguments_of_a_call_are_bounded(size: int) -> None:
    """The beginning is kept."""
    text = "abcdefghij" * (MOST_ARGUMENTS // 10 + 5)
    fold = ReplyFold()
    fold.add(ToolCallDelta(0, "c", "f", text[at : at + size]) for at in range(0, len(text), size))
    assert fold.snapshot().tool_calls[0].arguments == text[:MOST_ARGUMENTS]


def test_images_and_other_choices_are_counted() -> None:
    """They are no part of the text."""
    reply = grow(grow(Reply(), [Image(), OtherChoice(2)]), [Image(), OtherChoice(1), Text("a")])
    assert (reply.images, reply.choices, reply.text) == (2, 3, "a")
    assert (Reply().images, Reply().choices) == (0, 1)


def test_a_fold_gives_the_reply_at_any_time() -> None:
    """What was taken from it before does not change."""
    fold = ReplyFold(Reply(text="a"))
    assert fold.began
    before = fold.snapshot()
    fold.add([Text("b"), Finished("stop")])
    assert fold.ended
    assert (before.text, before.ended, fold.snapshot().text, fold.snapshot().ended) == (
        "a",
        False,
        "ab",
        True,
    )
    assert not ReplyFold().began
    assert not ReplyFold().ended


def test_a_reply_summarizes_its_log_probabilities() -> None:
    """Without any it has no perplexity."""
    likely = TokenProbability("a", math.log(0.5), (TokenProbability("a", math.log(0.5)),))
    rare = TokenProbability("b", math.log(0.125))
    reply = Reply("ab", logprobs=(likely, rare))
    assert reply.perplexity == pytest.approx(4)
    assert reply.entropy(0) == pytest.approx(1)
    assert reply.entropy(1) is None
    assert reply.least_likely(1) == [(1, rare)]
    assert Reply().perplexity is None
