"""Money is added up exactly, and never guessed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from di_magics.core.amount import NO_AMOUNT
from di_magics.core.money.cost import (
    Entry,
    Tally,
    cost_sections,
    group_entries,
    is_implausible_cost,
    tally,
    with_cost,
)
from di_magics.core.money.prices import Price
from di_magics.core.reply.reply import Reply, ToolCall, Usage

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


DONE = Reply(text="yes", status="done", usage=Usage(100, 10, 110))


def test_the_apis_own_cost_is_the_truth() -> None:
    """It is kept as it came, and is no estimate."""
    reply = replace(DONE, cost=Decimal("0.1"))
    assert with_cost(reply, 300, PRICE) == reply


def test_without_it_tokens_times_price_say_so() -> None:
    """The price's date and source stand beside the cost."""
    reply = with_cost(DONE, 300, PRICE)
    assert reply.cost == Decimal("0.00012")
    assert reply.estimate == "price of 2026-11-23, a list"
    assert reply.cost_is_estimate


def test_an_estimate_says_that_a_service_tier_may_have_another_price() -> None:
    """Unless it is the usual one."""
    flex = with_cost(replace(DONE, service_tier="flex"), 300, PRICE)
    assert flex.cost == Decimal("0.00012")
    assert flex.estimate == (
        "price of 2026-11-23, a list; service tier flex may have another price"
    )
    usual = with_cost(replace(DONE, service_tier="default"), 300, PRICE)
    assert usual.estimate == "price of 2026-11-23, a list"


def test_what_was_stopped_is_counted_from_its_texts() -> None:
    """Text, reasoning and calls of a reply whose tokens the server never counted."""
    call = ToolCall("1", "f", "abc")
    reply = Reply(text="abc", reasoning="äx", tool_calls=(call,), status="stopped")
    reply = with_cost(reply, 300, PRICE)
    assert reply.cost == 100 * PRICE.input + 3 * PRICE.output
    assert reply.estimate == "tokens counted from the texts, price of 2026-11-23, a list"


def test_without_a_price_it_is_unknown() -> None:
    """Nor is there an estimate for what failed before anything came."""
    assert with_cost(DONE, 300, None).cost is None
    assert with_cost(Reply(status="failed"), 300, PRICE).cost is None


def test_this_machine_is_free() -> None:
    """Whatever the server says."""
    reply = with_cost(replace(DONE, cost=Decimal("9")), 300, None, free=True)
    assert (reply.cost, reply.cost_is_estimate) == (Decimal(0), False)


def test_costs_are_grouped_by_conversation_day_and_model() -> None:
    """By conversation, day and model; by notebook where all notebooks are meant."""
    entries = [entry("1"), entry("2", conversation="", notebook="o")]
    here = cost_sections(entries, {"n": "a.ipynb"}, everywhere=False)
    assert list(here) == ["conversation", "day", "model"]
    assert list(here["conversation"]) == ["main", "(no memory)"]
    there = cost_sections(entries, {"n": "a.ipynb"}, everywhere=True)
    assert list(there["notebook"]) == ["a.ipynb", "(elsewhere)"]


@pytest.mark.parametrize(
    ("cost", "estimate", "implausible"),
    [
        (None, None, False),
        (None, "0.1", False),
        ("0", "0.1", False),
        ("100", None, False),
        ("100.01", None, True),
        ("0.0999", "0.0001", False),
        ("0.1", "0.0001", True),
        ("50", "0", False),
        ("1E+6", "9E+5", True),
    ],
)
def test_a_cost_beyond_all_reason_is_marked(
    cost: str | None, estimate: str | None, implausible: bool
) -> None:
    """More than 100 USD for a reply, or 1000 times the list; a price of 0 proves nothing."""
    amounts = [None if text is None else Decimal(text) for text in (cost, estimate)]
    assert is_implausible_cost(*amounts) is implausible


def test_an_implausible_cost_is_marked_and_the_estimate_takes_its_place() -> None:
    """Where no price is known, the server's cost stays, marked as what it is."""
    reply = Reply(usage=Usage(1000, 1000, 2000), cost=Decimal(999_999), status="done")
    price = Price(Decimal("1E-6"), Decimal("1E-6"), None, "a list", "2026-11-01")
    priced = with_cost(reply, 10, price)
    assert (priced.cost, "implausible" in priced.estimate) == (Decimal("0.002"), True)
    unpriced = with_cost(reply, 10, None)
    assert (unpriced.cost, "implausible" in unpriced.estimate) == (Decimal(999_999), True)
    usual = Reply(usage=Usage(1000, 1000, 2000), cost=Decimal("0.003"), status="done")
    assert with_cost(usual, 10, price) == usual
