"""`%chat save` and `%chat load`: which files are written and read, and how."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
import sys
from pathlib import Path

import pytest
from growth import growth
from loopback import Loopback, Reply
from shell import Run

import di_magics as di
from di_magics.storage.database import FILE


@pytest.mark.parametrize("name", ["chat.md", "chat.json", "chat.ipynb"])
def test_a_saved_file_can_be_read_by_its_owner_only(
    run: Run, server: Loopback, tmp_path: Path, name: str
) -> None:
    """A conversation may hold what is not for everybody on the machine."""
    server.reply(Reply("one"))
    run("%%chat\nhi")
    path = tmp_path / name
    run(f"%chat save {path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "1 turn" in run(f"%chat load {path}").text or run("%chat history").text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_only_regular_files_are_loaded(run: Run, tmp_path: Path) -> None:
    """A pipe would be waited for without end, and a device never ends."""
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.md").symlink_to("/dev/zero")
    for name in ("pipe.json", "zero.md"):
        error = run(f"%chat load {tmp_path / name}").error
        assert isinstance(error, di.ParamError)
        assert "not a regular file" in str(error)


def test_the_suffix_is_looked_at_before_the_file(run: Run, tmp_path: Path) -> None:
    """What cannot be a conversation is not opened."""
    assert isinstance(run(f"%chat load {tmp_path / 'none.txt'}").error, di.ParamError)


@pytest.mark.parametrize("answer", ["", "n", "main", "y", " YES "])
def test_forget_asks_first(run: Run, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """It names what it would delete; only a yes deletes."""
    questions: list[str] = []

    def ask(text: str) -> str:
        questions.append(text)
        return answer

    monkeypatch.setattr("builtins.input", ask)
    run("%%chat\na")
    shown = run("%chat forget").text
    deleted = answer in ("y", " YES ")
    assert questions == ["Delete conversation main for good? [y/N] "]
    assert shown.startswith("1 turn deleted" if deleted else "Nothing was deleted")
    assert ("> a" in run("%chat history").text) is not deleted


def test_forget_where_nobody_can_be_asked_needs_a_flag(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a notebook that nbconvert runs."""

    def nobody(text: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    run("%%chat\na")
    assert isinstance(run("%chat forget --all").error, di.ChatError)
    assert "> a" in run("%chat history").text
    assert run("%chat forget --yes").text.startswith("1 turn deleted")


@pytest.mark.parametrize("command", ["%chat forget --yes", "%chat forget --all --yes"])
def test_what_the_disk_did_not_forget_can_be_forgotten_later(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """While another program holds the file, all stays: in the kernel as on the disk."""
    monkeypatch.setattr("di_magics.storage.database.BUSY_SECONDS", 0.01)
    run("%%chat\na-secret-prompt")
    other = sqlite3.connect(tmp_path / "home" / FILE)
    other.execute("BEGIN IMMEDIATE")
    assert isinstance(run(command).error, di.StoreError)
    assert "a-secret-prompt" in run("%chat history").text
    other.close()
    assert run(command).text.startswith("1 turn deleted")
    assert "no turns" in run("%chat history").text
    files = (tmp_path / "home").glob(f"{FILE}*")
    assert not any(b"a-secret-prompt" in path.read_bytes() for path in files)


ODD = "a\x1b]0;title\x07\x1b[2J\u009b31m\u202eb\u2066\u200bc"


@pytest.mark.parametrize(
    "cell",
    [
        "%chat new NAME",
        "%chat fork NAME",
        "%%chat -c NAME\nhi",
        "%chat save NAME.md",
        "%chat save NAME/a.md",
        "%chat load NAME.json",
        "%chat cost --csv NAME.csv",
    ],
)
def test_no_name_reaches_the_terminal_as_it_is(
    run: Run, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    """A conversation or a file may be named by somebody else: its name is shown on one line."""
    monkeypatch.chdir(tmp_path)
    run("%%chat\nhi")
    run("%chat save saved.json")
    (tmp_path / "saved.json").rename(tmp_path / f"{ODD}.json")
    (tmp_path / f"{ODD}.md").write_text("")
    shown = [run(cell.replace("NAME", ODD))]
    shown += map(run, ["%chat list", "%chat", "%chat history", "%chat history --tree"])
    shown += map(run, ["%chat use main", f"%chat use {ODD}x", f"%chat forget {ODD[:9]}"])
    for ran in shown:
        for text in (re.sub(r"\r|\x1b\[(?:K|2m|0m|31m)", "", ran.text), str(ran.error)):
            assert not re.search(
                "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b]", text
            )


@pytest.mark.parametrize("command", ["undo", "history", "history --tree", "list"])
@pytest.mark.parametrize("place", [{}, {"instead": "0"}, {"cell": ["a", 0]}])
def test_the_time_of_commands_is_linear_in_a_loaded_conversation(
    run: Run, tmp_path: Path, command: str, place: dict[str, object]
) -> None:
    """A file of somebody else may have 20,000 turns in 2 MB."""

    def load(count: int) -> None:
        turns = [
            {"turn": str(n), "parent": str(n - 1), "prompt": "p", "reply": "r", **place}
            for n in range(count)
        ]
        file = tmp_path / f"{count}.json"
        file.write_text(json.dumps({"turns": turns}))
        assert run(f"%chat load {file}").error is None

    def run_command(_: None) -> None:
        assert run(f"%chat {command}").error is None

    assert growth(run_command, 1000, load) <= 3
