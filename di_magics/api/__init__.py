"""The Python API: a thin layer on the session of the magics."""

from di_magics.api.asking import Conversation, aask, ask, stream
from di_magics.api.loaded import panel
from di_magics.api.sweeps import diff, sweep
from di_magics.api.tokens import branch, lab, lens, score

__all__ = [
    "Conversation",
    "aask",
    "ask",
    "branch",
    "diff",
    "lab",
    "lens",
    "panel",
    "score",
    "stream",
    "sweep",
]
