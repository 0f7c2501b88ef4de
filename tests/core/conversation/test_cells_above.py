"""Cells as a text that goes along: in order, bounded, and the note says what was left out."""

from __future__ import annotations

import pytest

from di_magics.core.conversation.cells_above import (
    MAX_CHARS,
    MAX_PART_CHARS,
    NAME,
    CellAbove,
    attach_cells,
    says_private,
)


def test_cells_are_in_their_order_with_output_and_error() -> None:
    """What a cell does not have is left out; a fence in it stays inside."""
    newest_first = [
        CellAbove("Cell [3]", "1/0", "", "ZeroDivisionError: x"),
        CellAbove("Cell [2]", "print('```')", "```", images=2),
    ]
    attached = attach_cells(newest_first, "of the page")
    assert (attached.kind, attached.name) == ("text", NAME)
    assert attached.content == (
        "Cell [2]:\n````\nprint('```')\n````\nIts output:\n````\n```\n````\n\n"
        "Cell [3]:\n```\n1/0\n```\nIts error:\n```\nZeroDivisionError: x\n```"
    )
    assert attached.note == "2 cells of the page, about 62 tokens; 2 images left out"


def test_long_texts_lose_their_middle_and_old_cells_go_first() -> None:
    """The newest are there, however long they are."""
    cells = [CellAbove(f"Cell [{number}]", "x" * MAX_PART_CHARS * 3) for number in range(50, 0, -1)]
    attached = attach_cells(cells, "that have run")
    assert len(attached.content) <= MAX_CHARS + 100
    assert "Cell [50]:" in attached.content
    assert "Cell [1]:" not in attached.content
    assert "characters left out" in attached.content
    assert attached.note.endswith("; 5 long texts shortened; 45 cells further above left out")


@pytest.mark.parametrize(
    ("code", "private"),
    [
        ("#| private\nx", True),
        ("#| tags: [slow, private]\nx", True),
        ("#| tags:\n#|   - slow\n#|   - private\nx", True),
        ("#| tags: [privateer]\nx", False),
        ("#| label: private\nx", False),
        ("%%time\n# Notes\n\n # |  PRIVATE: yes\nx", True),
        ("x\n#| private", False),
        ("#| privateer\nx", False),
        ("# Notes", False),
        ("", False),
    ],
)
def test_a_cell_is_private_by_a_comment_at_its_head(code: str, private: bool) -> None:
    """Below magics and other comments, too."""
    assert says_private(code) is private
