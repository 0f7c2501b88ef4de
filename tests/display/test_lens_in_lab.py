"""The lens and the lab as a user meets them: in JupyterLab, by mouse and by keyboard."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from loopback import Hold, Loopback, Reply

from di_magics.core.sampling import DEFAULTS

if TYPE_CHECKING:
    from lab import Notebook
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.browser

Open = Callable[..., "Notebook"]
SETUP = (
    f"%run {Path(__file__).parents[1] / 'lens_sample.py'}\nfrom di_magics.display.lens import Lens"
)


def opened(page: Notebook, cell: int = 1) -> Locator:
    """Run the first cell and the lens's, and return the lens."""
    page.run(0)
    page.run(cell)
    lens = page.shown(cell).locator(".di-lens")
    lens.get_by_role("listbox").wait_for()
    return lens


def chosen(lens: Locator) -> int:
    """Return the number of the chosen token, as the list says it."""
    box = lens.get_by_role("listbox")
    (text,) = lens.locator("h4 .faint").all_inner_texts()
    number = int(text.split()[1].replace(",", ""))
    active = box.get_attribute("aria-activedescendant")
    assert active
    assert active.endswith(f"-{number - 1}")
    assert lens.get_by_role("option", selected=True).get_attribute("id") == active
    return number


def counts(lens: Locator) -> dict[str, int]:
    """Return the legend: how many tokens are in each band."""
    keys = lens.get_by_role("group", name="Tokens by probability").get_by_role("button").all()
    return {key.inner_text(): int(key.locator("b").inner_text().replace(",", "")) for key in keys}


def test_a_token_is_chosen_by_mouse_and_by_keys(notebook: Open) -> None:
    """Hovering follows, a click keeps; the arrows, N, P, Home and End go on from there."""
    page = notebook([SETUP, "Lens(sample_reply(300), at=20)", "1"])
    lens = opened(page)
    assert chosen(lens) == 21
    tokens = lens.get_by_role("option")
    tokens.nth(25).hover()
    assert chosen(lens) == 26
    tokens.nth(27).click()
    tokens.nth(30).hover()
    assert chosen(lens) == 28
    keys = page.page.keyboard
    keys.press("ArrowRight")
    assert chosen(lens) == 29
    keys.press("ArrowLeft")
    keys.press("ArrowDown")
    below = chosen(lens)
    assert below > 29
    keys.press("ArrowUp")
    assert abs(chosen(lens) - 28) <= 1
    keys.press("End")
    assert chosen(lens) == 300
    keys.press("Home")
    assert chosen(lens) == 1
    keys.press("n")
    first = chosen(lens)
    keys.press("n")
    assert chosen(lens) > first > 1
    keys.press("p")
    assert chosen(lens) == first
    assert lens.locator("h4").inner_text().split(" %")[0].split()[-1] < "5"


def test_keys_stay_in_the_lens(notebook: Open) -> None:
    """Wherever it was clicked: no cell is added or deleted, and the arrows choose a token."""
    page = notebook([SETUP, "Lens(sample_reply(60), lab=True)", "1"])
    lens = opened(page)
    lens.get_by_role("option").nth(3).click()
    for part in (
        lens.get_by_role("listbox"),
        lens.get_by_role("button", name="50–90 %"),
        lens.get_by_role("button", name="Greedy"),
        lens.get_by_role("button", name="Swap penalties and top_k"),
        lens.locator("h4"),
        lens.locator(".title"),
        lens.locator(".strip"),
        lens.locator("tbody tr").first,
    ):
        part.click()
        at = chosen(lens)
        for key in ("Escape", *"ddabxcvmyn", "Home", "ArrowRight"):
            page.page.keyboard.press(key)
        assert (at, chosen(lens)) == (at, 2), part
        assert page.js("() => [cells.length, panel.content.mode]") == [3, "command"]


def test_the_legend_counts_and_filters(notebook: Open) -> None:
    """The bands sum to the tokens; a pressed one is the only one that stands out."""
    page = notebook([SETUP, "Lens(sample_reply(200))"])
    lens = opened(page)
    before = counts(lens)
    assert sum(before.values()) == 200
    key = lens.get_by_role("button", name="20–50 %")
    key.click()
    assert key.get_attribute("aria-pressed") == "true"
    clear = lens.locator(".text .t").evaluate_all(
        "nodes => nodes.filter(node => getComputedStyle(node).opacity === '1').length"
    )
    assert clear == next(count for name, count in before.items() if "20–50" in name)
    key.click()
    assert key.get_attribute("aria-pressed") == "false"


def row(lens: Locator, number: int) -> list[str]:
    """Return the cells of a row of the table."""
    return lens.locator("tbody tr:visible").nth(number).locator("th, td").all_inner_texts()


def test_a_slider_reshapes_all_positions(notebook: Open) -> None:
    """By mouse and by keys: the table, the filter that cut a token, and the text."""
    page = notebook([SETUP, "Lens(sample_reply(200), lab=True, at=30)"])
    lens = opened(page)
    lens.get_by_role("button", name="The model itself").click()
    lens.get_by_role("button", name="The model itself", pressed=True).wait_for()
    gone = lens.get_by_role("button", name="could not have been drawn")
    page.page.wait_for_function(
        "node => node.textContent === '0'", arg=gone.locator("b").element_handle()
    )
    top_k = lens.get_by_role("slider", name="top_k")
    top_k.focus()
    page.page.keyboard.press("ArrowRight")
    lens.get_by_text("1 token can be drawn").wait_for()
    assert row(lens, 0)[2] == "100 %"
    assert "cut by top_k" in row(lens, 1)[1]
    assert row(lens, 1)[2] == "0"
    page.page.wait_for_function(
        "node => node.textContent !== '0'", arg=gone.locator("b").element_handle()
    )
    assert sum(counts(lens).values()) == 200
    crossed = lens.locator(".text .b8")
    assert (
        crossed.first.evaluate("node => getComputedStyle(node).textDecorationLine")
        == "line-through"
    )
    box = top_k.bounding_box()
    assert box
    page.page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    page.page.mouse.up()
    assert 40 <= int(top_k.input_value()) <= 60


def test_the_order_of_the_filters_can_be_changed(notebook: Open) -> None:
    """Alt and an arrow key move a filter, an arrow swaps two; a server's defaults have its own."""
    page = notebook([SETUP, "Lens(sample_reply(60), lab=True)"])
    lens = opened(page)
    chips = lens.get_by_role("list", name="Filters in the order").locator(".chip")
    llama = ["penalties", "top_k", "top_p", "min_p", "temperature"]
    assert chips.all_inner_texts() == llama
    assert lens.get_by_role("button", name="llama.cpp", exact=True, pressed=True).count() == 1
    chips.nth(4).focus()
    page.page.keyboard.press("Alt+ArrowLeft")
    assert chips.all_inner_texts() == ["penalties", "top_k", "top_p", "temperature", "min_p"]
    assert page.js("() => document.activeElement.textContent") == "temperature"
    lens.get_by_role("button", name="Swap penalties and top_k").click()
    assert chips.all_inner_texts()[:2] == ["top_k", "penalties"]
    assert lens.get_by_role("button", name="llama.cpp", exact=True, pressed=True).count() == 0
    lens.get_by_role("button", name="vLLM", exact=True).click()
    assert chips.all_inner_texts() == ["penalties", "temperature", "min_p", "top_k", "top_p"]
    lens.get_by_role("button", name="llama.cpp's defaults").click()
    assert chips.all_inner_texts() == llama
    for name in ("temperature", "top_k", "top_p", "min_p"):
        value = lens.get_by_role("slider", name=name).input_value()
        assert float(value) == DEFAULTS[name]
    lens.get_by_role("button", name="llama.cpp's defaults", pressed=True).wait_for()


def test_drawn_tokens_are_compared_with_the_theory(notebook: Open) -> None:
    """1,000 of them are near it; a change of the settings forgets them."""
    page = notebook([SETUP, "Lens(sample_reply(60), lab=True, at=10)"])
    lens = opened(page)
    for count in ("10", "100", "1,000"):
        lens.get_by_role("button", name=f"Draw {count} tokens").click()
        lens.get_by_text(f"{count} drawn").wait_for()
    off = lens.get_by_text("1,000 drawn").inner_text()
    assert float(off.split(": ")[1].split(" %")[0]) < 10
    assert lens.locator(".tick:visible").count() > 0
    lens.get_by_role("button", name="Greedy").click()
    lens.get_by_text("1,000 drawn").wait_for(state="hidden")


def test_what_a_slider_cannot_show_is_disabled_with_its_reason(notebook: Open) -> None:
    """The reason is beside it, and is its description."""
    page = notebook([SETUP, "Lens(sample_reply(60), lab=True)"])
    lens = opened(page)
    slider = lens.get_by_role("slider", name="repetition_penalty")
    assert slider.is_disabled()
    reason = lens.get_by_text("It needs the logits")
    assert reason.is_visible()
    assert slider.get_attribute("aria-describedby") == reason.get_attribute("id")


def test_every_control_of_the_lens_has_an_accessible_name(notebook: Open) -> None:
    """In the accessibility tree: tokens, white space as well, buttons, sliders, table and lists."""
    page = notebook([SETUP, "Lens(hostile_reply(), lab=True)"])
    opened(page)
    session = page.page.context.new_cdp_session(page.page)
    node = session.send("DOM.getDocument", {"depth": -1})
    result = session.send(
        "DOM.querySelector", {"nodeId": node["root"]["nodeId"], "selector": ".di-lens"}
    )
    inside = session.send("Accessibility.queryAXTree", {"nodeId": result["nodeId"]})["nodes"]
    roles = {"option", "button", "slider", "listbox", "group", "region", "table", "image", "list"}
    ours = [item for item in inside if item.get("role", {}).get("value") in roles]
    assert len(ours) > 80
    assert [item for item in ours if not item.get("name", {}).get("value", "").strip()] == []
    rows = page.shown(1).get_by_role("table", name="What could stand here").get_by_role("row")
    assert rows.count() >= 21
    assert page.shown(1).locator("[tabindex='0'], .text").count() == 1


def test_hostile_tokens_stay_text(notebook: Open) -> None:
    """In the widget and in the saved form, trusted or not."""
    page = notebook([SETUP, "Lens(hostile_reply(), lab=True)"])
    lens = opened(page)
    text = lens.get_by_role("listbox").inner_text()
    assert "<img src=x onerror='window.ran=1'>" in text
    assert "⟨U+202E⟩abc" in text
    assert lens.locator("img, script, a, mjx-container").count() == 0
    page.save()
    page.reload(trusted=False)
    saved = page.shown(1).locator(".di-saved-lens")
    saved.get_by_text("window.ran=2").first.wait_for()
    assert saved.locator("img, script, a, mjx-container").count() == 0
    assert page.js("() => window.ran") is None
    assert page.foreign == []


def test_foreign_tokens_are_shown_in_blocks(notebook: Open) -> None:
    """A browser needs half a minute for 60,000 marks in one; an ASCII reply is one block."""
    texts = "('\\u0301' * 60_000, *['אa'] * 3000)"
    page = notebook([SETUP, f"Lens(sample_reply(3001, texts={texts}))", "Lens(sample_reply(3000))"])
    box = opened(page).get_by_role("listbox")
    sizes = "node => [...node.querySelectorAll('div')].map(block => block.textContent.length)"
    blocks = box.evaluate(sizes)
    assert len(blocks) > 30
    assert max(blocks) <= 5000
    assert opened(page, 2).get_by_role("listbox").evaluate(sizes) == []


def test_one_of_the_saved_form_and_the_widget_is_shown(notebook: Open) -> None:
    """The widget while the kernel is there, also after a reload; else the saved form alone."""
    page = notebook([SETUP, "Lens(sample_reply(60))"])
    lens = opened(page)
    saved = page.shown(1).locator(".di-saved-lens")
    assert not saved.is_visible()
    page.save()
    page.reload(trusted=True)
    lens.wait_for()
    assert not saved.is_visible()
    page.reload(trusted=False)
    saved.wait_for()
    assert lens.count() == 0
    assert saved.get_by_text("perplexity").is_visible()
    page.run(0)  # the page is connected again
    page.restart()
    page.reload(trusted=True)
    page.page.get_by_text("Error displaying widget").wait_for(state="attached")
    assert saved.is_visible()
    assert not page.page.get_by_text("Error displaying widget").is_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_420_pixels_and_both_themes(notebook: Open, dark: bool) -> None:
    """Nothing is cut off at the side, and text stands out from its background."""
    page = notebook([SETUP, "Lens(sample_reply(200), lab=True)"])
    if dark:
        page.dark()
    lens = opened(page)
    lens.evaluate("node => { node.style.width = '420px' }")
    wide = lens.evaluate(
        """node => [...node.querySelectorAll('*')].filter(each =>
            each.getBoundingClientRect().right > node.getBoundingClientRect().right + 1
            && !each.closest('.token')).map(each => each.outerHTML.slice(0, 90))"""
    )
    assert wide == []
    contrasts = lens.evaluate(
        """node => {
            const light = color => {
                const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map(value => {
                    const part = value / 255;
                    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            return [...node.querySelectorAll('.legend .swatch')].slice(0, 7).map(each => {
                const style = getComputedStyle(each);
                const paper = getComputedStyle(node).backgroundColor;
                const clear = /, 0\\)$|transparent/.test(style.backgroundColor);
                const pair = [light(style.color), light(clear ? paper : style.backgroundColor)];
                return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
            });
        }"""
    )
    assert len(contrasts) == 7
    assert min(contrasts) >= 4.5


def test_a_reply_is_continued_in_the_lab(notebook: Open, server: Loopback) -> None:
    """From another token of the table, side by side as they stream; the sliders are sent along."""
    words = ["The", " quick", " fox"]
    entries = [
        {
            "token": word,
            "logprob": -0.5,
            "top_logprobs": [{"token": word, "logprob": -0.5}, {"token": " dog", "logprob": -2}],
        }
        for word in words
    ]
    hold = Hold()
    server.reply(Reply(chunks=words, logprobs=entries))
    load = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    ask = "%%chat --logprobs 2 --seed 5\nSay something."
    page = notebook([f"{load}", ask, "%chat lab 1:3", "%chat adopt 2"])
    page.run(0)
    page.run(1)
    page.run(2)
    lens = page.shown(2).locator(".di-lens")
    lens.get_by_role("slider", name="temperature").focus()
    page.page.keyboard.press("ArrowRight")
    lens.get_by_role("button", name="·fox", exact=True).focus()
    page.page.keyboard.press("ArrowDown")
    page.page.keyboard.press("Enter")
    button = lens.get_by_role("button", name="Continue from here with ·dog")
    server.reply(*(Reply(chunks=[f" barks {n}", hold, "!"]) for n in range(4)))
    button.click()
    replies = lens.get_by_role("region", name="Continued replies")
    replies.get_by_text("The quick dog barks 3").wait_for()
    assert button.get_attribute("aria-disabled") == "true"
    assert page.js("() => document.activeElement.textContent").startswith("Continue from here")
    hold.release()
    replies.get_by_text("The quick dog barks 3!").wait_for()
    lens.get_by_text("%chat adopt 0 makes the first one the reply").wait_for()
    assert replies.get_by_role("button").count() == 0
    sent = [chat.json for chat in server.chats[1:]]
    assert [body["temperature"] for body in sent] == [1.01] * 4
    assert sorted(body["seed"] for body in sent) == [5, 6, 7, 8]
    # The four are asked at once, so any of them may get any of the server's replies.
    shown = re.findall(r"barks \d!", replies.inner_text())
    assert sorted(shown) == [f"barks {n}!" for n in range(4)]
    page.run(3)
    page.shown(3).get_by_text(f"The quick dog {shown[2]}").wait_for()


def test_a_reply_that_cannot_be_continued_is_said(notebook: Open) -> None:
    """In one line, and the button works again."""
    source = """from di_magics.core.errors import ChatError
def continue_from(position, token, values, order, show):
    raise ChatError("The server is gone. Ask again.")
Lens(sample_reply(60), lab=True, at=10, continue_from=continue_from)"""
    page = notebook([SETUP, source])
    lens = opened(page)
    button = lens.get_by_role("button", name="Continue from here")
    button.click()
    lens.get_by_text("The server is gone. Ask again.").wait_for()
    assert button.get_attribute("aria-disabled") == "false"


def test_the_strip_has_the_colours_of_a_new_theme(notebook: Open) -> None:
    """At once, without a token being chosen."""
    page = notebook([SETUP, "Lens(sample_reply(60))"])
    strip = opened(page).locator(".strip")
    colour = """node => [...node.getContext('2d').getImageData(0, 0, node.width, node.height).data]
        .reduce((sums, value, i) => (sums[i % 4] += value, sums), [0, 0, 0, 0]).join()"""
    light = strip.evaluate(colour)
    page.dark()
    page.page.wait_for_function(
        f"([node, light]) => ({colour})(node) !== light", arg=[strip.element_handle(), light]
    )


def test_a_narrow_lab_has_its_sliders_below_the_text(notebook: Open) -> None:
    """The table is below them; on a touch screen what is tapped is at least 24 pixels high."""
    page = notebook([SETUP, "Lens(sample_reply(200), lab=True)"])
    lens = opened(page)
    lens.evaluate("node => { node.style.width = '600px' }")
    parts = [lens.locator(f"css={name}").first for name in (".text", ".sliders", "tbody")]
    text, sliders, table = [part.bounding_box() for part in parts]
    assert text
    assert sliders
    assert table
    assert text["y"] < sliders["y"] < table["y"]
    assert sliders["y"] + sliders["height"] - text["y"] < 700
    session = page.page.context.new_cdp_session(page.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    lens.evaluate(
        """node => { if (!matchMedia('(pointer: coarse)').matches) throw Error('no touch'); }"""
    )
    small = lens.evaluate(
        """node => [...node.querySelectorAll('button, input, .text .t')].filter(each => {
            const [box] = each.getClientRects();
            return box && box.height < 24;
        }).map(each => each.outerHTML.slice(0, 90))"""
    )
    assert small == []


def test_a_repetition_penalty_reads_the_zero_of_the_logits(notebook: Open) -> None:
    """Position by position, the one that is looked at first; until then nothing is guessed."""
    source = """from threading import Event
go_on = Event()
read_zeros = lambda at: go_on.wait(60) and [20.0] * len(at)
Lens(sample_reply(60), lab=True, at=50, read_zeros=read_zeros)"""
    page = notebook([SETUP, source, "go_on.set()"])
    lens = opened(page)
    slider = lens.get_by_role("slider", name="repetition_penalty")
    before, text = counts(lens), lens.locator(".legend").inner_text()
    slider.focus()
    for _ in range(10):
        page.page.keyboard.press("ArrowRight")
    lens.get_by_role("button", name="computing").wait_for()
    assert not lens.get_by_role("button", name="not known").is_visible()
    page.run(2)
    page.page.wait_for_function(
        """([lens, before]) => lens.querySelector('.legend').innerText !== before
            && ![...lens.querySelectorAll('.note')].some(note => /reads/.test(note.textContent))""",
        arg=[lens.element_handle(), text],
    )
    after = counts(lens)
    assert sum(after.values()) == 60
    assert after != before
    assert not lens.get_by_role("button", name=re.compile("not known|computing")).is_visible()


def test_a_position_that_cannot_be_known_has_its_reason(notebook: Open) -> None:
    """It is the first that is read; the others follow."""
    find = (
        "asked = []\ndef read(positions):\n    asked.append(positions)\n"
        "    return [None if at == 50 else 2 for at in positions]"
    )
    source = find + "\nLens(sample_reply(60), lab=True, at=50, read_zeros=read)"
    page = notebook([SETUP, source, "print('first', asked[0], max(map(len, asked)))"])
    lens = opened(page)
    lens.get_by_role("slider", name="repetition_penalty").focus()
    page.page.keyboard.press("ArrowRight")
    lens.get_by_text("Not known: the model's answer does not show the logits there.").wait_for()
    lens.get_by_text("Not known at 1 position: the model's answer").wait_for()
    lens.get_by_role("button", name="not known").wait_for()
    page.run(2)
    page.shown(2).get_by_text("first [50] 16").wait_for()


def test_the_file_has_no_log_probabilities_where_widget_states_are_saved(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nor scripts: `%chat forget` could not delete them there."""
    saving = {"@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True}}
    from lab import Lab, Notebook

    with Lab(tmp_path_factory.mktemp("saving"), settings=saving) as lab:
        sliders = "import ipywidgets; ipywidgets.IntSlider(value=77)"
        panel = "%load_ext di_magics\n%chat panel"
        lab.write("a.ipynb", [SETUP, "Lens(sample_reply(60), lab=True)", sliders, panel])
        page = Notebook(lab, chromium, "a.ipynb")
        opened(page)
        page.run(2)
        page.run(3)
        page.shown(3).locator(".di-panel").wait_for()
        for _ in range(10):  # a widget has no state to be saved soon after it is shown
            saved = page.save()["metadata"]["widgets"]
            states = saved["application/vnd.jupyter.widget-state+json"]["state"]
            names = {name for entry in states.values() for name in entry["state"]}
            if not (kept := names & {"packed", "_esm", "own_id", "state", "models"}):
                break
        page.close()
    assert not kept
    assert '"value": 77' in json.dumps(states)
    assert len(json.dumps(states)) < 5_000
