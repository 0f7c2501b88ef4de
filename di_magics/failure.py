"""What failed last in a shell: the cell, and its traceback; nothing else of the namespace."""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from di_magics.core.attachment import in_fence
from di_magics.core.errors import ChatError
from di_magics.core.template import redacted

LONGEST_CELL = 12_000
LONGEST_TRACE = 8_000


def question(shell: Any, remark: str = "") -> str:
    """Return what asks for an explanation of the last error, and for a cell that works.

    What has the form of a key is left out. Raises ChatError where nothing has failed.
    """
    error = getattr(sys, "last_value", None)
    if error is None:
        raise ChatError("No cell has failed yet, so there is nothing to fix.")
    lines = traceback.format_exception(type(error), error, _own(error.__traceback__, shell))
    trace = "".join(lines).rstrip()
    for file, name in _cell_names(error, shell):
        trace = trace.replace(f'File "{file}"', name)
    cell = _cell(error, shell)
    parts = [
        remark or "This cell failed. Say why in a sentence or two, and give the corrected cell.",
        in_fence(_middle(cell, LONGEST_CELL), "python") if cell else "",
        in_fence(_middle(trace, LONGEST_TRACE)),
    ]
    return redacted("\n\n".join(filter(None, parts)))


def _own(trace: TracebackType | None, shell: Any) -> TracebackType | None:
    """Leave out the frames of IPython that ran the cell."""
    at = trace
    while at is not None:
        if _source(at.tb_frame.f_code.co_filename, shell):
            return at
        at = at.tb_next
    return trace


def _files(error: BaseException) -> list[str]:
    """Return the names of the files in which an error was raised, outermost first."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    wrong = error.filename if isinstance(error, SyntaxError) else None
    return [wrong, *files] if wrong else files


def _cell(error: BaseException, shell: Any) -> str:
    """Return the cell in which the error was raised, or whose syntax is wrong."""
    return next(filter(None, (_source(file, shell) for file in _files(error))), "")


def _cell_names(error: BaseException, shell: Any) -> Iterator[tuple[str, str]]:
    """Yield the files that are cells, under their temporary names, with the cells' own names."""
    for file in _files(error):
        if name := shell.compile.format_code_name(file):
            yield file, " ".join(name)


def _source(file: str, shell: Any) -> str:
    """Return the text of a cell by the name that it was compiled under, empty for other files."""
    if shell.compile.format_code_name(file) is None:
        return ""
    return "".join(linecache.getlines(file)).rstrip()


def _middle(text: str, most: int) -> str:
    """Leave out the middle of a text that is too long, and say so."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
