"""The settings for the next cells: one immutable value that every view reads and replaces.

A model belongs to its endpoint: when the endpoint changes, the model that was set there before is
set again. If no model was set for the new endpoint: a named endpoint uses its own default model; an
address uses the model that was last set for another address, because both may be proxies to the
same models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.settings.counts import Above, parse_above, parse_turn_count
from di_magics.core.settings.extras import EXTRA, PREFIX, check_extra, check_name, parse_extra
from di_magics.core.settings.params import PARAMS, Value, suggest, validate
from di_magics.core.settings.services import DEEPINFRA, LOCAL, is_local, is_name
from di_magics.core.visible import one_line

TEXT_SETTINGS = ("model", "endpoint", "system")
CONTEXT = "context"
ABOVE = "above"
SETTINGS = (*TEXT_SETTINGS, CONTEXT, ABOVE, EXTRA, *PARAMS)
"""The names of all settings."""


def has_own_models(endpoint: str) -> bool:
    """Return whether no other endpoint has the models of this one.

    An address may be a proxy to the same models; DeepInfra is the usual default.
    """
    return is_local(endpoint) or (is_name(endpoint) and endpoint != DEEPINFRA)


@dataclass(frozen=True, slots=True)
class Settings:
    """Model, endpoint, system prompt and sampling parameters; None or absent is not sent.

    `context` is how many turns are sent with a prompt, None for all. `above` is which of the cells
    above are sent with it, None for none. `extra` are other fields of
    the request, as they are sent. `models` are the models that were set before, by endpoint ("" is
    the default one); `models[None]` is the model last set at an endpoint whose models others may
    have.
    """

    model: str | None = None
    endpoint: str | None = None
    system: str | None = None
    context: int | None = None
    params: Mapping[str, Value] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str | None, str | None] = field(default_factory=dict, compare=False)
    above: Above | None = None

    @property
    def local_endpoint(self) -> str:
        """The endpoint if it is local, else that of the built-in model."""
        return self.endpoint if self.endpoint and is_local(self.endpoint) else LOCAL

    def with_value(self, name: str, value: object) -> Settings:
        """Return the settings with one value set. Raises ParamError for an invalid value.

        The value of `extra.NAME` is JSON, that of `extra` a dict of fields.
        """
        if name.startswith(PREFIX):
            field = name.removeprefix(PREFIX)
            return replace(self, extra={**self.extra, field: parse_extra(field, str(value))})
        name = _known_name(name)
        if name == EXTRA:
            return replace(self, extra=_parse_fields(value))
        if name == "endpoint":
            return self.at_endpoint(_parse_text(name, value))
        if name in TEXT_SETTINGS:
            changed: dict[str, Any] = {name: _parse_text(name, value)}
            return replace(self, **changed)
        if name == CONTEXT:
            return replace(self, context=None if value == "all" else parse_turn_count(name, value))
        if name == ABOVE:
            return replace(self, above=parse_above(name, value) or None)
        return replace(self, params={**self.params, name: validate(name, value)})

    def without_value(self, name: str) -> Settings:
        """Return the settings without one value. Raises ParamError for an unknown name."""
        if name.startswith(PREFIX):
            check_name(field := name.removeprefix(PREFIX))
            return replace(self, extra={k: v for k, v in self.extra.items() if k != field})
        name = _known_name(name)
        if name == EXTRA:
            return replace(self, extra={})
        if name == "endpoint":
            return self.at_endpoint(None)
        if name in (*TEXT_SETTINGS, CONTEXT, ABOVE):
            removed: dict[str, Any] = {name: None}
            return replace(self, **removed)
        return replace(self, params={k: v for k, v in self.params.items() if k != name})

    def at_endpoint(self, endpoint: str | None) -> Settings:
        """Return the settings for an endpoint, None for the default, with its own model."""
        if endpoint == self.endpoint:
            return self
        before = self.endpoint or ""
        models = {**self.models, before: self.model}
        if not has_own_models(before):
            models[None] = self.model
        after = endpoint or ""
        model = models.get(after, None if has_own_models(after) else models.get(None))
        return replace(self, endpoint=endpoint, model=model, models=models)


def _parse_text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ParamError(f"{name} must be a text. %chat unset {name} clears it.")
    if name == "system":
        return value
    text = value.strip()
    is_quoted = len(text) > 2 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text


def _parse_fields(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ParamError("extra must be a dict of fields. Set one with %chat set extra.NAME=JSON.")
    return {str(name): check_extra(name, item) for name, item in value.items()}


def _known_name(name: str) -> str:
    name = name.replace("-", "_")
    if name not in SETTINGS:
        raise ParamError(
            f"There is no setting {one_line(name, 60)!r}.{suggest(name, SETTINGS)} "
            "%chat params lists the parameters."
        )
    return name
