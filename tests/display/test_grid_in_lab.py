"""A grid as a user meets it: columns that stream, Stop for one and for all, one safe output."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from loopback import CountingServer, Hold, Loopback, Reply, Request

if TYPE_CHECKING:
    from lab import Notebook

pytestmark = pytest.mark.browser

Open = Callable[..., "Notebook"]


def setup(server: Loopback) -> str:
    """Return the cell that loads the extension and points it at the server."""
    return f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"


def test_columns_stream_side_by_side(notebook: Open, server: Loopback) -> None:
    """Each with its name, formatted; Stop ends one of them, and the others go on."""
    holds = {seed: Hold() for seed in (1, 2, 3)}

    def held(request: Request) -> Reply:
        seed = request.json["seed"]
        return Reply(chunks=[f"## Reply {seed}\n\nand ", holds[seed], f"more of {seed}"])

    server.default = held
    page = notebook([setup(server), "%%chat --vary seed=1,2,3\nhi"])
    page.run(0)
    page.start(1)
    area = page.shown(1)
    for seed in holds:
        area.locator("h2", has_text=f"Reply {seed}").wait_for()
    area.get_by_role("button", name="Stop run 1: seed=2").click()
    stopped = next(chat for chat in server.chats if chat.json["seed"] == 2)
    assert stopped.closed.wait(5)
    holds[1].release()
    holds[3].release()
    (output,) = page.wait(1)
    shown = output["data"]["text/plain"]
    assert "more of 1" in shown
    assert "more of 3" in shown
    assert "2 of 3 runs complete · 1 stopped" in shown
    (saved,) = page.save()["cells"][1]["outputs"]
    assert set(saved["data"]) == {"text/html", "text/markdown", "text/plain"}
    assert saved["metadata"]["di_magics"]["grid"] == 3
    assert area.locator("td").count() == 3
    assert area.get_by_text("every run · m").count() == 1
    receipt = area.locator("details").first
    assert receipt.locator("summary").inner_text() == "10 → 5 tokens · $0.0000015"
    receipt.locator("summary").click()
    assert "first text" in receipt.inner_text()
    assert page.errors == []


def test_stop_all_and_go_on_later(notebook: Open, server: Loopback) -> None:
    """What had come is kept, the cell ends well, and the next run sends only the rest."""
    hold = Hold()

    def held(request: Request) -> Reply:
        return Reply(chunks=["done"] if request.json["seed"] < 3 else ["half", hold])

    server.default = held
    page = notebook([setup(server), "%%chat --vary seed=1..4\nhi"])
    page.run(0)
    page.start(1)
    area = page.shown(1)
    area.get_by_text("2 of 4").wait_for()
    area.get_by_role("button", name="Stop all").click()
    (output,) = page.wait(1)
    assert "2 of 4 runs complete · 2 stopped" in output["data"]["text/plain"]
    hold.release()
    (output,) = page.run(1)
    assert "4 runs" in output["data"]["text/plain"]
    assert sorted(chat.json["seed"] for chat in server.chats) == [1, 2, 3, 3, 4, 4]


def test_many_runs_are_a_bar_and_a_sample(notebook: Open, server: Loopback) -> None:
    """Counts, cost and a few replies while it runs; the file says what it leaves out."""
    hold = Hold()

    def held(request: Request) -> Reply:
        return Reply(chunks=["reply", *([hold] if request.json["seed"] > 20 else [])])

    server.default = held
    page = notebook([setup(server), "%%chat --vary seed=1..24 --yes\nhi"])
    page.run(0)
    page.start(1)
    area = page.shown(1)
    area.get_by_text(re.compile(r"20 of 24 · \$0\.00003\d so far")).wait_for()
    assert area.locator(".di-card").count() == 3
    hold.release()
    (output,) = page.wait(1)
    assert "18 of 24 replies are not displayed" in output["data"]["text/plain"]


def test_replies_stream_on_in_a_reloaded_page(notebook: Open, server: Loopback) -> None:
    """Saved while it runs and loaded anew, it has the final output at the end."""
    hold = Hold()
    server.default = Reply(chunks=["half", hold, " and half"])
    page = notebook([setup(server), "%%chat --vary seed=1,2\nhi"])
    page.run(0)
    page.start(1)
    page.shown(1).get_by_text("half").nth(1).wait_for()
    page.save()
    page.page.evaluate("() => { window.onbeforeunload = null }")
    page.reload()
    area = page.shown(1)
    area.get_by_role("button", name="Stop").first.wait_for()
    hold.release()
    area.locator("table").get_by_text("half and half").nth(1).wait_for()
    area.get_by_role("button", name="Stop").first.wait_for(state="detached")
    (output,) = page.outputs(1)
    assert "half and half" in output["data"]["text/plain"]


def test_a_restart_in_mid_stream_says_so(notebook: Open, server: Loopback) -> None:
    """The texts that had come stay, with the way to the rest; nothing looks alive."""
    server.default = Reply(chunks=["half", Hold()])
    page = notebook([setup(server), "%%chat --vary seed=1,2\nhi"])
    page.run(0)
    page.start(1)
    page.shown(1).get_by_text("half").nth(1).wait_for()
    page.restart()
    page.shown(1).get_by_text("the kernel was restarted").wait_for()
    assert page.shown(1).get_by_text("half").count() == 2
    assert page.shown(1).get_by_role("button", name="Stop").count() == 0


def test_html_in_a_sweep_never_runs(notebook: Open, server: Loopback) -> None:
    """Neither in a column nor in the table that is saved."""
    with CountingServer() as web:
        hold = Hold()
        hostile = f"<img src={web.origin}/a onerror='window.ran=1'> ![x]({web.origin}/b) end"
        server.default = Reply(chunks=[hostile, hold])
        page = notebook([setup(server), "%%chat --vary seed=1,2\nhi"])
        page.run(0)
        page.start(1)
        page.shown(1).get_by_text("end").first.wait_for()
        assert page.shown(1).locator("img").count() == 0
        hold.release()
        page.wait(1)
        page.save()
        page.reload(trusted=True)
        page.shown(1).get_by_text("end").first.wait_for()
        assert page.shown(1).locator("img").count() == 0
        assert page.js("() => window.ran") is None
        assert web.requests == []


def test_a_plot_is_an_image(notebook: Open, server: Loopback) -> None:
    """`%chat plot` draws the last grid."""
    server.default = lambda request: Reply("word " * (request.json["seed"] + 1))
    page = notebook([setup(server), "%%chat --vary seed=1..5\nhi", "%chat plot words"])
    page.run(0)
    page.run(1)
    (output,) = page.run(2)
    assert "image/png" in output["data"]
    page.shown(2).locator("img").first.wait_for()
