"""The scripts of the widgets, and the one module that each widget gets."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import zlib
from collections import Counter
from pathlib import Path

import pytest

from di_magics.core.shown import formula
from di_magics.display import widgets

SCRIPTS = {path.stem: path.read_text("utf-8") for path in widgets.STATIC.glob("*.js")}
WIDGETS = ["live", "grid", "panel", "lens"]
TOP_LEVEL = re.compile(
    r"^(?:export )?(?:async )?(?:const|let|var|function|class) (\w+)", re.MULTILINE
)
IMPORT = re.compile(r'^import \{ ([^}]*) \} from "\./(\w+)\.js";$', re.MULTILINE)


def test_a_top_level_name_is_unique_in_all_scripts() -> None:
    """Or it would be defined twice where they are put together."""
    names = Counter(name for script in SCRIPTS.values() for name in TOP_LEVEL.findall(script))
    assert names["formulaAt"] == 1
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_imports_what_is_there_by_its_name(script: str) -> None:
    """Each import is one that the module text can do without, and there is no circle."""
    imports = IMPORT.findall(SCRIPTS[script])
    assert len(imports) == len(re.findall(r"^import\b", SCRIPTS[script], re.MULTILINE))
    for names, other in imports:
        for name in names.split(", "):
            assert re.search(rf"^export .*\b{name}\b", SCRIPTS[other], re.MULTILINE)
        assert script not in widgets._sources(other)


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_module_is_whole(widget: str, tmp_path: Path) -> None:
    """It can be read, has one export, no comment, and all that its scripts define."""
    node = shutil.which("node")
    assert node, "Node is missing. Run the tests with tests/run.py."
    text = widgets.join_scripts(widget)
    path = tmp_path / "widget.mjs"
    path.write_text(text, "utf-8")
    subprocess.run([node, "--check", str(path)], check=True)
    assert re.findall(r"\bexport \w+", text) == ["export default"]
    assert not re.search(r"^\s*import\b|/\*|^\s*//|@param", text, re.MULTILINE)
    sources = widgets._sources(widget)
    assert ("formula" in sources) == text.startswith(f"const TEX={formula.as_json()}")
    for name in TOP_LEVEL.findall("".join(sources.values())):
        assert re.search(rf"\b(?:const|let|function|class) {name}\b", text)


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_module_is_small_and_complete(widget: str) -> None:
    """Each cell that shows a widget sends it anew, compressed; the lens is used seldom.

    A reply that streams needs more than the panel: what makes a model's Markdown safe, the
    direction of its blocks, and what gets the end of a reply to a page that had lost its
    connection.
    """
    text = widgets.module(widget)
    most = {"lens": 30_000, "live": 15_000, "grid": 15_000, "panel": 13_000}.get(widget, 12_000)
    assert len(text.encode()) <= most
    (code,) = re.findall(r'const PACKED = "(.+)";', text)
    assert zlib.decompress(base64.b64decode(code)).decode() == widgets.join_scripts(widget)


def test_a_panel_loads_nothing_of_a_lens() -> None:
    """The script of its preview comes with the first lens."""
    panel = widgets.join_scripts("panel")
    assert "lastPosition" in panel
    assert "reshape" not in panel
    assert "class Preview" in widgets.join_scripts("lens")
