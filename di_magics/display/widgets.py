"""The one kind of widget there is: an ES module and its state; the only file with anywidget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

STATIC = Path(__file__).parent / "static"


def _module(*names: str) -> str:
    """Return the scripts of these names as one ES module: the last one exports."""
    return "".join((STATIC / f"{name}.js").read_text("utf-8") for name in names)


class Widget(anywidget.AnyWidget):
    """A widget whose front end talks in custom messages, which reach it while a cell runs, too.

    Changes of traits by the front end would wait for one another there
    (https://github.com/jupyter-widgets/ipywidgets, `_pending_msgs`); messages do not.
    """

    def __init__(self, heard: Callable[[dict[str, Any]], None], **state: Any) -> None:
        super().__init__(**state)
        _answer_while_busy(self)
        self.on_msg(lambda _, message, __: heard(message) if isinstance(message, dict) else None)


class LiveWidget(Widget):
    """A reply that streams, as plain text or as Markdown; `line` stands below it at first."""

    _esm = _module("kernel", "markdown", "live")
    line = traitlets.Unicode().tag(sync=True)
    plain = traitlets.Bool().tag(sync=True)


class GridWidget(Widget):
    """Replies side by side; `labels` name the columns, none where there are too many."""

    _esm = _module("kernel", "markdown", "grid")
    labels: Any = traitlets.List().tag(sync=True)


class PanelWidget(Widget):
    """A panel; `state` is all that it shows, `models` what there is to choose from."""

    _esm = _module("kernel", "panel")
    state: Any = traitlets.Dict().tag(sync=True)
    models: Any = traitlets.List().tag(sync=True)

    def __repr__(self) -> str:
        return "The panel is shown in JupyterLab and Notebook 7, while its kernel runs."


def _answer_while_busy(widget: Any) -> None:
    """Let the front end's messages to this widget reach the kernel while a cell runs.

    ipykernel 7.4 handles them in the shell that last published on the comm, which is the busy
    main thread, and not in the subshell that the front end asked for (ipykernel PR 1565).
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda data, default: default
