"""Server-sent events: bytes in, events out, whatever the network cut them into.

Lines end at LF, CRLF or CR and nowhere else (str.splitlines would cut JSON at U+2028).
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its type (`message` unless the stream says otherwise) and its data."""

    type: str
    data: str


class SSEDecoder:
    """Turns the bytes of a stream into events; feed it what arrives, then close it."""

    def __init__(self) -> None:
        self._rest = b""
        self._started = False
        self._type = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes."""
        block = self._rest + chunk
        if not self._started:
            if len(block) < 3 and _BOM.startswith(block):
                self._rest = block
                return []
            self._started = True
            block = block.removeprefix(_BOM)
        # A CR at the end may be the first half of a CRLF.
        held = block[-1:] == b"\r"
        if held:
            block = block[:-1]
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = block.split(b"\n")
        self._rest = lines.pop() + (b"\r" if held else b"")
        events: list[Event] = []
        for line in lines:
            self._read(line, events)
        return events

    def close(self) -> list[Event]:
        """Return what the end of the stream leaves: at most one event.

        The standard drops an event without its blank line; servers that just hang up after the
        last one exist, and losing the end of a reply would be the worse mistake.
        """
        events: list[Event] = []
        self._read(self._rest.removesuffix(b"\r"), events)
        self._rest = b""
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
            self._type, self._data = b"error", [*self._data, line[6:].strip()]
