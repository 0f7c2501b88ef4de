"""Other fields of a request, from a cell to the wire and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loopback import Loopback
from shell import Run

import di_magics as di


def test_an_extra_is_sent_as_it_is_and_is_on_the_receipt(run: Run, server: Loopback) -> None:
    """And in the request that is shown; only for its cell."""
    cell = """%%chat --extra chat_template_kwargs={"enable_thinking":false} --extra top_a=0.1\nhi"""
    ran = run(cell)
    sent = server.chats[0].json
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert sent["top_a"] == 0.1
    assert 'chat_template_kwargs={"enable_thinking": false}' in ran.text
    assert "top_a=0.1" in ran.text
    assert '"top_a": 0.1' in run("%chat show --request").text
    assert "top_a" in run("%chat show --curl").text
    run("%%chat\nhi")
    assert "top_a" not in server.chats[1].json


def test_an_extra_may_be_set_for_the_next_cells(run: Run, server: Loopback) -> None:
    """A cell's own comes first; `unset all` removes them."""
    assert "service_tier=flex" in run('%chat set extra.service_tier="flex" temperature=0').text
    run("%%chat\na")
    run("""%%chat --extra 'service_tier="priority"'\nb""")
    run("%chat unset extra.service_tier")
    run("%%chat\nc")
    run("%chat set extra.x=1")
    assert "x=1" in run("%chat").text
    run("%chat unset all")
    run("%%chat\nd")
    assert [request.json.get("service_tier") for request in server.chats] == [
        "flex",
        "priority",
        None,
        None,
    ]
    assert "x" not in server.chats[3].json


def test_python_sends_extras_as_well(run: Run, server: Loopback) -> None:
    """From `di.ask` and `di.sweep`, and by `%config`."""
    di.ask("hi", extra={"x": [1]})
    di.sweep("hi", vary={"seed": [1, 2]}, extra={"x": [2]})
    run("%config ChatMagics.extra = {'x': 3}")
    di.ask("hi")
    assert [request.json["x"] for request in server.chats] == [[1], [2], [2], 3]
    with pytest.raises(di.ParamError, match="JSON"):
        di.ask("hi", extra={"x": {1}})


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ('--extra model="x"', "Use -m MODEL"),
        ("--extra messages=[]", "below the %%chat line"),
        ("--extra n=3", "Use -n N"),
        ("--extra max_completion_tokens=9", "Use --max-tokens N"),
        ("-t 0 --extra temperature=1", "set already"),
        ("-f json --extra response_format={}", "set already"),
        ("--extra x=flex", "is not JSON"),
        ("--extra x", "is not NAME=JSON"),
    ],
)
def test_extra_cannot_replace_a_set_field(
    run: Run, server: Loopback, flags: str, problem: str
) -> None:
    """Nothing is sent."""
    error = run(f"%%chat {flags}\nhi").error
    assert isinstance(error, di.ParamError)
    assert problem in str(error)
    assert server.chats == []


def test_a_repeat_and_a_saved_conversation_keep_the_extras(
    run: Run, server: Loopback, tmp_path: Path
) -> None:
    """As they keep the parameters; what an extra cannot have is not read from a file."""
    run("%%chat --extra x=1\nhi")
    run("%chat repeat 2")
    assert [request.json["x"] for request in server.chats] == [1, 1, 1]
    path = tmp_path / "chat.json"
    run(f"%chat save {path}")
    saved = json.loads(path.read_text())
    text = json.dumps(saved).replace('"extra": {"x": 1}', '"extra": {"x": 1, "model": "evil"}')
    assert "evil" in text
    path.write_text(text)
    run(f"%chat load {path}")
    shown = run("%chat show --request").text
    assert '"x": 1' in shown
    assert "evil" not in shown


def test_a_policy_rules_over_extras(
    run: Run, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is locked is sent and shown; what it refuses is said when it is set."""
    policy = tmp_path / "class.toml"
    policy.write_text('extra = ["top_a"]\n[parameters]\n"extra.service_tier" = "flex"\n')
    monkeypatch.setenv("DI_MAGICS_POLICY", str(policy))
    run("%reload_ext di_magics")
    assert "service_tier=flex" in run("%%chat --extra top_a=1\nhi").text
    assert server.chats[0].json["service_tier"] == "flex"
    assert isinstance(run("%%chat --extra other=1\nhi").error, di.PolicyError)
    assert "Warning: The extra other is not allowed here" in run("%chat set extra.other=1").text


def test_the_panels_cell_has_the_extras(run: Run, server: Loopback) -> None:
    """Copied and run again, it sends the same."""
    from di_magics.core.request.export import as_magic
    from di_magics.core.settings.settings import Settings

    settings = Settings().with_value("extra.x", '{"a": "b c"}').with_value("extra.y", '"it"')
    cell, left_out = as_magic(settings, "hi")
    assert left_out == []
    run(cell)
    assert (server.chats[0].json["x"], server.chats[0].json["y"]) == ({"a": "b c"}, "it")
