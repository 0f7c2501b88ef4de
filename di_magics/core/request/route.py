"""The destination of a request, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from di_magics.core.settings.services import LOCAL, SERVICES, UNKNOWN_SERVICE, Service

CHAT_PATH = "/chat/completions"
COMPLETIONS_PATH = "/completions"
"""Where the API is, below a base URL."""


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint and a model of it.

    Our own llama.cpp server has no `endpoint` and an empty `url` until it runs; `file` is the
    path of its GGUF file, empty for the built-in model. `free` is whether it charges nothing.
    """

    name: str
    model: str
    url: str = ""
    local: bool = False
    free: bool = False
    file: str = ""
    endpoint: Any = None

    @property
    def service(self) -> Service:
        """What is known of the endpoint."""
        if self.local:
            return SERVICES[LOCAL]
        known: Service = self.endpoint.service if self.endpoint else UNKNOWN_SERVICE
        return known

    @property
    def built_in(self) -> bool:
        """Whether it is the built-in model, which has no image input and is offered no tools."""
        return self.local and not self.file
