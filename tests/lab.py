"""JupyterLab, or Notebook 7, on this machine with a real browser in front.

Nothing waits for time to pass, only for conditions; nothing of the user's own Jupyter is read
or written. Cells are driven through the application's own commands, widgets by mouse and keys.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import browser
import nbformat
from kernel import TRANSPORT
from nbformat.sign import NotebookNotary
from playwright.sync_api import Browser, Locator, Playwright

TIMEOUT_SECONDS = 60.0
LABEXTENSION = Path(__file__).resolve().parent.parent / "di_magics" / "labextension"

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--mute-audio",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
)
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/extensionmanager-extension:plugin": {"enabled": False},
    # Cells out of sight are in the page all the same.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}

# The panel of the notebook, whichever part of the application has the focus.
PANEL = "const panel = jupyterapp.shell.currentWidget; const cells = panel.content.model.cells;"
KERNEL = f"{PANEL} const kernel = panel.sessionContext.session?.kernel;"


class Lab:
    """A Jupyter server that serves the folder `root`, with `env` added to its environment."""

    def __init__(
        self,
        root: Path,
        env: Mapping[str, str] | None = None,
        app: Literal["lab", "notebook"] = "lab",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.root = root
        self.app = app
        self.token = secrets.token_hex(16)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.state = Path(tempfile.mkdtemp(prefix="lab-"))
        self.log = self.state / "server.log"
        for name, values in {**SETTINGS, **(settings or {})}.items():
            package, plugin = name.split(":")
            folder = self.state / "settings" / package
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{plugin}.jupyterlab-settings").write_text(json.dumps(values))
        folders = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
            "DI_MAGICS_HOME": "home",
            "JUPYTER_PATH": "source",
        }
        # This folder's extension, also where an older one is installed.
        (self.state / "source" / "labextensions").mkdir(parents=True)
        (self.state / "source" / "labextensions" / "di-magics").symlink_to(LABEXTENSION)
        own = {name: str(self.state / folder) for name, folder in folders.items()}
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyter", app, "--no-browser", "--allow-root"),
                    "--ServerApp.ip=127.0.0.1",
                    f"--ServerApp.port={port}",
                    "--ServerApp.port_retries=0",
                    f"--ServerApp.root_dir={root}",
                    "--ServerApp.terminals_enabled=False",
                    f"--IdentityProvider.token={self.token}",
                    f"--KernelManager.transport={TRANSPORT}",
                    "--LabApp.expose_app_in_browser=True",
                    "--JupyterNotebookApp.expose_app_in_browser=True",
                    "--LabApp.extension_manager=readonly",
                ],
                env={**os.environ, **own, **(env or {})},
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                self.api("/api/status")
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"No server:\n{self.log.read_text()[-3000:]}") from None
                time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server and its kernels, and forget its settings."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.state, ignore_errors=True)

    def api(self, path: str, method: str = "GET", data: object = None) -> Any:
        """Call the server's REST API."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            headers={"Authorization": f"token {self.token}"},
            data=None if data is None else json.dumps(data).encode(),
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=20) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    def write(self, name: str, cells: Sequence[str | nbformat.NotebookNode]) -> None:
        """Write a notebook; a string is a code cell."""
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
        notebook.cells = [
            nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells
        ]
        nbformat.write(notebook, self.root / name)

    def trust(self, name: str, trusted: bool = True) -> None:
        """Sign the saved notebook as `jupyter trust` does, or take its signature away."""
        notebook = nbformat.read(self.root / name, as_version=4)
        notary = NotebookNotary(data_dir=str(self.state / "data"))
        try:
            if trusted:
                notary.sign(notebook)
            else:
                notary.unsign(notebook)
        finally:
            notary.store.close()


class Notebook:
    """A notebook in a page of its own; cells are counted from 0, code cells and others alike.

    `console` is what the page wrote on its console, `foreign` the addresses it asked for that are
    not the server's.
    """

    def __init__(self, lab: Lab, chromium: Browser, name: str, **context: Any) -> None:
        self.lab = lab
        self.name = name
        self.console: list[str] = []
        self.foreign: list[str] = []
        self._dark = False
        size = {"width": 1300, "height": 1000}
        self._context = chromium.new_context(**{"viewport": size, **context})
        self.page = self._context.new_page()
        self.page.set_default_timeout(TIMEOUT_SECONDS * 1000)
        self.page.on("console", lambda message: self._note_line(message.text))
        self.page.on("pageerror", lambda error: self._note_line(str(error)))
        self.page.on("request", lambda request: self._note(request.url))
        self._load()
        self._wait_until_idle()

    def open_another(self, name: str) -> None:
        """Open another notebook in the page in place of this one, which takes a third of the time.

        The kernel of this one has ended: see `leave`.
        """
        self.name = name
        self.console.clear()
        self.foreign.clear()
        self.page.evaluate(
            """async path => {
                window.diRuns = window.ran = undefined;
                const kernel = { name: 'python3' };
                await jupyterapp.commands.execute('docmanager:open', { path, kernel });
            }""",
            name,
        )
        self._wait_until_open()
        self._wait_until_idle()

    @property
    def errors(self) -> list[str]:
        """The lines of the console that tell of an error; codemirror does not."""
        return [line for line in self.console if re.search(r"Error|\berror", line)]

    def _load(self) -> None:
        # A workspace of its own, or the notebooks open before would be opened again.
        workspace = f"lab/workspaces/{secrets.token_hex(4)}/tree"
        tree = workspace if self.lab.app == "lab" else "notebooks"
        self.page.goto(f"{self.lab.url}/{tree}/{self.name}?token={self.lab.token}")
        self._wait_until_open()

    def _note_line(self, line: str) -> None:
        # JupyterLab writes this of a kernel that has ended, also within other lines: that of the
        # notebook before, or one that was restarted while it still answered.
        if "Canceled future for" not in line:
            self.console.append(line)

    def _note(self, url: str) -> None:
        if url.startswith(("http", "ws")) and self.lab.url.partition(":")[2] not in url:
            self.foreign.append(url)

    def _wait_until_open(self) -> None:
        self.page.wait_for_function(
            f"""() => {{
                if (!window.jupyterapp?.shell.currentWidget?.content?.model?.cells) return false;
                {KERNEL}
                return panel.isVisible && panel.context.isReady && cells.length > 0
                    && kernel?.connectionStatus === 'connected';
            }}"""
        )
        self._wait_until_splash_is_gone()

    def _wait_until_idle(self) -> None:
        # The notebook learns its language from a message of its own, which may come later.
        language = "panel.content.model.getMetadata('language_info')?.name"
        self.page.wait_for_function(
            f"() => {{ {KERNEL} return kernel.status === 'idle' && {language} }}"
        )

    def _wait_until_splash_is_gone(self) -> None:
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def js(self, code: str, argument: Any = None) -> Any:
        """Evaluate a JavaScript function in the page; `panel` and `cells` are the notebook's."""
        return self.page.evaluate(
            f"async argument => {{ {PANEL} return ({code})(argument) }}", argument
        )

    # Running cells

    def start(self, cell: int) -> None:
        """Run a cell without waiting."""
        self.js(
            """cell => {
                panel.content.deselectAll();
                panel.content.activeCellIndex = cell;
                const runs = (window.diRuns ??= {});
                runs[cell] = 'running';
                jupyterapp.commands.execute('notebook:run-cell').finally(() => {
                    runs[cell] = 'ended';
                });
            }""",
            cell,
        )

    def wait(self, cell: int, timeout: float = TIMEOUT_SECONDS) -> list[dict[str, Any]]:
        """Wait until a started cell has ended and return its outputs."""
        self.page.wait_for_function(
            "cell => window.diRuns[cell] === 'ended'", arg=cell, timeout=timeout * 1000
        )
        return self.outputs(cell)

    def run(self, cell: int, timeout: float = TIMEOUT_SECONDS) -> list[dict[str, Any]]:
        """Run a cell to its end and return its outputs."""
        self.start(cell)
        return self.wait(cell, timeout)

    def run_all(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Run All, as in the menu, to its end."""
        self.js(
            "() => { window.diAll = jupyterapp.commands.execute('notebook:run-all-cells')"
            ".finally(() => { window.diAll = null }) }"
        )
        self.page.wait_for_function("() => window.diAll === null", timeout=timeout * 1000)

    def status(self) -> str:
        """Return the kernel's status, such as `idle` or `busy`."""
        return str(self.js("() => panel.sessionContext.session.kernel.status"))

    def wait_until_kernel_is_idle(self) -> None:
        """Wait until the server says so, also while no page is open."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while any(kernel["execution_state"] != "idle" for kernel in self.lab.api("/api/kernels")):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Interrupt the kernel, as ■ does."""
        self.js("() => jupyterapp.commands.execute('notebook:interrupt-kernel')")

    def restart(self) -> None:
        """Restart the kernel."""
        self.js("() => panel.sessionContext.session.kernel.restart()")
        self._wait_until_idle()

    # What is there

    def cell(self, cell: int) -> Locator:
        """Return a cell as the page shows it."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell)

    def shown(self, cell: int) -> Locator:
        """Return the output area of a code cell as the page shows it."""
        return self.cell(cell).locator(".jp-Cell-outputArea")

    def outputs(self, cell: int) -> list[dict[str, Any]]:
        """Return a cell's outputs as they would be saved."""
        found = self.js("cell => cells.get(cell).outputs.toJSON()", cell)
        assert isinstance(found, list)
        return found

    def sources(self) -> list[str]:
        """Return the source of every cell."""
        found = self.js("() => Array.from(cells, cell => cell.sharedModel.getSource())")
        assert isinstance(found, list)
        return found

    def write(self, cell: int, source: str) -> None:
        """Replace the source of a cell."""
        self.js("([cell, source]) => cells.get(cell).sharedModel.setSource(source)", [cell, source])

    def trusted(self) -> bool:
        """Return whether every code cell is trusted."""
        return bool(self.js("() => Array.from(cells).every(c => c.type !== 'code' || c.trusted)"))

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write a picture of the page, or of the whole notebook however long."""
        if not whole:
            self.page.screenshot(path=path)
            return
        height = self.js(
            "() => panel.content.node.querySelector('.jp-WindowedPanel-inner').scrollHeight"
        )
        before = self.page.viewport_size
        assert before
        self.page.set_viewport_size({"width": before["width"], "height": int(height) + 250})
        self.page.screenshot(path=path)
        self.page.set_viewport_size(before)

    # The file

    def save(self) -> dict[str, Any]:
        """Save the notebook and return what is in the file."""
        self.js("() => panel.context.save()")
        found = json.loads((self.lab.root / self.name).read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found

    def reload(self, trusted: bool | None = None) -> None:
        """Load the page anew; the kernel goes on. `trusted` signs the saved file, or unsigns it."""
        if trusted is not None:
            self.lab.trust(self.name, trusted)
        self._load()

    def dark(self) -> None:
        """Change to the dark theme, until the notebook is closed."""
        self._theme("JupyterLab Dark", dark=True)

    def _theme(self, theme: str, dark: bool) -> None:
        self.js("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        light = "false" if dark else "true"
        self.page.locator(f"body[data-jp-theme-light={light}]").wait_for(state="attached")
        self._wait_until_splash_is_gone()
        self._dark = dark

    def leave(self) -> None:
        """Close what is open in the page without saving, and end the kernel."""
        self._end(
            "() => { for (const shown of [...jupyterapp.shell.widgets('main')]) shown.dispose() }"
        )

    def close(self) -> None:
        """Close the page and end the kernel."""
        self._end("() => null")
        self._context.close()

    def _end(self, code: str) -> None:
        if self._dark:
            self._theme("JupyterLab Light", dark=False)
        session = self.js("() => panel.sessionContext.session?.id")
        self.js(code)
        with contextlib.suppress(urllib.error.HTTPError):  # it ended with a kernel that it shared
            self.lab.api(f"/api/sessions/{session}", "DELETE")


def launch(playwright: Playwright) -> Browser:
    """Start the browser that is installed, else the one Playwright downloaded."""
    found = browser.find()
    return playwright.chromium.launch(
        executable_path=None if found in (None, browser.OWN) else found,
        args=ARGUMENTS,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    assert isinstance(port, int)
    return port
