"""The file that lets a local model read images, which llama.cpp calls a multimodal projector."""

from __future__ import annotations

from pathlib import Path

_PREFIX = "mmproj"


def is_projector(name: str) -> bool:
    """Return whether a file of this name is a projector."""
    return name.lower().startswith(_PREFIX)


def projector_name(model: str) -> str:
    """Return the name of the projector's file for that of a model."""
    return f"{_PREFIX}-{model}"


def find_projector(model: Path) -> Path | None:
    """Return the projector beside a model's file, None if there is none.

    Its name is that of `projector_name`, or the folder holds one model and one projector.
    """
    own = model.with_name(projector_name(model.name))
    if own.is_file():
        return own
    files = list(model.parent.glob("*.gguf"))
    projectors = [file for file in files if is_projector(file.name)]
    return projectors[0] if len(projectors) == 1 and len(files) == 2 else None
