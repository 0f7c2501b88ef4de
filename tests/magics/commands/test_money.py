"""Costs, budgets and prices, in a real shell with a real server."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from loopback import Fault, Loopback, Reply
from priced import UNCOUNTED
from shell import Run

import di_magics as di


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


@pytest.mark.parametrize("listed", [None, []])
def test_an_empty_list_of_models_is_named_as_one(
    run: Run, server: Loopback, listed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no model is set, and as Ollama sends it: null. It is not the built-in model."""
    answer = server.answer
    empty = Fault(200, {"object": "list", "data": listed})
    monkeypatch.setattr(server, "answer", lambda r: empty if r.method == "GET" else answer(r))
    said = f"{server.origin.removeprefix('http://')} lists no model that may be used. Name one:"
    assert said in run("%chat models").text
    monkeypatch.delenv("DI_MAGICS_MODEL")
    ran = run("%chat models")
    assert (said in ran.text, ran.error) == (True, None)


# Tests display/tables.
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


DAMAGES = {
    "state": [
        "",
        "{",
        "[]",
        "3",
        '{"heads":[1],"showing":5}',
        '{"heads":{"main":3},"showing":[[1]]}',
        '{"showing":[["a",1,[]]],"ahead":[],"name":{}}',
        "[" * 100_000,
    ],
    "budget": ["x", "", "NaN", "-1", "Infinity", "1e999999"],
    "spent": ["x", "", "NaN", "-1", "Infinity", "1e999999"],
    "path": ["", "\0", "x" * 10_000],
    "file": ["", "[]"],
    "kernel": ["", "../../x"],
}


@pytest.mark.parametrize(
    ("column", "value"), [(column, value) for column in DAMAGES for value in DAMAGES[column]]
)
def test_a_damaged_row_of_a_notebook_is_one_line(
    run: Run, server: Loopback, tmp_path: Path, column: str, value: str
) -> None:
    """In every command that reads it; and the next turn is asked, or refused in one line."""
    run("%%chat\nhi")
    with closing(sqlite3.connect(tmp_path / "home" / "conversations.sqlite3")) as db, db:
        db.execute(f"UPDATE notebooks SET {column} = ?", [value])
    run("%unload_ext di_magics\n%load_ext di_magics")
    cells = [
        "%chat",
        "%chat cost --all",
        "%chat budget",
        "%chat history",
        "%chat list",
        "%chat undo",
    ]
    for cell in [*cells, "%%chat\nmore", "%chat budget 1", "%chat new x", "%chat use main"]:
        ran = run(cell)
        assert ran.error is None or isinstance(ran.error, di.DiMagicsError), (cell, ran.error)
        assert "has no attribute" not in ran.text
        assert "object is not" not in ran.text
