"""Models of the Hugging Face hub, fetched by its own library from a mirror on this machine."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hub import Hub

import di_magics as di
from di_magics.endpoints.model_hub import HubFile, fetch_file, find_file

REPO = "me/Model-GGUF"
DATA = b"GGUF" + bytes(range(256)) * 4000
FILES = {
    "Model-Q8_0.gguf": DATA + b"8",
    "Model-Q4_K_M.gguf": DATA,
    "Model-F16.gguf": DATA + b"f",
    "README.md": b"hello",
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's token is sent."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


def find(named: str) -> HubFile:
    """Return the file that this means."""
    return find_file(named, threading.Event())


def fetch(file: HubFile, folder: Path, cancelled: threading.Event | None = None) -> list[str]:
    """Fetch a file and return the lines about the progress."""
    lines: list[str] = []
    fetch_file(file, folder, lines.append, cancelled or threading.Event())
    return lines


def test_a_file_is_fetched_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token goes along, and nothing but the file stays."""
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    with Hub(FILES) as hub:
        file = find(f"{REPO}:Q8_0")
        assert (file.name, file.license) == ("Model-Q8_0.gguf", "apache-2.0")
        fetch(file, tmp_path / "models")
        assert hub.headers["authorization"] == "Bearer hf_token"
    assert [path.name for path in (tmp_path / "models").iterdir()] == [file.name]
    assert (tmp_path / "models" / file.name).read_bytes() == FILES[file.name]


@pytest.mark.parametrize(
    ("named", "name"),
    [
        (REPO, "Model-Q4_K_M.gguf"),
        (f"{REPO}:f16", "Model-F16.gguf"),
        (f"{REPO}:Model-Q8_0.gguf", "Model-Q8_0.gguf"),
        (f"https://huggingface.co/{REPO}/", "Model-Q4_K_M.gguf"),
        (f"https://huggingface.co/{REPO}/tree/main?a=1", "Model-Q4_K_M.gguf"),
        (f"https://huggingface.co/{REPO}/blob/main/Model-F16.gguf#b", "Model-F16.gguf"),
        (f"https://huggingface.co/{REPO}/resolve/main/Model-F16.gguf?c=1", "Model-F16.gguf"),
        (f"hf.co/{REPO}:Q8_0", "Model-Q8_0.gguf"),
    ],
)
def test_a_file_is_named_in_full_or_in_part_or_by_its_page(named: str, name: str) -> None:
    """Without a name it is one of the usual compressions."""
    with Hub(FILES):
        assert find(named).name == name


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (f"{REPO}:Q", r"not one file.*Model-Q8_0\.gguf, Model-Q4_K_M\.gguf\. Name one"),
        (f"{REPO}:Q9", "not one file"),
        ("no-repo", "not a repository"),
        ("https://huggingface.co/models", "not a repository"),
        ("../../etc:passwd", "not a repository"),
        ("a/b\n", "not a repository"),
    ],
)
def test_an_unclear_name_is_one_line(named: str, message: str) -> None:
    """It says which files there are."""
    with Hub(FILES), pytest.raises(di.ParamError, match=message):
        find(named)


@pytest.mark.parametrize(
    "name",
    [
        "../Model-Q8_0.gguf",
        "/etc/Model-Q8_0.gguf",
        ".hidden.gguf",
        "a\nb.gguf",
        "-flag.gguf",
        "\u202egguf.gguf",
        "mmproj-Model.gguf",
        "Model-00001-of-00002.gguf",
        "x" * 300 + ".gguf",
    ],
)
def test_a_file_that_cannot_be_used_is_not_offered(name: str) -> None:
    """A name is not a path that leads elsewhere; parts of models are no models."""
    with Hub({name: DATA}), pytest.raises(di.ParamError, match="no GGUF file"):
        find(REPO)


@pytest.mark.parametrize(
    ("projectors", "chosen"),
    [
        (["mmproj-Model-f16.gguf", "mmproj-Model-Q8_0.gguf"], "mmproj-Model-Q8_0.gguf"),
        (["mmproj-BF16.gguf", "mmproj-F16.gguf", "mmproj-F32.gguf"], "mmproj-F16.gguf"),
        (["mmproj.gguf"], "mmproj.gguf"),
    ],
)
def test_a_model_that_reads_images_comes_with_its_projector(
    tmp_path: Path, projectors: list[str], chosen: str
) -> None:
    """It is called after the model, because the folder holds those of other models, too."""
    with Hub(FILES | {name: DATA + name.encode() for name in projectors}):
        file = find(REPO)
        fetch(file, tmp_path)
        assert file.missing(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Model-Q4_K_M.gguf",
        "mmproj-Model-Q4_K_M.gguf",
    ]
    assert (tmp_path / "mmproj-Model-Q4_K_M.gguf").read_bytes() == DATA + chosen.encode()


def test_other_bytes_are_not_kept(tmp_path: Path) -> None:
    """Their hash is not the one in the list."""
    lied = {"Model-Q4_K_M.gguf": DATA[:-1] + b"!"}
    with Hub(FILES, lied=lied):
        file = find(REPO)
        with pytest.raises(di.Unreachable, match="other bytes"):
            fetch(file, tmp_path)
    assert not list(tmp_path.glob("*.gguf"))
    assert not list(tmp_path.glob(".fetching-*"))


def test_a_file_that_grows_beyond_its_size_is_not_fetched_to_its_end(tmp_path: Path) -> None:
    """A mirror cannot fill the disk: this one would never end."""
    lied = {"Model-Q4_K_M.gguf": DATA + bytes(30_000_000)}
    with Hub(FILES, lied=lied) as hub:
        file = find(REPO)
        hub.gate.clear()
        with pytest.raises(di.Unreachable, match="longer than the hub has listed"):
            fetch(file, tmp_path)
    assert not list(tmp_path.glob("*.gguf"))
    assert not list(tmp_path.glob(".fetching-*"))


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    """In the middle of a file; how far it had come was shown."""
    with Hub(FILES) as hub:
        file, cancelled = find(REPO), threading.Event()
        hub.gate.clear()
        hub.half_sent.clear()

        def stop() -> None:
            hub.half_sent.wait(30)
            cancelled.set()

        threading.Thread(target=stop, daemon=True).start()
        lines: list[str] = []
        with pytest.raises(di.Unreachable, match="Stopped"):
            fetch_file(file, tmp_path, lines.append, cancelled)
    assert any(line.startswith("fetching Model-Q4_K_M.gguf: ") for line in lines)
    assert not list(tmp_path.glob("*.gguf"))
    assert not list(tmp_path.glob(".fetching-*"))


@pytest.mark.parametrize(("status", "message"), [(503, "it answered 503"), (401, "Set HF_TOKEN")])
def test_a_hub_that_refuses_is_one_line(status: int, message: str) -> None:
    """With a next step."""
    with (
        Hub(FILES, status=status),
        pytest.raises(di.Unreachable, match=rf"hub.*{message}.*\.$") as error,
    ):
        find(REPO)
    assert "\n" not in str(error.value)


def test_an_unknown_repository_and_no_network_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own errors fill a page."""
    with Hub(FILES), pytest.raises(di.Unreachable, match="no such repository"):
        find("you/Other")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(di.Unreachable, match=r"no connection.*HF_ENDPOINT"):
        find(REPO)


def test_a_process_that_dies_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has printed nothing."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(di.Unreachable, match="without an answer"):
        find(REPO)
