"""When to retry, and after how long: one pure function.

Only before the first event of a reply: a later retry would display and cost everything twice.
"""

from __future__ import annotations

from di_magics.core.errors import Busy, EndpointError, Unreachable

TRIES = 4
FIRST_PAUSE = 0.5
MAX_PAUSE_SECONDS = 8.0
MAX_RETRY_AFTER_SECONDS = 120.0


def retry_delay(attempt: int, error: EndpointError, jitter: float) -> float | None:
    """Return the seconds to wait before the next try, or None where there must be none.

    `attempt` counts the tries so far, from 1; `jitter` is a random number in [0, 1) that shortens
    the pause by up to a quarter, so that a class does not come back all at once. A server's
    Retry-After is followed exactly; one above two minutes ends the tries.
    """
    if attempt >= TRIES or not isinstance(error, Unreachable | Busy):
        return None
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= MAX_RETRY_AFTER_SECONDS else None
    longest = min(FIRST_PAUSE * 2.0 ** (attempt - 1), MAX_PAUSE_SECONDS)
    return longest * (1 - jitter / 4)
