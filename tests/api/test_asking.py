"""`di.Conversation`: a conversation in Python, apart from the notebook's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from loopback import Fault, Hold, Loopback, Reply
from shell import Run

import di_magics as di


def test_each_ask_sends_the_turns_before_it(run: Run, server: Loopback) -> None:
    """With its own settings; the notebook's conversation stays as it is, and both are counted."""
    run("%%chat\nnot sent")
    server.reply(Reply("One."), Reply("Two."), Reply("Three."))
    talk = di.Conversation(system="Count.", model="m", temperature=0, extra={"x": 1})
    assert talk.ask("first").text == "One."
    assert "".join(talk.stream("second", temperature=1)) == "Two."
    assert asyncio.run(talk.aask("third", extra={"y": 2})).text == "Three."
    sent = [request.json for request in server.chats[1:]]
    assert [body["temperature"] for body in sent] == [0, 1, 0]
    assert [(body["model"], body["x"]) for body in sent] == [("m", 1)] * 3
    assert sent[2]["y"] == 2
    assert sent[2]["messages"] == [
        {"role": "system", "content": "Count."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": "second"},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "third"},
    ]
    assert talk.messages == [*sent[2]["messages"], {"role": "assistant", "content": "Three."}]
    assert [turn.prompt for turn in talk.turns] == ["first", "second", "third"]
    assert talk.turns[0].reply.text == "One."
    assert repr(talk) == "<di_magics.Conversation of 3 turns>"
    assert "first" not in run("%chat history").text
    assert "$0.000006" in run("%chat cost").text


def test_a_partial_reply_is_kept_and_a_failed_one_is_not(run: Run, server: Loopback) -> None:
    """Leaving the loop stops the reply, and the next turn follows what came."""
    hold = Hold()
    talk = di.Conversation()
    server.reply(Fault(400, {"error": "no"}), Reply(chunks=["Hel", hold, "lo"]), Reply("Yes."))
    with pytest.raises(di.BadRequest):
        talk.ask("refused")
    assert talk.turns == ()
    for _ in talk.stream("begun"):
        break
    assert server.chats[1].closed.wait(10)
    hold.release()
    talk.ask("and?")
    assert [message["content"] for message in server.chats[2].json["messages"]] == [
        "begun",
        "Hel",
        "and?",
    ]


def test_a_conversation_waits_for_one_reply_at_a_time(run: Run, server: Loopback) -> None:
    """Else it would not be known which turn follows which."""
    hold = Hold()
    server.reply(Reply(chunks=["Hel", hold, "lo"]))
    talk = di.Conversation()
    pieces = iter(talk.stream("first"))
    next(pieces)
    with pytest.raises(di.ChatError, match="after that one"):
        talk.ask("second")
    hold.release()
    assert "".join(pieces) == "lo"
    assert talk.ask("second").status == "done"


def test_its_tools_and_attachments_are_those_of_ask(
    run: Run, server: Loopback, tmp_path: Path
) -> None:
    """Rounds and files of earlier turns are sent again."""

    @di.safe
    def today() -> str:
        return "a Monday"

    (tmp_path / "notes.txt").write_text("a note")
    call = {"id": "c1", "name": "today", "arguments": "{}"}
    server.reply(Reply("", tool_calls=[call]), Reply("Monday."), Reply("A note."))
    talk = di.Conversation()
    assert talk.ask("Which day?", tools=today).text == "Monday."
    talk.ask("And this?", attach=tmp_path / "notes.txt")
    talk.ask("Again?")
    roles = [message["role"] for message in server.chats[2].json["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert "a note" in str(server.chats[3].json["messages"])


def test_invalid_settings_are_refused_when_it_is_made() -> None:
    """As `ask` refuses them."""
    with pytest.raises(di.ParamError):
        di.Conversation(temperature=9)
    with pytest.raises(di.ParamError):
        di.Conversation(extra={"messages": []})


def test_budget_and_policy_hold_for_it(
    run: Run, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like for every request of the kernel."""
    rules = tmp_path / "rules.toml"
    rules.write_text('models = ["a-model"]\nsystem = "Be kind."\n')
    monkeypatch.setenv("DI_MAGICS_POLICY", str(rules))
    run("%unload_ext di_magics\n%load_ext di_magics")
    with pytest.raises(di.PolicyError):
        di.Conversation(model="another").ask("hi")
    talk = di.Conversation()
    talk.ask("hi")
    assert server.chats[0].json["messages"][0] == {"role": "system", "content": "Be kind."}
    assert "Be kind." not in str(talk.messages)
    run("%chat budget 0.00001")
    with pytest.raises(di.BudgetError):
        talk.ask("more")


def test_advice_for_a_conversation_that_is_too_long_counts_its_own_turns(
    run: Run, server: Loopback
) -> None:
    """And a reply of it can be branched where the turns before it are known to the server."""
    too_long = "This model's maximum context length is 10 tokens, however you requested 90 tokens."
    token = {"token": "Yes", "logprob": -0.1, "bytes": [89, 101, 115], "top_logprobs": []}
    server.reply(
        Reply("One."),
        Fault(400, {"error": {"message": too_long}}),
        Reply(chunks=["Yes"], logprobs=[token]),
    )
    talk = di.Conversation()
    talk.ask("first " * 20)
    with pytest.raises(di.TooLong, match="--last"):
        talk.ask("second")
    reply = talk.ask("third", logprobs=0)
    with pytest.raises(di.ChatError, match=r"di\.Conversation"):
        di.branch(reply, at=0)


# Tests api/loaded.
def test_a_conversation_works_without_the_extension(server: Loopback) -> None:
    """In a script."""
    talk = di.Conversation(model="m", endpoint=di.Endpoint(server.url))
    talk.ask("one")
    talk.ask("two")
    assert len(server.chats[1].json["messages"]) == 3
