"""The last error of a shell, for `%chat fix`: the cell and its traceback, and no variables.

Modules that only `%chat fix` needs are imported there, so that loading is fast.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from di_magics.core.errors import ChatError, DiMagicsError

QUESTION = "This cell failed. Explain why in one or two sentences, and give the corrected cell."
MAX_CELL_CHARS = 12_000
MAX_TRACE_CHARS = 8_000
MAX_SEARCHED_CHARS = 100_000
"""Characters in which secrets are searched; what is beyond them is not sent."""

LastError = tuple[str, BaseException]
"""A cell that failed, and the error it ended with."""


class ErrorRecorder:
    """Stores the last cell that failed, except with our own errors or an interrupt.

    `on_error` is called when there is another one.
    """

    def __init__(self, on_error: Callable[[], None]) -> None:
        self.last: LastError | None = None
        self._on_error = on_error

    def note(self, result: Any) -> None:
        """Store the error of a cell that has ended; IPython's `post_run_cell` hook."""
        error = result.error_before_exec or result.error_in_exec
        if error is not None and not isinstance(error, DiMagicsError | KeyboardInterrupt):
            self.last = result.info.raw_cell, error
            self._on_error()


def fix_prompt(shell: Any, failed: LastError | None, remark: str = "") -> str:
    """Return the prompt that asks for an explanation of an error and for a cell that works.

    Keys of the environment, what looks like a key, and the values of variables that are called like
    a secret are left out. Raises ChatError if no cell has failed.
    """
    if failed is None:
        raise ChatError("No cell has failed since %load_ext di_magics. Run the failing cell first.")
    from di_magics.core.conversation.attachment import fence_block
    from di_magics.core.secrets import redact
    from di_magics.core.secrets_in_code import hide_in_code
    from di_magics.core.text import cut_middle
    from di_magics.values.environment_secrets import hide_secrets
    from di_magics.values.secret_values import secrets_by_name

    failed_cell, error = failed
    texts = [remark, failed_cell.rstrip(), _trace(shell, error)]
    texts = [cut_middle(text, MAX_SEARCHED_CHARS) for text in texts]
    hidden = hide_in_code(*texts, others=secrets_by_name(shell.user_ns))
    question, cell, trace = (redact(hide_secrets(text)) for text in hidden)
    parts = [
        question or QUESTION,
        fence_block(cut_middle(cell, MAX_CELL_CHARS), "python"),
        fence_block(cut_middle(trace, MAX_TRACE_CHARS)),
    ]
    return "\n\n".join(parts)


def _trace(shell: Any, error: BaseException) -> str:
    """Return a traceback without IPython's frames, in which cells have their names."""
    import traceback

    frame = error.__traceback__
    while frame is not None and _cell_name(shell, frame.tb_frame.f_code.co_filename) is None:
        frame = frame.tb_next
    lines = traceback.format_exception(type(error), error, frame)

    def name_cell(match: re.Match[str]) -> str:
        return _cell_name(shell, match[1]) or match[0]

    return re.sub(r'File "([^"\n]+)"', name_cell, "".join(lines)).rstrip()


def _cell_name(shell: Any, file: str) -> str | None:
    """Return the name of the cell that was compiled as this file, None for other files."""
    parts = shell.compile.format_code_name(file)
    return " ".join(parts) if parts else None
