"""`%chat lens`, `%chat lab`, `di.lens` and `di.lab`, in a real shell with a real server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Loopback, Reply
from shell import Run

import di_magics as di
from di_magics.core.shown.lens_text import FILTERS, NEUTRAL, lab_values, sampling_params
from di_magics.display.lens import Lens
from di_magics.magics.branching import lab_functions


def entry(token: str, logprob: float, **others: float) -> Mapping[str, Any]:
    """Return what a server sends for a token; `others` are its alternatives."""
    top = [{"token": name, "logprob": value} for name, value in {token: logprob, **others}.items()]
    return {"token": token, "logprob": logprob, "top_logprobs": top}


ENTRIES = [entry("Red", -0.1, Blue=-2.5), entry(" fox", -4.0, dog=-0.05), entry(".", -0.01)]
ANSWER = Reply(chunks=["Red", " fox", "."], logprobs=ENTRIES)


@pytest.fixture
def asked(run: Run, server: Loopback) -> Run:
    """Runs cells after a turn with log-probabilities and one without."""
    server.reply(ANSWER, Reply("plain"))
    run("%%chat --logprobs\nA colour?")
    run("%%chat\nhi")
    return run


@pytest.mark.parametrize("line", ["%chat lens 1", "%chat lab 1", "%chat lab 1:2 --order vllm"])
def test_a_turn_is_shown_token_by_token(asked: Run, line: str) -> None:
    """Outside of a notebook as text: the summary and the least likely tokens."""
    text = asked(line).text
    assert "3 tokens · perplexity 3.94" in text
    assert "2  ·fox  1.83 %  (most likely: ·fox 1.83 %, dog 95.1 %)" in text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%chat lens", "has no log-probabilities, because they were not asked for"),
        ("%chat lens 9", "9"),
        ("%chat lens run 1", "No sweep has run since the kernel started"),
        ("%chat lens fox", "'fox' is not a number"),
        ("%chat lab 1:4", "no token 4. Tokens are numbered 1 to 3."),
        ("%chat lab 1:0", "no token 0"),
        ("%chat lab 1:x", "'x' is not a number"),
        ("%chat lab 1 --order", "An argument is missing. For example: %chat lab --order vllm"),
        ("%chat lab 1 --order top_q", "'top_q' is not a filter, or is there twice. Did you mean"),
        ("%chat lab 1 --order top_p,top_p", "'top_p' is not a filter, or is there twice."),
    ],
)
def test_what_cannot_be_shown_is_one_clear_line(asked: Run, line: str, words: str) -> None:
    """It says what to type instead."""
    error = asked(line).error
    assert isinstance(error, di.DiMagicsError)
    assert words in str(error)


def test_a_run_of_a_sweep_is_shown(run: Run, server: Loopback) -> None:
    """By its number, as %chat show has it."""
    server.default = ANSWER
    run("%%chat --logprobs --vary seed=1..2\nA colour?")
    text = run("%chat lens run 1").text
    assert "·fox  1.83 %" in text
    assert "· run 1 of the last sweep ·" in text


@pytest.mark.parametrize("command", ["%chat lens", "%chat lab", "%chat lab :2"])
@pytest.mark.parametrize(
    "cell",
    [
        "%%chat --once --logprobs\nAnother one?",
        "import di_magics as di\n_ = di.ask('Another one?', logprobs=1)",
    ],
)
def test_without_a_number_it_is_the_last_reply(
    asked: Run, server: Loopback, cell: str, command: str
) -> None:
    """Also one that is not remembered, until the conversation changes; the header names it."""
    green = [entry("Green", -0.5, Blue=-2.5), entry(".", -0.1)]
    server.reply(Reply(chunks=["Green", "."], logprobs=green), Reply("plain"), ANSWER)
    asked(cell)
    text = asked(command).text
    assert "Green" in text
    assert "the last reply, not remembered" in text
    asked("%%chat --once\nhi")
    assert "has no log-probabilities" in str(asked(command).error)
    asked("%%chat --logprobs\nA colour?")
    assert "· turn 3 ·" in asked(command).text


# Tests api/tokens.
def test_a_reply_of_the_python_interface_is_shown(
    run: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """It is not part of the conversation; settings have the names of the parameters."""
    server.reply(ANSWER)
    run("import di_magics as di\nreply = di.ask('A colour?', logprobs=1, temperature=0.5)")
    assert "·fox  1.83 %" in run("di.lens(reply)").text
    reply = shell.user_ns["reply"]
    lab = di.lab(reply, at=1, order="top_p,temperature", top_k=3, repetition_penalty=1.2)
    assert isinstance(lab, Lens)
    assert (lab.at, lab.order, lab.lab) == (1, ["top_p", "temperature"], True)
    values = {"temperature": 0.5, "top_k": 3, "repeat_penalty": 1.2}
    assert {name: lab.values[name] for name in values} == values
    assert lab.data.basis == "unknown"


@pytest.mark.parametrize("settings", [{"temprature": 1}, {"temperature": "hot"}, {"seed": 1}])
def test_an_invalid_setting_of_a_lab_is_refused(
    run: Run, server: Loopback, shell: InteractiveShell, settings: dict[str, Any]
) -> None:
    """One that is unknown, has no place in a lab, or is out of range."""
    server.reply(ANSWER)
    run("import di_magics as di\nreply = di.ask('A colour?', logprobs=1)")
    with pytest.raises(di.ParamError):
        di.lab(shell.user_ns["reply"], **settings)


def test_a_reply_without_log_probabilities_is_refused(run: Run, server: Loopback) -> None:
    """With the way to get them."""
    server.reply(Reply("plain"))
    error = run("import di_magics as di\ndi.lens(di.ask('hi'))").error
    assert isinstance(error, di.ChatError)
    assert "--logprobs" in str(error)


def test_a_reply_is_continued_from_a_token(
    asked: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """Four times, with the settings of the lab, as a sweep that can be adopted."""
    asking = shell.magics_manager.registry["ChatMagics"].asking
    turn = asking.session.conversation.turn_at(1)
    server.reply(*(Reply(f" runs {n}.") for n in range(4)))
    shown: list[Any] = []
    lab = lab_functions(asking, turn, asking.session.inspector.lens_data(turn))
    lab["continue_from"](1, "dog", {"temperature": 1.5}, ["top_p", "top_k"], shown.append)
    assert len(shown) == 1
    assert sorted(r.text for r in asking.last_sweep.replies) == [
        f"Reddog runs {n}." for n in range(4)
    ]
    sent = server.chats[-1].json
    assert sent["temperature"] == 1.5
    assert "samplers" not in sent  # an endpoint whose order is not known keeps it
    assert sent["messages"][-1] == {"role": "assistant", "content": "Reddog"}
    assert asked("%chat adopt 0").error is None
    assert "Reddog runs" in asked("%chat history").text


def test_an_adopted_reply_says_which_turns_it_leaves_out(asked: Run, server: Loopback) -> None:
    """And how to return, as the receipt of a retry does."""
    server.default = Reply(" runs.")
    asked("%chat branch 1:2 --token dog -n 2")
    text = asked("%chat adopt 1").text
    assert "variant 2 of 2" in text
    assert "1 later turn after variant 1 (%chat variant 1 goes back)" in text
    asked("%chat variant 1")
    assert "> hi" in asked("%chat history").text


def test_an_adopted_run_of_a_sweep_says_so_too(asked: Run, server: Loopback) -> None:
    """It is no variant of the turns that came after the sweep."""
    asked("%%chat --vary seed=1..2\nA colour?")
    assert "not sent any more" not in asked("%chat adopt 0").text
    asked("%%chat\nA number?")
    text = asked("%chat adopt 1").text
    assert "2 later turns not sent any more (%chat history --tree)" in text


def test_a_reply_that_is_not_remembered_is_continued_too(
    asked: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """From its own prompt; the conversation stays as it is."""
    server.reply(ANSWER, *(Reply(f" runs {n}.") for n in range(4)))
    asked("%%chat --once --logprobs\nAnother one?")
    asking = shell.magics_manager.registry["ChatMagics"].asking
    turn = asking.session.notebook.last_once
    assert turn is not None
    lab = lab_functions(asking, turn, asking.session.inspector.lens_data(turn))
    lab["continue_from"](1, "dog", {}, FILTERS, lambda widget: None)
    messages = [message["content"] for message in server.chats[-1].json["messages"]]
    assert messages == ["Another one?", "Reddog"]
    assert asking.session.notebook.last_once is turn


SLIDERS = {
    "temperature": 1.7,
    "top_k": 7,
    "top_p": 0.7,
    "min_p": 0.03,
    "presence_penalty": 0.3,
    "frequency_penalty": -0.2,
    "repetition_penalty": 1.4,
}


@pytest.mark.parametrize("now", [{}, {"temperature": 0.3, "min_p": 0.5, "top_k": 3}])
@pytest.mark.parametrize("moved", [SLIDERS, {}])
def test_the_sliders_are_what_is_sent(
    asked: Run,
    server: Loopback,
    shell: InteractiveShell,
    moved: dict[str, float],
    now: dict[str, float],
) -> None:
    """Each of them, also where another value was set after the reply."""
    asking = shell.magics_manager.registry["ChatMagics"].asking
    turn = asking.session.conversation.turn_at(1)
    data = asking.session.inspector.lens_data(turn)
    for name, value in now.items():
        asked(f"%chat set {name}={value}")
    server.reply(*(Reply(" runs.") for _ in range(4)))
    lab = Lens(data, lab=True, values=lab_values(moved))
    go_on = lab_functions(asking, turn, data)["continue_from"]
    go_on(1, "dog", lab.values, lab.order, lambda widget: None)
    sent = server.chats[-1].json
    off = sampling_params(NEUTRAL)
    assert {name: sent.get(name, off[name]) for name in off} == off | moved
