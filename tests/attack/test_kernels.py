"""Many kernels at once on one folder: every reply is whole, and every turn is there once."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from attack.conftest import Attacks, scaled
from attack.models import serve, setup, stored_turns
from kernel import Kernel
from loopback import Loopback

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1800)]


def test_kernels_at_once_lose_nothing(server: Loopback, attacks: Attacks, tmp_path: Path) -> None:
    """All open the new file together, and ask at the same time."""
    serve(server)
    env = {"DI_MAGICS_HOME": str(tmp_path / "home")}
    with ExitStack() as stack:
        kernels = [stack.enter_context(Kernel(tmp_path, env)) for _ in range(scaled(40))]
        for turn in range(3):
            if not turn:
                for kernel in kernels:
                    kernel.run(setup(server))
            cells = [
                kernel.start(f"%%chat\ndone {number} {turn}", f"{number}-{turn}")
                for number, kernel in enumerate(kernels)
            ]
            for kernel, cell in zip(kernels, cells, strict=True):
                kernel.wait(cell, timeout=300)
                attacks.check(cell.status == "ok" and "whole" in cell.text, cell.text)
    turns = stored_turns(tmp_path / "home")
    expected = {f"done {number} {turn}" for number in range(len(kernels)) for turn in range(3)}
    assert {turn.prompt for turn in turns} == expected
    assert len(turns) == len(expected)
    assert all(turn.sealed and turn.reply == "whole" for turn in turns)
