"""An OpenAI-compatible endpoint on this machine, with every fault of a real one.

It speaks HTTP/1.1 on a real socket in a thread of its own. A test says what the next request
gets, holds a stream open for as long as it looks at it, and reads afterwards what was sent:

    with Loopback() as server:
        hold = Hold()
        server.reply(Reply(chunks=["Hel", hold, "lo"]), Fault(429, headers={"retry-after": "1"}))
        ...                         # ask server.url
        hold.reached.wait(5)        # "Hel" is on the wire
        hold.release()
        server.requests[0].json["temperature"]

As a program it serves a text at a steady rate: `python tests/loopback.py --rate 200 --text FILE`.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import http
import json
import re
import socket
import struct
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

TEXT = "Hello! How can I help you today?"
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "estimated_cost": 1.5e-06,
}
TIMEOUT_SECONDS = 30.0


# What happens next while a reply is sent ----------------------------------------------------


class Hold:
    """The reply waits here until the test releases it; `reached` tells the test that it does."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._released: concurrent.futures.Future[None] = concurrent.futures.Future()

    def release(self) -> None:
        """Let the reply go on, now or as soon as it gets here."""
        if not self._released.done():
            self._released.set_result(None)

    async def wait(self) -> None:
        """Wait for the release."""
        self.reached.set()
        await asyncio.shield(asyncio.wrap_future(self._released))


@dataclass(frozen=True)
class Pace:
    """The reply goes on no sooner than so many seconds after it began."""

    seconds: float


@dataclass(frozen=True)
class Drop:
    """The connection ends here without a word; with `reset` by a TCP reset."""

    reset: bool = False


@dataclass(frozen=True)
class Stall:
    """Nothing more comes, until the client goes away."""


Step: TypeAlias = bytes | Hold | Pace | Drop | Stall


# What a request gets ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Response:
    """What all answers have: status, headers, the steps before the status line and at the end.

    `after=[Drop()]` closes the connection without having said so.
    """

    status: int = 200
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[Step] = ()
    after: Sequence[Step] = ()

    def _head(self, **headers: str) -> bytes:
        merged = {name.replace("_", "-"): value for name, value in headers.items()}
        merged |= {name.lower(): value for name, value in self.headers.items()}
        try:
            phrase = self.reason or http.HTTPStatus(self.status).phrase
        except ValueError:
            phrase = ""
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in merged.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _chunked(self, content_type: str, steps: Iterable[Step]) -> Iterator[Step]:
        """Yield an answer in HTTP's chunked coding, each `bytes` as a chunk."""
        yield from self.before
        yield self._head(content_type=content_type, transfer_encoding="chunked")
        for step in steps:
            if not isinstance(step, bytes):
                yield step
            elif step:
                yield b"%x\r\n%b\r\n" % (len(step), step)
        yield b"0\r\n\r\n"
        yield from self.after


@dataclass(frozen=True)
class Fault(_Response):
    """A whole answer with a length: an error, a redirect, or any page."""

    status: int
    body: bytes | str | Mapping[str, Any] | Sequence[Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    content_type: str = field(default="application/json", kw_only=True)

    def steps_for(self, request: Request) -> Iterator[Step]:
        """Yield what is sent."""
        body = self.body
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        yield from self.before
        head = self._head(content_type=self.content_type, content_length=str(len(body)))
        yield head if request.method == "HEAD" else head + body
        yield from self.after


@dataclass(frozen=True)
class Raw(_Response):
    """A body given byte by byte: each `bytes` is one chunk of HTTP's chunked coding.

    Without `chunked` the end of the connection is the end of the body.
    """

    steps: Sequence[Step] = ()
    chunked: bool = field(default=True, kw_only=True)
    content_type: str = field(default="text/event-stream", kw_only=True)

    def steps_for(self, request: Request) -> Iterator[Step]:
        """Yield what is sent."""
        if self.chunked:
            yield from self._chunked(self.content_type, self.steps)
            return
        yield from self.before
        yield self._head(content_type=self.content_type, connection="close")
        yield from self.steps
        yield Drop()


@dataclass(frozen=True)
class Reply(_Response):
    """A reply of a model: a stream of events, or one JSON object where no stream was asked for.

    `chunks` gives the pieces of the text and what happens between them (a Hold, a Drop, bytes
    such as a comment); else the text is cut into pieces of about the size of a token. `rate` is
    pieces per second. `logprobs` has one entry for each piece. `stream=False` sends the JSON
    object even where a stream was asked for. `split` cuts the stream again every so many bytes,
    whether that is in the middle of an event or of a character.
    """

    text: str = TEXT
    chunks: Sequence[str | Step] | None = None
    rate: float | None = field(default=None, kw_only=True)
    reasoning: str | None = field(default=None, kw_only=True)
    tool_calls: Sequence[Mapping[str, str]] = field(default=(), kw_only=True)
    logprobs: Sequence[Mapping[str, Any]] = field(default=(), kw_only=True)
    finish: str | None = field(default="stop", kw_only=True)
    usage: Mapping[str, Any] | None = field(default_factory=lambda: dict(USAGE), kw_only=True)
    usage_on: Literal["finish", "extra"] = field(default="finish", kw_only=True)
    done: bool = field(default=True, kw_only=True)
    model: str | None = field(default=None, kw_only=True)
    stream: bool | None = field(default=None, kw_only=True)
    framing: str = field(default="\n\n", kw_only=True)
    split: int | None = field(default=None, kw_only=True)

    def steps_for(self, request: Request) -> Iterator[Step]:
        """Return what is sent."""
        asked = request.json if request.body else {}
        base = {
            "id": f"chatcmpl-{request.number}",
            "created": 1767720902,
            "model": self.model or asked.get("model", ""),
        }
        streams = bool(asked.get("stream")) if self.stream is None else self.stream
        if not streams:
            whole = self._whole(base | {"object": "chat.completion"})
            return self._chunked("application/json", whole)
        events = self._events(base | {"object": "chat.completion.chunk"})
        steps = _cut(events, self.split) if self.split else events
        return self._chunked("text/event-stream", steps)

    def _pieces(self) -> Sequence[str | Step]:
        return self.chunks if self.chunks is not None else pieces(self.text)

    def _events(self, base: Mapping[str, Any]) -> Iterator[Step]:
        def chunk(delta: Mapping[str, Any], **more: Any) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            usage = {"usage": more.pop("usage")} if "usage" in more else {}
            return event({**base, "choices": [choice | more], **usage}, self.framing)

        yield chunk({"role": "assistant", "content": ""})
        for thought in pieces(self.reasoning or ""):
            yield chunk({"reasoning_content": thought})
        sent = 0
        for piece in self._pieces():
            if not isinstance(piece, str):
                yield piece
                continue
            if self.rate:
                yield Pace(sent / self.rate)
            probabilities = self.logprobs[sent : sent + 1]
            more = {"logprobs": {"content": list(probabilities)}} if probabilities else {}
            yield chunk({"content": piece}, **more)
            sent += 1
        for index, call in enumerate(_tool_calls(self.tool_calls)):
            function, middle = call["function"], len(call["function"]["arguments"]) // 2
            named = {**call, "index": index, "function": {**function, "arguments": ""}}
            yield chunk({"tool_calls": [named]})
            for part in (function["arguments"][:middle], function["arguments"][middle:]):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
        on_finish = self.usage is not None and self.usage_on == "finish"
        if self.finish:
            usage = {"usage": self.usage} if on_finish else {}
            yield chunk({}, finish_reason=self.finish, **usage)
        if self.usage is not None and not (on_finish and self.finish):
            yield event({**base, "choices": [], "usage": self.usage}, self.framing)
        if self.done:
            yield f"data: [DONE]{self.framing}".encode()

    def _whole(self, base: Mapping[str, Any]) -> Iterator[Step]:
        """Yield what is to happen, then the reply as one object."""
        result = self._pieces()
        text = "".join(piece for piece in result if isinstance(piece, str))
        choice: dict[str, Any] = {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": text or None,
                "reasoning_content": self.reasoning,
                "tool_calls": _tool_calls(self.tool_calls) or None,
            },
            "finish_reason": self.finish,
            "logprobs": {"content": list(self.logprobs)} if self.logprobs else None,
        }
        yield from (piece for piece in result if not isinstance(piece, str | bytes))
        yield json.dumps({**base, "choices": [choice], "usage": self.usage}).encode()


Answer: TypeAlias = Reply | Raw | Fault | Drop | Stall


def event(payload: object, framing: str = "\n\n") -> bytes:
    """Return one server-sent event with this payload as JSON."""
    return f"data: {json.dumps(payload, ensure_ascii=False)}{framing}".encode()


def pieces(text: str) -> list[str]:
    """Cut a text into pieces of about the size of a token."""
    return re.findall(r"\s*\S{1,4}|\s+", text)


def _tool_calls(calls: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Spell out calls given as `{"name": …, "arguments": …}`, with an `id` or without."""
    return [
        {
            "id": call.get("id", f"call_{number}"),
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for number, call in enumerate(calls)
    ]


def _cut(steps: Iterable[Step], size: int) -> Iterator[Step]:
    """Cut what lies between two steps that are not bytes into chunks of so many bytes."""
    rest = b""
    for step in steps:
        if isinstance(step, bytes):
            rest += step
        while len(rest) >= size or (rest and not isinstance(step, bytes)):
            yield rest[:size]
            rest = rest[size:]
        if not isinstance(step, bytes):
            yield step
    if rest:
        yield rest


# The servers --------------------------------------------------------------------------------


@dataclass
class Request:
    """A request as it came, and what became of it.

    `closed` is set when the client left before it had the whole answer, `answered` when the
    last byte was sent; `ended_at` is when, on the clock of time.monotonic.
    """

    number: int
    connection: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    received_at: float = field(default_factory=time.monotonic)
    ended_at: float | None = None
    closed: threading.Event = field(default_factory=threading.Event, repr=False)
    answered: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Server:
    """A server on 127.0.0.1 in a thread of its own; what it answers is up to its subclasses.

    `requests` holds all that came, `connections` how many connections were opened for them, and
    `peak` how many requests were under way at the same time at most.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.peak = 0
        self._under_way = 0
        self._arrived = threading.Condition()
        self._serving = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._thread = threading.Thread(target=self._run, name="loopback", daemon=True)

    @property
    def origin(self) -> str:
        """The address without a path: `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._serving.wait(TIMEOUT_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_SECONDS)

    def wait_for(self, count: int, timeout: float = TIMEOUT_SECONDS) -> Request:
        """Wait until so many requests have come and return that one."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} of {count} requests came.")
        return self.requests[count - 1]

    def answer(self, request: Request) -> Answer:
        """Return what the request gets."""
        raise NotImplementedError

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(asyncio.start_server(self._accept, sock=self._socket))
        self._serving.set()
        loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        connection = _Connection(reader, writer)
        number = self.connections
        try:
            while received := await connection.receive():
                method, path, headers, body = received
                request = Request(len(self.requests), number, method, path, headers, body)
                self._under_way += 1
                self.peak = max(self.peak, self._under_way)
                with self._arrived:
                    self.requests.append(request)
                    self._arrived.notify_all()
                try:
                    going_on = await connection.send(request, self._steps(request))
                finally:
                    self._under_way -= 1
                if not going_on or headers.get("connection", "").lower() == "close":
                    break
        except asyncio.CancelledError:
            pass  # the server is being stopped
        finally:
            connection.close()
            self._tasks.discard(task)

    def _steps(self, request: Request) -> Iterable[Step]:
        try:
            answer = self.answer(request)
            return [answer] if isinstance(answer, Drop | Stall) else answer.steps_for(request)
        except Exception:
            page = Fault(500, traceback.format_exc(), content_type="text/plain")
            return page.steps_for(request)


class _Connection:
    """A connection that reads ahead, so that a client that goes away is noticed at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self._reading: asyncio.Task[bytes] | None = None

    async def receive(self) -> tuple[str, str, dict[str, str], bytes] | None:
        """Return the next request's method, path, headers and body, or None at the end."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not await self._more():
                return None
        line, *fields = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        method, path, _ = line.split(" ", 2)
        headers = {
            name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)
        }
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            if not await self._more():
                return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return method, path, headers, body

    async def send(self, request: Request, steps: Iterable[Step]) -> bool:
        """Send an answer, or as much of it as the client waits for; say whether to go on."""
        sending = asyncio.ensure_future(self._send(steps))
        reading = self._read_ahead()
        try:
            await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
            gone = not sending.done() and not reading.result()
            if gone:
                sending.cancel()
            going_on = not gone and await sending
        except OSError:
            gone, going_on = True, False
        finally:
            sending.cancel()
        request.ended_at = time.monotonic()
        (request.closed if gone else request.answered).set()
        return going_on

    def close(self) -> None:
        """Close the connection."""
        if self._reading:
            self._reading.cancel()
        self._writer.close()

    def _read_ahead(self) -> asyncio.Task[bytes]:
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._reader.read(1 << 16))
        return self._reading

    async def _more(self) -> bool:
        try:
            data = await self._read_ahead()
        except OSError:
            data = b""
        if data:
            self._reading = None
        self._buffer += data
        return bool(data)

    async def _send(self, steps: Iterable[Step]) -> bool:
        began = time.monotonic()
        for step in steps:
            match step:
                case bytes():
                    # Others have their turn before, not after: once the last byte is sent, the
                    # client may be gone before this goes on, with all that it wanted.
                    await asyncio.sleep(0)
                    self._writer.write(step)
                    await self._writer.drain()
                case Pace():
                    if (seconds := began + step.seconds - time.monotonic()) > 0:
                        await asyncio.sleep(seconds)
                case Hold():
                    await step.wait()
                case Stall():
                    await asyncio.Event().wait()
                case Drop():
                    if step.reset:
                        linger = struct.pack("ii", 1, 0)
                        wire = self._writer.get_extra_info("socket")
                        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        self._writer.transport.abort()
                    return False
        return True


class Loopback(Server):
    """An OpenAI-compatible endpoint: POST /chat/completions and GET /models below `url`.

    Each POST gets the next of what `reply` was given, or of none the `default`; either may be a
    function of the request. `models` are names, or objects as they are listed. With a `key`, a
    request without it is refused as DeepInfra does.
    """

    def __init__(self, key: str | None = None, port: int = 0) -> None:
        super().__init__(port)
        self.key = key
        self.default: Answer | Callable[[Request], Answer] = Reply()
        self.models: Sequence[str | Mapping[str, Any]] = ("test/model",)
        self._replies: deque[Answer | Callable[[Request], Answer]] = deque()

    @property
    def url(self) -> str:
        """The base address of the endpoint."""
        return self.origin + "/v1"

    @property
    def chats(self) -> list[Request]:
        """The requests that asked for a reply."""
        return [request for request in self.requests if request.method == "POST"]

    def reply(self, *answers: Answer | Callable[[Request], Answer]) -> None:
        """Add to what the next requests get."""
        self._replies.extend(answers)

    def answer(self, request: Request) -> Answer:
        """Return what the request gets."""
        what = (request.method, request.path.partition("?")[0])
        if what not in (("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
            return Fault(404, {"detail": "Not Found"})
        given = request.headers.get("authorization")
        if self.key and given is None:
            return Fault(403, {"detail": {"error": "Not authenticated"}})
        if self.key and given != f"Bearer {self.key}":
            said = {"message": "Invalid API token", "type": "invalid_request_error"}
            return Fault(401, {"error": {**said, "code": "invalid_api_key"}})
        if request.method == "GET":
            listed = [
                {"id": m, "object": "model"} if isinstance(m, str) else m for m in self.models
            ]
            return Fault(200, {"object": "list", "data": listed})
        answer = self._replies.popleft() if self._replies else self.default
        return answer(request) if callable(answer) else answer


class CountingServer(Server):
    """A web server that has an empty page for every address; what asked for one is in `requests`.

    The test of whether a reply made the browser load something.
    """

    def answer(self, request: Request) -> Answer:
        """Return an empty page that any page of any origin may load."""
        return Fault(200, headers={"access-control-allow-origin": "*"}, content_type="text/plain")


def main() -> None:
    """Serve a text until interrupted."""
    parser = argparse.ArgumentParser(description="Serve a text as the reply of a model.")
    parser.add_argument("--rate", type=float, help="pieces per second (default: at once)")
    parser.add_argument("--text", type=Path, help="the file with the text")
    parser.add_argument("--port", type=int, default=0, help="(default: one that is free)")
    options = parser.parse_args()
    text = options.text.read_text(encoding="utf-8") if options.text else TEXT
    count = len(pieces(text))
    usage = USAGE | {"completion_tokens": count, "total_tokens": count + USAGE["prompt_tokens"]}
    with Loopback(port=options.port) as server:
        server.default = Reply(text, rate=options.rate, usage=usage)
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
