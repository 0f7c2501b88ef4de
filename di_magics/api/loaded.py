"""The loaded extension, as the Python functions use it: its session and its panel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.magics.chat import ChatMagics, current, format_replies
from di_magics.magics.compose import new_session
from di_magics.session.session import Session
from di_magics.values.namespace import current_shell


def loaded_magics() -> ChatMagics | None:
    """Return the magics of the loaded extension, in the notebook whose cell runs, or None."""
    shell = current_shell()
    if shell:
        format_replies(shell)
    magics = current(shell)
    if magics:
        magics.session.notebook.enter()
    return magics


def open_session(magics: ChatMagics | None) -> AbstractContextManager[Session]:
    """Return the session of the loaded extension, or one that ends with the call."""
    return nullcontext(magics.session) if magics else _own_session()


@contextmanager
def _own_session() -> Iterator[Session]:
    session = new_session(policy=os.environ.get("DI_MAGICS_POLICY"))
    try:
        yield session
    finally:
        session.close()


def panel() -> Any:
    """Return the panel of the loaded extension, an ipywidgets widget to display.

    Raises ParamError if the extension is not loaded.
    """
    magics = loaded_magics()
    if not magics:
        raise ParamError("The panel needs the extension. Run %load_ext di_magics first.")
    return magics.panel.widget
