"""`python -m di_magics`, as it is run in a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from di_magics.endpoints.local_model import MODEL


def call(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with this state folder."""
    return subprocess.run(
        [sys.executable, "-m", "di_magics", *arguments],
        env={**os.environ, "DI_MAGICS_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_fetch_prints_where_the_model_is(tmp_path: Path) -> None:
    """The path alone on standard output, for a script; a model that is there is not fetched."""
    file = tmp_path / "models" / MODEL.file
    file.parent.mkdir()
    file.touch()
    os.truncate(file, MODEL.size)
    ended = call("fetch", home=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, f"{file}\n")


def test_what_fails_is_one_line(tmp_path: Path) -> None:
    """With exit code 1, and without a traceback."""
    (tmp_path / "file").touch()
    ended = call("fetch", home=tmp_path / "file" / "home")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    assert "DI_MAGICS_HOME" in ended.stderr


def test_a_call_without_a_command_shows_the_commands(tmp_path: Path) -> None:
    """With exit code 2."""
    ended = call(home=tmp_path)
    assert ended.returncode == 2
    assert "fetch" in ended.stderr
