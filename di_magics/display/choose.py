"""Chooses the view of a reply: the one rule for all front ends.

A view that streams replaces its output at the end. That works only in the cell's own output: an
Output widget (`with out:`, `@interact`) ignores updates, and `%%capture` counts each of them as
another output. There, and where no front end has sent the cell, the final view is used.
"""

from __future__ import annotations

import sys
from typing import Any

from di_magics.core.sweep.runs import Run
from di_magics.display.views import DisplayView, FinalGrid, FinalView, Progress, TerminalView


def choose_grid(
    shell: Any, cell_id: str | None, runs: tuple[Run, ...], *, final: bool = True
) -> Any:
    """Return the view of a grid for where this cell runs."""
    if getattr(shell, "kernel", None) is None or not cell_id or _is_redirected(shell):
        return FinalGrid(final=final)
    from di_magics.display.grid import GridView

    return GridView(runs, final=final)


def choose_progress(shell: Any) -> Progress:
    """Return what says how far a text has been read, in a notebook's own output only."""
    progress = Progress()
    if getattr(shell, "kernel", None) is not None and not _is_redirected(shell):
        progress.open()
    return progress


def choose_view(shell: Any, cell_id: str | None, *, plain: bool = False) -> Any:
    """Return the view for where this cell runs: a terminal, a notebook, or nothing to stream to.

    With `plain` the streamed text is not Markdown. Only a notebook's front end has a cell id;
    nbclient and other runners have none.
    """
    if getattr(shell, "kernel", None) is None:
        return TerminalView()
    if not cell_id or _is_redirected(shell):
        return FinalView()
    try:
        from di_magics.display.live import WidgetView
    except ImportError:  # anywidget is broken or not installed
        return DisplayView()
    return WidgetView(plain=plain)


def _is_redirected(shell: Any) -> bool:
    """Return whether outputs go elsewhere than to the cell's own output."""
    if hasattr(shell.display_pub, "outputs"):  # that of IPython's capture_output
        return True
    widgets = sys.modules.get("ipywidgets")
    if widgets is None:
        return False
    module = sys.modules["ipywidgets.widgets.widget"]
    found = getattr(module, "_instances", None) or getattr(widgets.Widget, "widgets", None) or {}
    return any(isinstance(w, widgets.Output) and w.msg_id for w in list(found.values()))
