"""Replies with log-probabilities to show: of any size, and hostile ones."""

from __future__ import annotations

import math
import random

from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import LensData

WORDS = (
    " the| fox| was|,|.|\n| lazy| dog| over| jumps| a| brown|ing| of| to| and| in| it| is| red|\n\n"
)
HOSTILE = (
    "<img src=x onerror='window.ran=1'>",
    "<script>window.ran=2</script>",
    '" onmouseover="window.ran=3',
    "</span></div><style>body{display:none}</style>",
    "\u202eabc\u202c",
    "a\u200b\u200db",
    "\x00\x1b[31m",
    "\U000e0041",
    "$x^2$ \\(y\\)",
    "&lt;b&gt;",
    "",
    " ",
    "\t",
    "\n\n",
    "x" * 3000,
)
LLAMA_DEFAULTS = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}


def sample_reply(
    count: int = 60,
    most: int = 20,
    texts: tuple[str, ...] = tuple(WORDS.split("|")),
    vocabulary: int | None = 49_152,
    seed: int = 1,
) -> LensData:
    """Return a reply of random tokens; each position has this many alternatives of random shape."""
    chance = random.Random(seed)
    table = [*texts, *(f" w{n}" for n in range(max(most + 1 - len(texts), 3 * most)))]
    tokens = []
    for at in range(count):
        spread = chance.choice([0.5, 2, 6])
        weights = sorted((math.exp(chance.gauss(0, spread)) for _ in range(most)), reverse=True)
        total = sum(weights)
        known = chance.uniform(0.7, 0.999)
        ids = chance.sample(range(len(table)), most)
        if at < len(texts):
            ids = [at, *(other for other in ids if other != at)][:most]
        top = tuple(
            TokenProbability(table[id_], math.log(known * weight / total), (), None, id_)
            for id_, weight in zip(ids, weights, strict=True)
        )
        own = top[0] if chance.random() < 0.6 else chance.choice(top)
        if at < len(texts):
            own = top[0]
        tokens.append(TokenProbability(own.token, own.logprob, top, None, own.id))
    return LensData(
        tuple(tokens),
        "sample-model",
        "raw",
        vocabulary,
        LLAMA_DEFAULTS,
        ("penalties", "top_k", "top_p", "min_p", "temperature"),
        "none",
        (),
    )


def hostile_reply(count: int = 40) -> LensData:
    """Return a reply whose tokens are made to do harm."""
    return sample_reply(count, 20, HOSTILE)


def odd_reply() -> LensData:
    """Return a reply with what servers send besides numbers: gaps, pieces of characters."""
    emoji = "🌍".encode()
    whole = TokenProbability(" a", -0.5, (TokenProbability(" a", -0.5), TokenProbability("b", -1)))
    tokens = (
        whole,
        TokenProbability("x", None, (TokenProbability("y", -0.1), TokenProbability("z", None))),
        TokenProbability("far", -9.0, (TokenProbability("near", -0.01),)),
        TokenProbability("", -0.2, (), emoji[:2], 7),
        TokenProbability("", -0.3, (), emoji[2:], 8),
        TokenProbability("last", -0.4, (TokenProbability("b", -2), TokenProbability("last", -0.4))),
    )
    return LensData(tokens, "m", "raw", 100)
