"""Grids of replies in a real shell: sent side by side, kept, compared, plotted, adopted."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Fault, Hold, Loopback, Reply, Request
from shell import Run

import di_magics as di
from di_magics.display.plot import figure_output

GRID = "%%chat --vary temperature=0,0.7 --vary model=a,b -n 2\nName a fruit."


def echo(request: Request) -> Reply:
    """Answer with what was asked for."""
    sent = request.json
    return Reply(f"{sent['model']} at {sent.get('temperature')}")


@pytest.fixture
def sweep(shell: InteractiveShell, server: Loopback) -> Callable[[], Any]:
    """Return the last grid."""
    server.default = echo
    return lambda: shell.user_ns["_sweep"]


def test_a_grid_is_asked_and_shown(
    run: Run, server: Loopback, sweep: Callable[[], di.Sweep]
) -> None:
    """Every combination so many times; what all have in common is below them, once."""
    shown = run(GRID).text
    sent = sorted((c.json["temperature"], c.json["model"]) for c in server.chats)
    assert sent == [(t, m) for t in (0, 0.7) for m in ("a", "b") for _ in range(2)]
    assert "run 7: temperature=0.7 model=b #2\nb at 0.7\nfirst text" in shown
    assert shown.count("10 → 5 tokens · $0.0000015 · finished") == 1
    assert "8 runs · 80 → 40 tokens · $0.000012." in shown
    assert [record["text"] for record in sweep().records[:3]] == ["a at 0", "a at 0", "b at 0"]


def test_a_grid_stays_out_of_the_conversation(
    run: Run, server: Loopback, sweep: Callable[[], di.Sweep]
) -> None:
    """Its runs are sent with what stands above, and nothing of them is remembered."""
    run("%%chat\nfirst")
    run("%%chat --vary seed=1,2\nsecond")
    run("%%chat\nthird")
    assert [len(chat.json["messages"]) for chat in server.chats] == [1, 3, 3, 3]
    assert "(no memory)" in run("%chat cost").text


def test_runs_that_have_a_reply_are_not_sent_again(
    run: Run, server: Loopback, sweep: Callable[[], di.Sweep]
) -> None:
    """Only what is missing, or new to the grid; `--fresh` sends all."""
    server.reply(Fault(400, {"error": "no"}))
    run("%%chat --vary seed=1,2,3\nhi")
    assert len(server.chats) == 3
    run("%%chat --vary seed=1,2,3\nhi")
    assert len(server.chats) == 4
    run("%%chat --vary seed=1..4\nhi")
    assert len(server.chats) == 5
    assert len(sweep().records) == 4
    run("%%chat --vary seed=1..4 --fresh\nhi")
    assert len(server.chats) == 9


def test_a_failed_run_does_not_end_the_others(
    run: Run, server: Loopback, sweep: Callable[[], di.Sweep]
) -> None:
    """It is counted; only where none came through is it an error."""
    server.reply(Fault(400, {"error": "no"}))
    ran = run("%%chat --vary seed=1,2\nhi")
    assert ran.error is None
    assert "1 of 2 runs complete · 1 failed" in ran.text
    server.default = Fault(400, {"error": "no"})
    assert isinstance(run("%%chat --vary seed=3,4\nhi").error, di.BadRequest)


def test_many_calls_ask_first(run: Run, server: Loopback, sweep: Callable[[], Any]) -> None:
    """More than twenty are sent with `--yes` alone."""
    error = run("%%chat --vary seed=1..21\nhi").error
    assert isinstance(error, di.BudgetError)
    assert "21 calls, of unknown cost" in str(error)
    assert server.chats == []
    assert "21 runs" in run("%%chat --vary seed=1..21 --yes\nhi").text


def test_a_budget_holds_for_the_whole_grid(
    run: Run, server: Loopback, sweep: Callable[[], Any]
) -> None:
    """All worst cases together must fit before the first is sent."""
    meta = {"pricing": {"input_tokens": 1, "output_tokens": 2}, "tags": ["chat"]}
    server.models = [{"id": "a-model", "metadata": meta}]
    run("%chat models")
    run("%chat budget 0.01")
    flags = "--max-tokens 1000 --vary seed=1..6"
    error = run(f"%%chat {flags}\nhi").error
    assert isinstance(error, di.BudgetError)
    assert "up to $0.012" in str(error)
    assert isinstance(run(f"%%chat {flags} --budget 0.001\nhi").error, di.BudgetError)
    assert server.chats == []
    run("%chat budget 0.02")
    assert run(f"%%chat {flags}\nhi").error is None
    unknown = run(f"%%chat {flags} -m other\nhi").error
    assert isinstance(unknown, di.BudgetError)
    assert "price of other is not known" in str(unknown)


def test_a_busy_server_is_asked_more_slowly(
    run: Run, server: Loopback, sweep: Callable[[], di.Sweep]
) -> None:
    """Each run is tried again by itself, and all of them come."""
    busy = Fault(429, {"error": {"message": "Model busy"}}, headers={"retry-after": "0"})
    server.reply(*[busy] * 3)  # of four one run could get all, and is not tried a fifth time
    run("%%chat --vary seed=1..12\nhi")
    assert len(sweep().records) == 12
    assert all(record["status"] == "done" for record in sweep().records)
    assert len(server.chats) == 15


# Tests api/sweeps.
def test_concurrency_is_limited(server: Loopback, run: Run, sweep: Callable[[], Any]) -> None:
    """Eight, unless another number is asked for."""
    hold = Hold()

    def held(request: Request) -> Reply:
        if len(server.chats) == 8:
            threading.Timer(0.1, hold.release).start()
        return Reply(chunks=[hold, "x"])

    server.default = held
    run("%%chat --vary seed=1..20\nhi")
    assert server.peak == 8
    found = di.sweep("hi", vary={"seed": range(50, 56)}, concurrency=3)
    assert len(found.records) == 6


# Tests display/sweep.
def test_the_result_is_plain_data(
    run: Run, server: Loopback, sweep: Callable[[], di.Sweep], tmp_path: Path
) -> None:
    """Records, CSV, a DataFrame, and safe HTML."""
    server.default = Reply("<b>x</b>")
    run("%%chat --vary temperature=0,1\nhi")
    result = sweep()
    assert json.dumps(result.records)
    assert len(list(csv.DictReader(io.StringIO(result.to_csv() or "")))) == 2
    result.to_csv(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text().startswith("run,temperature,repeat,text")
    assert list(result.to_pandas()["temperature"]) == [0, 1]
    assert "&lt;b&gt;" in result._repr_html_()
    assert "<b>x" not in result._repr_html_()
    assert repr(result).startswith("<Sweep: 2 runs")
    with pytest.raises(di.ChatError):
        result.reply(2)


def test_the_users_own_measures(run: Run, server: Loopback, sweep: Callable[[], Any]) -> None:
    """Any function of a reply, by the name it is given."""
    found = di.sweep("hi", vary={"seed": [1, 2]}, measures={"vowels": lambda r: r.text.count("a")})
    assert [record["vowels"] for record in found.records] == [2, 2]
    assert sweep() is found


def test_a_plot_is_one_picture(run: Run, sweep: Callable[[], di.Sweep]) -> None:
    """Without an SVG: nbconvert could not write LaTeX of it where Inkscape is not installed."""
    run("%%chat --vary seed=1..3\nhi")
    data, metadata = figure_output(sweep().plot("words"))
    assert data.keys() == {"image/png", "text/plain"}
    width = int.from_bytes(data["image/png"][16:20])
    assert width == 2 * metadata["image/png"]["width"]


def test_a_plot_draws_foreign_text_as_it_is(run: Run, server: Loopback) -> None:
    """Two dollars made a formula of a label, with a hundred lines of an error."""
    system = r"a $\foo$|b $x|\x1b[31m $\end{"
    run(f'%%chat --vary "system={system}" --yes\nhi')
    assert "(a plot)" in run("%chat plot words system").text
    assert "(a plot)" in run("%chat plot words text").text


def test_a_grid_is_plotted(
    run: Run, server: Loopback, sweep: Callable[[], di.Sweep], tmp_path: Path
) -> None:
    """To the notebook, or to a file; a column without numbers is one line."""
    assert isinstance(run("%chat plot").error, di.ChatError)
    run("%%chat --vary temperature=0,0.7 -n 3\nhi")
    assert "(a plot)" in run("%chat plot").text
    for name in ("x.png", "x.svg"):
        assert "saved" in run(f"%chat plot words --out {tmp_path / name}").text
        assert (tmp_path / name).stat().st_size > 1000
        again = f"%chat plot words --out {tmp_path / name}"
        assert "exists already" in str(run(again).error)
        assert "saved" in run(f"{again} --overwrite").text
    assert isinstance(run("%chat plot text").error, di.ParamError)
    assert isinstance(run("%chat plot words x y").error, di.ParamError)
    assert isinstance(run(f"%chat plot --out {tmp_path}/x.pdf").error, di.ParamError)
    assert isinstance(run(f"%chat plot --out {tmp_path}/no/x.png").error, di.ChatError)


def test_one_run_becomes_the_reply(run: Run, server: Loopback, sweep: Callable[[], Any]) -> None:
    """The conversation goes on with it, and it is not paid twice."""
    run("%%chat\nfirst")
    run("%%chat --vary temperature=0,0.7\nsecond")
    cost = run("%chat cost").text.splitlines()[-1].split()
    assert "a-model at 0.7" in run("%chat adopt 1").text
    assert isinstance(run("%chat adopt 1").error, di.ChatError)
    assert isinstance(run("%chat adopt 5").error, di.ChatError)
    run("%%chat\nthird")
    said = [message["content"] for message in server.chats[-1].json["messages"]]
    assert said == ["first", "a-model at None", "second", "a-model at 0.7", "third"]
    assert run("%chat cost").text.splitlines()[-1].split()[2] == str(int(cost[2]) + 1)


# Tests magics/commands/sweeping.
def test_repeat_says_whether_replies_are_the_same(
    run: Run, server: Loopback, sweep: Callable[[], Any]
) -> None:
    """All identical, or where they differ; a seed does not promise it."""
    run("%%chat --seed 1\nhi")
    same = run("%chat repeat 3").text
    assert "3 of 3 replies, all identical." in same
    assert "best effort" in same
    assert [c.json for c in server.chats] == [server.chats[0].json] * 4
    server.reply(Reply("the cat sat"), Reply("the cat ran"), Reply("the cat sat"))
    shown = run("%chat repeat 3").text
    assert "2 different replies in 3." in shown
    assert "2× the cat >>> sat" in shown
    assert isinstance(run("%chat repeat none").error, di.ParamError)


def test_repeat_does_not_follow_a_loaded_address(
    run: Run, server: Loopback, sweep: Callable[[], Any], tmp_path: Path
) -> None:
    """A loaded file may name any address; nothing is sent to it, and the line names it."""
    run("%%chat\nhi")
    saved = tmp_path / "chat.json"
    run(f"%chat save {saved}")
    saved.write_text(saved.read_text().replace(server.url, "http://127.0.0.1:9/v1"))
    run("%chat forget --all --yes")
    run(f"%chat load {saved}")
    error = run("%chat repeat 2").error
    assert isinstance(error, di.ChatError)
    assert "http://127.0.0.1:9/v1" in str(error)
    assert len(server.chats) == 1


def test_a_grid_is_logged_too(
    run: Run,
    server: Loopback,
    sweep: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each run is a line for the teacher, and that is said."""
    (tmp_path / "class.toml").write_text(f"log = '{tmp_path}/logs'")
    monkeypatch.setenv("DI_MAGICS_POLICY", str(tmp_path / "class.toml"))
    run("%reload_ext di_magics")
    assert "kept for your teacher" in run("%%chat --vary seed=1..4\nhi").text
    (log,) = (tmp_path / "logs").iterdir()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(line["params"]["seed"] for line in lines) == [1, 2, 3, 4]


def test_replies_are_compared(run: Run, server: Loopback, sweep: Callable[[], Any]) -> None:
    """Two turns, two runs, or the last two variants."""
    server.reply(Reply("a red cat"), Reply("a blue cat"), Reply("a blue dog"))
    run("%%chat\none")
    run("%%chat\ntwo")
    assert "a [-red-]{+blue+} cat" in run("%chat diff 1 2").text
    assert isinstance(run("%chat diff").error, di.ChatError)
    run("%chat retry")
    assert "a blue [-cat-]{+dog+}" in run("%chat diff").text
    server.reply(Reply("a cat"), Reply("a dog"))
    run("%%chat --vary seed=1,2\nhi")
    one, other = (record["text"][2:] for record in sweep().records)
    assert f"a [-{one}-]{{+{other}+}}" in run("%chat diff run 0 1").text
    assert isinstance(run("%chat diff 1").error, di.ParamError)


def test_a_wrong_sweep_line_is_refused_in_one_line(run: Run, server: Loopback) -> None:
    """Nothing is sent."""
    for line in ("--vary nothing=1", "--vary temperature=0,9", "-n 0", "-n x", f"-n {'9' * 5000}"):
        assert isinstance(run(f"%%chat {line}\nhi").error, di.ParamError)
    assert server.chats == []
