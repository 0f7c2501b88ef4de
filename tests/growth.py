"""How the time of a function grows with the size of its input."""

from __future__ import annotations

import time
from collections.abc import Callable


def growth(call: Callable[[int], object], size: int) -> float:
    """Return how many times longer a call takes for twice the size: 2 where it is linear.

    It is the CPU time of this thread, and the least of several runs and comparisons, so that what
    else runs on the machine does not count. Less than a millisecond counts as one.
    """

    def seconds(size: int) -> float:
        times = []
        for _ in range(3):
            start = time.thread_time()
            call(size)
            times.append(time.thread_time() - start)
        return max(min(times), 0.001)

    ratios = []
    while len(ratios) < 5 and (not ratios or ratios[-1] > 2.5):
        ratios.append(seconds(2 * size) / seconds(size))
    return min(ratios)
