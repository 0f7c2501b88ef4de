"""The whole of it as a user meets it: JupyterLab in a real Chromium, a cell, a mouse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from hostile import FRAGMENTS, HARMLESS_ELEMENTS, documents, structured
from loopback import CountingServer, Drop, Fault, Hold, Loopback, Pace, Reply

from di_magics.display import markdown as render

if TYPE_CHECKING:
    from lab import Lab, Notebook
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

Open = Callable[..., "Notebook"]

RICH = "## A heading\n\nThe *sum* $a+b$ costs $5 and $10.\n\n```python\nx = 1\n```\n\n"
MIMES = {"text/html", "text/markdown", "text/plain"}


def setup(server: Loopback) -> str:
    """Return the cell that loads the extension and points it at the server."""
    return f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics"


def ready(notebook: Open, server: Loopback, *cells: str) -> Notebook:
    """Open a notebook with the extension loaded in its first cell."""
    opened = notebook([setup(server), *cells])
    opened.run(0)
    return opened


def test_a_reply_streams_formatted_and_stays_in_the_file(notebook: Open, server: Loopback) -> None:
    """Mid-stream there are a heading, typeset math and a Stop button; the file keeps the reply."""
    hold = Hold()
    server.reply(Reply(chunks=[RICH, "And more", hold, " to come."]))
    page = ready(notebook, server, "%%chat\nhi")
    page.start(1)
    area = page.shown(1)
    area.locator("h2", has_text="A heading").wait_for()
    area.locator("mjx-container").first.wait_for()
    area.get_by_role("button", name="Stop").wait_for()
    assert area.locator("mjx-container").count() == 1
    hold.release()
    (output,) = page.wait(1)
    area.get_by_text("And more to come.").wait_for()
    area.locator("mjx-container").first.wait_for()
    assert area.locator("mjx-container").count() == 1
    assert area.get_by_role("button", name="Stop").count() == 0
    (saved,) = page.save()["cells"][1]["outputs"]
    assert set(output["data"]) == set(saved["data"]) == MIMES
    assert saved["metadata"]["di_magics"]["prompt"] == "hi"
    assert page.errors == []


def test_stop_keeps_the_partial_reply(notebook: Open, server: Loopback) -> None:
    """Stop reaches the kernel while the cell runs: the cell ends well, with what had come."""
    server.reply(Reply(chunks=["The first half", Hold()]))
    page = ready(notebook, server, "%%chat\nhi")
    page.start(1)
    page.shown(1).get_by_text("The first half").wait_for()
    page.shown(1).get_by_role("button", name="Stop").click()
    (output,) = page.wait(1)
    assert "The first half" in output["data"]["text/html"]
    assert "stopped by you" in output["data"]["text/plain"]
    assert server.requests[0].closed.wait(5)
    (saved,) = page.save()["cells"][1]["outputs"]
    assert "The first half" in "".join(saved["data"]["text/plain"])


def test_a_long_text_is_shown_in_blocks(notebook: Open, server: Loopback) -> None:
    """A browser needs quadratic time for a long one of mixed directions; the text is the same."""
    hold = Hold()
    text = "א1a" * 3000 + "\n" + "é b\n" * 2000
    server.reply(Reply(chunks=["```\n", text[:9500], hold, text[9500:], "```\n"]))
    page = ready(notebook, server, "%%chat\nhi")
    page.start(1)
    growing = page.shown(1).locator("pre.di-code")
    page.page.wait_for_function(
        "([node, size]) => node.textContent.length === size", arg=[growing.element_handle(), 9500]
    )
    assert growing.text_content() == text[:9500]
    assert growing.evaluate("node => [...node.children].every(b => b.innerText.length <= 3000)")
    hold.release()
    page.wait(1)
    code = page.shown(1).locator("pre > code")
    assert code.text_content() == text
    assert code.evaluate("node => [...node.children].every(b => b.innerText.length <= 3000)")


def test_finished_blocks_are_drawn_once(notebook: Open, server: Loopback) -> None:
    """A heading that was there is the very same element after more has come."""
    more, rest = Hold(), Hold()
    server.reply(Reply(chunks=["## One\n\ntext\n\n", more, "## Two\n\nmore", rest]))
    page = ready(notebook, server, "%%chat\nhi")
    page.start(1)
    page.shown(1).locator("h2", has_text="One").evaluate("node => { node.dataset.seen = 'yes' }")
    more.release()
    page.shown(1).locator("h2", has_text="Two").wait_for()
    assert page.shown(1).locator("h2[data-seen=yes]").count() == 1
    rest.release()
    page.wait(1)


def test_a_second_view_shows_everything(notebook: Open, server: Loopback) -> None:
    """A new view of the output, opened while it streams, has all that came before it."""
    hold = Hold()
    server.reply(Reply(chunks=["The first half", hold, " and the second."]))
    page = ready(notebook, server, "%%chat\nhi")
    page.start(1)
    page.shown(1).get_by_text("The first half").wait_for()
    page.js("() => { jupyterapp.commands.execute('notebook:create-output-view') }")
    page.page.locator(".jp-LinkedOutputView").get_by_text("The first half").wait_for()
    hold.release()
    page.page.locator(".jp-LinkedOutputView").get_by_text("and the second.").wait_for()
    page.page.evaluate("() => jupyterapp.shell.currentWidget.close()")
    page.wait(1)


LOSE_THE_SECOND = """
from di_magics.display import channel, widgets
channel.EARLY_SECONDS = 0
post = widgets.Widget.post
widgets.Widget.post = lambda self, message: message.get("n") == 1 or post(self, message)
"""


def test_a_lost_delta_is_asked_for(notebook: Open, server: Loopback) -> None:
    """The kernel's output channel may drop a message; the text has no hole all the same."""
    holds = [Hold() for _ in range(3)]
    parts = ["one ", "two ", "three "]
    chunks = [step for part, hold in zip(parts, holds, strict=True) for step in (part, hold)]
    server.reply(Reply(chunks=chunks))
    page = ready(notebook, server, LOSE_THE_SECOND, "%%chat\nhi")
    page.run(1)
    page.start(2)
    for hold in holds[:2]:
        hold.reached.wait(10)
        hold.release()
    page.shown(2).get_by_text("one two three").wait_for()
    holds[2].release()
    page.wait(2)


def test_stop_interrupts_where_messages_wait_for_the_cell(
    server: Loopback, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With comms over subshells turned off, Stop interrupts the kernel and keeps what had come."""
    from lab import Lab, Notebook

    server.reply(Reply(chunks=["The first half", Hold()]))
    off = {"@jupyterlab/apputils-extension:kernels-settings": {"commsOverSubshells": "disabled"}}
    with Lab(tmp_path_factory.mktemp("disabled"), settings=off) as lab:
        lab.write("a.ipynb", [setup(server), "%%chat\nhi"])
        page = Notebook(lab, chromium, "a.ipynb")
        page.run(0)
        page.start(1)
        page.shown(1).get_by_text("The first half").wait_for()
        page.shown(1).get_by_role("button", name="Stop").click()
        final, error = page.wait(1)
        page.close()
    assert "The first half" in final["data"]["text/html"]
    assert error["ename"] == "Interrupted"


def test_stop_by_keyboard(notebook: Open, server: Loopback) -> None:
    """The Stop button takes the focus, Enter presses it, and the notebook has its keys again."""
    server.reply(Reply(chunks=["The first half", Hold()]))
    page = ready(notebook, server, "%%chat\nhi")
    page.start(1)
    page.shown(1).get_by_text("The first half").wait_for()
    page.shown(1).get_by_role("button", name="Stop").focus()
    page.page.keyboard.press("Enter")
    (output,) = page.wait(1)
    assert "stopped by you" in output["data"]["text/plain"]
    page.page.keyboard.press("ArrowUp")
    assert page.js("() => panel.content.activeCellIndex") == 0


def test_the_square_ends_run_all(notebook: Open, server: Loopback) -> None:
    """■ leaves the partial reply and one line, and the cells below do not run."""
    server.reply(Reply(chunks=["The first half", Hold()]))
    page = ready(notebook, server, "%%chat\nhi", "print('paid on')")
    page.js("() => { jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.shown(1).get_by_text("The first half").wait_for()
    page.interrupt()
    page.interrupt()
    page.shown(1).get_by_text("Interrupted").wait_for()
    final, error = page.outputs(1)
    assert "The first half" in final["data"]["text/html"]
    assert error["ename"] == "Interrupted"
    assert len(error["traceback"]) == 1
    assert page.outputs(2) == []


def test_a_dead_server_leaves_the_partial_reply(notebook: Open, server: Loopback) -> None:
    """A connection that breaks off: the partial reply is saved, and one line says what to do."""
    server.reply(Reply(chunks=["The first half", Drop(reset=True)]))
    page = ready(notebook, server, "%%chat\nhi")
    page.run(1)
    final, error = page.save()["cells"][1]["outputs"]
    assert "The first half" in "".join(final["data"]["text/html"])
    assert error["ename"] == "StreamBroken"
    assert page.shown(1).get_by_text("run the cell again").count() == 1


def test_a_refusal_is_one_line(notebook: Open, server: Loopback) -> None:
    """A wrong key shows the server's words and the next step, and no traceback."""
    server.reply(Fault(401, {"detail": {"error": "Not authenticated"}}))
    page = ready(notebook, server, "%%chat\nhi")
    page.run(1)
    shown = page.shown(1).inner_text()
    assert "Not authenticated" in shown
    assert "Traceback" not in shown


# What the live view never makes: another element, or an attribute that a reply chose.
FOREIGN = """root => [...root.querySelectorAll('.di-text *')].filter(node =>
    !node.closest('mjx-container, pre > .di-code-bar') && (
        !ELEMENTS.includes(node.localName)
        || [...node.attributes].some(a => !ATTRIBUTES.includes(a.name))
        || [...node.classList].some(
            name => !/^(jp-Rendered\\w+|(mathjax|tex2jax)_\\w+|di-[\\w-]+|\u037c\\w+)$/.test(name))
)).map(node => node.outerHTML.slice(0, 200))""".replace(
    "ELEMENTS", str(sorted(HARMLESS_ELEMENTS - {"details", "summary"}))
).replace("ATTRIBUTES", str(["align", "class", "href", "rel", "start", "target"]))

HOSTILE = """\
Hello.

<script>window.ran = 'script'</script>
<img src="URL/a.png" onerror="window.ran = 'img'">
<iframe srcdoc="<script>parent.ran = 'iframe'</script>"></iframe>
<style>.jp-Notebook { display: none !important }</style>
<svg onload="window.ran = 'svg'"></svg><form action="URL/f"><input autofocus></form>
<div style="background: url(URL/b.png)">styled</div>

[click](javascript:window.ran='link') ![remote](URL/c.png) [![nested](URL/d.png)](URL/e)
<javascript:window.ran='auto'> [ref]

[ref]: javascript:window.ran='ref'

- item <img src=x onerror="window.ran = 'list'">

$\\href{javascript:window.ran='math'}{x}$ $<img src=x onerror="window.ran = 'math-img'">$

The end.
"""

DANGEROUS = """root => [...root.querySelectorAll('*')].filter(node =>
    ['SCRIPT', 'IFRAME', 'STYLE', 'IMG', 'SVG', 'FORM', 'INPUT', 'OBJECT', 'EMBED', 'LINK', 'VIDEO']
        .includes(node.tagName.toUpperCase())
        && !node.closest('mjx-container, .di-live > style, [data-icon]')
    || [...node.attributes].some(a => a.name.startsWith('on')
        || (/^(href|src|xlink:href|action)$/.test(a.name) && /^\\s*(javascript|data|vbscript):/i
            .test(a.value)))
).map(node => node.outerHTML.slice(0, 200))"""


def harmless(page: Notebook, cell: int, web: CountingServer) -> None:
    """Check that nothing of a model's words runs, is an element that could, or was loaded."""
    area = page.shown(cell)
    area.get_by_text("The end.").first.wait_for()
    for link in area.locator("a").all():
        href = link.get_attribute("href") or ""
        assert href.startswith(("http://", "https://", "mailto:", "#")) or not href, href
    assert area.evaluate(DANGEROUS) == []
    assert page.js("() => window.ran") is None
    assert page.page.locator(".jp-Notebook").first.is_visible()
    assert web.requests == []


def test_html_of_a_reply_never_runs(notebook: Open, server: Loopback) -> None:
    """HTML, scripts, links and images of a model do nothing: live, final, and reopened trusted."""
    with CountingServer() as web:
        hold = Hold()
        server.reply(Reply(chunks=[HOSTILE.replace("URL", web.origin), hold, "\n\nBye."]))
        page = ready(notebook, server, "%%chat\nhi")
        page.start(1)
        harmless(page, 1, web)
        hold.release()
        page.wait(1)
        harmless(page, 1, web)
        page.save()
        page.reload(trusted=True)
        harmless(page, 1, web)


DIAGRAM = """%%{init: {"themeCSS": "* {background: url(URL/css.png)}"}}%%
flowchart TD
A@{ img: "URL/shape.png", h: 60, w: 60 }
B["<img src=URL/label.png onerror=window.ran=1>"]"""
CONTAINERS = (
    "",
    "- ",
    "- - ",
    "* > ",
    "> 1. + ",
    "- [ ] ",
    "   ",
    "a\n\n: ",
    "[^1]: ",
    "| a |\n|---|\n| ",
)
FENCES = (("```mermaid", "```"), ("~~~\u00a0mermaid", "~~~"), ("```&#109;ermaid", "```"))


def test_no_fence_is_drawn_by_its_language(notebook: Open, server: Loopback) -> None:
    """A diagram in a reply stays code in whatever it is: live, final, and as Markdown alone."""
    diagrams = []
    for container in CONTAINERS:
        indent = "".join(c if c == ">" else " " for c in container.rpartition("\n")[2])
        for opening, closing in FENCES:
            body = f"{DIAGRAM}\n{closing}".replace("\n", f"\n{indent}")
            diagrams.append(f"{container}{opening}\n{indent}{body}")
    with CountingServer() as web:
        hold = Hold()
        text = "\n\n---\n\n".join([*diagrams, "The end."]).replace("URL", web.origin)
        server.reply(Reply(chunks=[text, "\n\nBye.\n\nBye.", hold]))
        page = ready(notebook, server, "%%chat\nhi", "")
        page.start(1)
        page.shown(1).get_by_text("Bye.").first.wait_for()
        harmless(page, 1, web)
        assert page.shown(1).locator("pre").count() > len(CONTAINERS)
        hold.release()
        (output,) = page.wait(1)
        harmless(page, 1, web)
        page.write(2, show_alone(output["data"]["text/markdown"]))
        page.run(2)
        harmless(page, 2, web)
        assert page.page.locator(".jp-RenderedMermaid").count() == 0


CJK = (
    "5~7 和 100~200。 (~2000) and (~5000) ~~gone~~ ~one~\n\n`1~2` 访问 https://a.b/c（中文）d，"
    "**https://a.b/~x**（e） https://a.b/中文。 www.a.bc，f [g~h](https://a.b/~i)\n\n"
)
HEBREW = (
    "שלום `a()`.\n\n- `b` אחד\n- **Google** שתיים\n\n> ציטוט $x\n> < y$\n\n|שם|n|\n|-|-|\n|א|1|"
    "\n\nEnglish `c`\n\n- item\n\n```\nd = 1\n```\n\n"
)
DIRECTIONS = """
area => [...area.querySelectorAll("p, li, ul, blockquote, table, td, pre, :not(pre) > code")]
  .map(node => [node.localName, getComputedStyle(node).direction, node.innerText.slice(0, 4)])
  .filter(([name, , text]) => !text.startsWith("The"))"""
LINKS = "area => [...area.querySelectorAll('a')].map(a => [a.textContent, a.href])"


def test_texts_without_spaces_look_the_same_live_and_saved(
    notebook: Open, server: Loopback
) -> None:
    """Ranges such as 5~7 are not struck through, and an address ends where its sentence goes on."""
    hold = Hold()
    server.reply(Reply(chunks=[CJK, "The end", hold]))
    page = ready(notebook, server, "%%chat\nhi")
    page.start(1)
    area = page.shown(1).locator(".di-text")
    area.get_by_text("The end").wait_for()
    live = area.inner_text().strip()
    links = area.evaluate(LINKS)
    struck = area.locator("s").all_inner_texts()
    assert struck == ["gone"]
    assert links == [
        ["https://a.b/c", "https://a.b/c"],
        ["https://a.b/~x", "https://a.b/~x"],
        ["https://a.b/中文", "https://a.b/%E4%B8%AD%E6%96%87"],
        ["www.a.bc", "http://www.a.bc/"],
        ["g~h", "https://a.b/~i"],
    ]
    hold.release()
    page.wait(1)
    saved = page.shown(1)
    saved.get_by_text("not remembered").or_(saved.get_by_text("tokens")).first.wait_for()
    assert live in saved.inner_text()
    assert saved.evaluate(LINKS) == links
    assert saved.locator("s, del").all_inner_texts() == struck


def test_hebrew_looks_the_same_live_and_saved(notebook: Open, server: Loopback) -> None:
    """From right to left by the first letter of a block that is not code; a list by its own."""
    hold = Hold()
    server.reply(Reply(chunks=[HEBREW, "The end", hold]))
    page = ready(notebook, server, "%%chat\nhi")
    page.start(1)
    area = page.shown(1).locator(".di-text")
    area.get_by_text("The end").wait_for()
    live = area.evaluate(DIRECTIONS)
    sides = {name: side for name, side, _ in reversed(live)}
    assert sides == {
        **dict.fromkeys(("p", "ul", "li", "blockquote", "table", "td"), "rtl"),
        **dict.fromkeys(("pre", "code"), "ltr"),
    }
    assert ["li", "ltr", "item"] in live
    assert ">" not in area.locator("blockquote").inner_text()
    hold.release()
    page.wait(1)
    saved = page.shown(1)
    saved.get_by_text("tokens").first.wait_for()
    assert saved.evaluate(DIRECTIONS) == live


def test_html_and_its_classes_are_text_while_a_reply_streams(
    notebook: Open, server: Loopback
) -> None:
    """No element, class or TeX of a reply's HTML reaches the page; a formula is still typeset."""
    html = (
        '<b>bold</b> <div class="jp-Dialog jp-ThemedContainer"><a href="https://a.b">c</a></div>',
        f'<span class="mathjax_process tex2jax_process">{FORMULAS[0]}</span>',
        '<span class="mathjax_process">$\\DeclareMathOperator{\\alpha}{PWNED}$</span>',
        '<input name="body" id="main"> <a name="x" href="file:///etc">d</a> <h1 id="y">e</h1>',
    )
    hold = Hold()
    server.reply(Reply(chunks=["$x$ ", *html, "\n\n$\\alpha$\n\nThe end.", hold]))
    page = ready(notebook, server, "%%chat\nhi")
    page.start(1)
    area = page.shown(1)
    area.locator("mjx-container").nth(1).wait_for()
    assert area.locator("mjx-container").count() == 2
    for text in html:
        assert area.get_by_text(text).count() == 1
    assert area.evaluate(FOREIGN) == []
    hold.release()
    page.wait(1)


def test_the_saved_markdown_is_harmless_alone(notebook: Open, server: Loopback) -> None:
    """Where a trusted notebook shows only the saved `text/markdown`, nothing runs or loads."""
    with CountingServer() as web:
        server.reply(Reply(HOSTILE.replace("URL", web.origin)))
        page = ready(notebook, server, "%%chat\nhi", "")
        (output,) = page.run(1)
        page.write(2, show_alone(output["data"]["text/markdown"]))
        page.run(2)
        harmless(page, 2, web)


def test_hundreds_of_hostile_texts_are_harmless_alone_and_trusted(
    notebook: Open, record_property: Callable[[str, object], None]
) -> None:
    """JupyterLab's own trusted renderer makes nothing dangerous of what we save as Markdown."""
    page = notebook(["1"])
    sources = [*FRAGMENTS, *documents(400, seed=3)]
    bad = page.js(
        """async sources => {
            const dangerous = DANGEROUS;
            const bad = [];
            for (const [i, source] of sources.entries()) {
                const data = { 'text/markdown': source };
                const renderer = panel.content.rendermime.createRenderer('text/markdown');
                document.body.append(renderer.node);
                const model = panel.content.rendermime.createModel({ data, trusted: true });
                await renderer.renderModel(model);
                await panel.content.rendermime.latexTypesetter?.typeset(renderer.node);
                const found = dangerous(renderer.node);
                if (found.length || window.ran) bad.push([i, found, window.ran]);
                renderer.node.remove();
                window.ran = undefined;
            }
            return bad;
        }""".replace("DANGEROUS", DANGEROUS),
        [render.to_markdown(source) for source in sources],
    )
    record_property("attacks", [len(sources), len(sources) - len(bad)])
    assert [(sources[i], found, ran) for i, found, ran in bad] == []
    assert page.foreign == []


def test_dozens_of_hostile_texts_are_harmless_live(
    notebook: Open, server: Loopback, record_property: Callable[[str, object], None]
) -> None:
    """The live renderer makes nothing dangerous of what streams in, piece by piece."""
    sources = [*FRAGMENTS, *documents(60, seed=4)]
    hold = Hold()
    for source in sources:
        server.reply(Reply(chunks=[source[:9], source[9:], "\n\nThe end.", hold]))
    loop = f"for _ in range({len(sources)}): get_ipython().run_line_magic('chat', 'ask x')"
    page = notebook([setup(server), loop], own_page=True)
    page.run(0)
    hold.release()
    page.js(
        """() => {
            const dangerous = DANGEROUS;
            const foreign = FOREIGN;
            window.bad = [];
            const look = () => {
                for (const live of document.querySelectorAll('.di-live')) {
                    window.seen = (window.seen ?? new Set()).add(live);
                    window.bad.push(...dangerous(live), ...foreign(live));
                }
            };
            new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
        }""".replace("DANGEROUS", DANGEROUS).replace("FOREIGN", FOREIGN)
    )
    page.run(1, timeout=120)
    assert page.js("() => window.seen.size") > 20
    record_property("attacks", [len(sources)] * 2)
    assert page.js("() => [window.bad, window.ran]") == [[], None]
    assert page.foreign == []


FORMULAS = [
    f"${opening * 120}x{closing * 120}$"
    for opening, closing in (
        ("\\frac{1}{", "}"),
        ("\\left(", "\\right)"),
        ("\\begin{matrix}", "\\end{matrix}"),
    )
]


SLOW = {
    "formulas": "\n\n".join(FORMULAS),
    "marks": "*a " * 7000,
    "quotes": "> " * 3000,
    "table": "|" * 501 + "\n" + "|-" * 500 + "|\n" + "|a\n" * 1500,
    "backticks": " ".join("`" * count for count in range(1, 180)),
    "references": f"[a]: {'b' * 9999}\n\n" + "[a]\n\n" * 2000,
}


@pytest.mark.parametrize("slow", SLOW.values(), ids=SLOW)
def test_a_reply_made_to_be_slow_leaves_the_page_alone(
    notebook: Open, server: Loopback, slow: str
) -> None:
    """It is shown as it is; colouring it would keep the page busy for half a minute and more."""
    hold = Hold()
    server.reply(Reply(chunks=[slow, "\n\nHere it ends.\n\n", "And more", hold]))
    page = ready(notebook, server, "%%chat\nhi")
    page.js(
        """() => {
            let last = performance.now();
            window.longest = 0;
            setInterval(() => {
                window.longest = Math.max(window.longest, performance.now() - last);
                last = performance.now();
            }, 50);
        }"""
    )
    page.start(1)
    page.shown(1).get_by_text("Here it ends.").wait_for()
    assert page.shown(1).locator("mjx-container").count() == 0
    assert page.js("() => window.longest") < 5000
    hold.release()
    page.wait(1)


LOOKS = (
    "costs $5 and $10, \\\\(a\\\\) C:\\\\(b) \\$x\\$ \\\\ref{a} &#36;y&#36;",
    "\\begin{align}\na &= b \\\\\nc\n\\end{align}",
    "\\(a\\)\\(b\\) $c$ $$d<e$$\n\n\\[f\n= g\\]\n\n- h\n  $$\n  i\n  $$",
    "| a | b |\n|---|--:|\n| `c|d` | $|x|$ |\n| e<br>f | g \\| h |\n| 1 | 2 | 3 |",
    "1. a\n\n   ```python\n   x = {'$': \"<b>\"}\n   ```\n2. `$a` `<b>` `\\` `a[0](b)`\n"
    "   - [ ] c\n   - [x] d",
    "**a** *b* ***c*** ~~d~~ e**f**g **「h」**i **`j`** x<sub>2</sub> <sup>*</sup> a_b_c __init__",
    "> a\n> > b\n\n[x](https://a.b/(c) 't') ![y](https://a.b/d) "
    "https://a.b/e_f_g. a@b.c [z][1]\n\n[1]: https://a.b",
    "- - - - - - - - - - - - a\n\nafter @@0@@ & &lt; &amp;lt; AT&T \\* \\_ # 1. a",
    "1986\\. A\n\\# b\n\\- c\n\n1\\. d\n\n---\n\nSetext\n===\n\n"
    "    code <b> $x$\n\n~~~ a b\n$y$\n~~~",
    "<details><summary>*a* $5 <b>c</b></summary>\n\n- $x$\n\n```py\n<b>\n```\n</details>\n\nd",
    "```markdown\n# a\n\n```py\nb\n```\n\nc\n```\n\n$HOME/$USER and the $n$th",
)


def test_the_saved_markdown_alone_looks_like_the_html(notebook: Open) -> None:
    """JupyterLab shows the same text, formulas, tables, lists, links and emphasis for both."""
    page = notebook(["1"])
    sources = [*LOOKS, *structured(100, seed=5, words=True)]
    pairs = [[render.to_html(text), render.to_markdown(text)] for text in sources]
    looks = page.js(
        """async pairs => {
            const look = async (type, source) => {
                const renderer = panel.content.rendermime.createRenderer(type);
                document.body.append(renderer.node);
                const model = panel.content.rendermime.createModel({
                    data: { [type]: source }, trusted: true,
                });
                await renderer.renderModel(model);
                await panel.content.rendermime.latexTypesetter?.typeset(renderer.node);
                const { node } = renderer;
                node.querySelectorAll('.jp-InternalAnchorLink').forEach(link => link.remove());
                const tags = 'mjx-container, td, th, li, h1, blockquote, a, strong, em, sub, sup';
                const counts = {};
                for (const { localName } of node.querySelectorAll(tags)) {
                    counts[localName] = (counts[localName] ?? 0) + 1;
                }
                node.querySelectorAll('mjx-container').forEach(math => math.remove());
                const text = node.textContent.replace(/\\s+/g, '');
                node.remove();
                return [text, counts];
            };
            const looks = [];
            for (const [html, markdown] of pairs) {
                looks.push([await look('text/html', html), await look('text/markdown', markdown)]);
            }
            return looks;
        }""",
        pairs,
    )
    differ = [
        (text, *pair) for text, pair in zip(sources, looks, strict=True) if pair[0] != pair[1]
    ]
    assert differ == []


def show_alone(markdown: str) -> str:
    """Return a cell, trusted because the user runs it, that shows this Markdown."""
    return f"from IPython.display import Markdown\nMarkdown({markdown!r})"


def test_an_untrusted_notebook_is_legible(notebook: Open, server: Loopback) -> None:
    """Opened by somebody else, the reply and its receipt are there, formatted."""
    server.reply(Reply(RICH))
    page = ready(notebook, server, "%%chat\nhi")
    page.run(1)
    page.save()
    page.reload(trusted=False)
    area = page.shown(1)
    area.locator("h2", has_text="A heading").wait_for()
    area.locator("mjx-container").first.wait_for()
    assert area.locator("mjx-container").count() == 1
    assert area.get_by_text("server's defaults").is_visible()


def prompts(server: Loopback) -> list[list[str]]:
    """Return what each request sent, message by message."""
    return [[m["content"] for m in request.json["messages"]] for request in server.chats]


def test_restart_and_run_all_in_jupyterlab(notebook: Open, server: Loopback) -> None:
    """After a restart of the kernel every cell makes a variant of its own turn, in step."""
    server.reply(*(Reply(text) for text in ("a1", "b1", "a2", "b2")))
    page = ready(notebook, server, "%%chat\nA", "%%chat\nB")
    page.run(1)
    page.run(2)
    page.save()
    page.restart()
    page.run(0)
    (first,) = page.run(1)
    (second,) = page.run(2)
    assert "continues 2 turns from before" in first["data"]["text/plain"]
    assert "variant 2 of 2" in second["data"]["text/plain"]
    assert prompts(server)[2:] == [["A"], ["A", "a2", "B"]]


def test_copied_and_moved_cells(notebook: Open, server: Loopback) -> None:
    """A copied cell is a turn of its own; a moved one stays what it was."""
    server.reply(*(Reply(text) for text in ("a1", "a2", "a3")))
    page = ready(notebook, server, "%%chat\nA")
    page.run(1)
    page.js(
        """async () => {
            panel.content.activeCellIndex = 1;
            await jupyterapp.commands.execute('notebook:copy-cell');
            await jupyterapp.commands.execute('notebook:paste-cell-below');
        }"""
    )
    page.run(2)
    assert prompts(server)[1] == ["A", "a1", "A"]
    page.js(
        """async () => {
            panel.content.activeCellIndex = 1;
            await jupyterapp.commands.execute('notebook:move-cell-down');
        }"""
    )
    (moved,) = page.run(2)
    assert "variant 2 of 2" in moved["data"]["text/plain"]
    assert prompts(server)[2] == ["A"]


def test_a_split_cell(notebook: Open, server: Loopback) -> None:
    """The lower half stays the cell it was, and the upper one asks a turn of its own."""
    server.reply(*(Reply(text) for text in ("a1", "b1", "a2")))
    page = ready(notebook, server, "%%chat\nA\n%%chat\nB")
    page.write(1, "%%chat\nB")
    page.run(1)
    page.write(1, "%%chat\nA\n%%chat\nB")
    page.js(
        """async () => {
            const notebook = panel.content;
            notebook.activeCellIndex = 1;
            notebook.mode = 'edit';
            const editor = notebook.activeCell.editor;
            editor.setCursorPosition({ line: 2, column: 0 });
            await jupyterapp.commands.execute('notebook:split-cell-at-cursor');
        }"""
    )
    assert page.sources()[1:] == ["%%chat\nA", "%%chat\nB"]
    (upper,) = page.run(1)
    (lower,) = page.run(2)
    assert "variant" not in upper["data"]["text/plain"]
    assert "variant 2 of 2" in lower["data"]["text/plain"]
    assert prompts(server) == [["B"], ["B", "a1", "A"], ["B"]]


def test_a_notebook_renamed_while_it_runs(notebook: Open, server: Loopback) -> None:
    """It goes on, before and after a restart of the kernel."""
    server.reply(*(Reply(text) for text in ("a1", "b1", "c1")))
    page = ready(notebook, server, "%%chat\nA", "%%chat\nB", "%%chat\nC")
    page.run(1)
    page.save()
    page.js("() => panel.context.rename('renamed-while-it-runs.ipynb')")
    page.name = "renamed-while-it-runs.ipynb"
    page.run(2)
    page.save()
    page.restart()
    page.run(0)
    (third,) = page.run(3)
    assert "continues 2 turns from before" in third["data"]["text/plain"]
    assert prompts(server)[2] == ["A", "a1", "B", "b1", "C"]


def test_the_tree_is_a_table(notebook: Open, server: Loopback) -> None:
    """Branches, their replies, and in bold what the next question is sent with."""
    server.reply(*(Reply(f"reply {name} <b>") for name in "abc"))
    page = ready(notebook, server, "%%chat\nA", "%%chat\nB", "%chat history --tree")
    for cell in (1, 2, 1):
        page.run(cell)
    page.run(3)
    table = page.shown(3).locator("table")
    table.get_by_text("reply b <b>").wait_for()
    assert table.locator("tbody tr").count() == 3
    assert table.locator("td > b").all_inner_texts() == ["A", "◂ main"]


def test_a_page_reloaded_in_mid_stream_loses_nothing(notebook: Open, server: Loopback) -> None:
    """The reply goes on without a page; the next question follows it, and it can be shown."""
    hold = Hold()
    chunks: list[str | Hold | Pace] = ["The first", Pace(1), " half", hold, " and the second."]
    server.reply(Reply(chunks=chunks), Reply("b"))
    page = ready(notebook, server, "%%chat\nA", "%%chat\nB", "%chat show 1")
    page.save()
    page.start(1)
    page.shown(1).get_by_text("The first half").wait_for()
    page.page.evaluate("() => { window.onbeforeunload = null }")
    page.reload()
    hold.release()
    (second,) = page.run(2)
    assert prompts(server)[1] == ["A", "The first half and the second.", "B"]
    assert "turn 1 ended while its page was closed (%chat show 1)" in second["data"]["text/plain"]
    page.run(3)
    page.shown(3).get_by_text("The first half and the second.").wait_for()


def test_a_reply_streams_on_in_a_reloaded_page(notebook: Open, server: Loopback) -> None:
    """And its final output takes the widget's place there, with its receipt and the buttons."""
    holds = [Hold(), Hold(), Hold()]
    chunks: list[str | Hold | Pace] = ["The first", Pace(1), " half", holds[0], " and", holds[1]]
    server.reply(Reply(chunks=[*chunks, " the second."]), Reply("b"))
    page = ready(notebook, server, "%%chat\nA", "%%chat\nB")
    page.start(1)
    page.shown(1).get_by_text("The first half").wait_for()
    page.save()
    page.page.evaluate("() => { window.onbeforeunload = null }")
    page.reload()
    area = page.shown(1)
    area.get_by_text("The first half").wait_for()
    holds[0].release()
    area.get_by_text("The first half and").wait_for()
    area.get_by_role("button", name="Stop").wait_for()
    holds[1].release()
    area.get_by_text("The first half and the second.").wait_for()
    page.cell(1).get_by_role("button", name="Fork").wait_for()
    assert area.get_by_role("button", name="Stop").count() == 0
    (output,) = page.outputs(1)
    assert output["metadata"]["di_magics"]["turn"]
    (second,) = page.run(2)
    assert "its page was closed" not in second["data"]["text/plain"]


def test_a_page_loaded_after_the_end_shows_the_final_output(
    notebook: Open, server: Loopback
) -> None:
    """Saved in mid stream, the cell has the whole reply, its receipt and its buttons."""
    hold = Hold()
    chunks: list[str | Hold | Pace] = ["The first", Pace(1), " half", hold, " and the second."]
    server.reply(Reply(chunks=chunks))
    page = ready(notebook, server, "%%chat\nA")
    page.start(1)
    page.shown(1).get_by_text("The first half").wait_for()
    page.save()
    page.page.evaluate("() => { window.onbeforeunload = null }")
    page.page.goto("about:blank")
    hold.release()
    page.wait_until_kernel_is_idle()
    page.reload()
    page.shown(1).get_by_text("The first half and the second.").wait_for()
    page.cell(1).get_by_role("button", name="Fork").wait_for()
    assert page.shown(1).get_by_role("button", name="Stop").count() == 0
    (output,) = page.outputs(1)
    assert output["metadata"]["di_magics"]["turn"]


def test_a_restart_in_mid_stream_says_so(notebook: Open, server: Loopback) -> None:
    """The text that had come stays, with the way to the rest; nothing looks alive."""
    server.reply(Reply(chunks=["The first half", Hold()]))
    page = ready(notebook, server, "%%chat\nA")
    page.start(1)
    page.shown(1).get_by_text("The first half").wait_for()
    page.restart()
    page.shown(1).get_by_text("the kernel was restarted").wait_for()
    assert page.shown(1).get_by_role("button", name="Stop").count() == 0


def test_rerun_makes_a_variant(notebook: Open, server: Loopback) -> None:
    """Running a cell again replaces its reply and sends the prompt once."""
    page = ready(notebook, server, "%%chat\nhi")
    page.run(1)
    (output,) = page.run(1)
    assert "variant 2 of 2" in output["data"]["text/plain"]
    assert prompts(server) == [["hi"], ["hi"]]


@pytest.mark.local
@pytest.mark.timeout(900)  # the model has the cores that others leave it
def test_a_notebook_runs_on_the_built_in_model(notebook: Open, model_home: Path) -> None:
    """Run All in JupyterLab: every question is answered here, and saved so.

    `test_notebooks` runs all of them in a kernel, with what they say.
    """
    path = Path(__file__).parents[2] / "notebooks" / "01-first-chat.ipynb"
    first = f"%env DI_MAGICS_HOME={model_home}\n%load_ext di_magics\n%chat set max_tokens=40"
    page = notebook([first, *nbformat.read(path, as_version=4).cells])
    page.run_all(timeout=600)
    cells = page.save()["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert [output for output in outputs if output["output_type"] == "error"] == []
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells}
    chats = [cell for cell in cells if sources[cell["id"]].startswith("%%chat")]
    chats = [cell for cell in chats if "--dry-run" not in sources[cell["id"]]]
    assert chats
    for cell in chats:
        (output,) = cell["outputs"]
        assert set(output["data"]) == MIMES
        assert "on this machine" in "".join(output["data"]["text/plain"])


def test_notebook_7_streams_and_stops(server: Loopback, chromium: Browser, notebook_7: Lab) -> None:
    """In Notebook 7 the reply streams formatted, and Stop ends the cell well."""
    from lab import Notebook

    server.reply(Reply(chunks=[RICH, "The first half", Hold()]))
    notebook_7.write("seven.ipynb", [setup(server), "%%chat\nhi"])
    page = Notebook(notebook_7, chromium, "seven.ipynb")
    page.run(0)
    page.start(1)
    page.shown(1).locator("h2", has_text="A heading").wait_for()
    page.shown(1).get_by_role("button", name="Stop").click()
    (output,) = page.wait(1)
    page.close()
    assert "stopped by you" in output["data"]["text/plain"]


DROP = """() => new Promise((closed) => {
    const socket = panel.sessionContext.session.kernel._ws;
    socket.addEventListener('close', () => closed(true));
    socket.close();
})"""
DEAF = """() => {
    window.lost = '';
    panel.sessionContext.session.kernel._ws.onmessage = ({ data }) => {
        window.lost += typeof data === 'string' ? data : new TextDecoder().decode(data);
    };
}"""
LISTEN = """() => {
    let said = false;
    panel.sessionContext.session.kernel.anyMessage.connect((_, { msg, direction }) => {
        const type = msg.content?.data?.content?.type;
        said ||= direction === 'send' && type === 'here';
        window.answered ||= said && direction === 'recv' && type === 'whole';
    });
}"""
LOST = "() => ['update_display_data', 'execute_reply'].every((type) => window.lost.includes(type))"
CONNECTED = """() => {
    const panel = jupyterapp.shell.currentWidget;
    return panel.sessionContext.session.kernel.connectionStatus === 'connected';
}"""
REPLACED = """() => {
    const { cells } = jupyterapp.shell.currentWidget.content.model;
    return cells.get(1).outputs.get(0).data['text/plain'] !== '…';
}"""


def test_a_websocket_that_drops_in_the_middle_loses_nothing(
    notebook: Open, server: Loopback
) -> None:
    """The page connects again; what came meanwhile is there while it streams, and in the file."""
    holds = [Hold() for _ in range(3)]
    parts = ["The first part, ", "the second, ", "the third, "]
    chunks = [step for part, hold in zip(parts, holds, strict=True) for step in (part, hold)]
    server.reply(Reply(chunks=[*chunks, "the end."]))
    page = ready(notebook, server, "%%chat\nhi")
    page.start(1)
    page.shown(1).get_by_text(parts[0].strip()).wait_for()
    page.js(DROP)
    holds[0].release()
    assert holds[1].reached.wait(10)
    page.page.wait_for_function(CONNECTED)
    holds[1].release()
    page.shown(1).get_by_text("".join(parts).strip()).wait_for()
    page.js(DROP)
    holds[2].release()  # the server may lose the kernel's word that the cell has ended
    page.page.wait_for_function(REPLACED)
    (output,) = page.outputs(1)
    assert "".join([*parts, "the end."]) in output["data"]["text/plain"]
    (saved,) = page.save()["cells"][1]["outputs"]
    assert set(saved["data"]) == MIMES


def test_a_page_that_lost_the_end_asks_for_it_when_it_is_connected_again(
    notebook: Open, server: Loopback
) -> None:
    """The final output takes the place of the live view, and is saved."""
    hold = Hold()
    server.reply(Reply(chunks=["The first part, ", hold, "the end."]))
    page = ready(notebook, server, "%%chat\nhi")
    page.js(LISTEN)
    page.start(1)
    page.page.wait_for_function("() => window.answered")  # the kernel knows of the page
    page.js(DEAF)
    hold.release()
    page.page.wait_for_function(LOST)
    page.js(DROP)
    page.page.wait_for_function(REPLACED)
    (saved,) = page.save()["cells"][1]["outputs"]
    assert set(saved["data"]) == MIMES
    assert "The first part, the end." in "".join(saved["data"]["text/plain"])


def test_two_tabs_on_one_notebook_share_a_kernel_and_a_conversation(
    notebook: Open, server: Loopback, lab: Lab, chromium: Browser
) -> None:
    """Each shows its own cell's reply whole; Stop in one ends the reply that runs."""
    from lab import Notebook

    hold = Hold()
    server.reply(
        Reply(chunks=["From one ", hold, "tab."]), Reply(chunks=["The first half", Hold()])
    )
    one = ready(notebook, server, "%%chat\nhi", "%%chat\nagain")
    two = Notebook(lab, chromium, one.name)
    try:
        one.start(1)
        one.shown(1).get_by_text("From one").wait_for()
        two.start(2)
        hold.release()
        (output,) = one.wait(1)
        assert "From one tab." in output["data"]["text/plain"]
        two.shown(2).get_by_text("The first half").wait_for()
        two.shown(2).get_by_role("button", name="Stop").click()
        (output,) = two.wait(2)
        assert "stopped by you" in output["data"]["text/plain"]
        assert len(server.chats[1].json["messages"]) == 3
    finally:
        two._context.close()
