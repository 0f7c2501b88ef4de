"""The lens as it is saved with the notebook."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from growth import growth
from lens_sample import hostile_reply, odd_reply, sample_reply

from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import LensData
from di_magics.core.shown.lens_text import format_percent
from di_magics.display import widgets
from di_magics.display.lens import Lens
from di_magics.display.saved_lens import MARKS, MAX_BYTES, lens_text


def html_of(lens: Lens) -> str:
    """Return the HTML that is saved."""
    return lens.saved()["text/html"]


class Tags(HTMLParser):
    """Collects the tags and the attributes of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note them."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("lab", [False, True])
def test_hostile_tokens_are_text_in_the_saved_form(lab: bool) -> None:
    """No tag, no attribute and no invisible character is theirs."""
    html = html_of(Lens(replace(hostile_reply(), model="<b>$x$", note="<i>"), lab=lab))
    result = Tags()
    result.feed(html)
    table = {"details", "summary", "table", "thead", "tbody", "tr", "th", "td"}
    assert result.tags <= {"div", "style", "b", "span"} | table
    assert html.count("<style") == 1
    assert result.attributes <= {"class", "style", "title"}
    assert not {"\u202e", "\u200b", "\x00", "\x1b", "\U000e0041"} & set(html)
    assert "⟨U+202E⟩abc" in html
    assert "tex2jax_ignore" in html


@pytest.mark.parametrize(("count", "left_out"), [(60, ""), (2000, ""), (9000, " of 9,000 tokens.")])
def test_the_saved_form_is_bounded_and_says_what_it_left_out(count: int, left_out: str) -> None:
    """A long reply loses titles of likely tokens first, then its end."""
    html = html_of(Lens(sample_reply(count), lab=True))
    assert len(html.encode()) <= MAX_BYTES
    assert "Left out here: all but the most likely alternatives" in html
    assert left_out in html


LONG = "<&\u202e\n" * 100_000


@pytest.mark.parametrize(
    "reply",
    [
        LensData((TokenProbability(LONG, -9.0),) * 20, "m"),
        LensData((TokenProbability("a", -9.0, (TokenProbability(LONG, -1.0),) * 4),) * 20, "m"),
        LensData((TokenProbability("a", -0.01, ()),) * 20, LONG, note=LONG),
        sample_reply(3, most=10_000),
        LensData((TokenProbability("a", -math.inf), TokenProbability("\n", -3.0)), "m"),
    ],
    ids=["tokens", "alternatives", "names", "many alternatives", "impossible"],
)
def test_the_saved_form_of_a_hostile_reply_is_bounded(reply: LensData) -> None:
    """A server may send a token, a name or a list of any length."""
    lens = Lens(reply, lab=True)
    assert len(html_of(lens).encode()) <= MAX_BYTES
    assert len(lens_text(reply)) <= 20_000
    assert lens.pack()


def test_the_time_of_the_saved_form_is_linear() -> None:
    """Also where little of it has room."""
    word = TokenProbability(" word", -3.0, (TokenProbability(" other", -0.1),))
    assert growth(html_of, 10_000, lambda n: Lens(LensData((word,) * n, "m"))) < 3


def test_the_saved_form_without_any_script() -> None:
    """What a user needs is there: text, legend, perplexity, surprise, the least likely tokens."""
    reply = sample_reply(60)
    html = html_of(Lens(reply, lab=True, at=3, values={"min_p": 0.9}))
    for words in ("sample-model", "60 tokens", "perplexity", "≥ 90 %", "Surprise", "least"):
        assert words in html
    assert "Position 4 with temperature 0.8, top_k 40" in html
    assert "cut by min_p" in html
    assert "only the table of the one position below does" in html
    assert "Position" not in html_of(Lens(reply))
    assert "do not include the settings" not in html_of(Lens(reply))


def test_the_saved_form_applies_the_penalties() -> None:
    """Those that need no logits, as the sliders do; what is left out is said."""
    blue = TokenProbability(" blue", math.log(0.5), (), None, 2)
    red = TokenProbability(" red", math.log(0.5), (), None, 1)
    position = replace(red, top=(red, blue))
    data = LensData((position,) * 3, "m", "raw", 2, {}, None, "ids", (9, 8))
    html = html_of(Lens(data, lab=True, at=2, values={"frequency_penalty": 1.0}))
    shares = [1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2))]
    for share in shares:
        assert f">{format_percent(share)}<" in html
    assert "needs the logits" not in html
    html = html_of(Lens(data, lab=True, values={"repeat_penalty": 1.2}))
    assert "repetition_penalty 1, because a penalty above 1 needs the logits" in html


def test_the_saved_form_has_the_colours_and_names_of_the_widget() -> None:
    """On white paper the same colour is the same probability."""
    script = (Path(widgets.__file__).parent / "static" / "lens_style.js").read_text("utf-8")
    widget = dict(re.findall(r"--b(\d): (#\w{6});", script[script.index("export") :]))
    assert len(widget) == 6
    for band, colour in widget.items():
        (mark,) = re.findall(r"background-color: #(\w{8})", MARKS[int(band)])
        *channels, alpha = bytes.fromhex(mark)
        for channel, shown in zip(channels, bytes.fromhex(colour[1:]), strict=True):
            assert abs(255 + (channel - 255) * alpha / 255 - shown) <= 1
    html = html_of(Lens(sample_reply(20), lab=True))
    assert "repetition_penalty 1" in html
    assert "repeat_penalty" not in html


def test_a_reply_of_any_kind_can_be_saved() -> None:
    """Without tokens, without alternatives, with pieces of characters."""
    for reply in (LensData((), "m"), odd_reply(), LensData((TokenProbability("a", None),), "m")):
        assert "di-saved-lens" in html_of(Lens(reply, lab=True))
        assert lens_text(reply)
        assert str(Lens(reply)) == repr(Lens(reply, lab=True)) == lens_text(reply)
