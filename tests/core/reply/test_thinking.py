"""Reasoning between `<think>` and `</think>` is told apart, however the text is cut."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from grow import grow, snapshot
from growth import growth

from di_magics.core.reply.fold import (
    Finished,
    Reasoning,
    ReplyEvent,
    ReplyFold,
    Served,
    Text,
    ToolCallDelta,
    Used,
)
from di_magics.core.reply.reply import Reply, Usage
from di_magics.core.reply.thinking import (
    CLOSE,
    MAX_SPACES,
    OPEN,
    TAGS,
    ThinkTagParser,
    separate_lone_thinking,
)

BLANKS = " " * (MAX_SPACES + 1)
CASES = [
    ("", "", ""),
    ("Hi", "", "Hi"),
    ("  Hi", "", "  Hi"),
    (" \n ", "", " \n "),
    ("<", "", "<"),
    ("<th", "", "<th"),
    ("<think", "", "<think"),
    ("\n <th", "", "\n <th"),
    ("<b>Hi</b>", "", "<b>Hi</b>"),
    ("<thin air", "", "<thin air"),
    ("<thinkin>hm</thinkin>", "", "<thinkin>hm</thinkin>"),
    ("<thinking>hm</think></thinking>Hi", "hm</think>", "Hi"),
    ("a <thinking>b</thinking>", "", "a <thinking>b</thinking>"),
    ("<|channel>thought\nhm\n<channel|>Hi", "hm\n", "Hi"),
    ("<|channel>thought\n<channel|>Hi", "", "Hi"),
    ("<|channel>other", "", "<|channel>other"),
    ("[THINK]hm[/THINK]Hi", "hm", "Hi"),
    ("[THIS](x)", "", "[THIS](x)"),
    *(
        (f"{begin}hm, {end[:-1]}{end}\n\nHi", f"hm, {end[:-1]}", "Hi")
        for begin, end in TAGS.items()
    ),
    ("</think>Hi", "", "</think>Hi"),
    ("a <think>b</think>", "", "a <think>b</think>"),
    ("a\n<think>b</think>", "", "a\n<think>b</think>"),
    ("<think>hm</think>Hi", "hm", "Hi"),
    ("\n\n<think>hm</think>\n\nHi", "hm", "Hi"),
    ("<think>hm\n</think> \n\nHi\n", "hm\n", "Hi\n"),
    ("<think>", "", ""),
    ("<think>hm", "hm", ""),
    ("<think>hm</thin", "hm</thin", ""),
    ("<think>hm<", "hm<", ""),
    ("<think></think>", "", ""),
    ("<think></think>Hi", "", "Hi"),
    ("<think>hm</think>\n\n", "hm", ""),
    ("<think>a < b, </b> and </</think>c", "a < b, </b> and </", "c"),
    ("<think>a<think>b</think>c", "a<think>b", "c"),
    ("<think>a</think>b</think>c", "a", "b</think>c"),
    ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
    ("<think>a</think><think>b</think>c", "a", "<think>b</think>c"),
    ("<think>\nhm</think>Hi", "hm", "Hi"),
    ("<think>\n\n</think>\n\nHi", "", "Hi"),
    ("<think>hm</think>\n\n    x = 1", "hm", "    x = 1"),
    (f"{BLANKS}<think>a</think>b", "", f"{BLANKS}<think>a</think>b"),
    ("<think>a</think>" + "\n" * (MAX_SPACES + 1) + "b", "a", "\n" * (MAX_SPACES + 1) + "b"),
]


def told(events: Iterable[ReplyEvent]) -> Reply:
    """Return the reply that these events make, each read by itself."""
    thinking, fold = ThinkTagParser(), ReplyFold()
    for event in events:
        fold.add(thinking.feed([event]))
    fold.add(thinking.close())
    return snapshot(fold)


def fed(*pieces: str) -> tuple[str, str]:
    """Return the reasoning and the text of a reply that comes in these pieces."""
    reply = told(Text(piece) for piece in pieces)
    return reply.reasoning, reply.text


@pytest.mark.parametrize(("text", "reasoning", "reply"), CASES)
def test_reasoning_is_told_apart(text: str, reasoning: str, reply: str) -> None:
    """Only at the very beginning, with the marks and the empty lines around it left out."""
    assert fed(text) == (reasoning, reply)


@pytest.mark.parametrize(("text", "reasoning", "reply"), CASES)
def test_it_does_not_matter_where_the_text_is_cut(text: str, reasoning: str, reply: str) -> None:
    """In two pieces at every place, and character by character."""
    assert fed(*text) == (reasoning, reply)
    for at in range(len(text) + 1):
        assert fed(text[:at], text[at:]) == (reasoning, reply)


@pytest.mark.parametrize("seed", range(20))
def test_no_character_is_lost(seed: int) -> None:
    """What comes out is what went in, besides the two marks and white space around them."""
    draw = random.Random(seed)
    for _ in range(50):
        parts = [OPEN, CLOSE, "<", "</", "th", "ink>", "a", "<think", "</think", "b c", "\n", " "]
        pieces = [draw.choice(parts) for _ in range(draw.randint(1, 9))]
        text = "".join(pieces)
        kept = text
        if text.lstrip().startswith(OPEN):
            kept = text.replace(OPEN, "", 1).replace(CLOSE, "", 1)
        assert "".join("".join(fed(*pieces)).split()) == "".join(kept.split())


@pytest.mark.parametrize(
    ("text", "event"),
    [("<th", Text("<th")), ("\n", Text("\n")), ("<think>a</th", Reasoning("</th"))],
)
def test_the_end_gives_back_what_was_held(text: str, event: ReplyEvent) -> None:
    """Before the server's word that it has ended, and only once."""
    thinking = ThinkTagParser()
    thinking.feed([Text(text)])
    assert thinking.feed([Finished("stop"), Finished()]) == [event, Finished("stop"), Finished()]
    assert thinking.close() == []


def test_close_returns_nothing_if_nothing_is_pending() -> None:
    """The end of a stream without a text adds no event."""
    assert ThinkTagParser().close() == []
    assert ThinkTagParser().feed([]) == []
    assert ThinkTagParser().feed([Finished()]) == [Finished()]


def test_a_piece_that_is_clear_is_passed_on_at_once() -> None:
    """Only what could yet become a mark waits."""
    thinking = ThinkTagParser()
    assert thinking.feed([Text("<think>a")]) == [Reasoning("a")]
    assert thinking.feed([Text("b</t")]) == [Reasoning("b")]
    assert thinking.feed([Text("c")]) == [Reasoning("</tc")]
    assert thinking.feed([Text("</think>"), Text("\n"), Text("d")]) == [Text("d")]
    assert thinking.feed([Text("<think>")]) == [Text("<think>")]


def test_reasoning_that_a_server_told_apart_stays_so() -> None:
    """Beside it the marks count in the text as ever."""
    assert told([Reasoning("a"), Text("b"), Reasoning("c")]) == grow([Reasoning("ac"), Text("b")])
    reply = told([Reasoning("a"), Text("<think>b</think>c")])
    assert (reply.reasoning, reply.text) == ("ab", "c")


def test_other_events_go_through() -> None:
    """In their order, whatever is held."""
    events: list[ReplyEvent] = [
        Served("m", "1"),
        ToolCallDelta(0, "c", "f", "{}"),
        Used(Usage(1)),
    ]
    thinking = ThinkTagParser()
    assert thinking.feed([Text("<"), *events]) == events
    assert thinking.feed([Finished("stop")]) == [Text("<"), Finished("stop")]


@pytest.mark.parametrize("before", [["Hi"], ["<think>hm</think>", "\n"], ["\n"], [" ", "\n"]])
def test_an_end_token_stays_a_piece_of_its_own(before: list[str]) -> None:
    """Else it would be shown: it is known by being the very last piece."""
    assert "</s>" not in told([*map(Text, before), Text("</s>"), Finished("stop")]).clean_text


@pytest.mark.parametrize(
    ("text", "reasoning", "reply"),
    [
        ("hm\n</think>\n\nHi", "hm", "Hi"),
        ("hm, so\n\nyes.</think>\n\nHi", "hm, so\n\nyes.", "Hi"),
        ("hm\n</think>Hi", "hm", "Hi"),
        ("hm\n</think>\n\n    x = 1", "hm", "    x = 1"),
        ("</think>\n\nHi", "", "Hi"),
        ("hm</think>", "hm", ""),
        ("\n\nhm\n</think>\n", "hm", ""),
        ("```\nx\n```\nhm\n</think>\nHi", "```\nx\n```\nhm", "Hi"),
        ("hm\n</think>\na\n</think>\nb", "hm", "a\n</think>\nb"),
        ("The tag </think> ends it.", "", "The tag </think> ends it."),
        ("It ends with `</think>`\n", "", "It ends with `</think>`\n"),
        ("It is `\n</think>`", "", "It is `\n</think>`"),
        ("See:\n```html\n</think>\n```\n", "", "See:\n```html\n</think>\n```\n"),
        ("a <think>b\n</think>\nc", "", "a <think>b\n</think>\nc"),
        ("Hi", "", "Hi"),
        ("", "", ""),
    ],
)
def test_a_lone_closing_tag_ends_the_reasoning(text: str, reasoning: str, reply: str) -> None:
    """Where a chat template has put the opening one into the prompt; a quotation stays text."""
    separated = separate_lone_thinking(Reply(text=text))
    assert (separated.reasoning, separated.text) == (reasoning, reply)


def test_reasoning_that_is_known_is_not_separated_again() -> None:
    """A server that separates it does so for all of it."""
    reply = Reply(text="a\n</think>\nb", reasoning="hm")
    assert separate_lone_thinking(reply) is reply
    quoted = Reply(text="`</think>` ends it", reasoning="hm")
    assert separate_lone_thinking(quoted) is quoted


@pytest.mark.parametrize("text", ["</think>\n\nHi", "\n</think>Hi"])
def test_a_closing_tag_after_known_reasoning_is_left_out(text: str) -> None:
    """Servers that separate the reasoning sometimes leave its closing tag in the text."""
    separated = separate_lone_thinking(Reply(text=text, reasoning="hm"))
    assert (separated.reasoning, separated.text) == ("hm", "Hi")


@pytest.mark.parametrize("text", [" ", "\n", "a\n", "<", "</think", "```\n"])
@pytest.mark.parametrize("before", ["", "<think>", "<think>a</think>"])
def test_an_endless_reply_is_read_in_linear_time(before: str, text: str) -> None:
    """A model may write the same for ever, a character at a time."""

    def read(pieces: list[Text]) -> None:
        separate_lone_thinking(told(pieces))

    assert growth(read, 10_000, lambda n: [Text(before), *[Text(text)] * n]) <= 3
