"""When to retry, and after how long.

Only before the first event of a reply: a later retry would display and cost everything twice.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Mapping

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


_LIMITS = ("", "-requests", "-tokens")
_DURATION = re.compile(
    r"(?=.)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.A
)
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) ([1-9]\d{3}) (\d\d):(\d\d):(\d\d) GMT", re.A)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MIN_TIMESTAMP = 1e9
"""A larger number is the time itself, in seconds or milliseconds since 1970, not a wait."""


def parse_wait(headers: Mapping[str, object], now: float) -> float | None:
    """Return the seconds that a server asks to wait, by its headers; None if it does not say.

    `now` is the local time, used if the server sends no Date. Without a Retry-After (RFC 9110,
    10.2.3) it is the time until a rate limit of which nothing remains is reset.
    """
    sent = {name.lower(): str(value)[:100] for name, value in headers.items()}
    date = _timestamp(sent.get("date", ""))
    now = now if date is None else date
    if after := sent.get("retry-after"):
        return _seconds(after, now)
    resets = [
        _seconds(sent.get(f"x-ratelimit-reset{limit}", ""), now)
        for limit in _LIMITS
        if sent.get(f"x-ratelimit-remaining{limit}") == "0"
    ]
    return max((reset for reset in resets if reset is not None), default=None)


def _seconds(text: str, now: float) -> float | None:
    """Read a number of seconds, a date, a time since 1970, or a duration such as 6m0s."""
    try:
        seconds = float(text)
    except ValueError:
        if match := _DURATION.fullmatch(text):
            parts = zip(match.groups(default="0"), _UNITS, strict=True)
            return sum(float(number) * unit for number, unit in parts)
        until = _timestamp(text)
        return None if until is None else max(0.0, until - now)
    if math.isfinite(seconds) and seconds > _MIN_TIMESTAMP:
        seconds = (seconds / 1000 if seconds > 100 * _MIN_TIMESTAMP else seconds) - now
    return max(0.0, seconds)


def _timestamp(date: str) -> float | None:
    """Read an HTTP date (RFC 9110, 5.6.7), in no language but its own."""
    match = _DATE.fullmatch(date)
    if not match or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = map(int, match.group(1, 3, 4, 5, 6))
    return calendar.timegm((year, _MONTHS.index(match[2]) + 1, day, hour, minute, second))
