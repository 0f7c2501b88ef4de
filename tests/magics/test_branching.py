"""Replies that are continued from one of their tokens; with a local model: test_inspector.py."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Loopback, Reply
from shell import Run

import di_magics as di
from di_magics.core.errors import ChatError, ParamError
from di_magics.magics.chat import current
from di_magics.session.session import Session

ENTRIES = [
    {
        "token": text,
        "logprob": -0.5,
        "top_logprobs": [{"token": text, "logprob": -0.5}, {"token": " dog", "logprob": -2}],
    }
    for text in ("The", " quick", " fox")
]


def session_of(shell: InteractiveShell) -> Session:
    """Return the shell's session."""
    magics = current(shell)
    assert magics
    return magics.session


def test_a_reply_of_another_endpoint_continues_from_its_text(
    run: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """The text up to the token is the last message; the reply begins with it."""
    server.reply(Reply(chunks=["The", " quick", " fox"], logprobs=ENTRIES))
    run("%%chat --logprobs 2\nSay something.")
    server.reply(Reply(chunks=[" barks"]), Reply(chunks=[" sleeps"]))
    assert run("%chat branch 1:3 --token dog -n 2 --max-tokens 5").error is None
    assert shell.user_ns["_sweep"].summary.endswith("token 3 is ' dog' in all runs")
    sent = server.chats[1].json
    assert sent["messages"][-1] == {"role": "assistant", "content": "The quick dog"}
    assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)
    assert (sent["max_tokens"], sent["top_logprobs"]) == (5, 2)
    texts = {reply.text for reply in shell.user_ns["_sweep"].replies if reply}
    assert texts == {"The quick dog barks", "The quick dog sleeps"}
    assert "continued from the text" in run("%chat adopt 0").text
    session = session_of(shell)
    turn = session.conversation.turn_at()
    assert turn.reply.text.startswith("The quick dog")
    assert session.inspector.lens_data(turn).tokens[2].token == " dog"


@pytest.mark.parametrize("loaded", [True, False])
def test_a_reply_of_the_python_interface_is_continued(
    run: Run, server: Loopback, shell: InteractiveShell, loaded: bool
) -> None:
    """An older one as well, with and without the extension; the conversation stays as it is."""
    server.reply(Reply(chunks=["The", " quick", " fox"], logprobs=ENTRIES), Reply(chunks=["hi"]))
    reply = di.ask("Say something.", system="Be brief.", logprobs=2)
    di.ask("Something else.")
    if not loaded:
        run("%unload_ext di_magics")
    server.reply(Reply(chunks=[" barks"]), Reply(chunks=[" sleeps"]))
    sweep = di.branch(reply, at=2, token=" dog", n=2, max_tokens=5)
    assert {r.text for r in sweep.replies if r} == {"The quick dog barks", "The quick dog sleeps"}
    assert [m["content"] for m in server.chats[-1].json["messages"]] == [
        "Be brief.",
        "Say something.",
        "The quick dog",
    ]
    assert not loaded or not session_of(shell).conversation.turns


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "For example: %chat branch 2:14"),
        ("1", "The token must be a whole number above 0"),
        ("1:x", "The token must be a whole number above 0"),
        ("1:9", "has no token 9. Tokens are numbered 1 to 3"),
        ("7:1", "no turn 7"),
        ("1:2 --rank 3", "The rank must be 1 to 2 there, not 3"),
        ("1:2 --token zebra", "'zebra' is not among the 2 tokens known there"),
        ("1:2 --nonsense 3", "has no flag --nonsense"),
        ("1:2 -n", "For example"),
    ],
)
def test_a_branch_that_cannot_be_is_refused_in_one_line(
    run: Run, server: Loopback, line: str, text: str
) -> None:
    """With what is possible instead."""
    server.reply(Reply(chunks=["The", " quick", " fox"], logprobs=ENTRIES))
    run("%%chat --logprobs 2\nSay something.")
    error = run(f"%chat branch {line}").error
    assert isinstance(error, ParamError | ChatError)
    assert text in str(error)
    assert len(server.chats) == 1


def test_a_turn_without_log_probabilities_has_no_branches(run: Run, server: Loopback) -> None:
    """It says how to get them."""
    run("%%chat\nhi")
    assert "%%chat --logprobs" in str(run("%chat branch 1:1").error)
    assert len(server.chats) == 1
