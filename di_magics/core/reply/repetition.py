"""Notices a model that repeats itself without end, as small models do.

A text is in a loop if its end is one passage at least five times in a row, 500 characters or more.
The passage may be up to 600 characters long, because only the last 3,000 characters are looked at.
The length of the passage comes from the prefix function of the reversed text (Knuth, Morris and
Pratt), in linear time. It has the border of each prefix: the longest shorter text that both begins
and ends it. The prefix repeats a passage whose length is its own minus that of its border.
"""

from __future__ import annotations

LOOKED_AT = 3000  # characters
MIN_REPEATED_CHARS = 500
TIMES = 5
STEP = 200
"""The text is looked at after every so many new characters."""


class RepetitionDetector:
    """Reads a text as it grows; `is_repeating` is whether it is in a loop."""

    def __init__(self) -> None:
        self._tail = ""
        self._new = 0
        self.is_repeating = False

    def feed(self, text: str) -> None:
        """Read the next part of the text."""
        self._tail = (self._tail + text)[-LOOKED_AT:]
        self._new += len(text)
        if self._new >= STEP:
            self._new = 0
            self.is_repeating = ends_in_repetition(self._tail)


def ends_in_repetition(text: str) -> bool:
    """Return whether the last characters of a text repeat one passage again and again."""
    tail = text[: -LOOKED_AT - 1 : -1]
    borders = [0] * len(tail)
    border = 0
    for at in range(1, len(tail)):
        while border and tail[at] != tail[border]:
            border = borders[border - 1]
        border += tail[at] == tail[border]
        borders[at] = border
        length = at + 1
        if length >= MIN_REPEATED_CHARS and length >= TIMES * (length - border):
            return True
    return False
