"""A reply tells whether it is complete, and gives its code, its JSON and its probabilities."""

from __future__ import annotations

import math

import pytest
from grow import GROWN, grow

from di_magics.core.errors import ChatError, ReplyError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.fold import Text
from di_magics.core.reply.reply import Reply, Round, ToolCall, ToolResult


@pytest.mark.parametrize(
    ("reply", "empty"),
    [
        (Reply(), True),
        (Reply(text=" \n"), True),
        (Reply(reasoning="hm"), True),
        (grow([Text("</s>")]), True),
        (Reply(text="a"), False),
        (Reply(tool_calls=(ToolCall("", "f", ""),)), True),
        (
            Reply(rounds=(Round(calls=(ToolCall("1", "f", ""),), results=(ToolResult("2"),)),)),
            False,
        ),
    ],
)
def test_a_reply_is_empty_without_text_and_answered_call(reply: Reply, empty: bool) -> None:
    """Reasoning, and calls that nobody has answered, are nothing to send back."""
    assert reply.is_empty is empty


def test_only_a_done_reply_is_complete() -> None:
    """Every other status is not."""
    assert Reply(status="done").complete
    assert not any(Reply(status=s).complete for s in ("open", "stopped", "cut", "failed"))


def test_the_repr_is_short() -> None:
    """A notebook that echoes a reply shows neither its text nor the request."""
    assert repr(Reply(text="x" * 12345, status="done")) == "<Reply done, 12,345 characters>"


@pytest.mark.parametrize(
    ("reply", "made"),
    [
        (Reply(text='{"a": 1}'), {"a": 1}),
        (Reply(text="```json\n[1]\n```\n"), [1]),
        (Reply(text="1</s>", last_chunk="</s>"), 1),
        (Reply(text="null"), None),
        (Reply(text="no JSON", parsed=GROWN), GROWN),
        (Reply(text="1", parsed=0), 0),
        (Reply(text="null", parsed=None), None),
    ],
)
def test_a_reply_may_be_json(reply: Reply, made: object) -> None:
    """What it was read as already, else what its text is."""
    assert reply.json() == made


@pytest.mark.parametrize("text", ["", "Hello", '{"a":', "NaN"])
def test_a_reply_that_is_no_json_is_an_error_that_holds_it(text: str) -> None:
    """For a program that goes on with what there is."""
    reply = Reply(text=text)
    with pytest.raises(ReplyError) as error:
        reply.json()
    assert error.value.reply is reply


def test_a_reply_that_was_refused_by_its_schema_is_an_error() -> None:
    """Although its text is JSON: it is not what was asked for."""
    reply = Reply(text="1", validation_error="1 is not an object.")
    with pytest.raises(ReplyError, match="not an object") as error:
        reply.json()
    assert error.value.reply is reply


def test_the_code_of_a_reply() -> None:
    """That of its Python blocks; a leaked end token is no part of it."""
    assert Reply(text="```r\na\n```\n```py\nb\n```").code == "b"
    assert Reply(text="```py\nb\n```</s>", last_chunk="</s>").code == "b"
    with pytest.raises(ChatError, match="no code block"):
        _ = Reply(text="Hi").code


def test_a_reply_summarizes_its_log_probabilities() -> None:
    """Without any it has no perplexity."""
    likely = TokenProbability("a", math.log(0.5), (TokenProbability("a", math.log(0.5)),))
    rare = TokenProbability("b", math.log(0.125))
    reply = Reply("ab", logprobs=(likely, rare))
    assert reply.perplexity == pytest.approx(4)
    assert reply.entropy(0) == pytest.approx(1)
    assert reply.entropy(1) is None
    assert reply.least_likely(1) == [(1, rare)]
    assert Reply().perplexity is None
    for position in (2, -3):
        with pytest.raises(ChatError, match=f"no token {position}: the reply has 2"):
            reply.entropy(position)


def test_printing_a_reply_sends_no_escapes_to_a_terminal() -> None:
    """Its text is there exactly as `.text`."""
    reply = Reply("a\x1b]52;c;eA==\x07\n\tb\x9b31m\u2028c")
    assert str(reply) == "a]52;c;eA==\n\tb31m\nc"
    assert reply.text == reply.clean_text == "a\x1b]52;c;eA==\x07\n\tb\x9b31m\u2028c"
