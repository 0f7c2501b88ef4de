"""What is set for the cells to come: one value that every view reads and replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.settings.flags import parse_turn_count
from di_magics.core.settings.params import PARAMS, Value, suggest, validate
from di_magics.core.text import one_line

TEXT_SETTINGS = ("model", "endpoint", "system")
CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Settings:
    """Model, endpoint, system prompt and sampling parameters; None or absent is not sent.

    `context` is how many turns go along, None for all.
    """

    model: str | None = None
    endpoint: str | None = None
    system: str | None = None
    context: int | None = None
    params: Mapping[str, Value] = field(default_factory=dict)

    def with_value(self, name: str, value: object) -> Settings:
        """Return the settings with one value set. Raises ParamError when it does not fit."""
        name = _known_name(name)
        if name in TEXT_SETTINGS:
            if not isinstance(value, str) or not value.strip():
                raise ParamError(f"{name} takes a text. %chat unset {name} leaves it out.")
            changed: dict[str, Any] = {name: value}
            return replace(self, **changed)
        if name == CONTEXT:
            return replace(self, context=None if value == "all" else parse_turn_count(name, value))
        return replace(self, params={**self.params, name: validate(name, value)})

    def without_value(self, name: str) -> Settings:
        """Return the settings without one value. Raises ParamError for an unknown name."""
        name = _known_name(name)
        if name in (*TEXT_SETTINGS, CONTEXT):
            gone: dict[str, Any] = {name: None}
            return replace(self, **gone)
        return replace(self, params={k: v for k, v in self.params.items() if k != name})


def _known_name(name: str) -> str:
    name = name.replace("-", "_")
    known = (*TEXT_SETTINGS, CONTEXT, *PARAMS)
    if name not in known:
        raise ParamError(
            f"There is nothing called {one_line(name, 60)!r} to set.{suggest(name, known)} "
            "%chat params lists the parameters."
        )
    return name
