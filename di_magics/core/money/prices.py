"""Prices of models: price lists in three shapes -> USD per token; tokens -> an estimate.

A price that cannot be right is unknown (None), not 0. In OpenRouter's list a model is free if all
its prices are 0; in Together's, 0 means unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

from di_magics.core.amount import in_money_context
from di_magics.core.money.abilities import chats, read_abilities, read_context, read_date
from di_magics.core.read_json import as_count, as_list, as_name, as_object, as_objects
from di_magics.core.reply.reply import Usage
from di_magics.core.settings.params import DEFAULT_MAX_TOKENS
from di_magics.core.tokens import weight_tokens

USD_PER_TOKEN = Decimal(1)
CENTS_PER_TOKEN = Decimal("1E-2")
PER_MILLION = Decimal("1E-6")

MAX_MODELS = 20_000
"""At most so many entries of a list are read; the largest lists have a few thousand."""

# USD per token. The units of the lists are up to 10^6 apart: a price outside is likely misread.
MIN_PRICE = Decimal("1E-9")
MAX_PRICE = Decimal("1E-3")

# The digits after this one are rounding errors of the servers.
PLACE = Decimal("1E-13")
ROUNDING = Context(prec=28)  # the user's own decimal context may have too few digits


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a token in USD, its source, and the day it was read (an ISO date).

    `cached` is the price of a prompt token in the server's cache, None where it is not known.
    """

    input: Decimal
    output: Decimal
    cached: Decimal | None
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A chat model of a price list; `context` is its context window in tokens.

    `abilities` is what it can do (see ABILITIES), `created` the ISO date of its entry, "" if that
    is not known.
    """

    id: str
    context: int | None
    price: Price | None
    tags: tuple[str, ...] = ()
    replaced_by: str | None = None
    abilities: tuple[str, ...] = ()
    created: str = ""


def parse_models(payload: object, *, source: str, date: str) -> list[ListedModel]:
    """Return the chat models of a price list, in any of the shapes that services have for it.

    Only the first MAX_MODELS entries are read.
    """
    entries = as_list(payload.get("data") if isinstance(payload, dict) else payload)[:MAX_MODELS]
    models = (_parse_model(entry, source, date) for entry in as_objects(entries))
    return [model for model in models if model]


def _parse_model(entry: Mapping[str, object], source: str, date: str) -> ListedModel | None:
    if "model_name" in entry:  # /models/list
        kind = entry.get("type") or entry.get("reported_type")
        name, about, context = "model_name", entry, as_count(entry.get("max_tokens")) or None
        can_chat = not isinstance(kind, str) or kind == "text-generation"
    else:  # the OpenAI shape has metadata, if only null; OpenRouter's has none
        about = as_object(entry["metadata"]) if "metadata" in entry else entry
        name, context, can_chat = "id", read_context(about), chats(about)
    tags = tuple(tag for tag in as_list(about.get("tags")) if isinstance(tag, str))
    if name == "id" and tags:  # /models/list does not tag its chat models so
        can_chat = "chat" in tags
    id_ = as_name(entry.get(name))
    if not id_ or not can_chat:
        return None
    return ListedModel(
        id_,
        context,
        _parse_price(as_object(about.get("pricing")), source, date),
        tags,
        as_name(about.get("replaced_by")),
        read_abilities(about),
        read_date(entry.get("created")),
    )


def _parse_price(pricing: Mapping[str, object], source: str, date: str) -> Price | None:
    """Read the price in the unit that its names stand for."""
    if "cents_per_input_token" in pricing:
        cents, rate = pricing["cents_per_input_token"], pricing.get("rate_per_input_token_cached")
        sent = _parse_rate(cents, CENTS_PER_TOKEN)
        written = _parse_rate(pricing.get("cents_per_output_token"), CENTS_PER_TOKEN)
        # The rate is a fraction of the input price: 0.25 for Hy3, at $0.14 and $0.035 cached.
        cached = _parse_rate(rate, sent) if sent else None
    elif "input_tokens" in pricing:
        sent = _parse_rate(pricing["input_tokens"], PER_MILLION)
        written = _parse_rate(pricing.get("output_tokens"), PER_MILLION)
        cached = _parse_rate(pricing.get("cache_read_tokens"), PER_MILLION)
    elif "input" in pricing:  # Together's are per million tokens, Vercel's per token: 10^6 apart
        sent = _parse_rate(pricing["input"], PER_MILLION)
        unit = PER_MILLION if sent else USD_PER_TOKEN
        sent = _parse_rate(pricing["input"], unit)
        written = _parse_rate(pricing.get("output"), unit)
        cached = _parse_rate(pricing.get("input_cache_read"), unit)
    elif {"prompt", "completion"} <= pricing.keys() and all(map(_is_zero, pricing.values())):
        sent, written, cached = Decimal(0), Decimal(0), None
    else:
        sent = _parse_rate(pricing.get("prompt"), USD_PER_TOKEN)
        written = _parse_rate(pricing.get("completion"), USD_PER_TOKEN)
        cached = _parse_rate(pricing.get("input_cache_read"), USD_PER_TOKEN)
    return _make_price(sent, written, cached, source, date)


def parse_price_table(payload: object) -> dict[str, ListedModel]:
    """Return the models of the table that comes with the package (prices.json), by id.

    Its rows are [input, output, cached, context], in USD per million tokens.
    """
    models: dict[str, ListedModel] = {}
    match payload:
        case {"source": str() as source, "date": str() as date, "models": {**rows}}:
            for name, row in rows.items():
                match name, row:
                    case str() as id_, [sent, written, cached, context] if id_:
                        price = _make_price(
                            _parse_rate(sent, PER_MILLION),
                            _parse_rate(written, PER_MILLION),
                            _parse_rate(cached, PER_MILLION),
                            source,
                            date,
                        )
                        models[id_] = ListedModel(id_, as_count(context) or None, price)
    return models


@in_money_context
def format_per_million(amount: Decimal) -> str:
    """Return USD per token as USD per million tokens, with at least two digits after the point."""
    text = f"{(amount / PER_MILLION).normalize(ROUNDING):f}"
    whole, _, digits = text.partition(".")
    return f"{whole}.{digits:0<2}"


def describe_model(model: ListedModel) -> str:
    """Return a model's context window, abilities and price for display."""
    context = f"{model.context:,} tokens of context" if model.context else "context not known"
    if model.abilities:
        context += f" · {', '.join(model.abilities)}"
    price = model.price
    if price is None:
        return f"{context} · price not known"
    cached = "" if price.cached is None else f", ${format_per_million(price.cached)} cached"
    return (
        f"{context} · ${format_per_million(price.input)} in{cached}, "
        f"${format_per_million(price.output)} out per million tokens ({price.source}, {price.date})"
    )


def model_columns(model: ListedModel) -> dict[str, str]:
    """Return the facts of a model for a table: prices per million tokens, "" where not known."""
    price = model.price
    return {
        "context": f"{model.context:,}" if model.context else "",
        "in": format_per_million(price.input) if price else "",
        "out": format_per_million(price.output) if price else "",
        "cached": format_per_million(price.cached) if price and price.cached is not None else "",
        "can": ", ".join(model.abilities),
        "since": model.created,
    }


def newest_first(models: Iterable[ListedModel]) -> list[ListedModel]:
    """Return models by date, the newest first; those without a date at the end, all by id."""
    by_id = sorted(models, key=lambda model: model.id.lower())
    return sorted(by_id, key=lambda model: model.created, reverse=True)


def matches_filter(model: ListedModel, parts: Iterable[str]) -> bool:
    """Return whether each of these lower-case texts is in a model's id or abilities."""
    text = f"{model.id} {' '.join(model.abilities)}".lower()
    return all(part in text for part in parts)


def price_sources(models: Iterable[ListedModel]) -> str:
    """Return the sources of these prices with their dates, for display."""
    known = {f"{model.price.source} of {model.price.date}" for model in models if model.price}
    return " and ".join(sorted(known)) or "no price is known"


@in_money_context
def estimate_cost(usage: Usage, price: Price) -> Decimal | None:
    """Return the cost of these tokens in USD, None if the server sent no counts."""
    sent, written = usage.prompt_tokens, usage.completion_tokens
    if sent is None or written is None:
        return None
    if usage.total_tokens is not None:  # some servers leave reasoning out of the completion
        written = max(written, usage.total_tokens - sent)
    cached = min(max(usage.cached_tokens or 0, 0), sent)
    cached_price = price.input if price.cached is None else price.cached
    return (sent - cached) * price.input + cached * cached_price + written * price.output


@in_money_context
def request_cost(prompt_weight: int, max_tokens: int | None, price: Price) -> Decimal:
    """Return about what a request costs in USD if its reply has `max_tokens` and nothing is cached.

    Without `max_tokens` the reply is the longest that the server allows.
    """
    written = DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens
    return weight_tokens(prompt_weight) * price.input + written * price.output


def _make_price(
    sent: Decimal | None, written: Decimal | None, cached: Decimal | None, source: str, date: str
) -> Price | None:
    if sent is None or written is None:
        return None
    if cached is not None and cached > sent:  # a discount above the price has another unit
        cached = None
    return Price(sent, written, cached, source, date)


def _is_zero(rate: object) -> bool:
    if isinstance(rate, str):
        return "0" in rate and not rate.strip("0.")
    return rate == 0 and rate is not False


def _parse_rate(rate: object, unit: Decimal) -> Decimal | None:
    """Read a price in USD per token, None unless it is plausible."""
    if isinstance(rate, bool) or not isinstance(rate, int | float | str):
        return None
    try:
        number = Decimal(str(rate))
    except (ValueError, ArithmeticError):  # an int may have too many digits for str
        return None
    # Compared before it is multiplied, which overflows with the exponents a string can have.
    if not number.is_finite() or not MIN_PRICE / unit <= number <= MAX_PRICE / unit:
        return None
    return (number * unit).quantize(PLACE, context=ROUNDING)
