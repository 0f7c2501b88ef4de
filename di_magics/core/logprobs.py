"""The tokens of a reply with their log-probabilities, as a server reports them.

A token need not be a text: an emoji is often several tokens, each a few bytes of UTF-8. `bytes` of
a token are its own where the server sends them; llama.cpp reports nothing for the first pieces of a
character, and with the last one the bytes of the whole character. `join_pieces` finds the groups of
tokens that are one character.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from di_magics.core.errors import ParamError
from di_magics.core.read_json import as_count, as_number, as_text
from di_magics.core.text import replace_surrogates
from di_magics.core.visible import one_line

Basis = Literal["raw", "unknown"]
"""Whether log-probabilities are known to be the model's own, before its settings apply."""

Data = bytes
MAX_CHARACTER_BYTES = 4
"""Bytes of a character in UTF-8."""
UNKNOWN_LOGPROB = -9999.0
"""What OpenAI and vLLM send for a token that is too unlikely to have a number."""
MAX_ROUNDING = 0.01
"""A server's rounding may make a log-probability slightly greater than 0."""
MAX_TOKEN_BYTES = 1000
"""Bytes of a token, or characters of its text, at most."""


@dataclass(frozen=True, slots=True)
class TokenProbability:
    """A token of a reply, its log-probability, and the most likely tokens in its place.

    `logprob` is a natural logarithm, None where the server has sent no number. `top` are the
    likeliest tokens, best first, without a `top` of their own. `bytes` and `id` are None where the
    server sends none.
    """

    token: str
    logprob: float | None
    top: tuple[TokenProbability, ...] = ()
    bytes: Data | None = None
    id: int | None = None

    def __repr__(self) -> str:
        share = "not known"
        if self.logprob is not None:
            share = f"{math.exp(min(0.0, self.logprob)) * 100:.3g} %"
        return f"<TokenProbability {self.text!r}, {share}>"

    @property
    def data(self) -> Data:
        """Its bytes as the server sent them, else those of its text."""
        return self.token.encode("utf-8", "replace") if self.bytes is None else self.bytes

    @property
    def text(self) -> str:
        """Its text; bytes that are not whole characters as `⟨f0 9f⟩`."""
        data = self.data
        return f"⟨{data.hex(' ')}⟩" if self.is_partial else data.decode()

    @property
    def is_partial(self) -> bool:
        """Whether its bytes are not whole characters."""
        try:
            self.data.decode()
        except UnicodeDecodeError:
            return True
        return False

    def is_same(self, other: TokenProbability) -> bool:
        """Return whether it is the same token of the vocabulary."""
        if self.id is not None and other.id is not None:
            return self.id == other.id
        return self.data == other.data


def read_token(
    entry: Mapping[str, Any], top: tuple[TokenProbability, ...] = ()
) -> TokenProbability:
    """Return the token of an entry of a server, with these alternatives."""
    text = as_text(entry.get("token"))
    return TokenProbability(
        # Not cut off: the cut might leave a part of a key, which nobody would recognise.
        replace_surrogates(text) if len(text) <= MAX_TOKEN_BYTES else "\ufffd",
        _parse_logprob(entry.get("logprob")),
        top,
        _parse_bytes(entry.get("bytes")),
        as_count(entry.get("id")),
    )


def _parse_logprob(value: object) -> float | None:
    number = as_number(value)
    if number is None or not UNKNOWN_LOGPROB < number <= MAX_ROUNDING:
        return None
    return min(number, 0.0)


def _parse_bytes(value: object) -> bytes | None:
    try:
        return bytes(value) if isinstance(value, list) and len(value) <= MAX_TOKEN_BYTES else None
    except (TypeError, ValueError):
        return None


def join_pieces(tokens: Sequence[TokenProbability]) -> Iterator[tuple[int, int, str]]:
    """Yield (position, number of tokens, text) for the tokens that are one character together."""
    at = 0
    while at < len(tokens):
        data = b""
        for end in range(at, min(len(tokens), at + MAX_CHARACTER_BYTES)):
            data += tokens[end].data
            try:
                text = data.decode()
            except UnicodeDecodeError as error:
                if error.reason != "unexpected end of data":
                    break
            else:
                if end > at:
                    yield at, end - at + 1, text
                    at = end
                break
        at += 1


def own_bytes(tokens: Sequence[TokenProbability]) -> tuple[TokenProbability, ...]:
    """Return the tokens with their own bytes, where llama.cpp gave those of a whole character."""
    own: list[TokenProbability] = []
    begun = b""
    for token in tokens:
        data = token.data
        if begun and data.startswith(begun) and not token.is_partial:
            token = replace(token, bytes=data.removeprefix(begun))
            begun = b""
        else:
            begun = begun + data if token.is_partial else b""
        own.append(token)
    return tuple(own)


def choose_token(drawn: TokenProbability, token: str | None, rank: int | None) -> TokenProbability:
    """Return the token with this text or rank at a position, else the drawn one.

    Raises ParamError if there is none.
    """
    if rank is not None:
        if not 1 <= rank <= len(drawn.top):
            raise ParamError(f"The rank must be 1 to {len(drawn.top)} there, not {rank}.")
        return replace(drawn.top[rank - 1], top=drawn.top)
    if token is None:
        return drawn
    fitting = [other for other in (drawn, *drawn.top) if other.text == token]
    fitting += [other for other in drawn.top if other.text.strip() == token.strip()]
    if not fitting:
        likely = ", ".join(repr(one_line(other.text, 20)) for other in drawn.top[:3])
        raise ParamError(
            f"{one_line(token, 40)!r} is not among the {len(drawn.top)} tokens known there. "
            f"The likeliest are {likely}."
        )
    return replace(fitting[0], top=drawn.top)
