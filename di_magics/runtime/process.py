"""Which process wrote something to the disk, and whether it still runs; how ours are started.

No time limit can tell this, because a process that is suspended (a closed laptop, Ctrl-Z, a
debugger) still runs. Nor can a process id alone, because it is given to another process later; so
the start time is compared as well. It is read from Linux's /proc, elsewhere with psutil, which
Jupyter kernels have.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

_RUN = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__')"
)


def python_command(module: str) -> Sequence[str]:
    """Return the command that runs a module of this package in a process of its own.

    `python -m` would let the files of the notebook's folder take the place of Python's own.
    """
    package = Path(__file__).resolve().parents[2]
    return [sys.executable, "-P", "-c", _RUN, str(package), module]


def name_process() -> str:
    """Return a name for this process that no other process has, on any machine."""
    return _name(os.getpid())


def is_process_running(name: str) -> bool | None:
    """Return whether a process runs, or None if that cannot be known here: on another machine."""
    machine, _, process = name.partition(" ")
    pid, _, start = process.partition(" ")
    if not start or not pid.isdecimal() or machine != _machine():
        return None
    return start == _start_time(int(pid))


@cache
def _name(pid: int) -> str:
    return f"{_machine()} {pid} {_start_time(pid)}"


@cache
def _machine() -> str:
    """Return an id of the boot of this machine or container: pids are unique within it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"  # a container has ids of its own
    except OSError:
        return platform.node().replace(" ", "-")


def _start_time(pid: int) -> str:
    """Return when a process has started, "" if it has ended or cannot be looked up."""
    if sys.platform == "linux":
        with suppress(OSError, IndexError):
            state, *fields = (
                Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()
            )
            return "" if state in "ZX" else fields[18]
        return ""
    try:
        import psutil

        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except (ImportError, OSError):
        return ""
    except psutil.Error:
        return ""
