"""What the receipt says is what was on the wire, for every parameter at its ends."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from loopback import Loopback
from shell import Run

from di_magics.core.settings.params import PARAMS, Param, validate


def values(param: Param) -> list[str]:
    """Return a parameter's ends, 0 and its default, as far as they are in its range."""
    if param.low is None or param.high is None:
        return list(param.choices) or ["auto", "x y", "0"]
    step = Decimal(str(param.step)) if param.kind is float else Decimal(1)
    low = Decimal(str(param.low)) + (step if param.low_open else 0)
    high = Decimal(str(param.high)) - (step if param.high_open else 0)
    found = {low, high}
    default = re.match(r"-?[\d.]+", param.default)
    for value in (Decimal(0), Decimal(default[0]) if default else low):
        if low <= value <= high:
            found.add(value)
    return [f"{value.normalize():f}" for value in sorted(found)]


CASES = [(name, value) for name, param in PARAMS.items() for value in values(param)]


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
    chosen = {name: values(param)[0] for name, param in PARAMS.items()}
    pairs = " ".join(f"{name}={value!r}" for name, value in chosen.items())
    assert run(f"%chat set {pairs}").error is None
    shown = run("%%chat\nhi").text
    sent = server.chats[0].json
    line = shown.splitlines()[-1].split(" · ")[1]
    assert [word.partition("=")[0] for word in re.findall(r"(?:^| )(\w+=)", line)] == list(PARAMS)
    for name in PARAMS:
        assert f"{name}={json.dumps(sent[name])}" in line or f"{name}={sent[name]}" in line
