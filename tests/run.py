"""The test command: `python3 tests/run.py [arguments for pytest]`, from a fresh clone.

It makes an environment of its own in .venv-test, finds or fetches a browser, and runs the linter,
the type checker and the tests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import browser

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-test"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
STAMP = VENV / "installed"


def succeeds(*command: str | Path, quiet: bool = False, **env: str) -> bool:
    """Run a command in the repository and say whether it succeeded."""
    ran = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.DEVNULL if quiet else None,
    )
    return ran.returncode == 0


def environment() -> None:
    """Make .venv-test with the package in it, unless it is there for this pyproject.toml."""
    wanted = sys.version + hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    print("Installing di_magics and its tests' requirements into .venv-test …", flush=True)
    # Debian's python3 without python3-venv cannot make one.
    ways = [
        (sys.executable, "-m", "venv", "--clear", VENV),
        ("uv", "venv", "--quiet", "--seed", "--clear", "--python", sys.executable, VENV),
        ("virtualenv", "--quiet", "--clear", "--python", sys.executable, VENV),
    ]
    if not any(shutil.which(way[0]) and succeeds(*way, quiet=True) for way in ways):
        sys.exit("No virtual environment: install python3-venv (Debian, Ubuntu), uv or virtualenv.")
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    if not succeeds(*pip, "--editable", ".[lab,local,dev]"):
        sys.exit("The installation failed: see above.")
    STAMP.write_text(wanted)


def main(arguments: list[str]) -> int:
    """Run everything; return 1 if anything fails."""
    environment()
    found = browser.find() or browser.fetch(str(PYTHON))
    if not found:
        print("NO BROWSER: none is installed and none can be fetched. ITS TESTS DO NOT RUN.")
        if os.environ.get("CI"):
            return 1
        arguments = ["-m", "not browser", *arguments]
    checks = (
        ("ruff", "check", "--quiet"),
        ("ruff", "format", "--check", "--quiet"),
        ("mypy", "--no-error-summary"),
    )
    passed = True
    for check in checks:
        if not succeeds(PYTHON, "-m", *check):
            print("FAILED:", *check, flush=True)
            passed = False
    coverage = ("--cov=di_magics.core", "--cov-branch", "--cov-report=term-missing:skip-covered")
    passed &= succeeds(PYTHON, "-m", "pytest", *coverage, *arguments, DI_MAGICS_BROWSER=found or "")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
