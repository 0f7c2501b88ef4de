"""What the extension's pages are told of a kernel: the model, what the notebook cost, whether a
reply is on its way, which widget is the panel of parameters, which cell `%chat fix` explains, and
whether the cells above go along with a prompt.

A comm with a fixed id that is never opened. The kernel sends the state as messages of that comm; a
front end without the extension ignores them (it would log an error for a comm_open or a
comm_close). A page that connects later finds the comm in the kernel's comm_info_reply, and sends a
message to ask for the state.

So the kernel is never asked by a page before the extension is loaded here, and a page's message
waits, as every request does, until the cell that runs has ended. Of its content two things count:
that the panel has been shown, which replaces a line of text in an output, and the cells above the
one that runs next (magics/page_cells.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from di_magics.core.amount import NO_AMOUNT
from di_magics.core.errors import DiMagicsError
from di_magics.core.visible import one_line

if TYPE_CHECKING:
    from di_magics.magics.page_cells import PageCells
    from di_magics.session.session import Session
    from di_magics.session.watchers import Changed

COMM = "di_magics"
SHOWN = {"open": True}
NOT_SHOWN_TEXT = (
    "No page with the chat panel has answered. Use %chat panel, which shows the panel here."
)
SHOWN_TEXT = "The panel is shown in the sidebar."


class Page:
    """Posts the state of a session to the pages whenever it has changed.

    It is registered as a comm: `comm_id`, `target_name`, `handle_msg` and `handle_close` are what
    ipykernel's comm manager uses of one.
    """

    comm_id = target_name = COMM

    def __init__(self, kernel: Any, cells: PageCells) -> None:
        self._kernel = kernel
        self._cells = cells
        self._session: Session | None = None
        self._confirm: Callable[[], None] = lambda: None
        self._state = {
            "panel": "",
            "model": "",
            "cost": NO_AMOUNT,
            "costs": NO_AMOUNT,
            "answering": False,
            "failed": "",
            "above": False,
        }
        self._posting = threading.Lock()
        kernel.comm_manager.register_comm(self)
        self._post(self._state)

    def watch(self, session: Session) -> None:
        """Post the state of this session from now on."""
        from di_magics.session.watchers import Debouncer

        self._session = session
        session.watchers.add(Debouncer(session.loop, self._update))

    def close(self) -> None:
        """Tell the pages that the extension is unloaded."""
        self._kernel.comm_manager.comms.pop(COMM, None)
        with self._posting:
            self._session = None
            self._post({})

    def show_panel(self, model_id: str) -> None:
        """Let the pages show a widget in the sidebar; a line in the cell says whether one did."""
        from IPython.display import display

        handle = display({"text/plain": NOT_SHOWN_TEXT}, raw=True, display_id=True)
        self._confirm = lambda: handle.update({"text/plain": SHOWN_TEXT}, raw=True)
        with self._posting:
            self._state = self._state | {"panel": model_id}
            self._post(self._state | SHOWN)

    def note_error(self, cell: str) -> None:
        """Post that this cell is the last one that failed."""
        with self._posting:
            self._state = self._state | {"failed": cell}
            self._post(self._state)

    def handle_msg(self, message: Mapping[str, Any]) -> None:
        """Post the state to a page that has connected, or note what it says."""
        data = message["content"].get("data")
        if data == SHOWN:
            self._confirm()
            return
        if isinstance(data, dict) and "above" in data:
            self._cells.receive(message)
            return
        with self._posting:
            self._post(self._state)

    def handle_close(self, message: object) -> None:
        """Stay registered: no page can close it for the others."""
        self._kernel.comm_manager.register_comm(self)

    def _update(self, changed: set[Changed]) -> None:
        with self._posting:
            if self._session is None:
                return
            state = self._state | _read_state(self._session, changed)
            if state != self._state:
                self._state = state
                self._post(state)

    def _post(self, state: dict[str, Any]) -> None:
        content = {"comm_id": COMM, "data": state}
        kernel = self._kernel
        kernel.session.send(kernel.iopub_socket, "comm_msg", content, parent={}, ident=b"comm-di")


def _read_state(session: Session, changed: set[Changed]) -> dict[str, Any]:
    """Return what may have changed; the costs only if turns have."""
    state: dict[str, Any] = {
        "answering": session.exchange.under_way > 0,
        "above": bool(session.settings.above),
    }
    try:
        state["model"] = one_line(session.route().model, 100)
    except DiMagicsError:  # the next cell says why
        state["model"] = ""
    if "turns" in changed and session.notebook.is_resumed:
        from di_magics.core.money.tally import tally

        try:
            total = tally(session.notebook.ledger.entries())
            state |= {"cost": total.short, "costs": total.text}
        except DiMagicsError:
            state |= {"cost": NO_AMOUNT, "costs": NO_AMOUNT}
    return state


def connect_page(shell: Any, cells: PageCells) -> Page | None:
    """Return the page's side in the kernel; None in a terminal, and where it is not ipykernel."""
    kernel = getattr(shell, "kernel", None)
    names = ("comm_manager", "session", "iopub_socket")
    return Page(kernel, cells) if all(hasattr(kernel, name) for name in names) else None
