"""The cells of a notebook: their text, outputs as text, and which are private."""

from __future__ import annotations

import pytest

from di_magics.core.conversation.notebook_file import CellOutput, NotebookCell, read_cells


def test_a_cell_has_its_outputs_in_their_order() -> None:
    """Streams, values, images and errors; texts may be lists of lines, and have no colours."""
    image = {"image/png": "AA", "text/plain": ["<Figure>"]}
    outputs = [
        {"output_type": "stream", "text": ["\x1b[31m1\n", "2\n"]},
        {"output_type": "display_data", "data": image},
        {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["x"]},
    ]
    cell = {
        "id": "a",
        "cell_type": "code",
        "source": ["x\n", "y"],
        "execution_count": 3,
        "metadata": {"tags": ["a"]},
        "outputs": outputs,
    }
    assert read_cells({"cells": [cell]}) == [
        NotebookCell(
            "a",
            "code",
            "x\ny",
            False,
            3,
            (
                CellOutput("1\n2"),
                CellOutput("<Figure>", is_image=True),
                CellOutput("ValueError: no", is_error=True),
            ),
        )
    ]


@pytest.mark.parametrize(
    "cell",
    [
        {"metadata": {"tags": ["x", "private"]}},
        {"source": "#| private\nx"},
        {"cell_type": "markdown", "source": "#| private"},
    ],
)
def test_a_cell_is_private_by_its_tag_or_its_head(cell: dict[str, object]) -> None:
    """Whatever its kind is."""
    assert read_cells({"cells": [cell]})[0].is_private


@pytest.mark.parametrize(
    "notebook", [None, [], "x", {}, {"cells": {}}, {"cells": [1, None]}, {"cells": "cells"}]
)
def test_what_is_no_notebook_has_no_cells(notebook: object) -> None:
    """Anything may be in a file, or come from a page."""
    assert read_cells(notebook) == []


@pytest.mark.parametrize(
    "cell",
    [
        {"source": 1, "outputs": 3, "metadata": [], "execution_count": -1, "id": 3},
        {"source": [1, None], "metadata": {"tags": "private"}, "cell_type": None},
        {"outputs": [None, {"data": 3}, {"text": {}}, {"data": {"image/png": None}}, {"ename": 1}]},
    ],
)
def test_a_cell_of_any_shape_is_read(cell: dict[str, object]) -> None:
    """What is not of the format counts as missing."""
    (read,) = read_cells({"cells": [cell]})
    assert (read.kind, read.id, read.number, read.is_private) == ("code", "", None, False)
