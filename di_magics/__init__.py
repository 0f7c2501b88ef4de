"""Talk to a language model from a notebook: `%load_ext di_magics`, then `%%chat` cells.

Loading is fast: the public names are imported at their first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from di_magics import tools as tools
    from di_magics.api import (
        Conversation,
        aask,
        ask,
        branch,
        diff,
        lab,
        lens,
        panel,
        score,
        stream,
        sweep,
    )
    from di_magics.core.errors import (
        BadRequest,
        BudgetError,
        Busy,
        ChatError,
        DiMagicsError,
        EndpointError,
        Interrupted,
        ParamError,
        PolicyError,
        Refused,
        ReplyError,
        StoreError,
        StreamBroken,
        ToolError,
        TooLong,
        Unreachable,
    )
    from di_magics.core.reply.reply import Reply, ToolCall, Usage
    from di_magics.core.reply.tool_calls import safe
    from di_magics.display.sweep import Sweep
    from di_magics.endpoints.endpoint import Endpoint

__all__ = [
    "BadRequest",
    "BudgetError",
    "Busy",
    "ChatError",
    "Conversation",
    "DiMagicsError",
    "Endpoint",
    "EndpointError",
    "Interrupted",
    "ParamError",
    "PolicyError",
    "Refused",
    "Reply",
    "ReplyError",
    "StoreError",
    "StreamBroken",
    "Sweep",
    "TooLong",
    "ToolCall",
    "ToolError",
    "Unreachable",
    "Usage",
    "aask",
    "ask",
    "branch",
    "diff",
    "lab",
    "lens",
    "panel",
    "safe",
    "score",
    "stream",
    "sweep",
]

# Functions are in the module api and errors in core/errors, but for:
_HOMES = {
    "Conversation": "di_magics.api",
    "safe": "di_magics.core.reply.tool_calls",
    "Sweep": "di_magics.display.sweep",
    "Endpoint": "di_magics.endpoints.endpoint",
    "Reply": "di_magics.core.reply.reply",
    "ToolCall": "di_magics.core.reply.reply",
    "Usage": "di_magics.core.reply.reply",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        from importlib.metadata import version

        return version("di-magics")
    if name == "tools":
        return importlib.import_module("di_magics.tools")
    if name not in __all__:
        raise AttributeError(f"module 'di_magics' has no attribute {name!r}")
    home = "di_magics.api" if name.islower() else "di_magics.core.errors"
    return getattr(importlib.import_module(_HOMES.get(name, home)), name)


def __dir__() -> list[str]:
    return [*__all__, "tools", "__version__"]


def load_ipython_extension(shell: Any) -> None:
    """Register `%%chat` and `%chat`."""
    from di_magics.magics.chat import register

    register(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Remove everything that loading and asking have added: magics, thread, child process."""
    from di_magics.magics.chat import unregister

    unregister(shell)
