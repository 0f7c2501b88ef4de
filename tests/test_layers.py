"""Who may import what: the core stands alone, and each outside library has one door."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import di_magics

PACKAGE = Path(di_magics.__file__).parent
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
CORE = [name for name in FILES if name.startswith("core/")]

# A library that is in no row may be imported nowhere.
DOORS = {
    "IPython.core.magic": "magics.py",
    "PIL": "attach.py",
    "anywidget": "widget.py",
    "docstring_parser": "schema.py",
    "httpx": "endpoint.py",
    "jsonschema": "schema.py",
    "markdown_it": "render.py",
    "matplotlib": "plot.py",
    "nest_asyncio": "tools.py",
    "nest_asyncio2": "tools.py",
    "pandas": "sweeps.py",
    "platformdirs": "home.py",
    "pydantic": "schema.py",
    "pygments": "render.py",
    "referencing": "schema.py",
    "sqlite3": "store.py",
    "typing_extensions": "schema.py",
    "xllamacpp": "local.py",
}
EVERYWHERE = {"di_magics", "IPython", "traitlets"}
# What these may know of the rest of the package, besides the core.
NEIGHBOURS = {
    "attachments.py": {"store"},
    "endpoint.py": set[str](),
    "home.py": set[str](),
    "loop.py": set[str](),
    "render.py": set[str](),
    "exchange.py": {"frames", "ports"},
    "frames.py": {"ports"},
    "ledger.py": {"store"},
    "listing.py": {"loop", "ports"},
    "ports.py": set[str](),
    "rounds.py": {"exchange", "frames", "loop", "ports"},
    "session.py": {"listing", "loop", "ports", "rounds"},
    "store.py": set[str](),
    "turns.py": {"attachments", "ledger", "store"},
}
# The core has no clock, no chance, no threads, and does not reach outside.
IMPURE = {
    "asyncio",
    "builtins",
    "concurrent",
    "ctypes",
    "datetime",
    "getpass",
    "http",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}
HEAVY = [
    "anywidget",
    "docstring_parser",
    "httpx",
    "ipywidgets",
    "jsonschema",
    "markdown_it",
    "matplotlib",
    "pandas",
    "platformdirs",
    "pydantic",
    "pygments.formatters.html",
    "xllamacpp",
]


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of what a file imports, wherever in it, but for types alone."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def within(name: str, package: str) -> bool:
    """Return whether this name is the package or something in it."""
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("file", FILES)
def test_each_library_has_one_door(file: str) -> None:
    """Only the file that is there for it imports a library; what is not listed is not used."""
    for name in imports(FILES[file]):
        top = name.partition(".")[0]
        door = next((door for library, door in DOORS.items() if within(name, library)), None)
        if door:
            assert file == door, f"{file} imports {name}, which is for {door}"
        else:
            assert top in sys.stdlib_module_names or top in EVERYWHERE, name


@pytest.mark.parametrize("file", CORE)
def test_the_core_stands_alone(file: str) -> None:
    """It imports the standard library's pure parts and itself."""
    for name in imports(FILES[file]):
        top = name.partition(".")[0]
        assert within(name, "di_magics.core") or (
            top in sys.stdlib_module_names and top not in IMPURE and top not in DOORS
        ), f"{file} imports {name}"


@pytest.mark.parametrize("file", CORE)
def test_the_core_does_nothing_to_the_world(file: str) -> None:
    """It opens, prints and runs nothing."""
    calls = (
        n for n in ast.walk(ast.parse(FILES[file].read_text("utf-8"))) if isinstance(n, ast.Call)
    )
    called = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    assert not called & IMPURE_CALLS


@pytest.mark.parametrize("file", sorted(NEIGHBOURS.keys() & FILES.keys()))
def test_what_is_below_does_not_know_what_is_above(file: str) -> None:
    """The endpoint knows no session, the session no notebook."""
    allowed = {"core", *NEIGHBOURS[file]}
    found = (name.split(".") for name in imports(FILES[file]) if within(name, "di_magics"))
    assert {parts[1] for parts in found} <= allowed


def added(program: str, folder: Path) -> dict[str, object]:
    """Run a program in a fresh Python; return its modules that are heavy, and its threads."""
    ending = (
        "\nimport json, sys, threading\n"
        "print(json.dumps([sorted(sys.modules), threading.active_count()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program + ending],
        cwd=PACKAGE.parent,
        env={**os.environ, "IPYTHONDIR": str(folder)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    modules, threads = json.loads(done.stdout.splitlines()[-1])
    return {"heavy": sorted(set(modules) & set(HEAVY)), "threads": threads, "modules": modules}


def test_importing_the_core_adds_nothing_heavy(tmp_path: Path) -> None:
    """All of it loads with the standard library alone, without an event loop or a thread."""
    names = [f"di_magics.{name[:-3].replace('/', '.')}" for name in CORE if "__" not in name]
    found = added(f"import importlib\nfor name in {names}: importlib.import_module(name)", tmp_path)
    assert (found["heavy"], found["threads"]) == ([], 1)
    modules = found["modules"]
    assert isinstance(modules, list)
    assert not {"asyncio", "IPython", "socket"} & set(modules)


@pytest.mark.parametrize(
    "program",
    [
        "import di_magics",
        "import di_magics; dir(di_magics); di_magics.ParamError; di_magics.Reply",
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_line_magic('load_ext', 'di_magics')\n"
        "assert 'chat' in shell.magics_manager.magics['cell']\n",
    ],
    ids=["import", "names", "load_ext"],
)
def test_loading_adds_nothing_heavy(program: str, tmp_path: Path) -> None:
    """Neither the import nor `%load_ext` brings in what only an answer needs."""
    assert added(program, tmp_path)["heavy"] == []


def test_loading_starts_no_thread(tmp_path: Path) -> None:
    """The loop's thread starts with the first request."""
    shell = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
    )
    load = "shell.run_line_magic('load_ext', 'di_magics')\n"
    assert added(shell + load, tmp_path)["threads"] == added(shell, tmp_path)["threads"]
