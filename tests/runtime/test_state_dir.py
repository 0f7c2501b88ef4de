"""The state folder is private, and may be switched off."""

from __future__ import annotations

from pathlib import Path

import pytest

from di_magics.core.errors import StoreError
from di_magics.runtime.state_dir import state_dir


def test_with_home_off_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """With DI_MAGICS_HOME=off there is no state folder."""
    monkeypatch.setenv("DI_MAGICS_HOME", "off")
    assert state_dir() is None


def test_the_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is created with its parents, and only its owner may look into it."""
    monkeypatch.setenv("DI_MAGICS_HOME", str(tmp_path / "a" / "b"))
    folder = state_dir()
    assert folder == tmp_path / "a" / "b"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_created_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the variable to set."""
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("DI_MAGICS_HOME", str(file / "home"))
    with pytest.raises(StoreError, match="DI_MAGICS_HOME"):
        state_dir()
