"""What the package is from outside: its names, its version, its README and its files."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Loopback, Reply
from readme_tables import params_table, services_table

import di_magics as di
from di_magics.core import errors
from di_magics.core.settings.flags import FLAGS, KEYS
from di_magics.magics.commands import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
README = (ROOT / "README.md").read_text("utf-8")
NOT_SHIPPED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "node_modules"
)


def test_the_public_names_are_these() -> None:
    """A name is added or taken away on purpose only."""
    assert di.__all__ == [
        "BadRequest",
        "BudgetError",
        "Busy",
        "ChatError",
        "Conversation",
        "DiMagicsError",
        "Endpoint",
        "EndpointError",
        "Interrupted",
        "ParamError",
        "PolicyError",
        "Refused",
        "Reply",
        "ReplyError",
        "StoreError",
        "StreamBroken",
        "Sweep",
        "TooLong",
        "ToolCall",
        "ToolError",
        "Unreachable",
        "Usage",
        "aask",
        "ask",
        "branch",
        "diff",
        "lab",
        "lens",
        "panel",
        "safe",
        "score",
        "stream",
        "sweep",
    ]


def test_type_checkers_know_every_public_name() -> None:
    """The imports for them and `__all__` are one list, and each name is what is imported."""
    [for_types] = [
        node
        for node in ast.parse(Path(di.__file__).read_text("utf-8")).body
        if isinstance(node, ast.If)
    ]
    homes = {
        alias.name: node.module
        for node in for_types.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes.pop("tools") == "di_magics"
    assert sorted(homes) == sorted(di.__all__)
    for name, home in homes.items():
        assert getattr(di, name) is getattr(importlib.import_module(home or ""), name)


@pytest.mark.parametrize("name", di.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Under its own name, with a docstring, and in what `dir` lists."""
    found = getattr(di, name)
    assert found.__name__ == name
    assert found.__doc__
    assert name in dir(di)


def test_dir_lists_the_public_names_only() -> None:
    """For Tab after `di.`."""
    names = [name for name in dir(di) if not name.startswith("_")]
    assert names == sorted([*di.__all__, "tools"])


def test_no_module_takes_the_place_of_a_public_name() -> None:
    """Importing a module sets its name in the package, whatever was there."""
    modules = {path.stem for path in Path(di.__file__).parent.iterdir()}
    assert not modules & set(di.__all__)


def test_all_errors_are_public() -> None:
    """Whatever is raised can be caught by a name of the package."""
    result = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    assert result <= set(di.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for any module."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        importlib.import_module("di_magics").nothing  # noqa: B018


def test_the_version_is_written_once() -> None:
    """What is installed, pyproject.toml and the newest heading of CHANGELOG.md agree."""
    assert di.__version__ == PROJECT["project"]["version"]
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == di.__version__


def readme_table(name: str) -> str:
    """Return a table of the README."""
    (table,) = re.findall(rf"<!-- table: {name} -->\n(.*?)\n<!-- end -->", README, re.DOTALL)
    assert isinstance(table, str)
    return table


def test_the_readme_has_the_table_of_parameters() -> None:
    """Word for word the one that validation reads."""
    assert readme_table("parameters") == params_table()


def test_the_readme_has_the_lowest_versions() -> None:
    """They are those that pyproject.toml allows, and no table of versions is without these."""
    project = PROJECT["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    required = [f"python{project['requires-python']}", *project["dependencies"], *extras]
    allowed = dict(requirement.split(">=") for requirement in required)
    rows = [row.split(" | ") for row in readme_table("versions").splitlines()[2:]]
    lowest = {row[0].removeprefix("| ").lower(): row[1] for row in rows}
    assert lowest == {name: allowed[name] for name in lowest}
    front_ends = {"ipython", "ipykernel", "ipywidgets", "jupyterlab", "notebook"}
    assert lowest.keys() >= front_ends | {"python", "xllamacpp"}


def test_the_readme_has_the_table_of_endpoints() -> None:
    """Word for word the one that routing reads."""
    assert services_table() in README


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_names_every_command(name: str) -> None:
    """Somewhere in its text, as it is typed."""
    assert re.search(rf"`(?:%chat )?{name}\b", README)


@pytest.mark.parametrize("key", FLAGS)
def test_the_readme_names_every_flag(key: str) -> None:
    """By one of its names."""
    assert any(f"`{name}" in README or f", `{name}`" in README for name in FLAGS[key].names)


def test_the_documents_name_no_other_command_and_no_other_flag() -> None:
    """What was renamed or taken away is not left in a text."""
    texts = [README, (ROOT / "SECURITY.md").read_text("utf-8")]
    spans = [span for text in texts for span in re.findall(r"`[^`\n]+`", text)]
    commands = {name for span in spans for name in re.findall(r"%chat (\w+)", span)}
    assert commands <= set(COMMANDS)
    usages = " ".join(command.usage for command in COMMANDS.values())
    typed = [span for span in spans if not span.startswith(("`python", "`jupyter"))]
    flags = {name for span in typed for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+", span)}
    others = {"--allow-root", "--others", "--password", *re.findall(r"--[a-z]+", usages)}
    assert flags <= {*KEYS, *others}


@pytest.mark.local
def test_the_python_of_the_readme_runs(
    server: Loopback, shell: InteractiveShell, model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the built-in model where it says so, else on a server; in order, in one namespace."""
    monkeypatch.setenv("DI_MAGICS_HOME", str(model_home))
    monkeypatch.setenv("DI_MAGICS_BASE_URL", server.url)
    monkeypatch.setenv("DI_MAGICS_MODEL", "a-model")
    monkeypatch.chdir(ROOT)
    schema = Reply('{"sum": 7}')
    server.default = lambda request: schema if "tools" in request.json else Reply("a cat")
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        shell.run_cell(block).raise_error()
    assert shell.user_ns["reply"].json().sum == 7
    assert [record["cat"] for record in shell.user_ns["sweep"].records] == [True] * 10


DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "di_magics/README.md"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_of_the_documents_lead_somewhere(name: str) -> None:
    """Those to files of the repository, from the folder of the document."""
    document = ROOT / name
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))
    files = [link for link in links if "://" not in link]
    assert [link for link in files if not (document.parent / link).is_file()] == []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of the project, and a wheel and an sdist built from it."""
    folder = tmp_path_factory.mktemp("built")
    copy, backend, out = folder / "copy", folder / "backend", folder / "out"
    (out / "editable").mkdir(parents=True)
    shutil.copytree(ROOT, copy, ignore=NOT_SHIPPED)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    requires = PROJECT["build-system"]["requires"]
    subprocess.run([*pip, "--target", str(backend), *requires], check=True)
    build = (
        "import sys; from setuptools import build_meta as backend; out = sys.argv[1]; "
        "backend.build_sdist(out); backend.build_wheel(out); "
        "backend.build_editable(out + '/editable')"
    )
    subprocess.run(
        [sys.executable, "-c", build, str(out)],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(backend)},
        check=True,
        capture_output=True,
    )
    return folder


def package_files(root: Path) -> set[str]:
    """Return the files of the package, scripts, data and marker included."""
    paths = (path for path in (root / "di_magics").rglob("*") if path.is_file())
    names = {path.relative_to(root).as_posix() for path in paths if path.suffix != ".pyc"}
    data = ("py.typed", "README.md", "endpoints/prices.json", "storage/schema.sql")
    assert names >= {f"di_magics/{name}" for name in data}
    assert any(re.fullmatch(r"di_magics/display/static/\w+\.js", name) for name in names)
    return names


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    """Modules, widget scripts, the map and py.typed."""
    [wheel] = built.glob("out/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        own = re.compile(r"\.dist-info/|\.data/data/share/jupyter/labextensions/")
        names = {name for name in archive.namelist() if not own.search(name)}
        metadata = next(n for n in archive.namelist() if n.endswith("/METADATA"))
        assert "License-Expression: MIT" in archive.read(metadata).decode()
    elsewhere = "di_magics/labextension/"
    files = package_files(built / "copy")
    assert names == {name for name in files if not name.startswith(elsewhere)}


COMMENT = re.compile(rb"/\*\*(?s:.*?)\*/\s?|^\s*//.*\n", re.MULTILINE)


# Tests labextension/editable_install.
@pytest.mark.parametrize("folder", ["out", "out/editable"])
def test_the_wheel_brings_the_labextension(built: Path, folder: str) -> None:
    """Its files go where JupyterLab looks, with the version of the package; editable as well."""
    [wheel] = (built / folder).glob("*.whl")
    version = PROJECT["project"]["version"]
    where = f"di_magics-{version}.data/data/share/jupyter/labextensions/di-magics"
    source = built / "copy" / "di_magics" / "labextension"
    files = {file.relative_to(source).as_posix(): file.read_bytes() for file in labextension(built)}
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".data/" in name]
        assert {name.removeprefix(f"{where}/"): archive.read(name) for name in names} == files
    package = json.loads(files["package.json"])
    assert package["version"] == version
    assert package["jupyterlab"]["_build"]["load"] in files
    code = [COMMENT.sub(b"", files[name]) for name in files if name.endswith(".js")]
    assert sum(map(len, code)) <= 40_000


def labextension(built: Path) -> list[Path]:
    """Return the files of the JupyterLab extension."""
    paths = (built / "copy" / "di_magics" / "labextension").rglob("*")
    return [path for path in paths if path.suffix in (".css", ".js", ".json")]


def test_the_sdist_holds_what_it_takes_to_test(built: Path) -> None:
    """The package, its tests, its notebooks, the licence and the documents."""
    [sdist] = built.glob("out/*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    copy = built / "copy"
    tests = {
        path.relative_to(copy).as_posix()
        for path in (copy / "tests").rglob("*")
        if path.suffix in (".py", ".mjs", ".ts", ".json")
    }
    notebooks = {f"notebooks/{path.name}" for path in (copy / "notebooks").glob("*.ipynb")}
    others = {"LICENSE", "pyproject.toml", *DOCUMENTS}
    assert names >= package_files(copy) | tests | notebooks | others
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
