"""Answers that no server should send: each is a reply or one line, in bounded time and memory."""

from __future__ import annotations

import gzip
import random
import resource
import time
import zlib
from collections.abc import Iterator, Sequence

import pytest
from attack.conftest import Attacks, scaled
from loopback import Answer, Drop, Fault, Loopback, Raw, Reply, event
from shell import Run

import di_magics as di
from di_magics.core.request import retry

MOST_SECONDS = 20
MOST_MEMORY = 400 << 20
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
BOMB = b"data: " + b"x" * (16 << 20)


def text(content: object) -> bytes:
    """Return a piece of a reply."""
    return event({"choices": [{"index": 0, "delta": {"content": content}}]})


HEADS = [
    b"",
    b"\r\n" * 5000,
    b"\0" * 5000,
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/0.9 200 OK\r\n\r\nhi",
    b"HTTP/1.1 999 \r\n\r\n",
    b"HTTP/1.1 -1 x\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"* OK IMAP4\r\n" * 1000,
    b"<html>" * 100_000,
    HEAD + b"x: " + b"y" * 2_000_000 + b"\r\n\r\n",
    HEAD + b"x: y\r\n" * 100_000 + b"\r\n",
    HEAD + b"x: a\0b\r\n\r\n",
    HEAD + b"x: a\r\n folded\r\n\r\n",
    HEAD + b"no colon\r\n\r\n",
    HEAD + b"content-length: -1\r\n\r\n",
    HEAD + b"content-length: 99999999999999999999\r\n\r\n",
    HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nhi",
    HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx",
    HEAD + b"transfer-encoding: chunked\r\n\r\n-1\r\nx\r\n",
    HEAD + b"transfer-encoding: chunked\r\n\r\n1;" + b"e" * 200_000 + b"\r\nx\r\n0\r\n\r\n",
    HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
]
BODIES: list[Sequence[bytes]] = [
    [b"data: " + b"x" * 2_000_000],
    [b"\0" * 70_000] * 20,
    [text("a\0b\x1b[2J\u202e"), b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n'],
    [b"\xff\xfe\x00d\x00a"],
    [b"\xef\xbb\xbf", text("bom")],
    [text("one"), b"data: {" * 30_000],
    [b'data: {"choices":' + b"[" * 50_000 + b"\n\n"],
    [b'data: {"choices":[{"delta":{"content":' + b"9" * 5000 + b"}}]}\n\n"],
    [text(["list"]), text({"type": "text"}), text(5), text(None), text(True)],
    [event([]), event("x"), event(None), event({"choices": {}}), event({"choices": [None, 5]})],
    [event({"error": {"message": "x" * 100_000, "code": ["deep"] * 1000}})],
    [event({"choices": [{"index": 10**400, "delta": {"content": "x"}}]})],
    [event({"usage": {"estimated_cost": "1e999", "prompt_tokens": -5, "total_tokens": 1e308}})],
    [event({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": n}]}}]}) for n in (9, -1)],
    [text("x"), b"event: " + b"e" * 2_000_000],
    [text("x"), b"retry: 99999999999999999999\n", b"id: \0\n\n"],
    [b"\r", b"data: [DONE]\r", b"\r"],
    [b": comment\n" * 7000] * 30,
    [b"data:\n\n" * 9000] * 30,
]
ENCODINGS = {
    "gzip": gzip.compress(BOMB, 1),
    "deflate": zlib.compress(BOMB, 1),
    "br": b"\x0b",
    "zstd": b"(",
}
PLACES = ["http://127.0.0.1:9/", "file:///etc/passwd", "javascript:1", "//x", "\t", "/" * 100_000]


def answers() -> Iterator[Answer]:
    """Yield every hostile answer once."""
    for head in HEADS:
        yield Raw(before=[head, Drop()])
    for status in (200, 400, 500):
        for steps in BODIES:
            yield Raw(steps=[*steps], status=status)
    for encoding, packed in ENCODINGS.items():
        for status in (200, 401):
            yield Fault(status, packed, headers={"content-encoding": encoding})
    for status in (301, 302, 303, 307, 308):
        for place in PLACES:
            yield Fault(status, b"", headers={"location": place})
    for seconds in ("-1", "1e309", "nan", "9" * 5000, "Thu, 01 Jan 1970 00:00:00 GMT", "\0"):
        yield Fault(400, b"{}", headers={"retry-after": seconds})
    for page in (b"", b"{", b"null", b"[" * 100_000, b"<html><script>1</script>", b"\xff" * 1000):
        for kind in ("application/json", "text/html", "image/png"):
            yield Fault(200, page, content_type=kind)


def mutations(count: int) -> Iterator[Answer]:
    """Yield streams of a real reply with bytes changed, left out or repeated at random."""
    chance = random.Random(10)
    whole = b"".join([text("one "), text("two "), event({"choices": [], "usage": {}}), b"data: [D"])
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            start = chance.randrange(len(data))
            end = start + chance.randrange(8)
            data[start:end] = chance.choice([b"", b"\0", b"\n", b'"', b"{", data[start:end] * 3])
        yield Raw(steps=[bytes(data)])


@pytest.mark.timeout(1800)
def test_no_answer_takes_the_kernel_down(
    run: Run, server: Loopback, attacks: Attacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with a reply or with one of our errors, which is one line without control signs."""
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.001)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for number, answer in enumerate([*answers(), *mutations(scaled(1000))]):
        server.default = answer
        start = time.thread_time()
        ran = run("%%chat\nhi")
        seconds = time.thread_time() - start
        one_line = isinstance(ran.error, di.DiMagicsError | None) and "\n" not in str(ran.error)
        hidden = any(sign in ran.text + str(ran.error) for sign in ("\0", "\x1b[2J"))
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - memory
        held = one_line and not hidden and seconds < MOST_SECONDS and used < MOST_MEMORY
        attacks.check(held, (number, repr(answer)[:200], repr(ran)[:500], seconds, used))
    server.default = Reply("fine")
    assert "fine" in run("%%chat\nhi").text
