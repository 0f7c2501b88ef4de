"""Server-sent events: bytes in, events out, however the network cuts them.

Lines end at LF, CRLF or CR and nowhere else (str.splitlines would cut JSON at U+2028).
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its type (`message` where the stream gives none) and its data."""

    type: str
    data: str


class SSEDecoder:
    """Turns the bytes of a stream into events: feed it every chunk, then close it."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._started = self._after_cr = False
        self._type = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes."""
        self._rest.append(chunk)
        # A long line may arrive byte by byte: it is joined once, at its end.
        ends = b"\n" in chunk or b"\r" in chunk or self._after_cr
        if self._started and not ends:
            return []
        block = b"".join(self._rest)
        if not self._started:
            if len(block) < 3 and _BOM.startswith(block):
                return []
            self._started = True
            block = block.removeprefix(_BOM)
        # A CR at the end may be the first half of a CRLF.
        self._after_cr = block[-1:] == b"\r"
        if self._after_cr:
            block = block[:-1]
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = block.split(b"\n")
        self._rest = [lines.pop() + (b"\r" if self._after_cr else b"")]
        events: list[Event] = []
        for line in lines:
            self._read(line, events)
        return events

    def close(self) -> list[Event]:
        """Return the last event, if the stream ended without its blank line.

        The standard drops it, but some servers close the connection right after it.
        """
        events: list[Event] = []
        self._read(b"".join(self._rest).removesuffix(b"\r"), events)
        self._rest = []
        self._read(b"", events)
        return events

    def _read(self, line: bytes, events: list[Event]) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif not line:
            if self._data:
                data = b"\n".join(self._data).decode("utf-8", "replace")
                events.append(Event(self._type.decode("utf-8", "replace") or "message", data))
            self._data, self._type = [], b""
        elif line.startswith(b"event:"):
            self._type = line[6:].strip()
        elif line.startswith(b"error:"):
            # Not in the standard: llama.cpp's server has sent its errors as a field of this name.
            self._type = b"error"
            self._data.append(line[6:].strip())
