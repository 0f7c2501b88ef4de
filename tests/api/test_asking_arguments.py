"""Every argument of every public function, given values of other types: one line, or it works."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from loopback import Loopback, Reply
from shell import Run

import di_magics as di
from di_magics.core.sweep.runs import make_runs
from di_magics.session.stream import ReplyStream

TOKEN = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}


class Strange:
    """Nothing that a function expects, with a repr that raises."""

    def __repr__(self) -> str:
        raise ValueError("no repr")


FEW: list[Any] = [None, True, 3, b"x", ["a"], object()]
WRONG: list[Any] = [
    *(*FEW, -1, 10**30, 10**5000, 1.5, float("nan"), "", "\ud800", "\0\n", "x" * 10**6, [], {}),
    *({3: 4}, {"a": object()}, {"a": [3]}, {"seed": 5}, {"temperature": [[]]}),
    *(Strange(), [Strange()], lambda: 1, int, iter("ab"), di.Reply()),
]
"""Of each of them a function must make something, or say in a line why it does not."""
LIKE_ASK = ("stream", "aask", "Conversation.ask", "Conversation.stream", "Conversation.aask")
"""They go the way of `ask`: a few values are enough."""


def functions() -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Return the public functions and methods by name, each with arguments that work."""
    reply = di.ask("hi", logprobs=0)
    talk = di.Conversation()
    sweep = di.Sweep({}, 1, make_runs({}, 1), (None,))
    asked: dict[str, Any] = {"prompt": "hi"}
    return {
        "ask": (di.ask, asked),
        "stream": (di.stream, asked),
        "aask": (di.aask, asked),
        "sweep": (di.sweep, {**asked, "vary": {"seed": [1]}}),
        "branch": (di.branch, {"reply": reply, "at": 0}),
        "diff": (di.diff, {"one": "a", "other": "b"}),
        "lab": (di.lab, {"reply": reply}),
        "lens": (di.lens, {"reply": reply}),
        "score": (di.score, {"text": "", "endpoint": "a service"}),
        "safe": (di.safe, {"function": lambda: 1}),
        "Conversation": (di.Conversation, {}),
        "Conversation.ask": (talk.ask, asked),
        "Conversation.stream": (talk.stream, asked),
        "Conversation.aask": (talk.aask, asked),
        "Endpoint": (di.Endpoint, {"url": "https://host.example/v1"}),
        "Reply.entropy": (reply.entropy, {"position": 0}),
        "Reply.least_likely": (reply.least_likely, {}),
        "Sweep.turn": (sweep.turn, {"run": 0}),
        "Sweep.reply": (sweep.reply, {"run": 0}),
        "Sweep.diff": (sweep.diff, {"one": 0, "other": 0}),
        "Sweep.plot": (sweep.plot, {}),
    }


def calls() -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield every function with every argument and wrong value, and the call."""
    for name, (function, arguments) in functions().items():
        parameters = inspect.signature(function).parameters
        names = [n for n in parameters if n not in ("params", "settings", "service")]
        names += ["temperature", "stop"] if {"params", "settings"} & {*parameters} else []
        for argument in names:
            for wrong in FEW if name in LIKE_ASK else WRONG:
                given = {**arguments, argument: wrong}
                yield name, argument, partial(function, **given)


def complete(result: Any) -> None:
    """Read what has not been read yet."""
    if isinstance(result, ReplyStream):
        list(result)
    elif inspect.iscoroutine(result):
        asyncio.run(result)


def test_an_argument_of_another_type_ends_in_one_line(run: Run, server: Loopback) -> None:
    """Of an error class of ours, which a cell shows without a traceback."""
    foreign: list[str] = []
    server.default = Reply(chunks=["a"], logprobs=[TOKEN])
    count = 0
    covered = {name.partition(".")[0] for name in functions()}
    assert covered >= {n for n in di.__all__ if inspect.isfunction(getattr(di, n))} - {"panel"}
    for name, argument, call in calls():
        count += 1
        try:
            complete(call())
        except di.DiMagicsError as error:
            if "\n" in str(error) or not 20 < len(str(error)) < 500:
                foreign.append(f"{name}({argument}): {error}"[:600])
        except Exception as error:  # every one of them is a finding
            foreign.append(f"{name}({argument}): {type(error).__name__} {error!s:.100}")
    assert count > 1000
    assert not foreign, "\n".join(foreign)
