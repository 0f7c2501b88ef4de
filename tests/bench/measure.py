"""Measures what the README and the design promise; prints one line a figure.

python tests/bench/measure.py load bytes store stop first browser grid lens branch  (or some)

`load`: what %load_ext costs in a kernel. `bytes`: what a reply sends to the browser.
`store`: from opening the store, in a fresh process, to the next request of a 200-turn conversation
among 10,000 turns. `stop`: from the interrupt to the closed connection. `first`: from Shift-Enter
to the first text of the warm built-in model, in a browser. `browser`: how busy 10,000 tokens keep
the page. `grid`: how near to the ideal 300 calls of a grid come, and the memory of 2,000. `lens`:
what a lab of 2,000 tokens with 20 alternatives sends, how long the page takes to build it, and its
frames while a slider is dragged. `branch`, on the built-in model: what 20 log-probabilities a token
cost, 8 branches of 20 tokens, and the zero of the logits at one position.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from kernel import Kernel, Result
from lab import Lab, Notebook, launch
from loopback import Hold, Loopback, Pace, Reply, pieces
from playwright.sync_api import sync_playwright

SAMPLE = (Path(__file__).parent / "sample.md").read_text(encoding="utf-8")

LOAD = """
import os, resource, sys, time
import gc
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
gc.collect()
modules, rss, cpu = set(sys.modules), memory(), time.process_time()
get_ipython().run_line_magic("load_ext", "di_magics")
cpu, rss = time.process_time() - cpu, memory() - rss
new = set(sys.modules) - modules
heavy = {"httpx", "ipywidgets", "anywidget", "markdown_it", "pandas", "matplotlib"} & new
print(cpu * 1e3, rss / 1e6, len(new), sorted(heavy))
"""


def tokens(count: int) -> list[str]:
    """Return so many pieces of the sample text."""
    found = pieces(SAMPLE)
    return [found[i % len(found)] for i in range(count)]


def setup(server: Loopback) -> str:
    """Return the cell that loads the extension and points it at the server."""
    return f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"


def load(folder: Path) -> None:
    """Print CPU, memory and modules of %load_ext, in five fresh kernels.

    Python has compiled the modules before, as pip does when it installs them.
    """
    env = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "cache")}
    rows = []
    for _ in range(6):
        with Kernel(folder, env) as kernel:
            rows.append(kernel.run(LOAD).text.split(maxsplit=3))
    del rows[0]
    cpu, memory = (statistics.median(float(row[i]) for row in rows) for i in (0, 1))
    print(f"load: {cpu:.1f} ms CPU, {memory:.2f} MB, {rows[0][2]} modules, heavy: {rows[0][3]}")


def sent(folder: Path) -> None:
    """Print the bytes and messages of a reply at reading speed, and of a long one that is fast."""
    for count, rate in ((2_000, 200), (10_000, 500)):
        chunks = tokens(count)
        reply = len("".join(chunks).encode())
        with Loopback() as server, Kernel(folder) as kernel:
            server.reply(Reply(chunks=chunks, rate=rate))
            kernel.run(setup(server))
            result = kernel.run("%%chat\nhi", "cell-1", timeout=300)
        live = result.of_type("comm_msg")
        size = sum(message.size for message in live)
        final = sum(message.size for message in result.of_type("update_display_data"))
        opened = sum(message.size for message in result.of_type("comm_open"))
        total = sum(message.size for message in result.messages)
        seconds = live[-1].at - live[0].at
        print(
            f"bytes: reply {reply:,} B at {rate} pieces/s: in all {total / reply:.1f} times; "
            f"live {size / reply:.1f} times the reply, in {len(live)} messages "
            f"({len(live) / seconds:.1f}/s) of {size / len(live):.0f} B; "
            f"final output {final / reply:.1f} times, the widget {opened:,} B"
        )


def shows(result: Result, text: str) -> bool:
    """Return whether the text of a cell has come."""
    return text in str(result.messages)


def stop(folder: Path) -> None:
    """Print how long after the interrupt the connection closes and the cell ends, ten times."""
    closed, ended = [], []
    with Loopback() as server, Kernel(folder) as kernel:
        kernel.run(setup(server))
        server.default = Reply(chunks=["half", Hold()])
        result = kernel.start("%%chat --once --vary seed=1..8\nhi", "grid")
        kernel.wait(result, lambda: len(server.chats) == 8)
        pressed = time.monotonic()
        kernel.interrupt()
        kernel.wait(result)
        for request in server.chats:
            request.closed.wait(5)
        last = max(request.ended_at or 0 for request in server.chats) - pressed
        print(f"stop: all 8 connections of a grid closed after {last * 1e3:.0f} ms")
        for number in range(10):
            hold = Hold()
            server.reply(Reply(chunks=["The first half", hold]))
            result = kernel.start("%%chat --once\nhi", f"cell-{number}")
            kernel.wait(result, partial(shows, result, "first half"))
            pressed = time.monotonic()
            kernel.interrupt()
            kernel.wait(result)
            ended.append(time.monotonic() - pressed)
            request = server.requests[-1]
            request.closed.wait(5)
            assert request.ended_at
            closed.append(request.ended_at - pressed)
    print(
        f"stop: connection closed after {statistics.median(closed) * 1e3:.0f} ms "
        f"(worst {max(closed) * 1e3:.0f}), cell ended after {statistics.median(ended) * 1e3:.0f} ms"
    )


FILL = """
import sys
from decimal import Decimal
from pathlib import Path
from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.reply import Reply, Usage
from di_magics.core.money.budget import Budget
from di_magics.core.money.tally import Entry
from di_magics.storage.database import Database
from di_magics.storage.journal import Journal
from di_magics.storage.turns import Turns
store = Database(Path(sys.argv[1]))
journal = Journal(store)
usage, cost = Usage(900, 400, 1300), Decimal("0.0001")
text = "A sentence of a reply, of the usual length. " * 40
for book in range(50):
    chat, parent = Conversation(), None
    for number in range(200):
        turn = Turn(f"{book}-{number}", "A prompt of some words. " * 5, parent,
                    Cell(f"c{number}", 0), notebook=str(book), model="m",
                    params={"temperature": 0.7}, reply=Reply(text=text, status="done",
                    model="m", id="x", usage=usage, cost=cost, elapsed=2.5, first_token=0.3))
        entry = Entry(turn.id, str(book), "main", "m", "e", 1.0, "", "open", usage)
        journal.begin(turn, entry, Budget(), is_turn=True)
        journal.seal(turn.id, turn.reply)
        chat, parent = chat.with_turn(turn), turn.id
    Turns(store, str(book)).save_state(chat).result()
store.close()
"""
NEXT = """
import gc, sys, time
from pathlib import Path
from di_magics.core.request.body import build_body, encode_body
from di_magics.core.conversation.turn import Turn
from di_magics.core.conversation.messages import request_messages
from di_magics.storage.database import Database
from di_magics.storage.turns import Turns
gc.collect()  # what the imports left to it
times = [time.perf_counter()]
store = Database(Path(sys.argv[1]))
chat = Turns(store, "25").load()
times.append(time.perf_counter())
path = chat.path()
body = encode_body(build_body("m", request_messages(path, Turn("next", "next")), {}))
times.append(time.perf_counter())
assert len(path) == 200
print(*times, len(body))
"""


def store(folder: Path) -> None:
    """Print how long a fresh process takes from opening the store to the encoded request."""
    subprocess.run([sys.executable, "-c", FILL, str(folder)], check=True)
    rows = []
    for _ in range(10):
        ran = [sys.executable, "-c", NEXT, str(folder)]
        found = subprocess.run(ran, check=True, capture_output=True, text=True).stdout.split()
        start, loaded, encoded = (float(item) * 1e3 for item in found[:3])
        rows.append((loaded - start, encoded - loaded))
    load, encode = (statistics.median(row[i] for row in rows) for i in (0, 1))
    print(f"store: open and load {load:.1f} ms, request encoded {encode:.1f} ms")


WATCH = """() => {
    window.diGaps = [];
    let last = performance.now();
    const frame = now => {
        window.diGaps.push(now - last);
        last = now;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""


def browser(folder: Path) -> None:
    """Print the browser's busy time for 10,000 tokens at 300 a second, and its longest frame."""
    with Loopback() as server, Lab(folder) as lab, sync_playwright() as playwright:
        chromium = launch(playwright)
        lab.write("bench.ipynb", [setup(server), "%%chat --once\nhi", "%%chat --once\nhi"])
        notebook = Notebook(lab, chromium, "bench.ipynb")
        notebook.run(0)
        notebook.run(1)  # whatever is loaded on first use
        server.reply(Reply(chunks=tokens(10_000), rate=300))
        metrics = notebook.page.context.new_cdp_session(notebook.page)
        metrics.send("Performance.enable")

        def busy() -> float:
            found = metrics.send("Performance.getMetrics")["metrics"]
            return float(next(m["value"] for m in found if m["name"] == "TaskDuration"))

        notebook.js(WATCH)
        before, start = busy(), time.monotonic()
        notebook.run(2, timeout=120)
        seconds, used = time.monotonic() - start, busy() - before
        gaps = notebook.js("() => window.diGaps")
        print(
            f"browser: busy {used:.1f} s of {seconds:.1f} s ({used / seconds:.2f}), "
            f"longest frame {max(gaps):.0f} ms, over 50 ms: {sum(gap > 50 for gap in gaps)}"
        )
        notebook.close()
        chromium.close()


FIRST = """async () => {
    const area = panel.content.widgets[panel.content.activeCellIndex].outputArea.node;
    const start = performance.now();
    const shown = new Promise(resolve => {
        const look = () => {
            const live = area.querySelector('.di-live');
            const text = live ? live.innerText.replace(/Stop|waiting.*/g, '').trim() : '';
            text ? resolve(performance.now() - start) : requestAnimationFrame(look);
        };
        look();
    });
    jupyterapp.commands.execute('notebook:run-cell');
    return await shown;
}"""


def first(folder: Path) -> None:
    """Print the time from Shift-Enter to the first text, beside the model's own first token."""
    with Lab(folder) as lab, sync_playwright() as playwright:
        chromium = launch(playwright)
        ask = "%%chat --once --max-tokens 8 --seed 1\nSay hello."
        cells = ["%load_ext di_magics", ask, "print(_reply.first_token)"]
        lab.write("first.ipynb", cells)
        notebook = Notebook(lab, chromium, "first.ipynb")
        notebook.run(0)
        notebook.run(1, timeout=300)
        rows = []
        for _ in range(10):
            notebook.js("() => { panel.content.activeCellIndex = 1 }")
            seen = notebook.js(FIRST) / 1e3
            notebook.page.wait_for_function(
                "() => jupyterapp.shell.currentWidget.sessionContext"
                ".session.kernel.status === 'idle'"
            )
            (output,) = notebook.run(2)
            rows.append((seen, float(output["text"])))
        notebook.close()
        chromium.close()
    seen, model = (statistics.median(row[i] for row in rows) for i in (0, 1))
    print(
        f"first: text seen after {seen * 1e3:.0f} ms, of which the model's own "
        f"{model * 1e3:.0f} ms; "
        f"the difference at worst {max(a - b for a, b in rows) * 1e3:.0f} ms"
    )


GRID = """
import resource, time
import di_magics as di
before = resource.getrusage(resource.RUSAGE_SELF)
start = time.perf_counter()
found = di.sweep("hi", vary={"seed": range(COUNT)}, concurrency=200, yes=True, fresh=True)
seconds = time.perf_counter() - start
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
whole = sum(record["status"] == "done" for record in found.records)
print(seconds, cpu, after.ru_maxrss / 1e3, whole)
"""


def grid(folder: Path) -> None:
    """Print how long 300 calls take beside the ideal, and the memory of 2,000."""
    text = SAMPLE[:800]
    latency = 3.0
    with Loopback() as server, Kernel(folder) as kernel:
        server.default = Reply(chunks=[*pieces(text), Pace(latency)])
        kernel.run(setup(server))
        result = kernel.run(GRID.replace("COUNT", "300"), "cell-1", timeout=300)
        seconds, cpu, _, whole = map(float, result.text.split("\n")[-2].split())
        ideal = 2 * latency
        print(
            f"grid: {whole:.0f} of 300 calls with concurrency=200 in {seconds:.2f} s, ideal "
            f"{ideal:.0f} s ({ideal / seconds:.2f} of it); {cpu:.1f} s CPU"
        )
        server.default = Reply(chunks=pieces(text))
        result = kernel.run(GRID.replace("COUNT", "2000"), "cell-2", timeout=300)
        seconds, cpu, memory, whole = map(float, result.text.split("\n")[-2].split())
        print(f"grid: {whole:.0f} of 2,000 runs in {seconds:.1f} s, at most {memory:.0f} MB")


LENS = f"""%run {Path(__file__).parents[1] / "lens_sample.py"}
import time
from di_magics.display.lens import Lens
reply = sample_reply(2000)
start = time.perf_counter()
lens = Lens(reply, lab=True, at=40)
size, seconds = len(lens.pack()), time.perf_counter() - start
print(size, seconds, len(lens.saved()["text/html"].encode()))
lens"""
BUILD = """async ([source, packed]) => {
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    const widget = (await import(url)).default;
    const bytes = Uint8Array.from(atob(packed), char => char.charCodeAt(0));
    const times = [];
    for (let run = 0; run < 5; run++) {
        const el = document.body.appendChild(document.createElement('div'));
        const start = performance.now();
        const close = await widget.render({ model: { get: () => new DataView(bytes.buffer) }, el });
        times.push(performance.now() - start);
        close();
        el.remove();
    }
    return times;
}"""
FRAMES = """() => {
    const next = window.requestAnimationFrame;
    Object.assign(window, { diScripts: [], diGaps: [] });
    window.requestAnimationFrame = work => next(now => {
        const start = performance.now();
        work(now);
        window.diScripts.push(performance.now() - start);
    });
    let last = performance.now();
    const frame = now => {
        window.diGaps.push(now - last);
        last = now;
        next(frame);
    };
    next(frame);
}"""


def lens(folder: Path) -> None:
    """Print the size of a lab of 2,000 tokens, its time to build, and its frames in a drag."""
    import base64

    from lens_sample import sample_reply

    from di_magics.display import widgets
    from di_magics.display.lens import Lens

    source = widgets.module("lens")
    packed = base64.b64encode(Lens(sample_reply(2000), lab=True).pack()).decode()
    with Lab(folder) as lab, sync_playwright() as playwright:
        chromium = launch(playwright)
        lab.write("lens.ipynb", [LENS])
        notebook = Notebook(lab, chromium, "lens.ipynb")
        (printed, *_) = notebook.run(0)
        size, seconds, saved = map(float, printed["text"].split())
        built = notebook.page.evaluate(BUILD, [source, packed])
        print(
            f"lens: {(size + len(source.encode())) / 1e3:.0f} kB to the browser, packed in "
            f"{seconds * 1e3:.0f} ms, built in {statistics.median(built):.0f} ms; "
            f"saved form {saved / 1e3:.0f} kB"
        )
        area = notebook.shown(0)
        area.get_by_role("listbox").wait_for()
        notebook.page.evaluate(FRAMES)
        mouse = notebook.page.mouse
        for name in ("temperature", "top_p", "min_p", "frequency_penalty"):
            slider = area.get_by_role("slider", name=name)
            slider.scroll_into_view_if_needed()
            box = slider.bounding_box()
            assert box
            middle = box["y"] + box["height"] / 2
            mouse.move(box["x"] + box["width"] / 2, middle)
            mouse.down()
            notebook.page.evaluate("() => { diScripts.length = diGaps.length = 0 }")
            for step in range(120):
                mouse.move(box["x"] + box["width"] * (0.3 + step % 60 / 150), middle)
            mouse.up()
            scripts, gaps = notebook.page.evaluate("() => [diScripts, diGaps]")
            print(
                f"lens: {name} dragged: {statistics.median(scripts):.1f} ms of script a frame, "
                f"{statistics.median(gaps):.1f} ms between frames, at worst {max(gaps):.0f} ms"
            )
        notebook.close()
        chromium.close()


BRANCH = """
import statistics, time
import di_magics as di
from di_magics.magics.chat import current
%load_ext di_magics
def rate(**params):
    reply = di.ask("Write a long story about a fox.", seed=3, max_tokens=100, **params)
    return reply.usage.completion_tokens / (reply.elapsed - reply.first_token)
rate()
pairs = [(rate(), rate(logprobs=20)) for _ in range(9)]
plain, with_logprobs = (statistics.median(column) for column in zip(*pairs))
cost = 1 - statistics.median(b / a for a, b in pairs)
reply = di.ask("Write a story about a fox.", seed=3, max_tokens=200, logprobs=20)
times, ratios = [], []
for at in (120, 60, 20):
    start = time.perf_counter()
    di.branch(reply, at=at, n=8)
    times.append(time.perf_counter() - start)
    start = time.perf_counter()
    di.ask("Write a long story about a fox.", seed=3, max_tokens=160, logprobs=20)
    ratios.append(times[-1] / (time.perf_counter() - start))
session = current(get_ipython()).session
turn = session.notebook.last_once
read = session.inspector.normalizer_reader(turn, session.inspector.lens_data(turn))
start = time.perf_counter()
for at in range(0, 160, 16):
    read(range(at, at + 16))
zero = (time.perf_counter() - start) / 160
seconds, ratio = statistics.median(times), statistics.median(ratios)
print("figures", plain, with_logprobs, cost, seconds, ratio, zero)
"""


def branch(folder: Path) -> None:
    """Print what log-probabilities, branches and zeros of logits cost on the built-in model."""
    with Kernel(folder, {"DI_MAGICS_ENDPOINT": "local"}) as kernel:
        text = kernel.run(BRANCH, timeout=900).text
    figures = text.partition("figures")[2].split()
    plain, with_logprobs, cost, seconds, ratio, zero = map(float, figures)
    print(
        f"branch: {plain:.0f} tokens/s, {with_logprobs:.0f} with 20 log-probabilities "
        f"({cost:.0%} slower); 8 branches of 20 tokens in {seconds:.2f} s, {ratio:.2f} of "
        f"the time of one reply of 160; a zero of the logits in {zero * 1e3:.0f} ms"
    )


MEASURES = {
    "grid": grid,
    "load": load,
    "bytes": sent,
    "store": store,
    "stop": stop,
    "first": first,
    "browser": browser,
    "lens": lens,
    "branch": branch,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or MEASURES:
        with tempfile.TemporaryDirectory() as folder:
            MEASURES[name](Path(folder))
