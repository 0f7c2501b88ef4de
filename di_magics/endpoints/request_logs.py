"""What httpx and httpcore log of our requests is dropped, because it holds secrets.

At level INFO httpx logs the address of a request, with its query. At DEBUG httpcore logs the
headers of a response, in which a server may repeat the key. Where a notebook has logging on, that
would be saved in its outputs. Requests of the user's own are logged as before: a record is dropped
only where one of our tasks has made it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from weakref import WeakSet

LIBRARIES = ("httpx", "httpcore")


class RequestLogs(logging.Filter):
    """Drops the records of the tasks that were marked."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: WeakSet[asyncio.Task[Any]] = WeakSet()

    def drop(self) -> None:
        """Drop what is logged in this task from now on."""
        if task := asyncio.current_task():
            self._tasks.add(task)
        for logger in _loggers():
            logger.addFilter(self)

    def close(self) -> None:
        """Leave the loggers as they were."""
        for logger in _loggers():
            logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        try:
            return asyncio.current_task() not in self._tasks
        except RuntimeError:  # no loop runs in this thread
            return True


def _loggers() -> list[logging.Logger]:
    """Return the libraries' loggers: a filter of one does not hold for those below it."""
    names = [*logging.root.manager.loggerDict]
    return [logging.getLogger(name) for name in names if name.partition(".")[0] in LIBRARIES]
