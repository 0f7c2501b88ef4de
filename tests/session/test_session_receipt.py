"""What the receipt says is what was on the wire, for every parameter at its ends."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from loopback import Loopback, Reply, event
from shell import Run

from di_magics.core.errors import ParamError
from di_magics.core.settings.params import PARAMS, Param, validate


def values(param: Param) -> list[str]:
    """Return a parameter's ends, 0 and its default, as far as they are in its range."""
    if param.low is None or param.high is None:
        return list(param.choices) or ["auto", "x y", "0"]
    step = Decimal(str(param.step)) if param.kind is float else Decimal(1)
    low = Decimal(str(param.low)) + (step if param.low_open else 0)
    high = Decimal(str(param.high)) - (step if param.high_open else 0)
    result = {low, high}
    default = re.match(r"-?[\d.]+", param.default)
    for value in (Decimal(0), Decimal(default[0]) if default else low):
        if low <= value <= high:
            result.add(value)
    return [f"{value.normalize():f}" for value in sorted(result)]


NAMED = {name: param for name, param in PARAMS.items() if name != "logprobs"}
"""The parameters that are sent and shown under their own name."""
CASES = [(name, value) for name, param in NAMED.items() for value in values(param)]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_the_receipt_says_what_was_sent(run: Run, server: Loopback, name: str, value: str) -> None:
    """The value on the wire is the one that was typed, it is in the receipt, and no other is."""
    flag = "--" + name.replace("_", "-")
    shown = run(f"%%chat {flag}='{value}'\nhi").text
    body = server.chats[0].body.decode()
    sent = json.loads(body, parse_float=Decimal)
    plain = {"model", "messages", "stream", "stream_options"}
    assert set(sent) == {*plain, name}
    wanted = validate(name, value)
    if isinstance(wanted, str | tuple):
        assert sent[name] == ([*wanted] if isinstance(wanted, tuple) else value)
    else:
        assert sent[name] == Decimal(value)
    found = re.search(rf" · {name}=(.*?) · ", shown)
    assert found
    said = found[1]
    assert sent[name] == (said if said.isalpha() else json.loads(said, parse_float=Decimal))


def test_all_parameters_at_once(run: Run, server: Loopback) -> None:
    """Each is in the body and in the receipt, in the order in which they were set."""
    chosen = {name: values(param)[0] for name, param in NAMED.items()}
    pairs = " ".join(f"{name}={value!r}" for name, value in chosen.items())
    assert run(f"%chat set {pairs}").error is None
    shown = run("%%chat\nhi").text
    sent = server.chats[0].json
    line = shown.splitlines()[-1].split(" · ")[1]
    assert [word.partition("=")[0] for word in re.findall(r"(?:^| )(\w+=)", line)] == list(NAMED)
    for name in NAMED:
        assert f"{name}={json.dumps(sent[name])}" in line or f"{name}={sent[name]}" in line


ENTRY = {"token": "Hi", "logprob": -0.5, "top_logprobs": [{"token": "Hi", "logprob": -0.5}]}


@pytest.mark.parametrize(
    ("flag", "most", "text"),
    [
        ("--logprobs", 20, "20 log-probabilities a token"),
        ("--logprobs 5", 5, "5 log-probabilities a token"),
        ("--logprobs=1", 1, "1 log-probability a token"),
        ("--logprobs 0", 0, "log-probabilities of the tokens alone"),
    ],
)
def test_log_probabilities_are_asked_for(
    run: Run, server: Loopback, flag: str, most: int, text: str
) -> None:
    """The receipt says how many, and whether they are the model's own is not known."""
    server.reply(Reply("Hi", chunks=["Hi"], logprobs=[ENTRY]))
    shown = run(f"%%chat {flag}\nhi").text
    sent = server.chats[0].json
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, most)
    assert f" · {text}, raw or processed: not known · " in shown
    assert "sent no log-probabilities" not in shown


def test_log_probabilities_that_do_not_come_are_missed(run: Run, server: Loopback) -> None:
    """Some providers leave them out and say nothing."""
    assert "the endpoint sent no log-probabilities" in run("%%chat --logprobs\nhi").text
    assert "log-probabilities" not in run("%%chat\nhi").text
    assert "logprobs" not in server.chats[1].json


def test_log_probabilities_can_be_a_setting(run: Run, server: Loopback) -> None:
    """Of the cells that follow, of di.ask, and of the request that is only shown."""
    run("%chat set logprobs=3")
    run("%%chat\nhi")
    assert server.chats[0].json["top_logprobs"] == 3
    assert '"top_logprobs": 3' in run("%%chat --dry-run\nhi").text
    assert '"top_logprobs":3' in run("%chat show --curl").text.replace(": ", ":")
    run("import di_magics as di; di.ask('hi', logprobs=7)")
    assert server.chats[1].json["top_logprobs"] == 7


@pytest.mark.parametrize("most", [21, 10_001])
def test_more_alternatives_than_servers_send_are_refused(
    run: Run, server: Loopback, most: int
) -> None:
    """In one line, before anything is sent."""
    error = run(f"%%chat --logprobs {most}\nhi").error
    assert isinstance(error, ParamError)
    assert str(most) in str(error)
    assert not server.chats


def test_the_service_tier_that_was_charged_is_in_the_receipt(run: Run, server: Loopback) -> None:
    """Not a second time where it is the one that was asked for."""
    tier = event({"choices": [], "service_tier": "flex"})
    server.reply(Reply(chunks=["Hi", tier]), Reply(chunks=["Hi", tier]))
    assert " · service tier flex · " in run("%%chat\nhi").text
    shown = run("""%%chat --extra 'service_tier="flex"'\nhi""").text
    assert "service_tier=flex" in shown
    assert "service tier" not in shown
