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
from itertools import accumulate, pairwise
from typing import Any, Literal, NamedTuple

from di_magics.core.logprobs import UNKNOWN_LOGPROB, Basis, TokenProbability, join_pieces
from di_magics.core.read_json import as_count

Continuing = Literal["ids", "text", "none"]
"""How a reply can be continued from one of its tokens: by token ids, by its text, or not at all."""

NO_INDEX, NO_WIDE_INDEX = 0xFFFF, 0xFFFFFFFF
"""The index that means "no token", in arrays of 2-byte and of 4-byte indexes."""
LONGEST_DUMP = 64 << 20
"""More than the dump of any reply that is read; see MOST_TOKENS in core/request/events.py."""
DAMAGED = "the log-probabilities are damaged"


class PackedTokens(NamedTuple):
    """Tokens as one table without repeats and four arrays (little endian).

    The arrays are indexes into the table, for every position's alternatives (`most` of them, with
    NO_INDEX in empty places) and for the token that was drawn, and the log-probabilities of both
    as 32-bit floats, NaN where unknown. Indexes have 2 bytes; in a `wide` reply, with more than
    65,535 different tokens, they have 4.
    """

    table: list[TokenProbability]
    most: int
    wide: bool
    alternatives: bytes
    logprobs: bytes
    drawn: bytes
    drawn_logprobs: bytes


def pack_tokens(tokens: Sequence[TokenProbability]) -> PackedTokens:
    """Return tokens and their alternatives as a table and arrays."""
    places: dict[TokenProbability, int] = {}

    def place(token: TokenProbability) -> int:
        row = TokenProbability(token.token, None, (), token.bytes, token.id)
        return places.setdefault(row, len(places))

    most = max((len(token.top) for token in tokens), default=0)
    drawn = [place(token) for token in tokens]
    alternatives: list[int] = []
    logprobs: list[float] = []
    for token in tokens:
        empty = most - len(token.top)
        alternatives += [place(other) for other in token.top] + [-1] * empty
        logprobs += [_number(other.logprob) for other in token.top] + [math.nan] * empty
    wide = len(places) > NO_INDEX
    return PackedTokens(
        list(places),
        most,
        wide,
        _pack_indexes(alternatives, wide=wide),
        struct.pack(f"<{len(logprobs)}f", *logprobs),
        _pack_indexes(drawn, wide=wide),
        struct.pack(f"<{len(tokens)}f", *(_number(token.logprob) for token in tokens)),
    )


def unpack_tokens(packed: PackedTokens) -> tuple[TokenProbability, ...]:
    """Return the tokens of a table and arrays. Raises ValueError where they do not fit."""
    most, table = packed.most, packed.table
    none, code = (NO_WIDE_INDEX, "<I") if packed.wide else (NO_INDEX, "<H")
    try:
        others = [index for (index,) in struct.iter_unpack(code, packed.alternatives)]
        logprobs = [_logprob(number) for (number,) in struct.iter_unpack("<f", packed.logprobs)]
        drawn = struct.iter_unpack(code, packed.drawn)
        own = struct.iter_unpack("<f", packed.drawn_logprobs)
        return tuple(
            replace(
                table[index],
                logprob=_logprob(number),
                top=tuple(
                    replace(table[others[n]], logprob=logprobs[n])
                    for n in range(at * most, (at + 1) * most)
                    if others[n] != none
                ),
            )
            for at, ((index,), (number,)) in enumerate(zip(drawn, own, strict=True))
        )
    except (struct.error, IndexError) as error:
        raise ValueError(DAMAGED) from error


def _number(logprob: float | None) -> float:
    return math.nan if logprob is None else logprob


def _logprob(number: float) -> float | None:
    return number if UNKNOWN_LOGPROB < number <= 0 else None


def _pack_indexes(indexes: Sequence[int], *, wide: bool) -> bytes:
    code, mask = ("I", NO_WIDE_INDEX) if wide else ("H", NO_INDEX)
    return struct.pack(f"<{len(indexes)}{code}", *(index & mask for index in indexes))


def dump_tokens(tokens: Sequence[TokenProbability]) -> bytes:
    """Return tokens and their alternatives as compressed bytes."""
    packed = pack_tokens(tokens)
    arrays = packed[3:]
    rows = [
        [row.token, None if row.bytes is None else row.bytes.hex(), row.id] for row in packed.table
    ]
    sizes = [len(array) for array in arrays]
    head = json.dumps([rows, packed.most, packed.wide, sizes], separators=(",", ":")).encode()
    return zlib.compress(struct.pack("<I", len(head)) + head + b"".join(arrays))


def load_tokens(data: bytes) -> tuple[TokenProbability, ...]:
    """Return the tokens of `dump_tokens`. Raises ValueError for other bytes."""
    try:
        unpacked = zlib.decompressobj()
        plain = unpacked.decompress(data, LONGEST_DUMP)
        if unpacked.unconsumed_tail:
            raise ValueError(DAMAGED)
        (end,) = struct.unpack_from("<I", plain)
        end += struct.calcsize("<I")
        rows, most, wide, sizes = json.loads(plain[struct.calcsize("<I") : end])
        ends = [end, *accumulate(sizes, initial=end)][1:]
        arrays = [plain[start:stop] for start, stop in pairwise(ends)]
        table = [_parse_row(*row) for row in rows]
        return unpack_tokens(PackedTokens(table, most, wide, *arrays))
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


def pack_lens(data: LensData) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the widget of a lens gets: an object for JSON, and binary buffers.

    `texts`, `partial` and `ids` describe the table: the text of each token, the indexes of those
    that are not whole characters, and the ids. `characters` are the groups of `join_pieces`. The
    buffers are the arrays of PackedTokens, and `ranks`: in 2 bytes the place of each drawn token
    among its position's alternatives, NO_INDEX where it is not one of them.
    """
    packed = pack_tokens(data.tokens)
    ranks = [
        next((n for n, other in enumerate(token.top) if other.is_same(token)), NO_INDEX)
        for token in data.tokens
    ]
    head = {
        "model": data.model,
        "name": data.name,
        "count": len(data.tokens),
        "most": packed.most,
        "wide": packed.wide,
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
        "alternatives": packed.alternatives,
        "logprobs": packed.logprobs,
        "drawn": packed.drawn,
        "drawn_logprobs": packed.drawn_logprobs,
        "ranks": _pack_indexes([min(rank, NO_INDEX) for rank in ranks], wide=False),
    }
    return head, buffers
