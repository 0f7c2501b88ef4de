"""Observers of a session: the panel, `%config` and the extension's pages are called on a change.

A change is one of these:

    settings   the settings, the list of models, or an alias
    turns      the conversation, its costs or its budget; or another notebook's cell runs
    requests   the first request has begun, or the last one has ended
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from di_magics.runtime.loop import Loop

DEBOUNCE_SECONDS = 0.02
Changed = Literal["settings", "turns", "requests"]
Watcher = Callable[[Changed], None]


class Watchers:
    """Functions that are called with what has changed, on whichever thread changed it.

    No lock is held meanwhile, so a watcher may read the session.
    """

    def __init__(self) -> None:
        self._watchers: list[Watcher] = []

    def add(self, watcher: Watcher) -> None:
        """Call the watcher from now on."""
        self._watchers.append(watcher)

    def notify(self, changed: Changed) -> None:
        """Call the watchers with what has changed."""
        for watcher in self._watchers:
            watcher(changed)


class Debouncer:
    """A watcher that calls `work` with all changes of the last 20 ms, on a worker thread.

    One call runs at a time, so that what it shows last is the newest state.
    """

    def __init__(self, loop: Loop, work: Callable[[set[Changed]], None]) -> None:
        self._loop = loop
        self._work = work
        self._changes: set[Changed] = set()
        self._lock, self._working = threading.Lock(), threading.Lock()

    def __call__(self, changed: Changed) -> None:
        """Add a change; the first one starts the wait."""
        with self._lock:
            waiting, self._changes = bool(self._changes), self._changes | {changed}
        if not waiting:
            self._loop.call_later(DEBOUNCE_SECONDS, self._run)

    def _run(self) -> None:
        with self._working:
            with self._lock:
                changes, self._changes = self._changes, set()
            self._work(changes)
