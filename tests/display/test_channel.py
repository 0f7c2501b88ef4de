"""The kernel's end of the stream protocol, and that a page has what the kernel has."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest

from di_magics.core.conversation.turn import Turn
from di_magics.core.reply.reply import MAX_SHOWN_CHARS, Reply, Round
from di_magics.core.sweep.runs import Run
from di_magics.display import channel as protocol
from di_magics.display.channel import Channel, Content, Message
from di_magics.display.grid import SweepContent
from di_magics.display.live import ReplyContent


class Recorder:
    """A widget and a display handle: what is sent to them is in `posted` and `shown`."""

    model_id = "model"

    def __init__(self) -> None:
        self.posted: list[Message] = []
        self.shown: list[Any] = []
        self.closed = False
        self.news = threading.Event()

    def post(self, message: Message) -> None:
        self.posted.append(message)
        self.news.set()

    def update(self, bundle: Message, **_: Any) -> None:
        self.shown.append(bundle)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """What a channel that is opened in this test sends."""
    recorder = Recorder()
    monkeypatch.setattr(protocol, "display", lambda *_, **__: recorder)
    return recorder


def open_channel(content: Content, recorder: Recorder, *, here: bool = False) -> Channel:
    """Return an open channel; with `here` the page has said that it is here."""
    channel = Channel(content, "away")
    channel.open(recorder, lambda: None)
    if here:
        channel.receive({"type": "here"})
    recorder.posted.clear()
    return channel


def show(content: ReplyContent, channel: Channel, text: str) -> None:
    """Let the reply grow to this text."""
    content.reply = Reply(text=text)
    channel.update()


def test_a_small_text_is_sent_whole_until_the_page_is_here(recorder: Recorder) -> None:
    """Then only what is new is sent."""
    content = ReplyContent()
    channel = open_channel(content, recorder)
    show(content, channel, "one")
    show(content, channel, "one two")
    channel.receive({"type": "here"})
    show(content, channel, "one two three")
    assert recorder.posted == [
        {"type": "whole", "n": 0, "text": "one"},
        {"type": "whole", "n": 1, "text": "one two"},
        {"type": "whole", "n": 2, "text": "one two"},
        {"type": "delta", "n": 3, "text": " three"},
    ]


def test_the_early_second_ends(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that cannot say that it is here gets one whole of any size, and then deltas."""
    monkeypatch.setattr(protocol, "EARLY_SECONDS", 0)
    content = ReplyContent()
    channel = open_channel(content, recorder)
    large = "x" * protocol.EARLY_CHARACTERS
    for text in (large, large + " one", large + " one two"):
        show(content, channel, text)
    assert [(message["type"], message["text"]) for message in recorder.posted] == [
        ("whole", large),
        ("delta", " one"),
        ("delta", " two"),
    ]


def test_a_large_text_is_sent_whole_only_where_nothing_is_new(recorder: Recorder) -> None:
    """The view repeats itself once in the early second, for a page that was not ready."""
    content = ReplyContent()
    channel = open_channel(content, recorder)
    large = "x" * protocol.EARLY_CHARACTERS
    show(content, channel, large)
    show(content, channel, large)
    assert [(m["type"], len(m["text"])) for m in recorder.posted] == [
        ("delta", len(large)),
        ("whole", len(large)),
    ]


def test_nothing_is_sent_where_nothing_is_new(recorder: Recorder) -> None:
    """The status line is sent when it changes, and again with each whole."""
    content = ReplyContent()
    channel = open_channel(content, recorder, here=True)
    content.status = "waiting"
    for text in ("", "", "a", "a", "ab"):
        show(content, channel, text)
    channel.receive({"type": "again"})
    assert recorder.posted == [
        {"type": "delta", "n": 1, "status": "waiting"},
        {"type": "delta", "n": 2, "text": "a"},
        {"type": "delta", "n": 3, "text": "b"},
        {"type": "whole", "n": 4, "text": "ab", "status": "waiting"},
    ]


def test_a_new_round_is_sent_whole(recorder: Recorder) -> None:
    """The text begins anew after it."""
    content = ReplyContent()
    channel = open_channel(content, recorder, here=True)
    show(content, channel, "first")
    content.reply = Reply(text="second", rounds=(Round(text="first", objection="no JSON"),))
    channel.update()
    step = {"text": "first", "thought": "", "calls": [("asked again", "no JSON")]}
    assert recorder.posted[1] == {"type": "whole", "n": 2, "text": "second", "rounds": [step]}


def test_stop_is_acknowledged(recorder: Recorder) -> None:
    """Stop of one run of a grid is not: the page must not interrupt the others."""
    stopped: list[int | None] = []
    channel = Channel(ReplyContent(), "away")
    channel.open(recorder, lambda: stopped.append(None), stopped.append)
    channel.receive({"type": "stop", "run": 3})
    channel.receive({"type": "stop", "run": "1"})  # no number of a run
    assert recorder.posted == []
    channel.receive({"type": "stop"})
    assert recorder.posted == [{"type": "ack"}]
    assert stopped == [3, None]


def test_the_widget_is_closed_when_the_page_has_seen_the_end(recorder: Recorder) -> None:
    """Until then a page that is loaded anew gets everything, and why there is no more."""
    content = ReplyContent()
    channel = open_channel(content, recorder, here=True)
    show(content, channel, "all")
    channel.close({"text/plain": "final"}, {})
    assert recorder.posted[-1] == {"type": "end"}
    assert recorder.shown == [{"text/plain": "final"}]
    assert (channel.seen, recorder.closed) == (False, False)
    channel.receive({"type": "here"})
    whole = {"type": "whole", "n": 2, "text": "all", "ended": True, "status": "away"}
    assert recorder.posted[-1] == whole
    channel.receive({"type": "seen"})
    assert (channel.seen, recorder.closed) == (True, True)


def test_a_page_that_lost_the_end_gets_it_and_the_final_output_again(recorder: Recorder) -> None:
    """It asks until it has them; a page that has seen the end gets nothing more."""
    channel = open_channel(ReplyContent(), recorder, here=True)
    channel.close({"text/plain": "final"}, {})
    for _ in range(2):
        channel.receive({"type": "again"})
    whole = {"type": "whole", "ended": True, "status": "away"}
    lost = [{"type": "end"}, {"n": 1, **whole}, {"type": "end"}, {"n": 2, **whole}]
    assert recorder.posted == [{"type": "end"}, *lost]
    assert recorder.shown == [{"text/plain": "final"}] * 3
    channel.receive({"type": "seen"})
    channel.receive({"type": "again"})
    assert (len(recorder.posted), len(recorder.shown)) == (5, 3)


def test_the_widget_is_closed_where_no_page_was_ever_here(recorder: Recorder) -> None:
    """There is nobody to wait for."""
    channel = open_channel(ReplyContent(), recorder)
    channel.close({}, {})
    assert (channel.seen, recorder.closed) == (True, True)


def test_pages_that_ask_without_end_are_answered_at_a_pace(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one whole for all that wait, with everything that is there by then; Stop is not slowed."""
    monkeypatch.setattr(protocol, "ANSWER_RATE", 100_000)
    content = ReplyContent()
    channel = open_channel(content, recorder, here=True)
    content.reply = Reply(text="x" * 40_000)
    for number in range(1000):
        channel.receive({"type": "here" if number % 2 else "again"})
    answers = [message for message in recorder.posted if message["type"] == "whole"]
    assert 1 < len(answers) < 5
    content.reply = Reply(text="y" * 50_000)
    channel.receive({"type": "stop"})
    assert recorder.posted[-1] == {"type": "ack"}
    while not recorder.posted[-1].get("text", "").startswith("y"):
        recorder.news.wait(10)
        recorder.news.clear()
    numbers = [message["n"] for message in recorder.posted if "n" in message]
    assert numbers == sorted(set(numbers))


def test_a_page_cannot_close_a_reply_that_streams(recorder: Recorder) -> None:
    """It says that it has seen the end only after the end."""
    channel = open_channel(ReplyContent(), recorder, here=True)
    channel.receive({"type": "seen"})
    assert (channel.seen, recorder.closed) == (False, False)


ODD: list[Any] = [None, True, -1, 1.5, 10**400, "", "x" * 100_000, [], {}, [[[]]], {"type": "stop"}]


def test_odd_messages_of_a_page_do_nothing(recorder: Recorder) -> None:
    """Whatever their type is, or the number of a run."""
    content = ReplyContent()
    channel = open_channel(content, recorder, here=True)
    for odd in ODD:
        channel.receive({"type": odd, "run": odd})
        channel.receive({odd if isinstance(odd, str) else "type": odd})
    assert recorder.posted == []
    show(content, channel, "text")
    assert recorder.posted == [{"type": "delta", "n": 1, "text": "text"}]


class Page:
    """What static/channel.js, live.js and grid.js make of messages."""

    def __init__(self) -> None:
        self.number = -1
        self.missing = False
        self.content: dict[str, Any] = {}

    def receive(self, message: Message) -> None:
        whole = message["type"] == "whole"
        if message["n"] <= self.number:
            return
        if not whole and message["n"] > self.number + 1:
            self.missing = True
            return
        if whole:
            self.content, self.missing = {"text": "", "thought": "", "cards": {}}, False
        self.number = message["n"]
        for name in ("text", "thought"):
            self.content[name] = self.content.get(name, "") + message.get(name, "")
        cards = self.content.setdefault("cards", {})
        for column, text, *state in message.get("cards", ()):
            before, *old = cards.get(column, ("", "", False))
            cards[column] = (before + text, *(state or old))
        for name in ("status", "rounds", "share", "sample"):
            if name in message:
                self.content[name] = message[name]


def grow_reply(content: ReplyContent, chance: random.Random) -> None:
    """Let a reply grow as a server might: text, reasoning, a round, another status line."""
    reply = content.reply
    match chance.randrange(8):
        case 0:
            rounds = (*reply.rounds, Round(text=reply.text, objection="again"))
            content.reply = Reply(rounds=rounds)
        case 1:
            content.status = chance.choice(["waiting", "m", "busy"])
        case 2 | 3:
            content.reply = Reply(reply.text, reply.reasoning + "thought ", rounds=reply.rounds)
        case _:
            content.reply = Reply(reply.text + "word ", reply.reasoning, rounds=reply.rounds)


def grow_sweep(content: SweepContent, chance: random.Random) -> None:
    """Let a column grow, or a run end."""
    column, step = chance.randrange(3), chance.randrange(6)
    if step == 0:
        run = Run(column, {}, 0, 1)
        content.count(run, Turn("t", "hi", reply=Reply("done", status="done")))
        content.update_progress()
    content.change(column, None if step == 1 else content._texts[column] + "word ", f"{step % 3}")


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", ["reply", "sweep"])
def test_after_any_loss_one_answer_makes_a_page_whole(
    kind: str, seed: int, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages are lost at random; the page asks, and has what a page has that lost nothing."""
    monkeypatch.setattr(protocol, "EARLY_SECONDS", 0)
    chance = random.Random(seed)
    reply, sweep = ReplyContent(), SweepContent(tuple(Run(i, {}, 0, 1) for i in range(3)))
    channel = open_channel(reply if kind == "reply" else sweep, recorder, here=True)
    page, lossless = Page(), Page()
    for step in range(120):
        if kind == "reply":
            grow_reply(reply, chance)
        else:
            grow_sweep(sweep, chance)
        channel.update()
        if page.missing and chance.random() < 0.5:
            channel.receive({"type": "again"})
        if step == 119:
            channel.receive({"type": "again"})
        for message in recorder.posted:
            lossless.receive(message)
            if chance.random() > 0.2 or step == 119:
                page.receive(message)
        recorder.posted.clear()
        if page.number == lossless.number:
            assert page.content == lossless.content
    assert page.number == lossless.number
    assert page.content == lossless.content
    if kind == "reply":
        whole = {"text": reply.reply.text, "thought": reply.reply.reasoning}
        assert {name: page.content[name] for name in whole} == whole


def test_of_a_very_long_reply_the_beginning_is_streamed() -> None:
    """As it is displayed at the end: in deltas, and as a whole."""
    content = ReplyContent()
    whole = {"text": "a" * MAX_SHOWN_CHARS, "thought": "b" * MAX_SHOWN_CHARS}
    content.reply = Reply("a" * MAX_SHOWN_CHARS + "a", "b" * MAX_SHOWN_CHARS + "b")
    assert content.build_delta() == whole
    content.reply = Reply(2 * content.reply.text, 2 * content.reply.reasoning)
    assert content.build_delta() == {}
    assert content.build_whole() == whole
