"""Money is added up exactly, and never guessed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from di_magics.core.money.cost import is_implausible_cost, with_cost
from di_magics.core.money.prices import Price
from di_magics.core.reply.reply import Reply, ToolCall, Usage

PRICE = Price(Decimal("1E-6"), Decimal("2E-6"), None, "a list", "2026-11-23")


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
