"""A reply that was cut off is continued in its place."""

from __future__ import annotations

import pytest
from loopback import Drop, Loopback, Reply
from shell import Run

import di_magics as di
from di_magics.core.request.turn_body import CONTINUE_PROMPT


def like(run: Run, server: Loopback, name: str) -> None:
    """Let the server be one that is known to behave as this one, and use it."""
    entry = {"url": server.url, "like": name, "model": "m"}
    run(f"%config ChatMagics.endpoints = {{'it': {entry}}}")
    run("%chat endpoint it")


@pytest.mark.parametrize(
    ("name", "how", "last", "field"),
    [
        ("vllm", "continued from the text (continue_final_message)", {}, True),
        ("mistral", "continued from the text (prefix)", {"prefix": True}, False),
        ("llamacpp", "continued from the text (last message)", {}, False),
    ],
)
def test_a_reply_cut_by_max_tokens_goes_on(
    run: Run, server: Loopback, name: str, how: str, last: dict[str, bool], field: bool
) -> None:
    """Joined in its turn, with the same parameters; the next question follows the whole."""
    like(run, server, name)
    server.reply(Reply("One, two, thr", finish="length"), Reply("ee, four."), Reply("ok"))
    run("%%chat -t 0 --max-tokens 5\ncount")
    ran = run("%chat continue")
    assert "One, two, three, four." in ran.text
    assert how in ran.text
    assert "variant 2 of 2" in ran.text
    sent = server.chats[1].json
    assert sent["messages"][-1] == {"role": "assistant", "content": "One, two, thr", **last}
    assert ("continue_final_message" in sent) is field
    assert (sent["temperature"], sent["max_tokens"]) == (0, 5)
    assert '"One, two, thr"' in run("%chat show --request").text
    run("%%chat\nthanks")
    assert [m["content"] for m in server.chats[2].json["messages"]] == [
        "count",
        "One, two, three, four.",
        "thanks",
    ]


def test_another_endpoint_is_asked_to_go_on(run: Run, server: Loopback) -> None:
    """The receipt says so; that request is not part of the conversation."""
    server.reply(Reply("One, t", finish="length"), Reply("wo, thr", finish="length"), Reply("ee."))
    run("%%chat\ncount")
    assert "continued by a request to go on" in run("%chat continue").text
    assert server.chats[1].json["messages"][-1]["content"] == CONTINUE_PROMPT
    assert "One, two, three." in run("%chat continue").text
    assert server.chats[2].json["messages"][-2]["content"] == "One, two, thr"
    run("%%chat\nthanks")
    assert CONTINUE_PROMPT not in server.chats[3].body.decode()
    assert "One, t" in run("%chat history --tree").text


def test_a_reply_that_broke_off_goes_on(run: Run, server: Loopback) -> None:
    """As one that was stopped does."""
    server.reply(Reply(chunks=["One, t", Drop()]), Reply("wo."))
    assert isinstance(run("%%chat\ncount").error, di.StreamBroken)
    assert "One, two." in run("%chat continue").text


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (["%chat continue"], "no turns"),
        (["%%chat\nhi", "%chat continue"], "is complete"),
        (["%%chat\nhi", "%chat continue 2"], "no arguments"),
    ],
)
def test_what_cannot_be_continued_is_one_line(
    run: Run, server: Loopback, cells: list[str], problem: str
) -> None:
    """Nothing is sent for it."""
    *before, last = cells
    for cell in before:
        run(cell)
    error = run(last).error
    assert isinstance(error, di.DiMagicsError)
    assert problem in str(error)
    assert len(server.chats) == len(before)


def test_a_reply_of_another_endpoint_is_not_continued_here(run: Run, server: Loopback) -> None:
    """Another model would go on with it."""
    server.reply(Reply("One, t", finish="length"))
    run("%%chat\ncount")
    with Loopback() as other:
        run(f"%chat endpoint {other.url}")
        error = run("%chat continue").error
        assert isinstance(error, di.ChatError)
        assert "Switch back" in str(error)
        assert other.chats == []


@pytest.mark.parametrize("command", ["continue", "repeat 1", "branch 1:1"])
def test_a_turn_is_sent_again_to_its_own_endpoint(run: Run, server: Loopback, command: str) -> None:
    """Where it has a name here; the endpoint in use gets nothing of it."""
    one = {"token": "One", "logprob": -0.1, "bytes": [79, 110, 101]}
    tokens = [{**one, "top_logprobs": [one]}]
    with Loopback() as other:
        entry = {"url": other.url, "like": "vllm", "model": "m"}
        run(f"%config ChatMagics.endpoints = {{'it': {entry}}}")
        other.reply(Reply(chunks=["One"], logprobs=tokens, finish="length"), Reply(", two."))
        run("%%chat --endpoint it --logprobs 1\ncount")
        assert run(f"%chat {command}").error is None
        assert {chat.json["model"] for chat in other.chats[1:]} == {"m"}
    assert server.chats == []


@pytest.mark.parametrize("command", ["continue", "repeat 1"])
def test_without_a_key_the_error_is_still_about_the_turns_endpoint(
    run: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Nobody is told to get a key of DeepInfra for a reply of another server."""
    for name in ("DI_MAGICS_BASE_URL", "DI_MAGICS_MODEL"):
        monkeypatch.delenv(name)
    server.reply(Reply("One, t", finish="length"))
    run(f"%%chat --endpoint {server.url} -m m\ncount")
    error = str(run(f"%chat {command}").error)
    assert "Switch back" in error
    assert server.url in error
    assert "key" not in error
