"""A policy's file: what it sets, limits and logs, in a real shell with a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Loopback, Reply
from shell import Run

import di_magics as di


@pytest.fixture
def teach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Write a teacher's policy."""
    monkeypatch.setenv("DI_MAGICS_POLICY", str(tmp_path / "class.toml"))
    (tmp_path / "class.toml").write_text("")

    def write(rules: str) -> None:
        (tmp_path / "class.toml").write_text(rules)

    return write


def test_a_policy_is_checked_after_all_settings(
    teach: Callable[[str], None], priced: Run, server: Loopback
) -> None:
    """What is set before or by a flag is refused, and nothing is sent."""
    teach("models = ['a-model']\n[parameters]\ntemperature = 0.5\nmax_tokens = {max = 50}")
    assert isinstance(priced("%%chat -t 1\nhi").error, di.PolicyError)
    assert isinstance(priced("%%chat -m other\nhi").error, di.PolicyError)
    assert isinstance(priced("%%chat --max-tokens 51\nhi").error, di.PolicyError)
    assert server.chats == []
    priced("%%chat\nhi")
    sent: dict[str, Any] = server.chats[0].json
    assert (sent["temperature"], sent["max_tokens"]) == (0.5, 50)
    assert "class.toml" in priced("%chat").text
    assert "other" not in priced("%chat models").text


def test_a_policys_budget_is_for_all_notebooks(
    teach: Callable[[str], None], priced: Run, shell: InteractiveShell, server: Loopback
) -> None:
    """A console is a new notebook each time; what was spent under the file stays with the file."""
    teach("budget = 0.07\nbudget_per_notebook = 0.05")
    server.reply(*[Reply("yes", usage={"prompt_tokens": 1, "completion_tokens": 15_000})] * 3)
    for left in ("$0.070", "$0.040"):
        assert f"{left} of $0.070 left in all notebooks (set by " in priced("%chat budget").text
        assert priced("%%chat --max-tokens 9\nhi").error is None
        error = priced("%%chat\nhi").error
        assert isinstance(error, di.BudgetError)
        assert "class.toml" in str(error)
        shell.run_line_magic("reload_ext", "di_magics")
    teach("budget = 0.071\nbudget_per_notebook = 0.05")
    status = priced("%chat").text
    assert "$0.011 of $0.071 left in all notebooks" in status
    assert "$0.050 of $0.050 left" in status
    assert len(server.chats) == 2
    assert isinstance(priced("%%chat\nhi").error, di.BudgetError)
    with pytest.raises(di.BudgetError):
        di.sweep("hi", vary={"seed": [1, 2]}, yes=True)
    assert len(server.chats) == 2


@pytest.mark.parametrize("rule", ["budget = 9", "budget_per_notebook = 9"])
def test_yes_is_no_consent_under_a_policys_budget(
    teach: Callable[[str], None], run: Run, server: Loopback, rule: str
) -> None:
    """Where the price is not known, also with a smaller budget of the user's own."""
    teach(rule)
    for command in ("%chat", "%chat budget 0.01"):
        run(command)
        error = run("%%chat --yes\nhi").error
        assert isinstance(error, di.BudgetError)
        assert "not known" in str(error)
        with pytest.raises(di.BudgetError):
            di.sweep("hi", vary={"seed": [1, 2]}, yes=True)
    assert not server.chats


def test_a_policys_system_prompt_is_shown_and_stays(
    teach: Callable[[str], None], run: Run, server: Loopback, tmp_path: Path
) -> None:
    """It is sent and named in the receipt, the user's own takes its place, none travels."""
    teach("system = 'A teacher wrote this.'")
    shown = run("%%chat\nhi").text
    assert "system prompt of" in shown
    assert server.chats[0].json["messages"][0]["content"] == "A teacher wrote this."
    run("%%chat -s mine\nhi")
    assert server.chats[1].json["messages"][0]["content"] == "mine"
    run(f"%chat save {tmp_path / 'chat.json'}")
    assert "A teacher wrote this." not in (tmp_path / "chat.json").read_text()
    assert "mine" in (tmp_path / "chat.json").read_text()


def test_a_policys_key_goes_to_its_endpoint_alone(
    teach: Callable[[str], None],
    run: Run,
    server: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another endpoint is refused; without one in the policy the key is for DeepInfra."""
    (tmp_path / "key").write_text("the-class-key")
    teach(f"key_file = '{tmp_path}/key'")
    run("%%chat\nhi")
    assert "authorization" not in server.chats[0].headers
    teach(f"endpoint = '{server.url}'\nkey_file = '{tmp_path}/key'")
    run("%%chat\nhi")
    assert server.chats[1].headers["authorization"] == "Bearer the-class-key"
    assert isinstance(run("%%chat --endpoint local\nhi").error, di.PolicyError)
    with pytest.raises(di.PolicyError):
        di.ask("hi", endpoint=di.Endpoint("http://127.0.0.1:9/v1"))


def test_a_policy_may_copy_turns_for_the_teacher(
    teach: Callable[[str], None], run: Run, server: Loopback, tmp_path: Path
) -> None:
    """The receipt says so; where that cannot be, nothing is sent."""
    teach(f"log = '{tmp_path}/logs'")
    assert "kept for your teacher" in run("%%chat\nhi").text
    assert "for your teacher" in run("%chat").text
    (log,) = (tmp_path / "logs").iterdir()
    assert json.loads(log.read_text())["prompt"] == "hi"
    (tmp_path / "file").touch()
    teach(f"log = '{tmp_path}/file'")
    assert isinstance(run("%%chat\nhi").error, di.PolicyError)
    assert len(server.chats) == 1


def test_what_a_policy_does_is_shown_before_asking(
    teach: Callable[[str], None], run: Run, server: Loopback
) -> None:
    """Status and parameters say what will be sent; what will be refused is said when it is set."""
    teach("models = ['a-*']\n[parameters]\ntemperature = 0.5\nmax_tokens = {max = 50}")
    assert "temperature=0.5 max_tokens=50" in run("%chat").text
    assert "0.5 (policy)" in run("%chat params").text
    assert "temperature=1 is not allowed here" in run("%chat set temperature=1").text
    run("%chat unset temperature")
    assert "The model b is not allowed here" in run("%chat model b").text
    teach("endpoint = 'school'")
    error = run("%%chat\nhi").error
    assert isinstance(error, di.PolicyError)
    assert "class.toml is wrong" in str(error)


def test_a_cell_cannot_take_the_policy_away(
    teach: Callable[[str], None], run: Run, server: Loopback
) -> None:
    """Which file holds was settled when the extension was loaded."""
    teach("[parameters]\ntemperature = 0.5")
    run("import os; os.environ.pop('DI_MAGICS_POLICY')")
    run("%%chat\nhi")
    assert server.chats[0].json["temperature"] == 0.5


def test_a_broken_policy_sends_nothing(
    teach: Callable[[str], None], run: Run, server: Loopback
) -> None:
    """One line, and no request."""
    teach("models = [")
    assert isinstance(run("%%chat\nhi").error, di.PolicyError)
    assert server.chats == []
