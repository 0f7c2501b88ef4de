"""Whether a process still runs: not one that has ended, and none that has its number by chance."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from di_magics.endpoints.local_model import _installer
from di_magics.runtime.process import is_process_running, name_process, python_command

NAME = "from di_magics.runtime.process import name_process; print(name_process(), flush=True); "


def test_this_process_runs() -> None:
    """By its name, which does not change."""
    assert is_process_running(name_process())
    assert name_process() == name_process()


def test_a_process_has_ended_before_its_parent_has_noticed() -> None:
    """A killed kernel stays a zombie until the server waits for it."""
    with subprocess.Popen(
        [sys.executable, "-c", NAME + "input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout
        name = child.stdout.readline().strip()
        assert is_process_running(name)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_process_running(name) is False


def test_the_number_alone_does_not_make_a_process() -> None:
    """It is given to others again, so the time of start must be the same."""
    machine, pid, start = name_process().split()
    assert is_process_running(f"{machine} {pid} {start}0") is False
    assert is_process_running(f"{machine} {2**22 + 1} {start}") is False


@pytest.mark.parametrize(
    "name", ["", "elsewhere 1 2", "{machine}", "{machine} x 1", "{machine} 1 "]
)
def test_what_cannot_be_looked_up_is_not_known(name: str) -> None:
    """Another machine's process, or no name of one."""
    machine = name_process().split()[0]
    assert is_process_running(name.format(machine=machine)) is None


def test_files_beside_the_notebook_take_no_modules_place(tmp_path: Path) -> None:
    """Neither in a process of ours nor in the installer's: a folder has its own `random.py`."""
    for name in (*sys.stdlib_module_names, "di_magics", "pip", "huggingface_hub"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    for command in (python_command("di_magics.endpoints.model_hub"), _installer()):
        run = subprocess.run([*command, "--help"], cwd=tmp_path, capture_output=True, check=True)
        assert b"usage" in run.stdout.lower()
