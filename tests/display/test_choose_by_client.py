"""A reply in the programs that are neither JupyterLab nor Notebook 7, by these programs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from loopback import Hold, Loopback, Reply

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.kernel
CELLS = ["%load_ext di_magics", "%%chat\nhi"]


@pytest.fixture
def env(server: Loopback, tmp_path: Path) -> Mapping[str, str]:
    """The environment of the program: the loopback server, and nothing of the user's Jupyter."""
    folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    own = {name: str(tmp_path / name.lower()) for name in folders}
    return {**os.environ, **own, "DI_MAGICS_BASE_URL": server.url, "DI_MAGICS_MODEL": "m"}


def write(folder: Path) -> None:
    """Write a notebook that asks once."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    nbformat.write(notebook, folder / "asks.ipynb")


def test_jupyter_console_shows_the_text_as_it_comes(
    server: Loopback, env: Mapping[str, str]
) -> None:
    """And the receipt below it, once."""
    import pexpect

    hold = Hold()
    server.reply(Reply(chunks=["The first half", hold, " and **the rest**."]))
    simple = "--ZMQTerminalInteractiveShell.simple_prompt=True"
    console = pexpect.spawn(
        sys.executable, ["-m", "jupyter", "console", simple], env=dict(env), encoding="utf-8"
    )
    console.timeout = 60
    try:
        console.expect(r"In \[1\]")
        console.sendline(CELLS[0])
        console.expect(r"In \[2\]")
        console.sendline("%chat ask Why?")
        console.expect("The first half")
        hold.release()
        console.expect(re.escape(" and **the rest**."))
        console.expect("finished")
        console.expect(r"In \[3\]")
        assert "first half" not in console.before
    finally:
        console.close(force=True)


def test_papermill_writes_the_reply_into_its_notebook(
    server: Loopback, env: Mapping[str, str], tmp_path: Path
) -> None:
    """Formatted, in one output."""
    server.reply(Reply(chunks=["The first half", " and **the rest**."]))
    write(tmp_path)
    command = (sys.executable, "-m", "papermill", "asks.ipynb", "ran.ipynb")
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    *_, cell = nbformat.read(tmp_path / "ran.ipynb", as_version=4).cells
    (output,) = cell.outputs
    assert "<strong>the rest</strong>" in output.data["text/html"]
    assert "finished" in output.data["text/plain"]


def test_voila_shows_the_reply(
    server: Loopback, env: Mapping[str, str], tmp_path: Path, chromium: Browser
) -> None:
    """As HTML, without a traceback and without a script of its own."""
    from lab import free_port

    server.reply(Reply(chunks=["The first half", " and **the rest**."]))
    write(tmp_path)
    port = free_port()
    options = ("--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1")
    command = (sys.executable, "-m", "voila", "asks.ipynb", *options)
    process = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout
        assert any("running at" in line for line in iter(process.stdout.readline, ""))
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.locator("strong", has_text="the rest").wait_for()
        page.get_by_text("server's defaults").wait_for()
        assert page.get_by_text("Traceback").count() == 0
        page.close()
    finally:
        process.terminate()
        process.communicate(timeout=30)
