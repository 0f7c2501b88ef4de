"""The models of the endpoint in force: known at once, asked for once a day, in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable

from di_magics.core.errors import EndpointError
from di_magics.core.money.prices import Model
from di_magics.endpoints.catalog import Catalog
from di_magics.endpoints.endpoint import Endpoint
from di_magics.runtime.interrupts import Interrupts
from di_magics.runtime.loop import Job, Loop

Asking = Job[EndpointError | None]


class ModelList:
    """Lists of models: `where` gives the endpoint in force, None for llama.cpp on this machine.

    `allows` says which models may be asked, and `changed` is called when a list has come.
    """

    def __init__(
        self,
        catalog: Catalog,
        loop: Loop,
        where: Callable[[], Endpoint | None],
        allows: Callable[[str], bool],
        changed: Callable[[], None],
    ) -> None:
        self._catalog = catalog
        self._loop = loop
        self._where = where
        self._allows = allows
        self._changed = changed
        self._lock = threading.Lock()
        self._asking: dict[str, Asking] = {}

    def cached(self) -> list[Model]:
        """Return the models that may be asked, as far as they are known; [] for llama.cpp."""
        endpoint = self._where()
        found = self._catalog.models(endpoint.url) if endpoint else []
        return [model for model in found if self._allows(model.id)]

    def fetch(self) -> list[Model]:
        """Return the models that may be asked; waits for the list where it is not of today.

        Raises EndpointError where it cannot be had and nothing is known.
        """
        job = self.refresh(again=not self.cached())
        if job:
            with Interrupts() as interrupts:
                job.wait(interrupts)
            error = job.result()
            if error and not self.cached():
                raise error
        return self.cached()

    def refresh(self, endpoint: Endpoint | None = None, *, again: bool = False) -> Asking | None:
        """Ask an endpoint, the one in force unless named, in the background.

        Once a day and not twice at a time, unless `again`.
        """
        endpoint = endpoint or self._where()
        if endpoint is None or (self._catalog.fresh(endpoint.url) and not again):
            return None
        with self._lock:
            if endpoint.url not in self._asking:
                self._asking[endpoint.url] = self._loop.submit(self._listed(endpoint))
            return self._asking[endpoint.url]

    async def _listed(self, endpoint: Endpoint) -> EndpointError | None:
        try:
            await self._catalog.refresh(endpoint)
        except EndpointError as error:
            self._catalog.give_up(endpoint.url)
            return error
        finally:
            with self._lock:
                self._asking.pop(endpoint.url, None)
        self._changed()
        return None
