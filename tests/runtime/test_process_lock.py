"""A lock between processes is held by one, and never by one that has ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from di_magics.runtime.process_lock import UNFINISHED, process_lock

HOLD = """
import sys, threading
from pathlib import Path
from di_magics.runtime.process_lock import process_lock
with process_lock(Path(sys.argv[1]), threading.Event()):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(path: Path) -> subprocess.Popen[bytes]:
    """Return a process that holds the lock until its input is closed."""
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    return process


def test_another_process_is_waited_for(tmp_path: Path) -> None:
    """Until it has let go."""
    path = tmp_path / "lock"
    with start_holder(path) as holder:
        assert holder.stdin
        threading.Timer(0.2, holder.stdin.close).start()
        with process_lock(path, threading.Event()):
            assert holder.stdin.closed
    assert not path.exists()


def test_the_wait_can_be_ended(tmp_path: Path) -> None:
    """What was held stays held."""
    path, cancelled = tmp_path / "lock", threading.Event()
    cancelled.set()
    with start_holder(path) as holder:
        with process_lock(path, cancelled):
            assert path.exists()
        assert path.exists()
        assert holder.stdin
        holder.stdin.close()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """Its file is taken away."""
    path = tmp_path / "lock"
    with start_holder(path) as holder:
        holder.kill()
    assert path.exists()
    with process_lock(path, threading.Event()):
        pass
    assert not path.exists()


def test_a_file_that_was_never_finished_holds_nothing(tmp_path: Path) -> None:
    """Its process was killed before it could write its name."""
    path = tmp_path / "lock"
    path.touch()
    os.utime(path, times=(0, time.time() - UNFINISHED - 1))
    with process_lock(path, threading.Event()):
        assert path.read_text()
