"""`--above` in JupyterLab, which sends a cell's tags along with its code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from loopback import Loopback, Reply
from nbformat.v4 import new_code_cell

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
