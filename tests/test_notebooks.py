"""Every notebook in notebooks/ runs from top to bottom, on the built-in model."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.local
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(
    path: Path, model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cell fails, and every `%%chat` cell has a reply with a receipt in its saved output."""
    monkeypatch.setenv("DI_MAGICS_HOME", str(model_home))
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=folder).execute()
    chats = [cell for cell in notebook.cells if cell.source.startswith("%%chat")]
    chats = [cell for cell in chats if "--dry-run" not in cell.source]
    assert chats
    for cell in chats:
        (output,) = cell.outputs
        assert "on this machine" in output["data"]["text/plain"]
        found = output["metadata"]["di_magics"]
        assert found.get("grid") or found["status"] == "done"
        assert "failed" not in output["data"]["text/plain"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(path: Path) -> None:
    """A reader makes the outputs; none are in the repository."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
