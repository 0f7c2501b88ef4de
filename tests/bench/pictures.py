"""Takes the pictures of the README anew: JupyterLab in a real Chromium, and the built-in model.

python tests/bench/pictures.py streaming finished extension sidebar grid plot panel tools lens
    lab lab-dark
(or any of them)

They are written to notebooks/images, in at most 256 colours. Look at each of them afterwards.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from lab import Lab, Notebook, launch
from loopback import Loopback, Reply
from PIL import Image
from playwright.sync_api import Locator, sync_playwright

IMAGES = Path(__file__).parents[2] / "notebooks" / "images"
LOAD = "%load_ext di_magics"
QUESTION = (
    "Write a Python function that returns the mean of a list of numbers, "
    "and explain it in a short list."
)
MEAN = f"%%chat -t 0 --max-tokens 300\n{QUESTION}"
CAT = "Write one sentence about a cat and a lamp."
NO_FILTERS = "--top-k 0 --top-p 1 --min-p 0"
SIX = f"%%chat --once --vary temperature=0,0.7,1.4 -n 2 {NO_FILTERS} --max-tokens 40\n{CAT}"
SIXTY = f"%%chat --once --vary temperature=0,0.3,0.6,0.9,1.2,1.5 -n 10 --max-tokens 20\n{CAT}"
WEATHER = '''import di_magics as di


@di.safe
def weather(location: str) -> dict[str, float | str]:
    """The weather at a place, now."""
    skies = {"Oslo": "rain", "Rome": "clear"}
    return {"sky": skies[location], "temperature": 12.5}'''
STORY = "--seed 1 --max-tokens 145\nWrite a short story about a fox and a lighthouse."
UMBRELLA = "%%chat --tools weather\nDo I need an umbrella in Oslo, or in Rome?"
Open = Callable[[list[str]], Notebook]


def save(name: str, page: Notebook, first: Locator, last: Locator) -> None:
    """Write a picture from the top of one element to the bottom of another."""
    above, below = first.bounding_box(), last.bounding_box()
    assert above
    assert below
    above["height"] = below["y"] + below["height"] - above["y"]
    picture = Image.open(io.BytesIO(page.page.screenshot(clip=above, animations="disabled")))
    picture.convert("RGB").quantize(dither=Image.Dither.NONE).save(
        IMAGES / f"{name}.png", optimize=True
    )


def select(page: Notebook, cell: int) -> None:
    """Select a cell, so that the toolbar of another is not in the picture."""
    page.js("cell => { panel.content.activeCellIndex = cell; }", cell)


def run(page: Notebook, *cells: int) -> None:
    """Run cells and select the one below, once JupyterLab has let go of their outputs' height."""
    for cell in cells:
        page.run(cell, timeout=600)
        page.cell(cell).locator(".jp-OutputArea[style*=min-height]").wait_for(state="detached")
    select(page, cells[-1] + 1)


def streaming(new: Open) -> None:
    """Take the reply while it streams, with its Stop."""
    page = new([LOAD, MEAN, "%chat ask What does it return for [1, 2, 3]?"])
    page.run(0)
    page.start(1)
    select(page, 2)
    page.shown(1).get_by_text("mean = calculate_mean").wait_for()
    save("streaming", page, page.cell(0), page.cell(2))
    page.wait(1)


def finished(new: Open) -> None:
    """Take the reply with its receipt, in both themes."""
    page = new([LOAD, MEAN, ""])
    run(page, 0, 1)
    save("finished", page, page.cell(0), page.cell(1))
    page.dark()
    save("finished-dark", page, page.cell(0), page.cell(1))


def extension(new: Open) -> None:
    """Take what the extension puts at replies: a question that was changed, and a failed cell."""
    page = new([LOAD, MEAN, "mean = calculate_mean([])", ""])
    run(page, 0, 1, 2)
    changed = MEAN.replace("mean", "median")
    page.js("text => panel.content.widgets[1].model.sharedModel.setSource(text)", changed)
    page.cell(1).get_by_text("Answered an earlier version").wait_for()
    page.cell(1).locator("pre").last.hover()
    save("extension", page, page.cell(1), page.cell(2))


def sidebar(new: Open) -> None:
    """Take the whole window with the chat panel, after two messages."""
    page = new([f"{LOAD}\n%chat set temperature=0 max_tokens=120"])
    page.page.set_viewport_size({"width": 1280, "height": 720})
    page.run(0)
    page.js("() => jupyterapp.commands.execute('di-magics:open-chat-panel')")
    message = page.page.get_by_label("Message")
    for cell, text in (1, QUESTION), (2, "Which error does it raise for an empty list?"):
        message.fill(text)
        message.press("Enter")
        page.cell(cell).get_by_text("Retry").wait_for(timeout=600_000)
    window = page.page.locator("#main")
    save("sidebar", page, window, window)


def grid(new: Open) -> None:
    """Take six replies side by side."""
    page = new([LOAD, SIX, ""])
    run(page, 0, 1)
    save("grid", page, page.cell(1), page.cell(1))


def plot(new: Open) -> None:
    """Take a measure of sixty replies."""
    page = new([LOAD, SIXTY, "%chat plot diversity", ""])
    run(page, 0, 1, 2)
    save("plot", page, page.cell(2), page.cell(2))


def tools(new: Open) -> None:
    """Take a question with two calls; the tests' own server plays the model."""
    calls = [
        {"name": "weather", "arguments": json.dumps({"location": place})}
        for place in ("Oslo", "Rome")
    ]
    with Loopback() as server:
        thought = "I need the weather in both places."
        answer = "* **Oslo**: yes, it rains.\n* **Rome**: no, the sky is clear."
        usage = {"prompt_tokens": 212, "completion_tokens": 41, "estimated_cost": 3.35e-05}
        server.reply(
            Reply("", reasoning=thought, tool_calls=calls, finish="tool_calls", usage=usage),
            Reply(answer, usage=usage),
        )
        setup = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=the-tests-own-server"
        page = new([f"{setup}\n{LOAD}", WEATHER, UMBRELLA, ""])
        run(page, 0, 1, 2)
        page.shown(2).get_by_text('weather(location="Oslo")').first.click()
        save("tools", page, page.cell(1), page.cell(2))


def panel(new: Open) -> None:
    """Take the panel after two questions, beside a notebook and as narrow as a sidebar."""
    questions = "Name three colours.", "Which of them is a warm colour?"
    cells = [f"%%chat --max-tokens 60 --seed 1\n{question}" for question in questions]
    page = new([LOAD, *cells, "%chat set temperature=0.5 top_k=37", "%chat panel", ""])
    run(page, 0, 1, 2, 3, 4)
    shown = page.shown(4).locator(".di-panel")
    shown.get_by_role("slider", name="temperature").wait_for()
    save("panel", page, shown, shown)
    page.dark()
    shown.evaluate("node => { node.parentElement.style.width = '250px'; }")
    save("panel-narrow-dark", page, shown, shown)


def story(new: Open, most: int, command: str, *, dark: bool = False) -> tuple[Notebook, Locator]:
    """Return the notebook and the lens of a story, wide enough for two columns."""
    page = new([LOAD, f"%%chat --logprobs {most} {STORY}", command, ""])
    page.page.set_viewport_size({"width": 1320, "height": 3000})
    if dark:
        page.dark()
    run(page, 0, 1, 2)
    return page, page.shown(2).locator(".di-lens")


def lens(new: Open) -> None:
    """Take the tokens of a story by probability."""
    page, shown = story(new, 20, "%chat lens")
    shown.get_by_role("option").filter(has_text="entrance").click()
    save("lens", page, shown, shown)


def lab(new: Open, *, dark: bool = False) -> None:
    """Take the same story with filters and a repetition penalty at work."""
    page, shown = story(new, 50, "%chat lab", dark=dark)
    shown.get_by_role("option").filter(has_text="hope").click()
    for name, presses in ("temperature", -10), ("top_p", -15), ("repetition_penalty", 2):
        shown.get_by_role("slider", name=name).focus()
        for _ in range(abs(presses)):
            page.page.keyboard.press("ArrowRight" if presses > 0 else "ArrowLeft")
    reading = shown.get_by_text("The model reads the logits")
    reading.wait_for()
    reading.wait_for(state="hidden", timeout=200_000)
    shown.get_by_role("button", name="Draw 1,000 tokens").click()
    shown.get_by_text("1,000 drawn").wait_for()
    save("lab-dark" if dark else "lab", page, shown, shown)


PICTURES: dict[str, Callable[[Open], None]] = {
    "streaming": streaming,
    "finished": finished,
    "extension": extension,
    "sidebar": sidebar,
    "grid": grid,
    "plot": plot,
    "panel": panel,
    "tools": tools,
    "lens": lens,
    "lab": lab,
    "lab-dark": partial(lab, dark=True),
}


def main(names: list[str]) -> None:
    """Take the pictures with these names, each in a notebook of its own."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        env = {"DI_MAGICS_HOME": str(Path(folder, "home"))}
        fetch = [sys.executable, "-m", "di_magics", "fetch"]
        subprocess.run(fetch, env={**os.environ, **env}, check=True)
        opened: list[Notebook] = []

        def open_notebook(name: str, cells: list[str]) -> Notebook:
            lab.write(f"{name}.ipynb", cells)
            size = {"width": 1010, "height": 3000}
            page = Notebook(lab, chromium, f"{name}.ipynb", viewport=size, device_scale_factor=1.5)
            page.js("() => jupyterapp.commands.execute('application:toggle-left-area')")
            opened.append(page)
            return page

        with Lab(Path(folder), env) as lab, launch(playwright) as chromium:
            for name in names:
                PICTURES[name](partial(open_notebook, name))
                opened.pop().close()
                print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(PICTURES))
