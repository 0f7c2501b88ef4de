"""The base class of all widgets: an ES module and its state; the only file with anywidget."""

from __future__ import annotations

import base64
import json
import re
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython import get_ipython

from di_magics.core.shown import formula
from di_magics.display.markdown_writer import LANGUAGES

STATIC = Path(__file__).parent / "static"
_IMPORTED = re.compile(r'^import [^;]* from "\./(\w+)\.js";$', re.MULTILINE)
_LEFT_OUT = re.compile(
    r"^import [^;]*;\n|^export (?!default)|^ *//.*\n|(?<=[;,{)]) // .*|/\*\*(?s:.*?)\*/\s?|^ +",
    re.MULTILINE,
)


def module(name: str) -> str:
    """Return a script of `static` and what it imports as one ES module, compressed.

    anywidget wants one text per widget, and each cell sends it.
    """
    code = base64.b64encode(zlib.compress(join_scripts(name).encode(), 9)).decode()
    unpack = _LEFT_OUT.sub("", (STATIC / "unpack.js").read_text("utf-8"))
    return unpack.replace('""', f'"{code}"')


def join_scripts(name: str) -> str:
    """Return a script of `static` and what it imports as one text, without comments.

    A top-level name must be unique in all scripts.
    """
    sources = _sources(name)
    constants = ""
    if "formula" in sources:
        languages = json.dumps(" ".join(sorted(LANGUAGES)))
        constants = f"const TEX={formula.as_json()},LANGUAGES={languages};\n"
    return constants + _LEFT_OUT.sub("", "".join(sources.values()))


def _sources(name: str) -> dict[str, str]:
    """Return the scripts that this one imports, each after what it imports itself, and this one."""
    source = (STATIC / f"{name}.js").read_text("utf-8")
    imported: dict[str, str] = {}
    for other in _IMPORTED.findall(source):
        imported |= _sources(other)
    return imported | {name: source}


class Widget(anywidget.AnyWidget):
    """A widget whose front end talks in custom messages, which reach it while a cell runs, too.

    Changes of traits by the front end would wait for one another there
    (https://github.com/jupyter-widgets/ipywidgets, `_pending_msgs`); messages do not.
    """

    def __init__(self, receive: Callable[[dict[str, Any]], None], **state: Any) -> None:
        name = secrets.token_urlsafe(9)  # short, because each message has it
        own = {"own_id": name} if self.has_trait("own_id") else {}
        super().__init__(model_id=name, **own, **state)
        self.on_msg(lambda _, message, __: receive(message) if isinstance(message, dict) else None)

    def open(self) -> None:
        """Open the comm, unless it is open or a program runs the notebook.

        nbclient would write the state of the widget to the file: scripts and log-probabilities.
        """
        if self.comm is None and not _is_run_by_program():
            super().open()
            _answer_while_busy(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        self.open()
        if self.comm is None:
            return {"text/plain": repr(self)}
        return super()._repr_mimebundle_(**kwargs)

    def post(self, message: dict[str, Any]) -> None:
        """Send a custom message as `send` does, in fewer bytes.

        Jupyter repeats the whole header of the cell's request in each message, which is four times
        the size of a usual delta. A widget's message needs none: it belongs to its comm. Where
        the kernel is not ipykernel, this is `send`.
        """
        comm: Any = self.comm
        kernel: Any = getattr(comm, "kernel", None)
        if not (hasattr(kernel, "session") and hasattr(kernel, "iopub_socket")):
            self.send(message)
            return
        content = {"data": {"method": "custom", "content": message}, "comm_id": comm.comm_id}
        kernel.session.send(kernel.iopub_socket, "comm_msg", content, parent={}, ident=comm.topic)


class LiveWidget(Widget):
    """A reply that streams, as plain text or as Markdown; `line` stands below it at first."""

    _esm = module("live")
    line = traitlets.Unicode().tag(sync=True)
    plain = traitlets.Bool().tag(sync=True)


class GridWidget(Widget):
    """Replies side by side; `labels` name the columns, none where there are too many."""

    _esm = module("grid")
    labels: Any = traitlets.List().tag(sync=True)


class PanelWidget(Widget):
    """A panel; `state` is all that it shows, `models` what there is to choose from."""

    _esm = module("panel")
    own_id = traitlets.Unicode().tag(sync=True)
    state: Any = traitlets.Dict().tag(sync=True)
    models: Any = traitlets.List().tag(sync=True)

    def __repr__(self) -> str:
        return "The panel is shown in JupyterLab and Notebook 7, while its kernel runs."


class LensWidget(Widget):
    """A lens or a lab; `packed` is what display/lens.py makes of a reply."""

    _esm = module("lens")
    own_id = traitlets.Unicode().tag(sync=True)
    packed = traitlets.Bytes().tag(sync=True)


def _is_run_by_program() -> bool:
    """Return whether the running cell comes from nbclient, papermill or another such program.

    It sends no cell's id and allows no question; a message that is not a cell has neither.
    """
    kernel: Any = getattr(get_ipython(), "kernel", None)
    parent = kernel.get_parent() if kernel is not None else None
    content, metadata = ((parent or {}).get(part, {}) for part in ("content", "metadata"))
    return content.get("allow_stdin") is False and "cellId" not in metadata


def _answer_while_busy(widget: Any) -> None:
    """Let the front end's messages to this widget reach the kernel while a cell runs.

    ipykernel 7.4 handles them in the shell that last published on the comm, which is the busy
    main thread, and not in the subshell that the front end asked for (ipykernel PR 1565).
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda data, default: default
