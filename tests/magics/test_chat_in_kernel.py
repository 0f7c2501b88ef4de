"""What needs a real kernel: cell ids, interrupts, messages to the front end, the saved output."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from kernel import Kernel, Result
from loopback import Drop, Fault, Hold, Loopback, Pace, Reply

pytestmark = pytest.mark.kernel

SUMMARY = "print(_reply.status, _reply.text)"


@pytest.fixture
def chat(shared_kernel: Kernel, server: Loopback) -> Kernel:
    """A kernel with the extension loaded, talking to the loopback server."""
    return load(shared_kernel, server)


@pytest.fixture
def own_chat(kernel: Kernel, server: Loopback) -> Kernel:
    """The same, for a test that changes modules."""
    return load(kernel, server)


def load(kernel: Kernel, server: Loopback) -> Kernel:
    """Load the extension."""
    loaded = kernel.run(
        f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    )
    assert loaded.status == "ok", loaded.text
    return kernel


def prompts(server: Loopback) -> list[list[str]]:
    """Return what each request sent, message by message."""
    return [[m["content"] for m in request.json["messages"]] for request in server.chats]


def streamed(result: Result) -> str:
    """Return the text as the widget puts it together."""
    text = ""
    for message in custom(result):
        if message["type"] == "delta":
            text += message.get("text", "")
        elif message["type"] == "whole":
            text = message.get("text", "")
    return text


def custom(result: Result) -> list[dict[str, Any]]:
    """Return the custom messages to widgets, oldest first."""
    data = [message.content["data"] for message in result.of_type("comm_msg")]
    return [item["content"] for item in data if item.get("method") == "custom"]


def test_a_reply_is_streamed_and_one_safe_output_is_saved(chat: Kernel, server: Loopback) -> None:
    """The text goes out once, in numbered deltas; the cell keeps one output with three forms."""
    hold = Hold()
    server.reply(Reply(chunks=["Hello ", hold, "**world**"]))
    result = chat.start("%%chat\nhi", "cell-1")
    chat.wait(result, lambda: streamed(result) == "Hello ")
    hold.release()
    chat.wait(result)
    assert streamed(result) == "Hello **world**"
    numbers = [m["n"] for m in custom(result) if "n" in m]
    assert numbers == sorted(numbers)
    (output,) = result.outputs
    assert set(output["data"]) == {"text/html", "text/markdown", "text/plain"}
    assert "<strong>world</strong>" in output["data"]["text/html"]
    assert output["metadata"]["di_magics"]["prompt"] == "hi"
    assert output["metadata"]["di_magics"]["status"] == "done"
    assert custom(result)[-1] == {"type": "end"}


def test_without_a_cell_id_there_is_only_the_final_output(chat: Kernel, server: Loopback) -> None:
    """nbclient and papermill get one display and no widget."""
    result = chat.run("%%chat\nhi")
    assert len(result.outputs) == 1
    assert result.of_type("comm_open") == []


@pytest.mark.parametrize("cell_id", [None, "a"])
def test_nothing_warns_where_warnings_are_errors(own_chat: Kernel, cell_id: str | None) -> None:
    """Neither a turn nor the panel, also where ipywidgets is loaded and has no widget yet."""
    own_chat.run("import ipywidgets, warnings; warnings.simplefilter('error')")
    for cell in (
        "%%chat\nhi",
        "%chat panel",
        "%chat history",
        "import di_magics.api as d; d.ask('x')",
    ):
        result = own_chat.run(cell, cell_id=cell_id)
        assert (result.status, result.error) == ("ok", None)


def test_a_program_that_runs_a_notebook_gets_no_widget(chat: Kernel) -> None:
    """It would write the widget's state to the file: scripts, settings and log-probabilities."""
    sample = Path(__file__).parents[1] / "lens_sample.py"
    lens = (
        f"%run {sample}\nfrom di_magics.display.lens import Lens\nLens(sample_reply(9), lab=True)"
    )
    for cell, kind in ((lens, "text/html"), ("%chat panel", "text/plain")):
        result = chat.run(cell)
        assert result.of_type("comm_open") == []
        assert [set(output["data"]) | {"text/plain"} for output in result.outputs] == [
            {kind, "text/plain"}
        ]
        assert chat.run(cell, cell_id="a").of_type("comm_open")


@pytest.mark.parametrize("front_end", ["console", "colab"])
def test_a_reply_streams_in_a_front_end_without_cell_ids(
    own_chat: Kernel, server: Loopback, front_end: str
) -> None:
    """jupyter console shows what is printed, Colab an output that is updated; never a widget."""
    hold = Hold()
    server.reply(Reply(chunks=["Hello ", hold, "**world**"]))
    if front_end == "colab":
        own_chat.run("import sys; sys.modules['google.colab'] = sys")
    result = own_chat.start("%%chat\nhi", inputs=[])
    own_chat.wait(result, lambda: "Hello " in result.text)
    assert "world" not in result.text
    hold.release()
    own_chat.wait(result)
    (output,) = result.outputs
    assert result.text.count("Hello **world**") == 1
    assert "finished" in result.text
    if front_end == "colab":
        assert "<strong>world</strong>" in output["data"]["text/html"]
    assert result.of_type("comm_open") == []


def test_a_rerun_makes_a_variant_that_follows_the_turn_above(
    chat: Kernel, server: Loopback
) -> None:
    """A re-run does not send its own old turn, and follows the cell above as it is now."""
    server.reply(*(Reply(text) for text in ("a1", "b1", "a2", "b2", "c")))
    for prompt, cell in (("A", "1"), ("B", "2"), ("A", "1"), ("B", "2"), ("C", "3")):
        result = chat.run(f"%%chat\n{prompt}", f"cell-{cell}")
        assert result.status == "ok", result.text
    assert prompts(server) == [
        ["A"],
        ["A", "a1", "B"],
        ["A"],
        ["A", "a2", "B"],
        ["A", "a2", "B", "b2", "C"],
    ]


def test_a_line_that_asks_shows_its_reply_once(chat: Kernel, server: Loopback) -> None:
    """Not as the value of the cell as well; a reply in a variable shows itself formatted."""
    server.reply(Reply("Some *text*."))
    (shown,) = chat.run("r = %chat ask hi\n%chat ask -q again", "cell-1").outputs
    assert "<em>text</em>" in shown["data"]["text/html"]
    (value,) = chat.run("r", "cell-2").outputs
    assert value["data"] == shown["data"]
    assert value["metadata"] == {}
    for magic in ("capture found", "time"):
        result = chat.run(f"%%{magic}\n%chat ask hi", "cell-3")
        kinds = [output["output_type"] for output in result.outputs]
        assert kinds == ([] if "found" in magic else ["display_data", "stream"])
    assert chat.run("len(found.outputs)", "cell-4").text == "1\n"


def test_the_receipt_counts_variants(chat: Kernel, server: Loopback) -> None:
    """The second run of a cell says `variant 2 of 2`; `--append` adds a turn instead."""
    chat.run("%%chat\nA", "cell-1")
    assert "variant 2 of 2" in chat.run("%%chat\nA", "cell-1").text
    chat.run("%%chat --append\nA", "cell-1")
    assert len(prompts(server)[2]) == 3


def test_a_rerun_names_the_turns_that_followed_the_old_variant(
    chat: Kernel, server: Loopback
) -> None:
    """A re-run says that later turns hang on the old reply, and the command goes back to them."""
    server.reply(*(Reply(text) for text in ("a1", "b1", "a2", "c")))
    chat.run("%%chat\nA", "cell-1")
    chat.run("%%chat\nB", "cell-2")
    shown = chat.run("%%chat\nA", "cell-1").text
    assert "1 later turn after variant 1 (%chat variant 1 goes back)" in shown
    chat.run("%chat variant 1")
    chat.run("%%chat\nC", "cell-3")
    assert prompts(server)[3] == ["A", "a1", "B", "b1", "C"]


def test_a_loop_in_one_cell_makes_turns(chat: Kernel, server: Loopback) -> None:
    """Three asks of one execution follow one another; run again, they are variants in step."""
    server.reply(*(Reply(text) for text in ("1", "2", "3", "4", "5", "6")))
    loop = "for word in 'xyz':\n    get_ipython().run_line_magic('chat', 'ask ' + word)"
    chat.run(loop, "cell-1")
    chat.run(loop, "cell-1")
    assert prompts(server)[2] == ["x", "1", "y", "2", "z"]
    assert prompts(server)[5] == ["x", "4", "y", "5", "z"]


@pytest.mark.parametrize("presses", [1, 2, 5])
def test_interrupt_keeps_the_partial_reply(chat: Kernel, server: Loopback, presses: int) -> None:
    """The stop square, however often pressed, ends the cell with one line and status error."""
    server.reply(Reply(chunks=["The first half", Hold()]))
    result = chat.start("%%chat\nhi", "cell-1")
    chat.wait(result, lambda: streamed(result) == "The first half")
    pressed = time.monotonic()
    for _ in range(presses):
        chat.interrupt()
    chat.wait(result)
    final, error = result.outputs
    assert result.status == "error"
    assert "The first half" in final["data"]["text/html"]
    assert "stopped by you" in final["data"]["text/plain"]
    assert error["ename"] == "Interrupted"
    assert len(error["traceback"]) == 1
    request = server.requests[0]
    assert request.closed.wait(5)
    assert request.ended_at is not None
    assert request.ended_at - pressed < 1
    assert "stopped The first half" in chat.run(SUMMARY).text
    assert chat.run("1 + 1").status == "ok"


@pytest.mark.parametrize("text", [[], ["The first half"]])
@pytest.mark.parametrize(
    "code",
    [
        "await di.aask('hi')",
        "await di.Conversation().aask('hi')",
        "async for _ in di.stream('hi'): pass",
        "import asyncio\nawait asyncio.gather(*(di.aask('hi') for _ in range(3)))",
    ],
)
def test_interrupt_ends_a_cell_that_awaits(
    chat: Kernel, server: Loopback, code: str, text: list[str]
) -> None:
    """Also while the server is silent, before the reply and in the middle of it."""
    hold = Hold()
    server.default = Reply(chunks=[*text, hold])
    result = chat.start(f"import di_magics as di\n{code}", "cell-1")
    server.wait_for(3 if "gather" in code else 1)
    assert hold.reached.wait(10)
    chat.interrupt()
    chat.wait(result, timeout=5)
    assert result.error
    assert result.error["ename"] == "CancelledError"
    assert all(request.closed.wait(5) for request in server.chats)
    assert chat.run("1 + 1").status == "ok"


def test_interrupt_while_models_are_listed_is_one_line(
    chat: Kernel, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is given up."""
    hold = Hold()
    monkeypatch.setattr(server, "answer", lambda request: Fault(200, before=[hold]))
    result = chat.start("%chat models", "cell-1")
    assert hold.reached.wait(10)
    chat.interrupt()
    chat.wait(result, timeout=5)
    assert result.error
    assert (result.error["ename"], len(result.error["traceback"])) == ("Interrupted", 1)


def test_interrupt_ends_a_whole_grid(chat: Kernel, server: Loopback) -> None:
    """Every connection closes at once, partial replies are kept, the rest can be asked later."""
    hold = Hold()
    server.default = lambda request: Reply(
        chunks=["done"] if request.json["seed"] < 3 else ["half", hold]
    )
    result = chat.start("%%chat --vary seed=1..10\nhi", "cell-1")
    chat.wait(result, lambda: len(server.chats) == 10)
    ended = [request for request in server.chats if request.json["seed"] < 3]
    for request in ended:
        assert request.answered.wait(5)
    pressed = time.monotonic()
    chat.interrupt()
    chat.wait(result)
    assert result.outputs[-1]["ename"] == "Interrupted"
    held = [request for request in server.chats if request not in ended]
    assert len(held) == 8
    for request in held:
        assert request.closed.wait(5)
        assert request.ended_at is not None
        assert request.ended_at - pressed < 1
    assert (
        "2 done"
        in chat.run("print(sum(r['status'] == 'done' for r in _sweep.records), 'done')").text
    )
    hold.release()
    assert chat.run("%%chat --vary seed=1..10\nhi", "cell-1").status == "ok"
    assert len(server.chats) == 18


def test_interrupt_while_waiting_to_try_again(chat: Kernel, server: Loopback) -> None:
    """The countdown after a 429 is shown, and the stop square ends it."""
    server.reply(Fault(429, {"error": {"message": "Model busy"}}, headers={"retry-after": "60"}))
    result = chat.start("%%chat\nhi", "cell-1")
    chat.wait(
        result, lambda: any("trying again in 60 s" in m.get("status", "") for m in custom(result))
    )
    chat.interrupt()
    chat.wait(result)
    assert result.outputs[-1]["ename"] == "Interrupted"
    assert len(server.requests) == 1


def test_stop_ends_the_cell_without_an_error(own_chat: Kernel, server: Loopback) -> None:
    """The widget's Stop keeps the partial reply, is acknowledged, and the cell ends `ok`."""
    server.reply(Reply(chunks=["The first half", Hold()]))
    own_chat.run(STOP_FROM_A_THREAD)
    result = own_chat.run("%%chat\nhi", "cell-1")
    assert result.status == "ok", result.text
    assert "stopped by you" in result.text
    assert {"type": "ack"} in custom(result)
    assert "stopped The first half" in own_chat.run(SUMMARY).text


# A subshell's thread is where JupyterLab's click arrives; any thread does.
STOP_FROM_A_THREAD = """
import threading
from di_magics.display import live
shown = live.WidgetView.show
def stop_when_shown(view, reply):
    shown(view, reply)
    if reply.text:
        threading.Thread(target=view._channel.receive, args=({"type": "stop"},)).start()
live.WidgetView.show = stop_when_shown
"""


def test_a_dead_server_leaves_the_partial_reply(chat: Kernel, server: Loopback) -> None:
    """A connection that breaks off ends in one line; the partial reply is in the output."""
    server.reply(Reply(chunks=["The first half", Drop(reset=True)]))
    result = chat.run("%%chat\nhi", "cell-1")
    final, error = result.outputs
    assert "The first half" in final["data"]["text/html"]
    assert error["ename"] == "StreamBroken"
    assert len(error["traceback"]) == 1


def test_without_widgets_one_output_grows(own_chat: Kernel, server: Loopback) -> None:
    """Where anywidget cannot be loaded the text appears in updates of one display."""
    hold = Hold()
    server.reply(Reply(chunks=["The first half", hold, " and the second."]))
    own_chat.run("import sys; sys.modules['anywidget'] = None")
    result = own_chat.start("%%chat\nhi", "cell-1")
    own_chat.wait(result, lambda: "The first half" in result.text)
    hold.release()
    own_chat.wait(result)
    (output,) = result.outputs
    assert "and the second." in output["data"]["text/html"]


@pytest.mark.parametrize("cell", ["%%chat", "%%chat -t 0", "%%chat\n\n"])
def test_an_empty_cell_is_one_line(chat: Kernel, server: Loopback, cell: str) -> None:
    """A `%%chat` cell without a prompt says so, and sends nothing."""
    result = chat.run(cell, "cell-1")
    assert result.error
    assert "The prompt is empty" in result.error["evalue"]
    assert server.requests == []


def test_an_error_stops_run_all(chat: Kernel, server: Loopback) -> None:
    """A refused request ends the cell with status error and one line without traceback."""
    server.reply(Fault(401, {"detail": {"error": "Not authenticated"}}))
    result = chat.run("%%chat\nhi", "cell-1")
    assert result.status == "error"
    assert result.error is not None
    assert len(result.error["traceback"]) == 1


def test_the_whole_reply_is_sent_again_on_request(own_chat: Kernel, server: Loopback) -> None:
    """A widget that misses a delta gets the text so far."""
    server.reply(Reply("Hello world"))
    own_chat.run(STOP_FROM_A_THREAD.replace('"stop"', '"again"'))
    result = own_chat.run("%%chat\nhi", "cell-1")
    wholes = [m for m in custom(result) if m["type"] == "whole"]
    assert wholes
    assert all("Hello world".startswith(m.get("text", "")) for m in wholes)


def test_messages_and_bytes_stay_within_their_limits(chat: Kernel, server: Loopback) -> None:
    """A 40 kB reply at 2 s sends it once, at most 20 messages a second, and one final output."""
    text = "A sentence of **plain** words, again and again. " * 850
    parts = [text[i : i + 200] for i in range(0, len(text), 200)]
    chunks = [step for i, part in enumerate(parts) for step in (Pace(i / 100), part)]
    server.reply(Reply(chunks=chunks))
    result = chat.run("%%chat\nhi", "cell-1")
    assert streamed(result) == text
    found = result.of_type("comm_msg")
    deltas = [m for m in found if "text" in m.content["data"].get("content", {})]
    elapsed = float(chat.run("print(_reply.elapsed)").text)
    assert len(deltas) <= 20 * elapsed + 2
    assert sum(m.size for m in deltas) <= 1.15 * len(text) + 2000 * 20 + 500 * len(deltas)
    (final,) = result.of_type("update_display_data")
    assert final.size <= 6 * len(text)
    (opened,) = [m for m in result.of_type("comm_open") if "_esm" in str(m.content)]
    assert opened.size < 25_000


def test_the_key_is_typed_hidden_and_never_shown(
    kernel: Kernel, server: Loopback, tmp_path: Path
) -> None:
    """`%chat key` asks by a hidden prompt; the key is in no output and no error."""
    kernel.run("%load_ext di_magics")
    result = kernel.run("%chat key", "cell-1", inputs=["sk-very-secret"])
    assert result.prompts == ["Key of DeepInfra (https://deepinfra.com): "]
    shown = result.text + kernel.run("%chat").text + kernel.run("%chat show").text
    assert "very-secret" not in shown
    assert "deepinfra" in shown


def test_without_input_asking_for_the_key_is_one_line(chat: Kernel) -> None:
    """Where input is not possible `%chat key` says so and changes nothing."""
    result = chat.run("%chat key", "cell-1")
    assert result.error is not None
    assert result.error["ename"] == "ParamError"


def test_time_and_capture_work_around_a_cell(chat: Kernel, server: Loopback) -> None:
    """`%%time` and `%%capture` above `%%chat` do what they always do."""
    assert "Wall time" in chat.run("%%time\n%%chat\nhi", "cell-1").text
    result = chat.run("%%capture kept\n%%chat\nhi", "cell-2")
    assert result.text == ""
    assert re.search("Hello", chat.run("kept.show()").text)


def test_unloading_ends_thread_and_views(own_chat: Kernel, server: Loopback) -> None:
    """After `%unload_ext` no thread of ours and no open widget is left in the kernel."""
    own_chat.run("%%chat\nhi", "cell-1")
    result = own_chat.run(
        "%unload_ext di_magics\nimport threading, ipywidgets\n"
        "print([t.name for t in threading.enumerate() if 'di_magics' in t.name], "
        "[w for w in ipywidgets.Widget.widgets.values() if 'di_magics' in type(w).__module__] "
        "if hasattr(ipywidgets.Widget, 'widgets') else [])"
    )
    assert "[] []" in result.text


def test_a_text_that_is_read_long_says_how_far_it_is(kernel: Kernel, model_home: Path) -> None:
    """In the output that the lens replaces; an interrupt ends it in one line."""
    kernel.run(f"%env DI_MAGICS_HOME={model_home}\n%load_ext di_magics")
    kernel.run("import di_magics.display.views as views; views.PROGRESS_SECONDS = 0")
    text = "The fox is a small animal. " * 5
    result = kernel.run(f"%%lens\n{text}", "cell-1")
    assert result.status == "ok", result.text
    reading = re.compile(
        r"The model reads the text: [\d,]+ of [\d,]+ tokens, about [\d,]+ s left\."
    )
    lines = [
        message.content["data"]["text/plain"] for message in result.of_type("update_display_data")
    ]
    assert all(map(reading.fullmatch, lines[:-1]))
    assert len(lines) > 10
    saved, _ = result.outputs
    assert "di-saved-lens" in saved["data"]["text/html"]
    result = kernel.start(f"%%lens\n{text * 12}", "cell-2")
    kernel.wait(result, lambda: bool(reading.search(result.text)))
    kernel.interrupt()
    kernel.wait(result)
    assert result.status == "error"
    assert result.error
    assert result.error["ename"] == "Interrupted"
