"""Conversations as files: what is written is read back, and what is damaged is named."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from decimal import Decimal

import pytest

from di_magics.core.conversation import transcript
from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.record import (
    MAX_RECORD_BYTES,
    notebook_record,
    parse_turn,
    rebuild_conversation,
)
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError
from di_magics.core.reply.reply import Reply, ToolCall, Usage

REPLY = Reply(
    text="A reply\n\n**with** <!-- di_magics reply --> marks -->\n",
    reasoning="thinking",
    tool_calls=(ToolCall("1", "f", '{"a": 1'),),
    finish_reason="stop",
    status="done",
    usage=Usage(1, 2, 3, 0, None),
    cost=Decimal("0.0000147"),
    model="a/model",
    id="x",
    elapsed=1.5,
    first_token=0.5,
)
TURNS = (
    Turn(
        "t1",
        "First\n\n<!-- di_magics turn {} -->\n**You**\n\n",
        cell=Cell("c", 1),
        system="Be --> brief.",
        model="a/model",
        endpoint="deepinfra",
        url="https://api.deepinfra.com/v1/openai",
        params={"temperature": 0, "stop": ("a", "\n"), "seed": 2**63 - 1},
        reply=REPLY,
    ),
    Turn("t2", "Second", "t1", reply=replace(REPLY, status="stopped", text="")),
)


@pytest.mark.parametrize("suffix", transcript.SUFFIXES)
def test_what_is_written_is_read_back(suffix: str) -> None:
    """Every field of every turn survives, whatever marks are in the texts."""
    records = transcript.read_transcript(
        transcript.write_transcript(TURNS, suffix, html.escape), suffix
    )
    chat, problems = rebuild_conversation(records)
    assert problems == []
    assert tuple(chat.turns.values()) == TURNS
    assert chat.head == "t2"


def test_a_record_is_json_and_reads_back() -> None:
    """What rides in the notebook's metadata is the turn itself."""
    assert parse_turn(json.loads(json.dumps(notebook_record(TURNS[0])))) == TURNS[0]


def test_a_record_stays_small() -> None:
    """Beyond 64 kB the texts are left out, and reading says so."""
    record = notebook_record(replace(TURNS[0], prompt="x" * 70_000))
    assert len(json.dumps(record)) < MAX_RECORD_BYTES
    with pytest.raises(ValueError, match="too long"):
        parse_turn(record)


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("{", ".json"),
        ("[]", ".json"),
        ('{"turns": 1}', ".json"),
        ("[]", ".ipynb"),
        ('{"cells": 1}', ".ipynb"),
        ("x", ".txt"),
        ("x", ""),
    ],
)
def test_a_foreign_file_is_one_line(text: str, suffix: str) -> None:
    """What is no conversation is an error that says so."""
    with pytest.raises(ChatError):
        transcript.read_transcript(text, suffix)


def test_text_without_marks_holds_no_turn() -> None:
    """Any Markdown can be read; it has no turns in it."""
    assert transcript.read_transcript("# Title\n\ntext", ".md") == []


@pytest.mark.parametrize(
    "record",
    [None, 1, "x", [], {}, {"turn": 1, "prompt": "x"}, {"turn": "a"}, {"turn": "", "prompt": ""}],
)
def test_what_cannot_be_read_is_named_and_the_rest_is_kept(record: object) -> None:
    """One bad entry costs itself only."""
    chat, problems = rebuild_conversation(
        [record, notebook_record(TURNS[0]), notebook_record(TURNS[0])]
    )
    assert list(chat.turns) == ["t1"]
    assert problems[0].startswith("entry 1")
    assert "duplicate" in problems[1]


def test_wrong_types_take_their_defaults() -> None:
    """A hand-edited record gives a turn all the same."""
    record = {
        "turn": "a",
        "prompt": "hi",
        "cell": ["x"],
        "params": {"temperature": 9, "nonsense": 1, "top_k": 5},
        "usage": {"prompt_tokens": "many", "total_tokens": True, "completion_tokens": -1},
        "cost": "NaN",
        "status": "perfect",
        "tool_calls": [["x"], 1],
        "elapsed": "long",
        "last": "x",
    }
    turn = parse_turn(record)
    assert turn.cell is None
    assert turn.params == {"top_k": 5}
    assert turn.reply.usage == Usage()
    assert turn.reply.cost is None
    assert turn.reply.status == "cut"
    assert turn.reply.tool_calls == ()
    assert parse_turn({**record, "usage": 3, "cost": "x"}).reply.cost is None


def test_a_turn_without_its_parent_follows_the_one_before() -> None:
    """A notebook whose first cell was deleted keeps the rest."""
    chat, _ = rebuild_conversation(
        [{"turn": "b", "prompt": "2", "parent": "gone"}, notebook_record(TURNS[1])]
    )
    assert [turn.id for turn in chat.path()] == ["b", "t2"]


def test_a_loaded_conversation_has_no_cells_of_this_notebook() -> None:
    """It comes under a name of its own beside what is there."""
    here = Conversation().with_turn(Turn("mine", "hi", cell=Cell("c", 1)))
    loaded = rebuild_conversation(notebook_record(turn) for turn in TURNS)[0]
    chat = here.join(loaded, "main", {"t1": "n1", "t2": "n2"})
    assert chat.name == "main-2"
    assert [turn.id for turn in chat.path()] == ["n1", "n2"]
    assert all(turn.cell is None for turn in chat.path())
    assert chat.turn_shown_in(Cell("c", 1)) == here.turns["mine"]
    again = chat.join(chat, "main", {})
    assert (again.name, again.turns) == ("main-3", chat.turns)


def test_only_known_kinds_of_file_are_written() -> None:
    """The line names them."""
    with pytest.raises(ChatError, match=r"\.json or \.md or \.ipynb"):
        transcript.write_transcript(TURNS, ".pdf", html.escape)


def test_turn_mark_without_json_is_reported() -> None:
    """The turns around it are kept."""
    text = transcript.write_transcript(TURNS, ".md", html.escape).replace('"turn":', '"turn"', 1)
    found, problems = rebuild_conversation(transcript.read_transcript(text, ".md"))
    assert problems[0].startswith("entry 1")
    assert list(found.turns) == ["t2"]


def test_calls_that_are_none_are_left_out() -> None:
    """Anything else than a list of calls is no call."""
    record = notebook_record(TURNS[0])
    assert parse_turn({**record, "tool_calls": "f()"}).reply.tool_calls == ()
    assert parse_turn({**record, "tool_calls": [["1", "f"], ["1", "f", "{}"]]}).reply.tool_calls


@pytest.mark.parametrize("foreign", [{"cells": [{"outputs": [1, {"metadata": 2}]}, 3]}])
def test_cells_without_turns_are_no_problem(foreign: object) -> None:
    """A notebook may hold anything else."""
    assert transcript.read_transcript(json.dumps(foreign), ".ipynb") == []
