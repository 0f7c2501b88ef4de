"""A reply whose output is not the cell's own: in an Output widget, an interact, a capture."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kernel import Kernel
from lab import Notebook
from loopback import Loopback, Reply

Open = Callable[..., Notebook]


def setup(server: Loopback) -> str:
    """Return the cell that loads the extension and points it at the server."""
    return f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"


ASK = "get_ipython().run_cell_magic('chat', '', 'hi')"
IN_OUTPUT = f"import ipywidgets as w\nout = w.Output()\ndisplay(out)\nwith out:\n    {ASK}"
IN_INTERACT = f"import ipywidgets as w\n@w.interact(x=(0, 3))\ndef f(x=1):\n    {ASK}"


@pytest.mark.parametrize("cell", [IN_OUTPUT, IN_INTERACT], ids=["output", "interact"])
def test_a_reply_in_a_widget_stays(notebook: Open, server: Loopback, cell: str) -> None:
    """It is there when the cell has ended, formatted, and nothing is printed on the console."""
    server.reply(Reply("The **whole** reply."))
    page = notebook([setup(server), cell])
    page.run(0)
    page.run(1)
    page.shown(1).locator("strong", has_text="whole").wait_for()
    assert page.errors == []


@pytest.mark.parametrize(
    "cell", [f"%%capture found\n{ASK}", f"with w.Output():\n    {ASK}"], ids=["capture", "output"]
)
@pytest.mark.parametrize("magic", ["'chat', ''", "'chat', '--vary seed=1,2'"])
def test_the_final_output_is_used(
    shared_kernel: Kernel, server: Loopback, cell: str, magic: str
) -> None:
    """One output without a widget, which a capture can show later."""
    server.default = Reply("The **whole** reply.")
    shared_kernel.run(setup(server) + "\nimport ipywidgets as w")
    result = shared_kernel.run(cell.replace("'chat', ''", magic), "c")
    assert result.status == "ok", result.text
    assert result.of_type("update_display_data") == []
    shown = shared_kernel.run("found.show()", "d") if "capture" in cell else result
    (output,) = [item for item in shown.outputs if item["output_type"] == "display_data"]
    assert "<strong>whole</strong>" in output["data"]["text/html"]
    assert not any("widget" in mime for mime in output["data"])


def test_the_cell_after_a_widget_streams(shared_kernel: Kernel, server: Loopback) -> None:
    """An Output widget that is not in use does not matter."""
    shared_kernel.run(setup(server) + "\nimport ipywidgets as w\nout = w.Output()")
    shared_kernel.run("with out:\n    print(1)", "c")
    assert shared_kernel.run("%%chat\nhi", "d").of_type("update_display_data")
