"""Tools in a real kernel: its own loop, its questions, its interrupts, and the next cell."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
from kernel import Kernel, Result
from loopback import Hold, Loopback, Reply
from nbclient import NotebookClient

pytestmark = pytest.mark.kernel

TOOLS = """
import asyncio, time, di_magics as di

lock = None

@di.safe
def sleep(seconds: float):
    print("sleeping")
    time.sleep(seconds)

@di.safe
async def locked(name: str) -> str:
    async with lock:
        print("in", name)
        await asyncio.sleep(0.01)
    return name

@di.safe
async def wait():
    print("waiting")
    try:
        await asyncio.sleep(60)
    finally:
        print("cleaned up")

def delete(file: str):
    return "deleted " + file
"""
# An object that belongs to the kernel's loop: elsewhere, waiting for it is an error.
BIND = """
lock = asyncio.Lock()
await lock.acquire()
asyncio.get_running_loop().call_later(0.5, lock.release)
"""


@pytest.fixture
def tools(shared_kernel: Kernel, server: Loopback) -> Kernel:
    """A kernel with the extension and some functions, talking to the loopback server."""
    return define_tools(shared_kernel, server)


def define_tools(kernel: Kernel, server: Loopback) -> Kernel:
    """Load the extension and define the functions."""
    setup = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    for cell in (setup, TOOLS):
        loaded = kernel.run(cell)
        assert loaded.status == "ok", loaded.text
    return kernel


def asks(*calls: tuple[str, dict[str, Any]]) -> Reply:
    """Return a reply that asks for tools."""
    named = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in calls]
    return Reply("", tool_calls=named, finish="tool_calls")


def results(server: Loopback) -> list[str]:
    """Return what the last request says of the calls."""
    messages = server.chats[-1].json["messages"]
    return [message["content"] for message in messages if message["role"] == "tool"]


def folds(result: Result) -> list[list[str]]:
    """Return the headlines of calls as the widget got them, oldest first."""
    data = [message.content["data"] for message in result.of_type("comm_msg")]
    custom = [item["content"] for item in data if item.get("method") == "custom"]
    return [
        [fold[0] for step in item["rounds"] for fold in step["calls"]]
        for item in custom
        if item["type"] == "whole" and "rounds" in item
    ]


def test_the_calls_are_shown_as_they_go(tools: Kernel, server: Loopback) -> None:
    """Waiting, running and done reach the widget; the final output has them in closed folds."""
    hold = Hold()
    server.reply(asks(("sleep", {"seconds": 0.1})), Reply(chunks=["Rested", hold, "."]))
    result = tools.start("%%chat --tools sleep\ngo", "cell-1")
    tools.wait(result, hold.reached.is_set)
    hold.release()
    tools.wait(result)
    lines = [line for (line,) in folds(result)]
    assert "⚙ sleep(seconds=0.1) · running" in lines
    assert lines[-1].startswith("⚙ sleep(seconds=0.1) → null · 0.1")
    (html,) = (o["data"]["text/html"] for o in result.outputs if "text/html" in o.get("data", {}))
    assert "<details" in html
    assert "<details open" not in html
    assert "sleep(seconds=0.1) → null" in html


def test_async_tools_run_on_the_kernels_own_loop(tools: Kernel, server: Loopback) -> None:
    """A lock that belongs to that loop, and is free only later, can be waited for."""
    server.reply(asks(("locked", {"name": "A"}), ("locked", {"name": "B"})), Reply("Both."))
    assert tools.run(BIND).status == "ok"
    result = tools.run("%%chat --tools locked\ngo", "cell-1")
    assert result.status == "ok", result.text
    assert results(server) == ["A", "B"]
    assert "in A\nin B" in result.text


def test_after_an_async_tool_everything_goes_on(tools: Kernel, server: Loopback) -> None:
    """Chats, awaits, tasks and Stop work as before."""
    server.reply(asks(("locked", {"name": "A"})), Reply("One."), Reply("Two."))
    tools.run("lock = asyncio.Lock()")
    tools.run("%%chat --tools locked\ngo", "cell-1")
    assert tools.run("%%chat\nnext", "cell-2").status == "ok"
    after = tools.run(
        "task = asyncio.create_task(asyncio.sleep(0, 'ran'))\n"
        "print(await task, asyncio.current_task() is not None)"
    )
    assert after.text == "ran True\n"
    server.reply(Reply(chunks=["half", Hold()]))
    result = tools.start("%%chat\nlong", "cell-3")
    tools.wait(result, lambda: len(server.chats) == 4)
    tools.interrupt()
    tools.wait(result)
    assert result.error is not None
    assert result.error["ename"] == "Interrupted"


@pytest.mark.parametrize(("tool", "begun"), [("sleep", "sleeping"), ("wait", "waiting")])
def test_an_interrupt_ends_a_call_and_leaves_a_valid_history(
    tools: Kernel, server: Loopback, tool: str, begun: str
) -> None:
    """The cell ends with one line; every call has its answer in what is sent next."""
    arguments = {"seconds": 60} if tool == "sleep" else {}
    server.reply(asks((tool, arguments), ("sleep", {"seconds": 1})), Reply("ok"))
    result = tools.start(f"%%chat --tools sleep,{tool}\ngo", "cell-1")
    tools.wait(result, lambda: begun in result.text)
    tools.interrupt()
    tools.wait(result)
    assert result.error is not None
    assert result.error["ename"] == "Interrupted"
    assert len(result.error["traceback"]) == 1
    assert "stopped by you" in result.text
    assert tools.run("%%chat\nand now?", "cell-2").status == "ok"
    assert results(server) == [
        "Stopped by the user; it may have run in part.",
        "Stopped by the user before it was run.",
    ]
    assert "cleaned up" in result.text or tool == "sleep"


def test_an_interrupt_that_breaks_into_one_of_several_leaves_the_kernel_alive(
    tools: Kernel, server: Loopback
) -> None:
    """The second ■ ends an async function that blocks; the names are all still there."""
    tools.run("@di.safe\nasync def block():\n    print('blocking')\n    time.sleep(60)")
    server.reply(asks(("locked", {"name": "A"}), ("block", {})))
    tools.run("lock = asyncio.Lock(); kept = 'kept'")
    result = tools.start("%%chat --tools locked,block\ngo", "cell-1")
    tools.wait(result, lambda: "blocking" in result.text)
    pid = tools.pid
    for _ in range(10):  # the first one cancels, and is not heeded
        tools.interrupt()
        with suppress(TimeoutError):
            tools.wait(result, timeout=1)
            break
    assert "stopped by you" in result.text
    assert tools.run("print(kept)").text == "kept\n"
    assert tools.pid == pid


def test_a_kernel_that_dies_in_a_call_keeps_what_had_come(kernel: Kernel, server: Loopback) -> None:
    """What the model said, its calls and the results before are on disk while a function runs."""
    tools = define_tools(kernel, server)
    text = asks(("locked", {"name": "A"}), ("sleep", {"seconds": 60}))
    server.reply(text, Reply("ok"))
    tools.run("lock = asyncio.Lock()")
    result = tools.start("%%chat --tools locked,sleep\ngo", "cell-1")
    tools.wait(result, lambda: "sleeping" in result.text)
    tools.restart()
    tools.run(f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics")
    assert tools.run("%%chat\nnext", "cell-2").status == "ok"
    assert results(server) == ["A", "The result of this call is not known."]


def test_an_interrupt_between_calls_and_reply_keeps_the_results(
    tools: Kernel, server: Loopback
) -> None:
    """What the tools gave is in the history, though the model never answered."""
    hold = Hold()
    server.reply(asks(("sleep", {"seconds": 0})), Reply(chunks=[hold, "never"]), Reply("ok"))
    result = tools.start("%%chat --tools sleep\ngo", "cell-1")
    tools.wait(result, hold.reached.is_set)
    tools.interrupt()
    tools.wait(result)
    assert result.status == "error"
    tools.run("%%chat\nnext", "cell-2")
    assert results(server) == ["null"]


@pytest.mark.parametrize(("said", "came"), [("y", "deleted a.txt"), ("", "did not allow")])
def test_the_user_is_asked_in_the_notebook(
    tools: Kernel, server: Loopback, said: str, came: str
) -> None:
    """The question shows the call; only a yes runs it."""
    server.reply(asks(("delete", {"file": "a.txt"})), Reply("Well."))
    result = tools.run("%%chat --tools delete\ngo", "cell-1", inputs=[said])
    assert result.status == "ok", result.text
    assert result.prompts == ['May the model run delete(file="a.txt")? [y/N] ']
    assert came in results(server)[0]


def test_an_interrupt_ends_the_question(tools: Kernel, server: Loopback) -> None:
    """Nothing runs, and the call has an answer."""
    server.reply(asks(("delete", {"file": "a.txt"})), Reply("ok"))
    result = tools.start("%%chat --tools delete\ngo", "cell-1", inputs=())
    tools.wait(result, lambda: result.prompts)
    tools.interrupt()
    tools.wait(result)
    assert result.error is not None
    assert result.error["ename"] == "Interrupted"
    tools.run("%%chat\nnext", "cell-2")
    assert results(server) == ["Stopped by the user before it was run."]


def test_without_anybody_to_ask_nothing_is_sent(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nbclient and papermill cannot answer: the line says how a function is marked as safe."""
    monkeypatch.setenv("DI_MAGICS_BASE_URL", server.url)
    monkeypatch.setenv("DI_MAGICS_MODEL", "m")
    cells = ["%load_ext di_magics", TOOLS, "%%chat --tools delete\ngo", "%%chat --tools sleep\ngo"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, allow_errors=True, kernel_name="python3", resources=folder).execute()
    (refused,) = notebook.cells[2].outputs
    assert refused["ename"] == "ToolError"
    assert "@di.safe" in refused["traceback"][0]
    assert len(server.chats) == 1


def test_code_goes_into_the_next_cell(tools: Kernel, server: Loopback) -> None:
    """`-f code` and `%chat code` hand it to the front end, which adds the cell."""
    server.reply(Reply("Here:\n```python\nprint(1)\n```\nor\n```bash\nls\n```\n"))
    first = tools.run("%%chat -f code\ngo", "cell-1")
    second = tools.run("%chat code bash", "cell-2")
    assert [next_cells(result) for result in (first, second)] == [["print(1)"], ["ls"]]


def next_cells(result: Result) -> list[str]:
    """Return what the front end is asked to put into a next cell."""
    payloads = [item for item in result.payload if item["source"] == "set_next_input"]
    return [payload["text"] for payload in payloads]
