"""What the extension's pages are told of a kernel."""

from __future__ import annotations

from typing import Any

import pytest
from kernel import Kernel, Message, Result
from loopback import Fault, Hold, Loopback, Reply

pytestmark = pytest.mark.kernel


def states(kernel: Kernel) -> list[dict[str, Any]]:
    """Return what has been posted."""
    return [message.content["data"] for message in posts(kernel)]


def posts(kernel: Kernel) -> list[Message]:
    """Return the messages that a page gets."""
    return [item for item in kernel.published if item.content.get("comm_id") == "di_magics"]


def load(kernel: Kernel, server: Loopback) -> None:
    """Load the extension."""
    env = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=a/m"
    assert kernel.run(f"{env}\n%load_ext di_magics").status == "ok"


def wait_for(kernel: Kernel, **changes: object) -> None:
    """Wait until the last state has these values."""
    kernel.wait(Result(), lambda: states(kernel) and states(kernel)[-1].items() >= changes.items())


def test_pages_learn_of_the_model_the_cost_and_a_reply_on_its_way(
    kernel: Kernel, server: Loopback
) -> None:
    """Nothing is known before the first cell, and nothing is shown once it is unloaded."""
    load(kernel, server)
    wait_for(kernel, model="", cost="—", answering=False)
    hold = Hold()
    server.reply(Reply(chunks=["a", hold]))
    cell = kernel.start("%%chat\nhi", "c1")
    kernel.wait(cell, lambda: states(kernel)[-1]["answering"])
    wait_for(kernel, model="a/m", cost="$0", answering=True)
    hold.release()
    kernel.wait(cell)
    wait_for(kernel, model="a/m", cost="$0.0000015", costs="$0.0000015", answering=False)
    server.reply(Fault(400))
    kernel.run("%%chat\nhi", "c2")
    kernel.run("%chat set model=other")
    wait_for(kernel, model="other", cost="$0.0000015", answering=False)
    kernel.run("%unload_ext di_magics")
    kernel.wait(Result(), lambda: states(kernel)[-1] == {})
    assert {message.type for message in posts(kernel)} == {"comm_msg"}


@pytest.mark.parametrize("kind", ["comm_msg", "comm_close"])
def test_a_page_that_connects_is_told_whatever_it_sends(
    kernel: Kernel, server: Loopback, kind: str
) -> None:
    """What a page sends changes nothing, and cannot end it for other pages."""
    load(kernel, server)
    wait_for(kernel, cost="—")
    before = states(kernel)
    hostile: list[object] = [{"model": "x", "state": {}}, [], "text", None]
    for data in hostile:
        kernel.send(kind, {"comm_id": "di_magics", "data": data})
    kernel.send("comm_msg", {"comm_id": "di_magics", "data": {}})
    kernel.wait(Result(), lambda: len(states(kernel)) > len(before))
    assert states(kernel)[len(before) :] == before[-1:] * (len(states(kernel)) - len(before))
    assert kernel.run("%chat set model=y\n'ran'").text.endswith("'ran'\n")
    wait_for(kernel, model="y")


def test_pages_learn_which_cell_failed_last(kernel: Kernel, server: Loopback) -> None:
    """It is the one that `%chat fix` is about: not one with an error of ours."""
    load(kernel, server)
    wait_for(kernel, failed="")
    for cell in ("c1", "c2"):
        kernel.run("1/0", cell)
        wait_for(kernel, failed=cell)
    assert kernel.run("%chat undo 99", "c3").status == "error"
    kernel.run("%chat set model=y", "c4")
    wait_for(kernel, model="y", failed="c2")


def test_the_panel_at_the_side_is_confirmed_by_a_page(kernel: Kernel, server: Loopback) -> None:
    """Until then, and where no page has the extension, a line says what to do."""
    load(kernel, server)
    cell = kernel.run("%chat panel --side", "c1")
    assert cell.text == (
        "No page with the chat panel has answered. Use %chat panel, which shows the panel here.\n"
    )
    wait_for(kernel, open=True)
    assert states(kernel)[-1]["panel"]
    kernel.send("comm_msg", {"comm_id": "di_magics", "data": {"open": True}})
    kernel.wait(Result(), lambda: "is shown" in cell.text)
    assert cell.text == "The panel is shown in the sidebar.\n"
    assert "has only --side" in kernel.run("%chat panel --top").text
