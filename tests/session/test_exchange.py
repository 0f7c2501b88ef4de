"""What comes of one request: the reply as far as it came, and an error that carries it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Fault, Loopback, Raw, Reply, event
from shell import Run

import di_magics as di

HELLO = event({"choices": [{"index": 0, "delta": {"content": "par"}}]})
ERRORS = {
    "a number": event({"error": {"code": 500, "message": "engine fell over"}}),
    "a number as text": event({"error": {"code": "429", "message": "slow"}}),
    "a word": event({"error": {"code": "overloaded", "message": "slow"}}),
    "no code": event({"error": "boom"}),
    "of the account": event({"error": {"code": 402, "message": "Insufficient Balance"}}),
    "too long": b'error: {"code":400,"message":"exceeds the available context size"}\n\n',
    "an error event": b"event: error\ndata: boom\n\n",
    "not JSON": b"data: boom\n\n",
}


ASK = "import di_magics as di\nreply = di.ask('Hi')"


@pytest.mark.parametrize("tail", ERRORS.values(), ids=ERRORS)
def test_an_error_after_text_carries_the_reply(run: Run, server: Loopback, tail: bytes) -> None:
    """Whatever its class, and the reply is cut."""
    server.reply(Raw([HELLO, tail]))
    error = run(ASK).error
    assert isinstance(error, di.EndpointError)
    assert (error.reply.text, error.reply.status) == ("par", "cut")
    assert len(server.chats) == 1


@pytest.mark.parametrize("tail", ERRORS.values(), ids=ERRORS)
def test_a_turn_that_broke_off_is_cut(run: Run, server: Loopback, tail: bytes) -> None:
    """In a cell as well, where the next turn sends what there is of it."""
    server.reply(Raw([HELLO, tail]))
    ran = run("%%chat\nHi")
    assert isinstance(ran.error, di.EndpointError)
    assert ran.error.reply.status == "cut"
    run("%%chat\ngo on")
    assert server.chats[-1].json["messages"][1]["content"] == "par"


@pytest.mark.parametrize("text", ["<", "<think>", "a"])
def test_text_that_was_held_back_counts_as_a_reply(run: Run, server: Loopback, text: str) -> None:
    """Also where it might have become a tag."""
    begun = event({"choices": [{"delta": {"content": text, "reasoning_content": "hm"}}]})
    server.reply(Raw([begun, event({"error": {"code": 500}})]))
    error = run(ASK).error
    assert isinstance(error, di.EndpointError)
    assert error.reply.status == "cut"


@pytest.mark.parametrize("ends_loops", [True, False])
def test_a_reply_that_repeats_itself_is_ended(
    run: Run, shell: InteractiveShell, server: Loopback, ends_loops: bool
) -> None:
    """The connection is closed, the receipt says why, and the reply is complete as far as it is."""
    session = shell.magics_manager.registry["ChatMagics"].session
    plan = session.plan
    session.plan = lambda *args: replace(plan(*args), ends_loops=ends_loops)
    server.reply(Reply(chunks=["Once. ", *["I am not sure. "] * 80]))
    ran = run("%%chat\nHi")
    assert ran.error is None
    assert ("ended because it repeated itself" in ran.text) == ends_loops
    (turn,) = session.conversation.path()
    assert turn.reply.complete
    assert (len(turn.reply.text) < 1000) == ends_loops
    assert turn.reply.finish_reason == ("loop" if ends_loops else "stop")


def test_a_request_without_a_reply_has_failed(run: Run, server: Loopback) -> None:
    """Nothing came, so there is nothing to keep."""
    server.reply(Fault(400, {"error": "no"}))
    error = run(ASK).error
    assert isinstance(error, di.EndpointError)
    assert (error.reply.text, error.reply.status) == ("", "failed")


@pytest.mark.parametrize(
    "label", ["text/event-stream", "text/plain", "text/html", "application/json", ""]
)
@pytest.mark.parametrize("form", ["JSON", "events"])
def test_the_label_of_a_reply_does_not_matter(
    run: Run, server: Loopback, label: str, form: str
) -> None:
    """Servers and proxies get it wrong."""
    choice = {"index": 0, "finish_reason": "stop"}
    events = event({"choices": [{**choice, "delta": {"content": "Hi"}}]}) + b"data: [DONE]\n\n"
    whole = json.dumps({"choices": [{**choice, "message": {"content": "Hi"}}]}).encode()
    server.reply(Raw([whole if form == "JSON" else events], content_type=label))
    assert run(f"{ASK}\nprint(reply.text, reply.status)").text == "Hi done\n"


@pytest.mark.parametrize("label", ["text/event-stream", "text/plain", "application/json", ""])
def test_an_answer_without_choices_is_not_finished(run: Run, server: Loopback, label: str) -> None:
    """Its words are quoted."""
    server.reply(Fault(200, {"code": 50001, "msg": "the model is asleep"}, content_type=label))
    server.reply(Fault(200, {"note": "the model is asleep"}, content_type=label))
    server.reply(Fault(200, {"choices": [], "note": "the model is asleep"}, content_type=label))
    for _ in range(3):
        error = run(ASK).error
        assert isinstance(error, di.EndpointError)
        assert "the model is asleep" in str(error)


def test_an_empty_account_is_asked_once(run: Run, server: Loopback) -> None:
    """Trying again adds no money."""
    words = "You exceeded your current quota, please check your plan and billing details."
    server.default = Fault(429, {"error": {"message": words, "code": "insufficient_quota"}})
    error = run(ASK).error
    assert isinstance(error, di.Refused)
    assert "Add funds" in str(error)
    assert len(server.chats) == 1
