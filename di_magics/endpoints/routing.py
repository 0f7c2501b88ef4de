"""Chooses the endpoint of a request: names, keys, and the servers of local models.

A key is sent only to its own server: DeepInfra's to DeepInfra, DI_MAGICS_API_KEY to the address in
DI_MAGICS_BASE_URL.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import di_magics.endpoints.local_server as local
from di_magics.core.errors import ParamError, PolicyError, Refused
from di_magics.core.request.route import Route
from di_magics.core.settings.policy import NO_POLICY, Policy
from di_magics.core.settings.settings import DEEPINFRA, LOCAL, is_local
from di_magics.core.text import one_line
from di_magics.endpoints.endpoint import (
    DEEPINFRA_URL,
    Endpoint,
    LocalEndpoint,
    is_deepinfra,
    trim_url,
)

DEFAULT_MODEL = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
KEY_VARIABLES = ("DEEPINFRA_TOKEN", "DEEPINFRA_API_KEY", "DEEPINFRA_API_TOKEN")

NO_KEY = (
    "No key for DeepInfra is set. Get one at https://deepinfra.com/dash/api_keys and set it with "
    "%chat key, or in the environment as DEEPINFRA_TOKEN"
)


class Routing:
    """Turns an endpoint's name or address into a route, and runs the servers of local models."""

    def __init__(self, state_dir: Path | None) -> None:
        self.key: str | None = None
        self._state_dir = state_dir
        self._servers: dict[str, local.LocalServer] = {}

    def deepinfra_key(self) -> str | None:
        """Return DeepInfra's key: the one typed in (%chat key), else the environment's."""
        keys = (os.environ.get(name, "").strip() for name in KEY_VARIABLES)
        return self.key or next(filter(None, keys), None)

    def check(self, named: str) -> None:
        """Raise ParamError for an invalid endpoint; a key or a model may still be missing."""
        named = trim_url(named)
        if is_local(named):
            self._local(named, None)
        elif named != DEEPINFRA:
            Endpoint(named)

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
        usual = os.environ.get("DI_MAGICS_MODEL") or None
        named = self._named(named, model or usual, policy, key)
        if isinstance(named, str) and is_local(named):
            return self._local(named, model)
        model = model or usual
        endpoint = self._endpoint(named, policy, key)
        if is_deepinfra(endpoint.url):
            if not endpoint.has_key and not isinstance(named, Endpoint):
                raise Refused(f"{NO_KEY}; or ask the built-in model: %chat endpoint local.")
            model = model or DEFAULT_MODEL
        if not model:
            raise ParamError(
                f"No model is set for {endpoint.name}. Set one: -m MODEL, or %chat model MODEL."
            )
        return Route(endpoint.name, model, endpoint.url, endpoint.local, endpoint=endpoint)

    def listing(
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
            named = self._named(named, model, policy, key)
        except Refused:
            named = DEEPINFRA
        if isinstance(named, str) and is_local(named):
            return None
        return self._endpoint(named, policy, key)

    def _named(
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
        return named or usual or self._unnamed(model, key)

    def _endpoint(self, named: str | Endpoint, policy: Policy, key: str | None) -> Endpoint:
        if isinstance(named, Endpoint):
            return named
        if named == DEEPINFRA or is_deepinfra(named):
            return Endpoint(
                DEEPINFRA_URL if named == DEEPINFRA else named, key or self.deepinfra_key()
            )
        theirs = key if named == policy.endpoint else None
        try:
            return Endpoint(named, theirs or self._own_key(named))
        except ParamError as error:
            if named == policy.endpoint:
                raise PolicyError(
                    f"The endpoint in {policy.source_names} is wrong: {error} Ask your teacher."
                ) from None
            raise

    def _unnamed(self, model: str | None, key: str | None) -> str:
        if base := trim_url(os.environ.get("DI_MAGICS_BASE_URL", "")):
            return base
        if key or self.deepinfra_key():
            return DEEPINFRA
        if model:
            raise Refused(
                f"{NO_KEY}; or leave the model {one_line(model, 80)} out to ask the built-in one: "
                "no flag -m, or %chat unset model."
            )
        if not local.is_available():
            raise Refused(
                f"{NO_KEY}; or install di_magics with its extra "
                "[local] for the built-in model (see the README) and restart the kernel."
            )
        return LOCAL

    def _own_key(self, url: str) -> str | None:
        """Return DI_MAGICS_API_KEY for the address in DI_MAGICS_BASE_URL, None for another one."""
        base = trim_url(os.environ.get("DI_MAGICS_BASE_URL", ""))
        same = urlsplit(base)[:2] == urlsplit(url)[:2]
        return os.environ.get("DI_MAGICS_API_KEY") if base and same else None

    def _local(self, named: str, model: str | None) -> Route:
        if not local.is_available():
            raise ParamError(
                "A local model needs llama.cpp. Install di_magics with its extra [local] (see the "
                "README) and restart the kernel."
            )
        path = named.removeprefix(LOCAL).removeprefix(":").strip()
        file = Path(path).expanduser().absolute() if path else None
        if file and not file.is_file():
            raise ParamError(
                f"There is no file {one_line(file, 120)}. Use %chat endpoint local:FILE.gguf, or "
                "%chat endpoint local for the built-in model."
            )
        name = local.model_name(file)
        if model and model != name:
            raise ParamError(
                f"The local model is {one_line(name, 80)}, not {one_line(model, 80)}. Use it "
                "without -m or with %chat unset model, or another one with %chat endpoint "
                "local:FILE.gguf."
            )
        return Route(LOCAL, name, local=True, file=str(file or ""))

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
        name = f"{route.model} on this machine"
        return LocalEndpoint(server.url, server.key, name=name)

    def address(self, url: str) -> tuple[str, str | None]:
        """Return an address for an export, and the environment variable with its key, if any."""
        if not url:
            return "http://127.0.0.1:PORT/v1", "LOCAL_KEY"
        if is_deepinfra(url):
            return url, KEY_VARIABLES[0]
        return url, "DI_MAGICS_API_KEY" if self._own_key(url) else None

    def close(self) -> None:
        """Stop the local servers."""
        for server in self._servers.values():
            server.stop()
        self._servers.clear()
