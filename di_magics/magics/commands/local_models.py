"""The command about the models on this machine: the list, fetching one, ending their server."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from typing import TypeVar

from di_magics.core.errors import DiMagicsError, ParamError, StoreError
from di_magics.core.request.route import Route
from di_magics.core.text import format_bytes
from di_magics.core.visible import one_line
from di_magics.endpoints import model_hub
from di_magics.endpoints.local_model import MODEL
from di_magics.endpoints.local_server import is_available
from di_magics.endpoints.projector import find_projector
from di_magics.magics.commands.command import (
    Context,
    command,
    incomplete,
    say,
    show_table,
    take_switch,
)
from di_magics.session.session import Session

T = TypeVar("T")
ASKED_BYTES = 1_000_000_000
"""A larger file is fetched only after a question."""


@command(
    "local [get REPO[:FILE] | stop]",
    "the models on this machine; fetch one from the Hugging Face hub; end their server",
)
def show_local(context: Context, rest: str) -> None:
    """`%chat endpoint local:NAME` uses one of the list. They are GGUF files in the folder `models`
    of the state folder; `local:FILE.gguf` uses one from anywhere.

    `%chat local get REPO[:FILE]` fetches one (the extra [hub]). FILE may be a part of the file's
    name; without it, Q4_K_M or Q8_0 is taken. Above 1 GB you are asked, or add --yes. HF_ENDPOINT
    names a mirror, HF_TOKEN is your token for models that need one. With a model that reads images
    its projector is fetched, too (for your own NAME.gguf, put mmproj-NAME.gguf beside it). Small
    ones that call tools:

        Qwen/Qwen3-0.6B-GGUF         0.6 billion parameters
        Qwen/Qwen3-1.7B-GGUF         1.7 billion
        ggml-org/SmolLM3-3B-GGUF     3 billion
        Qwen/Qwen3-4B-GGUF           4 billion

    All notebooks share one server for each file; it ends some minutes after the last one has left.
    `%chat local stop` ends it now, which frees its memory.
    """
    verb, _, argument = rest.partition(" ")
    if not rest:
        _list_models(context.session)
    elif verb == "get":
        _fetch(context, argument.split())
    elif rest == "stop":
        ended = context.session.routing.end_servers()
        say("The local models' server has ended." if ended else "No local model's server runs.")
    else:
        raise ParamError(
            f"%chat local does not know {one_line(rest, 40)}. Use %chat local, %chat local get "
            "REPO, or %chat local stop."
        )


def _list_models(session: Session) -> None:
    files = session.routing.model_files()
    try:
        now = session.route()
    except DiMagicsError:
        now = Route("none", "")
    there = MODEL.file in [file.name for file in files]
    size = format_bytes(MODEL.size) + ("" if there else ", fetched at the first question")
    rows = [("", "model", "size", "use"), ("→" * now.built_in, MODEL.name, size, "endpoint local")]
    for file in files:
        if file.name != MODEL.file:
            mark = "→" if now.file == str(file) else ""
            name = one_line(file.stem, 80)
            size = format_bytes(file.stat().st_size)
            size += ", reads images" if find_projector(file) else ""
            rows.append((mark, name, size, f"endpoint local:{name}"))
    show_table(rows, head=True)
    if not is_available():
        say("They need llama.cpp: install di_magics with its extra [local].")


def _fetch(context: Context, arguments: list[str]) -> None:
    if not model_hub.is_available():
        raise ParamError(
            "Fetching a model needs the extra [hub]. Run pip install huggingface_hub, then this "
            "again."
        )
    yes = take_switch(arguments, "--yes")
    if len(arguments) != 1:
        incomplete("local get Qwen/Qwen3-0.6B-GGUF")
    session = context.session
    folder = session.routing.models_folder()
    file = _run(session, lambda cancelled: model_hub.find_file(arguments[0], cancelled))
    use = f"Use it with %chat endpoint local:{file.name.removesuffix('.gguf')}"
    missing = file.missing(folder)
    if not missing:
        say(f"{file.name} is there already. {use}")
        return
    for _, target in missing:
        if target.exists():
            raise ParamError(
                f"There is another file {target.name} in {one_line(folder, 120)}. Rename or delete "
                "it first."
            )
    total = sum(part.size for part, _ in missing)
    size = format_bytes(total)
    images = " with what it needs to read images" if file.projector else ""
    about = f"{file.name} from {file.repo}{images}: {size}, licence {file.license}."
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < total:
        raise StoreError(
            f"{about} Only {format_bytes(free)} are free. Delete something, or choose a smaller "
            "file."
        )
    say(about)
    if total > ASKED_BYTES and not yes and not context.asking.confirm(f"Fetch {size}?"):
        say("Nothing was fetched.")
        return
    progress = context.asking.make_progress()
    try:
        _run(session, lambda c: model_hub.fetch_file(file, folder, progress.show, c))
    except OSError as error:
        raise StoreError(
            f"{one_line(folder / file.name, 160)} cannot be written ({error.strerror}). Free some "
            "space, then run the line again."
        ) from None
    progress.end(f"Fetched, and the hash is right. {use}")


def _run(session: Session, work: Callable[[threading.Event], T]) -> T:
    """Return what `work` returns on another thread; Stop sets the event that it gets."""
    cancelled = threading.Event()

    async def run() -> T:
        try:
            return await asyncio.to_thread(work, cancelled)
        finally:
            cancelled.set()

    return session.loop.run(run(), "Stopped. Nothing was kept; run the line again.")
