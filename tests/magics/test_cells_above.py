"""`--above`: the cells that a kernel has run go along with a prompt."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from kernel import Kernel
from loopback import Loopback, Reply
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = pytest.mark.kernel


def load(kernel: Kernel, server: Loopback) -> None:
    """Load the extension."""
    env = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m"
    assert kernel.run(f"{env}\n%env DB_PASSWORD=s3cret-word", "e").status == "ok"
    kernel.run("%load_ext di_magics", "l")


def asked(server: Loopback) -> str:
    """Return the last prompt that was sent."""
    return str(server.chats[-1].json["messages"][-1]["content"])


def test_the_cells_since_the_last_turn_go_along(kernel: Kernel, server: Loopback) -> None:
    """In order, with output, value and error; the receipt says how many. Only where it is asked."""
    server.reply(*(Reply("reply") for _ in range(4)))
    load(kernel, server)
    kernel.run("first = 1", "a")
    kernel.run("%%chat\none", "b")
    assert asked(server) == "one"
    kernel.run("print('shown', 6 * 7)\n'the ' + 'value'", "c")
    kernel.run("first / 0", "d")
    cell = kernel.run("%%chat --above\ntwo", "x")
    assert "with cells above: 2 cells that have run, about" in cell.text
    sent = asked(server)
    places = [sent.index(text) for text in ("shown 42", "the value", "ZeroDivisionError:", "two")]
    assert places == sorted(places)
    assert "first = 1" not in sent
    kernel.run("fresh = 1", "f")
    kernel.run("%%chat --above\ntwo", "x")  # again: a fresh look
    assert "fresh = 1" in asked(server)
    assert "shown 42" in asked(server)


def test_the_last_cells_or_all_go_along(kernel: Kernel, server: Loopback) -> None:
    """Of a cell that ran again the last run; turns and commands of ours are not among them."""
    server.reply(*(Reply("reply") for _ in range(3)))
    load(kernel, server)
    for code, cell in (("old = 1", "a"), ("b = 2", "b"), ("new = 1", "a"), ("%chat cost", "k")):
        kernel.run(code, cell)
    kernel.run("%%chat\none", "c")
    kernel.run("%%chat --above 1\ntwo", "d")
    assert "new = 1" in asked(server)
    assert "b = 2" not in asked(server)
    kernel.run("%%chat --above all\nthree", "d")
    sent = asked(server)
    assert sent.index("b = 2") < sent.index("new = 1")
    assert "old = 1" not in sent
    assert "%chat cost" not in sent
    assert "with cells above" not in kernel.run("%%chat --dry-run\nfour", "z").text
    assert "new = 1" in kernel.run("%%chat --above all --dry-run\nfour", "z").text


def test_a_setting_sends_them_with_every_prompt(kernel: Kernel, server: Loopback) -> None:
    """A cell's flag wins, 0 sends none; without a cell that has run there is no attachment."""
    server.reply(*(Reply("reply") for _ in range(3)))
    load(kernel, server)
    assert "above=new" in kernel.run("%chat set above=new", "s").text
    kernel.run("a = 1", "a")
    kernel.run("%%chat\none", "b")
    assert "a = 1" in asked(server)
    kernel.run("%%chat\ntwo", "c")
    assert asked(server) == "two"
    kernel.run("b = 1", "d")
    kernel.run("%%chat --above 0\nthree", "e")
    assert asked(server) == "three"


def test_private_cells_and_secrets_stay_here(kernel: Kernel, server: Loopback) -> None:
    """By a tag or by a comment at their head; keys and passwords are hidden also in outputs."""
    server.reply(Reply("reply"))
    load(kernel, server)
    kernel.run("hidden_one = 1", "a", tags=["private"])
    kernel.run("\n#| private\nhidden_two = 2", "b")
    kernel.run("%%time\n# Notes\n\n#| echo: false\n# | Private\nhidden_three = 3", "h")
    kernel.run("import os\nprint(os.environ['DB_PASSWORD'])\nseen = 1", "c")
    kernel.run("password = 'hunter2-9Xq'", "p")
    kernel.run("print(password)", "q")
    kernel.run("%%chat --above all\nhi", "d")
    sent = asked(server)
    assert "seen = 1" in sent
    for text in ("hidden", "s3cret-word", "hunter2-9Xq"):
        assert text not in sent


def test_a_password_that_another_cell_names_is_hidden(kernel: Kernel, server: Loopback) -> None:
    """In a private cell, in one that is not sent, or read from a prompt."""
    server.reply(Reply("reply"))
    load(kernel, server)
    kernel.run("#| private\npassword = 'hunter2-9Xq'", "p")
    kernel.run("settings = {'db': {'password': '-'.join(['b4ttery', 'staple'])}}", "s")
    kernel.run("print(password, settings, 'seen')", "q")
    kernel.run("%%chat --above 1\nhi", "d")
    sent = asked(server)
    assert "seen" in sent
    assert "hunter2" not in sent
    assert "b4ttery" not in sent


def test_a_policy_can_forbid_it(kernel: Kernel, server: Loopback, tmp_path: Path) -> None:
    """Nothing is sent then."""
    (tmp_path / "di_magics.toml").write_text("above = false")
    load(kernel, server)
    kernel.run("x = 1", "x")
    assert "may not be sent here" in kernel.run("%%chat --above\nhi", "a").text
    assert server.chats == []


def test_cells_of_another_notebook_stay_there(
    kernel: Kernel, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page's cells are known by the saved notebook, and so are its tags."""
    server.reply(Reply("reply"))
    cells = [new_code_cell("", id=name) for name in ("mine", "tagged", "asks")]
    cells[1].metadata["tags"] = ["private"]
    nbformat.write(new_notebook(cells=cells), tmp_path / "n.ipynb")
    load(kernel, server)
    kernel.run(f"__vsc_ipynb_file__ = {str(tmp_path / 'n.ipynb')!r}", "k")
    for code, cell in (("mine = 1", "mine"), ("tagged = 1", "tagged"), ("other = 1", "other")):
        kernel.run(code, cell)
    page = kernel.page()
    page.run("%%chat --above all\nhi", "asks")
    page.close()
    assert "mine = 1" in asked(server)
    assert "tagged" not in asked(server)
    assert "other" not in asked(server)
