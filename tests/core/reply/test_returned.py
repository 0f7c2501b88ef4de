"""What a server wants back is put together from its pieces, unchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from growth import growth

from di_magics.core.reply.fold import ReplyFold, Text, ToReturn
from di_magics.core.reply.returned import MAX_RETURNED_CHARS, join_returned, read_returned

DETAILS = "reasoning_details"


def joined(*pieces: tuple[str, Any]) -> Any:
    """Return the fields of these pieces."""
    text = join_returned((name, json.dumps(value)) for name, value in pieces)
    return json.loads(text) if text else text


def test_pieces_of_one_element_are_joined() -> None:
    """By type and index; what comes with the last piece is kept, nulls are not."""
    part = {"type": "reasoning.text", "index": 0, "format": "f"}
    assert joined(
        (DETAILS, [{**part, "text": "I ", "signature": None}]),
        (DETAILS, [{**part, "text": "must", "signature": None}]),
        (DETAILS, [{"type": "reasoning.text", "index": 0, "signature": "S=="}]),
        (DETAILS, [{"type": "reasoning.encrypted", "index": 1, "data": "AY", "id": "r1"}]),
    ) == {
        DETAILS: [
            {**part, "text": "I must", "signature": "S=="},
            {"type": "reasoning.encrypted", "index": 1, "data": "AY", "id": "r1"},
        ]
    }


@pytest.mark.parametrize(
    "elements",
    [
        [{"text": "a"}, {"text": "b"}],
        [{"type": "t", "text": "a"}, {"type": "t", "text": "b"}],
        [{"type": "t", "index": 0, "text": "a"}, {"type": "u", "index": 0, "text": "b"}],
        [{"type": "t", "index": 0, "text": "a"}, {"type": "t", "index": 1, "text": "b"}],
        [{"type": "t", "text": 1, "index": None}],
        [{"type": "t", "index": 0, "text": None}],
        [{}],
    ],
)
def test_other_elements_stay_as_they_are(elements: list[dict[str, Any]]) -> None:
    """Whole, or one piece each."""
    assert joined((DETAILS, elements)) == {DETAILS: elements}
    assert joined(*((DETAILS, [element]) for element in elements)) == {DETAILS: elements}


def test_later_extra_content_replaces_earlier() -> None:
    """Gemini's, beside the details of another."""
    assert joined(("extra_content", {"a": 1}), (DETAILS, [{}]), ("extra_content", {"b": 2})) == {
        "extra_content": {"b": 2},
        DETAILS: [{}],
    }


def test_a_text_that_turns_into_something_else_does_no_harm() -> None:
    """No server sends this; nothing fails."""
    pieces = [{"type": "t", "index": 0, "text": value} for value in ("a", 1, "b")]
    assert joined((DETAILS, pieces)) == {DETAILS: [{"type": "t", "index": 0, "text": 1}]}


def test_too_much_is_not_sent_at_all() -> None:
    """A part of it would be refused; the fold keeps no more than shows that it is too much."""
    piece = json.dumps([{"text": "x" * 100_000}])
    fold = ReplyFold()
    fold.add([ToReturn(DETAILS, piece)] * 1000)
    kept = fold.snapshot().returned
    assert MAX_RETURNED_CHARS < sum(len(text) for _, text in kept) < MAX_RETURNED_CHARS + 200_000
    assert join_returned(kept) == ""
    fold.add([ToReturn(DETAILS, piece)])
    assert fold.snapshot().returned == kept


def test_the_fold_collects_the_pieces() -> None:
    """Also over several snapshots; they are no content by themselves."""
    fold = ReplyFold()
    fold.add([ToReturn(DETAILS, "[{}]")])
    assert not fold.began
    fold.snapshot()
    fold.add([Text("a"), ToReturn("extra_content", "{}")])
    assert fold.snapshot().returned == ((DETAILS, "[{}]"), ("extra_content", "{}"))
    assert join_returned(()) == ""


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("[", {}),
        ("[]", {}),
        ("[" * 100_000, {}),
        ('{"reasoning_details": [1], "extra_content": {"a": 1}}', None),
        ('{"reasoning_details": {}, "extra_content": [], "role": "system"}', {}),
    ],
)
def test_only_known_fields_are_read(text: str, fields: dict[str, Any] | None) -> None:
    """A file may have anything."""
    assert read_returned(text) == (json.loads(text) if fields is None else fields)


def test_many_pieces_take_linear_time() -> None:
    """Of one text, or of many elements."""
    one = ("reasoning_details", '[{"type": "t", "index": 0, "text": "a"}]')
    many = ("reasoning_details", '[{"text": "a"}]')
    assert growth(lambda pieces: join_returned(pieces), 4000, lambda n: [one] * n) <= 3
    assert growth(lambda pieces: join_returned(pieces), 4000, lambda n: [many] * n) <= 3
