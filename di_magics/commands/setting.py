"""The commands that set what holds for the cells to come."""

from __future__ import annotations

from collections.abc import Sequence

from di_magics.commands.answer import Words, incomplete, say, table
from di_magics.core.command import pairs, split
from di_magics.core.errors import DiMagicsError, ParamError, one_line
from di_magics.core.params import PARAMS, shown
from di_magics.core.settings import CONTEXT, NAMES, Settings


class Setting(Words):
    """Parameters, model, endpoint, system prompt and key."""

    def set(self, rest: str) -> None:
        """set NAME=VALUE …: parameters, model, endpoint, system; context=N sends only N turns"""
        self._set(pairs(split(rest)) or incomplete("set temperature=0.7 seed=1"))

    def unset(self, rest: str) -> None:
        """unset NAME …: leave them to the server again; `unset all` for every parameter"""
        names = split(rest) or incomplete("unset temperature")

        def without(settings: Settings) -> Settings:
            for name in list(settings.params) if names == ["all"] else names:
                settings = settings.lacking(name)
            return settings

        self._session.change(without)
        self._say_set()

    def _set(self, values: Sequence[tuple[str, str]]) -> None:
        """Set all of these, or none where one does not fit."""

        def having(settings: Settings) -> Settings:
            before = settings.endpoint
            for name, value in values:
                settings = settings.having(name, value)
            if settings.endpoint and settings.endpoint != before:
                self._session.routes.check(settings.endpoint)
            return settings

        self._session.change(having)
        self._say_set()

    def _say_set(self) -> None:
        settings = self._session.settings
        words = [shown(name, value) for name, value in settings.params.items()]
        words += [f"{n}={one_line(v, 80)!r}" for n in NAMES if (v := getattr(settings, n))]
        words += [f"{CONTEXT}={settings.context}"] if settings.context is not None else []
        say("set: " + (" ".join(words) or "nothing; the server's defaults hold"))

    def params(self, rest: str) -> None:
        """params: the sampling parameters: value, range, effect"""
        values = self._session.settings.params
        try:
            here = self._session.route().local
        except DiMagicsError:  # nothing could be asked now; DeepInfra's are the ones to show
            here = False
        rows = [("parameter", "value", "server's default", "range", "effect")]
        for name, param in PARAMS.items():
            value = shown(name, values[name]).partition("=")[2] if name in values else "not sent"
            default = (here and param.local_default) or param.default
            rows.append((name, value, default, param.range, param.effect))
        say(table(rows))

    def model(self, rest: str) -> None:
        """model [ID]: set the model for the cells to come, or show it"""
        self._one("model", rest)

    def endpoint(self, rest: str) -> None:
        """endpoint [NAME|URL]: deepinfra, local, local:FILE.gguf or a URL; or show it"""
        self._one("endpoint", rest)

    def system(self, rest: str) -> None:
        """system [TEXT]: set the system prompt for the cells to come, or show it (unset system)"""
        self._one("system", rest)

    def _one(self, name: str, value: str) -> None:
        if value:
            self._set([(name, value)])
        else:
            found = getattr(self._session.settings, name)
            say(one_line(found, 2000) if found else f"{name} is not set; %chat shows what holds")

    def key(self, rest: str) -> None:
        """key: type DeepInfra's key, hidden; it is kept for this kernel only"""
        if rest:
            raise ParamError(
                "Not on this line: it would be saved with the notebook. %chat key alone asks for "
                "the key, hidden. If that was your key, revoke it."
            )
        import getpass

        try:
            typed = getpass.getpass("DeepInfra key: ").strip()
        except (EOFError, RuntimeError, KeyboardInterrupt):  # no one is there to type
            typed = ""
        if not typed or len(typed.split()) > 1:
            raise ParamError("No key was typed; nothing has changed.")
        self._session.routes.key = typed
        say("The key is set for this kernel.")
