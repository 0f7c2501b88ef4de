"""Identity in real JupyterLab: an open notebook is copied and renamed, and two share a kernel."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import Lab, Notebook
from loopback import Loopback, Reply
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

Open = Callable[..., Notebook]


def setup(server: Loopback) -> str:
    """Return the cell that loads the extension and points it at the server."""
    return f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"


def ask(page: Notebook, cell: int, prompt: str) -> str:
    """Ask in a cell, and return its output as text."""
    page.write(cell, f"%%chat\n{prompt}")
    (output,) = page.run(cell)
    return str(output["data"]["text/plain"])


def prompts(server: Loopback) -> list[list[str]]:
    """Return what each request sent, message by message."""
    return [[m["content"] for m in request.json["messages"]] for request in server.chats]


def test_a_copy_of_an_open_notebook_and_the_renamed_original(
    notebook: Open, lab: Lab, chromium: Browser, server: Loopback
) -> None:
    """Each continues with its own turns, after a restart too, and the original is no copy."""
    server.reply(*(Reply(text) for text in ("a1", "b1", "c1", "d1")))
    page = notebook([setup(server), "", "", ""])
    page.run(0)
    ask(page, 1, "A")
    page.save()
    copied = lab.api("/api/contents", "POST", {"copy_from": page.name})["name"]
    renamed = f"renamed-{page.name}"
    page.js("name => panel.context.rename(name)", renamed)
    page.name = renamed
    assert "copy" not in ask(page, 2, "B")
    copy = Notebook(lab, chromium, copied)
    try:
        copy.run(0)
        assert f"a copy of {renamed}" in ask(copy, 2, "C")
    finally:
        copy.close()
    page.save()
    page.restart()
    page.run(0)
    shown = ask(page, 3, "D")
    assert "continues 2 turns" in shown
    assert prompts(server) == [
        ["A"],
        ["A", "a1", "B"],
        ["A", "a1", "C"],
        ["A", "a1", "B", "b1", "D"],
    ]


def test_two_notebooks_that_use_one_kernel(notebook: Open, server: Loopback) -> None:
    """Each has its own conversation, also in cells that are not saved yet."""
    server.reply(*(Reply(text) for text in ("a1", "b1", "c1", "d1")))
    page, other = notebook([setup(server), ""]), notebook(["", ""])
    page.run(0)
    kernel = page.js("() => panel.sessionContext.session.kernel.id")
    other.js("id => panel.sessionContext.changeKernel({ id })", kernel)
    other.page.wait_for_function(
        "id => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.id === id", arg=kernel
    )
    for asked, prompt in ((page, "A"), (other, "B"), (page, "C"), (other, "D")):
        assert "another page" not in ask(asked, 1, prompt)
    assert prompts(server) == [["A"], ["B"], ["C"], ["D"]]
