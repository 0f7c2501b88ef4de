"""Costs, budget, prices and policy, in a real shell with a real server."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Fault, Hold, Loopback, Reply, Request
from shell import Run

import di_magics as di

PRICED = {
    "id": "a-model",
    "object": "model",
    "metadata": {
        "context_length": 8192,
        "pricing": {"input_tokens": 1, "output_tokens": 2},
        "tags": ["chat"],
    },
}
UNCOUNTED = Reply("yes", usage=None)


@pytest.fixture
def priced(run: Run, server: Loopback) -> Run:
    """Runs cells where the server's own list has the price of the model."""
    embedder = {"id": "embedder", "metadata": {"tags": ["embed"]}}
    server.models = [PRICED, {**PRICED, "id": "other"}, embedder]
    run("%chat models")
    return run


def test_models_are_listed_with_their_prices(priced: Run, server: Loopback) -> None:
    """From the endpoint's own list, asked once a day; a filter picks."""
    shown = priced("%chat models").text
    assert "8,192" in shown
    assert "1.00" in shown
    assert "embedder" not in shown
    assert "own list of 20" in shown
    assert "other" not in priced("%chat models MODEL").text
    assert isinstance(priced("%chat models nothing").error, di.ParamError)
    listed = [request for request in server.requests if request.method == "GET"]
    assert [request.path for request in listed] == ["/v1/models?filter=with_meta"]


def test_an_endpoint_without_a_model_list_is_an_error(run: Run, server: Loopback) -> None:
    """An endpoint that has none, and no list from before."""
    server.models = []
    server.key = "another"
    assert isinstance(run("%chat models").error, di.Refused)


def test_the_apis_own_cost_comes_first(priced: Run, server: Loopback) -> None:
    """No estimate where the server says what it cost."""
    shown = priced("%%chat\nhi").text
    assert "$0.0000015 ·" in shown
    assert "estimate" not in shown


def test_without_the_apis_cost_an_estimate_is_marked_as_one(priced: Run, server: Loopback) -> None:
    """Tokens times price, with the price's date and source."""
    server.reply(Reply("yes", usage={"prompt_tokens": 100, "completion_tokens": 10}))
    shown = priced("%%chat\nhi").text
    assert "about $0.00012 · cost estimated: price of 20" in shown
    assert "own list · " in shown
    assert "(an estimate)" in priced("%chat cost").text


def test_the_first_reply_of_the_day_is_estimated(run: Run, server: Loopback) -> None:
    """The endpoint's list is fetched for it: in the receipt, the ledger and `%chat cost`."""
    server.models = [{**PRICED, "id": "a-model"}]
    server.default = Reply("yes", usage={"prompt_tokens": 100, "completion_tokens": 10})
    for _ in range(2):
        assert "about $0.00012 · cost estimated: price of 20" in run("%%chat\nhi").text
    assert "(an estimate)" in run("%chat cost").text
    assert di.ask("hi").cost_is_estimate
    assert len([request for request in server.requests if request.method == "GET"]) == 1


def test_the_end_of_a_reply_does_not_wait_long_for_a_price(
    run: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that does not arrive in time helps the next reply."""
    monkeypatch.setattr("di_magics.session.model_list.PRICE_SECONDS", 0.05)
    server.default = Reply("yes", usage={"prompt_tokens": 100, "completion_tokens": 10})
    hold = Hold()
    server.models = [{**PRICED, "id": "a-model"}]
    answer = server.answer

    def slow(request: Request) -> Any:
        found: Any = answer(request)
        return replace(found, before=[hold]) if request.method == "GET" else found

    monkeypatch.setattr(server, "answer", slow)
    assert "cost —" in run("%%chat\nhi").text
    hold.release()
    run("%chat models")
    assert "cost estimated" in run("%%chat\nhi").text


def test_without_a_price_no_cost_is_shown(run: Run, server: Loopback) -> None:
    """A dash, and never $0."""
    server.reply(UNCOUNTED)
    assert "cost —" in run("%%chat\nhi").text


def test_a_cut_reply_is_estimated(priced: Run, server: Loopback) -> None:
    """From the texts, and it says so."""
    server.reply(Reply("yes", usage=None, finish=None, done=False))
    assert "cost estimated: tokens counted from the texts" in priced("%%chat\nhi").text


def test_a_budget_refuses_before_sending(priced: Run, server: Loopback) -> None:
    """The worst case is the prompt and as many tokens as the server might write."""
    assert "$0.030 of $0.030 left" in priced("%chat budget 0.03").text
    error = priced("%%chat\nhi").error
    assert isinstance(error, di.BudgetError)
    assert "up to $0.033" in str(error)
    assert server.chats == []
    assert priced("%%chat --max-tokens 1000\nhi").error is None
    assert "1 turn" in priced("%chat").text
    assert "budget" in priced("%chat").text
    priced("%chat budget none")
    assert priced("%%chat\nhi").error is None
    assert "No budget" in priced("%chat budget").text


def test_a_budget_for_one_cell(priced: Run, server: Loopback) -> None:
    """`--budget` holds for what this cell may cost."""
    error = priced("%%chat --budget 0.001\nhi").error
    assert isinstance(error, di.BudgetError)
    assert "--budget 0.036" in str(error)
    assert priced("%%chat --budget $0.001 --max-tokens 10\nhi").error is None
    assert isinstance(priced("%%chat --budget much\nhi").error, di.ParamError)


def test_a_budget_in_the_environment_holds(priced: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook's own takes its place."""
    monkeypatch.setenv("DI_MAGICS_BUDGET", "0.01")
    assert isinstance(priced("%%chat\nhi").error, di.BudgetError)
    priced("%chat budget 1")
    assert priced("%%chat\nhi").error is None
    priced("%chat budget none")
    monkeypatch.setenv("DI_MAGICS_BUDGET", "lots")
    assert isinstance(priced("%%chat\nhi").error, di.ParamError)


def test_an_unknown_price_with_a_budget_asks_first(run: Run, server: Loopback) -> None:
    """`--yes` sends it all the same."""
    run("%chat budget 1")
    error = run("%%chat\nhi").error
    assert isinstance(error, di.BudgetError)
    assert "--yes" in str(error)
    assert server.chats == []
    assert run("%%chat --yes\nhi").error is None


def test_di_ask_counts_in_ledger_and_budget(priced: Run, server: Loopback) -> None:
    """It remembers nothing, and what it cost is there."""
    di.ask("hi")
    assert "(no memory)" in priced("%chat cost").text
    priced("%chat budget 0.01")
    with pytest.raises(di.BudgetError):
        di.ask("hi")
    assert di.ask("hi", max_tokens=5).cost == Decimal("0.0000015")


def test_costs_by_conversation_day_and_model(priced: Run, server: Loopback) -> None:
    """With a bar for each share, and a sum that counts every request once."""
    priced("%%chat\nhi")
    priced("%%chat -c other -m other\nhi")
    priced("%%chat --once\nhi")
    shown = priced("%chat cost").text
    for label in (
        "conversation main",
        "conversation other",
        "(no memory)",
        "model other",
        "day 20",
    ):
        assert label in shown
    assert shown.splitlines()[-1].split()[:3] == ["in", "all", "3"]
    assert "$0.0000045" in shown
    assert "█" in shown
    assert "notebook" in priced("%chat cost --all").text
    assert isinstance(priced("%chat cost --everything").error, di.ParamError)


def test_costs_as_csv(priced: Run, server: Loopback, tmp_path: Path) -> None:
    """A row for each request, with what nobody knows left empty."""
    server.reply(Reply("a"), Fault(400, {"error": "no"}))
    priced("%%chat\nhi")
    priced("%%chat\nhi")
    assert "2 requests" in priced(f"%chat cost --csv {tmp_path / 'costs.csv'}").text
    with (tmp_path / "costs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["cost_usd"] for row in rows] == ["0.0000015", ""]
    assert rows[0]["prompt_tokens"] == "10"
    assert isinstance(priced(f"%chat cost --csv {tmp_path}/no/x.csv").error, di.ChatError)
    assert "exists already" in str(priced(f"%chat cost --csv {tmp_path / 'costs.csv'}").error)
    assert "written" in priced(f"%chat cost --overwrite --csv {tmp_path / 'costs.csv'}").text


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
    """It is sent and named in the receipt, the reader's own takes its place, none travels."""
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


def test_a_price_is_looked_up_when_it_is_needed(run: Run, server: Loopback) -> None:
    """By a budget before sending, by a reply without a cost when it has ended; once a day."""
    server.models = [{**PRICED, "id": "a-model"}]
    server.reply(UNCOUNTED)
    assert "cost estimated: tokens counted from the texts" in run("%%chat\nhi").text
    assert run("%%chat --budget 1\nhi").error is None
    assert [request.method for request in server.requests] == ["POST", "GET", "POST"]


def test_a_broken_policy_sends_nothing(
    teach: Callable[[str], None], run: Run, server: Loopback
) -> None:
    """One line, and no request."""
    teach("models = [")
    assert isinstance(run("%%chat\nhi").error, di.PolicyError)
    assert server.chats == []
