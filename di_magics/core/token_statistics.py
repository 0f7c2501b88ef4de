"""What log-probabilities say of a reply: perplexity, entropy, the least likely tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

from di_magics.core.logprobs import TokenProbability


def perplexity(tokens: Sequence[TokenProbability]) -> float | None:
    """Return exp(-mean log-probability) of the tokens with a number, None without any."""
    known = [token.logprob for token in tokens if token.logprob is not None]
    return math.exp(min(700.0, -math.fsum(known) / len(known))) if known else None


def entropy(token: TokenProbability) -> float | None:
    """Return the entropy of a position in bits, None where no alternatives were returned.

    What was not returned counts as one token, so the true entropy may be higher.
    """
    shares = [math.exp(min(0.0, t.logprob)) for t in token.top if t.logprob is not None]
    if not shares:
        return None
    shares.append(max(0.0, 1 - math.fsum(shares)))
    return -math.fsum(share * math.log2(share) for share in shares if share > 0)


def least_likely(tokens: Sequence[TokenProbability], most: int) -> list[int]:
    """Return the positions of the least likely tokens, the least likely first."""
    known = [(t.logprob, at) for at, t in enumerate(tokens) if t.logprob is not None]
    return [at for _, at in sorted(known)[: max(0, most)]]
