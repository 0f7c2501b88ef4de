"""The pace at which a reply is shown, whatever else is due."""

from __future__ import annotations

import asyncio
import itertools
import time
from functools import partial

from di_magics.core.reply.reply import Reply
from di_magics.runtime.loop import FRAME_SECONDS
from di_magics.session.throttle import REPEAT_SECONDS, Throttle


class Watch:
    """A view that notes when it was shown what."""

    def __init__(self) -> None:
        self.shown: list[tuple[float, str]] = []

    def show(self, reply: Reply) -> None:
        """Note it."""
        self.shown.append((time.monotonic(), reply.text))

    def status(self, line: str) -> None:
        """Ignore it."""


async def drawn(watch: Watch, seconds: float) -> None:
    """Draw two hundred replies a second for so long, then close."""
    shower = Throttle(watch, None)  # type: ignore[arg-type]
    for number in range(int(seconds * 200)):
        shower.update(partial(Reply, text=str(number)))
        await asyncio.sleep(0.005)  # the pace of the model
    shower.close()


def test_two_updates_are_at_least_a_frame_apart() -> None:
    """Ten a second is the most, also after the frame that is said again; the last is shown."""
    watch = Watch()
    asyncio.run(drawn(watch, 2 * REPEAT_SECONDS))
    times = [at for at, _ in watch.shown[:-1]]  # closing shows the last one at once
    again = sum(b - a < FRAME_SECONDS * 0.9 for a, b in itertools.pairwise(times))
    assert again <= 1
    assert watch.shown[-1][1] == str(int(2 * REPEAT_SECONDS * 200) - 1)
