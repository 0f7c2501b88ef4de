"""The cells of a notebook in the format of its file, which a page of JupyterLab uses, too.

https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

from typing import Any, NamedTuple

from di_magics.core.conversation.cells_above import PRIVATE, says_private
from di_magics.core.read_json import as_count, as_list, as_object, as_objects, as_text
from di_magics.core.text import strip_colours


class CellOutput(NamedTuple):
    """One output of a cell, as text."""

    text: str
    is_error: bool = False
    is_image: bool = False


class NotebookCell(NamedTuple):
    """A cell: `kind` is `code`, `markdown` or `raw`, `number` that of its last run."""

    id: str
    kind: str
    source: str
    is_private: bool
    number: int | None
    outputs: tuple[CellOutput, ...]


def read_cells(notebook: object) -> list[NotebookCell]:
    """Return the cells of a notebook; what is not of the format counts as missing."""
    return [_read_cell(cell) for cell in as_objects(as_object(notebook).get("cells"))]


def read_bundle(bundle: dict[str, Any]) -> CellOutput:
    """Return an output that has several forms; its text is without a terminal's colours."""
    text = strip_colours(_join(bundle.get("text/plain"))).strip("\n")
    is_image = any(kind.startswith("image/") for kind in bundle)
    return CellOutput(text, is_image=is_image)


def _read_cell(cell: dict[str, Any]) -> NotebookCell:
    source = _join(cell.get("source"))
    tags = as_list(as_object(cell.get("metadata")).get("tags"))
    return NotebookCell(
        as_text(cell.get("id")),
        as_text(cell.get("cell_type")) or "code",
        source,
        PRIVATE in tags or says_private(source),
        as_count(cell.get("execution_count")),
        tuple(map(_read_output, as_objects(cell.get("outputs")))),
    )


def _read_output(output: dict[str, Any]) -> CellOutput:
    if "ename" in output:
        return CellOutput(f"{output['ename']}: {output.get('evalue')}", is_error=True)
    text = output.get("text")
    return read_bundle({"text/plain": text} if text else as_object(output.get("data")))


def _join(lines: object) -> str:
    """Return a text that a notebook's file has as one text or as a list of lines."""
    return lines if isinstance(lines, str) else "".join(map(str, as_list(lines)))
