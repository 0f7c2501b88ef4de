"""Observers of a session: the panel, `%config` and the extension's pages are called on a change.

`requests` means that the first request has begun or the last one has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

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
