"""`%chat save` and `%chat load`: which files are written and read, and how."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from loopback import Loopback, Reply
from shell import Run

import di_magics as di


@pytest.mark.parametrize("name", ["chat.md", "chat.json", "chat.ipynb"])
def test_a_saved_file_can_be_read_by_its_owner_only(
    run: Run, server: Loopback, tmp_path: Path, name: str
) -> None:
    """A conversation may hold what is not for everybody on the machine."""
    server.reply(Reply("one"))
    run("%%chat\nhi")
    path = tmp_path / name
    run(f"%chat save {path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "1 turn" in run(f"%chat load {path}").text or run("%chat history").text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_only_regular_files_are_loaded(run: Run, tmp_path: Path) -> None:
    """A pipe would be waited for without end, and a device never ends."""
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.md").symlink_to("/dev/zero")
    for name in ("pipe.json", "zero.md"):
        error = run(f"%chat load {tmp_path / name}").error
        assert isinstance(error, di.ParamError)
        assert "not a regular file" in str(error)


def test_the_suffix_is_looked_at_before_the_file(run: Run, tmp_path: Path) -> None:
    """What cannot be a conversation is not opened."""
    assert isinstance(run(f"%chat load {tmp_path / 'none.txt'}").error, di.ParamError)
