"""The conversation belongs to the notebook: restarts, kills, renames, copies, in real kernels."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kernel import Kernel, Result
from loopback import Hold, Loopback, Reply

pytestmark = pytest.mark.kernel

Start = Callable[..., Kernel]


@pytest.fixture
def start(tmp_path: Path, server: Loopback) -> Iterator[Start]:
    """Start kernels as JupyterLab does for a notebook of this name, with the extension loaded."""
    running: list[Kernel] = []

    def new(name: str = "chat.ipynb", **env: str) -> Kernel:
        path = str(tmp_path / name)
        kernel = Kernel(tmp_path, env={"JPY_SESSION_NAME": path, **env})
        running.append(kernel)
        assert kernel.run(setup(server)).status == "ok"
        return kernel

    yield new
    for kernel in running:
        kernel.close()


def setup(server: Loopback) -> str:
    """Return the cell that loads the extension and points it at the server."""
    return f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"


def save(path: Path, cells: dict[str, Result]) -> None:
    """Save a notebook as JupyterLab would, with these cells' outputs."""
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {"cell_type": "code", "id": cell, "source": "%%chat", "outputs": result.outputs}
            for cell, result in cells.items()
        ],
    }
    path.write_text(json.dumps(notebook))


def prompts(server: Loopback) -> list[list[str]]:
    """Return what each request sent, message by message."""
    return [[m["content"] for m in request.json["messages"]] for request in server.chats]


def ask(kernel: Kernel, prompt: str, cell: str) -> Result:
    """Run a `%%chat` cell."""
    result = kernel.run(f"%%chat\n{prompt}", cell)
    assert result.status == "ok", result.text
    return result


def test_a_restart_continues_and_says_so(start: Start, server: Loopback, tmp_path: Path) -> None:
    """The next kernel sends what stood before, in one visible line with the way to start afresh."""
    server.reply(*(Reply(text) for text in ("a1", "b1")))
    save(tmp_path / "chat.ipynb", {"c1": ask(start(), "A", "c1")})
    shown = ask(start(), "B", "c2")
    assert "continues 1 turn from before; %chat new" in shown.text
    assert prompts(server)[1] == ["A", "a1", "B"]


def test_tab_before_the_first_cell_does_not_decide(
    start: Start, server: Loopback, tmp_path: Path
) -> None:
    """No cell runs then, so it is not clear which notebook this is; the next cell continues."""
    server.reply(*(Reply(text) for text in ("a1", "b1")))
    save(tmp_path / "chat.ipynb", {"c1": ask(start(), "A", "c1")})
    kernel = start()
    done = kernel.complete("%chat use ma")
    assert "main" in done
    ask(kernel, "B", "c2")
    assert prompts(server)[1] == ["A", "a1", "B"]


def test_restart_and_run_all_keeps_the_shape(
    start: Start, server: Loopback, tmp_path: Path
) -> None:
    """However often, each run sends what stands above, and each cell gets a variant."""
    texts = [f"{cell}{run}" for run in (1, 2, 3) for cell in "abc"]
    server.reply(*(Reply(text) for text in texts))
    for run in (1, 2, 3):
        kernel = start()
        results = {f"c-{cell}": ask(kernel, cell.upper(), f"c-{cell}") for cell in "abc"}
        save(tmp_path / "chat.ipynb", results)
        assert (f"variant {run} of {run}" in results["c-c"].text) == (run > 1)
    for run in (1, 2, 3):
        first, second, third = prompts(server)[3 * run - 3 : 3 * run]
        assert first == ["A"]
        assert second == ["A", f"a{run}", "B"]
        assert third == ["A", f"a{run}", "B", f"b{run}", "C"]


def test_a_killed_kernel_leaves_what_had_come(
    start: Start, server: Loopback, tmp_path: Path
) -> None:
    """`kill -9` in mid stream: the text of at most a second before is there, and it is said."""
    later = Hold()
    server.reply(Reply(chunks=["The first half", later]), Reply("next"))
    kernel = start()
    save(tmp_path / "chat.ipynb", {})
    result = kernel.start("%%chat\nA", "c1")
    kernel.wait(result, lambda: "The first half" in str(result.messages))
    store = next(Path(os.environ["DI_MAGICS_HOME"]).glob("*.sqlite3"))
    wait_until_kept(store, b"The first half")
    os.kill(kernel.pid, signal.SIGKILL)
    other = start()
    shown = ask(other, "B", "c1")
    assert "the last was cut off (%chat show 1)" in shown.text
    assert "variant 2 of 2" in shown.text
    other.run("%chat variant 1")
    assert "The first half" in other.run("%chat show").text


def wait_until_kept(store: Path, text: bytes, seconds: float = 10) -> None:
    """Return when these bytes are in the store or its log."""
    deadline = time.monotonic() + seconds
    while not any(text in path.read_bytes() for path in store.parent.glob(store.name + "*")):
        assert time.monotonic() < deadline, "the text was not kept"


def test_a_renamed_notebook_keeps_its_conversation(
    start: Start, server: Loopback, tmp_path: Path
) -> None:
    """The id in the outputs decides, wherever the file is now."""
    server.reply(Reply("a1"), Reply("b1"))
    save(tmp_path / "chat.ipynb", {"c1": ask(start(), "A", "c1")})
    (tmp_path / "chat.ipynb").rename(tmp_path / "renamed.ipynb")
    ask(start("renamed.ipynb"), "B", "c2")
    assert prompts(server)[1] == ["A", "a1", "B"]


def test_a_copy_goes_its_own_way(start: Start, server: Loopback, tmp_path: Path) -> None:
    """It begins with the same turns; what is asked in one is not in the other."""
    server.reply(*(Reply(text) for text in ("a1", "b1", "c1")))
    save(tmp_path / "chat.ipynb", {"c1": ask(start(), "A", "c1")})
    shutil.copy(tmp_path / "chat.ipynb", tmp_path / "copy.ipynb")
    shown = ask(start("copy.ipynb"), "B", "c2")
    assert "a copy of chat.ipynb" in shown.text
    ask(start(), "C", "c3")
    assert prompts(server)[1:] == [["A", "a1", "B"], ["A", "a1", "C"]]


def test_a_renamed_original_and_its_copy_share_what_was_copied(
    start: Start, server: Loopback, tmp_path: Path
) -> None:
    """Copied while open, then renamed, asked in both, in either order; then both restart."""
    for copy_first in (False, True):
        name, before = f"chat-{copy_first}.ipynb", len(server.chats)
        server.reply(*(Reply(text) for text in ("a1", "b1", "c1", "d1", "e1")))
        save(tmp_path / name, {"c1": Result()})
        original = start(name)
        save(tmp_path / name, {"c1": ask(original, "A", "c1")})
        shutil.copy(tmp_path / name, tmp_path / f"copy-of-{name}")
        (tmp_path / name).rename(tmp_path / f"renamed-{name}")
        copy = start(f"copy-of-{name}")
        order = [(original, "B"), (copy, "C")][:: -1 if copy_first else 1]
        shown = {prompt: ask(kernel, prompt, f"c-{prompt}").text for kernel, prompt in order}
        assert f"a copy of renamed-{name}" in shown["C"]
        assert "copy" not in shown["B"]
        again = ask(start(f"renamed-{name}"), "D", "c-D").text
        assert "continues 2 turns" in again
        copy.restart()
        copy.run(setup(server), "load")
        assert "continues 2 turns" in ask(copy, "E", "c-E").text
        first, second = ("b1", "c1") if not copy_first else ("c1", "b1")
        sent = prompts(server)[before:]
        assert sorted(sent[1:3]) == [["A", "a1", "B"], ["A", "a1", "C"]]
        assert sent[3:] == [["A", "a1", "B", first, "D"], ["A", "a1", "C", second, "E"]]


# Tests session/notebook.
def test_two_notebooks_on_one_kernel(start: Start, server: Loopback, tmp_path: Path) -> None:
    """Each has its own conversation and costs, though JupyterLab names only the first."""
    server.reply(*(Reply(text) for text in ("a1", "b1", "c1", "d1")))
    save(tmp_path / "chat.ipynb", {"a": Result()})
    save(tmp_path / "other.ipynb", {"b": Result()})
    kernel = start()
    with kernel.page() as page:
        ask(kernel, "A", "a")
        ask(page, "B", "b")
        ask(kernel, "C", "unsaved")
        ask(page, "D", "also unsaved")
        replies = page.run("%chat cost", "b").text.splitlines()[-1].split()
    assert replies[2] == "2"
    assert prompts(server) == [["A"], ["B"], ["A", "a1", "C"], ["B", "b1", "D"]]


def test_a_new_notebook_of_an_old_name_starts_empty(
    start: Start, server: Loopback, tmp_path: Path
) -> None:
    """Deleted and made anew, Untitled.ipynb knows nothing of the one before."""
    save(tmp_path / "Untitled.ipynb", {"old-cell": ask(start("Untitled.ipynb"), "A", "old-cell")})
    (tmp_path / "Untitled.ipynb").unlink()
    save(tmp_path / "Untitled.ipynb", {})
    ask(start("Untitled.ipynb"), "B", "new-cell")
    assert prompts(server)[1] == ["B"]


def test_cleared_outputs_lose_nothing(start: Start, server: Loopback, tmp_path: Path) -> None:
    """A known cell at the known place is enough."""
    server.reply(Reply("a1"), Reply("b1"))
    ask(start(), "A", "c1")
    save(tmp_path / "chat.ipynb", {"c1": Result()})
    ask(start(), "B", "c2")
    assert prompts(server)[1] == ["A", "a1", "B"]


def test_a_restart_before_anything_was_saved(
    start: Start, server: Loopback, tmp_path: Path
) -> None:
    """Cells that were never saved, and a budget: the restarted kernel knows them by its own id."""
    server.reply(Reply("a1"), Reply("b1"))
    priced = {"pricing": {"input_tokens": 1, "output_tokens": 2}, "tags": ["chat"]}
    server.models = [{"id": "m", "metadata": priced}]
    save(tmp_path / "chat.ipynb", {"load": Result()})
    kernel = start()
    kernel.run("%chat budget 5", "load")
    ask(kernel, "A", "new-1")
    kernel.restart()
    kernel.run(setup(server), "load")
    assert "of $5.00 left" in kernel.run("%chat budget", "new-3").text
    ask(kernel, "B", "new-2")
    assert prompts(server)[1] == ["A", "a1", "B"]


def test_a_loaded_conversation_is_kept(start: Start, server: Loopback, tmp_path: Path) -> None:
    """Its turns are there after a restart, though another notebook in the same store has them."""
    server.reply(Reply("a1"), Reply("b1"), Reply("c1"))
    other = start("other.ipynb")
    ask(other, "A", "o1")
    other.run("%chat save saved.json", "o2")
    kernel = start()
    assert "1 turn" in kernel.run("%chat load saved.json\n%chat", "c1").text
    ask(kernel, "B", "c2")
    kernel.restart()
    kernel.run(setup(server), "c0")
    ask(kernel, "C", "c3")
    assert prompts(server)[2] == ["A", "a1", "B", "b1", "C"]


def test_a_notebook_that_cannot_be_read_starts_afresh(
    start: Start, server: Loopback, tmp_path: Path
) -> None:
    """A broken file stops nobody."""
    (tmp_path / "chat.ipynb").write_text('{"cells": [1, {"outputs": 3}, "metadata"')
    ask(start(), "A", "c1")
    assert prompts(server) == [["A"]]


def test_without_cell_ids_nothing_is_restored(
    start: Start, server: Loopback, tmp_path: Path
) -> None:
    """A run from the top by nbclient is the same each time."""
    save(tmp_path / "chat.ipynb", {"c1": ask(start(), "A", "c1")})
    kernel = start()
    assert kernel.run("%%chat\nB").status == "ok"
    assert prompts(server)[1] == ["B"]


def test_two_kernels_on_one_notebook_lose_no_turn(
    start: Start, server: Loopback, tmp_path: Path
) -> None:
    """Both write; a third kernel has the turns of both."""
    save(tmp_path / "chat.ipynb", {"c0": ask(start(), "A", "c0")})
    one, two = start(), start()
    for number in range(3):
        ask(one, f"one {number}", f"one-{number}")
        ask(two, f"two {number}", f"two-{number}")
    third = start()
    third.run("%chat history", "c0")
    shown = third.run(
        "chat = get_ipython().magics_manager.registry['ChatMagics'].session.conversation\n"
        "print(sorted(turn.prompt for turn in chat.turns.values()))"
    ).text
    for number in range(3):
        assert f"one {number}" in shown
        assert f"two {number}" in shown


def test_home_off_writes_nothing(start: Start, server: Loopback, tmp_path: Path) -> None:
    """With DI_MAGICS_HOME=off there is no file, and a restart starts afresh."""
    save(tmp_path / "chat.ipynb", {"c1": ask(start(DI_MAGICS_HOME="off"), "A", "c1")})
    ask(start(DI_MAGICS_HOME="off"), "B", "c2")
    assert prompts(server)[1] == ["B"]
    assert list(tmp_path.rglob("*.sqlite3")) == []


def test_forget_really_deletes(start: Start, server: Loopback, tmp_path: Path) -> None:
    """After `%chat forget` no byte of the conversation is in the store, and it starts empty."""
    server.reply(Reply("a-secret-reply"))
    kernel = start()
    ask(kernel, "a-secret-prompt", "c1")
    assert "1 turn deleted" in kernel.run("%chat forget --yes", "c2").text
    ask(kernel, "B", "c3")
    assert prompts(server)[1] == ["B"]
    for path in Path(os.environ["DI_MAGICS_HOME"]).iterdir():
        if path.is_file():
            assert b"a-secret" not in path.read_bytes()


def test_a_broken_store_is_one_line(start: Start, server: Loopback, tmp_path: Path) -> None:
    """A file that is no database ends the cell with the ways out, and sends nothing."""
    home = Path(os.environ["DI_MAGICS_HOME"])
    home.mkdir(parents=True)
    (home / "conversations.sqlite3").write_bytes(b"no database " * 100)
    result = start().run("%%chat\nA", "c1")
    assert result.error
    assert result.error["ename"] == "StoreError"
    assert len(result.error["traceback"]) == 1
    assert server.requests == []
