"""Files that a user names: regular ones, of a bounded size, and nothing is waited for."""

from __future__ import annotations

import os
import socket
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from growth import growth

from di_magics.core.errors import ParamError
from di_magics.runtime import files
from di_magics.runtime.files import (
    MAX_TOML_BYTES,
    read_bounded,
    read_toml,
    resolve_path,
    write_private,
)


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


@pytest.mark.parametrize(("size", "shown"), [(101, "1 kB"), (5_000_000, "5 MB")])
def test_too_large_a_file_is_refused_by_its_size(tmp_path: Path, size: int, shown: str) -> None:
    """It is not read."""
    with (tmp_path / "a").open("wb") as file:
        file.truncate(size)
    assert f"a is too large ({shown}; at most 1 kB are read)" in refused(tmp_path / "a")


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
    with pytest.raises(OSError, match=r"(?i)file") as caught:
        read_bounded(tmp_path / name, 100, name)
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
    monkeypatch.setattr(files, "MAX_FOLDER_BYTES", 1)
    assert files.find_containing(place, b"xy") is None


TOML: dict[str, Callable[[int], str]] = {
    "a key of many parts": lambda size: "a" + ".a" * (size // 2) + "=1",
    "the same, in quotes": lambda size: '"a"' + ' . "a"' * (size // 6) + "=1",
    "a key of many parts within a value": lambda size: "x={a" + ".a" * (size // 2) + "=1}",
    "a table of many parts": lambda size: "[a" + ".a" * (size // 2) + "]",
    "keys of as many parts as allowed": lambda size: "".join(
        f"k{n}.{'a.' * 18}a=1\n" for n in range(size // 48)
    ),
    "tables": lambda size: "".join(f"[a{n}]\n" for n in range(size // 9)),
    "tables in an array": lambda size: "[[a]]\n" * (size // 6),
    "tables within tables in an array": lambda size: "[[a]]\n[[a.b]]\n" * (size // 14),
    "arrays in arrays": lambda size: "x=" + "[" * (size // 2) + "]" * (size // 2),
    "tables in tables": lambda size: "x=" + "{a=" * (size // 3),
    "a table on one line": lambda size: "x={" + ",".join(f"a{n}=1" for n in range(size // 9)) + "}",
    "an array": lambda size: "x=[" + "1," * (size // 2) + "]",
    "an array of blank lines": lambda size: "x=[" + "\n" * size + "]",
    "keys": lambda size: "".join(f"a{n}=1\n" for n in range(size // 9)),
    "the same key": lambda size: "a=1\n" * (size // 4),
    "escapes": lambda size: 'x="' + "\\t" * (size // 2) + '"',
    "a text without an end": lambda size: 'x="' + "a" * size,
    "lines of a text that are joined": lambda size: 'x="""' + "\\\n" * (size // 2) + '"""',
    "quotes in a text": lambda size: "x='''" + "'' " * (size // 3),
    "comments": lambda size: "#\n" * (size // 2),
    "digits": lambda size: "x=" + "1" * size,
    "digits apart": lambda size: "x=" + "1_" * (size // 2) + "1",
    "a float": lambda size: "x=1." + "1" * size + "e",
    "dates": lambda size: "x=[" + "1979-05-27T07:32:00Z," * (size // 21) + "]",
    "no TOML": lambda size: "=" * size,
}


def read_again(path: Path) -> object:
    """Return what is in a TOML file, None where it is refused."""
    try:
        return read_toml(path)
    except (ValueError, RecursionError):
        return None


@pytest.mark.parametrize("kind", TOML)
def test_a_toml_file_is_read_in_linear_time(tmp_path: Path, kind: str) -> None:
    """In twice the time where it is twice as large, or it is refused."""

    def make(size: int) -> Path:
        path = tmp_path / f"{size}.toml"
        path.write_text(TOML[kind](size))
        return path

    assert growth(read_again, MAX_TOML_BYTES // 2 - 100, make) <= 3


@pytest.mark.parametrize("number", ["0x" + "f" * 17, "9" * 19, "-" + "9" * 5000, "0b" + "1" * 65])
@pytest.mark.parametrize("place", ["x={}", "x=[1,[{}]]", "[x.y]\nz={{a={}}}"])
def test_a_number_of_more_than_64_bits_is_refused(tmp_path: Path, number: str, place: str) -> None:
    """TOML has none, and Python does not write one of thousands of digits."""
    path = tmp_path / "a.toml"
    path.write_text(place.format(number))
    with pytest.raises(ValueError, match=r"digits|64 bits"):
        read_toml(path)


def test_numbers_of_64_bits_and_texts_with_dots_are_read(tmp_path: Path) -> None:
    """Dots in a text are no parts of a key."""
    path = tmp_path / "a.toml"
    models = [f"meta-llama/Llama-3.{n}-8B" for n in range(100)]
    path.write_text(f"x=[{2**63 - 1},{-(2**63)}]\nmodels={models}\ny='One. Two. Three, four.'")
    assert read_toml(path)["x"] == [2**63 - 1, -(2**63)]
    assert read_toml(path)["models"] == models


@pytest.mark.parametrize("before", ["nothing", "file", "link", "dangling link", "pipe"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_private_file_is_its_users_whatever_was_there(
    tmp_path: Path, before: str, overwrite: bool
) -> None:
    """Its mode is 0600; nothing is written through a link, and a pipe is not waited for."""
    path, other = tmp_path / "a.md", tmp_path / "other"
    if "link" in before:
        path.symlink_to(other)
        if before == "link":
            other.write_text("other")
    elif before == "pipe":
        os.mkfifo(path)
    elif before == "file":
        path.write_text("before")
        path.chmod(0o644)
    if before != "nothing" and not overwrite:
        with pytest.raises(FileExistsError):
            write_private(path, "after")
    else:
        write_private(path, "after\r\n\ud800", overwrite=overwrite)
        assert path.read_bytes() == b"after\r\n?"
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert stat.S_ISREG(path.lstat().st_mode)
    assert not other.exists() or other.read_text() == "other"
    assert {file.name for file in tmp_path.iterdir()} <= {"a.md", "other"}


def test_a_private_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    """Nor is anything left where it cannot be written."""
    (tmp_path / "a.md").mkdir()
    for path in (tmp_path / "a.md", tmp_path / "missing" / "a.md"):
        with pytest.raises(OSError, match="directory"):
            write_private(path, "text", overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a.md"]


@pytest.mark.parametrize(("form", "typed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_is_found_in_the_other_form_of_its_letters(
    tmp_path: Path, form: Literal["NFC", "NFD"], typed: Literal["NFC", "NFD"]
) -> None:
    """A Mac splits an é of a file's name into two characters, a keyboard types one."""
    path = tmp_path / unicodedata.normalize(form, "Größe ガ.txt")
    name = unicodedata.normalize(typed, path.name)
    assert resolve_path(name, tmp_path).name == name
    path.touch()
    assert resolve_path(name, tmp_path) == resolve_path(str(tmp_path / name), Path()) == path
    (tmp_path / name).touch()
    assert resolve_path(name, tmp_path).name == name
