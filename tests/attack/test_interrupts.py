"""■ at random moments: the turn is sealed with what had come, and the kernel lives."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from attack.conftest import Attacks, scaled
from attack.models import WORDS, prompts, serve, setup, stored_turns
from kernel import Kernel
from loopback import Loopback

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1800)]


def test_an_interrupt_at_any_moment_leaves_a_sealed_turn(
    kernel: Kernel, server: Loopback, attacks: Attacks, tmp_path: Path
) -> None:
    """Up to three of them, from the first line of the cell to its last; a tool ends, too.

    One that meets ipykernel itself, just after the cell, may take the answer to the front end with
    it; the turn is on disk all the same.
    """
    serve(server)
    chance = random.Random(7)
    kernel.run(setup(server))
    text = "".join(WORDS)
    for number in range(scaled(200)):
        kind = chance.choice(["slow", "slow", "tool"])
        flags = " --tools wait" if kind == "tool" else ""
        cell = kernel.start(f"%%chat{flags}\n{kind} {number}", f"cell-{number}")
        time.sleep(chance.random() * 0.6)
        for _ in range(chance.choice([1, 1, 3])):
            os.kill(kernel.pid, signal.SIGINT)
            time.sleep(chance.random() / 20)
        for _ in range(5):  # one that comes before the cell has begun is lost: once more
            with suppress(TimeoutError):
                kernel.wait(cell, timeout=2)
                break
            os.kill(kernel.pid, signal.SIGINT)
        name = cell.error["ename"] if cell.error else ""
        turns = {turn.prompt: turn for turn in stored_turns(tmp_path / "home")}
        turn = turns.get(f"{kind} {number}")
        sent = f"{kind} {number}" in prompts(server)
        kept = turn.sealed and text.startswith(turn.reply) if turn else not sent
        fine = name in ("", "Interrupted", "KeyboardInterrupt")
        lives = kernel.run("print(1 + 1)").text == "2\n"
        attacks.check(kept and fine and lives, (kind, number, name, turn, cell.text[-500:]))
