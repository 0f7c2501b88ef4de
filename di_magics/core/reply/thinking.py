"""Reasoning that a model writes into its reply between `<think>` and `</think>`, told apart.

Only at the very beginning: further on the marks are text like any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from di_magics.core.reply.reply import Finished, Reasoning, ReplyEvent, Text

OPEN, CLOSE = "<think>", "</think>"


class ThinkTagParser:
    """Turns the events of one reply into events whose reasoning is marked as such.

    What could yet become a mark is held back until that is clear; `end` gives back the rest.
    """

    def __init__(self) -> None:
        self._state = "begin"
        self._pending = ""

    def feed(self, events: Iterable[ReplyEvent]) -> list[ReplyEvent]:
        """Return these events, with texts that are reasoning as thoughts."""
        out: list[ReplyEvent] = []
        for event in events:
            if isinstance(event, Text) and self._state != "text":
                out += self._split(event.text)
            else:
                if isinstance(event, Finished):
                    out += self.close()
                out.append(event)
        return out

    def close(self) -> list[ReplyEvent]:
        """Return what was held back: it can no longer become a mark."""
        held, self._pending = self._pending, ""
        if self._state == "after":
            return []
        return _reasoning_events(held) if self._state == "thought" else _text_events(held)

    def _split(self, piece: str) -> list[ReplyEvent]:
        held, self._pending = self._pending, ""
        text = held + piece
        if self._state == "begin":
            begun = text.lstrip()
            if len(begun) < len(OPEN) and OPEN.startswith(begun):
                self._pending = text
                return []
            if not begun.startswith(OPEN):
                self._state = "text"
                return _text_events(held, piece)  # each as it came: the last may be an end token
            self._state, text = "opened", begun[len(OPEN) :]
        if self._state == "opened":
            text = text.lstrip("\n")
            self._state = "thought" if text else "opened"
        if self._state == "after":
            return self._after(text)
        thought, mark, rest = text.partition(CLOSE)
        if mark:
            self._state = "after"
            return [*_reasoning_events(thought), *self._after(rest)]
        kept = _partial_tag_length(thought)
        self._pending = thought[len(thought) - kept :]
        return _reasoning_events(thought[: len(thought) - kept])

    def _after(self, text: str) -> list[ReplyEvent]:
        """Leave out the empty lines between the reasoning and the reply."""
        bare = text.lstrip()
        if not bare:
            self._pending = text
            return []
        self._state = "text"
        blank = text[: len(text) - len(bare)]
        return _text_events(blank.rpartition("\n")[2] if "\n" in blank else "", bare)


def _text_events(*texts: str) -> list[ReplyEvent]:
    return [Text(text) for text in texts if text]


def _reasoning_events(text: str) -> list[ReplyEvent]:
    return [Reasoning(text)] if text else []


def _partial_tag_length(text: str) -> int:
    """Return how many characters at the end may be the beginning of the closing mark."""
    return next((n for n in range(len(CLOSE) - 1, 0, -1) if text.endswith(CLOSE[:n])), 0)
