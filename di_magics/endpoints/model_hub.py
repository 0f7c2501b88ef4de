"""Model files of the Hugging Face hub, by the library `huggingface_hub` in a process of its own.

Its import takes long, and a process can be ended by Stop in the middle of a file. The library reads
the variables HF_ENDPOINT and HF_TOKEN. What the hub says is not trusted: names are checked before
they become paths, and a file is kept only if its SHA-256 is the one in the list of files.

The process prints one line of JSON: the files, or the error.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from di_magics.core.errors import ParamError, Unreachable
from di_magics.core.read_json import as_count, as_object, as_objects, as_text
from di_magics.core.visible import one_line
from di_magics.endpoints.local_model import file_sha256
from di_magics.endpoints.projector import is_projector, projector_name
from di_magics.runtime.process import python_command

REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
FILE = re.compile(r"[A-Za-z0-9][\w.-]{0,150}\.gguf", re.ASCII)
PAGE = re.compile(
    r"(?:https?://)?(?:huggingface\.co|hf\.co)/([^/?#]+/[^/?#:]+)"
    r"(?::|/(?:blob|resolve)/main/|/tree/main)?/?([^?#]*).*"
)
PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
USUAL = ("Q4_K_M", "Q8_0", "Q4_0")
"""The compressions that are chosen where none is named, best first."""
PROJECTORS = ("Q8_0", "-F16", "BF16")
"""The compressions of a projector, best first; the hyphen keeps out BF16."""
MAX_ANSWER_BYTES = 1 << 20
SHOWN = 8
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class HubFile:
    """A GGUF file on the hub: its path in the repository, size in bytes, SHA-256, and licence.

    A model that reads images has a `projector`.
    """

    repo: str
    path: str
    size: int
    sha256: str
    license: str
    projector: HubFile | None = None

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return PurePosixPath(self.path).name

    def missing(self, folder: Path) -> list[tuple[HubFile, Path]]:
        """Return what has to be fetched into a folder, the projector first, and where to."""
        parts = [(self, folder / self.name)]
        if self.projector:
            parts.insert(0, (self.projector, folder / projector_name(self.name)))
        return [
            (file, target)
            for file, target in parts
            if not (target.is_file() and target.stat().st_size == file.size)
        ]


def is_available() -> bool:
    """Return whether the extra `hub` is installed; imports nothing."""
    return importlib.util.find_spec("huggingface_hub") is not None


def find_file(named: str, cancelled: threading.Event) -> HubFile:
    """Return the file that REPO or REPO:FILE means; FILE may be a part of the name, as Q4_K_M.

    The address of a page of the hub means its repository and file, too. Raises ParamError where it
    means none or several, Unreachable where the hub does not answer.
    """
    repo, _, wanted = PAGE.sub(r"\1:\2", named).rstrip("/:").partition(":")
    if not REPO.fullmatch(repo):
        raise ParamError(
            f"{one_line(repo, 80)} is not a repository of the hub. Name one as in %chat local get "
            "Qwen/Qwen3-0.6B-GGUF."
        )
    answer = _run(["list", repo], lambda: None, cancelled)
    license_ = one_line(as_text(answer.get("license")), 40) or "not stated"
    files = [
        HubFile(repo, as_text(f.get("path")), size, as_text(f.get("sha256")).lower(), license_)
        for f in as_objects(answer.get("files"))
        if (size := as_count(f.get("size")))
    ]
    safe = [file for file in files if _is_safe(file)]
    usable = [file for file in safe if not is_projector(file.name)]
    matches = _choose(usable, wanted)
    if len(matches) == 1:
        projectors = [file for file in safe if is_projector(file.name)]
        usual = (file for kind in PROJECTORS for file in projectors if kind in file.name.upper())
        return replace(matches[0], projector=next(usual, next(iter(projectors), None)))
    if not usable:
        raise ParamError(f"{repo} has no GGUF file that can be used. Choose another repository.")
    names = ", ".join(file.name for file in (matches or usable)[:SHOWN])
    more = " and others" if len(matches or usable) > SHOWN else ""
    which = f"{one_line(wanted, 60)} is not one file" if wanted else "There are several files"
    raise ParamError(f"{which} of {repo}: {names}{more}. Name one: %chat local get {repo}:FILE.")


def _is_safe(file: HubFile) -> bool:
    parts = PurePosixPath(file.path).parts
    return (
        bool(FILE.fullmatch(file.name))
        and not {"..", "/"} & set(parts)
        and not PART.search(file.name)
        and bool(re.fullmatch(r"[0-9a-f]{64}", file.sha256))
    )


def _choose(files: Sequence[HubFile], wanted: str) -> list[HubFile]:
    """Return the files with this name, else with this part of it; by default of a usual kind."""
    if wanted:
        same = [file for file in files if wanted in (file.path, file.name)]
        return same or [file for file in files if wanted.lower() in file.name.lower()]
    kinds = ([file for file in files if kind in file.name.upper()] for kind in USUAL)
    return next((kind for kind in kinds if len(kind) == 1), list(files))


def fetch_file(
    file: HubFile,
    folder: Path,
    progress: Callable[[str], None],
    cancelled: threading.Event,
) -> Path:
    """Fetch a file into a folder, and its projector; return its path. No partial file stays.

    `progress` is called with a line now and then; setting `cancelled` ends it. Raises Unreachable
    if it cannot be fetched, OSError if it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for part, target in file.missing(folder):
        _fetch(part, target, progress, cancelled)
    return folder / file.name


def _fetch(
    file: HubFile, target: Path, progress: Callable[[str], None], cancelled: threading.Event
) -> None:
    # Beside the target, so that the move into place is one step.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as work:
        last = 0.0

        def report() -> None:
            nonlocal last
            size = _largest(Path(work))
            if size > max(file.size, MAX_ANSWER_BYTES):
                raise Unreachable(
                    f"{file.name} is longer than the hub has listed, so it was deleted. "
                    "Try again later."
                )
            if time.monotonic() - last > 1:
                last = time.monotonic()
                done = min(1.0, size / file.size)
                progress(f"fetching {file.name}: {done:.0%} of {file.size / 1e6:,.0f} MB")

        answer = _run(["get", file.repo, file.path, work], report, cancelled)
        fetched = Path(as_text(answer.get("path")))
        if not fetched.is_file() or file_sha256(fetched) != file.sha256:
            raise Unreachable(
                f"{file.name} came with other bytes than the hub has listed, so it was deleted. "
                "Try again later."
            )
        os.replace(fetched, target)


def _largest(folder: Path) -> int:
    try:
        return max((path.stat().st_size for path in folder.rglob("*")), default=0)
    except OSError:  # the library moved a file meanwhile
        return 0


def _run(
    arguments: Sequence[str], report: Callable[[], None], cancelled: threading.Event
) -> Mapping[str, Any]:
    """Return what the process answers. Raises Unreachable."""
    environment = {
        **os.environ,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",  # it writes elsewhere first, so that no progress could be shown
    }
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [*python_command("di_magics.endpoints.model_hub"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                if cancelled.wait(PAUSE):
                    raise Unreachable("Stopped. Nothing was kept; run the line again to fetch it.")
                report()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        out.seek(0)
        try:
            answer = as_object(json.loads(out.read(MAX_ANSWER_BYTES)))
        except (ValueError, RecursionError):
            answer = {"error": "it ended without an answer"}
    if error := answer.get("error"):
        raise Unreachable(f"The Hugging Face hub: {one_line(as_text(error), 300).rstrip('.')}.")
    return answer


# In the process -----------------------------------------------------------------------------------


def _list(repo: str) -> dict[str, Any]:
    import huggingface_hub

    info = huggingface_hub.HfApi().model_info(repo, files_metadata=True)
    files = [
        {"path": file.rfilename, "size": file.size, "sha256": file.lfs.sha256}
        for file in info.siblings or ()
        if file.rfilename.lower().endswith(".gguf") and file.lfs
    ]
    license_ = info.card_data.get("license") if info.card_data else ""
    return {"files": files, "license": str(license_ or "")}


def _get(repo: str, path: str, folder: str) -> dict[str, Any]:
    import huggingface_hub

    return {"path": huggingface_hub.hf_hub_download(repo, path, local_dir=folder)}


def _explain(error: Exception) -> str:
    """Return the library's error in a sentence with a next step."""
    kind = type(error).__name__
    if kind == "RepositoryNotFoundError":
        return "there is no such repository, or it is private. Check its name, or set HF_TOKEN"
    if kind == "GatedRepoError":
        return "accept the model's licence on its page, and set HF_TOKEN to a token of yours"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return f"it answered {status}. Set HF_TOKEN to a token of yours"
    if status is not None:
        return f"it answered {status}. Try again later"
    return f"no connection ({kind}). Check the network, or set HF_ENDPOINT to a mirror"


def main() -> None:
    """Print the answer to `list REPO` or `get REPO PATH FOLDER` as a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=("list", "get"))
    parser.add_argument("arguments", nargs="+")
    options = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the library may print
    try:
        work = _list if options.command == "list" else _get
        answer = work(*options.arguments)
    except Exception as error:
        answer = {"error": _explain(error)}
    print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
