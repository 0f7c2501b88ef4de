"""A server whose reply depends on the prompt, and what is on disk after an attack."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopback import Answer, Hold, Loopback, Reply, Request, Stall

WORDS = [f"word{number} " for number in range(400)]


def answer(request: Request) -> Answer:
    """Return the reply that the first word of the newest prompt asks for."""
    newest = request.json["messages"][-1]
    match str(newest["content"]).partition(" ")[0]:
        case "stream":
            return Reply(chunks=[*WORDS[:20], Stall()])
        case "slow":
            return Reply(chunks=WORDS, rate=400)
        case "tool" if newest["role"] == "user":
            return Reply("", tool_calls=[{"name": "wait", "arguments": "{}"}], finish="tool_calls")
        case "grid" if request.json["seed"] > 2:
            return Reply(chunks=["half ", Stall()])
        case _:
            return Reply("whole")


def serve(server: Loopback) -> Loopback:
    """Let the server answer by the prompt."""
    server.default = answer
    return server


def setup(server: Loopback) -> str:
    """Return a cell that loads the extension and has a tool that does not end by itself."""
    return (
        f"%env DI_MAGICS_BASE_URL={server.url}\n%env DI_MAGICS_MODEL=m\n%load_ext di_magics\n"
        "import time, di_magics as di\n"
        "@di.safe\ndef wait() -> str:\n    print('in the tool', flush=True)\n    time.sleep(60)\n"
    )


@dataclass(frozen=True)
class Stored:
    """A turn on disk."""

    prompt: str
    reply: str
    sealed: bool


def stored_turns(home: Path) -> list[Stored]:
    """Return the turns in a state folder, whose file must be whole; [] where there is no file."""
    path = home / "conversations.sqlite3"
    if not path.exists() or not path.stat().st_size:
        return []
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        if "turns" not in tables:
            return []
        rows = db.execute("SELECT prompt, reply, sealed FROM turns ORDER BY number").fetchall()
    return [Stored(prompt, reply, bool(sealed)) for prompt, reply, sealed in rows]


def prompts(server: Loopback) -> list[Any]:
    """Return the newest messages of all requests."""
    return [request.json["messages"][-1]["content"] for request in server.chats]


__all__ = ["WORDS", "Hold", "Stored", "answer", "prompts", "serve", "setup", "stored_turns"]
