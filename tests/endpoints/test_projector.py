"""Images for a local model: llama.cpp reads them with a projector beside the model's file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf import write_projector
from PIL import Image
from shell import Run

from di_magics.endpoints.local_model import MODEL
from di_magics.endpoints.local_server import end_servers
from di_magics.endpoints.projector import find_projector, projector_name


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["a.gguf", "b.gguf", "mmproj-a.gguf", "mmproj-b.gguf"], "mmproj-a.gguf"),
        (["a.gguf", "mmproj-model-f16.gguf"], "mmproj-model-f16.gguf"),
        (["a.gguf", "MMPROJ.gguf", "notes.txt"], "MMPROJ.gguf"),
        (["a.gguf", "b.gguf", "mmproj-b.gguf"], None),
        (["a.gguf", "mmproj-1.gguf", "mmproj-2.gguf"], None),
        (["a.gguf", "b.gguf"], None),
        (["a.gguf"], None),
    ],
)
def test_the_projector_of_a_model_is_beside_it(
    tmp_path: Path, files: list[str], found: str | None
) -> None:
    """By its name, or because no other file could be meant."""
    for name in files:
        (tmp_path / name).touch()
    projector = find_projector(tmp_path / "a.gguf")
    assert (projector and projector.name) == found


@pytest.fixture
def models(tmp_path: Path, model_home: Path) -> Iterator[Path]:
    """The folder of models of a user who has one called `seer`, without a projector so far."""
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    (models / "seer.gguf").symlink_to(model_home / "models" / MODEL.file)
    yield models
    end_servers(tmp_path / "home")


@pytest.mark.local
def test_a_model_with_a_projector_reads_images(run: Run, models: Path, tmp_path: Path) -> None:
    """It is listed as one, and its projector is not listed; without it an error says so."""
    Image.new("RGB", (48, 48), "red").save(tmp_path / "red.png")
    run("%chat endpoint local:seer")
    ask = "%%chat --max-tokens 4 --once\nWhat is it?"
    ask_image = f"%%chat --max-tokens 4 --once -a {tmp_path / 'red.png'}\nWhat is it?"
    assert "images" in str(run(ask_image).error)
    assert "reads images" not in run("%chat local").text
    write_projector(models / projector_name("seer.gguf"))
    run("%chat local stop")
    shown = run("%chat local").text
    assert "reads images" in shown
    assert "mmproj" not in shown
    counts = [run(cell).text.partition(" → ")[0].rpartition(" · ")[2] for cell in (ask, ask_image)]
    words, image = (int(count.split()[0]) for count in counts)
    assert image == words + 4  # a token for each patch


@pytest.mark.local
def test_a_projector_that_does_not_fit_is_said(run: Run, models: Path) -> None:
    """llama.cpp's own reason is shown, in one line."""
    write_projector(models / projector_name("seer.gguf"), embedding=64)
    run("%chat endpoint local:seer")
    assert "did not start" in str(run("%%chat --once\nhi").error)
