"""`--above` in JupyterLab, whose pages send the cells above."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from loopback import Loopback, Reply
from nbformat.v4 import new_code_cell, new_markdown_cell

if TYPE_CHECKING:
    from lab import Notebook

pytestmark = pytest.mark.browser


def test_a_cell_that_is_tagged_private_stays_here(
    notebook: Callable[..., Notebook], server: Loopback
) -> None:
    """Also before the notebook is saved."""
    server.reply(Reply("reply"))
    env = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    page = notebook([env, new_code_cell("hidden = 1"), "print('seen', 1)", "%%chat --above\nhi"])
    page.js("() => cells.get(1).sharedModel.setMetadata('tags', ['private'])")
    for cell in range(4):
        page.run(cell)
    sent = server.chats[-1].json["messages"][-1]["content"]
    assert "hidden" not in sent
    assert "seen 1" in sent


def test_what_stands_above_in_the_page_is_sent_by_run_all(
    notebook: Callable[..., Notebook], server: Loopback
) -> None:
    """Also where a setting asks for it, and with outputs that the page has not when it sends."""
    server.reply(Reply("reply"), Reply("reply"))
    env = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    cells = [
        env,
        "%chat set above=all",
        new_markdown_cell("# A title"),
        "'seen 1'",
        "x = 1",
    ]
    page = notebook([*cells, "%%chat\nhi", "below = 1"])
    page.run_all()
    sent = server.chats[-1].json["messages"][-1]["content"]
    for text in ("Markdown:\n```\n# A title", "Its output:\n```\n'seen 1'", "x = 1"):
        assert text in sent
    assert "below = 1" not in sent
    page.write(4, "x = 'edited'")
    page.run(5)
    sent = server.chats[-1].json["messages"][-1]["content"]
    assert "edited since it ran:\n```\nx = 'edited'" in sent
    assert "cells of the page" in str(page.outputs(5))
