"""Turns as plain data: what is written comes back, and what is hostile does no harm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from growth import growth

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.messages import request_messages
from di_magics.core.conversation.record import (
    MAX_RECORD_BYTES,
    REPLY_ENTRIES,
    TURN_ENTRIES,
    export_record,
    identity_record,
    notebook_record,
    outcome_record,
    parse_reply,
    parse_turn,
    rebuild_conversation,
)
from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.reply import Reply, Round, ToolCall, ToolResult, Usage
from di_magics.core.request.body import encode_body
from di_magics.core.request.turn_body import build_request
from di_magics.core.shown.receipt import format_receipt

CALLS = (ToolCall("1", "f", '{"a": 1}'), ToolCall("2", "g", "not JSON"))
ROUNDS = (
    Round(
        "Let me see.", "hm", CALLS, (ToolResult("3", seconds=0.25), ToolResult("no", failed=True))
    ),
    Round('{"a":', objection="It breaks off."),
    Round(calls=CALLS[:1], results=(ToolResult(""),)),
)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FORM = {"type": "json_schema", "json_schema": {"name": "Person", "schema": {"type": "object"}}}
TURN = Turn(
    "t",
    "Hi",
    cell=Cell("c", 1),
    system="Be brief.",
    model="m",
    endpoint="e",
    url="https://e/v1",
    context=3,
    params={"temperature": 0, "stop": ("a",), "tool_choice": "f"},
    fields={"tools": [TOOL], "response_format": FORM},
    format="json",
    attachments=(
        Attachment("image", "cat.png", "image"),
        Attachment("text", "x.csv", "only a part"),
    ),
    reply=Reply(
        '{"a": 1}',
        "so",
        tool_calls=CALLS[1:],
        rounds=ROUNDS,
        finish_reason="stop",
        status="done",
        usage=Usage(1, 2, 3, 0, 1),
        cost=Decimal("0.001"),
        estimate="a list",
        model="m-2",
        id="x",
        elapsed=2.0,
        first_token=0.5,
        service_tier="flex",
        refused_fields=("stream_options",),
    ),
)
RECORD: dict[str, Any] = json.loads(json.dumps(notebook_record(TURN)))
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]
JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    7,
    1.5,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "x\x1b[31m\ny\u202e",
    "\ud800",
    "x" * 5000,
    [],
    [[]],
    [None],
    [{}],
    [["a"], ["a", "b", "c"], ["a", True, 1], ["image", "b", "c"]],
    DEEP,
    {},
    {"": None},
    {"name": "x", "type": "function", "function": {"name": "y"}},
]


def places(found: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the path to everything in plain data."""
    items: Any = ()
    if isinstance(found, dict):
        items = found.items()
    elif isinstance(found, list):
        items = enumerate(found)
    for key, value in items:
        yield (*path, key)
        yield from places(value, *path, key)


def spoiled(path: tuple[str | int, ...], junk: Any) -> dict[str, Any]:
    """Return the record with something else in that place."""
    record = deepcopy(RECORD)
    at: Any = record
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = junk
    return record


def test_rounds_attachments_fields_and_format_come_back() -> None:
    """Everything but what an attachment held."""
    assert parse_turn(RECORD) == TURN
    full = replace(TURN, attachments=tuple(replace(item, content="x") for item in TURN.attachments))
    assert parse_turn(notebook_record(full)) == TURN
    assert parse_reply(RECORD) == TURN.reply


def test_every_attribute_has_an_entry() -> None:
    """Whatever a turn is given, its record holds; of a reply some things are not kept."""
    not_kept = {"request", "logprobs", "parsed", "validation_error"}
    not_kept |= {"images", "choices", "reasoning_field", "returned"}
    for kind, entries, others in (
        (Turn, TURN_ENTRIES, {"reply"}),
        (Reply, REPLY_ENTRIES, not_kept),
    ):
        names = [entry.attribute for entry in entries]
        assert sorted([*names, *others]) == sorted(item.name for item in fields(kind))


def test_the_format_stays_as_it_is() -> None:
    """Saved notebooks and files have these keys."""
    assert " ".join(entry.key for entry in TURN_ENTRIES) == (
        "turn parent cell instead conversation notebook prompt system asked endpoint url local "
        "dialect stream last taught params fields extra format attached beginning "
        "continued_by parent_cell"
    )
    assert " ".join(entry.key for entry in REPLY_ENTRIES) == (
        "status reply reasoning tail tool_calls rounds finish_reason model id usage cost estimate "
        "elapsed first_token service_tier refused_fields sources"
    )


def test_flags_are_written_only_where_they_differ() -> None:
    """A streamed turn of the main conversation has none of them."""
    plain = identity_record(Turn("t", "Hi", cell=Cell("c", 1)))
    assert plain == {"turn": "t", "prompt": "Hi", "cell": ["c", 1]}
    turn = Turn("t", "Hi", conversation="b", local=True, stream=False, system_is_policy=True)
    result = identity_record(turn)
    assert result["conversation"] == "b"
    assert (result["local"], result["stream"], result["taught"]) == (True, False, True)
    assert parse_turn(result) == replace(turn, reply=replace(turn.reply, status="cut"))


def test_what_a_turn_has_not_is_not_written() -> None:
    """A turn without them has none of these entries."""
    record = notebook_record(Turn("t", "Hi"))
    assert not {"rounds", "attached", "fields", "format"} & set(record)
    assert parse_turn(record) == Turn("t", "Hi", reply=Reply(status="open"))


# Tests core/conversation/record_values.
@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk)[:20])
def test_wrong_type_in_any_entry_still_gives_a_turn(junk: Any) -> None:
    """The turn is read all the same, sent, written again, and has a receipt of one line."""
    for path in places(RECORD):
        if path in (("turn",), ("prompt",)):
            continue
        turn = parse_turn(spoiled(path, junk))
        line = format_receipt(turn)
        assert line.splitlines() == [line], path
        assert "\x1b" not in line, path
        assert encode_body({"messages": request_messages((turn,), turn)})
        assert encode_body(build_request(turn, rebuild_conversation([])[0]))
        written = json.dumps(notebook_record(turn))
        assert json.dumps(notebook_record(parse_turn(json.loads(written)))) == written, path


@pytest.mark.parametrize("name", ["rounds", "attached", "fields", "params", "usage", "tool_calls"])
@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk)[:20])
def test_a_bad_entry_is_no_problem_of_the_conversation(name: str, junk: Any) -> None:
    """No turn is lost for it."""
    chat, problems = rebuild_conversation([{**RECORD, name: junk}, {"turn": "2", "prompt": "x"}])
    assert problems == []
    assert list(chat.turns) == ["t", "2"]


@pytest.mark.parametrize("name", ["elapsed", "first_token"])
def test_a_time_that_is_no_double_is_not_known(name: str) -> None:
    """JSON may hold whole numbers of any length."""
    assert getattr(parse_reply({name: 10**400}), name) is None


@pytest.mark.parametrize("found", [None, "x", 1, {}, [], [1, "x", None]])
def test_rounds_that_are_none_are_left_out(found: object) -> None:
    """What is no list of objects is no round."""
    assert parse_reply({"rounds": found}).rounds == ()


def test_every_call_of_a_round_has_a_result() -> None:
    """Else nothing could be sent after it; one that is lost says so, one too many is left out."""
    calls = [["1", "f", "{}"], ["2", "g", "{}"]]
    [few] = parse_reply({"rounds": [{"calls": calls, "results": [["a", False, 1]]}]}).rounds
    assert few.results[0] == ToolResult("a", seconds=1.0)
    assert few.results[1].failed
    assert "not known" in few.results[1].content
    [many] = parse_reply({"rounds": [{"calls": calls[:1], "results": [["a", True, 1]] * 3}]}).rounds
    assert many.results == (ToolResult("a", failed=True, seconds=1.0),)
    [none] = parse_reply({"rounds": [{"calls": calls, "results": {"a": 1}}]}).rounds
    assert len(none.results) == 2


@pytest.mark.parametrize(
    ("result", "read_as"),
    [
        (["a", 1, 2], ToolResult("a", seconds=2.0)),
        (["a", True, None], ToolResult("a", failed=True)),
        (["a", False, -1], ToolResult("a")),
        (["a", False, "2"], ToolResult("a")),
        (["a", False, float("nan")], ToolResult("a")),
    ],
)
def test_a_result_has_its_defaults(result: list[Any], read_as: ToolResult) -> None:
    """It failed only where it says so, and its time is one from 0 on."""
    [told] = parse_reply({"rounds": [{"calls": [["1", "f", "{}"]], "results": [result]}]}).rounds
    assert told.results == (read_as,)


def test_no_call_gets_the_result_of_another() -> None:
    """What cannot be read of one call or result moves none of the others."""
    calls, results = [["1", "f", "{}"], ["2", "g", "{}"]], [["a", False, 1], ["b", False, 1]]
    [told] = parse_reply({"rounds": [{"calls": calls, "results": [None, results[1]]}]}).rounds
    assert (told.results[0].failed, told.results[1].content) == (True, "b")
    [told] = parse_reply({"rounds": [{"calls": [7, calls[1]], "results": results}]}).rounds
    assert [result.content for result in told.results] == ["b"]


@pytest.mark.parametrize(
    ("found", "read_as"),
    [
        ([["image", "a", "b"]], (Attachment("image", "a", "b"),)),
        ([["video", "a", "b"]], (Attachment("text", "a", "b"),)),
        ([["text", "a"], ["text", "a", 1], "abc", None], ()),
        ({"a": 1}, ()),
        ("abc", ()),
    ],
)
def test_attachments_are_three_texts(found: object, read_as: tuple[Attachment, ...]) -> None:
    """Anything else is none."""
    turn = parse_turn({"turn": "t", "prompt": "p", "attached": found})
    assert turn.attachments == read_as


@pytest.mark.parametrize(
    ("fields", "read_as"),
    [
        (
            {"tools": [TOOL, {}, 1, {"type": "function", "function": {"name": 1}}]},
            {"tools": [TOOL]},
        ),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, {}),
        ({"tools": {"a": TOOL}, "x": 1}, {}),
        ({"tools": [{"type": "web", "function": {"name": "f"}}]}, {}),
        ({"response_format": {"type": "json_object", "x": 1}}, None),
        ({"response_format": FORM}, {"response_format": FORM}),
        ({"response_format": {"type": "json_schema"}}, {}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": 1}}}, {}),
        ({"response_format": "json_object"}, {}),
        ({"model": "evil", "messages": [], "stream": False, "max_tokens": 9}, {}),
    ],
)
def test_fields_are_tools_and_a_form(fields: dict[str, Any], read_as: dict[str, Any]) -> None:
    """A record cannot put anything else into a request."""
    wanted = {"response_format": {"type": "json_object"}} if read_as is None else read_as
    assert parse_turn({"turn": "t", "prompt": "p", "fields": fields}).fields == wanted


@pytest.mark.parametrize(
    "turn",
    [
        replace(TURN, reply=replace(TURN.reply, rounds=(Round(text="x" * 70_000),))),
        replace(TURN, fields={"tools": [{**TOOL, "x": "x" * 70_000}]}),
        replace(TURN, attachments=(Attachment("text", "a", "x" * 70_000),)),
        replace(TURN, reply=replace(TURN.reply, text="x" * 70_000, last_chunk="x" * 70_000)),
    ],
)
def test_a_record_stays_small_whatever_is_long_in_it(turn: Turn) -> None:
    """What is left out is said."""
    record = notebook_record(turn)
    assert len(json.dumps(record)) < MAX_RECORD_BYTES
    assert record["too_long"]


def test_the_system_prompt_of_a_policy_is_not_exported() -> None:
    """It is the teacher's; one's own is."""
    assert export_record(TURN)["system"] == "Be brief."
    assert "system" not in export_record(replace(TURN, system_is_policy=True))


@pytest.mark.parametrize("extra", ["", '{"google": {"thought_signature": "x"}}'])
def test_what_goes_back_with_a_call_comes_back(extra: str) -> None:
    """And the field of the reasoning; what is not an object, or another field, does not."""
    step = Round("", "hm", (ToolCall("1", "f", "{}", extra),), (ToolResult("r"),))
    for source in ("", "reasoning"):
        reply = Reply(rounds=(replace(step, reasoning_field=source),), status="done")
        assert parse_reply(outcome_record(reply)) == reply
    for bad in ("[1]", "{", 5, None, ["x"]):
        record = {"rounds": [{"calls": [["1", "f", "{}", bad]], "reasoning_field": bad}]}
        [found] = parse_reply(record).rounds
        assert (found.calls[0].extra, found.reasoning_field) == ("", "")


@pytest.mark.parametrize(
    "differing",
    [
        lambda n: {"parent": str(n - 1)},
        lambda n: {"conversation": f"c{n}"},
        lambda n: {"cell": [f"cell{n}", 0]},
    ],
)
def test_the_time_to_rebuild_a_conversation_is_linear(differing: Any) -> None:
    """A notebook of somebody else may have as many turns and names as fit into 200 MB."""

    def make(count: int) -> list[dict[str, Any]]:
        return [{"turn": str(n), "prompt": "p", **differing(n)} for n in range(count)]

    assert growth(rebuild_conversation, 4000, make) < 3


def test_fields_that_a_user_added_are_read_without_those_that_cannot_be_sent() -> None:
    """A file may come from somebody else."""
    turn = Turn("t", "hi", extra={"a": {"b": [1]}})
    record = identity_record(turn)
    assert record["extra"] == {"a": {"b": [1]}}
    record["extra"] |= {"model": "evil", "b c": 1, "messages": []}
    assert parse_turn(record).extra == {"a": {"b": [1]}}


def test_what_a_turn_continues_is_kept() -> None:
    """With the way in which that was asked for."""
    turn = Turn("t", "hi", beginning="One, t", continued_by="prefix", dialect="mistral")
    assert parse_turn(identity_record(turn)) == replace(
        turn, reply=parse_turn(identity_record(turn)).reply
    )
