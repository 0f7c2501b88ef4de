"""Programs that render Markdown, each as trusting as it can be made: any of them may be used."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import mistune
from cmarkgfm.cmark import Options, markdown_to_html_with_extensions
from markdown_it import MarkdownIt
from nbconvert.filters.markdown import markdown2html

FOLDER = Path(__file__).parents[1] / "js"


@cache
def _markdown_it() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": True, "maxNesting": 100}).enable(
        ["table", "strikethrough"]
    )
    reader.validateLink = lambda url: True  # type: ignore[method-assign]
    return reader


@cache
def _mistune() -> mistune.Markdown:
    renderer = mistune.HTMLRenderer(escape=False, allow_harmful_protocols=True)
    plugins = ["table", "strikethrough", "url", "task_lists"]
    return mistune.create_markdown(renderer=renderer, plugins=plugins)


def _cmark_gfm(text: str) -> str:
    html: str = markdown_to_html_with_extensions(
        text,
        options=Options.CMARK_OPT_UNSAFE,
        extensions=["table", "strikethrough", "autolink", "tasklist"],
    )
    return html


READERS: dict[str, Callable[[str], str]] = {
    "markdown-it-py": lambda text: _markdown_it().render(text),
    "mistune": lambda text: str(_mistune()(text)),
    "cmark-gfm": _cmark_gfm,
    "nbconvert": lambda text: str(markdown2html(text)),
}


def read_all(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return what each program makes of each text, as HTML."""
    read = {name: [reader(text) for text in texts] for name, reader in READERS.items()}
    done = subprocess.run(
        ["node", FOLDER / "readers.mjs"],
        input=json.dumps(texts).encode(),
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"run npm install in {FOLDER}: {done.stderr.decode()}"
    pairs = json.loads(done.stdout)
    read["marked"] = [alone for alone, _ in pairs]
    read["marked with formulas"] = [with_formulas for _, with_formulas in pairs]
    return read
