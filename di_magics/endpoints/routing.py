"""Chooses the endpoint of a request: names, keys, and the servers of local models.

A key is sent only to its own server; endpoints/keys.py finds it.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import di_magics.endpoints.local_server as local
from di_magics.core.errors import ParamError, PolicyError, Refused
from di_magics.core.request.export import Destination
from di_magics.core.request.redact import Secret
from di_magics.core.request.route import Route
from di_magics.core.settings.params import suggest
from di_magics.core.settings.policy import NO_POLICY, Policy
from di_magics.core.settings.services import (
    DEEPINFRA,
    FIXED,
    LOCAL,
    SERVICES,
    Service,
    find_service,
    is_local,
    is_name,
)
from di_magics.core.settings.settings import has_own_models
from di_magics.core.visible import one_line
from di_magics.endpoints.endpoint import (
    VERSION,
    Endpoint,
    LocalEndpoint,
    mend_url,
    service_at,
    trim_url,
)
from di_magics.endpoints.keys import Keys, check_variable
from di_magics.endpoints.projector import is_projector


def no_key(service: Service) -> str:
    """Return what is missing and how to get it, without an end."""
    return (
        f"No key for {service.title} is set. Get one at {service.key_page} and set it with "
        f"%chat key {service.name}, or in the environment as {service.key_variables[0]}"
    )


def _fill(values: Mapping[str, str], url: str) -> dict[str, str]:
    """Return the values for an address, those of variables filled in. Raises ParamError."""
    filled: dict[str, str] = {}
    for name, value in values.items():
        variable = value.removeprefix("$")
        is_variable = value.startswith("$") and variable.isidentifier()
        filled[name] = Secret(os.environ.get(variable, "").strip() if is_variable else value)
        if is_variable:
            check_variable(variable, url)
        if is_variable and not filled[name]:
            raise ParamError(
                f"The variable {one_line(variable, 60)} of {one_line(name, 60)} is not set. Set it "
                "in the environment."
            )
    return filled


def _by_name(values: Mapping[str, str]) -> dict[str, str]:
    """Return the values, secret ones as the names of variables of the environment."""
    named = {}
    for name, value in values.items():
        if not VERSION.fullmatch(value) and not re.fullmatch(r"\$[A-Za-z_]\w*", value, re.ASCII):
            value = "$" + re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII).upper()
        named[name] = value
    return named


def usual_model(named: str | Endpoint | None) -> str | None:
    """Return DI_MAGICS_MODEL, which is not for an endpoint with a name that was chosen later."""
    is_other = isinstance(named, str) and has_own_models(named)
    if is_other and named != trim_url(os.environ.get("DI_MAGICS_ENDPOINT", "")):
        return None
    return os.environ.get("DI_MAGICS_MODEL") or None


class Routing:
    """Turns an endpoint's name or address into a route, and runs the servers of local models.

    `own` returns the user's own endpoints by name. `first_models` are the models that are used
    where none is set, by the address of a server on this machine.
    """

    def __init__(
        self, state_dir: Path | None, own: Callable[[], Mapping[str, Service]] = dict
    ) -> None:
        self.keys = Keys(state_dir)
        self.first_models: dict[str, str] = {}
        self._own = own
        self._state_dir = state_dir
        self._servers: dict[str, local.LocalServer] = {}

    def services(self) -> dict[str, Service]:
        """Return the endpoints with a name. Raises ParamError if one of the user's is wrong."""
        return {**SERVICES, **self._own()}

    def address(self, name: str) -> str:
        """Return the address of the endpoint with this name, "" where there is none."""
        service = self.services().get(name)
        return mend_url(service.url) if service else ""

    def endpoint_of_key(self, named: str | None, policy: Policy = NO_POLICY) -> Endpoint:
        """Return the endpoint, without its key, whose key `%chat key` is about.

        It is DeepInfra where no endpoint is set. Raises ParamError for a local model.
        """
        variables = (os.environ.get(f"DI_MAGICS_{name}") for name in ("ENDPOINT", "BASE_URL"))
        chosen = trim_url(next(filter(None, (named, policy.endpoint, *variables)), DEEPINFRA))
        if is_local(chosen):
            raise ParamError(
                "The local model needs no key. Name the endpoint: %chat key NAME or URL."
            )
        service, url = self._service(chosen)
        return Endpoint(url, name=service.name or None, service=service)

    def resolve(self, named: str) -> tuple[str, str]:
        """Return an endpoint's name or corrected address, and a note on the correction, if any.

        A key or a model may still be missing. Raises ParamError for an invalid endpoint.
        """
        named = trim_url(named)
        if is_local(named):
            self._local(named, None)
        elif is_name(named):
            find_service(named, {} if named in FIXED else self._own())
        else:
            endpoint = Endpoint(named)
            return endpoint.url, endpoint.note
        return named, ""

    def choose(
        self,
        named: str | Endpoint | None,
        model: str | None,
        policy: Policy = NO_POLICY,
        key: str | None = None,
    ) -> Route:
        """Return the route for an endpoint's name or address and a model, both optional.

        The default endpoint is the first of: the environment's, DeepInfra if there is a key, the
        built-in model. A named model never falls back to the built-in one. `key` is the policy's
        key, for the policy's endpoint or for DeepInfra. Raises ParamError for an invalid endpoint,
        Refused if a key is missing, PolicyError for an endpoint that the policy forbids.
        """
        named = self._endpoint_name(named, model or usual_model(None), policy, key)
        if isinstance(named, str) and is_local(named):
            return self._local(named, model)
        endpoint = self._endpoint(named, policy, key)
        service = endpoint.service
        if service.key_page and not endpoint.has_key and not isinstance(named, Endpoint):
            other = "; or ask the built-in model: %chat endpoint local"
            raise Refused(f"{no_key(service)}{other if service.name == DEEPINFRA else ''}.")
        model = (
            model or usual_model(named) or service.model or self.first_models.get(endpoint.url, "")
        )
        if not model:
            raise ParamError(
                f"No model is set for {endpoint.name}. Set one: -m MODEL, or %chat model MODEL; "
                "%chat models lists them."
            )
        free = endpoint.free and not model.endswith("cloud")  # Ollama's are run elsewhere
        return Route(endpoint.name, model, endpoint.url, free=free, endpoint=endpoint)

    def list_endpoint(
        self,
        named: str | Endpoint | None,
        model: str | None,
        policy: Policy = NO_POLICY,
        key: str | None = None,
    ) -> Endpoint | None:
        """Return the endpoint to fetch the list of models from, None for a local model.

        DeepInfra's list needs no key.
        """
        try:
            named = self._endpoint_name(named, model, policy, key)
        except Refused:
            named = DEEPINFRA
        if isinstance(named, str) and is_local(named):
            return None
        return self._endpoint(named, policy, key)

    def _endpoint_name(
        self, named: str | Endpoint | None, model: str | None, policy: Policy, key: str | None
    ) -> str | Endpoint:
        if isinstance(named, str):
            named = trim_url(named)
        if policy.endpoint:
            asked = named.url if isinstance(named, Endpoint) else named
            if asked not in (None, policy.endpoint):
                address = one_line(asked.rpartition("@")[2], 120)
                raise PolicyError(
                    f"The endpoint {address} is not allowed: {policy.source_names} requires "
                    f"{one_line(policy.endpoint, 120)}. Use it with %chat unset endpoint."
                )
            return named or policy.endpoint
        usual = trim_url(os.environ.get("DI_MAGICS_ENDPOINT", ""))
        return named or usual or self._default_name(model, key)

    def _endpoint(self, named: str | Endpoint, policy: Policy, key: str | None) -> Endpoint:
        if isinstance(named, Endpoint):
            return named
        try:
            service, url = self._service(named)
            theirs = key if named == policy.endpoint or service.name == DEEPINFRA else None
            name = service.name or None
            base = mend_url(url)
            for variable in service.key_variables:
                check_variable(variable, base)
            key = theirs or self.keys.find(service, base)[0]
            headers, query = _fill(service.headers, base), _fill(service.query, base)
            return Endpoint(url, key, name=name, headers=headers, query=query, service=service)
        except ParamError as error:
            if named == policy.endpoint:
                raise PolicyError(
                    f"The endpoint in {policy.source_names} is wrong: {error} Ask your teacher."
                ) from None
            raise

    def _service(self, named: str) -> tuple[Service, str]:
        """Return what is known of an endpoint, and its address as it was written."""
        if not is_name(named):
            return service_at(mend_url(named)), named
        service = find_service(named, {} if named in FIXED else self._own())
        return service, service.url

    def _default_name(self, model: str | None, key: str | None) -> str:
        if base := trim_url(os.environ.get("DI_MAGICS_BASE_URL", "")):
            return base
        service = SERVICES[DEEPINFRA]
        if key or self.keys.find(service, service.url)[0]:
            return DEEPINFRA
        if model:
            raise Refused(
                f"{no_key(service)}; or leave the model {one_line(model, 80)} out to ask the "
                "built-in one: no flag -m, or %chat unset model."
            )
        if not local.is_available():
            raise Refused(
                f"{no_key(service)}; or install di_magics with its extra [local] for the built-in "
                "model (see the README) and restart the kernel."
            )
        return LOCAL

    def _local(self, named: str, model: str | None) -> Route:
        if not local.is_available():
            raise ParamError(
                "A local model needs llama.cpp. Install di_magics with its extra [local] (see the "
                "README) and restart the kernel."
            )
        path = named.removeprefix(LOCAL).removeprefix(":").strip()
        file = self._model_file(path) if path else None
        if file and not file.is_file():
            near = suggest(path, [known.stem for known in self.model_files()])
            raise ParamError(
                f"There is no file {one_line(file, 120)}.{near} %chat local lists the models on "
                "this machine; %chat endpoint local:FILE.gguf uses any other file."
            )
        name = local.model_name(file)
        if model and model != name:
            raise ParamError(
                f"The local model is {one_line(name, 80)}, not {one_line(model, 80)}. Use it "
                "without -m or with %chat unset model, or another one with %chat endpoint "
                "local:FILE.gguf."
            )
        return Route(LOCAL, name, local=True, free=True, file=str(file or ""))

    def models_folder(self) -> Path:
        """Return the folder of model files. Raises ParamError where nothing is stored."""
        if not self._state_dir:
            raise ParamError("Nothing is stored with DI_MAGICS_HOME=off. Set it to a folder.")
        return self._state_dir / "models"

    def model_files(self) -> list[Path]:
        """Return the model files in the state folder, by name."""
        files = self.models_folder().glob("*.gguf") if self._state_dir else ()
        return sorted(file for file in files if not is_projector(file.name))

    def end_servers(self) -> int:
        """End the servers of local models, for all kernels, and return how many there were."""
        return local.end_servers(self._state_dir)

    def _model_file(self, named: str) -> Path:
        """Return the file of this path, else the one of this name in the state folder."""
        file = Path(named).expanduser().absolute()
        if file.is_file():
            return file
        return next((f for f in self.model_files() if named in (f.name, f.stem)), file)

    async def open(self, route: Route, progress: Callable[[str], None]) -> Endpoint:
        """Return the endpoint of a route; starts the server of a local model if it does not run.

        `progress` is called with a line for every slow step. Raises EndpointError.
        """
        if isinstance(route.endpoint, Endpoint):
            if route.endpoint.note:
                progress(route.endpoint.note)
            return route.endpoint
        server = self._servers.get(route.file)
        if server is None:
            file = Path(route.file) if route.file else None
            server = self._servers[route.file] = local.LocalServer(file, self._state_dir)
        if not server.alive:
            cancelled = threading.Event()
            try:
                await asyncio.to_thread(server.start, progress, cancelled)
            finally:
                cancelled.set()
        if await server.is_busy():
            progress(f"waiting for {route.model}, which is writing another reply")
        name = f"{route.model} on this machine"
        return LocalEndpoint(server.url, server.key, name=name, turn=server.turn)

    def destination(self, url: str, name: str = "") -> Destination:
        """Return a turn's address and endpoint for an export: secrets as names of variables."""
        if not url:
            return Destination("http://127.0.0.1:PORT/v1", "LOCAL_KEY")
        own: Mapping[str, Service] = {}
        with suppress(ParamError):  # the file of endpoints may have changed since
            own = self._own()
        services = (*own.values(), *SERVICES.values())
        same = [service for service in services if mend_url(service.url) == url]
        service = max(same or [service_at(url)], key=lambda service: service.name == name)
        variables = service.key_variables[:1] if service.key_page else ()
        source = self.keys.find(service, url)[1]
        key = next((name for name in (source, *variables) if name.isupper()), None)
        if any(name.lower() == "authorization" for name in service.headers):
            key = None
        return Destination(url, key, _by_name(service.headers), _by_name(service.query))

    def close(self) -> None:
        """Leave the local servers."""
        for server in self._servers.values():
            server.stop()
        self._servers.clear()
