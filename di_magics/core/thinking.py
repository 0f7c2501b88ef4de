"""Reasoning that a model writes into its reply between `<think>` and `</think>`, told apart.

Only at the very beginning: further on the marks are text like any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from di_magics.core.reply import Finished, ReplyEvent, Text, Thought

OPEN, CLOSE = "<think>", "</think>"


class Thinking:
    """Turns the events of one reply into events whose reasoning is marked as such.

    What could yet become a mark is held back until that is clear; `end` gives back the rest.
    """

    def __init__(self) -> None:
        self._state = "begin"
        self._held = ""

    def read(self, events: Iterable[ReplyEvent]) -> list[ReplyEvent]:
        """Return these events, with texts that are reasoning as thoughts."""
        out: list[ReplyEvent] = []
        for event in events:
            if isinstance(event, Text) and self._state != "text":
                out += self._told(self._held + event.text)
            else:
                if isinstance(event, Finished):
                    out += self.end()
                out.append(event)
        return out

    def end(self) -> list[ReplyEvent]:
        """Return what was held back: it can no longer become a mark."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [Thought(held) if self._state == "thought" else Text(held)]

    def _told(self, text: str) -> list[ReplyEvent]:
        self._held = ""
        if self._state == "begin":
            begun = text.lstrip()
            if OPEN.startswith(begun[: len(OPEN)]) and len(begun) < len(OPEN):
                self._held = text
                return []
            if not begun.startswith(OPEN):
                self._state = "text"
                return [Text(text)]
            self._state, text = "thought", begun[len(OPEN) :].lstrip("\n")
        if self._state == "after":
            return self._after(text)
        thought, mark, rest = text.partition(CLOSE)
        if mark:
            self._state = "after"
            return [*_thought(thought), *self._after(rest)]
        kept = _beginning(thought)
        self._held = thought[len(thought) - kept :]
        return _thought(thought[: len(thought) - kept])

    def _after(self, text: str) -> list[ReplyEvent]:
        """Leave out the empty lines between the reasoning and the reply."""
        text = text.lstrip()
        if not text:
            return []
        self._state = "text"
        return [Text(text)]


def _thought(text: str) -> list[ReplyEvent]:
    return [Thought(text)] if text else []


def _beginning(text: str) -> int:
    """Return how many characters at the end may be the beginning of the closing mark."""
    return next((n for n in range(len(CLOSE) - 1, 0, -1) if text.endswith(CLOSE[:n])), 0)
