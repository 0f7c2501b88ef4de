"""Perplexity, entropy and the least likely tokens."""

from __future__ import annotations

import math

import pytest

from di_magics.core.logprobs import TokenProbability
from di_magics.core.token_statistics import entropy, least_likely, perplexity


def token(text: str, p: float | None = 0.5, *top: TokenProbability) -> TokenProbability:
    """Return a token with a probability."""
    return TokenProbability(text, None if p is None else math.log(p), top)


def test_perplexity_counts_the_tokens_with_a_number() -> None:
    """Two tokens of 1/2 and 1/8 are like a choice among four."""
    assert perplexity([token("a", 1 / 2), token("b", None), token("c", 1 / 8)]) == pytest.approx(4)
    assert perplexity([]) is None
    assert perplexity([token("a", None)]) is None


def test_entropy_is_in_bits_and_counts_the_remainder() -> None:
    """Four even tokens are two bits, whether the last one was returned or not."""
    four = [token(sign, 0.25) for sign in "abcd"]
    assert entropy(token("a", 0.25, *four)) == pytest.approx(2)
    assert entropy(token("a", 0.25, *four[:3])) == pytest.approx(2)
    assert entropy(token("a", 1, token("a", 1))) == 0
    assert entropy(token("a", 1)) is None
    assert entropy(token("a", 1, token("a", None))) is None


def test_the_least_likely_tokens_come_first() -> None:
    """Those without a number are not among them."""
    tokens = [token("a", 0.5), token("b", 0.1), token("c", None), token("d", 0.2)]
    assert least_likely(tokens, 2) == [1, 3]
    assert least_likely(tokens, 10) == [1, 3, 0]
    assert least_likely(tokens, -1) == []
