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
from di_magics.core.request.retry import MAX_RETRY_AFTER_SECONDS, TRIES, retry_delay


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
