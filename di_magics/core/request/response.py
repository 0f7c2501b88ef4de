"""The body of a successful response: bytes in, events out.

Its first bytes decide what it is, not its label: servers send JSON as text/event-stream and as
text/plain, and events as text/html. A response in which nothing can be read is an error that
quotes it, never a finished reply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from di_magics.core.errors import BadRequest, EndpointError, StreamBroken
from di_magics.core.reply.fold import Finished, ReplyEvent
from di_magics.core.request.events import PayloadParser
from di_magics.core.request.readers import load_json
from di_magics.core.request.server_errors import Target, stream_error
from di_magics.core.request.sse import Event, SSEDecoder
from di_magics.core.visible import one_line

DONE = "[DONE]"
MAX_REPLY_BYTES = 16 << 20
"""Bytes of a reply in one JSON object, at most; a stream has limits in endpoints/stream_size.py."""
MAX_QUOTE_CHARS = 160

_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b"error:", b":")

Kind = Literal["sse", "json", "html", "other"]


@dataclass
class Batch:
    """The result of some bytes of a response: events, and after them the end or an error.

    `complete` is whether a payload was completed by these bytes.
    """

    events: list[ReplyEvent] = field(default_factory=list)
    error: EndpointError | None = None
    done: bool = False
    complete: bool = False


def sniff(start: bytes) -> Kind | None:
    """Return the kind of a body by its first bytes, None if there are too few of them."""
    start = start.lstrip(_BLANK).removeprefix(_BOM).lstrip(_BLANK)
    if not start or _BOM.startswith(start):
        return None
    if start[:1] in (b"{", b"["):
        return "json"
    if start[:1] == b"<":
        return "html"
    if start.startswith(_FIELDS):
        return "sse"
    return None if any(name.startswith(start) for name in _FIELDS) else "other"


class ResponseReader:
    """Turns the body of one response into batches of events; feed it every chunk, then close it.

    `clean` removes the key from a text. A text is cleaned before it is cut for a message, because
    half a key is not recognised.
    """

    def __init__(
        self, target: Target | None = None, clean: Callable[[str], str] = lambda text: text
    ) -> None:
        self._target = target or Target()
        self._clean = clean
        self._payloads = PayloadParser(self._target)
        self._decoder = SSEDecoder()
        self._kind: Kind | None = None
        self._start = bytearray()
        self._last = ""

    def feed(self, chunk: bytes) -> Batch:
        """Return what this chunk completes."""
        if self._kind is None:
            self._start += chunk
            self._kind = sniff(bytes(self._start))
            if self._kind is None:
                # Leading blanks are dropped, also after a BOM: any number may come, one by one.
                rest = self._start.lstrip(_BLANK)
                bom = _BOM if rest.startswith(_BOM) else b""
                self._start = bytearray(bom + rest.removeprefix(_BOM).lstrip(_BLANK))
                return Batch()
            chunk = bytes(self._start)
        elif len(self._start) < MAX_QUOTE_CHARS or self._kind == "json":
            self._start += chunk
        if self._kind == "html":
            return Batch(error=self._nothing())
        if self._kind == "json":
            too_long = len(self._start) > MAX_REPLY_BYTES
            error = self._broken("more than 16 MB of JSON") if too_long else None
            return Batch(error=error, complete=True)
        return self._read(self._decoder.feed(chunk))

    def close(self) -> Batch:
        """Return what the end of the response leaves."""
        if self._kind == "json":
            self._last = self._start.decode("utf-8-sig", "replace")
            batch = self._read_lines() if _is_lines(self._last) else Batch(*self._parse(self._last))
            batch.done = True
        else:
            batch = self._read([event for event in self._decoder.close() if _is_whole(event)])
        batch.events += self._payloads.close()
        return self._judge(batch)

    def _read(self, received: list[Event]) -> Batch:
        batch = Batch(complete=bool(received))
        for event in received:
            if event.data.startswith(DONE):
                batch.done = True
                batch.events += self._payloads.close()
                return self._judge(batch)
            if event.type == "error":
                error = _json_or_text(self._clean(event.data))
                batch.error = stream_error({"error": error}, self._target)
            elif event.data and not event.data.startswith(":"):  # a comment, wrapped by a proxy
                self._last = event.data
                events, batch.error = self._parse(event.data)
                batch.events += events
            if batch.error:
                batch.events += self._payloads.close()
                return batch
        return batch

    def _read_lines(self) -> Batch:
        """Return the events of a body with a JSON object on each line (application/x-ndjson)."""
        batch = Batch()
        for line in filter(str.strip, self._last.splitlines()):
            events, batch.error = self._parse(line)
            batch.events += events
            if batch.error:
                break
        return batch

    def _parse(self, data: str) -> tuple[list[ReplyEvent], EndpointError | None]:
        events, error = self._payloads.parse(data)
        if error:  # parsed again after cleaning: the message may be cut within a key
            _, error = PayloadParser(self._target).parse(self._clean(data))
        return events, error

    def _judge(self, batch: Batch) -> Batch:
        """Return the last batch, with the end of the reply or why there is no reply."""
        if batch.error is None and not self._payloads.has_content:
            batch.error = self._nothing()
        elif batch.error is None and batch.done:
            batch.events.append(Finished())
        return batch

    def _nothing(self) -> EndpointError:
        """Return the error for a response in which no reply can be read."""
        if self._kind == "html":
            return web_page_error(self._target.endpoint)
        quote = self._clean(self._last or self._start.decode("utf-8", "replace"))
        return self._broken(
            f"no reply, but {one_line(quote, MAX_QUOTE_CHARS)!r}" if quote.strip() else "no reply"
        )

    def _broken(self, what: str) -> StreamBroken:
        return StreamBroken(
            f"{self._target.endpoint} sent {what} instead of a reply. Run the cell again, or check "
            "its address with %chat endpoint."
        )


def web_page_error(endpoint: str) -> BadRequest:
    """Return the error for an endpoint that answered with HTML."""
    return BadRequest(
        f"{endpoint} answered with a web page instead of a reply. Check its address with "
        "%chat endpoint: it must have an OpenAI-compatible API."
    )


def _is_lines(text: str) -> bool:
    """Return whether the first line of a text is JSON by itself, and others follow."""
    first, _, rest = text.strip().partition("\n")
    try:
        return bool(rest) and isinstance(load_json(first), dict)
    except ValueError:
        return False


def _is_whole(event: Event) -> bool:
    """Return whether an event is complete although no blank line ends it."""
    try:
        load_json(event.data)
    except ValueError:
        return event.type == "error" or event.data.startswith(DONE)
    return True


def _json_or_text(data: str) -> object:
    try:
        payload = load_json(data)
    except ValueError:
        return data
    return payload.get("error", payload) if isinstance(payload, dict) else payload
