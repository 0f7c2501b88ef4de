"""The server of a local model, which all kernels of a user share.

The kernel that needs it first starts endpoints/local_process.py, and writes where it is into a
record, a file in the state folder that only the user can read. Other kernels join it by this
record. Without a state folder, each kernel has a server of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import secrets
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from di_magics.core.errors import ParamError, Unreachable
from di_magics.core.secrets import is_secret_variable, names_secret
from di_magics.core.visible import one_line
from di_magics.endpoints.local_model import MODEL, fetch_model
from di_magics.endpoints.projector import find_projector
from di_magics.runtime.files import read_bounded, write_private
from di_magics.runtime.process import is_process_running, name_process, python_command
from di_magics.runtime.process_lock import process_lock

START_SECONDS = 60.0
DOOR_SECONDS = 10.0
LINGER_SECONDS = 180.0
"""How long the server waits for another kernel; the variable DI_MAGICS_LOCAL_LINGER sets it."""
MAX_RECORD_BYTES = 4000
GGUF_MAGIC = b"GGUF"
ENDED = "The model server on this machine has ended. Run the cell again to restart it."


def is_available() -> bool:
    """Return whether the extra `local` is installed; imports nothing."""
    return importlib.util.find_spec("xllamacpp") is not None


def model_name(file: Path | None) -> str:
    """Return the name of a model file in requests and receipts; None is the built-in model."""
    return file.stem if file else MODEL.name


class _Address(NamedTuple):
    """Where a server is: its base address without `/v1`, its door's port, its key and process."""

    url: str
    door: int
    key: str
    process: str


def end_servers(state_dir: Path | None) -> int:
    """End the servers in this state folder, for all kernels, and return how many there were."""
    ended = 0
    for record in (state_dir / "local").glob("*.json") if state_dir else ():
        address = _read_record(record)
        if address and is_process_running(address.process):
            with suppress(OSError), _connect(address, "end") as connection:
                ended += not connection.recv(1)  # the end of the connection
    return ended


class LocalServer:
    """A llama.cpp server for one model file; without a file, for the built-in model.

    The built-in model is kept in the state folder `state_dir`. `url` is the base address with
    `/v1`, `key` the random key that the server requires. Thread-safe.
    """

    def __init__(self, file: Path | None, state_dir: Path | None) -> None:
        self.file = file
        self._state_dir = state_dir
        self._address: _Address | None = None
        self._stay: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The base address, "" while the server is not used."""
        return f"{self._address.url}/v1" if self._address else ""

    @property
    def key(self) -> str:
        """The key that the server requires."""
        return self._address.key if self._address else ""

    @property
    def pid(self) -> int | None:
        """The id of the server's process."""
        return int(self._address.process.split()[1]) if self._address else None

    @property
    def alive(self) -> bool:
        """Whether the server runs and this kernel uses it."""
        if self._process is not None:
            self._process.poll()  # or it would stay as a zombie
        if self._stay is None:
            return False
        try:
            return self._stay.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def start(
        self, progress: Callable[[str], None], cancelled: threading.Event | None = None
    ) -> None:
        """Join the server, or start it and wait until it answers; fetch a missing built-in model.

        Blocks; setting `cancelled` ends it. Raises ParamError for a file that is not a GGUF,
        Unreachable if the server does not start.
        """
        with self._lock:
            if self.alive:
                return
            self._leave()
            cancelled = cancelled or threading.Event()
            file = self.file or fetch_model(self._state_dir, progress, cancelled)
            _check(file)
            record = self._record(file)
            if not record:
                self._launch(file, None, progress, cancelled)
                return
            with process_lock(record.with_suffix(".lock"), cancelled):
                if not self._join(_read_record(record)):
                    self._launch(file, record, progress, cancelled)

    def _record(self, file: Path) -> Path | None:
        """Return the path of the record: one for each machine, model, and version of llama.cpp."""
        if self._state_dir is None:
            return None
        from importlib import metadata

        machine = name_process().split()[0]
        with suppress(OSError, metadata.PackageNotFoundError):
            folder = self._state_dir / "local"
            folder.mkdir(mode=0o700, exist_ok=True)
            identity = [machine, metadata.version("xllamacpp")]
            for part in filter(None, (file, find_projector(file))):
                status = part.stat()
                identity += [str(part.resolve()), f"{status.st_size} {status.st_mtime_ns}"]
            digest = hashlib.sha256(repr(identity).encode()).hexdigest()
            return folder / f"{digest[:24]}.json"
        return None

    def _join(self, address: _Address | None) -> bool:
        """Use the server at an address; return whether it answers."""
        if address is None or not is_process_running(address.process):
            return False
        try:
            stay = _connect(address, "stay")
        except OSError:
            return False
        with suppress(OSError):
            if stay.recv(16).endswith(b"\n"):
                stay.setblocking(False)
                self._stay, self._address = stay, address
                return True
        stay.close()
        return False

    def _launch(
        self,
        file: Path,
        record: Path | None,
        progress: Callable[[str], None],
        cancelled: threading.Event,
    ) -> None:
        progress(f"starting {model_name(self.file)} on this machine")
        key = secrets.token_urlsafe(24)
        # Not on the command line or in the environment, which others can read.
        settings = {
            "file": str(file),
            "projector": str(find_projector(file) or ""),
            "name": model_name(self.file),
            "key": key,
            "linger": _linger() if record else 0.0,
            "record": str(record or ""),
        }
        with tempfile.TemporaryFile() as log:  # a file without a name
            self._process = process = subprocess.Popen(
                python_command("di_magics.endpoints.local_process"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_without_secrets(os.environ),
                # The kernel's interrupt goes to its whole process group.
                start_new_session=True,
            )
            assert process.stdin
            assert process.stdout
            line = b""
            with suppress(OSError):
                process.stdin.write(json.dumps(settings).encode() + b"\n")
                process.stdin.flush()
                line = _Line(process.stdout).wait(START_SECONDS, cancelled)
            address = _read_address({**_read_object(line), "key": key})
            with suppress(OSError):
                if address:
                    process.stdin.write(b"\n")
                process.stdin.close()
            if not (address and self._join(address)):
                process.kill()
                process.wait()
                process.stdout.close()
                raise self._not_started(file, log, cancelled)
            process.stdout.close()
        if record and self._address:
            with suppress(OSError):  # other kernels start one of their own
                write_private(record, json.dumps(self._address._asdict()), overwrite=True)

    def _not_started(self, file: Path, log: IO[bytes], cancelled: threading.Event) -> Unreachable:
        reason = "was stopped" if cancelled.is_set() else f"did not start: {_log_reason(log)}"
        return Unreachable(
            f"The model server for {one_line(file.name, 80)} {reason}. Run the cell again, or "
            "try another file: %chat endpoint local:FILE.gguf."
        )

    async def is_busy(self) -> bool:
        """Return whether the server computes a request, of any kernel."""
        async with self._visit("busy") as line:
            return line == b"yes\n"

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Have the server for a request of this kernel; wait until it has no other one.

        Raises Unreachable if it has ended.
        """
        async with self._visit("turn"):
            yield

    @asynccontextmanager
    async def _visit(self, word: str) -> AsyncGenerator[bytes]:
        """Yield what the door answers to a word; what it stands for ends with the block."""
        address = self._address
        writer: asyncio.StreamWriter | None = None
        try:
            if not address:
                raise Unreachable(ENDED)
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", address.door)
                writer.write(f"{address.key} {word}\n".encode())
                line = await reader.readline()
            except OSError:
                line = b""
            if not line:
                raise Unreachable(ENDED)
            yield line
        finally:
            if writer:
                writer.close()

    def stop(self) -> None:
        """Leave the server, which ends when no kernel uses it any more."""
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        stay, self._stay = self._stay, None
        self._address = None
        if stay:
            stay.close()


def _connect(address: _Address, word: str) -> socket.socket:
    """Return a connection to the door, on which the word was sent. Raises OSError."""
    connection = socket.create_connection(("127.0.0.1", address.door), timeout=DOOR_SECONDS)
    try:
        connection.sendall(f"{address.key} {word}\n".encode())
    except OSError:
        connection.close()
        raise
    return connection


def _linger() -> float:
    try:
        return max(0.0, float(os.environ.get("DI_MAGICS_LOCAL_LINGER", LINGER_SECONDS)))
    except ValueError:
        return LINGER_SECONDS


def _read_record(record: Path) -> _Address | None:
    """Return the address in a record, None if it is missing or damaged."""
    try:
        return _read_address(_read_object(read_bounded(record, MAX_RECORD_BYTES, record.name)))
    except (OSError, ValueError):  # a ParamError is a ValueError
        return None


def _read_object(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _read_address(fields: Mapping[str, object]) -> _Address | None:
    url, door, key, process = (fields.get(name) for name in _Address._fields)
    is_ours = isinstance(url, str) and url.startswith("http://127.0.0.1:")
    if is_ours and isinstance(door, int) and 0 < door < 65536:
        return _Address(str(url), door, str(key), str(process))
    return None


def _log_reason(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read(1 << 20).decode("utf-8", "replace").splitlines()
    errors = [line for line in lines if "rror" in line or "fail" in line]
    return one_line((errors or lines or ["no reason given"])[-1], 200).rstrip(".")


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the child, which needs no key and no password."""
    return {
        name: value
        for name, value in environment.items()
        if not names_secret(name) and not is_secret_variable(name, value)
    }


class _Line:
    """The first line of a pipe, read on a thread so that the wait for it can be ended."""

    def __init__(self, pipe: object) -> None:
        self._pipe = pipe
        self._line = b""
        self._read = threading.Event()
        threading.Thread(target=self._run, name="di_magics-local", daemon=True).start()

    def _run(self) -> None:
        try:
            self._line = self._pipe.readline()  # type: ignore[attr-defined]
        finally:
            self._read.set()

    def wait(self, seconds: float, cancelled: threading.Event) -> bytes:
        for _ in range(int(seconds * 20)):
            if self._read.wait(0.05) or cancelled.is_set():
                break
        return self._line


def _check(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            magic = stream.read(len(GGUF_MAGIC))
    except OSError as error:
        raise ParamError(
            f"The model file {one_line(file, 120)} cannot be read ({error.strerror}). "
            "Use the built-in model: %chat endpoint local."
        ) from None
    if magic != GGUF_MAGIC:
        raise ParamError(
            f"{one_line(file, 120)} is not a GGUF file. Use the built-in model: "
            "%chat endpoint local."
        )
