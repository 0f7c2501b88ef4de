"""Log-probabilities as a lens gets them, and as they are kept."""

from __future__ import annotations

import json
import math
import random
import struct
import zlib
from typing import Any

import pytest
from growth import growth

from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import (
    MAX_DUMP_BYTES,
    MAX_PLACES,
    MAX_TOKENS,
    NO_INDEX,
    LensData,
    cut_lens,
    dump_tokens,
    load_tokens,
    pack_lens,
    pack_tokens,
    unpack_tokens,
)
from di_magics.core.token_statistics import entropy, perplexity


def reply(count: int, most: int, vocabulary: int = 5000) -> list[TokenProbability]:
    """Return random tokens with `most` alternatives each, some of them without a number."""
    chance = random.Random(count + most)

    def make(logprob: float | None, *top: TokenProbability) -> TokenProbability:
        id_ = chance.randrange(vocabulary)
        text = f" word{id_}" if id_ % 3 else "\udcff"
        return TokenProbability(text, logprob, top, b"\xf0\x9f" if id_ % 3 == 0 else None, id_)

    return [
        make(
            None if chance.random() < 0.1 else -chance.expovariate(1),
            *(make(-chance.expovariate(0.2)) for _ in range(most if chance.random() < 0.9 else 3)),
        )
        for _ in range(count)
    ]


def rounded(tokens: object) -> str:
    """Return tokens with log-probabilities as 32 bits hold them."""

    def plain(t: TokenProbability) -> object:
        number = None if t.logprob is None else struct.unpack("f", struct.pack("f", t.logprob))[0]
        return [t.token, number, [plain(other) for other in t.top], t.bytes, t.id]

    assert isinstance(tokens, list | tuple)
    return str([plain(t) for t in tokens])


@pytest.mark.parametrize(("count", "most"), [(0, 0), (1, 0), (1, 1), (30, 5), (200, 20)])
def test_tokens_come_back_from_their_packed_form(count: int, most: int) -> None:
    """Also those without a number, a text or alternatives, and from the disk."""
    tokens = reply(count, most)
    assert rounded(unpack_tokens(pack_tokens(tokens))) == rounded(tokens)
    assert rounded(load_tokens(dump_tokens(tokens))) == rounded(tokens)


@pytest.mark.no_cover
def test_more_different_tokens_than_two_bytes_can_number_have_four() -> None:
    """The built-in model's vocabulary has 49,152, others have 200,000."""
    tokens = [TokenProbability(str(n), -1.0, (), None, n) for n in range(NO_INDEX + 1)]
    assert not pack_tokens(tokens[:-1]).wide
    assert pack_tokens(tokens).wide
    assert unpack_tokens(pack_tokens(tokens)) == tuple(tokens)


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.99])
def test_damaged_bytes_are_refused(part: float) -> None:
    """A file may be cut off."""
    data = dump_tokens(reply(30, 5))
    with pytest.raises(ValueError, match="damaged"):
        load_tokens(data[: int(part * len(data))])


def test_a_lens_of_2000_tokens_is_small() -> None:
    """At most 300 kB to the browser, 230 kB on disk."""
    tokens = reply(2000, 20)
    head, buffers = pack_lens(LensData(tuple(tokens), "m"))
    assert len(json.dumps(head)) + sum(map(len, buffers.values())) < 420_000
    assert sum(map(len, buffers.values())) < 270_000
    assert len(dump_tokens(tokens)) < 330_000


def test_a_lens_names_its_tokens_and_the_place_of_the_drawn_one() -> None:
    """By id where there is one, else by bytes."""
    fox, dog = (
        TokenProbability(" fox", -1.0, (), None, 5),
        TokenProbability("🐶", -2.0, (), None, 6),
    )
    part = TokenProbability("", -2.0, (), b"\xf0", 6)
    drawn = [
        TokenProbability("🐶", -2.0, (fox, part), "🐶".encode(), 6),
        TokenProbability(" fox", -1.0, (dog, TokenProbability(" fox", -1.0)), None, None),
        TokenProbability("cat", None, (fox,)),
    ]
    data = LensData(
        tuple(drawn), "m", "raw", 100, {"temperature": 0.8}, ("top_k",), "ids", (1, 2), 3, "n"
    )
    head, buffers = pack_lens(data)
    assert struct.unpack("<3H", buffers["ranks"]) == (1, 1, NO_INDEX)
    assert data.most == head["most"] == 2
    drawn_texts = [head["texts"][n] for n in struct.unpack("<3H", buffers["drawn"])]
    assert drawn_texts == ["🐶", " fox", "cat"]
    assert [head["texts"][n] for n in head["partial"]] == ["⟨f0⟩"]
    assert math.isnan(struct.unpack("<3f", buffers["drawn_logprobs"])[2])
    assert (head["basis"], head["order"], head["continues"]) == ("raw", ["top_k"], "ids")
    json.dumps(head, allow_nan=False)


def test_the_time_is_linear_in_the_tokens() -> None:
    """Packing, keeping and reading back."""

    def run(tokens: object) -> None:
        assert isinstance(tokens, list)
        load_tokens(dump_tokens(tokens))
        pack_lens(LensData(tuple(tokens), "m"))

    assert growth(run, 500, lambda count: reply(count, 20)) <= 3


def test_one_token_with_many_alternatives_costs_the_others_nothing() -> None:
    """What is kept grows with the sum of the alternatives, not with the longest list."""
    rest = [TokenProbability("b", -1.0)]

    def make(size: int) -> list[TokenProbability]:
        top = tuple(TokenProbability(f"{n:x}", -1.0) for n in range(size))
        return [TokenProbability("a", -1.0, top), *rest * size]

    assert growth(dump_tokens, 2_000, make) <= 3
    tokens = make(3_000)
    assert sum(map(len, pack_tokens(tokens)[2:])) < 20 * len(tokens)
    assert rounded(load_tokens(dump_tokens(tokens))) == rounded(tokens)


@pytest.mark.parametrize(
    ("count", "alternatives", "shown", "most", "note"),
    [
        (10, 20, 10, 20, ""),
        (
            MAX_TOKENS + 1,
            0,
            MAX_TOKENS,
            0,
            "Only the first 20,000 of 20,001 tokens are shown.",
        ),
        (
            MAX_TOKENS // 2,
            30,
            MAX_TOKENS // 2,
            20,
            "only the 20 most likely alternatives",
        ),
        (
            2,
            MAX_PLACES,
            2,
            MAX_PLACES // 2,
            "only the 100,000 most likely alternatives",
        ),
    ],
)
def test_a_lens_is_bounded_and_says_what_is_left_out(
    count: int, alternatives: int, shown: int, most: int, note: str
) -> None:
    """In tokens, and in places for their alternatives."""
    top = (TokenProbability("b", -1.0),) * alternatives
    tokens = (TokenProbability("a", -1.0, top), *[TokenProbability("a", -1.0)] * (count - 1))
    data = cut_lens(LensData(tokens, "m", note="A note."))
    assert (len(data.tokens), data.most) == (shown, most)
    assert note in data.note
    assert data.note.startswith("A note.")
    _, buffers = pack_lens(data)
    assert len(buffers["alternatives"]) == 2 * shown * most
    assert len(buffers["logprobs"]) == 4 * shown * most


def damaged(change: str, value: object) -> bytes:
    """Return a dump in which one value of a row or of the sizes is another."""
    plain = zlib.decompress(dump_tokens(reply(3, 2)))
    [end] = struct.unpack_from("<I", plain)
    head = json.loads(plain[4 : 4 + end])
    place: Any = head
    *path, last = map(int, change.split("."))
    for index in path:
        place = place[index]
    place[last] = value
    text = json.dumps(head).encode()
    return zlib.compress(struct.pack("<I", len(text)) + text + plain[4 + end :])


@pytest.mark.parametrize("change", ["0.0.0", "0.1.1", "0.0.2", "0.0", "0", "1", "2.0", "2"])
@pytest.mark.parametrize("value", [[], [1], {}, {"a": 1}, [[]], -1, 1.5, 10**400, "\ud800"])
def test_a_dump_with_values_of_other_types_is_refused_or_can_be_used(
    change: str, value: object
) -> None:
    """What is read can be packed and counted; a damaged file raises nothing but ValueError."""
    try:
        tokens = load_tokens(damaged(change, value))
    except ValueError:
        return
    pack_lens(LensData(tokens, "m"))
    perplexity(tokens)
    list(map(entropy, tokens))


@pytest.mark.parametrize("head", [b"[" * 200_000, b"[[]," + b"[" * 200_000, b"9" * 5000])
def test_a_dump_that_is_nested_is_refused(head: bytes) -> None:
    """Python's parser of JSON is recursive."""
    with pytest.raises(ValueError, match="damaged"):
        load_tokens(zlib.compress(struct.pack("<I", len(head)) + head))


def test_a_dump_that_unpacks_to_more_than_a_reply_is_refused() -> None:
    """A few hundred kilobytes may unpack to gigabytes."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(struct.pack("<I", MAX_DUMP_BYTES))]
    parts += [packer.compress(b"0," * (1 << 20)) for _ in range(MAX_DUMP_BYTES >> 20)]
    with pytest.raises(ValueError, match="damaged"):
        load_tokens(b"".join(parts) + packer.flush())


@pytest.mark.parametrize("number", [math.inf, -math.inf, 0.5, 3e38, -1e30])
def test_a_dump_has_no_impossible_probability(number: float) -> None:
    """A number that no server may send counts as none."""
    [token] = load_tokens(dump_tokens([TokenProbability("a", number)]))
    assert token.logprob is None
