"""The Python API: a thin layer on the session of the magics."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.plan import Ask
from di_magics.core.reply import Reply
from di_magics.endpoint import Endpoint
from di_magics.magics import current, new_session
from di_magics.session import Session
from di_magics.view import SilentView


@contextmanager
def _session() -> Iterator[Session]:
    """Yield the session of the loaded extension, else one that ends with the call."""
    ipython = sys.modules.get("IPython")
    magics = current(ipython.get_ipython()) if ipython else None
    if magics:
        yield magics.session
        return
    session = new_session()
    try:
        yield session
    finally:
        session.close()


def panel() -> Any:
    """Return the panel of the loaded extension, an ipywidgets widget to display.

    Raises ParamError where the extension is not loaded.
    """
    ipython = sys.modules.get("IPython")
    magics = current(ipython.get_ipython()) if ipython else None
    if not magics:
        raise ParamError("The panel belongs to the extension: %load_ext di_magics first.")
    return magics.panel.widget


def ask(
    prompt: str,
    *,
    model: str | None = None,
    system: str | None = None,
    endpoint: str | Endpoint | None = None,
    **params: Any,
) -> Reply:
    """Return the model's reply; displays and remembers nothing, and counts in `%chat cost`.

    `params` are sampling parameters (`temperature=0.2`, `seed=1`, …); what is left out follows the
    current settings (`%chat set`). Raises ParamError for a parameter out of its range,
    EndpointError where there is no whole reply (StreamBroken has the partial one in `.reply`).
    """
    with _session() as session:
        asked = Ask(prompt, model=model, system=system, endpoint=endpoint, params=params, once=True)
        return session.ask(asked, SilentView()).reply
