"""When to try again: the errors that pass, a few times, with growing pauses."""

from __future__ import annotations

import pytest

from di_magics.core.errors import (
    BadRequest,
    Busy,
    EndpointError,
    Refused,
    StreamBroken,
    Unreachable,
)
from di_magics.core.request.retry import MAX_RETRY_AFTER_SECONDS, TRIES, parse_wait, retry_delay


@pytest.mark.parametrize("kind", [Busy, Unreachable])
def test_pauses_double(kind: type[EndpointError]) -> None:
    """Half a second, one, two; the fourth try is the last."""
    pauses = [retry_delay(attempt, kind("x"), 0.0) for attempt in range(1, TRIES + 1)]
    assert pauses == [0.5, 1.0, 2.0, None]


@pytest.mark.parametrize("kind", [Refused, BadRequest, StreamBroken, EndpointError])
def test_what_will_not_pass_is_not_tried_again(kind: type[EndpointError]) -> None:
    """Neither a refusal nor a reply that had begun."""
    assert retry_delay(1, kind("x"), 0.0) is None


def test_jitter_takes_up_to_a_quarter_off() -> None:
    """So that a class whose requests failed together does not come back together."""
    assert retry_delay(2, Busy("x"), 0.5) == 0.875
    assert 0.75 < (retry_delay(2, Busy("x"), 0.999) or 0) < 0.76


@pytest.mark.parametrize(
    ("asked", "kept"),
    [(0.0, 0.0), (7.5, 7.5), (MAX_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS), (120.1, None)],
)
def test_the_servers_own_pause_is_kept_to(asked: float, kept: float | None) -> None:
    """Exactly, without jitter; one of more than two minutes ends the tries."""
    assert retry_delay(1, Busy("x", retry_after=asked), 0.9) == kept


def test_the_servers_own_pause_does_not_add_tries() -> None:
    """The last try is the last."""
    assert retry_delay(TRIES, Busy("x", retry_after=1.0), 0.0) is None


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("6m0s", 360.0),
        ("1.2s", 1.2),
        ("20ms", 0.02),
        ("1h2m3s", 3723.0),
        ("1d", 86_400.0),
        ("59", 59.0),
        ("-1", 0.0),
        ("1800000030", 30.0),
        ("1800000030000", 30.0),
        ("1799999999", 0.0),
        ("inf", float("inf")),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 0000 08:01:00 GMT", None),
        ("Fri, 15 Jäh 2027 08:01:00 GMT", None),
        ("Fri, 15 Jax 2027 08:01:00 GMT", None),
        ("soon", None),
        ("s", None),
        ("", None),
        ("1s" * 50_000, None),
        (7, 7.0),
        (None, None),
    ],
)
def test_a_rate_limit_says_when_it_ends(reset: object, seconds: float | None) -> None:
    """As a duration, a number of seconds, or the time itself; what is none of these is nothing."""
    headers = {"X-RateLimit-Reset-Requests": reset, "x-ratelimit-remaining-requests": "0"}
    assert parse_wait(headers, 1_800_000_000.0) == seconds


def test_only_a_used_up_limit_is_waited_for() -> None:
    """Of two used-up limits the later one counts; a Retry-After is the server's last word."""
    day = {"x-ratelimit-reset-requests": "24h", "x-ratelimit-remaining-requests": "7"}
    minute = {"x-ratelimit-reset-tokens": "8s", "x-ratelimit-remaining-tokens": "0"}
    assert parse_wait({**day, **minute}, 0.0) == 8.0
    assert parse_wait({**minute, "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}, 0.0) == 9
    assert parse_wait({**minute, "retry-after": "3"}, 0.0) == 3.0
    clock = {
        "date": "Fri, 15 Jan 2027 08:00:00 GMT",
        "retry-after": "Fri, 15 Jan 2027 08:00:09 GMT",
    }
    assert parse_wait(clock, 0.0) == 9.0
    assert parse_wait(day, 0.0) is None
    assert parse_wait({}, 0.0) is None
