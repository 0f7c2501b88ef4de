"""Sums of costs: what they leave out, and what of them is estimated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from di_magics.core.amount import NO_AMOUNT
from di_magics.core.money.prices import Price
from di_magics.core.money.tally import Entry, Tally, cost_sections, group_entries, tally
from di_magics.core.reply.reply import Usage

PRICE = Price(Decimal("1E-6"), Decimal("2E-6"), None, "a list", "2026-11-23")


def entry(cost: str | None, prompt: int | None = None, **changes: Any) -> Entry:
    """Return an entry of this cost and these tokens."""
    amount = None if cost is None else Decimal(cost)
    plain: dict[str, Any] = {
        "turn": "t",
        "notebook": "n",
        "conversation": "main",
        "model": "m",
        "endpoint": "e",
        "begun": 0.0,
        "day": "2026-11-23",
        "status": "done",
        "usage": Usage(prompt, prompt, None, prompt, prompt),
        "cost": amount,
    }
    return Entry(**{**plain, **changes})


def test_tally_sums_tokens_and_costs() -> None:
    """Decimals add exactly where binary fractions would not; of tokens all four kinds are."""
    total = tally([entry("0.1", 10), entry("0.2", 1, estimate="how"), entry(None)])
    assert total == Tally(3, 11, 11, 11, 11, Decimal("0.3"), Decimal("0.2"), 1)


@pytest.mark.parametrize(
    ("costs", "shown"),
    [
        ([], "$0"),
        ([None, None], NO_AMOUNT),
        (["0.5"], "$0.50"),
        (["0", "0"], "$0"),
        (["0.5", None], "$0.50 and 1 of unknown cost"),
        (["0", None], "$0 and 1 of unknown cost"),
    ],
)
def test_a_sum_says_what_it_leaves_out(costs: list[str | None], shown: str) -> None:
    """A reply of unknown cost is named beside the sum, and is not counted as free."""
    assert tally(map(entry, costs)).text == shown


def test_a_sum_says_what_of_it_is_estimated() -> None:
    """All of it or a part."""
    known, reckoned = entry("0.5"), entry("0.25", estimate="how")
    assert tally([reckoned]).text == "$0.25 (an estimate)"
    assert tally([known, reckoned]).text == "$0.75 ($0.25 of it estimated)"


def test_a_short_sum_is_marked_where_it_is_not_exact() -> None:
    """For the status bar: an estimate, a lower bound, or nothing known."""
    known, estimated, unknown = entry("0.5"), entry("0.25", estimate="how"), entry(None)
    sums = [[], [known], [known, estimated], [known, unknown], [estimated, unknown], [unknown]]
    assert [tally(item).short for item in sums] == [
        *("$0", "$0.50", "≈ $0.75", "≥ $0.50", "≥ $0.25", NO_AMOUNT)
    ]


def test_what_failed_before_a_reply_came_is_no_reply() -> None:
    """A refused request is not counted as one of unknown cost."""
    assert tally([entry(None, status="failed")]) == Tally()
    assert tally([entry("0.1", status="failed")]).replies == 1


def test_a_reply_in_flight_is_not_of_unknown_cost() -> None:
    """It counts when it has ended; what is known of its cost counts already."""
    assert tally([entry(None, status="open")]).text == "$0"
    assert tally([entry("0.1", status="open"), entry("0.2")]).text == "$0.30"
    assert tally([entry(None, status="cut"), entry("0.2")]).text == "$0.20 and 1 of unknown cost"


def test_entries_are_grouped_in_order() -> None:
    """By model, in the order of first appearance; a group of failures alone is none."""
    entries = [entry("1", model="b"), entry("2", model="a"), entry("4", model="b")]
    entries.append(entry(None, model="c", status="failed"))
    found = group_entries(entries, lambda item: item.model)
    assert {name: total.cost for name, total in found.items()} == {"b": 5, "a": 2}


def test_costs_are_grouped_by_conversation_day_and_model() -> None:
    """By conversation, day and model; by notebook where all notebooks are meant."""
    entries = [entry("1"), entry("2", conversation="", notebook="o")]
    here = cost_sections(entries, {"n": "a.ipynb"}, everywhere=False)
    assert list(here) == ["conversation", "day", "model"]
    assert list(here["conversation"]) == ["main", "(no memory)"]
    there = cost_sections(entries, {"n": "a.ipynb"}, everywhere=True)
    assert list(there["notebook"]) == ["a.ipynb", "(elsewhere)"]
