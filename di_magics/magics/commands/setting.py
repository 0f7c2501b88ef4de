"""The commands that change the settings for the next cells."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from di_magics.core.errors import DiMagicsError, ParamError, PolicyError
from di_magics.core.request.redact import Secret
from di_magics.core.settings.extras import EXTRA, format_extra
from di_magics.core.settings.flags import parse_assignments, split_line
from di_magics.core.settings.params import BUILT_IN_MAX_TOKENS, PARAMS, Value, format_param, suggest
from di_magics.core.settings.services import DEEPINFRA, LOCAL, SERVICES, Service
from di_magics.core.settings.settings import ABOVE, CONTEXT, TEXT_SETTINGS, Settings
from di_magics.core.visible import one_line
from di_magics.endpoints import probe
from di_magics.endpoints.endpoint import Endpoint, mend_url
from di_magics.endpoints.keys import key_origin
from di_magics.endpoints.local_server import is_available
from di_magics.magics.commands.command import (
    Context,
    command,
    incomplete,
    say,
    show_table,
    take_switch,
)
from di_magics.session.session import Session


@command("set NAME=VALUE …", "parameters, model, endpoint, system; context=N sends only N turns")
def set_values(context: Context, rest: str) -> None:
    """%chat set temperature=0.7 seed=1
    %chat set "system=Answer in one sentence." stop=END stop=###
    %chat set context=4     sends only the last four turns, context=all all of them
    %chat set above=new     sends the cells above with each prompt, as --above does
    %chat set extra.service_tier="flex"     any other field of the request, as JSON
    """
    assignments = parse_assignments(split_line(rest))
    _set(context.session, assignments or incomplete("set temperature=0.7 seed=1"))


@command(
    "unset NAME …",
    "remove settings, so that the server's defaults hold; `unset all` for every parameter",
)
def unset(context: Context, rest: str) -> None:
    names = split_line(rest) or incomplete("unset temperature")

    def without(settings: Settings) -> Settings:
        everything = [*settings.params, EXTRA]
        for name in everything if names == ["all"] else names:
            settings = settings.without_value(name)
        return settings

    context.session.update_settings(without)
    _say_settings(context.session)


def _set(session: Session, assignments: Sequence[tuple[str, str]]) -> None:
    """Set all of these, or none if one is invalid; several `stop` become one list."""
    stops = [value for name, value in assignments if name == "stop"]
    before, notes = session.settings.endpoint, []
    values: list[tuple[str, object]] = []
    for name, text in sorted(assignments, key=lambda item: item[0] != "endpoint"):
        if name == "endpoint" and text.strip():
            text, note = session.routing.resolve(text)
            notes += [note] if note else []
        values.append((name, stops if name == "stop" else text))

    def with_all(settings: Settings) -> Settings:
        for name, value in values:
            settings = settings.with_value(name, value)
        return settings

    session.update_settings(with_all)
    for note in notes:
        say(f"Corrected: {one_line(note, 200)}.")
    _say_settings(session)
    if session.settings.endpoint != before:
        _say_missing_settings(session)


def _say_missing_settings(session: Session) -> None:
    """Print the model that a new endpoint uses, or what it still needs."""
    try:
        session.look_up()
        route = session.route()
    except DiMagicsError as error:
        say(f"Not ready: {error}")
        return
    if session.settings.model is None:
        say(f"The model is {one_line(route.model, 120)}; %chat models lists all of them.")


def params_in_force(session: Session) -> dict[str, Value]:
    """Return the parameters as they would be sent, with those of a policy."""
    params = session.settings.params
    try:
        return session.policies.current().apply_to(params)
    except PolicyError:  # what is set now would be refused
        return dict(params)


def extras_in_force(session: Session) -> list[str]:
    """Return the other fields of the next request as text, with those of a policy."""
    extra = session.settings.extra
    with suppress(PolicyError):  # what is set now would be refused
        extra = session.policies.current().apply_to_extra(extra)
    return [one_line(format_extra(name, value), 80) for name, value in extra.items()]


def _say_settings(session: Session) -> None:
    settings, policy = session.settings, session.policies.current()
    parts = [format_param(name, value) for name, value in settings.params.items()]
    texts = [(name, getattr(settings, name)) for name in TEXT_SETTINGS]
    parts += [one_line(format_extra(name, value), 80) for name, value in settings.extra.items()]
    parts += [f"{name}={one_line(text, 80)!r}" for name, text in texts if text]
    parts += [f"{CONTEXT}={settings.context}"] if settings.context is not None else []
    parts += [f"{ABOVE}={settings.above}"] if settings.above is not None else []
    say("set: " + (" ".join(parts) or "nothing; the server's defaults hold"))
    try:
        policy.apply_to(settings.params)
        policy.apply_to_extra(settings.extra)
        if settings.model:
            policy.check_model(session.aliases.resolve(settings.model))
    except PolicyError as error:
        say(f"Warning: {error}")
    for line in service_in_use(session)[0].warnings(settings.params):
        say(f"Warning: {line}")


def describe_not_ready(session: Session, error: DiMagicsError) -> str:
    """Return the endpoint that is set, and why it cannot be asked."""
    return f"{session.settings.endpoint or 'none'}. Not ready: {error}"


def service_in_use(session: Session) -> tuple[Service, bool]:
    """Return what is known of the endpoint in use, and whether its model is the built-in one.

    It is DeepInfra where no request is possible now.
    """
    try:
        route = session.route()
    except DiMagicsError:
        return SERVICES[DEEPINFRA], False
    return route.service, route.built_in


@command("params", "the sampling parameters: value, range, effect")
def show_params(context: Context, rest: str) -> None:
    """%chat help temperature explains one of them."""
    settings, sent = context.session.settings, params_in_force(context.session)
    service, built_in = service_in_use(context.session)
    rows = [("parameter", "value", "server's default", "range", "effect")]
    for name, param in PARAMS.items():
        value = format_param(name, sent[name]).partition("=")[2] if name in sent else "not sent"
        if name in sent and name not in settings.params:
            value += " (policy)"
        elif name == "max_tokens" and name not in sent and built_in:
            value = f"{BUILT_IN_MAX_TOKENS} (the built-in model)"
        default = service.default(param) or "server's choice"
        rows.append((name, value, default, param.range, param.effect))
    show_table(rows, head=True)


@command("model [ID]", "set the model for the next cells, or show the current one")
def set_model(context: Context, rest: str) -> None:
    """%chat models lists those of the endpoint; -m ID sets it for one cell."""
    _set_or_say(context.session, "model", rest)


@command("alias [NAME ID|NAME --remove]", "short names for models, used like the models' own")
def set_alias(context: Context, rest: str) -> None:
    """%chat alias fast meta-llama/Llama-3.3-70B-Instruct-Turbo
    %chat alias             lists them
    %chat alias fast --remove

    Then -m fast, %chat model fast and di.ask(model="fast") ask that model. They are kept for all
    notebooks.
    """
    aliases, arguments = context.session.aliases, split_line(rest)
    if len(arguments) == 2:
        aliases.set(arguments[0], None if arguments[1] == "--remove" else arguments[1])
        context.session.watchers.notify("settings")
    elif arguments:
        raise ParamError(
            "An alias has a name and a model. Write %chat alias NAME ID, or NAME --remove."
        )
    rows = [(name, one_line(model, 120)) for name, model in sorted(aliases.current().items())]
    if rows:
        show_table([("alias", "model"), *rows], head=True)
    else:
        say("No alias is set. %chat alias NAME ID sets one.")


@command(
    "endpoint [NAME|URL]", "set the endpoint for the next cells; alone: list those with a name"
)
def set_endpoint(context: Context, rest: str) -> None:
    """%chat endpoint ollama, groq, openai, local:FILE.gguf, https://host/v1, …

    A server on this machine that has a name needs nothing else: its first model is used. Any other
    needs its key: %chat key. Your own: c.ChatMagics.endpoints = {"school": "https://host/v1"}
    in ipython_config.py, or endpoints.toml in the state folder (or the file DI_MAGICS_ENDPOINTS):

    [school]
    url = "https://host/v1"
    key_variable = "SCHOOL_KEY"
    model = "a/model"
    like = "vllm"
    """
    if rest:
        _set_or_say(context.session, "endpoint", rest)
    else:
        _list_endpoints(context.session)


def _list_endpoints(session: Session) -> None:
    """Show the endpoints with a name: address, where the key is from, whether a server listens."""
    services = session.routing.services()
    try:
        route = session.route()
        now, address, text = route.name, route.url, f"{route.name}."
    except DiMagicsError as error:
        now = session.settings.endpoint or ""
        address, text = mend_url(now), describe_not_ready(session, error)
    rows = [("", "name", "address", "key", "server")]
    for name, service in services.items():
        url = mend_url(service.url)
        listening = probe.listens(service)
        state = {True: "listens", False: service.start and f"start it: {service.start}"}
        key = session.routing.keys.find(service, url)[1] if url else ""
        if not key:
            key = f"%chat key {name}" if service.key_page else "not needed"
        server = (state.get(listening, "") if listening is not None else "") or ""
        if name == LOCAL:
            server = "built in" if is_available() else "needs the extra [local]"
        mark = "→" if now == name or (now and now not in services and url == address) else ""
        rows.append((mark, name, one_line(url, 80) or "this machine", one_line(key, 60), server))
    show_table(rows, head=True)
    say(f"Now: {one_line(text, 2000)} %chat endpoint NAME or URL sets another one.")


@command("system [TEXT]", "set the system prompt for the next cells, or show it")
def set_system(context: Context, rest: str) -> None:
    """%chat unset system clears it."""
    _set_or_say(context.session, "system", rest)


def _set_or_say(session: Session, name: str, value: str) -> None:
    if value:
        _set(session, [(name, value)])
        return
    text = getattr(session.settings, name)
    if text is None and name == "system":
        text = session.policies.current().system or "none"
    elif text is None:
        try:
            text = session.route().model
        except DiMagicsError as error:
            text = f"none. Not ready: {error}"
    say(one_line(text, 2000))


@command("key [NAME|URL] [--keep|--forget]", "type an endpoint's key, hidden; for this kernel only")
def ask_for_key(context: Context, rest: str) -> None:
    """Without a name it is the key of the endpoint in use. It is sent to that host only.

    --keep also puts it into the keyring of your system, for later kernels (the extra [keyring]);
    --forget removes it from both.
    """
    session = context.session
    arguments = rest.split()
    keep, forget = take_switch(arguments, "--keep"), take_switch(arguments, "--forget")
    endpoint = _endpoint_of_key(session, arguments)
    title = endpoint.service.title or endpoint.name
    keys = session.routing.keys
    if forget:
        removed = keys.forget(endpoint.url)
        _, left = keys.find(endpoint.service, endpoint.url)
        say(
            f"The key of {title} is forgotten ({', '.join(removed) or 'none was set here'})."
            + (f" The variable {left} still has one." if left else "")
        )
        return
    if session.policies.key():
        raise PolicyError(
            f"The key comes from {session.policies.current().source_names} and cannot be replaced "
            "here. Ask your teacher."
        )
    # Before the question: ParamError if no key may be sent there.
    Endpoint(endpoint.url, "a key", service=endpoint.service)
    typed = _type_key(f"Key of {title} ({key_origin(endpoint.url)}): ")
    Endpoint(endpoint.url, typed, service=endpoint.service)  # refuses what cannot be sent
    keys.set(endpoint.url, typed)
    kept = ""
    if keep:
        try:
            keys.keep(endpoint.url, typed)
            kept = " and kept in your system's keyring"
        except ParamError as error:
            say(f"Not kept: {error}")
    say(f"The key of {title} is set for this kernel{kept}.")


def _endpoint_of_key(session: Session, named: Sequence[str]) -> Endpoint:
    """Return the endpoint that is named, else the one in use. Raises ParamError for a key."""
    routing, policy = session.routing, session.policies.current()
    is_known = len(named) == 1 and (named[0] in routing.services() or "://" in named[0])
    if named and not is_known:
        raise ParamError(
            "A key on this line is saved with the notebook: revoke it if that was your key. "
            "%chat key alone asks for it, hidden; %chat endpoint lists the names."
            + suggest(named[0], routing.services())
        )
    return routing.endpoint_of_key(named[0] if named else session.settings.endpoint, policy)


def _type_key(question: str) -> Secret:
    """Return what the user types, hidden. Raises ParamError for nothing."""
    import getpass

    try:
        typed = Secret(getpass.getpass(question).strip())
    except (EOFError, RuntimeError, KeyboardInterrupt):  # there is no user
        typed = Secret()
    if not typed or len(typed.split()) > 1:
        raise ParamError("No key was typed; nothing has changed. Run %chat key again.")
    return typed
