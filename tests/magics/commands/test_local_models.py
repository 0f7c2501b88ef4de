"""`%chat local`: the models on this machine, fetching one, and ending their server."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hub import Hub
from kernel import Kernel
from shell import Run

import di_magics as di
from di_magics.endpoints.local_model import MODEL
from di_magics.magics.commands import local_models

REPO = "me/Model-GGUF"
FILES = {"Tiny-Q4_K_M.gguf": b"GGUF" + bytes(2_999_996)}


def test_the_models_on_this_machine_are_listed_and_used_by_name(run: Run, tmp_path: Path) -> None:
    """Those in the state folder; the built-in one is there before it is fetched."""
    assert "fetched at the first question" in run("%chat local").text
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    (models / "Tiny-1B.Q4_K_M.gguf").write_bytes(b"GGUF" + bytes(2_999_996))
    (models / "notes.txt").touch()
    shown = run("%chat local").text
    assert re.search(r"Tiny-1B.Q4_K_M +3 MB +endpoint local:Tiny-1B.Q4_K_M", shown)
    assert "notes" not in shown
    for name in ("Tiny-1B.Q4_K_M", "Tiny-1B.Q4_K_M.gguf", models / "Tiny-1B.Q4_K_M.gguf"):
        run("%chat unset endpoint")
        assert "The model is Tiny-1B.Q4_K_M;" in run(f"%chat endpoint local:{name}").text
    assert "→" in run("%chat local").text.partition("Tiny")[0]
    error = str(run("%chat endpoint local:Tiny").error)
    assert "Did you mean Tiny-1B.Q4_K_M? %chat local lists" in error


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A mirror of the Hugging Face hub, not asked yet."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return Hub(FILES)


def test_a_model_is_fetched_from_the_hub_and_used(run: Run, hub: Hub) -> None:
    """Size and licence are shown first; a second time there is nothing to do."""
    with hub:
        shown = run(f"%chat local get {REPO}").text
        assert "Tiny-Q4_K_M.gguf from me/Model-GGUF: 3 MB, licence apache-2.0." in shown
        assert "hash is right. Use it with %chat endpoint local:Tiny-Q4_K_M" in shown
        assert "is there already" in run(f"%chat local get {REPO}:q4").text
    assert "The model is Tiny-Q4_K_M;" in run("%chat endpoint local:Tiny-Q4_K_M").text


@pytest.mark.parametrize("answer", ["n", "y"])
def test_a_large_file_is_asked_about(
    run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str
) -> None:
    """Nobody waits for a gigabyte by mistake."""
    monkeypatch.setattr(local_models, "ASKED_BYTES", 1_000_000)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    with hub:
        shown = run(f"%chat local get {REPO}").text
    assert ("Nothing was fetched." in shown) == (answer == "n")
    assert (tmp_path / "home" / "models" / "Tiny-Q4_K_M.gguf").exists() == (answer == "y")


def test_a_full_disk_and_another_file_are_said_before(
    run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is overwritten, and nothing is begun that cannot end."""
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    with hub:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
            error = run(f"%chat local get {REPO}").error
        assert isinstance(error, di.StoreError)
        assert "Only 1 kB are free" in str(error)
        (models / "Tiny-Q4_K_M.gguf").write_bytes(b"mine")
        assert "another file" in str(run(f"%chat local get {REPO}").error)
    assert (models / "Tiny-Q4_K_M.gguf").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("get", "local get Qwen/Qwen3-0.6B-GGUF"),
        ("get a/b c/d", "local get Qwen/Qwen3-0.6B-GGUF"),
        ("get nothing", "not a repository"),
        ("fetch", "does not know fetch"),
    ],
)
def test_a_wrong_line_is_one_line(run: Run, line: str, message: str) -> None:
    """With an example."""
    assert message in str(run(f"%chat local {line}").error)


def test_without_the_extra_the_line_names_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not installed by default."""
    monkeypatch.setattr("di_magics.endpoints.model_hub.is_available", lambda: False)
    assert "pip install huggingface_hub" in str(run(f"%chat local get {REPO}").error)


def test_the_server_is_ended_for_all_notebooks(kernel: Kernel, model_home: Path) -> None:
    """The next question starts it again."""
    kernel.run(f"%env DI_MAGICS_HOME={model_home}\n%load_ext di_magics")
    ask = "%%chat --max-tokens 2\nhi"
    assert "on this machine" in kernel.run(ask).text
    assert "has ended" in kernel.run("%chat local stop").text
    assert "No local model" in kernel.run("%chat local stop").text
    again = kernel.run(ask)
    assert again.status == "ok"
    assert MODEL.name in again.text
