"""The built-in model position by position, and the sampling chain against llama.cpp's own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from di_magics.core.errors import BadRequest, EndpointError
from di_magics.core.sampling import DEFAULT_ORDER, reshape
from di_magics.endpoints.client import Client
from di_magics.endpoints.endpoint import Endpoint, LocalEndpoint
from di_magics.endpoints.llama import SLOT, Llama, LogNormalizer, LogNormalizers
from di_magics.endpoints.local_server import LocalServer

T = TypeVar("T")
Try = Callable[[Callable[[Llama], Awaitable[Any]]], Any]

MESSAGES = [{"role": "user", "content": "Tell me about foxes."}]
TEXT = "The fox is a small animal. It lives in the forest, and it eats mice. The fox is red."
OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
SETTINGS: list[dict[str, Any]] = [
    {},
    OFF,
    OFF | {"temperature": 0.0},
    OFF | {"temperature": 0.5, "top_k": 7},
    OFF | {"temperature": 1.7, "top_k": 15},
    OFF | {"top_p": 0.6},
    OFF | {"min_p": 0.1, "temperature": 1.4},
    OFF | {"temperature": 1.5, "top_p": 0.7, "samplers": ["temperature", "top_p"]},
    OFF | {"top_k": 20, "presence_penalty": 0.7, "frequency_penalty": 0.4},
    OFF | {"top_k": 20, "repeat_penalty": 1.3},
    {"top_k": 0, "top_p": 0.9, "min_p": 0.02, "temperature": 1.2, "presence_penalty": -0.5},
]
POSITIONS = 20
EXACT, OUTSIDE = 5e-6, 2e-6


@pytest.fixture(scope="module")
def server(model_home: Path) -> Iterator[LocalServer]:
    """A server of the built-in model, started once."""
    server = LocalServer(None, model_home)
    server.start(lambda line: None)
    yield server
    server.stop()


@pytest.fixture
def with_model(server: LocalServer) -> Try:
    """Run a coroutine of a model: `with_model(lambda model: model.tokenize("a"))`."""

    def run(work: Callable[[Llama], Awaitable[T]]) -> T:
        async def main() -> T:
            client = Client()
            try:
                return await work(Llama(client, LocalEndpoint(server.url, server.key)))
            finally:
                await client.close()

        return asyncio.run(main())

    return run


async def sample_truth(model: Llama, ids: list[int], settings: dict[str, Any]) -> dict[int, float]:
    """Return llama.cpp's own probabilities after its chain, of at most 300 tokens.

    It reports none where the drawn token ends within a character: then it draws with another seed.
    """
    body = {**settings, "prompt": ids, "n_predict": 1, "n_probs": 300, "post_sampling_probs": True}
    for seed in range(20):
        draw = {"seed": seed, "id_slot": SLOT, "cache_prompt": True}
        answer = await model._post("/completion", body | draw)
        assert answer["timings"]["prompt_n"] == 1, "it was read in a batch, with other numbers"
        if rows := answer.get("completion_probabilities"):
            return {entry["id"]: entry["prob"] for entry in rows[0]["top_probs"]}
    raise AssertionError("No drawn token ends a character.")


def test_the_filters_have_the_order_that_is_computed(with_model: Try) -> None:
    """A new version of llama.cpp with another order fails here."""

    async def work(model: Llama) -> object:
        properties = await model._get("/props")
        return properties["default_generation_settings"]["params"]["samplers"]

    assert with_model(work) == list(DEFAULT_ORDER)


def test_the_chain_is_that_of_the_installed_llama(with_model: Try) -> None:
    """Exact where it says so, nowhere outside its interval, with the same number of survivors."""

    async def work(model: Llama) -> None:
        prompt = await model.prompt_ids(MESSAGES)
        ids = await model.tokenize(TEXT)
        vocabulary = await model.vocabulary()
        exact = zeros = 0
        for at in range(POSITIONS):
            read = [*prompt, *ids[:at]]
            await model.peek(read, 1, SLOT)
            top = await model.peek(read, 100, SLOT)
            zero, exact_read, _ = await model.log_normalizer(read, top, SLOT)
            assert exact_read
            zeros += zero is not None
            for settings in SETTINGS:
                truth = await sample_truth(model, read, settings)
                for most in (100, 20, 5):
                    known = [(token.id, token.logprob) for token in top[:most]]
                    result = reshape(known, vocabulary, settings, read, zero)  # type: ignore[arg-type]
                    where = f"position {at}, {settings}, K {most}"
                    for token, _ in known:
                        low, high = result.probs.get(token, (0.0, 0.0))  # type: ignore[arg-type]
                        true = truth.get(token, 0.0)  # type: ignore[arg-type]
                        if len(truth) < 300 or true:
                            assert low - OUTSIDE <= true <= high + OUTSIDE, where
                            assert not result.exact or abs(true - low) <= EXACT, where
                    if result.survivors is not None:
                        assert result.survivors == len(truth), where
                    exact += result.exact
        assert exact > POSITIONS * len(SETTINGS)
        assert zeros >= POSITIONS - 2

    with_model(work)


def test_the_log_normalizer_is_that_of_the_whole_softmax(with_model: Try) -> None:
    """Two ways to the same number: the likeliest tokens halved, and two rare ones lifted."""

    async def work(model: Llama) -> None:
        prompt = await model.prompt_ids(MESSAGES)
        top = await model.peek(prompt, 40_000, SLOT)
        one, _, _ = await model.log_normalizer(prompt, top[:100], SLOT)
        other, _, _ = await model.log_normalizer(prompt, top[20_000:], SLOT)
        assert one is not None
        assert 5 < one < 50
        assert other == pytest.approx(one, abs=1e-4)

    with_model(work)


@pytest.mark.parametrize("busy", [False, True])
def test_log_normalizers_are_read_as_the_reply_was_written(with_model: Try, busy: bool) -> None:
    """In its own slot, and from the beginning where that is gone: the same numbers."""

    async def work(model: Llama) -> None:
        prompt = await model.prompt_ids(MESSAGES)
        ids = await model.tokenize(TEXT * 3)
        tokens = await model.score(prompt, ids, 20)
        in_place = LogNormalizers(prompt, tokens)
        places = [50, 40, 30, 20]
        alone = [(await in_place.read(model, [at]))[0] for at in places]
        if busy:
            await model.peek(await model.tokenize(TEXT), 1, SLOT)
        read = await LogNormalizers(prompt, tokens).read(model, places)
        assert await in_place.read(model, range(51)) == await in_place.read(model, range(51))
        assert None not in read
        assert alone == pytest.approx(read, abs=1e-5)

    with_model(work)


def test_log_normalizers_are_not_read_from_a_slot_that_others_have_used(with_model: Try) -> None:
    """Reading begins again, and gives up where there is no end to it."""

    class Busy(Llama):
        async def log_normalizer(self, *_: object) -> LogNormalizer:
            return LogNormalizer(20, exact=False, slot=SLOT)

    async def work(model: Llama) -> None:
        prompt = await model.prompt_ids(MESSAGES)
        tokens = await model.score(prompt, await model.tokenize(TEXT), 20)
        await model.peek(prompt[:5], 1, SLOT)  # the numbers depend on how the prompt is read
        expected = await LogNormalizers(prompt, tokens).read(model, range(12))
        zeros = LogNormalizers(prompt, tokens)
        await zeros.read(model, range(6))
        await model.peek(prompt[:5], 1, SLOT)
        assert await zeros.read(model, range(6, 12)) == pytest.approx(expected[6:], abs=1e-5)
        with pytest.raises(EndpointError, match="busy"):
            await zeros.read(Busy(model._client, model._endpoint), [14, 15])

    with_model(work)


def test_a_text_is_scored_as_it_was_written(with_model: Try) -> None:
    """Forcing the tokens of a greedy reply gives the likeliest token everywhere."""

    async def work(model: Llama) -> None:
        prompt = await model.prompt_ids(MESSAGES)
        body = {"prompt": prompt, "n_predict": 12, "temperature": 0, "n_probs": 3}
        answer = await model._post("/completion", body | {"return_tokens": True, "id_slot": SLOT})
        done: list[int] = []
        scored = await model.score(prompt, answer["tokens"], 3, done.append)
        assert done == list(range(1, 13))
        assert [token.id for token in scored] == answer["tokens"]
        for token, written in zip(scored, answer["completion_probabilities"], strict=True):
            assert token.logprob == pytest.approx(written["logprob"], abs=1e-6)
            assert len(token.top) == 3

    with_model(work)


def test_a_peek_leaves_the_next_reply_as_it_was(with_model: Try) -> None:
    """The forced end token is not part of any text."""

    async def work(model: Llama) -> None:
        prompt = await model.prompt_ids(MESSAGES)
        body = {"prompt": prompt, "n_predict": 12, "temperature": 0, "id_slot": SLOT}
        before = await model._post("/completion", body)
        await model.peek(prompt, 20, SLOT)
        assert (await model._post("/completion", body))["content"] == before["content"]

    with_model(work)


def test_the_pieces_of_a_character_have_log_probabilities(with_model: Try) -> None:
    """llama.cpp reports none for them, so they are looked up."""

    async def work(model: Llama) -> None:
        ids = await model.tokenize("a 🦊")
        tokens = await model.score(await model.prompt_ids(MESSAGES), ids, 5)
        assert len(ids) > 3
        assert b"".join(token.data for token in tokens) == "a 🦊".encode()
        assert all(token.logprob is not None and token.logprob < 0 for token in tokens)

    with_model(work)


def test_all_tokens_of_a_position_can_be_seen(with_model: Try) -> None:
    """Their probabilities sum to 1, but for the 32 bits of the server."""

    async def work(model: Llama) -> None:
        top = await model.peek(await model.prompt_ids(MESSAGES), await model.vocabulary() or 0)
        total = math.fsum(math.exp(token.logprob) for token in top if token.logprob is not None)
        assert len(top) == await model.vocabulary()
        assert total == pytest.approx(1, abs=3e-4)

    with_model(work)


def test_a_server_of_another_kind_is_named() -> None:
    """One line, and what has the data."""

    class Other(Client):
        async def post(self, endpoint: Endpoint, path: str, body: Any) -> object:
            return ["no object"]

    async def work() -> None:
        await Llama(Other(), Endpoint("http://127.0.0.1:1/v1")).tokenize("a")

    with pytest.raises(BadRequest, match="built-in model"):
        asyncio.run(work())
