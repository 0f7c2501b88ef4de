"""The cost of a reply.

Amounts are Decimal USD. An unknown cost is None and is displayed as a dash, never as 0. The API's
own number is used if there is one; `estimate` says how any other cost was computed.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from di_magics.core.amount import format_usd, in_money_context
from di_magics.core.money.prices import Price, estimate_cost
from di_magics.core.reply.reply import Reply, Usage
from di_magics.core.tokens import estimate_text_tokens, weight_tokens

FREE = Decimal(0)
USUAL_TIERS = ("", "auto", "default", "standard", "on_demand")
"""The service tiers with the price of the list; the last is Groq's name for it."""


@in_money_context
def with_cost(reply: Reply, sent_weight: int, price: Price | None, *, free: bool = False) -> Reply:
    """Return the reply with its cost: the API's, else an estimate, else None.

    An implausible cost of the API is marked, and replaced by the estimate if there is one. Where
    the server sent no counts, the tokens are estimated by the weight of the texts.
    """
    if free:
        return replace(reply, cost=FREE, estimate="")
    if reply.cost is not None:
        return _check_cost(reply, price)
    if price is None:
        return reply
    how = f"price of {price.date}, {price.source}"
    if reply.service_tier not in USUAL_TIERS:
        how += f"; service tier {reply.service_tier} may have another price"
    cost = estimate_cost(reply.usage, price)
    if cost is None:
        if reply.status == "failed" and not (reply.text or reply.reasoning or reply.tool_calls):
            return reply
        calls = "".join(call.arguments for call in reply.tool_calls)
        written = estimate_text_tokens(reply.text + reply.reasoning + calls)
        counted = Usage(weight_tokens(sent_weight), written)
        cost = estimate_cost(counted, price)
        how = f"tokens counted from the texts, {how}"
    return replace(reply, cost=cost, estimate=how)


def _check_cost(reply: Reply, price: Price | None) -> Reply:
    estimated = estimate_cost(reply.usage, price) if price else None
    if not is_implausible_cost(reply.cost, estimated):
        return reply
    how = f"the server's cost of {format_usd(reply.cost)} is implausible"
    return replace(reply, cost=reply.cost if estimated is None else estimated, estimate=how)


IMPLAUSIBLE_COST = Decimal(100)
IMPLAUSIBLE_RATIO = 1000


@in_money_context
def is_implausible_cost(cost: Decimal | None, estimate: Decimal | None = None) -> bool:
    """Return whether a server's cost of one reply must be a mistake.

    It is more than 100 USD, or at least 1000 times the estimate; an estimate of 0 is ignored.
    """
    if cost is None:
        return False
    return cost > IMPLAUSIBLE_COST or bool(estimate and cost >= IMPLAUSIBLE_RATIO * estimate)
