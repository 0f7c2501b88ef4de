"""The ledger: what every request has cost, and may yet cost."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import BudgetError
from di_magics.core.money.budget import Budget, Committed
from di_magics.core.money.tally import Entry
from di_magics.core.reply.reply import UNCOUNTED, Reply, Usage
from di_magics.storage import ledger as keeping
from di_magics.storage.database import Database
from di_magics.storage.journal import Journal
from di_magics.storage.ledger import Ledger
from di_magics.storage.turns import Turns

ENTRY = Entry(
    "t",
    "n",
    "main",
    "asked",
    "e",
    1_800_000_000.0,
    "",
    "open",
    UNCOUNTED,
    cost=Decimal("0.001"),
    estimate="the prompt alone",
    reserve=Decimal("0.05"),
)


def begin(store: Database, name: str, limit: str | None = None, **changes: object) -> None:
    """Enter a request."""
    entry = replace(ENTRY, turn=name, **changes)  # type: ignore[arg-type]
    usd = None if limit is None else Decimal(limit)
    policies = {file: usd for file in entry.policies if usd is not None}
    budget = Budget(policies=policies) if policies else Budget(notebook=usd)
    Journal(store).begin(Turn(name, "hi"), entry, budget, is_turn=False).result()


def test_an_entry_comes_back(store: Database) -> None:
    """With the local date, and as in flight until it is sealed."""
    begin(store, "t", begun=9e9)
    (found,) = Ledger(store, "n").entries()
    assert replace(found, day="") == replace(ENTRY, begun=9e9)
    assert found.day.startswith("2255-")


def test_a_sealed_entry_has_what_was_paid(store: Database) -> None:
    """Tokens, cost and the model that answered take the place of what was reserved."""
    begin(store, "t", begun=9e9)
    reply = Reply(status="done", model="b", usage=Usage(1, 2, 3, 4, 5), cost=Decimal("1E-7"))
    Journal(store).seal("t", reply).result()
    (result,) = Ledger(store, "n").entries()
    assert (result.model, result.status, result.cost, result.reserve) == (
        "b",
        "done",
        reply.cost,
        None,
    )
    assert result.usage == Usage(1, 2, None, 4, 5)
    assert result.estimate == ""


def test_an_abandoned_entry_is_cut(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reserve no longer counts; the cost of the partial reply does."""
    begin(store, "t", begun=9e9)
    monkeypatch.setattr(keeping, "is_process_running", lambda process: False)
    (found,) = Ledger(store, "n").entries()
    assert (found.status, found.cost, found.reserve) == ("cut", ENTRY.cost, None)


def test_entries_can_be_of_one_notebook_or_of_some_time(store: Database) -> None:
    """Of all, of one, or since a moment."""
    begin(store, "a", notebook="other", begun=1.0)
    begin(store, "b", begun=2.0)
    begin(store, "c", begun=3.0)
    ledger = Ledger(store, "n")
    result = [
        [entry.turn for entry in entries]
        for entries in (
            ledger.entries(everywhere=True),
            ledger.entries(),
            ledger.entries(since=3.0),
        )
    ]
    assert result == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_a_limit_holds_for_what_is_in_flight_too(store: Database) -> None:
    """The second request does not fit beside the first, which has not ended yet."""
    begin(store, "a", "0.09", begun=9e9)
    with pytest.raises(BudgetError) as refused:
        begin(store, "b", "0.09", begun=9e9)
    assert refused.value.left == Decimal("0.04")
    assert len(Ledger(store, "n").entries()) == 1
    Journal(store).seal("a", Reply(status="done", cost=Decimal("0.01"))).result()
    begin(store, "b", "0.09", begun=9e9)


def test_a_policys_file_has_one_budget_for_all_notebooks(store: Database) -> None:
    """Each fresh kernel has a notebook of its own; what was spent under the file stays."""
    paid = Reply(status="done", cost=Decimal("0.04"))
    for number in range(2):
        begin(store, f"t{number}", "0.09", notebook=f"n{number}", policies=("p", "other"))
        Journal(store).seal(f"t{number}", paid).result()
    with pytest.raises(BudgetError) as refused:
        begin(store, "t2", "0.09", notebook="n2", policies=("p",))
    assert refused.value.left == Decimal("0.01")
    begin(store, "t3", "0.09", notebook="n2", policies=("q",))
    Turns(store, "n0").forget_all()
    committed = Ledger(store, "n2").committed(["p", "q", "unused"])
    spent = {"p": Decimal("0.08"), "q": Decimal("0.05"), "unused": Decimal(0)}
    assert committed == Committed(Decimal("0.05"), spent)


def test_sums_have_no_upper_limit(store: Database) -> None:
    """A server may say any cost; a total above a million is not forgotten."""
    for number in range(3):
        begin(store, f"t{number}", policies=("p",))
        Journal(store).seal(f"t{number}", Reply(status="done", cost=Decimal(999_999))).result()
    total = Decimal(3 * 999_999)
    assert Ledger(store, "n").committed(["p"]) == Committed(total, {"p": total})


IN_FLIGHT = """
import sys, time
from pathlib import Path
from decimal import Decimal
from di_magics.core.conversation.turn import Turn
from di_magics.core.money.budget import Budget
from di_magics.core.money.tally import Entry
from di_magics.core.reply.reply import UNCOUNTED
from di_magics.storage.database import Database
from di_magics.storage.journal import Journal

name, reserve = sys.argv[2:]
entry = Entry(
    name, name, "", "m", "e", 1.0, "", "open", UNCOUNTED, reserve=Decimal(reserve), policies=("p",)
)
budget = Budget(policies={"p": Decimal("0.09")})
Journal(Database(Path(sys.argv[1]))).begin(Turn(name, "hi"), entry, budget, is_turn=True).result()
print("sent", flush=True)
time.sleep(100)
"""


def start_kernel(folder: Path, name: str, reserve: str) -> subprocess.Popen[str]:
    """Start another process that has sent a request long ago, and waits for the reply."""
    return subprocess.Popen(
        [sys.executable, "-c", IN_FLIGHT, str(folder), name, reserve],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_reserve_ends_with_its_process_and_not_with_a_clock(tmp_path: Path) -> None:
    """A kernel that stands still keeps it for hours; one that was killed does not."""
    store = Database(tmp_path)
    with start_kernel(tmp_path, "other", "0.05") as kernel:
        assert kernel.stdout
        assert kernel.stdout.readline() == "sent\n"
        kernel.send_signal(signal.SIGSTOP)
        with pytest.raises(BudgetError):
            begin(store, "t", "0.09", policies=("p",))
        assert Turns(store, "other").load().turns["other"].reply.status == "open"
        kernel.kill()
    assert Turns(store, "other").load().turns["other"].reply.status == "cut"
    begin(store, "t", "0.09", policies=("p",))
    store.close()


def test_two_processes_at_once_cannot_both_spend_what_is_left(tmp_path: Path) -> None:
    """Of six kernels that ask at the same moment one is allowed."""
    kernels = [start_kernel(tmp_path, f"n{number}", "0.05") for number in range(6)]
    sent = refused = 0
    for kernel in kernels:
        assert kernel.stdout
        assert kernel.stderr
        if kernel.stdout.readline():
            sent += 1
        else:
            refused += "BudgetError" in kernel.stderr.read()
    for kernel in kernels:
        kernel.kill()
        kernel.communicate()
    assert (sent, refused) == (1, 5)


def test_a_process_on_another_machine_is_believed_for_ten_minutes(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be seen, and writes a checkpoint every second."""
    monkeypatch.setattr(keeping, "name_process", lambda: "elsewhere 7 8")
    for name, minutes in (("new", 9), ("old", 11)):
        begin(store, name, notebook=name, begun=time.time() - 60 * minutes)
        reserve = Ledger(store, name).entries()[0].reserve
        assert reserve == (ENTRY.reserve if name == "new" else None)


def test_other_notebooks_do_not_count(store: Database) -> None:
    """A budget is a notebook's own."""
    begin(store, "a", notebook="other", begun=9e9)
    begin(store, "b", "0.06", begun=9e9)


def test_a_budget_is_kept(store: Database) -> None:
    """Exactly, until it is removed."""
    ledger = Ledger(store, "n")
    assert ledger.budget is None
    ledger.budget = Decimal("0.10")
    assert ledger.budget == Decimal("0.10")
    ledger.budget = None
    assert ledger.budget is None


@pytest.mark.parametrize("policies", ["[" * 3000, "{}", "null", "", "[1, null, {}]", "no JSON"])
def test_an_entry_whose_policies_are_damaged_is_of_none(store: Database, policies: str) -> None:
    """The other entries, and sealing it, are not affected."""
    begin(store, "t", begun=9e9)
    store.write(lambda db: db.execute("UPDATE ledger SET policies = ?", [policies])).result()
    ledger = Ledger(store, "n")
    assert [entry.policies for entry in ledger.entries(everywhere=True)] == [()]
    assert ledger.committed(["a policy"]).policies == {"a policy": 0}
    Journal(store).seal("t", Reply(status="done", cost=Decimal(1))).result()
    assert ledger.committed([]).notebook == 1
