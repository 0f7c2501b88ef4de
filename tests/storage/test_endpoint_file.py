"""The file of a user's own endpoints."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from di_magics.core.errors import ParamError
from di_magics.storage.endpoint_file import EndpointFile


@pytest.fixture(autouse=True)
def _no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DI_MAGICS_ENDPOINTS", raising=False)


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    """Nor without a folder of state."""
    assert EndpointFile(tmp_path).current() == {}
    assert EndpointFile(None).current() == {}


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    """It is endpoints.toml in the state folder."""
    file, path = EndpointFile(tmp_path), tmp_path / "endpoints.toml"
    path.write_text('school = "https://one.example/v1"')
    assert file.current()["school"].url == "https://one.example/v1"
    path.write_text('[school]\nurl = "https://another.example/v1"')
    assert file.current()["school"].url == "https://another.example/v1"
    path.unlink()
    assert file.current() == {}


def test_the_environment_names_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without a folder of state."""
    path = tmp_path / "mine.toml"
    path.write_text('school = "https://one.example/v1"')
    monkeypatch.setenv("DI_MAGICS_ENDPOINTS", f" {path} ")
    assert list(EndpointFile(None).current()) == ["school"]


@pytest.mark.parametrize(
    "content", [b"school =", b"\xff", b"school = 1", b"[school]", b"a=" * 60_000]
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, content: bytes) -> None:
    """Every time it is used, until it is corrected."""
    path = tmp_path / "endpoints.toml"
    path.write_bytes(content)
    file = EndpointFile(tmp_path)
    for _ in range(2):
        with pytest.raises(ParamError, match=r"endpoints\.toml") as error:
            file.current()
        assert "\n" not in str(error.value)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Only a regular file is read."""
    os.mkfifo(tmp_path / "endpoints.toml")
    with pytest.raises(ParamError, match="not a regular file"):
        EndpointFile(tmp_path).current()
