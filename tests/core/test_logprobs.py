"""The tokens of a reply, which need not be texts."""

from __future__ import annotations

import pytest

from di_magics.core.errors import ParamError
from di_magics.core.logprobs import TokenProbability, choose_token, join_pieces, own_bytes


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (
            TokenProbability(" fox", -0.5, (TokenProbability("dog", -3.0),) * 20, id=7),
            "' fox', 60.7 %",
        ),
        (TokenProbability("\x1b\n", -20.0), r"'\x1b\n', 2.06e-07 %"),
        (TokenProbability("a", float("-inf")), "'a', 0 %"),
        (TokenProbability("a", None), "'a', not known"),
        (TokenProbability("", 0.001, (), b"\xf0"), "'⟨f0⟩', 100 %"),
    ],
)
def test_the_repr_has_the_token_and_its_probability(token: TokenProbability, text: str) -> None:
    """A notebook that echoes a list of them stays readable."""
    assert repr(token) == f"<TokenProbability {text}>"


def pieces(text: str, *sizes: int) -> list[TokenProbability]:
    """Return a text as tokens of these numbers of bytes."""
    data = text.encode()
    assert sum(sizes) == len(data)
    tokens = []
    for size in sizes:
        tokens.append(TokenProbability("", -1.0, (), data[:size]))
        data = data[size:]
    return tokens


@pytest.mark.parametrize(
    ("tokens", "groups"),
    [
        (pieces("🦊", 1, 3), [(0, 2, "🦊")]),
        (pieces("a🦊b", 1, 1, 1, 1, 1, 1), [(1, 4, "🦊")]),
        (pieces("a🦊é", 2, 3, 1, 1), [(0, 2, "a🦊"), (2, 2, "é")]),
        (pieces("abc", 1, 2), []),
        (pieces("🦊", 2, 2)[:1], []),
        (pieces("🦊", 2, 2)[:1] * 5, []),
        ([TokenProbability("", None, (), b"\xff"), *pieces("🦊", 2, 2)], [(1, 2, "🦊")]),
        ([], []),
    ],
)
def test_pieces_of_a_character_are_joined(
    tokens: list[TokenProbability], groups: list[tuple[int, int, str]]
) -> None:
    """Whole characters are not; bytes that never become one stay apart."""
    assert list(join_pieces(tokens)) == groups


def test_bytes_that_are_no_text_are_shown_as_numbers() -> None:
    """A token without bytes is its text."""
    assert TokenProbability("�", -1.0, (), b"\xf0\x9f").text == "⟨f0 9f⟩"
    assert TokenProbability("�", -1.0, (), "é".encode()).text == "é"
    assert TokenProbability("é", -1.0).text == "é"


def test_llama_cpps_last_piece_of_a_character_has_its_own_bytes() -> None:
    """The server sends it with those of the whole character; other tokens stay."""
    globe = "🌍".encode()
    parts = [b"a", globe[:2], globe[2:3], globe, b"b", globe[:1], b"c"]
    tokens = [TokenProbability("", -0.1, (), data) for data in parts]
    own = [b"a", globe[:2], globe[2:3], globe[3:], b"b", globe[:1], b"c"]
    assert [token.data for token in own_bytes(tokens)] == own


TOP = tuple(TokenProbability(text, -1.0) for text in ("The", " fox", "fox"))
DRAWN = TokenProbability(" dog", -2.0, TOP)


@pytest.mark.parametrize(
    ("token", "rank", "chosen"),
    [
        (None, None, " dog"),
        (None, 1, "The"),
        (None, 3, "fox"),
        ("fox", None, "fox"),
        (" fox", None, " fox"),
        ("The ", None, "The"),
        (" dog", None, " dog"),
    ],
)
def test_a_token_is_chosen_by_its_text_or_rank(
    token: str | None, rank: int | None, chosen: str
) -> None:
    """The exact text comes first; spaces around it do not matter otherwise."""
    found = choose_token(DRAWN, token, rank)
    assert (found.text, found.top) == (chosen, TOP)


@pytest.mark.parametrize(
    ("token", "rank", "message"),
    [
        (None, 0, "The rank must be 1 to 3"),
        (None, 4, "The rank must be 1 to 3"),
        ("zebra", None, "'zebra' is not among the 3 tokens known there"),
    ],
)
def test_a_token_that_is_not_there_is_refused(
    token: str | None, rank: int | None, message: str
) -> None:
    """With what can be chosen."""
    with pytest.raises(ParamError, match=message):
        choose_token(DRAWN, token, rank)
