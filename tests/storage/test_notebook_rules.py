"""The rows of the table in storage/notebook.py: which conversation a notebook's file has."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stored import keep, turn

from di_magics.core.conversation.cells import Cell, NotebookLocation
from di_magics.core.conversation.record import METADATA_KEY
from di_magics.storage.database import Database
from di_magics.storage.notebook import find_notebook, set_location
from di_magics.storage.turns import Turns

NEW = "new"
CELL = Cell("cell-of-b")


def save(path: Path, *turns: str, cells: tuple[str, ...] = ("c",)) -> None:
    """Save a notebook with these turns of notebook "n" in its outputs."""
    outputs = [{"metadata": {METADATA_KEY: {"notebook": "n", "turn": name}}} for name in turns]
    found = [{"id": cell, "outputs": outputs if cell == cells[-1] else []} for cell in cells]
    path.write_text(json.dumps({"cells": found}))


@pytest.fixture
def place(store: Database, tmp_path: Path) -> Path:
    """The file of notebook "n", which has the turns a and b and was used by kernel k."""
    file = tmp_path / "original.ipynb"
    save(file, "a", "b")
    keep(store, turn("a"), replace(turn("b", "a"), cell=CELL))
    set_location(store, "n", NotebookLocation(str(file), "c", "kernel-k"))
    return file


def found_at(store: Database, path: Path, **known: Any) -> str:
    """Return the id that a notebook has here, for a cell in a new kernel."""
    location = replace(NotebookLocation(str(path), "c", "kernel-new"), **known)
    found = find_notebook(store, location, NEW)
    assert found
    return found[0]


def original_of(store: Database, path: Path, **known: Any) -> str:
    """Return the name of the notebook of which this one is a copy."""
    result = find_notebook(
        store, replace(NotebookLocation(str(path), "c", "kernel-new"), **known), NEW
    )
    assert result
    assert result[0] == NEW
    return result[1].removeprefix("this notebook is a copy of ").partition(" ")[0]


def prompts(store: Database, notebook: str) -> list[str]:
    """Return the prompts on the path of a notebook's conversation."""
    return [item.prompt for item in Turns(store, notebook).load().path()]


def test_1_without_a_cell_id_it_is_new(store: Database, place: Path) -> None:
    """So all runs by nbclient are equal; with a front end it may become known later."""
    assert find_notebook(store, NotebookLocation(str(place)), NEW) == (NEW, "")
    assert find_notebook(store, NotebookLocation(str(place), is_final=False), NEW) is None


def test_2_a_restarted_kernel_knows_its_notebook(store: Database, place: Path) -> None:
    """Though nothing was saved; also a copy, whose outputs still have the original's id."""
    save(place, cells=("unknown",))
    assert found_at(store, place, cell="unknown", kernel="kernel-k") == "n"
    save(place, "a")
    copied = Path(shutil.copy(place, place.with_name("copy.ipynb")))
    save(copied, "a")
    assert found_at(store, copied, kernel="kernel-2") == NEW
    found = find_notebook(store, NotebookLocation(str(copied), "c", "kernel-2"), "another")
    assert found
    assert found[0] == NEW


@pytest.mark.parametrize("name", ["renamed.ipynb", "folder/moved.ipynb"])
def test_3a_a_renamed_file_keeps_its_conversation(store: Database, place: Path, name: str) -> None:
    """Even while the kernel that used it last runs."""
    target = place.parent / name
    target.parent.mkdir(exist_ok=True)
    place.rename(target)
    (place.parent / "kernel-k.json").touch()
    assert found_at(store, target, kernels_folder=str(place.parent)) == "n"


@pytest.mark.parametrize("reused", [False, True])
def test_3b_a_copy_knows_the_original_under_its_new_name(
    store: Database, place: Path, reused: bool
) -> None:
    """And so does a copy that has got the original's old name."""
    copied = Path(shutil.copy(place, place.with_name("copy.ipynb")))
    place.rename(place.with_name("renamed.ipynb"))
    if reused:
        copied = copied.rename(place)
    assert original_of(store, copied) == "renamed.ipynb"
    assert found_at(store, place.with_name("renamed.ipynb")) == "n"


def test_3c_a_file_that_was_replaced_keeps_its_conversation(store: Database, place: Path) -> None:
    """By an editor or by git, which write a new file."""
    other = Path(shutil.copy(place, place.with_name("other")))
    os.replace(other, place)
    assert found_at(store, place) == "n"


def test_3d_a_copy_of_a_file_that_is_there(store: Database, place: Path) -> None:
    """In any folder."""
    folder = place.parent / "folder"
    folder.mkdir()
    copied = Path(shutil.copy(place, folder))
    assert original_of(store, copied) == "original.ipynb"


def test_3e_a_copy_of_a_file_that_was_moved_while_it_was_open(store: Database, place: Path) -> None:
    """The original's kernel runs, and it is not this one."""
    copied = Path(shutil.copy(place, place.with_name("copy.ipynb")))
    (place.parent / "kernel-k.json").touch()
    (place.parent / "folder").mkdir()
    place.rename(place.parent / "folder" / place.name)
    assert original_of(store, copied, kernels_folder=str(place.parent)) == "original.ipynb"


def test_3f_a_file_that_was_moved_to_another_disk(store: Database, place: Path) -> None:
    """The last place has no file, its kernel has ended: it is the notebook itself."""
    moved = Path(shutil.copy(place, place.with_name("moved.ipynb")))
    place.unlink()
    assert found_at(store, moved, kernels_folder=str(place.parent)) == "n"


def test_3f_a_copy_of_a_file_that_was_deleted(store: Database, place: Path) -> None:
    """It leads to all the turns; the next copy is a copy of it."""
    older, oldest = place.with_name("older.ipynb"), place.with_name("oldest.ipynb")
    for copied in (older, oldest):
        save(copied, "a")
    place.unlink()
    assert found_at(store, older) == "n"
    assert prompts(store, "n") == ["prompt a", "prompt b"]
    assert original_of(store, oldest) == "older.ipynb"


def test_4_cleared_outputs_lose_nothing(store: Database, place: Path) -> None:
    """The path and the cell of a turn are enough."""
    save(place, cells=("a",))
    assert found_at(store, place) == "n"


def test_5_a_new_file_of_an_old_name_is_new(store: Database, place: Path) -> None:
    """It has none of the cells, and another kernel."""
    place.unlink()
    save(place, cells=("x",))
    assert found_at(store, place, cell="x") == NEW


@pytest.mark.parametrize(
    ("saved", "copied"),
    [((), []), (("a",), ["a"]), (("b",), ["a", "b"]), (("b", "a"), ["a", "b"]), (("x",), [])],
)
def test_a_copy_has_the_turns_up_to_the_newest_in_its_file(
    store: Database, place: Path, saved: tuple[str, ...], copied: list[str]
) -> None:
    """What was asked in the original later is not the copy's; its cell shows what it has."""
    original = Turns(store, "n")
    for later in (turn("e", "b"), replace(turn("d", "a"), cell=CELL)):
        keep(store, later)
        original.save_state(original.load().with_turn(later)).result()
    copy = place.with_name("copy.ipynb")
    records: list[dict[str, object]] = [{"notebook": "n", "turn": name} for name in saved]
    records.append({"notebook": "n", "grid": 3})
    outputs = [{"metadata": {METADATA_KEY: record}} for record in records]
    copy.write_text(json.dumps({"cells": [{"id": "c", "outputs": outputs}]}))
    assert original_of(store, copy) == "original.ipynb"
    assert prompts(store, NEW) == [f"prompt {name}" for name in copied]
    chat = Turns(store, NEW).load()
    shown = chat.turn_shown_in(CELL)
    assert (shown.prompt if shown else None) == ("prompt b" if "b" in copied else None)
    assert len(chat.turns) == len(copied)


def test_a_copy_of_a_copy_has_the_turns_of_both(store: Database, place: Path) -> None:
    """The outputs have the ids of the first notebook where they were not run again."""
    copy = Path(shutil.copy(place, place.with_name("copy.ipynb")))
    assert original_of(store, copy) == "original.ipynb"
    second = Path(shutil.copy(copy, place.with_name("second.ipynb")))
    records = [{"notebook": "n", "turn": "b"}, {"notebook": NEW, "turn": "mine"}]
    outputs = [{"metadata": {METADATA_KEY: record}} for record in records]
    text = json.dumps({"cells": [{"id": "c", "outputs": outputs}]})
    copy.write_text(text)
    second.write_text(text)
    result = find_notebook(store, NotebookLocation(str(second), "c", "kernel-3"), "third")
    assert result
    assert result[0] == "third"
    assert "copy.ipynb" in result[1]
    assert prompts(store, "third") == ["prompt a", "prompt b"]
