"""The lens: what the browser gets, and what it asks for."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from lens_sample import hostile_reply, odd_reply, sample_reply

from di_magics.core.logprobs import TokenProbability
from di_magics.core.packed_tokens import LensData
from di_magics.core.shown.lens_text import band_of, format_percent, probability_of, token_label
from di_magics.display import widgets
from di_magics.display.lens import Lens

IN_NODE = Path(__file__).resolve().parents[1] / "js" / "read_tokens.mjs"


def read_in_node(lens: Lens) -> Any:
    """Return what the browser's script reads in a packed reply."""
    node = shutil.which("node")
    assert node, "Node is missing. Run the tests with tests/run.py."
    ran = subprocess.run([node, str(IN_NODE)], input=lens.pack(), capture_output=True, check=True)
    return json.loads(ran.stdout)


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
