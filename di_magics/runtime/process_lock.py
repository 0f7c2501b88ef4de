"""A lock between processes: a file that holds the name of the process that has it.

A process that was killed does not keep it. Two processes that find such a file in the same moment
may both get the lock, so it may only save double work, never protect data.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from di_magics.runtime.process import is_process_running, name_process

PAUSE = 0.05
UNFINISHED = 5.0
"""Seconds after which a file without a name in it was left by a process that was killed."""


@contextmanager
def process_lock(path: Path, cancelled: threading.Event) -> Iterator[None]:
    """Hold the lock; while another process has it, wait, at most until `cancelled` is set.

    Then the block runs without the lock. Raises OSError if the file cannot be written.
    """
    while not _take(path) and not cancelled.wait(PAUSE):
        pass
    try:
        yield
    finally:
        with suppress(OSError):
            if _owner(path) == name_process():
                path.unlink()


def _take(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        with suppress(OSError):
            owner = _owner(path)
            age = time.time() - path.stat().st_mtime
            if not is_process_running(owner) if owner else age > UNFINISHED:
                path.unlink()
        return False
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(name_process())
    return True


def _owner(path: Path) -> str:
    """Return the name of the process that has the lock; "" if nobody, or it is written just now."""
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return ""
