"""Keys and passwords are searched for in every byte that is written, published or sent."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from attack.conftest import Attacks
from attack.models import setup
from kernel import Kernel
from loopback import Answer, Fault, Loopback, Reply, Request

pytestmark = pytest.mark.kernel

KEY = 'key-4f"9a\\b2c7é1d3e5'.replace("é", "")
PASSWORD = "corréct-hörse/battery"


def spellings(secret: str) -> Iterator[bytes]:
    """Yield the ways in which a secret can be written."""
    raw = secret.encode()
    yield raw
    yield json.dumps(secret)[1:-1].encode()
    yield json.dumps(secret, ensure_ascii=False)[1:-1].encode()
    yield repr(secret)[1:-1].encode()
    yield urllib.parse.quote(secret, safe="").encode()
    yield raw.hex().encode()
    for shift in range(3):  # without the characters that depend on what is around it
        code = base64.b64encode(b"-" * shift + raw)
        yield code[(0, 2, 3)[shift] : len(code) - 4]


def echo(request: Request) -> Answer:
    """Repeat the key in a reply, in pieces, in an error, or in a header."""
    said = request.headers.get("authorization", "").removeprefix("Bearer ")
    match str(request.json["messages"][-1]["content"]).partition(" ")[0]:
        case "error":
            return Fault(400, {"error": {"message": f"bad key {said}", "code": said}})
        case "header":
            return Fault(429, {"detail": said}, headers={"x-request-id": said, "location": said})
        case "tool" if request.json["messages"][-1]["role"] == "user":
            return Reply("", tool_calls=[{"name": "look", "arguments": "{}"}], finish="tool_calls")
        case "pieces":
            return Reply(chunks=["see ", *said, " here"], model=said)
    return Reply(f"The key is {said}, {base64.b64encode(said.encode()).decode()}.")


CELLS = [
    "%%chat\nplain",
    "%%chat\npieces",
    "%%chat\nerror",
    "%%chat --tools look\ntool",
    "%%chat --vary seed=1,2\ngrid",
    "%%chat --dry-run\nplain",
    "%chat history",
    "%chat show --request",
    "%chat show --raw",
    "%chat show --curl",
    "%chat show --python",
    "%chat save saved.json",
    "%chat cost --csv costs.csv",
    "%chat doctor",
    "%chat",
    "%chat panel",
    "1 / 0",
    "%chat fix",
    f"%%chat\nmy password is {PASSWORD}",
    "%%chat -a .env\nread it",
]


def test_no_secret_is_in_any_byte(tmp_path: Path, server: Loopback, attacks: Attacks) -> None:
    """Not the endpoint's key, and of the environment's password only what the user typed."""
    server.default = echo
    (tmp_path / ".env").write_text(f"PASSWORD={PASSWORD}")
    env = {
        "DI_MAGICS_API_KEY": KEY,
        "CLASS_PASSWORD": PASSWORD,
        "DI_MAGICS_HOME": str(tmp_path / "home"),
    }
    with Kernel(tmp_path, env) as kernel:
        tool = "import os\n@di.safe\ndef look() -> dict:\n    return dict(os.environ)\n"
        kernel.run(setup(server) + tool)
        for number, cell in enumerate(CELLS):
            kernel.run(cell, f"cell-{number}")
        published = b"\n".join(
            json.dumps([m.content, m.metadata], ensure_ascii=False).encode()
            for m in kernel.published
            if m.type != "execute_input"
        )
    (tmp_path / ".env").unlink()
    written = b"\n".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    sent = b"\n".join(request.body for request in server.requests)
    assert len(server.chats) > 6
    for name, data in (("published", published), ("written", written), ("sent", sent)):
        for secret in (KEY, PASSWORD):
            for spelling in set(spellings(secret)):
                where = data.find(spelling)
                around = data[max(0, where - 80) : where + 80]
                attacks.check(where < 0, (name, spelling, around))
