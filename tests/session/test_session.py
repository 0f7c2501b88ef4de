"""Whatever a server, a disk, a view or a file does: the turn, its text and its cost are kept."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import USAGE, Fault, Hold, Loopback, Raw, Reply, Request
from shell import Run

import di_magics as di
from di_magics.core.request.ask import Ask
from di_magics.magics.compose import new_session
from di_magics.session.session import Session


@pytest.fixture
def session(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session without a shell, which asks the loopback server."""
    monkeypatch.setenv("DI_MAGICS_BASE_URL", server.url)
    monkeypatch.setenv("DI_MAGICS_MODEL", "a-model")
    session = new_session()
    yield session
    session.close()


class Faulty:
    """A view that raises in the methods named."""

    seen = True

    def __init__(self, *faulty: str) -> None:
        self._faulty = faulty

    def _do(self, name: str) -> None:
        if name in self._faulty:
            raise OSError(f"{name} failed")

    def open(self, stop: Callable[[], None]) -> None:
        """Open."""
        self._do("open")

    def status(self, line: str) -> None:
        """Show a line."""
        self._do("status")

    def show(self, reply: di.Reply) -> None:
        """Show what has come."""
        self._do("show")

    def close(self, turn: Any, notes: list[str]) -> None:
        """Show the whole."""
        self._do("close")


@pytest.mark.parametrize(
    "usage",
    [
        {"estimated_cost": "9" * 5000},
        {"estimated_cost": "1e308"},
        {"estimated_cost": "NaN"},
        {"estimated_cost": -1},
        {"estimated_cost": True},
        {"prompt_tokens": 10**300, "completion_tokens": 2**63},
        {"prompt_tokens": -1, "completion_tokens": "5"},
        {"prompt_tokens_details": [], "completion_tokens_details": "x"},
    ],
    ids=lambda usage: str(usage)[:40],
)
def test_implausible_numbers_count_as_missing(
    run: Run, server: Loopback, usage: dict[str, Any]
) -> None:
    """The reply is kept, what is known is summed, and the next cell works."""
    server.reply(Reply("one", usage={**USAGE, **usage}), Reply("two"))
    for prompt in ("first", "second"):
        assert run(f"%%chat\n{prompt}").error is None
    assert len(server.chats[1].json["messages"]) == 3
    assert run("%chat cost").error is None
    assert run("%chat budget 1").error is None


def test_a_model_name_with_invalid_characters_is_kept(run: Run, server: Loopback) -> None:
    """Half a surrogate pair in a server's answer stops neither the ledger nor the receipt."""
    choice = {"index": 0, "delta": {"content": "one"}, "finish_reason": "stop"}
    said = json.dumps({"model": "m\ud800", "choices": [choice], "usage": USAGE})
    server.reply(Raw([f"data: {said}\n\ndata: [DONE]\n\n".encode()]))
    assert run("%%chat\nhi").error is None
    assert "m\ufffd" in run("%chat cost").text


def test_the_users_decimal_context_does_not_matter(run: Run, server: Loopback) -> None:
    """A cell above may have set one of two digits that traps."""
    run("import decimal; decimal.setcontext(decimal.Context(prec=1, traps=[decimal.Inexact]))")
    try:
        for _ in range(3):
            assert "$0.0000015" in run("%%chat\nhi").text
        assert "$0.0000045" in run("%chat cost").text
        assert "$0.010 of $0.010 left" in run("%chat budget 0.01").text
    finally:
        run("decimal.setcontext(decimal.DefaultContext)")


# Tests session/view.
@pytest.mark.parametrize("method", ["status", "show", "close"])
def test_a_turn_is_kept_when_its_view_fails(
    session: Session, server: Loopback, method: str
) -> None:
    """The exchange goes to its end, the reply is in the conversation, and the error is shown."""
    server.reply(Reply("one"))
    with pytest.raises(OSError, match=method):
        session.ask(Ask("hi"), Faulty(method)).unwrap()
    (turn,) = session.conversation.path()
    assert (turn.reply.text, turn.reply.status) == ("one", "done")
    assert [entry.cost for entry in session.notebook.ledger.entries()] == [turn.reply.cost]


def test_a_view_that_cannot_open_stops_its_request(session: Session, server: Loopback) -> None:
    """The error is shown, and the turn is written down with its outcome."""
    with pytest.raises(OSError, match="open failed"):
        session.ask(Ask("hi"), Faulty("open")).unwrap()
    (turn,) = session.conversation.turns.values()
    assert turn.reply.status in ("stopped", "done")


def test_stopped_before_sending_costs_nothing(
    session: Session, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt while the turn is being written down: nothing is sent."""
    begin = session.journal.begin

    def pressed(*args: Any, **kwargs: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return begin(*args, **kwargs)

    monkeypatch.setattr(session.journal, "begin", pressed)
    with pytest.raises(di.Interrupted):
        session.ask(Ask("hi"), Faulty()).unwrap()
    assert server.requests == []
    (entry,) = session.notebook.ledger.entries()
    assert (entry.status, entry.cost) == ("stopped", Decimal(0))


def test_an_outcome_that_could_not_be_written_is_written_later(
    run: Run, server: Loopback, tmp_path: Path
) -> None:
    """A full disk says so in one line; with the next turn both are there."""
    server.reply(Reply("one"), Reply("two"), Reply("three"))
    run("%%chat\nfirst")
    (path,) = (tmp_path / "home").glob("*.sqlite3")
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON turns BEGIN SELECT RAISE(FAIL, 'disk full'); END"
        )
    db.close()
    assert "disk full" in str(run("%%chat\nsecond").error)
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER full")
    db.close()
    assert run("%%chat\nthird").error is None
    with sqlite3.connect(path) as db:
        kept = db.execute("SELECT reply, sealed FROM turns ORDER BY begun").fetchall()
        (unsealed,) = db.execute("SELECT count(*) FROM ledger WHERE NOT sealed").fetchone()
    db.close()
    assert kept == [("one", 1), ("two", 1), ("three", 1)]
    assert unsealed == 0


def test_a_reply_is_kept_when_the_policy_breaks_in_mid_stream(
    run: Run, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules under which a turn was sent hold to its end, the teacher's log with them."""
    policy = tmp_path / "class.toml"
    policy.write_text(f"log = '{tmp_path}/logs'")
    monkeypatch.setenv("DI_MAGICS_POLICY", str(policy))
    run("%reload_ext di_magics")

    def breaks(request: Request) -> Reply:
        policy.write_text("models = [")
        return Reply("one")

    server.default = breaks
    ran = run("%%chat\nhi")
    assert ran.error is None
    assert "one" in ran.text
    (log,) = (tmp_path / "logs").iterdir()
    assert json.loads(log.read_text())["reply"] == "one"


def test_a_refused_new_conversation_changes_nothing(
    run: Run, shell: InteractiveShell, server: Loopback
) -> None:
    """`--new` that a budget refuses leaves the old conversation where it was."""
    run("%%chat\nfirst")
    run("%chat budget 0.0000001")
    assert isinstance(run("%%chat --new\nsecond").error, di.BudgetError)
    run("%chat budget none")
    run("%%chat\nthird")
    assert len(server.chats[-1].json["messages"]) == 3
    assert len(shell.magics_manager.registry["ChatMagics"].session.conversation.heads) == 1


def test_a_key_that_the_server_repeats_is_not_shown(
    run: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the line nor in what is kept."""
    monkeypatch.setenv("DI_MAGICS_API_KEY", "sk-very-secret")
    said = {"error": {"message": "Bearer sk-very-secret is not known"}}
    server.reply(Fault(401, said), Fault(500, said), Fault(500, said), Fault(500, said))
    error = run("%%chat\nhi").error
    assert isinstance(error, di.Refused)
    assert "is not known" in str(error)
    assert "sk-very-secret" not in str(error)


@pytest.mark.parametrize("what", ["model", "price"])
def test_an_interrupt_while_something_is_looked_up_sends_nothing(
    run: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The list that has it is not waited for."""
    hold = Hold()
    monkeypatch.setattr(server, "answer", lambda request: Fault(200, b"[]", before=[hold]))
    if what == "model":
        run(f"%config ChatMagics.endpoints = {{'ollama': '{server.url}'}}")

    def press() -> None:
        hold.reached.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press)
    pressing.start()
    cell = "--endpoint ollama" if what == "model" else "--budget 0.1"
    error = run(f"%%chat {cell}\nhi").error
    pressing.join()
    hold.release()
    assert isinstance(error, di.Interrupted)
    assert "before anything was sent" in str(error)
    assert server.chats == []
