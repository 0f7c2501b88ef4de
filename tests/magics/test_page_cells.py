"""The cells above as a page has sent them, right before a cell that asks."""

from __future__ import annotations

from typing import Any

import pytest
from kernel import Kernel
from loopback import Loopback, Reply

pytestmark = pytest.mark.kernel


def load(kernel: Kernel, server: Loopback) -> None:
    """Load the extension, and run a cell that no page has sent."""
    kernel.run(f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics")
    server.reply(*(Reply("reply") for _ in range(6)))


def code(name: str, source: str, number: int | None = None, *outputs: Any) -> dict[str, Any]:
    """Return a cell of code as a page has it."""
    return {
        "id": name,
        "cell_type": "code",
        "source": source,
        "execution_count": number,
        "metadata": {},
        "outputs": list(outputs),
    }


def stream(text: str) -> dict[str, Any]:
    """Return what a cell has printed."""
    return {"output_type": "stream", "name": "stdout", "text": text}


def send(kernel: Kernel, cells: object, cell: str = "asks") -> None:
    """Send cells as those above a cell."""
    kernel.send("comm_msg", {"comm_id": "di_magics", "data": {"cell": cell, "above": cells}})


def asked(server: Loopback) -> str:
    """Return the last prompt that was sent."""
    return str(server.chats[-1].json["messages"][-1]["content"])


def test_what_stands_above_in_the_page_goes_along(kernel: Kernel, server: Loopback) -> None:
    """In its order, with Markdown, edits, and cells that have not run; images are counted."""
    load(kernel, server)
    kernel.run("print('from the kernel')", "ran")
    kernel.run("old = 1", "edited")
    plot = {"output_type": "display_data", "data": {"text/plain": "<Fig>", "image/png": ""}}
    cells = [
        code("never", "never = 1"),
        {"id": "m", "cell_type": "markdown", "source": "# A title", "metadata": {}},
        {"id": "r", "cell_type": "raw", "source": "raw text", "metadata": {}},
        code("edited", "new = 2", 3, stream("as the page shows it")),
        code("ran", "print('from the kernel')", None),
        code("saved", "plot()", 99, plot),
        code("tagged", "secret_plan = 1") | {"metadata": {"tags": ["private"]}},
        code("k", "%chat cost"),
    ]
    send(kernel, cells)
    cell = kernel.run("%%chat --above all\nhi", "asks")
    assert "5 cells of the page, about" in cell.text
    assert "1 image left out" in cell.text
    sent = asked(server)
    parts = [
        "Cell that has not run:\n```\nnever = 1",
        "Markdown:\n```\n# A title",
        "Cell [3], edited since it ran:\n```\nnew = 2",
        "as the page shows it",
        "from the kernel')\n```\nIts output:\n```\nfrom the kernel",
        "Cell [99]:\n```\nplot()\n```\nIts output:\n```\n<Fig>",
    ]
    assert [part for part in parts if part not in sent] == [], sent
    places = [sent.index(part) for part in parts]
    assert places == sorted(places)
    for text in ("raw text", "secret_plan", "%chat cost"):
        assert text not in sent


def test_only_cells_below_the_last_prompt_go_along_unless_more_are_asked(
    kernel: Kernel, server: Loopback
) -> None:
    """As the page has the prompts, whether or not they have run."""
    load(kernel, server)
    cells = [code("a", "first = 1"), code("p", "%%time\n%%chat\nhi"), code("b", "second = 2")]
    for flag, sends_first in (("new", False), ("1", False), ("2", True)):
        send(kernel, cells)
        kernel.run(f"%%chat --above {flag}\nhi", "asks")
        assert ("first = 1" in asked(server)) is sends_first
        assert "second = 2" in asked(server)


def test_they_count_for_one_run_of_one_cell_of_that_page(kernel: Kernel, server: Loopback) -> None:
    """Else the cells are those that have run: after it, for another cell, from another page."""
    load(kernel, server)
    kernel.run("has_run = 1", "ran")
    cells = [code("a", "of_the_page = 1")]
    send(kernel, cells)
    kernel.run("%%chat --above all\nhi", "other")
    assert "of_the_page" not in asked(server)
    send(kernel, cells)
    kernel.run("%%chat --above all\nhi", "asks")
    assert "of_the_page" in asked(server)
    kernel.run("%%chat --above all\nhi", "asks")
    assert "of_the_page" not in asked(server)
    assert "has_run" in asked(server)
    send(kernel, cells)
    page = kernel.page()
    page.run("%%chat --above all\nhi", "asks")
    page.close()
    assert "of_the_page" not in asked(server)


@pytest.mark.parametrize("cells", [None, "text", [None, 1, "x"], [{"source": 3, "outputs": "x"}]])
def test_a_page_may_send_anything(kernel: Kernel, server: Loopback, cells: object) -> None:
    """What is no cell counts as missing."""
    load(kernel, server)
    send(kernel, cells)
    assert kernel.run("%%chat --above all\nhi", "asks").status == "ok"
    assert asked(server) == "hi"


def test_what_the_page_did_not_send_is_counted(kernel: Kernel, server: Loopback) -> None:
    """It sends the cells next to the prompt, up to a size."""
    load(kernel, server)
    data = {"cell": "asks", "count": 9, "above": [code("a", "of_the_page = 1")]}
    for flag, says in (("all", True), ("1", False)):
        kernel.send("comm_msg", {"comm_id": "di_magics", "data": data})
        shown = kernel.run(f"%%chat --above {flag}\nhi", "asks").text
        assert ("8 cells further above left out" in shown) is says
