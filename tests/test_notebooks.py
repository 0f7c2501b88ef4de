"""Every notebook in notebooks/ runs from top to bottom, on the built-in model."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from loopback import Answer, Loopback, Raw, Reply, Request
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
        if "--tools" in cell.source:  # what the built-in model cannot be offered
            assert output["ename"] == "ToolError"
            continue
        assert "on this machine" in output["data"]["text/plain"]
        found = output["metadata"]["di_magics"]
        assert found.get("grid") or found["status"] == "done"
        assert "failed" not in output["data"]["text/plain"]


FOLDER_OF_STREAMS = Path(os.environ.get("DI_MAGICS_STREAMS") or "no-such-folder")
CALLS: list[Answer] = [
    Reply("", tool_calls=[{"name": "weather", "arguments": '{"location": "San Francisco"}'}]),
    *(
        Raw([stream])
        for file in sorted(FOLDER_OF_STREAMS.glob("recorded/*-tool-call.sse"))
        if b'"weather"' in (stream := file.read_bytes())
    ),
]


@pytest.mark.kernel
@pytest.mark.parametrize("calls", CALLS, ids=lambda calls: type(calls).__name__)
def test_the_tools_of_the_notebook_are_called(
    calls: Answer, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a model that calls functions, and with what several services really send, all runs."""

    def answer(request: Request) -> Answer:
        asked = request.json
        if "response_format" in asked:
            cut = asked.get("max_tokens") == 8
            fitting = '{"name": "Ada", "age": 36, "city": "London", "mood": "sad"}'
            return Reply(fitting[:9] if cut else fitting, finish="length" if cut else "stop")
        called = any(message["role"] == "tool" for message in asked["messages"])
        if "tools" in asked and not called:
            return calls
        return Reply("No umbrella.\n\n```python\nprint(1)\n```\n")

    server.default = answer
    monkeypatch.setenv("DI_MAGICS_BASE_URL", server.url)
    monkeypatch.setenv("DI_MAGICS_MODEL", "a-model")
    notebook = nbformat.read(FOLDER / "06-tools-and-structure.ipynb", as_version=4)
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=folder).execute()
    (cell,) = (cell for cell in notebook.cells if cell.source.startswith("%%chat --tools"))
    (output,) = cell.outputs
    assert "No umbrella." in output["data"]["text/html"]
    assert "weather(" in output["data"]["text/plain"]
    (result,) = output["metadata"]["di_magics"]["rounds"][0]["results"]
    assert "12.5" in result[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(path: Path) -> None:
    """The outputs are made by who runs them; the repository has none."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
