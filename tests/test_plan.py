"""From what a cell asks to a turn and its request."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from di_magics.core.chat import Conversation
from di_magics.core.errors import BudgetError, ParamError
from di_magics.core.plan import Ask, Planned, limit, planned
from di_magics.core.policy import FREE, read
from di_magics.core.prices import Price
from di_magics.core.settings import Settings

PRICE = Price(Decimal("1E-6"), Decimal("2E-6"), None, "a list", "2026-11-23")


@dataclass(frozen=True)
class Place:
    """Where a request goes."""

    name: str = "e"
    model: str = "m"
    url: str = "https://e/v1"
    local: bool = False
    endpoint: object = None


def plan(ask: Ask, **changes: Any) -> Planned:
    """Return the plan of an ask in an empty conversation."""
    plain: dict[str, Any] = {
        "notebook": "n",
        "settings": Settings(),
        "policy": FREE,
        "chat": Conversation(),
        "route": Place(),
        "price": PRICE,
    }
    return planned(ask, "t", **{**plain, **changes})


def test_settings_then_flags_then_policy() -> None:
    """The later one wins, and only what is set is sent."""
    settings = Settings(system="s", params={"temperature": 1, "seed": 5})
    policy = read({"system": "taught", "parameters": {"top_k": 3}}, "p")
    found = plan(Ask("hi", params={"temperature": "0"}), settings=settings, policy=policy)
    assert found.body["temperature"] == 0
    assert (found.body["seed"], found.body["top_k"]) == (5, 3)
    assert (found.turn.system, found.turn.taught) == ("s", False)
    assert plan(Ask("hi"), policy=policy).turn.taught


def test_an_empty_prompt_is_refused() -> None:
    """White space is none."""
    with pytest.raises(ParamError, match="empty"):
        plan(Ask(" \n"))


def test_a_value_that_llama_cpp_would_misread_is_refused() -> None:
    """Only on this machine."""
    ask = Ask("hi", params={"seed": 2**32})
    assert plan(ask).body["seed"] == 2**32
    with pytest.raises(ParamError, match="On this machine"):
        plan(ask, route=Place(local=True))


def test_the_worst_case_is_reserved() -> None:
    """The prompt with its marks, and as many tokens as may come; unknown without a price."""
    assert plan(Ask("abc", params={"max_tokens": 10})).reserve == Decimal("0.000029")
    assert plan(Ask("abc", params={"max_tokens": 0})).reserve == plan(Ask("abc")).reserve
    assert plan(Ask("abc")).reserve == Decimal("0.032777")
    assert plan(Ask("abc"), price=None).reserve is None


def test_limits() -> None:
    """A cell's own budget and the notebook's; nothing is limited on this machine."""
    found = plan(Ask("abc"))
    assert limit(found, Ask("abc"), None) is None
    assert limit(found, Ask("abc", budget=Decimal(1)), Decimal(2)) == 2
    assert limit(plan(Ask("abc"), route=Place(local=True)), Ask("abc"), Decimal(0)) is None
    with pytest.raises(BudgetError, match="--budget"):
        limit(found, Ask("abc", budget=Decimal("0.01")), None)
    unknown = plan(Ask("abc"), price=None)
    with pytest.raises(BudgetError, match="--yes"):
        limit(unknown, Ask("abc"), Decimal(1))
    assert limit(unknown, Ask("abc", yes=True, budget=Decimal(1)), Decimal(1)) == 1
