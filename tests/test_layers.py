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
    "IPython.core.magic": "magics/chat.py",
    "PIL": "values/attach.py",
    "anywidget": "display/widgets.py",
    "docstring_parser": "values/tool_schema.py",
    "httpx": "endpoints/client.py",
    "jsonschema": "values/json_schema.py",
    "markdown_it": "display/markdown.py",
    "huggingface_hub": "endpoints/model_hub.py",
    "keyring": "endpoints/keys.py",
    "matplotlib": "display/plot.py",
    "nest_asyncio": "values/async_calls.py",
    "nest_asyncio2": "values/async_calls.py",
    "pandas": "display/sweep.py",
    "platformdirs": "runtime/state_dir.py",
    "psutil": "runtime/process.py",
    "pydantic": "values/typed_json.py",
    "pygments": "display/highlight.py",
    "referencing": "values/json_schema.py",
    "setuptools": "labextension/editable_install.py",
    "sqlite3": "storage/database.py",
    "typing_extensions": "values/typed_json.py",
    "xllamacpp": "endpoints/local_process.py",
}
EVERYWHERE = {"di_magics", "IPython", "traitlets"} | {"annotationlib"}  # of Python 3.14
# Which folders the files of a folder may import, besides their own. A file that stands alone in
# the package counts as a folder of its own.
FOLDERS = {
    "__init__": {"api", "tools", "magics", "display", "endpoints", "core"},
    "__main__": {"endpoints", "runtime", "core"},
    "api": {"magics", "values", "display", "session", "endpoints", "core"},
    "tools": {"values", "core"},
    "magics": {"values", "display", "session", "endpoints", "storage", "runtime", "core"},
    "values": {"runtime", "core"},
    "display": {"runtime", "core"},
    "session": {"endpoints", "storage", "runtime", "core"},
    "endpoints": {"runtime", "core"},
    "storage": {"runtime", "core"},
    "runtime": {"core"},
    "core": set[str](),
    "labextension": set[str](),
}
# The same within the core, where `core/errors.py` and its neighbours count as `core`.
CORE_FOLDERS = {
    "core": set[str](),
    "settings": {"core"},
    "reply": {"core"},
    "money": {"core", "settings", "reply"},
    "conversation": {"core", "settings", "reply", "money"},
    "request": {"core", "settings", "reply", "money", "conversation"},
    "sweep": {"core", "settings", "reply", "money", "conversation"},
    "shown": {"core", "settings", "reply", "money", "conversation", "request"},
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
    "keyring",
    "markdown_it",
    "matplotlib",
    "pandas",
    "platformdirs",
    "pydantic",
    "pygments.formatters.html",
    "xllamacpp",
]


def imports(path: Path, *, types: bool = False) -> Iterator[str]:
    """Yield the full names of what a file imports, wherever in it, and perhaps those for types."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = (
        set()
        if types
        else {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
    )
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


def folder_of(name: str) -> str:
    """Return the folder of the package that a module is in: `magics` for di_magics.magics.chat."""
    return name.split(".")[1] if "." in name else "__init__"


def core_folder_of(name: str) -> str:
    """Return the folder of the core that a module is in: `core` for di_magics.core.errors."""
    parts = name.split(".")
    return parts[2] if len(parts) > 2 and parts[2] in CORE_FOLDERS else "core"


@pytest.mark.parametrize("file", FILES)
def test_a_folder_imports_only_what_is_below_it(file: str) -> None:
    """One table of folders holds for every file; so there is no circle between folders."""
    own = folder_of("di_magics." + file.removesuffix(".py").replace("/", "."))
    for name in imports(FILES[file], types=True):
        if within(name, "di_magics") and name != "di_magics.__version__":
            folder = folder_of(name)
            assert folder == own or folder in FOLDERS[own], f"{file} imports {name}"


@pytest.mark.parametrize("file", CORE)
def test_a_folder_of_the_core_imports_only_what_is_below_it(file: str) -> None:
    """The same rule within the core."""
    own = core_folder_of("di_magics." + file.removesuffix(".py").replace("/", "."))
    for name in imports(FILES[file], types=True):
        if within(name, "di_magics.core"):
            folder = core_folder_of(name)
            assert folder == own or folder in CORE_FOLDERS[own], f"{file} imports {name}"


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Also for types alone, and also within a folder."""
    modules = {"di_magics." + name.removesuffix(".py").replace("/", "."): name for name in FILES}
    below = {
        file: {
            modules[m]
            for n in imports(FILES[file], types=True)
            for m in (n, n.rpartition(".")[0])
            if m in modules
        }
        for file in FILES
        if not file.endswith("__init__.py")
    }
    done: set[str] = set()
    while ready := {
        file for file in below.keys() - done if not (below[file] & below.keys()) - done
    }:
        done |= ready
    assert sorted(below.keys() - done) == []


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


SHELL = (
    "from IPython.core.interactiveshell import InteractiveShell\n"
    "shell = InteractiveShell.instance()\n"
)
LOAD = "shell.run_line_magic('load_ext', 'di_magics')\n"


@pytest.mark.parametrize(
    ("before", "program"),
    [
        ("", "import di_magics"),
        ("", "import di_magics; dir(di_magics); di_magics.ParamError; di_magics.Reply"),
        (SHELL, LOAD + "assert 'chat' in shell.magics_manager.magics['cell']"),
    ],
    ids=["import", "names", "load_ext"],
)
def test_loading_adds_nothing_heavy(before: str, program: str, tmp_path: Path) -> None:
    """Neither the import nor `%load_ext` brings in what only an answer needs."""
    assert added(before + program, tmp_path)["heavy"] == added(before, tmp_path)["heavy"]


def test_loading_starts_no_thread(tmp_path: Path) -> None:
    """The loop's thread starts with the first request."""
    assert added(SHELL + LOAD, tmp_path)["threads"] == added(SHELL, tmp_path)["threads"]
