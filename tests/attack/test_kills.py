"""`kill -9` of the kernel, at random moments of everything that writes: no turn is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attack.conftest import Attacks, scaled
from attack.models import prompts, serve, setup, stored_turns
from kernel import Kernel, Result
from loopback import Loopback

from di_magics.runtime.process import is_process_running

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(3600)]


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel whose state is in a folder of its own."""
    with Kernel(tmp_path, {"DI_MAGICS_HOME": str(tmp_path / "home")}) as kernel:
        yield kernel


def test_no_turn_is_lost_when_a_kernel_is_killed(
    kernel: Kernel, server: Loopback, attacks: Attacks, tmp_path: Path
) -> None:
    """A turn that was sent is on disk, a reply that was shown is there as far as it was written."""
    serve(server)
    chance = random.Random(5)
    lines = {"stream": "%%chat", "tool": "%%chat --tools wait", "grid": "%%chat --vary seed=1..4"}
    for number in range(scaled(160)):
        kind = ("stream", "tool", "grid", "open")[number % 4]
        kernel.run(setup(server))
        if kind != "open":
            kernel.run(f"%%chat\ndone {number}", f"done-{number}")
        asked = len(server.chats)
        kernel.start(f"{lines.get(kind, '%%chat')}\n{kind} {number}", f"cell-{number}")
        if kind == "open":
            time.sleep(chance.random() / 5)
        else:
            server.wait_for(asked + 1 + 2 * (kind == "grid"))
            time.sleep(chance.random() * 1.5)
        kernel.restart()
        turns = {turn.prompt: turn for turn in stored_turns(tmp_path / "home")}
        done = turns.get(f"done {number}")
        whole = kind == "open" or (done and done.sealed and done.reply == "whole")
        sent = kind == "grid" or f"{kind} {number}" not in prompts(server)[asked:]
        attacks.check(whole and (sent or f"{kind} {number}" in turns), (kind, number, turns))


def test_a_kill_while_turns_are_forgotten_leaves_all_or_none(
    kernel: Kernel, server: Loopback, attacks: Attacks, tmp_path: Path
) -> None:
    """And the file is whole."""
    serve(server)
    chance = random.Random(6)
    for number in range(scaled(40)):
        kernel.run(setup(server))
        for turn in range(3):
            kernel.run(f"%%chat\ndone {turn}", f"{number}-{turn}")
        before = len(stored_turns(tmp_path / "home"))
        kernel.start("%chat forget --all --yes")
        time.sleep(chance.random() / 20)
        kernel.restart()
        after = len(stored_turns(tmp_path / "home"))
        attacks.check(before >= 3 and after in (0, before), (number, before, after))


@pytest.mark.local
def test_a_killed_local_model_keeps_the_turn_and_is_started_again(
    kernel: Kernel, model_home: Path, attacks: Attacks
) -> None:
    """While it starts, during a reply, or after it: one cell notices, the next is answered."""
    kernel.run(f"%env DI_MAGICS_HOME={model_home}\n%load_ext di_magics")
    chance = random.Random(11)
    for number in range(scaled(40)):
        cell = kernel.start(f"%%chat --max-tokens 200\nCount {number}", f"cell-{number}")
        pid = wait_for_model(kernel, cell, model_home)
        time.sleep(chance.random() * 2)
        if pid:
            os.kill(pid, signal.SIGKILL)
        kernel.wait(cell, timeout=120)
        turns = {turn.prompt: turn for turn in stored_turns(model_home)}
        kept = turns.get(f"Count {number}")
        for _ in range(2):
            again = kernel.run("%%chat --max-tokens 2\nhi", f"again-{number}", timeout=120)
            if again.status == "ok":
                break
        attacks.check(kept and kept.sealed and again.status == "ok", (number, kept, again.text))


def wait_for_model(kernel: Kernel, cell: Result, home: Path) -> int | None:
    """Return the local model's process when it is there, or None if the cell has ended before."""
    kernel.wait(cell, lambda: cell.done or find_model(home))
    return find_model(home)


def find_model(home: Path) -> int | None:
    """Return the process of the local model of a state folder, or None."""
    for record in (home / "local").glob("*.json"):
        with suppress(OSError, ValueError):
            process = json.loads(record.read_text())["process"]
            if is_process_running(process):
                return int(process.split()[1])
    return None
