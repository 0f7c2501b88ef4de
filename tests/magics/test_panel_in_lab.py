"""The panel as a user meets it: in JupyterLab and Notebook 7, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from loopback import Hold, Loopback, Reply

if TYPE_CHECKING:
    from lab import Lab, Notebook
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.browser

Open = Callable[..., "Notebook"]


def setup(server: Loopback) -> str:
    """Return the cell that loads the extension and points it at the server."""
    return f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"


def opened(page: Notebook, cell: int = 1) -> Locator:
    """Run the first cell and the panel's, and return the panel."""
    page.run(0)
    page.run(cell)
    panel = page.shown(cell).locator(".di-panel")
    panel.get_by_role("slider", name="temperature").wait_for()
    return panel


def value(panel: Locator, name: str) -> str:
    """Return what the number field of a parameter shows."""
    return panel.get_by_role("spinbutton", name=name, exact=True).input_value()


def press(slider: Locator, key: str, times: int = 1) -> None:
    """Press a key on a slider."""
    slider.focus()
    for _ in range(times):
        slider.press(key)


def test_a_slider_moved_while_a_reply_streams_holds_for_the_next(
    notebook: Open, server: Loopback
) -> None:
    """By keyboard, in mid stream: the kernel has it at once, the next request carries it."""
    hold = Hold()
    server.reply(Reply(chunks=["one", hold, " two"]))
    page = notebook([setup(server), "%chat panel", "%%chat\nA", "%%chat\nB"])
    panel = opened(page)
    page.start(2)
    page.shown(2).get_by_text("one").wait_for()
    slider = panel.get_by_role("slider", name="temperature")
    press(slider, "ArrowRight", 4)
    sent = panel.get_by_role("group", name="temperature").get_by_text("sent", exact=True)
    sent.wait_for()
    assert value(panel, "temperature") == "1.2"
    hold.release()
    page.wait(2)
    page.run(3)
    assert "temperature" not in server.chats[0].json
    assert server.chats[1].json["temperature"] == 1.2
    panel.get_by_role("button", name="Reset temperature").click()
    panel.get_by_role("group", name="temperature").get_by_text("not sent").wait_for()
    assert page.errors == []


def test_all_panel_views_show_a_change(notebook: Open, server: Loopback) -> None:
    """A second panel and a new view of the output show what is changed in the first."""
    page = notebook([setup(server), "%chat panel", "%chat panel"])
    panel = opened(page)
    page.run(2)
    page.js(
        """() => {
            panel.content.activeCellIndex = 1;
            jupyterapp.commands.execute('notebook:create-output-view');
        }"""
    )
    views = page.page.locator(".di-panel")
    linked = page.page.locator(".jp-LinkedOutputView .di-panel")
    linked.get_by_role("slider", name="seed").wait_for()
    assert views.count() == 3
    press(panel.get_by_role("slider", name="top_k"), "ArrowRight", 3)
    linked.get_by_role("group", name="top_k").get_by_text("sent", exact=True).wait_for()
    for view in views.all():
        field = view.get_by_role("spinbutton", name="top_k", exact=True)
        field.wait_for()
        page.page.wait_for_function("node => node.value === '3'", arg=field.element_handle())
    linked.get_by_role("button", name="Precise").click()
    panel.get_by_role("button", name="Precise", pressed=True).wait_for()
    assert value(panel, "temperature") == "0.2"
    assert value(panel, "top_k") == ""
    page.page.evaluate("() => jupyterapp.shell.currentWidget.close()")


LENS = f"""%run {Path(__file__).parents[1] / "lens_sample.py"}
from di_magics.display.lens import Lens
Lens(sample_reply(60), at=20, read_zeros=lambda at: [20.0] * len(at))"""


@pytest.mark.parametrize("dark", [False, True])
def test_the_last_position_looked_at_is_reshaped_as_sliders_move(
    notebook: Open, server: Loopback, dark: bool
) -> None:
    """At once and without a request; before a lens is used, a line says how to get one."""
    page = notebook([setup(server), "%chat panel", LENS])
    if dark:
        page.dark()
    panel = opened(page)
    preview = panel.get_by_role("region", name="Preview of the next token")
    preview.get_by_text("%chat lens").wait_for()
    page.run(2)
    tokens = page.shown(2).get_by_role("listbox").get_by_role("option")
    preview.get_by_text("token 21 of 60").wait_for()
    table = preview.get_by_role("table", name="What could stand here")
    assert 6 <= table.get_by_role("row").count() <= 8
    preview.get_by_text("tokens can be drawn").wait_for()
    temperature = panel.get_by_role("slider", name="temperature")
    press(temperature, "Home")
    preview.get_by_text("1 token can be drawn").wait_for()
    assert "100 %" in table.inner_text()
    tokens.nth(30).click()
    preview.get_by_text("token 31 of 60").wait_for()
    panel.get_by_role("button", name="Reset temperature").click()
    preview.get_by_text("tokens can be drawn").wait_for()
    before = table.inner_text()
    press(panel.get_by_role("slider", name="repetition_penalty"), "End")
    preview.get_by_text("tokens can be drawn").wait_for()
    page.page.wait_for_function(
        "([node, before]) => node.innerText !== before", arg=[table.element_handle(), before]
    )
    colors = preview.locator(".di-lens").evaluate(
        "node => [getComputedStyle(node).color, getComputedStyle(node).backgroundColor]"
    )
    assert (colors[0] > colors[1]) == dark
    assert not server.chats
    assert page.errors == []


def test_every_control_has_a_name(notebook: Open, server: Loopback) -> None:
    """In the accessibility tree: sliders, fields, lists, buttons and meters."""
    page = notebook([setup(server), "%chat budget 1\n%chat panel"])
    panel = opened(page)
    session = page.page.context.new_cdp_session(page.page)
    roles = {"slider", "spinbutton", "textbox", "combobox", "button", "meter", "image", "group"}
    node = session.send("DOM.getDocument", {"depth": -1})
    result = session.send(
        "DOM.querySelector", {"nodeId": node["root"]["nodeId"], "selector": ".di-panel"}
    )
    inside = session.send("Accessibility.queryAXTree", {"nodeId": result["nodeId"]})["nodes"]
    ours = [item for item in inside if item.get("role", {}).get("value") in roles]
    assert len(ours) > 45
    assert [item for item in ours if not item.get("name", {}).get("value")] == []
    names = {(item["role"]["value"], item["name"]["value"]) for item in ours}
    for name in ("temperature", "repetition_penalty", "seed"):
        assert {("slider", f"{name} slider"), ("spinbutton", name)} <= names
    assert {("textbox", "System prompt"), ("meter", "Budget spent")} <= names
    assert panel.get_by_role("combobox", name="Model").count() == 1


def test_what_is_being_typed_is_left_alone(notebook: Open, server: Loopback) -> None:
    """Values typed one after another all count; Enter commits a number, and breaks a line."""
    page = notebook([setup(server), "%chat panel", "%%chat\nhi"])
    panel = opened(page)
    keys = page.page.keyboard
    panel.get_by_role("spinbutton", name="temperature").click()
    keys.type("0.3")
    panel.get_by_role("spinbutton", name="top_k").click()
    keys.type("123", delay=60)
    panel.get_by_role("textbox", name="Budget in USD").click()
    keys.type("much")
    panel.get_by_role("spinbutton", name="max_tokens").click()
    panel.get_by_text("must be an amount of USD").wait_for()
    keys.type("40")
    keys.press("Enter")
    panel.get_by_role("group", name="max_tokens").get_by_text("sent", exact=True).wait_for()
    panel.get_by_role("textbox", name="System prompt").click()
    keys.type("one")
    keys.press("Enter")
    keys.type("two")
    panel.get_by_role("textbox", name="stop").click()
    keys.type("END")
    keys.press("Enter")
    keys.type("FIN")
    panel.get_by_role("spinbutton", name="seed").click()
    panel.get_by_role("group", name="stop").get_by_text("sent", exact=True).wait_for()
    page.run(2)
    sent = server.chats[0].json
    assert (sent["temperature"], sent["top_k"], sent["max_tokens"]) == (0.3, 123, 40)
    assert sent["messages"][0]["content"] == "one\ntwo"
    assert sent["stop"] == ["END", "FIN"]


def test_a_decimal_comma_is_a_number_and_arrows_step(notebook: Open, server: Loopback) -> None:
    """0,7 is 0.7, not 7; the arrow keys step within the range."""
    page = notebook([setup(server), "%chat panel", "%%chat\nhi"])
    panel = opened(page)
    field = panel.get_by_role("spinbutton", name="temperature")
    field.click()
    page.page.keyboard.type("0,7")
    page.page.keyboard.press("Enter")
    sent = panel.get_by_role("group", name="temperature").get_by_text("sent", exact=True)
    sent.wait_for()
    assert value(panel, "temperature") == "0.7"
    field.press("ArrowUp")
    assert value(panel, "temperature") == "0.75"
    top_k = panel.get_by_role("spinbutton", name="top_k")
    top_k.press("ArrowUp")
    top_k.press("ArrowDown")
    top_k.press("ArrowDown")
    assert value(panel, "top_k") == "0"
    panel.get_by_role("group", name="top_k").get_by_text("sent", exact=True).wait_for()
    page.run(2)
    assert server.chats[0].json["temperature"] == 0.75
    assert server.chats[0].json["top_k"] == 0


def test_escape_takes_back_what_was_typed(notebook: Open, server: Loopback) -> None:
    """In a number, after an error, and in a text: the field has the kernel's value again."""
    page = notebook([setup(server), "%chat set temperature=0.3\n%chat panel", "%%chat\nhi"])
    panel = opened(page)
    field = panel.get_by_role("spinbutton", name="temperature")
    field.fill("1.9")
    field.press("Escape")
    assert value(panel, "temperature") == "0.3"
    field.fill("9")
    field.press("Enter")
    error = panel.get_by_text("temperature is out of range")
    error.wait_for()
    field.press("Escape")
    assert value(panel, "temperature") == "0.3"
    error.wait_for(state="hidden")
    system = panel.get_by_role("textbox", name="System prompt")
    system.fill("Be rude.")
    system.press("Escape")
    assert system.input_value() == ""
    page.run(2)
    assert server.chats[0].json["temperature"] == 0.3
    assert [m["role"] for m in server.chats[0].json["messages"]] == ["user"]


def test_after_a_restart_the_panel_says_so(notebook: Open, server: Loopback) -> None:
    """It is greyed out, with what to do."""
    page = notebook([setup(server), "%chat panel"])
    panel = opened(page)
    page.restart()
    panel.get_by_text("The kernel was restarted: run this cell again").wait_for()
    assert panel.get_by_role("slider", name="temperature").is_disabled()


def test_panel_fits_230_pixels(notebook: Open, server: Loopback) -> None:
    """At 230 pixels nothing sticks out, and the sliders can still be moved."""
    page = notebook([setup(server), "%chat panel"])
    panel = opened(page)
    panel.evaluate("node => { node.parentElement.style.width = '230px' }")
    wide = panel.evaluate(
        """panel => [...panel.querySelectorAll('*')].filter(node =>
            node.getBoundingClientRect().right > panel.getBoundingClientRect().right + 1)
            .map(node => node.outerHTML.slice(0, 120))"""
    )
    assert wide == []
    box = panel.get_by_role("slider", name="temperature").bounding_box()
    assert box
    assert box["width"] > 60


def test_a_model_is_chosen_from_a_long_list_by_keyboard(notebook: Open, server: Loopback) -> None:
    """20,000 names, of which those in view are drawn; foreign names are text."""
    hostile = '<img src=x onerror="window.ran = 1"> \N{RIGHT-TO-LEFT OVERRIDE}b'
    many = [{"id": f"maker/model-{n}", "created": 1600000000 + n} for n in range(19_998)]
    tools = {"id": "maker/tool-user", "context_length": 8192, "supported_parameters": ["tools"]}
    server.models = [*many, tools, {"id": hostile, "created": 1700000000}]
    page = notebook([setup(server), "%chat panel", "%%chat\nhi"])
    panel = opened(page)
    field = panel.get_by_role("combobox", name="Model")
    options = panel.get_by_role("listbox", name="Models").get_by_role("option")
    field.press("ArrowDown")
    options.nth(5).wait_for()
    assert panel.get_by_text("20,000 of 20,000 models").is_visible()
    assert options.count() < 30
    options.first.click(trial=True)  # the titles do not cover it
    assert [node.inner_text() for node in options.all()[:2]] == [
        '<img src=x onerror="window.ran = 1"> ⟨U+202E⟩b\n2023-11-14',
        "maker/model-0\n2020-09-13",
    ]
    page.page.keyboard.type("TOOLS maker")
    panel.get_by_text("1 of 20,000 models").wait_for()
    assert options.get_attribute("aria-label") == "maker/tool-user, 8,192 tokens of context, tools"
    field.press("ArrowDown")
    assert field.get_attribute("aria-activedescendant") == options.get_attribute("id")
    field.press("Enter")
    panel.get_by_text("8,192 tokens of context").wait_for()
    assert not options.count()
    page.run(2)
    assert server.chats[0].json["model"] == "maker/tool-user"
    field.press("End")
    field.press("ArrowDown")
    page.page.keyboard.type("model-1999 ")  # in place of the model's name
    panel.get_by_text("9 of 20,000 models").wait_for()
    field.press("Escape")
    field.fill(hostile)
    field.press("ArrowDown")
    field.press("Enter")
    assert field.input_value() == hostile
    field.click()
    field.press("PageDown")
    page.page.keyboard.type("x")
    field.press("Escape")
    assert not options.count()
    assert field.input_value() == hostile
    assert panel.locator("img").count() == 0
    assert page.js("() => window.ran") is None
    assert page.errors == []


def test_settings_are_copied(notebook: Open, server: Loopback) -> None:
    """The clipboard has a `%%chat` cell with what is set."""
    page = notebook(
        [setup(server), "%chat panel"], permissions=["clipboard-read", "clipboard-write"]
    )
    panel = opened(page)
    press(panel.get_by_role("slider", name="min_p"), "ArrowRight")
    panel.get_by_role("group", name="min_p").get_by_text("sent", exact=True).wait_for()
    panel.get_by_role("button", name="Copy as %%chat").click()
    panel.get_by_text("copied").wait_for()
    copied = page.page.evaluate("() => navigator.clipboard.readText()")
    assert copied == "%%chat --min-p 0.01\nYour prompt"


def test_panel_works_in_notebook_7(server: Loopback, chromium: Browser, notebook_7: Lab) -> None:
    """The same panel, also while a reply streams."""
    from lab import Notebook

    hold = Hold()
    server.reply(Reply(chunks=["one", hold]))
    notebook_7.write("panel.ipynb", [setup(server), "%chat panel", "%%chat\nA", "%%chat\nB"])
    page = Notebook(notebook_7, chromium, "panel.ipynb")
    panel = opened(page)
    page.start(2)
    page.shown(2).get_by_text("one").wait_for()
    press(panel.get_by_role("slider", name="temperature"), "ArrowLeft", 2)
    panel.get_by_role("group", name="temperature").get_by_text("sent", exact=True).wait_for()
    hold.release()
    page.wait(2)
    page.run(3)
    page.close()
    assert server.chats[1].json["temperature"] == 0.9


def test_a_list_without_models_names_the_one_that_is_used(notebook: Open, server: Loopback) -> None:
    """As on the built-in model, which is the only one of its endpoint."""
    server.models = []
    page = notebook([setup(server), "%chat panel"])
    panel = opened(page)
    panel.get_by_role("combobox", name="Model").press("ArrowDown")
    panel.get_by_text("lists no models. Type a name; without one it is: m.").wait_for()
