"""Chooses the view of a reply: the one rule for all front ends."""

from __future__ import annotations

from typing import Any

from di_magics.core.sweep.runs import Run
from di_magics.display.views import DisplayView, FinalGrid, FinalView, TerminalView


def choose_grid(
    shell: Any, cell_id: str | None, runs: tuple[Run, ...], *, final: bool = True
) -> Any:
    """Return the view of a grid for where this cell runs."""
    if getattr(shell, "kernel", None) is None or not cell_id:
        return FinalGrid(final=final)
    from di_magics.display.grid import GridView

    return GridView(runs, final=final)


def choose_view(shell: Any, cell_id: str | None, *, plain: bool = False) -> Any:
    """Return the view for where this cell runs: a terminal, a notebook, or nothing to stream to.

    With `plain` the streamed text is not Markdown. Only a notebook's front end has a cell id;
    nbclient and other runners have none.
    """
    if getattr(shell, "kernel", None) is None:
        return TerminalView()
    if not cell_id:
        return FinalView()
    try:
        from di_magics.display.live import WidgetView
    except ImportError:  # anywidget is broken or not installed
        return DisplayView()
    return WidgetView(plain=plain)
