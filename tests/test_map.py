"""The map of the code, di_magics/README.md, and CONTRIBUTING.md name only what exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "di_magics"
MAP = (PACKAGE / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PLACE = re.compile(
    r"(?<![\w/.])([\w/.-]*\w\.(?:py|js|mjs|sql|json|toml)\b)(?::([A-Za-z_][\w.]*\w))?"
)
FOLDER = re.compile(r"`((?:[a-z_]+/)+)`")


def places(text: str) -> set[tuple[str, str]]:
    """Return the files that a text names, each with a name in it or an empty one."""
    return {(match[1], match[2] or "") for match in PLACE.finditer(text)}


@cache
def python_names(path: Path) -> set[str]:
    """Return what a Python file defines: functions, classes with their members, values."""
    names: set[str] = set()

    def add(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    names.add(prefix + node.name)
                case ast.ClassDef():
                    names.add(prefix + node.name)
                    add(node.body, f"{prefix}{node.name}.")
                case (
                    ast.Assign(targets=[ast.Name(id=name)])
                    | ast.AnnAssign(target=ast.Name(id=name))
                ):
                    names.add(prefix + name)

    add(ast.parse(path.read_text("utf-8")).body, "")
    return names


def defines(path: Path, name: str) -> bool:
    """Return whether a file defines a name."""
    if path.suffix == ".py":
        return name in python_names(path)
    return bool(re.search(rf"\b(?:function|class|const|let) {name}\b", path.read_text("utf-8")))


def find(named: str) -> list[Path]:
    """Return the files of this name: in the package, in the repository, or anywhere if bare."""
    paths = [PACKAGE / named, ROOT / named]
    found = [path for path in paths if path.is_file()]
    return found or ([] if "/" in named else list(PACKAGE.rglob(named)))


@pytest.mark.parametrize(("file", "name"), sorted(places(MAP) | places(CONTRIBUTING)))
def test_what_the_map_names_exists(file: str, name: str) -> None:
    """Each file, and each function or value in it."""
    found = find(file)
    assert found
    assert not name or any(defines(path, name) for path in found)


def test_the_map_has_every_folder() -> None:
    """Those that it names exist, and each folder of the package has a line."""
    named = set(FOLDER.findall(MAP)) - {"tests/"}
    assert [name for name in sorted(named) if not (PACKAGE / name).is_dir()] == []
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= named


def test_the_map_has_every_thread() -> None:
    """By the name that the code gives it."""
    named = re.compile(r'name(?:_prefix|, timer\.daemon)? ?= ?"(di_magics(?:-\w+)?)"')
    files = PACKAGE.rglob("*.py")
    threads = {name for file in files for name in named.findall(file.read_text("utf-8"))}
    assert len(threads) > 5
    assert threads <= set(re.findall(r"^\| `(di_magics[\w-]*)` \|", MAP, re.MULTILINE))


def test_the_map_tells_who_may_import_what() -> None:
    """As the table that the layers are tested by."""
    from test_layers import FOLDERS

    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \| .* \| (.*) \|$", MAP, re.MULTILINE)
    told = {folder: set(allowed.split(", ")) - {"nothing"} for folder, allowed in rows}
    assert told == {folder: below for folder, below in FOLDERS.items() if "__" not in folder}
