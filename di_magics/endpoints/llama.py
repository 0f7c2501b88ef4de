"""The model of a local llama.cpp server, position by position.

`/completion` continues a list of token ids, so that no text is split into other tokens on the way.
The cache of its slot holds the tokens of the last call: a call that adds one token reads one token
(about 13 ms on two cores), and gives the same numbers as writing it did. A longer text is read in
batches, which gives slightly different ones (up to 0.75 in the log-probability of a token that is
not the likeliest), so `hold` reads a reply token by token before it is continued.

A repetition penalty acts on logits, but the server reports only log-probabilities. The difference
is one number per position, the log normalizer (the logsumexp of the logits): logit =
log-probability + log normalizer. `LogNormalizers` measures it with one extra request per position:
two known tokens get a bias that lifts them above all others, one of them is also penalized, and the
ratio of their probabilities gives the number. The position must be read as when the reply was
written, because the known log-probabilities are from there.

`peek` forces the end token, because the server reports no alternatives for a token that ends within
a character, and the end token never does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from di_magics.core.errors import BadRequest, EndpointError
from di_magics.core.logprobs import TokenProbability, read_token
from di_magics.core.read_json import as_count, as_list, as_object, as_objects, as_text
from di_magics.core.sampling import DEFAULTS, MIN_LOGPROB, logits_zero
from di_magics.endpoints.client import Client
from di_magics.endpoints.endpoint import Endpoint

ANY_SLOT = -1
"""The server chooses the slot that has most of the ids already."""
SLOT = 3
"""The last one of the server: chats use it least."""
FORCED = 1000
"""Added to a logit, it makes its token certain. Reported log-probabilities do not include it."""
LOOK_UP = 1000
"""A token without an entry is looked for among so many likeliest ones, and only then among all."""
REPEAT = 2.0
LIFT = 30.0
"""Added to a logit, it is above all others."""
USUAL_NORMALIZER = 20.0
"""About what the log normalizer is; where it is, the two lifted tokens are equally likely."""
WINDOW = int(DEFAULTS["repeat_last_n"])
"""How many of the last ids penalties count."""
RESTARTS = 3
"""How often reading a reply begins again because another request has used its slot."""
NO_FILTERS: Mapping[str, Any] = {
    "temperature": 1,
    "top_k": 0,
    "top_p": 1,
    "min_p": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}


class Llama:
    """A llama.cpp server's model; every method raises EndpointError."""

    def __init__(self, client: Client, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint
        self._end: int | None = None
        self._vocabulary: int | None = None

    async def _get(self, path: str) -> dict[str, Any]:
        answer = await self._client.get(self._endpoint, path)
        if answer is None:
            raise self._no_answer(path)
        return as_object(answer)

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = as_object(await self._client.post(self._endpoint, path, body))
        if not answer:
            raise self._no_answer(path)
        return answer

    def _no_answer(self, path: str) -> BadRequest:
        return BadRequest(
            f"{self._endpoint.name} has no {path}. Use the built-in model: %chat endpoint local."
        )

    async def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Return the ids of a text; with `special`, names such as <|im_end|> are one token."""
        body = {"content": text, "add_special": special, "parse_special": special}
        return _ids((await self._post("/tokenize", body)).get("tokens"))

    async def prompt_ids(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the ids that the model reads of a chat, with its template."""
        answer = await self._post("/apply-template", {"messages": list(messages)})
        return await self.tokenize(as_text(answer.get("prompt")), special=True)

    async def end_token(self) -> int:
        """Return the id of the token that ends a reply."""
        if self._end is None:
            properties = await self._get("/props")
            ids = await self.tokenize(as_text(properties.get("eos_token")), special=True)
            if not ids:
                raise self._no_answer("/props")
            self._end = ids[-1]
        return self._end

    async def vocabulary(self) -> int | None:
        """Return how many tokens the model has, None where the server does not say."""
        if self._vocabulary is None:
            models = await self._get("/v1/models")
            [meta] = [as_object(m.get("meta")) for m in as_objects(models.get("data"))][:1] or [{}]
            self._vocabulary = as_count(meta.get("n_vocab"))
        return self._vocabulary

    async def force(
        self, ids: Sequence[int], token: int, most: int, slot: int = ANY_SLOT
    ) -> TokenProbability:
        """Return a token after these ids with its log-probability and `most` alternatives."""
        body = {
            "prompt": list(ids),
            "n_predict": 1,
            "n_probs": max(1, most),
            "logit_bias": [[token, FORCED]],
            "temperature": 0,
            "cache_prompt": True,
            "id_slot": slot,
        }
        answer = await self._post("/completion", body)
        entries = as_objects(answer.get("completion_probabilities"))
        if not entries:  # it ends within a character
            return await self._look_up(ids, token, most, slot)
        top = map(read_token, as_objects(as_list(entries[0].get("top_logprobs"))[:most]))
        return replace(read_token(entries[0]), top=tuple(top))

    async def peek(
        self, ids: Sequence[int], most: int, slot: int = ANY_SLOT
    ) -> tuple[TokenProbability, ...]:
        """Return the `most` likeliest tokens after these ids, best first."""
        return (await self.force(ids, await self.end_token(), most, slot)).top

    async def _look_up(
        self, ids: Sequence[int], token: int, most: int, slot: int
    ) -> TokenProbability:
        vocabulary = await self.vocabulary() or most
        for size in (most, LOOK_UP, vocabulary):
            top = await self.peek(ids, size, slot)
            if chosen := next((other for other in top if other.id == token), None):
                return replace(chosen, top=top[:most])
        return TokenProbability("", None, top[:most], None, token)

    async def score(
        self,
        prompt: Sequence[int],
        ids: Sequence[int],
        most: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[TokenProbability]:
        """Return the tokens with these ids after a prompt, with the model's log-probabilities.

        `progress` is called with the number of tokens so far.
        """
        tokens = []
        for at, token in enumerate(ids):
            tokens.append(await self.force([*prompt, *ids[:at]], token, most, SLOT))
            progress(at + 1)
        return tokens

    async def hold(self, prompt: Sequence[int], ids: Sequence[int]) -> int:
        """Return a cache slot with the prompt and the reply, read token by token.

        It is the slot in which the reply was written, if nothing else has used it since; otherwise
        the reply is read again.
        """
        read = [*prompt, *ids]
        body = {"prompt": read, "n_predict": 1, "cache_prompt": True, "id_slot": ANY_SLOT}
        answer = await self._post("/completion", body)
        cached = as_count(as_object(answer.get("timings")).get("cache_n")) or 0
        slot = as_count(answer.get("id_slot"))
        if slot is not None and cached >= len(read) - 1:
            return slot
        await self.score(prompt, ids, 1)
        return SLOT

    async def log_normalizer(
        self, ids: Sequence[int], top: Sequence[TokenProbability], slot: int = ANY_SLOT
    ) -> LogNormalizer:
        """Return logit - log-probability after these ids, of which `top` are tokens there."""
        window = ids[-WINDOW:]
        halved, other = _likeliest(top, window)
        if halved and not other:
            _, other = _likeliest(await self.peek(ids, LOOK_UP, slot), window)
        lifted: list[tuple[int, float, float]] = []
        if halved and other:
            level = other[1] + LIFT
            lifted = [(*halved, 2 * level + USUAL_NORMALIZER - halved[1]), (*other, LIFT)]
        body = {
            **NO_FILTERS,
            "prompt": list(ids),
            "n_predict": 1,
            "n_probs": 2,
            "repeat_penalty": REPEAT,
            "logit_bias": [[id_, bias] for id_, _, bias in lifted],
            "post_sampling_probs": True,
            "cache_prompt": True,
            "id_slot": slot,
        }
        answer = await self._post("/completion", body)
        after = {
            entry["id"]: float(entry["prob"])
            for row in as_objects(answer.get("completion_probabilities"))[:1]
            for entry in as_objects(row.get("top_probs"))
            if as_count(entry.get("id")) is not None and isinstance(entry.get("prob"), float | int)
        }
        known = [(id_, logprob + bias) for id_, logprob, bias in lifted]
        was_read = as_count(as_object(answer.get("timings")).get("prompt_n"))
        return LogNormalizer(
            logits_zero(known, window, after, REPEAT),
            was_read == 1,
            as_count(answer.get("id_slot")),
        )


class LogNormalizer(NamedTuple):
    """`exact` is whether only the last id was read for it, the others being in the slot's cache."""

    value: float | None
    exact: bool
    slot: int | None


class LogNormalizers:
    """The log normalizers along a reply, by position; None where one cannot be found."""

    def __init__(self, prompt: Sequence[int], tokens: Sequence[TokenProbability]) -> None:
        self._prompt = list(prompt)
        self._tokens = tokens
        self._ids = [token.id for token in tokens]
        self._known: dict[int, float | None] = {}
        self._next = 0
        """Up to this position, SLOT has read the reply token by token, but for its last id."""
        self._kept = len(tokens)
        """The position up to which the slot that wrote the reply may still hold it."""

    async def read(self, model: Llama, positions: Sequence[int]) -> list[float | None]:
        """Return the log normalizers at these positions, which takes about 15 ms for one.

        One alone is read where the reply was written, if that is possible; otherwise SLOT reads
        the reply up to the last one, from where it is. Raises EndpointError where other requests
        do not let the reply be read as it was written.
        """
        if len(positions) == 1:
            await self._read_in_place(model, positions[0])
        restarts = RESTARTS
        while missing := [at for at in positions if at not in self._known]:
            at = min(self._next, *missing)
            measured = await self._measure(model, at, SLOT)
            if at and not measured.exact:
                self._next, restarts = 0, restarts - 1
                if restarts < 0:
                    raise EndpointError("The model is busy with other requests. Try again later.")
                continue
            self._known[at] = measured.value
            self._next = at + 1
        return [self._known[at] for at in positions]

    async def _read_in_place(self, model: Llama, at: int) -> None:
        if at in self._known or at > self._kept or at == self._next:
            return
        measured = await self._measure(model, at, ANY_SLOT)
        if measured.exact:
            self._known[at] = measured.value
        self._kept = at if measured.exact else -1
        if measured.slot == SLOT:
            self._next = at + 1 if measured.exact else 0

    async def _measure(self, model: Llama, at: int, slot: int) -> LogNormalizer:
        token = self._tokens[at]
        before = [id_ for id_ in self._ids[:at] if id_ is not None]
        return await model.log_normalizer([*self._prompt, *before], [*token.top, token], slot)


def _likeliest(
    top: Sequence[TokenProbability], window: Sequence[int]
) -> tuple[tuple[int, float] | None, tuple[int, float] | None]:
    """Return the likeliest token in the window and the likeliest other one, with their numbers.

    Both are whole characters: the server reports nothing where a piece of one is drawn.
    """
    known = [
        (token.id, token.logprob)
        for token in top
        if token.id is not None and token.logprob is not None and token.logprob >= MIN_LOGPROB
        if not token.is_partial
    ]
    known.sort(key=lambda pair: -pair[1])
    inside = next((pair for pair in known if pair[0] in window), None)
    return inside, next((pair for pair in known if pair[0] not in window), None)


def _ids(value: object) -> list[int]:
    return [id_ for id_ in map(as_count, as_list(value)) if id_ is not None]
