"""Files that a user names: regular ones, of a bounded size, and nothing is waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from di_magics.core.errors import ParamError
from di_magics.runtime import files
from di_magics.runtime.files import read_bounded


def refused(path: Path, limit: int = 100) -> str:
    """Return the one line with which a file is refused."""
    with pytest.raises(ParamError) as caught:
        read_bounded(path, limit, path.name)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_file_is_read_up_to_the_limit(tmp_path: Path, size: int) -> None:
    """All of its bytes are returned."""
    (tmp_path / "a").write_bytes(b"x" * size)
    assert read_bounded(tmp_path / "a", 100, "a") == b"x" * size


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    """As users link their data."""
    (tmp_path / "a").write_bytes(b"data")
    (tmp_path / "b").symlink_to("a")
    assert read_bounded(tmp_path / "b", 100, "b") == b"data"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["folder", "pipe", "/dev/zero", "/dev/null", "socket"])
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_not_a_regular_file_is_refused(
    tmp_path: Path, kind: str, linked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directly and by a link, without waiting."""
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            monkeypatch.chdir(tmp_path)  # a path of a socket must be short
            server.bind("socket")
    else:
        path = Path(kind)
    if linked:
        (tmp_path / "link").symlink_to(path)
        path = tmp_path / "link"
    assert "is not a regular file" in refused(path)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_a_file_that_is_replaced_before_it_is_opened_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was opened is looked at once more."""
    (tmp_path / "a").write_bytes(b"x")
    status = (tmp_path / "a").stat()
    (tmp_path / "a").unlink()
    os.mkfifo(tmp_path / "a") if kind == "pipe" else (tmp_path / "a").mkdir()
    monkeypatch.setattr(Path, "stat", lambda path: status)
    with pytest.raises((ParamError, IsADirectoryError)):
        read_bounded(tmp_path / "a", 100, "a")


@pytest.mark.parametrize(("size", "shown"), [(101, "0 kB"), (5_000_000, "5 MB")])
def test_too_large_a_file_is_refused_by_its_size(tmp_path: Path, size: int, shown: str) -> None:
    """It is not read."""
    with (tmp_path / "a").open("wb") as file:
        file.truncate(size)
    assert f"a is too large ({shown}; at most 0 kB are read)" in refused(tmp_path / "a")


def test_a_file_whose_size_is_not_true_is_read_up_to_the_limit() -> None:
    """The files of /proc say that they are empty."""
    path = Path("/proc/self/maps")
    assert "is too large" in refused(path if path.exists() else Path(__file__), 1)


def test_a_suffix_is_looked_at_first(tmp_path: Path) -> None:
    """A file of another kind is not even looked for."""
    with pytest.raises(ParamError, match=r"a\.txt must end in \.json or \.md"):
        read_bounded(tmp_path / "a.txt", 100, "a.txt", (".json", ".md"))
    (tmp_path / "a.JSON").write_bytes(b"{}")
    assert read_bounded(tmp_path / "a.JSON", 100, "a.JSON", (".json", ".md")) == b"{}"


@pytest.mark.parametrize("name", ["missing", "no/where", "a\0b", "x" * 5000])
def test_a_path_that_cannot_be_read_is_an_error_of_its_own(tmp_path: Path, name: str) -> None:
    """Whoever asks says what could be meant instead."""
    with pytest.raises((OSError, ValueError)) as caught:
        read_bounded(tmp_path / name, 100, name)
    assert not isinstance(caught.value, ParamError)
    assert isinstance(caught.value, OSError | ValueError)
    assert files.os_error_reason(caught.value)


def test_a_file_is_found_under_another_name(tmp_path: Path) -> None:
    """Of the same suffix, in the same folder; the name that it has now comes first."""
    file = tmp_path / "a.ipynb"
    file.write_text("1")
    identity = files.file_identity(str(file))
    assert files.find_renamed(str(file), identity) == str(file)
    file.write_text("2")
    assert files.file_identity(str(file)) == identity
    file.rename(tmp_path / "b.ipynb")
    assert files.find_renamed(str(file), identity) == str(tmp_path / "b.ipynb")
    (tmp_path / "b.ipynb").rename(tmp_path / "b.txt")
    assert files.find_renamed(str(file), identity) is None
    assert files.find_renamed(str(file), "") is None
    assert files.find_renamed(str(tmp_path / "missing" / "a.ipynb"), identity) is None


def test_a_file_is_found_by_what_it_contains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The named one first; no more is read than the limit, and no folder or pipe."""
    for name, text in (("a", "x"), ("b", "xy"), ("c", "y")):
        (tmp_path / f"{name}.ipynb").write_text(text)
    (tmp_path / "folder.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    place = str(tmp_path / "b.ipynb")
    assert files.find_containing(place, b"x") == place
    assert files.find_containing(str(tmp_path / "missing.ipynb"), b"xy") == place
    assert files.find_containing(place, b"z") is None
    monkeypatch.setattr(files, "MOST_READ", 1)
    assert files.find_containing(place, b"xy") is None
