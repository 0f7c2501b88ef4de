"""Observers of a session: changes that come quickly are one call."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from di_magics.runtime.loop import Loop
from di_magics.session.watchers import Changed, Debouncer


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that is closed at the end."""
    loop = Loop()
    yield loop
    loop.close()


def test_changes_at_the_same_time_are_one_call(loop: Loop) -> None:
    """With all of them; what changes later is another call."""
    calls: list[set[Changed]] = []
    called = threading.Semaphore(0)

    def work(changes: set[Changed]) -> None:
        calls.append(changes)
        called.release()

    watcher = Debouncer(loop, work)
    for change in ("turns", "settings", "turns"):
        watcher(change)
    assert called.acquire(timeout=10)
    watcher("requests")
    assert called.acquire(timeout=10)
    assert calls == [{"turns", "settings"}, {"requests"}]


def test_calls_never_overlap(loop: Loop) -> None:
    """What changes during a call is in the next one, which waits for its end."""
    calls: list[set[Changed]] = []
    begun, may_end, done = threading.Event(), threading.Event(), threading.Event()

    def work(changes: set[Changed]) -> None:
        calls.append(changes)
        if len(calls) == 1:
            begun.set()
            assert may_end.wait(10)
            calls.append(set())
        else:
            done.set()

    watcher = Debouncer(loop, work)
    watcher("turns")
    assert begun.wait(10)
    watcher("settings")
    may_end.set()
    assert done.wait(10)
    assert calls == [{"turns"}, set(), {"settings"}]
