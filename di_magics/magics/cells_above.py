"""The cells above a `%%chat` cell, for `--above`.

If the page has sent its cells (magics/page_cells.py), these are used, in its order. An output is
also the page's, unless the page had not yet seen the run end: with Run All, all cells are sent
before the first one has run. Then the output is IPython's.

Other front ends do not say what stands above. There the cells are those that this kernel has run,
in the order of their last runs, with IPython's outputs. A cell that another page has sent must be
in the saved notebook, because two notebooks may share a kernel.

JupyterLab sends a cell's tags with its code; those in the saved notebook count, too. IPython has
the code, and from version 9 on also what was printed; before, only the value of the last
expression. Modules that only `--above` needs are imported there, so that loading is fast.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from di_magics.core.conversation.cells_above import PRIVATE, says_private
from di_magics.core.text import cut_middle
from di_magics.magics.cell import RunningCell
from di_magics.magics.page_cells import PageCells
from di_magics.magics.transforms import call_cell

if TYPE_CHECKING:
    from di_magics.core.conversation.attachment import Attachment
    from di_magics.core.conversation.cells_above import CellAbove
    from di_magics.core.conversation.notebook_file import CellOutput, NotebookCell
    from di_magics.core.settings.counts import Above

MAX_FILE_BYTES = 50_000_000
MAX_TEXT_CHARS = 20_000  # characters in which secrets are searched
MAX_CHARS_READ = 200_000  # of all cells
_COMMAND = re.compile(r"\s*%(?:chat|load_ext|reload_ext)\b[^\n]*\s*")


class _Run(NamedTuple):
    number: int
    cell: str | None
    page: str
    is_private: bool


class _Candidate(NamedTuple):
    """A cell that may be sent; `read` returns its title and its outputs."""

    source: str
    is_code: bool
    is_private: bool
    read: Callable[[], tuple[str, Iterable[CellOutput]]]


class CellLog:
    """The cells that have run since the extension was loaded, without their text."""

    def __init__(self, shell: Any, cell: RunningCell, page_cells: PageCells) -> None:
        self._shell = shell
        self._cell = cell
        self._page_cells = page_cells
        self._runs: list[_Run] = []

    def note(self, result: Any) -> None:
        """Store that a cell has ended; IPython's `post_run_cell` hook."""
        self._page_cells.forget()
        if result.execution_count is not None:
            is_private = PRIVATE in self._cell.tags
            run = _Run(result.execution_count, self._cell.id, self._cell.page, is_private)
            self._runs.append(run)

    def attach(self, above: Above) -> tuple[Attachment, ...]:
        """Return the cells above the running one as an attachment, if there are any.

        Cells that are private are left out, and keys and passwords are hidden.
        """
        from di_magics.core.conversation.cells_above import attach_cells
        from di_magics.core.secrets import redact
        from di_magics.core.secrets_in_code import hide_in_code
        from di_magics.values.environment_secrets import hide_secrets
        from di_magics.values.secret_values import secrets_by_name

        sent = self._page_cells.above(self._cell.id, self._cell.page)
        origin = "that have run" if sent is None else "of the page"
        candidates = self._from_runs() if sent is None else self._from_page(sent.cells)
        cells = list(_read_cells(_select(candidates, above)))
        is_all = next(candidates, None) is None and len(cells) != above
        missing = sent.missing if sent and is_all else 0
        if not cells:
            return ()
        texts = [text for cell in cells for text in (cell.source, cell.output, cell.error)]
        texts = hide_in_code(*texts, others=secrets_by_name(self._shell.user_ns))
        hidden = iter([redact(hide_secrets(text)) for text in texts])
        safe = [
            cell._replace(source=next(hidden), output=next(hidden), error=next(hidden))
            for cell in cells
        ]
        return (attach_cells(safe, origin, missing),)

    def _from_page(self, cells: list[NotebookCell]) -> Iterator[_Candidate]:
        """Yield the cells of the page, the last one first."""
        runs = {run.cell: run for run in self._runs}
        tagged = self._saved_cells()
        for cell in reversed(cells):
            run = runs.get(cell.id)
            is_private = cell.is_private or tagged.get(cell.id) or (run and run.is_private)
            if cell.kind != "raw":
                yield _Candidate(
                    cell.source,
                    cell.kind == "code",
                    bool(is_private),
                    partial(self._read_page_cell, cell, run),
                )

    def _read_page_cell(
        self, cell: NotebookCell, run: _Run | None
    ) -> tuple[str, Iterable[CellOutput]]:
        if cell.kind != "code":
            return "Markdown", ()
        if run is None:
            has_run = cell.number is not None or cell.outputs
            number = f" [{cell.number}]" if cell.number is not None else ""
            return f"Cell{number}" if has_run else "Cell that has not run", cell.outputs
        is_edited = self._code(run).strip() != cell.source.strip()
        title = f"Cell [{run.number}]{', edited since it ran' if is_edited else ''}"
        return title, cell.outputs if cell.number == run.number else self._outputs(run)

    def _from_runs(self) -> Iterator[_Candidate]:
        """Yield the cells that have run, the last one first."""
        done = {self._cell.id} - {None}
        tagged, page = self._saved_cells(), self._cell.page
        for run in reversed(self._runs):
            if run.cell in done or (run.page != page and run.cell not in tagged):
                continue
            done |= {run.cell} - {None}
            code = self._code(run)
            yield _Candidate(
                code,
                True,
                bool(run.is_private or tagged.get(run.cell) or says_private(code)),
                partial(self._read_run, run),
            )

    def _read_run(self, run: _Run) -> tuple[str, Iterable[CellOutput]]:
        return f"Cell [{run.number}]", self._outputs(run)

    def _saved_cells(self) -> dict[str | None, bool]:
        """Return whether a cell of the saved notebook is private, by its id."""
        from di_magics.core.conversation.notebook_file import read_cells
        from di_magics.runtime.files import read_bounded

        path = self._cell.locate().path
        try:
            saved = json.loads(read_bounded(Path(path), MAX_FILE_BYTES, path) if path else b"")
        except (OSError, ValueError, RecursionError):  # a ParamError is a ValueError
            return {}
        return {cell.id: cell.is_private for cell in read_cells(saved)}

    def _code(self, run: _Run) -> str:
        codes = self._shell.history_manager.input_hist_raw
        return str(codes[run.number]) if run.number < len(codes) else ""

    def _outputs(self, run: _Run) -> Iterator[CellOutput]:
        """Yield the outputs of a run that IPython has."""
        from di_magics.core.conversation.notebook_file import CellOutput, read_bundle

        history = self._shell.history_manager
        outputs = getattr(history, "outputs", {}).get(run.number)
        if outputs is None:
            yield CellOutput(str(history.output_hist_reprs.get(run.number, "")))
        for output in outputs or ():
            stream = output.bundle.get("stream")
            yield read_bundle({"text/plain": stream} if stream else output.bundle)
        failed = getattr(history, "exceptions", {}).get(run.number) or {}
        if "ename" in failed:
            yield CellOutput(f"{failed['ename']}: {failed['evalue']}", is_error=True)


def _select(cells: Iterable[_Candidate], above: Above) -> Iterator[_Candidate]:
    """Yield the cells to send; they begin with the last one, as `cells` do."""
    count = 0
    for cell in cells:
        lines = cell.source.splitlines(keepends=True)
        if cell.is_code and call_cell(lines) != lines:
            if above == "new":
                return
            continue
        if cell.is_private or not cell.source.strip() or _COMMAND.fullmatch(cell.source):
            continue
        if count == above:
            return
        count += 1
        yield cell


def _read_cells(cells: Iterable[_Candidate]) -> Iterator[CellAbove]:
    """Yield the cells with their outputs; beyond a size they are empty, and only counted."""
    from di_magics.core.conversation.cells_above import CellAbove

    size = 0
    for cell in cells:
        if size >= MAX_CHARS_READ:
            yield CellAbove("Cell", "")
            continue
        title, found = cell.read()
        outputs = list(found)
        texts = (
            cell.source,
            "\n".join(item.text for item in outputs if not item.is_error).strip("\n"),
            "\n".join(item.text for item in outputs if item.is_error),
        )
        source, output, error = (cut_middle(text, MAX_TEXT_CHARS) for text in texts)
        size += len(source) + len(output) + len(error)
        images = sum(item.is_image for item in outputs)
        yield CellAbove(title, source, output, error, images)
