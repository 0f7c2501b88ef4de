"""Log-probabilities in a compact form, for a lens and for the disk.

The form is one table of all tokens that are drawn or offered anywhere in the reply, and arrays of
indexes into it, so that 2,000 tokens with 20 alternatives are about 270 kB. A lens gets it with the
rest that it shows (`pack_lens`); on disk it is compressed (`dump_tokens`).
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice, pairwise
from typing import Any, Literal, NamedTuple

from di_magics.core.logprobs import UNKNOWN_LOGPROB, Basis, TokenProbability, join_pieces
from di_magics.core.read_json import as_count

Continuing = Literal["ids", "text", "none"]
"""How a reply can be continued from one of its tokens: by token ids, by its text, or not at all."""

NO_INDEX, NO_WIDE_INDEX = 0xFFFF, 0xFFFFFFFF
"""The index that means "no token", in arrays of 2-byte and of 4-byte indexes."""
MAX_TOKENS, MAX_PLACES = 20_000, 200_000
"""Tokens of a lens, and places for their alternatives, of which each token has as many."""
MAX_DUMP_BYTES = 64 << 20
"""More than the dump of any reply that is read; see MAX_REPLY_TOKENS in core/request/events.py."""
DAMAGED = "the log-probabilities are damaged"


class PackedTokens(NamedTuple):
    """Tokens as one table without repeats and five arrays (little endian).

    counts          how many alternatives each position has, 4 bytes each
    alternatives    indexes into the table: the alternatives of all positions, one after another
    logprobs        their log-probabilities
    drawn           indexes into the table: the token that was drawn at each position
    drawn_logprobs  their log-probabilities

    Log-probabilities are 32-bit floats, NaN where unknown. Indexes have 2 bytes; in a `wide` reply,
    with more than 65,535 different tokens, they have 4.
    """

    table: list[TokenProbability]
    wide: bool
    counts: bytes
    alternatives: bytes
    logprobs: bytes
    drawn: bytes
    drawn_logprobs: bytes


def pack_tokens(tokens: Sequence[TokenProbability]) -> PackedTokens:
    """Return tokens and their alternatives as a table and arrays."""
    places: dict[tuple[str, bytes | None, int | None], int] = {}
    drawn = [_place(token, places) for token in tokens]
    others = [other for token in tokens for other in token.top]
    alternatives = [_place(other, places) for other in others]
    wide = len(places) > NO_INDEX
    return PackedTokens(
        [TokenProbability(text, None, (), data, id_) for text, data, id_ in places],
        wide,
        struct.pack(f"<{len(tokens)}I", *(len(token.top) for token in tokens)),
        _pack_indexes(alternatives, wide=wide),
        _pack_numbers(others),
        _pack_indexes(drawn, wide=wide),
        _pack_numbers(tokens),
    )


def _place(token: TokenProbability, places: dict[tuple[str, bytes | None, int | None], int]) -> int:
    """Return the index of a token in the table, to which it is added if it is new."""
    return places.setdefault((token.token, token.bytes, token.id), len(places))


def unpack_tokens(packed: PackedTokens) -> tuple[TokenProbability, ...]:
    """Return the tokens of a table and arrays. Raises ValueError where they do not fit."""
    table, code = packed.table, "<I" if packed.wide else "<H"
    try:
        others = struct.iter_unpack(code, packed.alternatives)
        logprobs = struct.iter_unpack("<f", packed.logprobs)
        alternatives = iter(
            [
                _with_numbers(table[index], number, ())
                for (index,), (number,) in zip(others, logprobs, strict=True)
            ]
        )
        counts = struct.iter_unpack("<I", packed.counts)
        drawn = struct.iter_unpack(code, packed.drawn)
        own = struct.iter_unpack("<f", packed.drawn_logprobs)
        return tuple(
            _with_numbers(table[index], number, tuple(islice(alternatives, count)))
            for (count,), (index,), (number,) in zip(counts, drawn, own, strict=True)
        )
    except (struct.error, IndexError) as error:
        raise ValueError(DAMAGED) from error


def _with_numbers(
    row: TokenProbability, number: float, top: tuple[TokenProbability, ...]
) -> TokenProbability:
    """Return the token of a row with these numbers; three times as fast as `replace`."""
    logprob = number if UNKNOWN_LOGPROB < number <= 0 else None
    return TokenProbability(row.token, logprob, top, row.bytes, row.id)


def _pack_numbers(tokens: Sequence[TokenProbability]) -> bytes:
    numbers = (math.nan if token.logprob is None else token.logprob for token in tokens)
    return struct.pack(f"<{len(tokens)}f", *numbers)


def _pack_indexes(indexes: Sequence[int], *, wide: bool) -> bytes:
    code, mask = ("I", NO_WIDE_INDEX) if wide else ("H", NO_INDEX)
    return struct.pack(f"<{len(indexes)}{code}", *(index & mask for index in indexes))


def dump_tokens(tokens: Sequence[TokenProbability]) -> bytes:
    """Return tokens and their alternatives as compressed bytes."""
    packed = pack_tokens(tokens)
    arrays = packed[2:]
    rows = [
        [row.token, None if row.bytes is None else row.bytes.hex(), row.id] for row in packed.table
    ]
    sizes = [len(array) for array in arrays]
    head = json.dumps([rows, packed.wide, sizes], separators=(",", ":")).encode()
    return zlib.compress(struct.pack("<I", len(head)) + head + b"".join(arrays))


def load_tokens(data: bytes) -> tuple[TokenProbability, ...]:
    """Return the tokens of `dump_tokens`. Raises ValueError for other bytes."""
    try:
        unpacked = zlib.decompressobj()
        plain = unpacked.decompress(data, MAX_DUMP_BYTES)
        if unpacked.unconsumed_tail:
            raise ValueError(DAMAGED)
        (end,) = struct.unpack_from("<I", plain)
        end += struct.calcsize("<I")
        rows, wide, sizes = json.loads(plain[struct.calcsize("<I") : end])
        ends = [end, *accumulate(sizes, initial=end)][1:]
        arrays = [plain[start:stop] for start, stop in pairwise(ends)]
        table = [_parse_row(*row) for row in rows]
        return unpack_tokens(PackedTokens(table, wide, *arrays))
    except (zlib.error, struct.error, TypeError, ValueError, RecursionError) as error:
        raise ValueError(DAMAGED) from error


def _parse_row(token: object, data: object, id_: object) -> TokenProbability:
    """Return the token of a row. Raises ValueError or TypeError for values of other types."""
    if not isinstance(token, str) or as_count(id_) != id_ or not isinstance(data, str | None):
        raise ValueError(DAMAGED)
    own = None if data is None else bytes.fromhex(data)
    return TokenProbability(token, None, (), own, as_count(id_))


@dataclass(frozen=True, slots=True)
class LensData:
    """What a lens shows of a turn.

    `most` is how many alternatives a position has at most (K), `vocabulary` how many tokens the
    model has, None where that is not known. `settings` has what was sent and the endpoint's default
    for the rest, in llama.cpp's names; `order` is the order of the filters, None where it is not
    known. `prompt` are the last ids of the prompt, which penalties count. `unreported` is how many
    tokens of the reply the server counted and did not report. `name` says which reply it is.
    """

    tokens: tuple[TokenProbability, ...]
    model: str
    basis: Basis = "unknown"
    vocabulary: int | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    order: tuple[str, ...] | None = None
    continues: Continuing = "none"
    prompt: tuple[int, ...] = ()
    unreported: int = 0
    note: str = ""
    name: str = ""

    @property
    def most(self) -> int:
        """How many alternatives a position has at most."""
        return max((len(token.top) for token in self.tokens), default=0)


def cut_lens(data: LensData) -> LensData:
    """Return what a lens can show in a moment: MAX_TOKENS tokens and about MAX_PLACES places.

    The note says what is left out.
    """
    tokens, notes = data.tokens[:MAX_TOKENS], [data.note] if data.note else []
    if len(tokens) < len(data.tokens):
        notes.append(f"Only the first {MAX_TOKENS:,} of {len(data.tokens):,} tokens are shown.")
    most = MAX_PLACES // max(1, len(tokens))
    if most < max((len(token.top) for token in tokens), default=0):
        tokens = tuple(replace(token, top=token.top[:most]) for token in tokens)
        notes.append(f"Of each token only the {most:,} most likely alternatives are shown.")
    return replace(data, tokens=tokens, note=" ".join(notes))


def _pad(array: bytes, tokens: Sequence[TokenProbability], most: int, empty: bytes) -> bytes:
    """Return an array of alternatives with the same number of places for each token."""
    ends = [len(empty) * end for end in accumulate((len(t.top) for t in tokens), initial=0)]
    padding = empty * most
    return b"".join(array[start:end] + padding[end - start :] for start, end in pairwise(ends))


def pack_lens(data: LensData) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the widget of a lens gets: an object for JSON, and binary buffers.

    `texts`, `partial` and `ids` describe the table: the text of each token, the indexes of those
    that are not whole characters, and the ids. `characters` are the groups of `join_pieces`. The
    buffers are the arrays of PackedTokens, in which each position has `most` alternatives, some of
    them NO_INDEX; and `ranks`: in 2 bytes the place of each drawn token among its position's
    alternatives, NO_INDEX where it is not one of them. Call it for what `cut_lens` returns.
    """
    packed = pack_tokens(data.tokens)
    most, wide = data.most, packed.wide
    none = struct.pack("<I", NO_WIDE_INDEX) if wide else struct.pack("<H", NO_INDEX)
    ranks = [
        next((n for n, other in enumerate(token.top) if other.is_same(token)), NO_INDEX)
        for token in data.tokens
    ]
    head = {
        "model": data.model,
        "name": data.name,
        "count": len(data.tokens),
        "most": most,
        "wide": wide,
        "vocabulary": data.vocabulary,
        "basis": data.basis,
        "settings": dict(data.settings),
        "order": data.order and list(data.order),
        "continues": data.continues,
        "prompt": list(data.prompt),
        "unreported": data.unreported,
        "note": data.note,
        "texts": [row.text for row in packed.table],
        "partial": [n for n, row in enumerate(packed.table) if row.is_partial],
        "ids": [row.id for row in packed.table],
        "characters": [list(group) for group in join_pieces(data.tokens)],
    }
    buffers = {
        "alternatives": _pad(packed.alternatives, data.tokens, most, none),
        "logprobs": _pad(packed.logprobs, data.tokens, most, struct.pack("<f", math.nan)),
        "drawn": packed.drawn,
        "drawn_logprobs": packed.drawn_logprobs,
        "ranks": _pack_indexes([min(rank, NO_INDEX) for rank in ranks], wide=False),
    }
    return head, buffers
