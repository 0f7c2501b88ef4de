"""The door of a local model's process: who uses it, whose turn it is, and when it ends."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from di_magics.endpoints import local_process
from di_magics.endpoints.local_model import MODEL
from di_magics.endpoints.local_process import MAX_LINE_BYTES, MAX_STRANGERS, Door

KEY = "k"


class Served(Door):
    """A door that is served by a thread."""

    def __init__(self, linger: float = 0.0) -> None:
        super().__init__(KEY, linger)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def say(self, line: str) -> socket.socket:
        """Return a connection on which this was said."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall(line.encode())
        return connection

    def ask(self, word: str) -> str:
        """Return the door's answer to a word, "" where it does not open."""
        with suppress(ConnectionError), self.say(f"{KEY} {word}\n") as connection:
            return connection.recv(16).decode()
        return ""


@pytest.fixture
def door() -> Iterator[Served]:
    """A door, with a kernel that stays."""
    door = Served()
    with door.say(f"{KEY} stay\n") as stay:
        assert stay.recv(16) == b"yes\n"
        yield door
    door.thread.join(10)
    assert not door.thread.is_alive()


def has_turn(connection: socket.socket) -> bool:
    """Return whether the connection has been given its turn by now."""
    connection.setblocking(False)
    try:
        return connection.recv(16) == b"yes\n"
    except OSError:  # nothing has come, or the connection was reset
        return False


def test_one_turn_at_a_time_in_order(door: Served) -> None:
    """A turn ends with its connection, also that of one who still waits."""
    assert door.ask("busy") == "no\n"
    first, second, third, fourth = (door.say(f"{KEY} turn\n") for _ in range(4))
    assert first.recv(16) == b"yes\n"
    assert door.ask("busy") == "yes\n"
    assert not any(map(has_turn, (second, third, fourth)))
    second.close()
    first.close()
    third.settimeout(10)
    assert third.recv(16) == b"yes\n"
    assert not has_turn(fourth)
    third.close()
    fourth.settimeout(10)
    assert fourth.recv(16) == b"yes\n"
    fourth.close()


@pytest.mark.parametrize("line", ["wrong turn\n", "\n", "k", "x" * (MAX_LINE_BYTES + 1)])
def test_without_the_key_there_is_no_turn(door: Served, line: str) -> None:
    """Another user of this machine can connect, and no more."""
    with door.say(line) as stranger, door.say(f"{KEY} turn\n") as mine:
        assert mine.recv(16) == b"yes\n"
        assert not has_turn(stranger)


def test_the_key_may_come_in_pieces(door: Served) -> None:
    """A connection is a stream of bytes."""
    with door.say(KEY) as connection:
        connection.sendall(b" tu")
        connection.sendall(b"rn\n")
        assert connection.recv(16) == b"yes\n"


def test_strangers_are_bounded(door: Served) -> None:
    """They keep no kernel away: the oldest of them has to go."""
    strangers = [door.say("") for _ in range(MAX_STRANGERS + 5)]
    assert door.ask("busy") == "no\n"
    for stranger in strangers[:5]:
        with suppress(ConnectionResetError):
            assert stranger.recv(1) == b""
    strangers[-1].sendall(f"{KEY} busy\n".encode())
    assert strangers[-1].recv(16) == b"no\n"
    for stranger in strangers:
        stranger.close()
    assert door.thread.is_alive()


def test_strangers_do_not_keep_it_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a kernel waited for without end."""
    monkeypatch.setattr(local_process, "FIRST_SECONDS", 0.1)
    door = Served()
    with door.say("hello"):
        door.thread.join(10)
        assert not door.thread.is_alive()


def test_it_waits_for_the_next_kernel() -> None:
    """For as long as it is told."""
    door = Served(linger=60)
    assert door.ask("stay") == "yes\n"
    assert door.ask("stay") == "yes\n"
    assert door.thread.is_alive()
    door.say(f"{KEY} end\n").close()
    door.thread.join(10)
    assert not door.thread.is_alive()


def test_the_process_ends_with_a_kernel_that_does_not_wait_for_it(model_home: Path) -> None:
    """It says its address in one line of JSON, and nothing else."""
    file = model_home / "models" / MODEL.file
    names = {"file": str(file), "projector": "", "name": "m", "key": "k", "record": ""}
    settings = {**names, "linger": 0}
    with subprocess.Popen(
        [sys.executable, "-m", "di_magics.endpoints.local_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(settings).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["url"].startswith("http://127.0.0.1:")
        process.stdin.close()
        assert process.wait(10) == 1
        assert process.stdout.read() == b""
