"""The lens: what the browser gets, and the form that is saved."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from growth import growth
from lens_sample import hostile_reply, sample_reply

from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import LensData
from di_magics.core.shown.lens_text import band_of, format_percent, probability_of, token_label
from di_magics.display import widgets
from di_magics.display.lens import MARKS, MOST_BYTES, Lens, lens_html, lens_text

IN_NODE = Path(__file__).resolve().parents[1] / "js" / "read_tokens.mjs"


def read_in_node(lens: Lens) -> Any:
    """Return what the browser's script reads in a packed reply."""
    node = shutil.which("node")
    assert node, "Node is missing. Run the tests with tests/run.py."
    ran = subprocess.run([node, str(IN_NODE)], input=lens.pack(), capture_output=True, check=True)
    return json.loads(ran.stdout)


def odd_reply() -> LensData:
    """Return a reply with what servers send besides numbers: gaps, pieces of characters."""
    emoji = "🌍".encode()
    whole = TokenProbability(" a", -0.5, (TokenProbability(" a", -0.5), TokenProbability("b", -1)))
    tokens = (
        whole,
        TokenProbability("x", None, (TokenProbability("y", -0.1), TokenProbability("z", None))),
        TokenProbability("far", -9.0, (TokenProbability("near", -0.01),)),
        TokenProbability("", -0.2, (), emoji[:2], 7),
        TokenProbability("", -0.3, (), emoji[2:], 8),
        TokenProbability("last", -0.4, (TokenProbability("b", -2), TokenProbability("last", -0.4))),
    )
    return LensData(tokens, "m", "raw", 100)


@pytest.mark.parametrize("reply", [sample_reply(80), hostile_reply(), odd_reply()])
def test_python_and_javascript_read_the_same(reply: LensData) -> None:
    """Texts, labels, bands, numbers and positions."""
    read = read_in_node(Lens(reply))
    assert read["texts"] == [token.text for token in reply.tokens]
    assert read["labels"] == [token_label(token.text) for token in reply.tokens]
    assert read["bands"] == [band_of(token) for token in reply.tokens]
    for text, token in zip(read["percents"], reply.tokens, strict=True):
        if token.logprob is not None:
            assert text == format_percent(probability_of(token))
    for position, token in zip(read["positions"], reply.tokens, strict=True):
        known = sorted((t.logprob for t in token.top if t.logprob is not None), reverse=True)
        assert position["logprobs"][: position["best"]] == pytest.approx(known)
        assert (position["own"] < 0) == (token.logprob is None)
        if token.logprob is not None:
            assert position["logprobs"][position["own"]] == pytest.approx(token.logprob)


def test_the_penalties_look_at_the_last_tokens_of_prompt_and_reply() -> None:
    """64 of them, by their ids."""
    top = tuple(TokenProbability(f"t{n}", math.log(0.2), (), None, n) for n in range(4))
    tokens = tuple(TokenProbability(f"t{n % 4}", math.log(0.2), top, None, n % 4) for n in range(8))
    reply = LensData(tokens, "m", "raw", 100, prompt=(2, 2, *range(100, 159)))
    [*_, last] = read_in_node(Lens(reply))["positions"]
    assert last["ids"] == [0, 1, 2, 3]
    assert last["counts"] == [2, 2, 2, 1]
    assert sum(last["others"]) == 57


def test_2000_tokens_are_at_most_300_kb() -> None:
    """The module, the tokens and 20 alternatives of each, once."""
    packed = Lens(sample_reply(2000)).pack()
    assert len(packed) + len(widgets.module("lens").encode()) <= 300_000


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
    html = lens_html(Lens(replace(hostile_reply(), model="<b>$x$", note="<i>"), lab=lab))
    found = Tags()
    found.feed(html)
    table = {"details", "summary", "table", "thead", "tbody", "tr", "th", "td"}
    assert found.tags <= {"div", "style", "b", "span"} | table
    assert html.count("<style") == 1
    assert found.attributes <= {"class", "style", "title"}
    assert not {"\u202e", "\u200b", "\x00", "\x1b", "\U000e0041"} & set(html)
    assert "⟨U+202E⟩abc" in html
    assert "tex2jax_ignore" in html


@pytest.mark.parametrize(("count", "left_out"), [(60, ""), (2000, ""), (9000, " of 9,000 tokens.")])
def test_the_saved_form_is_bounded_and_says_what_it_left_out(count: int, left_out: str) -> None:
    """A long reply loses titles of likely tokens first, then its end."""
    html = lens_html(Lens(sample_reply(count), lab=True))
    assert len(html.encode()) <= MOST_BYTES
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
    assert len(lens_html(lens).encode()) <= MOST_BYTES
    assert len(lens_text(reply)) <= 20_000
    assert lens.pack()


def test_the_time_of_the_saved_form_is_linear() -> None:
    """Also where little of it has room."""
    word = TokenProbability(" word", -3.0, (TokenProbability(" other", -0.1),))
    assert growth(lens_html, 10_000, lambda n: Lens(LensData((word,) * n, "m"))) < 3


def test_a_page_continues_a_reply_once_at_a_time() -> None:
    """However many messages it sends, and whatever is in them; each continuation is answered."""
    begun, go_on, calls = threading.Event(), threading.Event(), []

    def continue_from(
        position: int,
        token: str,
        values: Mapping[str, float],
        order: Sequence[str],
        show: Callable[[Any], None],
    ) -> str:
        calls.append((position, token, order))
        begun.set()
        go_on.wait(10)
        raise OverflowError("too large")

    class Page:
        def __init__(self) -> None:
            self.answers: list[dict[str, Any]] = []
            self.answered = threading.Event()

        def post(self, message: dict[str, Any]) -> None:
            self.answers.append(message)
            self.answered.set()

    lens = Lens(sample_reply(3), lab=True, continue_from=continue_from)
    lens._widget = page = Page()
    order = ["top_p", [], "<b>", "min_p", 7, *["temperature"] * 1000]
    message = {"type": "continue", "at": 10**400, "token": "\x1b", "settings": {}, "order": order}
    for _ in range(1000):
        lens._receive(message)
        lens._receive({**message, "at": [], "token": None})
    begun.wait(10)
    go_on.set()
    assert page.answered.wait(10)
    assert calls == [(10**400, "\x1b", ["top_p", "min_p"])]
    assert [answer["error"] for answer in page.answers] == ["OverflowError: too large"]
    Lens(sample_reply(3), lab=True)._receive(message)  # one that continues nothing


def test_the_saved_form_without_any_script() -> None:
    """What a user needs is there: text, legend, perplexity, surprise, the least likely tokens."""
    reply = sample_reply(60)
    html = lens_html(Lens(reply, lab=True, at=3, values={"min_p": 0.9}))
    for words in ("sample-model", "60 tokens", "perplexity", "≥ 90 %", "Surprise", "least"):
        assert words in html
    assert "Position 4 with temperature 0.8, top_k 40" in html
    assert "cut by min_p" in html
    assert "are without the settings, but for the position below" in html
    assert "Position" not in lens_html(Lens(reply))
    assert "without the settings" not in lens_html(Lens(reply))


def test_the_saved_form_applies_the_penalties() -> None:
    """Those that need no logits, as the sliders do; what is left out is said."""
    blue = TokenProbability(" blue", math.log(0.5), (), None, 2)
    red = TokenProbability(" red", math.log(0.5), (), None, 1)
    position = replace(red, top=(red, blue))
    data = LensData((position,) * 3, "m", "raw", 2, {}, None, "ids", (9, 8))
    html = lens_html(Lens(data, lab=True, at=2, values={"frequency_penalty": 1.0}))
    shares = [1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2))]
    for share in shares:
        assert f">{format_percent(share)}<" in html
    assert "needs the logits" not in html
    html = lens_html(Lens(data, lab=True, values={"repeat_penalty": 1.2}))
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
    html = lens_html(Lens(sample_reply(20), lab=True))
    assert "repetition_penalty 1" in html
    assert "repeat_penalty" not in html


def test_a_reply_of_any_kind_can_be_saved() -> None:
    """Without tokens, without alternatives, with pieces of characters."""
    for reply in (LensData((), "m"), odd_reply(), LensData((TokenProbability("a", None),), "m")):
        assert "di-saved-lens" in lens_html(Lens(reply, lab=True))
        assert lens_text(reply)
        assert str(Lens(reply)) == repr(Lens(reply, lab=True)) == lens_text(reply)
