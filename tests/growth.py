"""How the time of a function grows with the size of its input.

A bound in seconds says little: it must be wide enough for a slow machine, and a quadratic function
stays below it for as long as the input is small. So the tests compare two sizes.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from typing import Any


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU time that a call takes in this thread, with Python's garbage collector off.

    So what else runs on the machine does not count, nor what else this process has in memory, nor
    the measuring of coverage.
    """
    was_on, tracer = gc.isenabled(), sys.gettrace()
    gc.disable()
    sys.settrace(None)
    try:
        start = time.thread_time()
        call()
        return time.thread_time() - start
    finally:
        sys.settrace(tracer)
        if was_on:
            gc.enable()


def growth(
    function: Callable[[Any], object], size: int, make: Callable[[int], object] = int
) -> float:
    """Return how many times longer a call takes for twice the size: 2 where it is linear.

    It compares a quarter of the size with twice the size and takes the cube root, since what is
    large enough to leave the processor's cache may take half as long again, once. The argument of
    the call is `make(size)`, which is not part of the time, or else the size itself. If one run of
    each looks worse than linear, it is the least of several runs and comparisons. The larger size
    comes first, so what is only done once counts against it. Less than a tenth of a millisecond
    counts as one.
    """

    def seconds(size: int, runs: int) -> float:
        argument = make(size)
        return max(0.0001, min(cpu_seconds(lambda: function(argument)) for _ in range(runs)))

    ratios: list[float] = []
    while len(ratios) < 9 and (not ratios or ratios[-1] > 2.5):
        runs = 3 if ratios else 1
        ratios.append((seconds(2 * size, runs) / seconds(max(1, size // 4), runs)) ** (1 / 3))
    return min(ratios)
