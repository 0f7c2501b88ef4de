"""The commands that set what holds for the cells to come."""

from __future__ import annotations

from collections.abc import Sequence

from di_magics.core.errors import DiMagicsError, ParamError, PolicyError
from di_magics.core.settings.flags import parse_assignments, split_line
from di_magics.core.settings.params import PARAMS, Value, format_param
from di_magics.core.settings.settings import CONTEXT, TEXT_SETTINGS, Settings
from di_magics.core.text import one_line
from di_magics.magics.commands.answer import Words, incomplete, say, show_table


class Setting(Words):
    """Parameters, model, endpoint, system prompt and key."""

    def set(self, rest: str) -> None:
        """set NAME=VALUE …: parameters, model, endpoint, system; context=N sends only N turns

        %chat set temperature=0.7 seed=1
        %chat set "system=Answer in one sentence." stop=END stop=###
        %chat set context=4     sends only the last four turns along, context=all all of them
        """
        self._set(parse_assignments(split_line(rest)) or incomplete("set temperature=0.7 seed=1"))

    def unset(self, rest: str) -> None:
        """unset NAME …: leave them to the server again; `unset all` for every parameter"""
        names = split_line(rest) or incomplete("unset temperature")

        def without(settings: Settings) -> Settings:
            for name in list(settings.params) if names == ["all"] else names:
                settings = settings.without_value(name)
            return settings

        self._session.update_settings(without)
        self._say_set()

    def _set(self, values: Sequence[tuple[str, str]]) -> None:
        """Set all of these, or none where one does not fit; several `stop` add up."""
        stops = [value for name, value in values if name == "stop"]

        def having(settings: Settings) -> Settings:
            before = settings.endpoint
            for name, value in values:
                settings = settings.with_value(name, stops if name == "stop" else value)
            if settings.endpoint and settings.endpoint != before:
                self._session.routes.check(settings.endpoint)
            return settings

        self._session.update_settings(having)
        self._say_set()

    def _in_force(self) -> dict[str, Value]:
        """Return the parameters as they would be sent, a policy's among them."""
        params = self._session.settings.params
        try:
            return self._session.policies.current().apply_to(params)
        except PolicyError:  # what is set now would be refused
            return dict(params)

    def _say_set(self) -> None:
        settings, policy = self._session.settings, self._session.policies.current()
        words = [format_param(name, value) for name, value in settings.params.items()]
        words += [f"{n}={one_line(v, 80)!r}" for n in TEXT_SETTINGS if (v := getattr(settings, n))]
        words += [f"{CONTEXT}={settings.context}"] if settings.context is not None else []
        say("set: " + (" ".join(words) or "nothing; the server's defaults hold"))
        try:
            policy.apply_to(settings.params)
            if settings.model:
                policy.check_model(settings.model)
        except PolicyError as error:
            say(f"But: {error}")

    def params(self, rest: str) -> None:
        """params: the sampling parameters: value, range, effect

        %chat help temperature says more on one of them.
        """
        settings, sent = self._session.settings, self._in_force()
        try:
            here = self._session.route().local
        except DiMagicsError:  # nothing could be asked now; DeepInfra's are the ones to show
            here = False
        rows = [("parameter", "value", "server's default", "range", "effect")]
        for name, param in PARAMS.items():
            value = format_param(name, sent[name]).partition("=")[2] if name in sent else "not sent"
            if name in sent and name not in settings.params:
                value += " (policy)"
            default = (here and param.local_default) or param.default
            rows.append((name, value, default, param.range, param.effect))
        show_table(rows, head=True)

    def model(self, rest: str) -> None:
        """model [ID]: set the model for the cells to come, or show the one in force

        %chat models lists those of the endpoint; -m ID sets it for one cell.
        """
        self._one("model", rest)

    def endpoint(self, rest: str) -> None:
        """endpoint [NAME|URL]: deepinfra, local, local:FILE.gguf or a URL; or show it

        A URL ends where /chat/completions is put behind it: https://host/v1. Its key is
        DI_MAGICS_API_KEY, where DI_MAGICS_BASE_URL is the same address.
        """
        self._one("endpoint", rest)

    def system(self, rest: str) -> None:
        """system [TEXT]: set the system prompt for the cells to come, or show it (unset system)"""
        self._one("system", rest)

    def _one(self, name: str, value: str) -> None:
        if value:
            self._set([(name, value)])
            return
        found = getattr(self._session.settings, name)
        if found is None and name != "system":
            try:
                found = f"{getattr(self._session.route(), 'name' if name == 'endpoint' else name)}"
            except DiMagicsError as error:
                found = f"none. {error}"
        elif found is None:
            found = self._session.policies.current().system or "none"
        say(one_line(found, 2000))

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
