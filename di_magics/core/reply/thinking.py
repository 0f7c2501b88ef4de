"""Reasoning that a model writes into its reply between `<think>` and `</think>`, told apart.

Only at the very beginning: further on the marks are text like any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from di_magics.core.reply.reply import Finished, ReplyEvent, Text, Thought

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
                out += self._told(event.text)
            else:
                if isinstance(event, Finished):
                    out += self.end()
                out.append(event)
        return out

    def end(self) -> list[ReplyEvent]:
        """Return what was held back: it can no longer become a mark."""
        held, self._held = self._held, ""
        if self._state == "after":
            return []
        return _thoughts(held) if self._state == "thought" else _texts(held)

    def _told(self, piece: str) -> list[ReplyEvent]:
        held, self._held = self._held, ""
        text = held + piece
        if self._state == "begin":
            begun = text.lstrip()
            if len(begun) < len(OPEN) and OPEN.startswith(begun):
                self._held = text
                return []
            if not begun.startswith(OPEN):
                self._state = "text"
                return _texts(held, piece)  # each as it came: the last may be an end token
            self._state, text = "opened", begun[len(OPEN) :]
        if self._state == "opened":
            text = text.lstrip("\n")
            self._state = "thought" if text else "opened"
        if self._state == "after":
            return self._after(text)
        thought, mark, rest = text.partition(CLOSE)
        if mark:
            self._state = "after"
            return [*_thoughts(thought), *self._after(rest)]
        kept = _beginning(thought)
        self._held = thought[len(thought) - kept :]
        return _thoughts(thought[: len(thought) - kept])

    def _after(self, text: str) -> list[ReplyEvent]:
        """Leave out the empty lines between the reasoning and the reply."""
        bare = text.lstrip()
        if not bare:
            self._held = text
            return []
        self._state = "text"
        blank = text[: len(text) - len(bare)]
        return _texts(blank.rpartition("\n")[2] if "\n" in blank else "", bare)


def _texts(*texts: str) -> list[ReplyEvent]:
    return [Text(text) for text in texts if text]


def _thoughts(text: str) -> list[ReplyEvent]:
    return [Thought(text)] if text else []


def _beginning(text: str) -> int:
    """Return how many characters at the end may be the beginning of the closing mark."""
    return next((n for n in range(len(CLOSE) - 1, 0, -1) if text.endswith(CLOSE[:n])), 0)
