"""What a lens says: bands, numbers as text, tokens as labels, and what is not known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from lens_sample import sample_reply

from di_magics.core.errors import ParamError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.shown.lens_text import (
    BAND_NAMES,
    BANDS,
    NOT_KNOWN,
    about_lines,
    band_of,
    filter_order,
    format_percent,
    lab_values,
    parse_order,
    sampling_params,
    setting_notes,
    token_label,
)


@pytest.mark.parametrize(
    ("probability", "band"),
    [(1, 0), (0.9, 0), (0.89, 1), (0.5, 1), (0.2, 2), (0.05, 3), (0.01, 4), (0.001, 5), (1e-9, 6)],
)
def test_a_band_begins_with_its_least_probability(probability: float, band: int) -> None:
    """The same number is the same band in every reply."""
    assert band_of(TokenProbability("a", math.log(probability) + 1e-12)) == band


def test_every_token_has_a_band() -> None:
    """One without a number has its own, so the bands sum to the tokens."""
    assert band_of(TokenProbability("a", None)) == NOT_KNOWN == len(BAND_NAMES) == len(BANDS)
    assert band_of(TokenProbability("a", -math.inf)) == 6


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (None, "not known"),
        (1, "100 %"),
        (0.9996, "> 99.9 %"),
        (0.9994, "99.9 %"),
        (0.1, "10.0 %"),
        (0.05, "5.00 %"),
        (0.0001, "0.01 %"),
        (0.00004, "< 0.01 %"),
        (0, "0"),
    ],
)
def test_a_probability_as_text(probability: float | None, text: str) -> None:
    """Only 1 is 100 %, and only 0 is 0."""
    assert format_percent(probability) == text


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" a b", "·a·b"),
        ("\n\t", "↵⇥"),
        ("", "⟨end⟩"),
        ("\u202ex", "⟨U+202E⟩x"),
        ("\x1b[31m", "⟨U+001B⟩[31m"),
    ],
)
def test_every_character_of_a_label_is_visible(text: str, label: str) -> None:
    """White space as well, and what reverses or hides other text."""
    assert token_label(text) == label


def test_lens_names_every_unknown_quantity() -> None:
    """The basis, the size of the vocabulary, unreported tokens, the order, the prompt."""
    reply = sample_reply(5)
    assert list(about_lines(reply)) == [
        "The probabilities are the model's own, before temperature and filters.",
        "The 20 most likely of 49,152 tokens are known at each position.",
    ]
    other = replace(
        reply, basis="unknown", vocabulary=None, unreported=9, order=None, note="Read again."
    )
    text = " ".join([*about_lines(other), *setting_notes(other)])
    for words in ("not known.", "The 20 most likely tokens", "9 tokens were not", "Read again."):
        assert words in text
    for words in ("it is llama.cpp's here", "applied twice", "those of the prompt"):
        assert words in text
    assert filter_order(other) == ["penalties", "top_k", "top_p", "min_p", "temperature"]
    assert not list(setting_notes(replace(reply, prompt=(1,))))


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("VLLM", ["penalties", "temperature", "min_p", "top_k", "top_p"]),
        ("llama.cpp", ["penalties", "top_k", "top_p", "min_p", "temperature"]),
        ("top-p, temperature", ["top_p", "temperature"]),
    ],
)
def test_an_order_is_a_server_or_its_filters(text: str, order: list[str]) -> None:
    """A filter that is not named is not applied."""
    assert parse_order(text) == order


@pytest.mark.parametrize("text", ["", "topp", "top_p,top_p", "vllm,top_p", "<b>\x1b"])
def test_another_order_is_refused(text: str) -> None:
    """With the filters that there are."""
    with pytest.raises(ParamError, match="penalties,top_k,top_p,min_p,temperature"):
        parse_order(text)


def test_settings_of_a_lab_have_the_names_of_parameters() -> None:
    """There and back; what a lab cannot show is refused with what it has."""
    values = lab_values({"repetition_penalty": 1.3, "temperature": "0.7"})
    assert values == {"repeat_penalty": 1.3, "temperature": 0.7}
    assert sampling_params({**values, "mirostat": 2}) == {
        "repetition_penalty": 1.3,
        "temperature": 0.7,
    }
    with pytest.raises(ParamError, match=r"'seed'.* It has temperature"):
        lab_values({"seed": 1})


def test_note_follows_the_other_lines() -> None:
    """After what holds for every reply."""
    assert list(about_lines(replace(sample_reply(3), note="A note.")))[-1] == "A note."


def test_a_lab_says_which_numbers_are_with_the_settings() -> None:
    """Whether the others are the model's own is known of some endpoints only."""
    raw = sample_reply(3)
    unknown = replace(raw, basis="unknown")
    for reply, words in ((raw, "are the model's own"), (unknown, "is not known")):
        text = " ".join(about_lines(reply, lab=True))
        assert "Colours, legend and “now” are with the settings below." in text
        assert words in text
        assert "with the settings" not in " ".join(about_lines(reply))


def test_a_reply_without_alternatives_says_so() -> None:
    """Some endpoints send the tokens of the reply alone."""
    alone = replace(sample_reply(1), tokens=(TokenProbability("a", -0.5),))
    assert "The endpoint sent no other tokens than those of the reply." in about_lines(alone)
