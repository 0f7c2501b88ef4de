"""The requests of a turn are one reply, with usage and cost as sums."""

from __future__ import annotations

from decimal import Decimal

import pytest
from grow import GROWN

from di_magics.core.reply.fold import MAX_CALLS
from di_magics.core.reply.reply import Reply, Round, ToolCall, ToolResult, Usage
from di_magics.core.reply.rounds import add_request, separate_calls, with_call_ids


@pytest.mark.parametrize(
    ("ids", "named_as"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        ([""], ["call00000"]),
        (["", ""], ["call00000", "call00001"]),
        (["a", "a", "a"], ["a", "call00000", "call00001"]),
        (["a", "", "a"], ["a", "call00000", "call00001"]),
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
        ["call00001", ""],
        ["call00000", "", ""],
        ["", "call00000"],
        ["a", "call00000", "a"],
        ["_", "_", "_"],
        ["call00001", "call00000", "", ""],
    ],
)
def test_no_call_is_lost_whatever_the_ids_are(ids: list[str]) -> None:
    """An id that is made up is not one that a server has given."""
    calls = [ToolCall(each, f"f{number}", "{}") for number, each in enumerate(ids)]
    found = with_call_ids(calls)
    assert [call.name for call in found] == [call.name for call in calls]
    assert len({call.id for call in found}) == len(calls)


@pytest.mark.parametrize(
    ("arguments", "separate"),
    [
        ('{"a": 1}{"a": 2}', ['{"a": 1}', '{"a": 2}']),
        ('{"a": {}} \n {"a": "}{"}\n{}', ['{"a": {}}', '{"a": "}{"}', "{}"]),
        ('{"a": 1}', ['{"a": 1}']),
        (' {"a": 1} ', [' {"a": 1} ']),
        ("", [""]),
        ("[1]{}", ["[1]{}"]),
        ('{"a": 1}{"a": ', ['{"a": 1}{"a": ']),
        ('{"a": 1}, {"a": 2}', ['{"a": 1}, {"a": 2}']),
        ("{}" + '{"a":' * 100_000, ["{}" + '{"a":' * 100_000]),
        ("{}" * 100, ["{}"] * MAX_CALLS),
    ],
)
def test_calls_that_were_joined_are_separated(arguments: str, separate: list[str]) -> None:
    """Gemini gives parallel calls the same index; what is not a series of objects is kept."""
    calls = separate_calls([ToolCall("id", "f", arguments, "{}")])
    assert [call.arguments for call in calls] == separate
    assert calls[0] == ToolCall("id", "f", separate[0], "{}")
    assert all(call == ToolCall("", "f", call.arguments) for call in calls[1:])


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
