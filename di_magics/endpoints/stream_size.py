"""Limits how much of a stream is read, because one may have no end."""

from __future__ import annotations

from di_magics.core.errors import StreamBroken
from di_magics.core.reply.fold import Reasoning, ReplyEvent, Text, ToolCallDelta
from di_magics.core.request.response import MAX_REPLY_BYTES, Batch
from di_magics.endpoints.endpoint import Endpoint

# The most bytes that are read of one event and of a stream.
MAX_EVENT_BYTES = 1 << 20
MAX_STREAM_BYTES = 256 << 20


class StreamSize:
    """Counts the bytes of a stream; raises StreamBroken for more than a reply can have."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._name = endpoint.name
        self._event = self._silent = self._text = self._all = 0

    def add(self, size: int, batch: Batch) -> None:
        """Count a read of the network, and the text in it."""
        text = _text_size(batch.events)
        self._event = 0 if batch.complete else self._event + size
        self._silent = 0 if text else self._silent + size
        self._text += text
        self._all += size
        if self._event > MAX_EVENT_BYTES:
            problem = "sent an event of more than 1 MB"
        elif self._silent > MAX_REPLY_BYTES:
            problem = "sent 16 MB without any text of the reply"
        elif self._text > MAX_REPLY_BYTES:
            problem = "sent a reply of more than 16 MB"
        elif self._all > MAX_STREAM_BYTES:
            problem = "sent a stream of more than 256 MB"
        else:
            return
        raise StreamBroken(
            f"{self._name} {problem}, so no more of it is read. The partial reply is kept; "
            "--max-tokens limits the next one."
        )


def _text_size(events: list[ReplyEvent]) -> int:
    size = 0
    for event in events:
        match event:
            case Text(text) | Reasoning(text):
                size += len(text)
            case ToolCallDelta(_, _, name, arguments):
                size += len(name) + len(arguments)
    return size
