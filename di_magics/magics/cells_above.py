"""The cells above a `%%chat` cell, for `--above`: those that this kernel has run.

A front end does not say what stands above, so the order is that in which the cells ran; of a cell
that ran again only the last run counts. A cell that another page has sent must be in the saved
notebook, because two notebooks may share a kernel. JupyterLab sends a cell's tags with its code;
those in the saved notebook count, too. IPython has the code, and from version 9 on also what was
printed; before, only the value of the last expression.

Modules that only `--above` needs are imported there, so that loading is fast.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from di_magics.core.conversation.cells_above import PRIVATE, says_private
from di_magics.core.text import cut_middle
from di_magics.magics.cell import RunningCell
from di_magics.magics.transforms import call_cell

if TYPE_CHECKING:
    from di_magics.core.conversation.attachment import Attachment
    from di_magics.core.settings.counts import Above

MAX_FILE_BYTES = 50_000_000
MAX_TEXT_CHARS = 20_000  # characters in which secrets are searched
MAX_CHARS_READ = 200_000  # of all cells
_COMMAND = re.compile(r"\s*%(?:chat|load_ext|reload_ext)\b[^\n]*\s*")
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class _Run(NamedTuple):
    number: int
    cell: str | None
    page: str
    private: bool


class CellLog:
    """The cells that have run since the extension was loaded, without their text."""

    def __init__(self, shell: Any, cell: RunningCell) -> None:
        self._shell = shell
        self._cell = cell
        self._runs: list[_Run] = []

    def note(self, result: Any) -> None:
        """Store that a cell has ended; IPython's `post_run_cell` hook."""
        if result.execution_count is not None:
            private = PRIVATE in self._cell.tags
            run = _Run(result.execution_count, self._cell.id, self._cell.page, private)
            self._runs.append(run)

    def attach(self, above: Above) -> tuple[Attachment, ...]:
        """Return the cells above the running one as an attachment, if there are any.

        Cells that are private are left out, and keys and passwords are hidden.
        """
        from di_magics.core.conversation.cells_above import RanCell, attach_cells
        from di_magics.core.secrets import redact
        from di_magics.core.secrets_in_code import hide_in_code
        from di_magics.values.environment_secrets import hide_secrets
        from di_magics.values.secret_values import secrets_by_name

        runs = list(self._select(above))
        if not runs:
            return ()
        texts: list[str] = []
        size = 0
        for run in runs:
            # Beyond this size a cell is left out in any case.
            read = self._read(run) if size < MAX_CHARS_READ else ("", "", "")
            texts += (cut_middle(text, MAX_TEXT_CHARS) for text in read)
            size += sum(map(len, texts[-3:]))
        texts = hide_in_code(*texts, others=secrets_by_name(self._shell.user_ns))
        hidden = [redact(hide_secrets(text)) for text in texts]
        cells = (RanCell(run.number, *hidden[3 * at : 3 * at + 3]) for at, run in enumerate(runs))
        return (attach_cells(cells),)

    def _select(self, above: Above) -> Iterator[_Run]:
        """Yield the runs, the newest first."""
        done = {self._cell.id} - {None}
        tagged, page = self._saved_cells(), self._cell.page
        count = 0
        for run in reversed(self._runs):
            if run.cell in done or (run.page != page and run.cell not in tagged):
                continue
            done |= {run.cell} - {None}
            code = self._code(run)
            lines = code.splitlines(keepends=True)
            if call_cell(lines) != lines:
                if above == "new":
                    return
                continue
            private = run.private or tagged.get(run.cell) or says_private(code)
            if private or not code.strip() or _COMMAND.fullmatch(code):
                continue
            if count == above:
                return
            count += 1
            yield run

    def _saved_cells(self) -> dict[str | None, bool]:
        """Return whether a cell of the saved notebook is private, by its id."""
        from di_magics.core.read_json import as_object, as_objects, as_text
        from di_magics.runtime.files import read_bounded

        path = self._cell.locate().path
        try:
            saved = json.loads(read_bounded(Path(path), MAX_FILE_BYTES, path) if path else b"")
        except (OSError, ValueError, RecursionError):  # a ParamError is a ValueError
            return {}
        cells = as_objects(as_object(saved).get("cells"))
        tags = [as_object(cell.get("metadata")).get("tags") for cell in cells]
        return {
            as_text(cell.get("id")): isinstance(own, list) and PRIVATE in own
            for cell, own in zip(cells, tags, strict=True)
        }

    def _code(self, run: _Run) -> str:
        codes = self._shell.history_manager.input_hist_raw
        return str(codes[run.number]) if run.number < len(codes) else ""

    def _read(self, run: _Run) -> tuple[str, str, str]:
        """Return the code, the output and the error of a run."""
        history = self._shell.history_manager
        outputs = getattr(history, "outputs", {}).get(run.number)
        texts = [_output_text(output) for output in outputs or ()]
        if outputs is None:
            texts = [str(history.output_hist_reprs.get(run.number, ""))]
        failed = getattr(history, "exceptions", {}).get(run.number) or {}
        error = f"{failed['ename']}: {failed['evalue']}" if "ename" in failed else ""
        return self._code(run), "\n".join(filter(None, texts)), error


def _output_text(output: Any) -> str:
    """Return the text of an output that IPython has recorded, without a terminal's colours."""
    bundle = output.bundle
    text = bundle.get("stream") or bundle.get("text/plain") or ""
    return _ESCAPE.sub("", "".join(text)).strip("\n")
