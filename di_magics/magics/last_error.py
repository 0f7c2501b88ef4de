"""What failed last in a shell: the cell, and its traceback; nothing else of the namespace.

What only a question needs is imported by it, so that loading costs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from di_magics.core.errors import ChatError, DiMagicsError

ASKED = "This cell failed. Say why in a sentence or two, and give the corrected cell."
LONGEST_CELL = 12_000
LONGEST_TRACE = 8_000


@dataclass(frozen=True, slots=True)
class LastError:
    """A cell that failed, and the error it ended with."""

    cell: str
    error: BaseException


class ErrorRecorder:
    """Remembers the last cell that failed; our own refusals and an interrupt are none."""

    def __init__(self) -> None:
        self.last: LastError | None = None

    def note(self, result: Any) -> None:
        """Take note of a cell that has ended: what IPython calls `post_run_cell` with."""
        error = result.error_before_exec or result.error_in_exec
        if error is not None and not isinstance(error, DiMagicsError | KeyboardInterrupt):
            self.last = LastError(result.info.raw_cell, error)


def fix_prompt(shell: Any, failed: LastError | None, remark: str = "") -> str:
    """Return what asks for an explanation of an error, and for a cell that works.

    What has the form of a key, or is one of the environment's, is left out. Raises ChatError where
    nothing has failed.
    """
    if failed is None:
        raise ChatError("No cell has failed since %load_ext di_magics, so there is nothing to fix.")
    from di_magics.core.conversation.attachment import fence_block
    from di_magics.core.secrets import redact
    from di_magics.values.environment_secrets import hide_secrets

    texts = (remark, failed.cell.rstrip(), _trace(shell, failed.error))
    asked, cell, trace = (redact(hide_secrets(text)) for text in texts)
    parts = [
        asked or ASKED,
        fence_block(_middle(cell, LONGEST_CELL), "python"),
        fence_block(_middle(trace, LONGEST_TRACE)),
    ]
    return "\n\n".join(parts)


def _trace(shell: Any, error: BaseException) -> str:
    """Return a traceback without the frames of IPython, in which cells have their own names."""
    import traceback

    at = error.__traceback__
    while at is not None and _cell_name(shell, at.tb_frame.f_code.co_filename) is None:
        at = at.tb_next
    lines = traceback.format_exception(type(error), error, at)

    def named(found: re.Match[str]) -> str:
        return _cell_name(shell, found[1]) or found[0]

    return re.sub(r'File "([^"\n]+)"', named, "".join(lines)).rstrip()


def _cell_name(shell: Any, file: str) -> str | None:
    """Return what a cell is called that was compiled under this name, None for other files."""
    found = shell.compile.format_code_name(file)
    return " ".join(found) if found else None


def _middle(text: str, most: int) -> str:
    """Leave out the middle of a text that is too long, and say so."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
