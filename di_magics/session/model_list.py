"""The models of the current endpoint: cached, and fetched once a day in the background."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from di_magics.core.errors import EndpointError
from di_magics.core.money.prices import ListedModel, Price
from di_magics.core.request.route import Route
from di_magics.core.settings.policy import Policy
from di_magics.endpoints.catalog import Catalog
from di_magics.endpoints.endpoint import Endpoint
from di_magics.runtime.interrupts import Interrupts
from di_magics.runtime.loop import Job, Loop

Fetch = Job[EndpointError | None]
PRICE_SECONDS = 3.0
"""How long a finished reply waits for the list with its price; the replies after it do not."""


class ModelList:
    """Lists of models: `where` returns the current endpoint, None for a local model.

    `policy` returns the policy, and `changed` is called when a list is updated.
    """

    def __init__(
        self,
        catalog: Catalog,
        loop: Loop,
        where: Callable[[], Endpoint | None],
        policy: Callable[[], Policy],
        changed: Callable[[], None],
    ) -> None:
        self._catalog = catalog
        self._loop = loop
        self._where = where
        self._policy = policy
        self._changed = changed
        self._lock = threading.Lock()
        self._fetches: dict[str, Fetch] = {}
        self._late: set[str] = set()  # addresses of lists under way that a reply has waited for
        self._allowed: tuple[list[ListedModel], Policy | None, list[ListedModel]] = [], None, []

    def cached(self) -> list[ListedModel]:
        """Return the known models that may be asked, the newest first; [] for a local model.

        It is the same list until the endpoint, its list or the policy changes.
        """
        endpoint = self._where()
        models, policy = self._catalog.models(endpoint.url) if endpoint else [], self._policy()
        if self._allowed[0] is not models or self._allowed[1] is not policy:
            allowed = [model for model in models if policy.allows(model.id)]
            self._allowed = models, policy, allowed
        return self._allowed[2]

    @property
    def endpoint(self) -> Endpoint | None:
        """The endpoint whose list it is, None for a local model."""
        return self._where()

    def fetch(self) -> list[ListedModel]:
        """Return the models that may be asked; a list older than today is fetched first.

        Raises EndpointError if the list cannot be fetched and no model is known, Interrupted on ■.
        """
        job = self.refresh(again=not self.cached())
        if job:
            with Interrupts() as interrupts:
                error = job.finish(interrupts, "Stopped before the list of models was there.")
            if error and not self.cached():
                raise error
        return self.cached()

    def refresh(self, endpoint: Endpoint | None = None, *, again: bool = False) -> Fetch | None:
        """Fetch the list of an endpoint, by default the current one, in the background.

        It is fetched once a day, unless `again` is set.
        """
        endpoint = endpoint or self._where()
        if endpoint is None or (self._catalog.fresh(endpoint.url) and not again):
            return None
        with self._lock:
            if endpoint.url not in self._fetches:
                self._fetches[endpoint.url] = self._loop.submit(self._fetch_list(endpoint))
            return self._fetches[endpoint.url]

    async def find_price(self, route: Route) -> Price | None:
        """Return the price of a model, None if it is not known; runs on the loop.

        A list that was not fetched today is fetched first; if it does not arrive in time, the one
        before it counts.
        """
        job = self.refresh(route.endpoint)
        if job:
            waiting = asyncio.wrap_future(job.outcome)
            # An exception that nobody asks for would be written to stderr.
            waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
            seconds = 0 if route.url in self._late else PRICE_SECONDS
            if not (await asyncio.wait([waiting], timeout=seconds))[0]:
                self._late.add(route.url)
        return self._catalog.price(route.url, route.model)

    async def _fetch_list(self, endpoint: Endpoint) -> EndpointError | None:
        try:
            await self._catalog.refresh(endpoint)
        except EndpointError as error:
            self._catalog.give_up(endpoint.url)
            return error
        finally:
            with self._lock:
                self._fetches.pop(endpoint.url, None)
                self._late.discard(endpoint.url)
        self._changed()
        return None
