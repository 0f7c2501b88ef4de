"""What all attacks share: how many there are, and the count of what was tried and what held."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

FULL = os.environ.get("DI_MAGICS_ATTACK") == "full"


def scaled(full: int, part: int = 10) -> int:
    """Return how many attacks to try: all of them, or one of every `part` in an ordinary run."""
    return full if FULL else max(1, full // part)


@dataclass
class Attacks:
    """Counts attacks; `failures` says of each that did not hold what happened."""

    tried: int = 0
    failures: list[str] = field(default_factory=list)

    def check(self, held: object, what: object) -> None:
        """Count an attack, which held or did not."""
        self.tried += 1
        if not held:
            self.failures.append(str(what)[:2000])


@pytest.fixture
def attacks(record_property: Callable[[str, object], None]) -> Iterator[Attacks]:
    """A count of attacks, which goes into the report; the test fails if one did not hold."""
    counted = Attacks()
    yield counted
    record_property("attacks", [counted.tried, counted.tried - len(counted.failures)])
    assert counted.tried
    assert counted.failures == []
