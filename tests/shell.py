"""An IPython shell without a kernel, as in a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ran:
    """What a cell printed, and the error it ended with."""

    text: str
    error: BaseException | None


Run = Callable[[str], Ran]
