"""The fixtures: an endpoint, a kernel, JupyterLab in a browser, and an environment of their own."""

from __future__ import annotations

import atexit
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from kernel import Kernel
from loopback import Loopback
from priced import PRICED
from shell import Ran, Run

if TYPE_CHECKING:
    from lab import Lab, Notebook
    from playwright.sync_api import Browser

KEPT = ("DI_MAGICS_BROWSER", "DI_MAGICS_STREAMS", "DI_MAGICS_TEST_HOME")
LINGER = "20"  # seconds, within which the next test uses the model again
MARKED = {
    "kernel": "kernel",
    "shared_kernel": "kernel",
    "lab": "browser",
    "chromium": "browser",
    "model_home": "local",
}
FAILED = pytest.StashKey[bool]()
# jsonschema would compile 39 grammars for formats that nobody checks: 1.4 s in each process.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a kernel, a browser or the model; run the browser's tests last.

    Playwright keeps an event loop running in this thread, in which asyncio.run is refused. Where
    several processes share the tests, one of them runs those of the model.
    """
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKED:
                item.add_marker(MARKED[fixture])
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    for item in items:
        if item.get_closest_marker("local") and not item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("local"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the fixtures know of a failure, for the sake of a picture."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many of DI_MAGICS_STREAMS were fed: none at all is easily overlooked."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    properties = [value for report in reports for value in getattr(report, "user_properties", ())]
    fed = {value for name, value in properties if name == "fed"}
    asked = any("test_conformance" in getattr(report, "nodeid", "") for report in reports)
    if "DI_MAGICS_STREAMS" in os.environ and asked:
        terminalreporter.write_line(f"{len(fed)} recorded streams and cases fed")


@pytest.fixture(scope="session", autouse=True)
def _environment() -> Iterator[None]:
    """Nobody's own settings, keys or state reach the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("DEEPINFRA_", "DI_MAGICS_")) and name not in KEPT:
                patch.delenv(name)
        patch.setenv("DI_MAGICS_HOME", "off")
        patch.setenv("DI_MAGICS_LOCAL_LINGER", LINGER)
        patch.setenv("OMP_THREAD_LIMIT", "1")  # of the model: others keep the cores busy
        yield


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test keeps its state in a folder of its own."""
    monkeypatch.setenv("DI_MAGICS_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def _connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test leaves a connection to a file of conversations open, and so no code that it runs."""
    opened: set[sqlite3.Connection] = set()

    class Recorded(sqlite3.Connection):
        def __init__(self, database: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(database, *args, **kwargs)
            if "conversations.sqlite3" in str(database):
                opened.add(self)

        def close(self) -> None:
            super().close()
            opened.discard(self)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Recorded))
    yield
    assert not opened, "Close the connection, or what has opened it."


@pytest.fixture
def server() -> Iterator[Loopback]:
    """An endpoint on this machine."""
    with Loopback() as server:
        yield server


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell of its own, with the extension loaded."""
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "di_magics")
    yield shell
    shell.run_line_magic("unload_ext", "di_magics")
    InteractiveShell.clear_instance()
    # At the end of the run it would collect garbage once for each shell, which takes minutes.
    atexit.unregister(shell.atexit_operations)
    assert shell.history_manager
    shell.history_manager.end_session()


@pytest.fixture
def run(shell: InteractiveShell, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs cells in a shell that talks to the loopback server."""
    monkeypatch.setenv("DI_MAGICS_BASE_URL", server.url)
    monkeypatch.setenv("DI_MAGICS_MODEL", "a-model")

    def run(cell: str) -> Ran:
        with capture_output() as captured:
            result = shell.run_cell(cell)
        displayed = "".join(output.data["text/plain"] for output in captured.outputs)
        return Ran(captured.stdout + displayed, result.error_before_exec or result.error_in_exec)

    return run


@pytest.fixture
def priced(run: Run, server: Loopback) -> Run:
    """Runs cells where the server's own list has the price of the model."""
    embedder = {"id": "embedder", "metadata": {"tags": ["embed"]}}
    server.models = [PRICED, {**PRICED, "id": "other"}, embedder]
    run("%chat models")
    return run


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A real kernel, working in the test's folder."""
    with Kernel(tmp_path) as kernel:
        yield kernel


@pytest.fixture(scope="session")
def kept_kernels() -> Iterator[list[Kernel]]:
    """The kernel that the next test goes on with, if there is one."""
    kept: list[Kernel] = []
    yield kept
    for kernel in kept:
        kernel.close()


@pytest.fixture
def shared_kernel(
    kept_kernels: list[Kernel], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Kernel]:
    """A kernel for tests that change nothing in its modules, which takes a fifth of the time.

    It works in the test's folder, and has no variables and no extension yet. After a test that
    failed, the next one has another.
    """
    kernel = kept_kernels.pop() if kept_kernels else Kernel(tmp_path)
    kernel.published.clear()
    begun = kernel.run(
        f"%reset -f\nimport os\nos.chdir({str(tmp_path)!r})\n"
        f"os.environ.clear()\nos.environ.update({dict(os.environ)!r})\ndel os"
    )
    assert begun.status == "ok", begun.text
    yield kernel
    if request.node.stash.get(FAILED, False):
        kernel.close()
    else:
        kernel.run("%unload_ext di_magics")
        kept_kernels.append(kernel)


@pytest.fixture(scope="session")
def model_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder that holds the built-in model; DI_MAGICS_TEST_HOME names one to keep."""
    kept = os.environ.get("DI_MAGICS_TEST_HOME")
    home = Path(kept) if kept else tmp_path_factory.mktemp("model-home")
    subprocess.run(
        [sys.executable, "-m", "di_magics", "fetch"],
        env={**os.environ, "DI_MAGICS_HOME": str(home)},
        check=True,
    )
    return home


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab, one for all tests."""
    from lab import Lab

    with Lab(tmp_path_factory.mktemp("notebooks")) as lab:
        yield lab


@pytest.fixture(scope="session")
def notebook_7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Notebook 7's own application, one for all tests; cells out of view are not in the page."""
    from lab import Lab

    settings = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "full"}}
    with Lab(tmp_path_factory.mktemp("notebook-7"), app="notebook", settings=settings) as lab:
        yield lab


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, one for all tests."""
    from lab import launch
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, launch(playwright) as chromium:
        yield chromium


@pytest.fixture(scope="session")
def kept_pages() -> list[Notebook]:
    """The page of JupyterLab that the next test goes on with, if there is one."""
    return []


@pytest.fixture
def notebook(
    lab: Lab,
    chromium: Browser,
    kept_pages: list[Notebook],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Notebook]]:
    """Open a new notebook with these cells: `notebook(["1 + 1", …])`.

    Its file is `lab.root / notebook.name`. It has a page of its own only where the test says so or
    gives settings of the page, or opens several. If the test fails there is a picture of each in
    the test's folder.
    """
    from lab import Notebook

    opened: list[Notebook] = []
    own: list[Notebook] = []
    test = re.sub(r"\W+", "-", request.node.name)[:60]

    def new(cells: Sequence[Any], own_page: bool = False, **context: Any) -> Notebook:
        name = f"{test}-{len(opened)}.ipynb"
        lab.write(name, cells)
        if kept_pages and not own_page and not context:
            opened.append(kept_pages.pop())
            opened[-1].open_another(name)
        else:
            opened.append(Notebook(lab, chromium, name, **context))
            if own_page or context:
                own.append(opened[-1])
        return opened[-1]

    yield new
    failed = request.node.stash.get(FAILED, False)
    for found in opened:
        if failed:
            picture = tmp_path / f"{found.name}.png"
            found.screenshot(picture)
            print(f"What the page showed: {picture}", *found.console, sep="\n")
        if failed or found in own or kept_pages:
            found.close()
        else:
            found.leave()
            kept_pages.append(found)
