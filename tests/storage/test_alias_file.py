"""The user's own names of models, in a file that all kernels share."""

from __future__ import annotations

from pathlib import Path

import pytest

import di_magics as di
from di_magics.storage.alias_file import AliasFile


def test_an_alias_is_kept_for_the_next_kernel(tmp_path: Path) -> None:
    """And one that another kernel sets is known here."""
    here, there = AliasFile(tmp_path / "home"), AliasFile(tmp_path / "home")
    assert here.current() == {}
    here.set("fast", "maker/Model-1:free")
    assert there.resolve("fast") == "maker/Model-1:free"
    assert there.resolve("maker/other") == "maker/other"
    there.set("slow", "maker/Model-2")
    there.set("fast", None)
    assert here.current() == {"slow": "maker/Model-2"}
    assert (tmp_path / "home" / "aliases.json").stat().st_mode & 0o777 == 0o600


def test_without_a_state_folder_it_lasts_as_long_as_the_kernel() -> None:
    """Nothing is written."""
    aliases = AliasFile(None)
    aliases.set("fast", "m")
    assert aliases.resolve("fast") == "m"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        *((name, "m") for name in ("a b", "", "-m", "x" * 61, "maker/m")),
        *(("a", model) for model in (" ", "m\n", "m" * 301)),
        ("gone", None),
    ],
)
def test_what_is_no_name_is_refused(name: str, model: str | None) -> None:
    """An alias is one word, and a model's name is one line."""
    with pytest.raises(di.ParamError):
        AliasFile(None).set(name, model)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', "[" * 100_000, " " * 100_001])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    """With what to do."""
    (tmp_path / "aliases.json").write_text(text)
    with pytest.raises(di.ParamError, match=r"aliases\.json.* Correct or remove"):
        AliasFile(tmp_path).current()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """And the alias is not there."""
    (tmp_path / "home").write_text("a file")
    aliases = AliasFile(tmp_path / "home")
    with pytest.raises(di.ParamError, match="cannot be saved"):
        aliases.set("fast", "m")
    assert aliases.resolve("fast") == "fast"
