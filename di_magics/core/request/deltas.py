"""The pieces of a text that streams, from servers that send what is new or all of it each time.

Some servers (QwenLM/qwen-code/pull/3896: DashScope) send the whole text so far in every event. Put
together it would be there dozens of times. Such a stream shows itself at its beginning: the second
piece begins with the first one, and the third with the second. A model's own words may do that by
chance once ("ha", "ha"; posit-dev/chatlas/issues/435), so nothing is left out before it is certain.
"""

from __future__ import annotations

CERTAIN = 4
"""Different characters of a text that comes whole: "=", "==" and "===" may be pieces of a line."""
MAX_HELD = 8
"""Pieces that wait until it is clear what they are."""


class Deltas:
    """Returns what is new in each piece of a text; `close` returns what was held back."""

    def __init__(self) -> None:
        self._state = "begin"
        self._text = ""
        self._held: list[str] = []

    def feed(self, piece: str) -> str:
        """Return what this piece adds to the text."""
        if self._state == "new":
            return piece
        if self._state == "begin":
            return self._begin(piece)
        if piece.startswith(self._text):
            new, self._text = piece[len(self._text) :], piece
            return new
        if self._text.startswith(piece):
            return ""
        self._state = "new"
        return piece

    def close(self) -> str:
        """Return what was held back: there are too few pieces to be certain."""
        self._state = "new"
        held, self._held = "".join(self._held), []
        return held

    def _begin(self, piece: str) -> str:
        if not self._text:
            self._text = piece
            return piece
        before = self._held[-1] if self._held else self._text
        goes_on = piece.startswith(before) and (bool(self._held) or piece != before)
        if not goes_on or len(self._held) == MAX_HELD:
            return self.close() + piece
        if not self._held or len(set(piece)) < CERTAIN:
            self._held.append(piece)
            return ""
        self._state, self._held = "whole", []
        new, self._text = piece[len(self._text) :], piece
        return new
