"""Which notebook a cell is in: files that are renamed, and pages that share a kernel."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from di_magics.magics.cell import RunningCell


class Front:
    """A kernel's shell as `RunningCell` sees it, and pages that send cells to it."""

    def __init__(self, folder: Path) -> None:
        self._sent = 0
        self._parent: dict[str, Any] = {}
        app = SimpleNamespace(connection_file=str(folder / "kernel-k.json"))
        kernel = SimpleNamespace(get_parent=lambda: self._parent, parent=app)
        self.running = RunningCell(SimpleNamespace(user_ns={}, kernel=kernel))

    def run(self, cell: str, page: str = "page") -> tuple[str, int, bool]:
        """Return the name and number of a cell's notebook, and whether another page shares it."""
        self._sent += 1
        header = {"msg_type": "execute_request", "msg_id": str(self._sent), "session": page}
        self._parent = {"header": header, "metadata": {"cellId": cell}}
        location = self.running.locate()
        assert location == self.running.locate()
        return Path(location.path or "").name, location.notebook, location.shared


def save(path: Path, *cells: str) -> None:
    """Save a notebook with these cells."""
    path.write_text(json.dumps({"cells": [{"id": cell} for cell in cells]}, indent=1))


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Front:
    """The kernel of the notebook home.ipynb, which has a cell h; other.ipynb has a cell o."""
    save(tmp_path / "home.ipynb", "h")
    save(tmp_path / "other.ipynb", "o")
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "home.ipynb"))
    return Front(tmp_path)


def test_6_a_renamed_file_is_followed(front: Front, tmp_path: Path) -> None:
    """Again and again, and though another file has got its old name."""
    assert front.run("h") == ("home.ipynb", 0, False)
    before = tmp_path / "home.ipynb"
    for name in ("b.ipynb", "c.ipynb"):
        before = before.rename(tmp_path / name)
        save(tmp_path / "home.ipynb", "h")
        assert front.run("h") == (name, 0, False)


def test_a_file_that_was_replaced_is_the_same(front: Front, tmp_path: Path) -> None:
    """An editor's copy of the old file is not a notebook."""
    front.run("h")
    (tmp_path / "home.ipynb").rename(tmp_path / "home.ipynb~")
    save(tmp_path / "home.ipynb", "h")
    assert front.run("h") == ("home.ipynb", 0, False)


def test_a_file_that_was_renamed_before_the_extension_was_loaded(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell tells: the notebook was Untitled when its kernel was started."""
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "Untitled.ipynb"))
    assert Front(tmp_path).run("h")[0] == "home.ipynb"


def test_a_file_elsewhere_is_where_it_was(front: Front, tmp_path: Path) -> None:
    """It was moved to another folder, or deleted."""
    front.run("h")
    (tmp_path / "home.ipynb").unlink()
    assert front.run("h") == ("home.ipynb", 0, False)


def test_7_a_second_notebook_of_the_kernel_is_another_one(front: Front, tmp_path: Path) -> None:
    """Its page is known by a saved cell; cells that are not saved yet follow."""
    assert front.run("h", "1") == ("home.ipynb", 0, False)
    assert front.run("o", "2") == ("other.ipynb", 1, False)
    assert front.run("unsaved", "1") == ("home.ipynb", 0, False)
    assert front.run("unsaved", "2") == ("other.ipynb", 1, False)
    (tmp_path / "other.ipynb").rename(tmp_path / "renamed.ipynb")
    assert front.run("o", "2") == ("renamed.ipynb", 1, False)


def test_the_second_notebook_may_send_the_first_cell(front: Front) -> None:
    """The path of the environment is that of the notebook that started the kernel."""
    assert front.run("o", "2") == ("other.ipynb", 1, False)
    assert front.run("h", "1") == ("home.ipynb", 0, False)


def test_a_reloaded_page_is_the_same_notebook(front: Front) -> None:
    """It is a page of another session; nobody else uses the kernel."""
    for page in "123":
        assert front.run("h", page) == ("home.ipynb", 0, False)
        assert front.run("unsaved", page) == ("home.ipynb", 0, False)


def test_8_two_pages_that_no_file_tells_apart_are_said(front: Front, tmp_path: Path) -> None:
    """As soon as both send cells; saved, the second notebook is told from the first."""
    assert front.run("h", "1") == ("home.ipynb", 0, False)
    assert front.run("unsaved", "2") == ("home.ipynb", 0, False)
    assert front.run("h", "1") == ("home.ipynb", 0, True)
    assert front.run("unsaved", "2") == ("home.ipynb", 0, True)
    save(tmp_path / "new.ipynb", "now-saved")
    assert front.run("now-saved", "2") == ("new.ipynb", 1, False)


def test_a_copy_that_shares_the_kernel_is_said(front: Front, tmp_path: Path) -> None:
    """A copy has the same cells."""
    shutil.copy(tmp_path / "home.ipynb", tmp_path / "copy.ipynb")
    for page, shared in (("1", False), ("2", False), ("1", True)):
        assert front.run("h", page) == ("home.ipynb", 0, shared)


def test_without_a_path_there_is_nothing_to_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A front end that does not tell the file."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert Front(tmp_path).run("h") == ("", 0, False)
