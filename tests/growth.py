"""How the time of a function grows with the size of its input."""

from __future__ import annotations

import time
from collections.abc import Callable


def growth(call: Callable[[int], object], size: int) -> float:
    """Return how many times longer a call takes for twice the size: 2 where it is linear.

    The least of several runs is compared, so that what else runs does not count; a call that takes
    less than a millisecond counts as one millisecond.
    """

    def seconds(size: int) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            call(size)
            times.append(time.perf_counter() - start)
        return max(min(times), 0.001)

    return min(seconds(2 * size) / seconds(size) for _ in range(3))
