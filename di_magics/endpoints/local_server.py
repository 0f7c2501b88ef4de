"""llama.cpp's server in a child process: a model on this machine behind the same API.

The child ends with the kernel in any case: it watches a pipe that only the kernel holds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from di_magics.core.errors import ParamError, Unreachable
from di_magics.core.secrets import is_secret_variable, names_secret
from di_magics.core.text import one_line
from di_magics.endpoints.local_model import MODEL, fetch_model

START_SECONDS = 60.0
SLOTS = 4
# Tokens, shared by the slots; the context window of the built-in model.
CONTEXT = 8192
GGUF_MAGIC = b"GGUF"


def is_available() -> bool:
    """Return whether the extra `local` is installed; imports nothing."""
    return importlib.util.find_spec("xllamacpp") is not None


def model_name(file: Path | None) -> str:
    """Return the name of a model file in requests and receipts; None is the built-in model."""
    return file.stem if file else MODEL.name


class LocalServer:
    """A llama.cpp server for one model file; without a file, for the built-in model.

    The built-in model is kept in the state folder `state_dir`. `url` is the base address with
    `/v1`, `key` the random key that the server requires. Thread-safe.
    """

    def __init__(self, file: Path | None, state_dir: Path | None) -> None:
        self.file = file
        self._state_dir = state_dir
        self.url = ""
        self.key = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the child runs and answers."""
        return bool(self.url) and self._process is not None and self._process.poll() is None

    def start(
        self, progress: Callable[[str], None], cancelled: threading.Event | None = None
    ) -> None:
        """Start the server and wait until it answers; fetch the built-in model if it is missing.

        Blocks; setting `cancelled` ends it. Raises ParamError for a file that is not a GGUF,
        Unreachable if the server does not start.
        """
        with self._lock:
            if self.alive:
                return
            self._forget()
            cancelled = cancelled or threading.Event()
            file = self.file or fetch_model(self._state_dir, progress, cancelled)
            _check(file)
            progress(f"starting {model_name(self.file)} on this machine")
            self._launch(file, cancelled)

    def _launch(self, file: Path, cancelled: threading.Event) -> None:
        self.key = secrets.token_urlsafe(24)
        # A file without a name, deleted with the kernel.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 # closed in _forget
        process = subprocess.Popen(
            [sys.executable, "-m", "di_magics.endpoints.local_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_without_secrets(os.environ),
            # The kernel's interrupt goes to its whole process group.
            start_new_session=True,
        )
        self._process = process
        assert process.stdin
        assert process.stdout
        # Not on the command line or in the environment, which others can read.
        settings = {"file": str(file), "name": model_name(self.file), "key": self.key}
        ready = _Line(process.stdout)
        try:
            process.stdin.write(json.dumps(settings).encode() + b"\n")
            process.stdin.flush()
            line = ready.wait(START_SECONDS, cancelled)
        except OSError:
            line = b""
        if not line:
            reason = "was stopped" if cancelled.is_set() else f"did not start: {self._log_reason()}"
            self._forget()
            raise Unreachable(
                f"The model server for {one_line(file.name, 80)} {reason}. Run the cell again, or "
                "try another file: %chat endpoint local:FILE.gguf."
            )
        self.url = json.loads(line)["url"] + "/v1"

    def _log_reason(self) -> str:
        if not self._log:
            return "no reason given"
        self._log.seek(0)
        lines = self._log.read(1 << 20).decode("utf-8", "replace").splitlines()
        errors = [line for line in lines if "rror" in line or "fail" in line]
        return one_line((errors or lines or ["no reason given"])[-1], 200).rstrip(".")

    def stop(self) -> None:
        """End the child; it can be started again."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        process, self._process = self._process, None
        self.url = ""
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    try:
                        pipe.close()
                    except OSError:  # the child has ended before it read everything
                        continue
        if self._log:
            self._log.close()
            self._log = None


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


def main() -> None:
    """Serve until the parent is gone; runs in the child process."""
    settings = json.loads(sys.stdin.buffer.readline())
    # llama.cpp may print; only our one line is for the parent.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["file"]
    params.model_alias = {settings["name"]}
    params.api_keys = [settings["key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT
    params.kv_unified = True  # one pool for all slots: a third of the memory
    params.ui = False
    for cpu in (params.cpuparams, params.cpuparams_batch):
        # By default threads spin while they wait for one another: two servers with a thread for
        # every core fall from 90 tokens/s to 2. The small model is fast with few threads.
        cpu.poll = 0
        if settings["name"] == MODEL.name:
            cpu.n_threads = max(1, min(2, (os.cpu_count() or 2) // 2))
    params.verbosity = 1
    server = xllamacpp.Server(params)
    print(json.dumps({"url": server.listening_address}), file=out, flush=True)
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
