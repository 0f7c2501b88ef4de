"""The process of a local model: llama.cpp's server, and the door where kernels come and go.

One process serves all kernels of a user. A kernel opens a connection to the door, sends the key and
a word, and gets a line back:

    stay    at once; the kernel uses the server as long as this connection is open
    turn    when no other request is computed; the turn ends with the connection
    busy    at once, "yes" or "no": whether somebody has the turn
    end     nothing; the process ends

A connection also ends when its kernel is killed, so that nothing is left of it. Requests take
turns, in the order in which they asked, because llama.cpp computes concurrent ones together, in
another order: a seed or a temperature of 0 would not give the same reply every time, and on a few
cores it is no faster. The process ends `linger` seconds after the last kernel has left.
"""

from __future__ import annotations

import hmac
import json
import os
import selectors
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from di_magics.endpoints.local_model import MODEL
from di_magics.runtime.process import name_process

MAX_THREADS = 2
"""Of the built-in model, which is small."""
SPINS = "1000"
"""How often a thread looks whether another is ready before it sleeps; OpenMP's default is 300,000.

Measured with the built-in model on two cores, in tokens/s, idle and beside a busy core: one thread
47 and 48, two threads 84 and 31, two with OpenMP's default 78 and 5.
"""
SLOTS = 4
"""Conversations whose tokens the server keeps."""
CONTEXT = 8192
"""Tokens, shared by the slots; the context window of the built-in model."""
FIRST_SECONDS = 60.0
"""How long the process waits for the kernel that has started it."""
MAX_LINE_BYTES = 200
MAX_STRANGERS = 100
"""Connections that have not sent the key yet."""


class Door:
    """Counts the kernels that use the server, and gives the turns; single-threaded."""

    def __init__(self, key: str, linger: float) -> None:
        self._key = key.encode()
        self._linger = linger
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._strangers: dict[socket.socket, bytes] = {}
        self._users: set[socket.socket] = set()
        self._turns: deque[socket.socket] = deque()
        self._ended = False

    def serve(self) -> None:
        """Return when the server is not used any more, or was told to end."""
        until = time.monotonic() + FIRST_SECONDS
        while not self._ended and (self._users or time.monotonic() < until):
            for ready, _ in self._selector.select(1.0):
                if ready.fileobj is self._listener:
                    self._accept()
                else:
                    assert isinstance(ready.fileobj, socket.socket)
                    self._read(ready.fileobj)
                if self._users:
                    until = time.monotonic() + self._linger

    def _accept(self) -> None:
        with suppress(OSError):  # it has gone again
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            if len(self._strangers) >= MAX_STRANGERS:  # the oldest goes: a kernel speaks at once
                self._drop(next(iter(self._strangers)))
            self._strangers[connection] = b""
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        if connection.fileno() < 0:  # it was dropped a moment ago
            return
        try:
            data = connection.recv(MAX_LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
        elif connection in self._strangers:
            line = self._strangers[connection] + data
            self._strangers[connection] = line
            if b"\n" in line:
                self._answer(connection, line.partition(b"\n")[0])
            elif len(line) > MAX_LINE_BYTES:
                self._drop(connection)

    def _answer(self, connection: socket.socket, line: bytes) -> None:
        key, _, word = line.partition(b" ")
        if not hmac.compare_digest(key, self._key):
            self._drop(connection)
            return
        del self._strangers[connection]
        self._users.add(connection)
        if word == b"end":
            self._ended = True
        elif word == b"turn":
            self._turns.append(connection)
            if len(self._turns) == 1:
                self._send(connection, b"yes\n")
        else:
            self._send(connection, b"no\n" if word == b"busy" and not self._turns else b"yes\n")

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()
        self._strangers.pop(connection, None)
        self._users.discard(connection)
        if connection in self._turns:
            had_it = self._turns[0] is connection
            self._turns.remove(connection)
            if had_it and self._turns:
                self._send(self._turns[0], b"yes\n")

    def _send(self, connection: socket.socket, line: bytes) -> None:
        with suppress(OSError):  # it has gone, which the selector tells next
            connection.send(line)


def main() -> None:
    """Serve until nobody uses the model; settings come as a line of JSON on the standard input."""
    settings = json.loads(sys.stdin.buffer.readline())
    # llama.cpp may print; only our one line is for the kernel.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_input, name="di_magics-input", daemon=True).start()
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # OpenMP reads it when it is loaded
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["file"]
    params.mmproj.path = settings["projector"]
    params.model_alias = {settings["name"]}
    params.api_keys = [settings["key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT
    params.kv_unified = True  # one pool for all slots: a third of the memory
    params.ui = False
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.poll = 0
        if settings["name"] == MODEL.name:
            cpu.n_threads = min(MAX_THREADS, os.cpu_count() or 1)
    params.verbosity = 1
    server = xllamacpp.Server(params)
    door = Door(settings["key"], settings["linger"])
    ready = {"url": server.listening_address, "door": door.port, "process": name_process()}
    print(json.dumps(ready), file=out, flush=True)
    out.close()
    door.serve()
    if settings["record"]:
        record = Path(settings["record"])
        with suppress(OSError, ValueError):
            if name_process() in record.read_text("utf-8"):
                record.unlink()
    os._exit(0)


def _end_with_input() -> None:
    """End the process while the model is loaded, if the kernel is gone or stops waiting.

    A last line says that the kernel has got the address.
    """
    if not sys.stdin.buffer.readline():
        os._exit(1)


if __name__ == "__main__":
    main()
