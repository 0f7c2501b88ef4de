"""What the extension of JupyterLab and Notebook 7 adds to their pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from loopback import Hold, Loopback, Reply

if TYPE_CHECKING:
    from lab import Lab, Notebook
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.browser

Open = Callable[..., "Notebook"]
PROMPT = "%%chat -t 0\nA list **and** a for loop in `code`:\n\n* if it is not in the class"


def editor(page: Notebook, cell: int) -> Locator:
    """Return the text of a cell."""
    return page.cell(cell).locator(".cm-content")


def wait_for_prose(page: Notebook, cell: int, prose: bool = True) -> None:
    """Wait until a cell is shown as prose, or as code."""
    shown = editor(page, cell).and_(page.page.locator(".di-prose"))
    shown.wait_for(state="attached" if prose else "detached")


def wait_for_languages(page: Notebook, *languages: str) -> None:
    """Wait until the cells, from the first, have the colours of these; a language loads late."""
    for cell, language in enumerate(languages):
        coloured = page.page.locator(f"[data-language={language}]")
        editor(page, cell).and_(coloured).wait_for(state="attached")


def flags(page: Notebook, cell: int) -> list[str]:
    """Return the lines that are shown as flags."""
    return page.cell(cell).locator(".di-flags").all_inner_texts()


def errors(page: Notebook) -> list[str]:
    """Return what looks like an error on the page's console."""
    return [line for line in page.console if re.search(r"\berror|Error\b|Cannot", line)]


def test_prompts_are_prose_and_other_cells_are_code(notebook: Open) -> None:
    """By the first line that is neither empty nor a comment."""
    cells = [PROMPT, "x = 1", "%%time\n1 + 1", f"# note\n\n{PROMPT}", "%chat ask why in?"]
    page = notebook(cells)
    wait_for_prose(page, 3)
    wait_for_languages(page, "markdown", "python", "python", "markdown", "python")
    line = ["%%chat -t 0"]
    assert [flags(page, cell) for cell in range(5)] == [line, [], [], line, []]
    page.cell(0).locator(".cm-line").nth(1).locator("span").first.wait_for()
    assert errors(page) == []


def test_long_lines_of_a_prompt_are_wrapped(notebook: Open) -> None:
    """Those of code stay on one line."""
    text = "a long line " * 60
    page = notebook([f"%%chat\n{text}", f"# {text}"])
    wait_for_prose(page, 0)
    prose, code = (page.cell(cell).locator(".cm-scroller") for cell in (0, 1))
    inside = "node => node.scrollWidth <= node.clientWidth"
    assert prose.evaluate(inside)
    assert not code.evaluate(inside)


def test_a_cell_changes_with_its_text(notebook: Open) -> None:
    """Typed, undone, split, merged, pasted, moved, and with a new kernel."""
    page = notebook([PROMPT, "y = 2"])
    wait_for_prose(page, 0)

    editor(page, 0).click()
    page.page.keyboard.press("Control+Home")
    page.page.keyboard.insert_text("1 + ")
    wait_for_prose(page, 0, prose=False)
    wait_for_languages(page, "python")
    page.page.keyboard.press("Control+z")
    wait_for_prose(page, 0)

    page.restart()
    page.js("() => panel.content.model.sharedModel.setMetadata('language_info', {name: 'python'})")
    wait_for_prose(page, 0)

    def command(name: str, cell: int = 0) -> None:
        page.js("cell => { panel.content.activeCellIndex = cell }", cell)
        page.js("name => jupyterapp.commands.execute(name)", f"notebook:{name}")

    command("copy-cell")
    command("paste-cell-below", 1)
    wait_for_prose(page, 2)
    command("move-cell-up", 2)
    wait_for_prose(page, 1)
    wait_for_prose(page, 2, prose=False)
    page.js("""() => {
        panel.content.activeCellIndex = 0;
        panel.content.activeCell.editor.setCursorPosition({ line: 1, column: 0 });
        return jupyterapp.commands.execute('notebook:split-cell-at-cursor');
    }""")
    assert page.sources()[0] == "%%chat -t 0"
    wait_for_prose(page, 0)
    wait_for_prose(page, 1, prose=False)
    assert errors(page) == []


SLOW = (
    *("[a](", "[", "*a **a ", "_a __a ", "<a ", "![a](", "[a](b)", "[a][b]", "~~a ", ">", "$a"),
    *("> ", "- ", "1. ", "`a``", "http://a.b.", "|a", "a\\", "[a]: b\n", "\n$a\n", "- a\n  "),
)


def test_a_prompt_made_to_be_slow_leaves_the_page_alone(notebook: Open) -> None:
    """Whatever its length: with this text in it as Markdown, a key would take half a minute."""
    page = notebook(["1"], own_page=True)
    slow = page.js(
        """async units => {
            const model = cells.get(0).sharedModel;
            const wait = ms => new Promise(resolve => setTimeout(resolve, ms));
            const slow = [];
            for (const unit of units) {
                for (let size = 250; size <= 64_000; size *= 4) {
                    let longest = 0;
                    let last = performance.now();
                    model.setSource("%%chat\\n" + unit.repeat(size / unit.length));
                    for (let step = 0; step < 8; step += 1) {
                        if (step === 4) model.updateSource(size, size, "x");
                        await wait(5);
                        longest = Math.max(longest, performance.now() - last);
                        last = performance.now();
                    }
                    if (longest > 1000) slow.push([unit, size, Math.round(longest)]);
                }
                model.setSource("1");
                await wait(0);
            }
            return slow;
        }""",
        SLOW,
    )
    assert slow == []
    assert errors(page) == []


def test_the_file_is_what_it_would_be_without(notebook: Open) -> None:
    """No metadata of a cell or the notebook changes, and neither does the cell's MIME type."""
    page = notebook([PROMPT, "x = 1"])
    wait_for_prose(page, 0)
    before = page.save()
    types = page.js("() => Array.from(cells, cell => cell.mimeType)")
    assert types[0] == types[1]
    assert [cell["metadata"] for cell in before["cells"]] == [{}, {}]
    assert before["metadata"].keys() == {"kernelspec", "language_info"}
    assert before["metadata"]["language_info"]["name"] == "python"


def test_notebook_7_has_the_same(notebook_7: Lab, chromium: Browser) -> None:
    """It loads the same extension: prose, the chat panel, by its command, and tools at outputs."""
    from lab import Notebook
    from nbformat.v4 import new_code_cell, new_output

    record = {"turn": "0123456789abcdef", "prompt": "another one"}
    html = {"text/html": "<pre><code>y = 2</code></pre>"}
    saved = new_output("display_data", html, metadata={"di_magics": record})
    replies = [new_code_cell(PROMPT, outputs=[saved]) for _ in range(30)]
    notebook_7.write("n.ipynb", [PROMPT, "x = 1", *replies])
    page = Notebook(notebook_7, chromium, "n.ipynb")
    try:
        wait_for_prose(page, 0)
        wait_for_languages(page, "markdown", "python")
        page.js("() => jupyterapp.commands.execute('di-magics:open-chat-panel')")
        page.page.locator(".di-chat-panel").get_by_text("A list").first.wait_for()
        page.js("() => panel.content.scrollToItem(31)")
        page.cell(31).get_by_text("Answered an earlier version").wait_for()
        page.cell(31).get_by_role("button", name="Insert the code below").click()
        assert page.sources()[32:] == ["y = 2"]
        own = "reading 'schema'"  # Notebook 7.6 without any extension
        assert [line for line in errors(page) if own not in line] == []
    finally:
        page.close()


def test_markdown_cells_and_files_are_left_alone(notebook: Open, lab: Lab) -> None:
    """Also where their text begins with %%chat."""
    from nbformat.v4 import new_markdown_cell

    Path(lab.root / "prompt.py").write_text(PROMPT)
    page = notebook([PROMPT, new_markdown_cell(PROMPT)])
    wait_for_prose(page, 0)
    page.js("() => { panel.content.activeCellIndex = 1; panel.content.mode = 'edit' }")
    page.js("() => { panel.content.widgets[1].rendered = false }")
    editor(page, 1).wait_for()
    wait_for_prose(page, 1, prose=False)
    page.js("""async () => {
        await jupyterapp.commands.execute("docmanager:open", { path: "prompt.py" });
    }""")
    file = page.page.locator(".jp-FileEditor .cm-content")
    file.wait_for()
    assert "di-prose" not in (file.get_attribute("class") or "")
    assert page.page.locator(".jp-FileEditor .di-flags").count() == 0
    page.js("() => jupyterapp.shell.currentWidget.dispose()")


def test_the_status_bar_has_model_and_cost(notebook: Open, server: Loopback) -> None:
    """With a mark while a reply streams; also after a reload, and nothing without di_magics.

    A click opens the sidebar, where the panel of parameters unfolds; `%chat panel --side` does so.
    """
    hold = Hold()
    server.reply(Reply(chunks=["word", hold]))
    env = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=a/m"
    page = notebook([env, "%load_ext di_magics", "%%chat\nhi", "%chat panel --side"])
    item = page.page.locator(".di-status-item")
    page.run(0)
    assert not item.is_visible()
    page.run(1)
    item.get_by_text("Chat · —").wait_for()
    page.start(2)
    item.get_by_text("● m · $0", exact=True).wait_for()
    hold.release()
    page.wait(2)
    cost = item.get_by_text("m · $0.0000015", exact=True)
    cost.wait_for()

    page.save()
    page.reload()
    cost.wait_for()
    assert "a/m" in (item.get_attribute("title") or "")
    item.click()
    side = page.page.locator(".di-chat-panel")
    side.locator("textarea:focus").wait_for()
    side.get_by_text("Parameters · m").click()
    model = side.locator(".di-panel").get_by_role("combobox", name="Model")
    model.fill("other")
    model.press("Enter")
    item.get_by_text("other · ").wait_for()

    page.restart()
    item.wait_for(state="hidden")
    side.locator(".di-panel").wait_for(state="detached")
    page.run(1)
    page.run(3)
    page.shown(3).get_by_text("is shown in the sidebar").wait_for()
    side.locator(".di-panel").wait_for()
    assert not side.locator(":focus").count()
    assert errors(page) == []


def test_a_message_in_the_chat_panel_becomes_a_cell_and_runs(
    notebook: Open, server: Loopback
) -> None:
    """By keyboard: Enter sends, Shift+Enter breaks the line, the arrow brings the last one back.

    An empty cell at the place stays below, to write in.
    """
    server.reply(Reply("the first reply"), Reply("the second reply"))
    env = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    page = notebook([env, "x = 1", ""])
    page.page.locator(".jp-NotebookPanel-toolbar").get_by_text("Chat", exact=True).click()
    panel = page.page.locator(".di-chat-panel")
    hint = panel.get_by_text("Messages need %load_ext di_magics.")
    hint.wait_for()
    page.run(0)
    hint.wait_for(state="detached")
    message = panel.get_by_label("Message")
    message.fill("<b>one</b>")
    message.press("Shift+Enter")
    page.page.keyboard.type("two")
    message.press("Enter")
    page.shown(2).get_by_text("the first reply").wait_for()
    assert message.input_value() == ""
    assert page.sources()[2:] == ["%%chat\n<b>one</b>\ntwo", ""]

    message.press("ArrowUp")
    assert message.input_value() == "<b>one</b>\ntwo"
    message.fill("%%chat --once\nthree")
    page.js("() => { panel.content.activeCellIndex = 0 }")
    panel.get_by_label("Where the cell is added").select_option("below")
    panel.get_by_role("button", name="Send").click()
    page.shown(1).get_by_text("the second reply").wait_for()
    assert page.sources()[1] == "%%chat --once\nthree"

    turns = panel.get_by_role("listitem")
    panel.get_by_role("button", name="<b>one</b>").wait_for()
    assert turns.all_inner_texts() == ["three", "<b>one</b>"]
    turns.nth(1).get_by_role("button").click()
    assert page.js("() => panel.content.activeCellIndex") == 3
    assert [request.json["messages"][-1]["content"] for request in server.chats] == [
        "<b>one</b>\ntwo",
        "three",
    ]
    assert errors(page) == []


def test_the_reply_to_a_message_is_in_view_and_the_keys_of_jupyterlab_work(
    notebook: Open, server: Loopback, lab: Lab
) -> None:
    """Its cell is moved up where it would be at the edge; so is one that the list leads to."""
    server.reply(Reply("the first reply"), Reply("the second reply"))
    env = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    page = notebook([env, "print('a line\\n' * 40)", "print('a line\\n' * 40)"], own_page=True)
    for cell in range(3):
        page.run(cell)
    button = page.page.locator(".jp-NotebookPanel-toolbar jp-button", has_text="Chat")
    button.click()
    assert button.get_attribute("aria-pressed") != "true"
    panel = page.page.locator(".di-chat-panel")
    message = panel.get_by_label("Message")

    def wait_for_upper_half(cell: int) -> None:
        page.page.wait_for_function(
            """cell => {
                const [window, top] = [document.querySelector(".jp-WindowedPanel-outer"), cell]
                    .map(node => node.getBoundingClientRect());
                return top.top >= window.top && top.top < window.top + window.height / 2;
            }""",
            arg=page.cell(cell).element_handle(),
        )

    message.fill("one")
    message.press("Enter")
    page.shown(3).get_by_text("the first reply").wait_for()
    wait_for_upper_half(3)
    page.js("() => { panel.content.activeCellIndex = 1 }")
    panel.get_by_label("Where the cell is added").select_option("below")
    message.fill("two")
    message.press("Enter")
    page.shown(2).get_by_text("the second reply").wait_for()
    wait_for_upper_half(2)
    panel.get_by_role("button", name="one").click()
    wait_for_upper_half(4)

    message.press("Control+s")
    page.page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
    assert "%%chat\ntwo" in [cell.source for cell in nbformat.read(lab.root / page.name, 4).cells]
    assert errors(page) == []


def test_a_page_reloaded_in_mid_stream_does_not_ask_for_what_is_loaded(
    notebook: Open, server: Loopback
) -> None:
    """What the kernel has is known when it answers again."""
    hold = Hold()
    server.reply(Reply(chunks=["half", hold]))
    env = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    page = notebook([env, "%%chat\none"])
    page.run(0)
    page.start(1)
    page.shown(1).get_by_text("half").wait_for()
    page.save()
    page.page.evaluate("() => { window.onbeforeunload = null }")
    page.reload()
    page.page.locator(".jp-NotebookPanel-toolbar").get_by_text("Chat", exact=True).click()
    panel = page.page.locator(".di-chat-panel")
    panel.get_by_role("button", name="one").wait_for()
    assert panel.get_by_text("Messages need").count() == 0
    hold.release()
    panel.locator("summary").get_by_text("m").wait_for()


def test_the_chat_panel_opens_by_keyboard(notebook: Open) -> None:
    """From the command palette the message gets the focus, as often as it is chosen there."""
    page = notebook(["1"], own_page=True)
    keyboard = page.page.keyboard
    for _ in range(2):
        page.cell(0).locator(".jp-InputPrompt").click()
        keyboard.press("Control+Shift+c")
        page.page.locator(".lm-CommandPalette-input:focus").wait_for()
        keyboard.type("Chat panel")
        page.page.locator(".lm-CommandPalette-item.lm-mod-active", has_text="Chat panel").wait_for()
        keyboard.press("Enter")
        page.page.locator(".di-chat-panel textarea:focus").wait_for()


def test_files_that_are_dropped_on_the_message_are_attached(
    notebook: Open, server: Loopback, lab: Lab
) -> None:
    """From JupyterLab's file browser, from outside, and pasted: those are saved beside it."""
    server.reply(Reply("read"))
    Path(lab.root / "my notes.txt").write_text("from here")
    env = f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"
    page = notebook([env])
    page.run(0)
    page.js("() => jupyterapp.commands.execute('di-magics:open-chat-panel')")
    message = page.page.locator(".di-chat-panel form textarea")

    def wait_for(text: str) -> None:
        box = "document.querySelector('.di-chat-panel form textarea')"
        page.page.wait_for_function(f"text => {box}.value.includes(text)", arg=text)

    for kind, data in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        name = f"{kind}ped.txt"
        transfer = page.page.evaluate_handle(
            """name => {
                const data = new DataTransfer();
                data.items.add(new File(["from outside: " + name], name));
                return data;
            }""",
            name,
        )
        message.evaluate(
            """(box, [type, name, data]) => {
                const Kind = type === "drop" ? DragEvent : ClipboardEvent;
                const event = new Kind(type, { bubbles: true, cancelable: true, [name]: data });
                if (box.dispatchEvent(event)) throw new Error("nobody has taken it");
            }""",
            [kind, data, transfer],
        )
        wait_for(name)
    page.js("() => jupyterapp.commands.execute('filebrowser:activate')")
    page.js("() => jupyterapp.commands.execute('filebrowser:refresh')")
    page.page.locator(".jp-DirListing-item", has_text="my notes.txt").hover()
    box = message.bounding_box()
    assert box
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 20, box["y"] + 20, steps=5)
    page.page.mouse.up()
    wait_for("'./my notes")
    page.page.keyboard.type("What is in them?")
    page.page.keyboard.press("Enter")
    page.shown(1).get_by_text("read").wait_for()
    flags = r"%%chat -a dropped\.txt -a \./\d+-pasteped\.txt -a '\./my notes\.txt'"
    assert re.fullmatch(rf"{flags}\nWhat is in them\?", page.sources()[1])
    sent = str(server.chats[-1].json["messages"])
    for text in ("from here", "from outside: dropped.txt", "from outside: pasteped.txt"):
        assert text in sent
    assert errors(page) == []
