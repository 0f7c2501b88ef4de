"""Tools, forms and reasoning as a user sees them: JupyterLab in a real Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from loopback import CountingServer, Hold, Loopback, Reply

if TYPE_CHECKING:
    from lab import Lab, Notebook

pytestmark = pytest.mark.browser

Open = Callable[..., "Notebook"]

TOOLS = """
import asyncio, time, di_magics as di
from pathlib import Path

@di.safe
def look(city: str) -> str:
    "Look at a thermometer, when there is one."
    while not Path("thermometer").exists():
        time.sleep(0.01)
    return f"12 degrees in {city}"

@di.safe
async def wait() -> None:
    await asyncio.sleep(60)

@di.safe
def echo(text: str) -> str:
    return text

def delete(file: str) -> str:
    return "deleted " + file
"""


def asks(*calls: tuple[str, dict[str, Any]], text: str = "", **more: Any) -> Reply:
    """Return a reply that asks for tools."""
    named = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in calls]
    return Reply(text, tool_calls=named, finish="tool_calls", **more)


def ready(notebook: Open, server: Loopback, *cells: str) -> Notebook:
    """Open a notebook with the extension and some functions; its cells begin with number 2."""
    setup = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    opened = notebook([setup, TOOLS, *cells])
    opened.run(0)
    opened.run(1)
    return opened


@pytest.fixture
def thermometer(lab: Lab) -> Iterator[Path]:
    """The file that `look` waits for; another test has none."""
    path = lab.root / "thermometer"
    yield path
    path.unlink(missing_ok=True)


def test_calls_are_shown_as_they_happen(
    notebook: Open, thermometer: Path, server: Loopback
) -> None:
    """Each is a closed fold that says what runs; one that was opened stays open."""
    hold = Hold()
    server.reply(
        asks(("look", {"city": "Oslo"}), text="I will **look**.", reasoning="Hm."),
        Reply(chunks=["It has 12 ", hold, "degrees."]),
    )
    page = ready(notebook, server, "%%chat --tools look,echo\ngo")
    page.start(2)
    area = page.shown(2)
    fold = area.locator("details", has_text="look(city=")
    fold.get_by_text('look(city="Oslo") · running').wait_for()
    area.locator("strong", has_text="look").wait_for()
    assert area.locator("details[open]").count() == 0
    fold.locator("summary").click()
    thermometer.touch()
    fold.get_by_text("12 degrees in Oslo").first.wait_for()
    assert area.locator("details[open]").count() == 1
    area.get_by_text("It has 12").wait_for()
    hold.release()
    (output,) = page.wait(2)
    area.get_by_text("2 requests").wait_for()
    html = output["data"]["text/html"]
    assert html.count("<details") == 3  # the reasoning, the call and the receipt
    assert "<details open" not in html
    assert "12 degrees in Oslo" in html
    assert "It has 12 degrees." in html
    assert page.errors == []


@pytest.mark.parametrize("tool", ["look", "wait"])
def test_stop_ends_a_call(notebook: Open, server: Loopback, tool: str) -> None:
    """The cell ends well, at once; the next one runs, with a Stop that works as well."""
    arguments = {"city": "Oslo"} if tool == "look" else {}
    server.reply(asks((tool, arguments)), Reply(chunks=["half a reply", Hold()]), Reply("ok"))
    page = ready(notebook, server, f"%%chat --tools {tool}\ngo", "%%chat\nlong", "%%chat\nnext")
    page.start(2)
    page.shown(2).get_by_text("running").wait_for()
    page.shown(2).get_by_role("button", name="Stop").click()
    (output,) = page.wait(2, timeout=20)
    assert "Stopped by the user" in output["data"]["text/plain"]
    assert "stopped by you" in output["data"]["text/plain"]
    page.start(3)
    page.shown(3).get_by_text("half a reply").wait_for()
    page.shown(3).get_by_role("button", name="Stop").click()
    (output,) = page.wait(3, timeout=20)
    assert "stopped by you" in output["data"]["text/plain"]
    (output,) = page.run(4)
    assert output["data"]["text/plain"].startswith("ok")
    roles = [message["role"] for message in server.chats[-1].json["messages"]]
    assert roles == ["user", "assistant", "tool", "user", "assistant", "user"]


@pytest.mark.parametrize("answer", ["y", "n"])
def test_the_question_stands_below_the_call(notebook: Open, server: Loopback, answer: str) -> None:
    """A reader reads the call, answers, and the model goes on."""
    server.reply(asks(("delete", {"file": "a.txt"})), Reply("Well."))
    page = ready(notebook, server, "%%chat --tools delete\ngo")
    page.start(2)
    field = page.cell(2).locator("input.jp-Stdin-input")
    field.wait_for()
    page.shown(2).get_by_text("asking you").wait_for()
    field.fill(answer)
    field.press("Enter")
    outputs = page.wait(2)
    came = "deleted a.txt" if answer == "y" else "did not allow"
    assert came in outputs[0]["data"]["text/plain"]


def test_stop_answers_the_question(notebook: Open, server: Loopback) -> None:
    """Stop while the user is asked ends the cell, and nothing runs."""
    server.reply(asks(("delete", {"file": "a.txt"})))
    page = ready(notebook, server, "%%chat --tools delete\ngo", "1 + 1")
    page.start(2)
    page.cell(2).locator("input.jp-Stdin-input").wait_for()
    page.shown(2).get_by_role("button", name="Stop").click()
    outputs = page.wait(2, timeout=20)
    assert "Stopped by the user before it was run." in outputs[0]["data"]["text/plain"]
    assert page.run(3)[0]["data"]["text/plain"] == "2"


def test_nothing_of_a_call_runs_in_the_page(notebook: Open, server: Loopback) -> None:
    """Name, arguments, result, reasoning and text are shown as text, live and in the end."""
    hold = Hold()
    with CountingServer() as counting:
        evil = (
            f'<img src="{counting.origin}/x" onerror="window.hit=1"><script>window.hit=1</script>'
        )
        server.reply(
            asks(("echo", {"text": evil}), (evil, {}), text=evil, reasoning=evil),
            Reply(chunks=[f"<think>{evil}</think>", "done", hold]),
        )
        page = ready(notebook, server, "%%chat --tools echo\ngo")
        page.start(2)
        page.shown(2).get_by_text("done").wait_for()
        for fold in page.shown(2).locator("summary").all():
            fold.click()
        assert page.js("() => window.hit") is None
        hold.release()
        page.wait(2)
        page.shown(2).get_by_text("2 requests").wait_for()
        for fold in page.shown(2).locator("summary").all():
            fold.click()
        assert page.shown(2).locator("pre", has_text="onerror").count() >= 3
        assert page.shown(2).locator("img, script").count() == 0
        assert page.js("() => window.hit") is None
        assert counting.requests == []


def test_reasoning_in_the_text_streams_into_a_closed_fold(notebook: Open, server: Loopback) -> None:
    """`<think>` never shows; what is between the marks does, when it is unfolded."""
    first, second = Hold(), Hold()
    server.reply(Reply(chunks=["<thi", "nk>I pon", first, "der</th", "ink>\n\nThe reply", second]))
    page = ready(notebook, server, "%%chat\ngo")
    page.start(2)
    fold = page.shown(2).locator("details", has_text="Reasoning")
    fold.wait_for()
    assert fold.get_attribute("open") is None
    first.release()
    page.shown(2).get_by_text("The reply").wait_for()
    assert fold.locator("pre").text_content() == "I ponder"
    assert page.shown(2).get_by_text("think>").count() == 0
    second.release()
    (output,) = page.wait(2)
    assert "I ponder" in output["data"]["text/html"]
    assert "ponder" not in output["data"]["text/plain"]


def test_json_streams_as_it_is_and_ends_in_colour(notebook: Open, server: Loopback) -> None:
    """Mid-stream it is plain text, in the end a highlighted block with a line for each member."""
    hold = Hold()
    server.reply(Reply(chunks=['{"*a*": ', hold, "[1, 2]}"]))
    page = ready(notebook, server, "%%chat -f json\ngo")
    page.start(2)
    page.shown(2).get_by_text('{"*a*":').wait_for()
    assert page.shown(2).locator("em").count() == 0
    hold.release()
    page.wait(2)
    page.shown(2).locator(".highlight").first.wait_for()
    assert page.shown(2).locator("em").count() == 0


def test_code_goes_to_a_new_cell_in_the_notebook(notebook: Open, server: Loopback) -> None:
    """A new cell below holds the reply's code, and nothing has run."""
    server.reply(Reply("Here:\n\n```python\nprint('hi')\n```\n"))
    page = ready(notebook, server, "%%chat -f code\ngo", "last = 1")
    page.run(2)
    page.cell(3).get_by_text("print").wait_for()
    assert page.sources()[3:] == ["print('hi')", "last = 1"]
    assert page.outputs(3) == []


def test_a_long_call_is_seen_whole_before_it_runs(notebook: Open, server: Loopback) -> None:
    """All of the question is within the page, and its fold above has all of the arguments."""
    code = "\n".join(f"line_{n} = '{'ab ' * 30}'" for n in range(25))
    server.reply(asks(("delete", {"file": code + " " * 3000 + "the end"})), Reply("Well."))
    page = ready(notebook, server, "%%chat --tools delete\ngo")
    page.start(2)
    field = page.cell(2).locator("input.jp-Stdin-input")
    field.wait_for()
    prompt = page.cell(2).locator(".jp-Stdin-prompt")
    assert "⟨3,000 spaces⟩the end" in prompt.inner_text()
    sizes = prompt.evaluate("e => [e.scrollWidth, e.clientWidth, e.scrollHeight, e.clientHeight]")
    assert sizes[0] <= sizes[1]
    assert sizes[2] <= sizes[3]
    within = page.js("() => panel.content.node.getBoundingClientRect().right")
    assert prompt.evaluate("e => e.getBoundingClientRect().right") <= within
    shown = page.shown(2).locator("pre").first.text_content()
    assert shown is not None
    assert shown.endswith('⟨3,000 spaces⟩the end"')
    field.fill("n")
    field.press("Enter")
    page.wait(2)
