"""Chooses the view of a reply: the one rule for all front ends.

A view that streams replaces its output at the end. That works only in the cell's own output: an
Output widget (`with out:`, `@interact`) ignores updates, and `%%capture` counts each of them as
another output.

    where the cell runs                              the view of a reply
    -----------------------------------------------  -----------------------------------------------
    IPython in a terminal                            TerminalView: text as it comes
    in an Output widget, an interact, a capture      FinalView: only the final output
    a front end that sends cell ids: JupyterLab,     WidgetView; DisplayView without anywidget
    Notebook 7, VS Code
    Colab, which sends none                          DisplayView: one output, updated
    another front end whose user can be asked:       TerminalView; it may not support updates of
    jupyter console, qtconsole                       an output
    no front end: nbclient, papermill                FinalView
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
    from di_magics.display.grid import WidgetGrid

    return WidgetGrid(runs, final=final)


def choose_progress(shell: Any) -> Progress:
    """Return what says how far a text has been read, in a notebook's own output only."""
    progress = Progress()
    if getattr(shell, "kernel", None) is not None and not _is_redirected(shell):
        progress.open()
    return progress


def choose_view(
    shell: Any, cell_id: str | None, *, plain: bool = False, can_ask: bool = False
) -> Any:
    """Return the view of a reply for where this cell runs.

    With `plain` the streamed text is not Markdown. `can_ask` is whether the front end lets the
    kernel ask its user: a runner such as nbclient does not.
    """
    if getattr(shell, "kernel", None) is None:
        return TerminalView()
    if _is_redirected(shell):
        return FinalView()
    if not cell_id:
        if "google.colab" in sys.modules:
            return DisplayView()
        return TerminalView() if can_ask else FinalView()
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
    every = getattr(module, "_instances", None)
    if every is None:  # another version; in this one the attribute warns
        every = getattr(widgets.Widget, "widgets", None) or {}
    return any(isinstance(w, widgets.Output) and w.msg_id for w in list(every.values()))
