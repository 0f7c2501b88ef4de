"""The settings as traits, for `%config ChatMagics` and ipython_config.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import traitlets
from traitlets.config import Configurable

from di_magics.core.errors import ParamError
from di_magics.core.settings.params import PARAMS

if TYPE_CHECKING:
    from di_magics.core.settings.settings import Settings

HELP = {
    "model": "The model to ask.",
    "endpoint": "A name (%chat endpoint lists them), local:FILE.gguf, or a URL.",
    "system": "The system prompt.",
    "extra": "Other fields of the request, as a dict.",
    "above": "Which cells above are sent with a prompt: the last N, new or all; none unless set.",
    "context": "How many turns are sent with a prompt; all of them unless set.",
    **{name: f"{param.effect} ({param.range})" for name, param in PARAMS.items()},
}


class SettingsTraits(Configurable):
    """One trait per setting; None means not set, so that the server's default holds."""

    for _name, _help in HELP.items():
        vars()[_name] = traitlets.Any(None, allow_none=True, help=_help).tag(config=True)

    endpoints = traitlets.Dict(
        help="Your own endpoints by name: their addresses, or tables with url, key_variable, "
        "model, like, headers, query."
    ).tag(config=True)

    @traitlets.validate("endpoints")
    def _fit_endpoints(self, proposal: Mapping[str, Any]) -> object:
        """Refuse endpoints that are not valid; the old ones stay."""
        from di_magics.core.settings.own_services import parse_services

        try:
            parse_services(proposal["value"], "c.ChatMagics.endpoints")
        except ParamError as error:
            raise traitlets.TraitError(str(error)) from None
        return proposal["value"]

    @traitlets.validate(*HELP)
    def _fit(self, proposal: Mapping[str, Any]) -> object:
        """Refuse an invalid value with the message of `%chat set`; the old value stays."""
        value, name = proposal["value"], proposal["trait"].name
        try:
            if value is None:
                return None
            from di_magics.core.settings.settings import Settings

            return setting_values(Settings().with_value(name, value))[name]
        except ParamError as error:
            raise traitlets.TraitError(str(error)) from None

    def to_settings(self) -> Settings:
        """Return the settings that the traits hold."""
        from di_magics.core.settings.settings import Settings

        settings = Settings()
        for name in sorted(HELP, key=lambda name: name != "endpoint"):  # it may change the model
            if (value := getattr(self, name)) is not None:
                settings = settings.with_value(name, value)
        return settings

    def copy_from(self, settings: Settings) -> None:
        """Set the traits to these settings; observers are called after all of them are set."""
        with self.hold_trait_notifications():
            for name, value in setting_values(settings).items():
                if getattr(self, name) != value:
                    setattr(self, name, value)

    def on_change(self, update: Callable[[Callable[[Settings], Settings]], None]) -> None:
        """Call `update` with the change of the settings whenever a trait has changed."""

        def apply(change: Mapping[str, Any]) -> None:
            name, value = change["name"], change["new"]
            if value is None:
                update(lambda settings: settings.without_value(name))
            else:
                update(lambda settings: settings.with_value(name, value))

        self.observe(apply, list(HELP))


def setting_values(settings: Settings) -> dict[str, Any]:
    """Return the value of every setting by name, None where it is not set."""
    return {
        name: settings.params.get(name) if name in PARAMS else getattr(settings, name)
        for name in HELP
    }
