"""Prices are read from whichever list there is, and what cannot be right is unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

import di_magics
from di_magics.core.money.prices import (
    MAX_MODELS,
    MAX_PRICE,
    MIN_PRICE,
    ListedModel,
    Price,
    describe_model,
    estimate_cost,
    format_per_million,
    matches_filter,
    model_columns,
    newest_first,
    parse_models,
    parse_price_table,
    price_sources,
    request_cost,
)
from di_magics.core.reply.reply import Usage

FROM = {"source": "a list", "date": "2026-11-23"}
FILE = Path(di_magics.__file__).with_name("endpoints") / "prices.json"

HY3 = Price(Decimal("1.4E-7"), Decimal("5.8E-7"), Decimal("3.5E-8"), **FROM)
PRICE = Price(Decimal("3E-8"), Decimal("6E-8"), None, **FROM)

MILLION = {"input_tokens": 0.14, "output_tokens": 0.58, "cache_read_tokens": 0.035}
CENTS = {
    "type": "tokens",
    "cents_per_input_token": 1.4e-05,
    "cents_per_output_token": 5.8e-05,
    "rate_per_input_token_cached": 0.25,
}
STRINGS = {"prompt": "0.00000014", "completion": "0.00000058", "input_cache_read": "0.000000035"}


def openai(pricing: object = MILLION, **metadata: object) -> dict[str, Any]:
    """Return a list of one model in the OpenAI shape."""
    about = {"context_length": 262144, "pricing": pricing, **metadata}
    return {"object": "list", "data": [{"id": "tencent/Hy3", "metadata": about}]}


def listed(pricing: object = CENTS, **more: object) -> list[dict[str, Any]]:
    """Return a list of one model in the shape of /models/list."""
    about = {"type": "text-generation", "max_tokens": 262144, "pricing": pricing}
    return [{"model_name": "tencent/Hy3", **about, **more}]


def router(pricing: object = STRINGS, **more: object) -> dict[str, Any]:
    """Return a list of one model in OpenRouter's shape."""
    return {"data": [{"id": "tencent/Hy3", "context_length": 262144, "pricing": pricing, **more}]}


def only(payload: object) -> ListedModel:
    """Return the one model of a list."""
    (model,) = parse_models(payload, **FROM)
    return model


def prices(payload: object) -> Price | None:
    """Return the price of the one model of a list."""
    return only(payload).price


@pytest.mark.parametrize("payload", [openai(), listed(), router()])
def test_the_three_shapes_of_a_model_are_one_model(payload: object) -> None:
    """Three units of the same price give the same USD per token."""
    assert parse_models(payload, **FROM) == [ListedModel("tencent/Hy3", 262144, HY3)]


def test_a_list_is_read_up_to_a_limit() -> None:
    """A million models would keep the kernel and the page busy for a minute."""
    models = parse_models([{"id": "m"}] * (MAX_MODELS + 1), source="s", date="d")
    assert len(models) == MAX_MODELS


def test_shapes_may_be_mixed_in_one_list() -> None:
    """The shape is told entry by entry."""
    mixed = [*openai()["data"], *listed(), *router()["data"]]
    assert [model.price for model in parse_models(mixed, **FROM)] == [HY3] * 3


def test_a_rounded_rate_gives_a_round_price() -> None:
    """The noise of a rate with eight digits is rounded away."""
    pricing = {"cents_per_input_token": 0.00013, "cents_per_output_token": 0.00026}
    price = prices(listed({**pricing, "rate_per_input_token_cached": 0.07692308}))
    assert price is not None
    assert price.cached == Decimal("1E-7")


def test_the_readers_decimal_context_does_not_matter() -> None:
    """A notebook that reckons with two digits reads prices all the same."""
    with localcontext() as context:
        context.prec = 2
        assert prices(openai()) == HY3


@pytest.mark.parametrize(
    "payload",
    [
        openai(tags=["embed"]),
        listed(type="embeddings"),
        listed(type=None, reported_type="text-to-image"),
        router(tags=["tts"]),
    ],
)
def test_models_that_do_not_chat_are_left_out(payload: object) -> None:
    """A model is left out when its tags or its type say that it does something else."""
    assert parse_models(payload, **FROM) == []


@pytest.mark.parametrize(
    "payload",
    [
        openai(tags=["vlm", "chat"]),
        openai(tags=[]),
        openai(tags="embed"),
        listed(tags=["openai", "tools"]),
        listed(type=None),
        listed(type=7),
    ],
)
def test_models_that_may_chat_are_kept(payload: object) -> None:
    """A model is kept when it says that it chats, or says nothing that can be read."""
    assert only(payload).price == HY3


@pytest.mark.parametrize("entry", [{"id": "a"}, {"id": "a", "metadata": None}])
def test_a_model_of_which_nothing_is_said_is_kept(entry: dict[str, Any]) -> None:
    """Without metadata there is a name, and nothing is made up."""
    assert parse_models({"data": [entry]}, **FROM) == [ListedModel("a", None, None)]


def test_tags_and_successor_are_read() -> None:
    """Of tags and of a successor, what is text is kept."""
    model = only(listed(tags=["tools", 1, None], replaced_by="tencent/Hy4"))
    assert (model.tags, model.replaced_by) == (("tools",), "tencent/Hy4")


@pytest.mark.parametrize("name", [None, "", 1, True, ["a"], {}])
def test_a_model_without_a_name_is_skipped(name: object) -> None:
    """An id that is no text leaves the other models as they are."""
    payload = [{"id": name}, {"model_name": name}, {"id": "a"}]
    assert [model.id for model in parse_models(payload, **FROM)] == ["a"]


@pytest.mark.parametrize("context", [None, 0, -1, True, 1.5, "8192", 10**30, [8192]])
def test_a_context_that_is_no_size_is_unknown(context: object) -> None:
    """Only a whole number of tokens, within reason, is a context."""
    assert only(openai(context_length=context)).context is None


@pytest.mark.parametrize("factor", [Decimal(10) ** power for power in (-6, -5, -4, 4, 5, 6)])
def test_a_unit_mistake_is_unknown(factor: Decimal) -> None:
    """A price that is off by a mistaken unit is no price, in any shape."""

    def off(pricing: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: value if key in ("type", "rate_per_input_token_cached") else str(found * factor)
            for key, value in pricing.items()
            for found in [Decimal(str(value)) if key != "type" else factor]
        }

    assert prices(openai(off(MILLION))) is None
    assert prices(listed(off(CENTS))) is None
    assert prices(router(off(STRINGS))) is None


GARBAGE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    10**5000,
    -0.02,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "free",
    "NaN",
    "sNaN",
    "Infinity",
    "1E+999999999",
    "1E-999999999",
    "\ud800",
    b"1",
    [],
    [[[]]],
    [[0.1]],
    {},
    {"data": {"data": 1}},
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize("side", ["input_tokens", "output_tokens"])
def test_implausible_price_is_unknown(garbage: object, side: str) -> None:
    """With one side unknown there is no price; 0 is not taken for free."""
    assert prices(openai({**MILLION, side: garbage})) is None


@pytest.mark.parametrize(
    ("pricing", "free"),
    [
        ({"prompt": "0", "completion": "0"}, True),
        ({"prompt": 0, "completion": 0.0, "request": "0.000", "image": "0"}, True),
        ({"prompt": "0", "completion": "0", "image": "0.04"}, False),
        ({"prompt": "0", "completion": "0", "request": None}, False),
        ({"prompt": "0", "completion": "."}, False),
        ({"prompt": False, "completion": False}, False),
        ({"prompt": "-1", "completion": "-1"}, False),
        ({"prompt": "0"}, False),
        ({"input": 0, "output": 0, "base": 0, "hourly": 0, "finetune": 0}, False),
        ({"input_tokens": 0, "output_tokens": 0}, False),
    ],
)
def test_free_is_what_costs_nothing_in_any_way(pricing: dict[str, Any], free: bool) -> None:
    """OpenRouter's 0 is a price if nothing else of the model costs; Together's is unknown."""
    price = prices(router(pricing))
    assert (price is not None and estimate_cost(Usage(10, 5), price) == 0) is free
    assert (price is None) is not free


def test_a_price_under_one_name_may_be_of_a_token_or_of_a_million() -> None:
    """Together's are of a million tokens, Vercel's of one: what cannot be the one is the other."""
    together = prices(router({"input": 2.5, "output": 10}))
    vercel = prices(
        router({"input": "0.0000025", "output": "0.00001", "input_cache_read": "0.000001"})
    )
    assert together
    assert vercel
    assert (vercel.input, vercel.output) == (together.input, together.output)
    assert (vercel.cached, together.cached) == (Decimal("0.000001"), None)


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_a_price_in_cents_that_is_none_is_unknown(garbage: object) -> None:
    """Without the input price the rate of the cache is a fraction of nothing."""
    assert prices(listed({**CENTS, "cents_per_input_token": garbage})) is None


@pytest.mark.parametrize("garbage", [*GARBAGE, 0.15], ids=range(len(GARBAGE) + 1))
def test_a_cache_price_that_is_none_is_unknown(garbage: object) -> None:
    """A discount that cannot be read, or is none, leaves the price without it."""
    found = prices(openai({**MILLION, "cache_read_tokens": garbage}))
    assert found == replace(HY3, cached=None)


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_in_any_place_is_no_error(garbage: object) -> None:
    """Whatever a server sends, what can be read is read."""
    assert parse_models(garbage, **FROM) == []
    assert parse_models([garbage], **FROM) == []
    assert parse_models({"data": garbage}, **FROM) == []
    assert prices({"data": [{"id": "a", "metadata": garbage}]}) is None
    for payload in (openai(garbage), listed(garbage), router(garbage)):
        assert prices(payload) is None
    assert only(openai(tags=garbage)).tags == ()
    assert parse_models([{"model_name": "a", "type": garbage}, {"id": "b"}], **FROM)[-1].id == "b"


@pytest.mark.parametrize(
    ("million", "known"), [("0.001", True), ("1000", True), ("0.000999", False), ("1001", False)]
)
def test_the_bounds_of_a_price(million: str, known: bool) -> None:
    """From a tenth of a cent to a thousand dollars per million tokens, both included."""
    price = prices(openai({"input_tokens": million, "output_tokens": million}))
    assert (price is not None) is known


TABLE = {"source": "a list", "date": "2026-11-23"}


def test_a_table_is_read() -> None:
    """A row is the price per million tokens, and the context."""
    rows = {"tencent/Hy3": ["0.14", "0.58", "0.035", 262144], "b": ["1", "2", None, None]}
    other = Price(Decimal("1E-6"), Decimal("2E-6"), None, **FROM)
    assert parse_price_table({**TABLE, "models": rows}) == {
        "tencent/Hy3": ListedModel("tencent/Hy3", 262144, HY3),
        "b": ListedModel("b", None, other),
    }


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_a_broken_table_is_no_error(garbage: object) -> None:
    """Rows that are none are skipped, and a table without source and date is none."""
    row = ["1", "2", None, None]
    assert parse_price_table(garbage) == {}
    assert parse_price_table({**TABLE, "models": garbage}) == {}
    assert parse_price_table({**TABLE, "models": {"a": garbage, "": row, 1: row}}) == {}
    assert parse_price_table({**TABLE, "models": {"a": [garbage] * 4}})["a"].price is None
    assert parse_price_table({"source": None, "date": "", "models": {"a": row}}) == {}


def test_every_row_of_the_packages_table_has_a_price_and_a_context() -> None:
    """The table that is delivered is whole, and all of it can be read."""
    payload = json.loads(FILE.read_text("utf-8"))
    found = parse_price_table(payload)
    assert len(found) == len(payload["models"]) > 100
    for model in found.values():
        assert model.context
        assert model.price
        assert MIN_PRICE <= model.price.input <= model.price.output <= MAX_PRICE
        row = payload["models"][model.id]
        assert (model.price.cached is None) is (row[2] is None)


def test_the_packages_table_knows_a_published_price() -> None:
    """Llama 3.3 70B Turbo is $0.10 in and $0.32 out per million tokens."""
    found = parse_price_table(json.loads(FILE.read_text("utf-8")))
    price = found["meta-llama/Llama-3.3-70B-Instruct-Turbo"].price
    assert price is not None
    assert (price.input, price.output) == (Decimal("1E-7"), Decimal("3.2E-7"))


def test_the_packages_table_is_sorted_one_model_per_line() -> None:
    """The differences between two tables can be read."""
    lines = [line for line in FILE.read_text("utf-8").splitlines() if '": ["' in line]
    names = [line.split('"')[1] for line in lines]
    assert names == sorted(json.loads(FILE.read_text("utf-8"))["models"])


@pytest.mark.parametrize(
    ("prompt", "completion", "sent", "written", "cost"),
    [
        (328, 81, "0.03", "0.06", "1.47E-05"),
        (48, 200, "0.35", "0.40", "9.68E-05"),
        (149, 338, "0.59", "0.79", "0.00035493"),
    ],
)
def test_recorded_costs_are_recomputed(
    prompt: int, completion: int, sent: str, written: str, cost: str
) -> None:
    """The estimate is exactly what DeepInfra answered for these tokens."""
    price = prices(openai({"input_tokens": sent, "output_tokens": written}))
    assert price is not None
    assert estimate_cost(Usage(prompt, completion, prompt + completion), price) == Decimal(cost)


@pytest.mark.parametrize("usage", [Usage(), Usage(1), Usage(None, 1), Usage(None, 1, 2)])
def test_uncounted_tokens_have_no_estimate(usage: Usage) -> None:
    """Without both counts the cost is unknown, not 0."""
    assert estimate_cost(usage, PRICE) is None


@pytest.mark.parametrize(
    ("cached", "cost"),
    [(None, "1.4E-4"), (0, "1.4E-4"), (400, "9.8E-5"), (1000, "3.5E-5"), (5000, "3.5E-5")],
)
def test_cached_tokens_cost_less(cached: int | None, cost: str) -> None:
    """They are part of the prompt, and never more than it."""
    assert estimate_cost(Usage(1000, 0, cached_tokens=cached), HY3) == Decimal(cost)


def test_a_negative_count_of_cached_tokens_is_none() -> None:
    """A count below 0 does not make the prompt longer."""
    assert estimate_cost(Usage(1000, 0, cached_tokens=-5), HY3) == Decimal("1.4E-4")


def test_cached_tokens_of_unknown_price_cost_as_any_other() -> None:
    """Without a price for them, the discount is not made up."""
    assert estimate_cost(Usage(1000, 0, cached_tokens=400), PRICE) == Decimal("3E-5")


@pytest.mark.parametrize(("total", "cost"), [(None, "1E1"), (20, "1E1"), (50, "4E1"), (5, "1E1")])
def test_reasoning_outside_the_completion_is_paid_too(total: int | None, cost: str) -> None:
    """What the total has beyond the prompt was written, and a total that is too small is not."""
    price = replace(PRICE, input=Decimal(0), output=Decimal(1))
    assert estimate_cost(Usage(10, 10, total), price) == Decimal(cost)


@pytest.mark.parametrize(
    ("size", "limit", "cost"), [(0, 0, 0), (1, 0, 1), (3, 0, 1), (4, 5, 52), (6, None, 163_842)]
)
def test_request_cost_is_prompt_plus_longest_reply(size: int, limit: int | None, cost: int) -> None:
    """Three bytes are a token, rounded up, and no limit is the server's own."""
    price = replace(PRICE, input=Decimal(1), output=Decimal(10))
    assert request_cost(size, limit, price) == cost


@pytest.mark.parametrize(
    ("token", "million"),
    [("1E-7", "0.10"), ("1.5E-5", "15.00"), ("3.5E-8", "0.035"), ("1E-3", "1000.00")],
)
def test_prices_are_shown_per_million(token: str, million: str) -> None:
    """In plain digits, at least two after the point."""
    assert format_per_million(Decimal(token)) == million


def test_what_is_known_of_a_model_is_said() -> None:
    """Context and price with its source and date, or that they are not known."""
    assert describe_model(only(openai())) == (
        "262,144 tokens of context · $0.14 in, $0.035 cached, $0.58 out per million tokens "
        "(a list, 2026-11-23)"
    )
    assert "cached" not in describe_model(ListedModel("a", 1, PRICE))
    assert describe_model(ListedModel("a", None, None)) == "context not known · price not known"


def test_price_sources_are_listed_once() -> None:
    """Each source once."""
    other = replace(PRICE, date="2026-11-24")
    result = [
        ListedModel("a", 1, PRICE),
        ListedModel("b", 1, other),
        ListedModel("c", 1, PRICE),
        ListedModel("d", 1, None),
    ]
    assert price_sources(result) == "a list of 2026-11-23 and a list of 2026-11-24"
    assert price_sources([]) == "no price is known"


def test_a_list_of_together_is_in_dollars_per_million() -> None:
    """It is a plain list; its other models are left out."""
    price = {"hourly": 0, "input": 0.14, "output": 0.58, "base": 0}
    chat = {"id": "a", "type": "chat", "context_length": 8192, "created": 1763856000}
    models = parse_models([{**chat, "pricing": price}, {"id": "b", "type": "embedding"}], **FROM)
    assert models == [
        ListedModel("a", 8192, replace(HY3, cached=None), abilities=(), created="2025-11-23")
    ]


def test_the_newest_model_is_first() -> None:
    """Those without a date are at the end, by name."""
    models = [ListedModel(id_, None, None, created=date) for id_, date in (
        ("old", "2024-01-01"), ("b", ""), ("A", ""), ("new", "2026-01-01")
    )]  # fmt: skip
    assert [model.id for model in newest_first(models)] == ["new", "old", "A", "b"]


def test_a_filter_looks_at_names_and_abilities() -> None:
    """All of its words must be there."""
    model = ListedModel("Qwen/Qwen3", None, None, abilities=("tools", "images"))
    assert matches_filter(model, ["qwen", "tools"])
    assert not matches_filter(model, ["qwen", "logprobs"])
    assert matches_filter(model, [])


def test_the_columns_of_a_model_are_empty_where_nothing_is_known() -> None:
    """And have prices per million tokens."""
    known = ListedModel("m", 8192, HY3, abilities=("tools", "images"), created="2026-01-01")
    assert list(model_columns(known).values()) == [
        "8,192", "0.14", "0.58", "0.035", "tools, images", "2026-01-01"
    ]  # fmt: skip
    assert set(model_columns(ListedModel("m", None, None)).values()) == {""}
    assert "8,192 tokens of context · tools, images · $0.14 in" in describe_model(known)
