"""What the extension adds to outputs: buttons at code, and a bar below replies and failed cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from loopback import Hold, Loopback, Reply

if TYPE_CHECKING:
    from lab import Notebook
    from playwright.sync_api import Locator

pytestmark = pytest.mark.browser

Open = Callable[..., "Notebook"]
CODE = "%%bash\necho '<img src=x onerror=alert(1)>' > ran\n\n  exit"
REPLY = f"Run\n\n```bash\n{CODE}\n```\n\nor\n\n```\nx\u200b = 1\n```\n\nthen"
MARK = "Answered an earlier version"


def load(server: Loopback) -> str:
    """Return a cell that loads the extension and uses this server."""
    env = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m"
    return f"{env}\n%load_ext di_magics"


def button(page: Notebook, cell: int, name: str) -> Locator:
    """Return a button of a cell."""
    return page.cell(cell).get_by_role("button", name=name, exact=True)


def wait_for_marks(page: Notebook, *marks: bool) -> None:
    """Wait until these cells, from the second on, are marked or not."""
    for cell, mark in enumerate(marks, 1):
        shown = page.cell(cell).get_by_text(MARK)
        shown.wait_for(state="visible" if mark else "hidden")


def test_code_goes_into_a_new_cell_as_it_looks_and_is_not_run(
    notebook: Open, server: Loopback
) -> None:
    """While the reply streams, and from the saved output, by keyboard; Copy takes the same."""
    hold = Hold()
    server.reply(Reply(chunks=[REPLY, " more", hold, "\n\n    last\n"]))
    page = notebook([load(server), "%%chat\nhi"])
    page.run(0)
    page.start(1)
    blocks = page.shown(1).locator(".di-live .di-code-block")
    blocks.nth(1).wait_for()
    insert = "Insert the code below"
    blocks.first.hover()
    blocks.first.get_by_role("button", name=insert).click()
    hold.release()
    page.wait(1)
    assert page.sources()[2:] == [CODE]

    button(page, 1, insert).nth(2).wait_for()
    assert page.shown(1).locator(".di-live").count() == 0
    button(page, 1, insert).nth(1).focus()
    page.page.keyboard.press("Enter")
    button(page, 1, "Copy the code").first.focus()
    page.page.keyboard.press("Space")
    page.js("() => jupyterapp.commands.execute('di-magics:open-chat-panel')")
    page.page.locator(".di-chat-panel form textarea:focus").press("Control+v")
    assert page.page.locator(".di-chat-panel form textarea").input_value() == CODE
    assert page.sources()[2:] == ["x = 1", CODE]
    saved = page.save()["cells"]
    assert [cell["execution_count"] for cell in saved[2:]] == [None, None]
    assert not (page.lab.root / "ran").exists()
    assert page.errors == []


def test_a_reply_is_marked_when_its_prompt_or_a_turn_above_has_changed(
    notebook: Open, server: Loopback
) -> None:
    """As the prompt is typed, also after a reload; asked again it answers what is there.

    Retry goes, and the notebook has its keys again.
    """
    server.reply(*(Reply(text) for text in ("one", "two", "three", "four", "five")))
    page = notebook([load(server), "%%chat\na", "%%chat\nb", "%%chat\nc", "%%chat --once\nd"])
    page.run_all()
    wait_for_marks(page, False, False, False, False)
    button(page, 4, "Retry").wait_for()
    page.cell(1).locator(".cm-content").click()
    page.page.keyboard.press("Control+End")
    page.page.keyboard.type(" more")
    wait_for_marks(page, True, False, False, False)
    page.page.keyboard.press("Control+z")
    wait_for_marks(page, False, False, False, False)

    button(page, 1, "Retry").click()
    page.shown(1).get_by_text("five").wait_for()
    page.page.keyboard.press("ArrowDown")
    assert page.js("() => panel.content.activeCellIndex") == 2
    wait_for_marks(page, False, True, True, False)
    page.save()
    page.reload()
    wait_for_marks(page, False, True, True, False)
    page.js("() => { panel.content.activeCellIndex = 1 }")
    page.js("() => jupyterapp.commands.execute('notebook:move-cell-down')")
    wait_for_marks(page, True, False, True, False)
    page.js("() => jupyterapp.commands.execute('notebook:clear-cell-output')")
    wait_for_marks(page, False, False, False, False)
    assert page.errors == []


def test_fork_asks_for_a_name_and_explain_asks_about_the_last_error(
    notebook: Open, server: Loopback
) -> None:
    """Each in a cell below that runs; without di_magics in the kernel there are no buttons."""
    server.reply(*(Reply(text) for text in ("one", "two", "three", "four")))
    page = notebook([load(server), "%%chat\na", "%%chat\nb", "1/0", "2/0"])
    for cell in (0, 1, 2, 3):
        page.run(cell)
    button(page, 3, "Explain").wait_for()
    page.run(4)
    button(page, 3, "Explain").wait_for(state="hidden")
    button(page, 4, "Explain").click()
    page.shown(5).get_by_text("three").wait_for()
    button(page, 4, "Explain").click()  # goes to the cell below

    # As it is by default; with it a new cell has no editor yet.
    page.js(
        "() => { panel.content.notebookConfig = { ...panel.content.notebookConfig,"
        " windowingMode: 'contentVisibility' } }"
    )
    button(page, 1, "Fork").click()
    name = page.page.get_by_role("dialog").get_by_role("textbox")
    name.fill("  another\ttry ")
    name.press("Enter")
    page.shown(2).get_by_text("another try starts").wait_for()
    page.page.keyboard.insert_text("c")
    page.page.keyboard.press("Shift+Enter")
    page.shown(3).get_by_text("four").wait_for()
    assert page.sources()[3:] == ["%%chat\nc", "%%chat\nb", "1/0", "2/0", "%chat fix"]
    asked = [message["content"] for message in server.chats[-1].json["messages"]]
    assert asked == ["a", "one", "c"]
    page.restart()
    button(page, 1, "Fork").wait_for(state="hidden")
    assert page.errors == []
