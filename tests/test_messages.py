"""Every message is short and plain: what happened, what to do."""

from __future__ import annotations

import re

import pytest
from messages import ERRORS, Message, messages

BANNED = {
    r"\btakes\b": "say what it must be, or what it does",
    r"(?<!here )\b(is|are) no\b": "write `is not a` or `has no`",
    r"\bknows neither\b": "write what is missing",
    r"\breaders?\b": "it is a user",
    r"\bWhat (had )?come\b|\bwhat came\b": "write `the partial reply`",
    r"\bgo(es)? along\b": "write `is sent with it`",
    r"\banew\b|\bafresh\b": "write `again`",
    r"\bis to be\b|\bare to be\b": "write `must be`",
    r"\bcells to come\b": "write `the next cells`",
    r"^There is no reply of": "write `Run 7 has no reply`",
    r"(?i)\bplease\b": "the next step is enough",
    r"!(?!\[|=)": "a message does not shout",
}
LONGER = {
    "details": "the help on one command",
    "The text below the %%chat line": "the end of `%%chat -h`",
    "{name}: {effect}": "the help on one parameter",
}
"""What may have more than two sentences, by its speaker or by its beginning, and why."""
ENDS = re.compile(r"[.?…:}\])']$|%chat [^.]*$")
SENTENCE_END = re.compile(r"(?<=[\w)}\]'])[.?](?=[\s']|$)")


NEXT_STEP = re.compile(r"[.?}\])'] +[\[{A-Z%-]|\bmust ")
"""A second sentence, or what a value must be."""
STEP_ELSEWHERE = {
    "The Hugging Face hub: ": "endpoints/model_hub.py:_explain",
    "{service}; or": "no_key has it",
    "The reply is not": "Reply.json() and the turn add it",
    "{label} cannot be sent: {error}": "the error has it",
    "Stopped; the": "it was the user",
}
"""Errors whose next step is in another literal, by their beginning, and where."""


def _is_longer(message: Message) -> bool:
    return any(message.speaker == key or message.text.startswith(key) for key in LONGER)


def _label(message: Message) -> str:
    return f"{message.file}:{message.line} {message.text!r}"


def test_the_messages_are_collected() -> None:
    """From a raised error, a printed line, the help and a literal that is put together later."""
    texts = {message.text for message in messages()}
    assert "The prompt is empty. Write a question, in a cell below the %%chat line." in texts
    assert "The key of {title} is set for this kernel{kept}." in texts
    assert "start a new conversation" in texts
    assert "go forward again after undo or rewind" in texts
    assert "set: " not in texts
    assert any(text.startswith("Higher: more varied") for text in texts)
    assert any(text.startswith("Draw only from the k likeliest words") for text in texts)
    assert any(text.startswith("Check the model's name ({model})") for text in texts)


def test_a_message_has_at_most_two_sentences() -> None:
    """What happened. What to do."""
    assert [
        _label(message)
        for message in messages()
        if not _is_longer(message)
        and len(SENTENCE_END.findall(message.text.rstrip(". ") + ".")) > 2
    ] == []


@pytest.mark.parametrize("pattern", BANNED)
def test_no_message_has_a_phrase_that_only_a_friend_would_understand(pattern: str) -> None:
    """The table of the writing guide."""
    assert [_label(text) for text in messages() if re.search(pattern, text.text)] == []


def test_a_message_of_an_error_ends_as_a_sentence() -> None:
    """With a full stop, with what is quoted, or with a command to copy."""
    assert [
        _label(message)
        for message in messages()
        if message.speaker in ERRORS and not ENDS.search(message.text)
    ] == []


def test_a_message_of_an_error_has_a_next_step() -> None:
    """Nobody is left with what went wrong alone."""
    assert [
        _label(message)
        for message in messages()
        if message.speaker in ERRORS
        and not NEXT_STEP.search(message.text)
        and not message.text.startswith(tuple(STEP_ELSEWHERE))
    ] == []


def test_a_message_of_an_error_is_one_line() -> None:
    """IPython prints it in place of a traceback."""
    assert [
        _label(text) for text in messages() if text.speaker in ERRORS and "\n" in text.text
    ] == []


def test_every_exception_is_needed() -> None:
    """What a table excuses exists."""
    texts = messages()
    for key in [*LONGER, *STEP_ELSEWHERE]:
        assert any(text.speaker == key or text.text.startswith(key) for text in texts)
