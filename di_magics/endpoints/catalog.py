"""The models of an endpoint and their prices: its own list, cached, or a dated table."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from di_magics.core.money.prices import (
    ListedModel,
    Price,
    newest_first,
    parse_models,
    parse_price_table,
)
from di_magics.endpoints.client import Client
from di_magics.endpoints.endpoint import Endpoint, is_deepinfra
from di_magics.endpoints.local_process import CONTEXT
from di_magics.runtime.files import write_private

TABLE = Path(__file__).with_name("prices.json")


class Catalog:
    """The known models of all endpoints; only `refresh` sends a request.

    Lists are cached in `folder`, if there is one. The table in the package has only DeepInfra's
    models.
    """

    def __init__(self, client: Client, folder: Path | None) -> None:
        self._client = client
        self._folder = folder / "lists" if folder else None
        self._lists: dict[str, dict[str, ListedModel]] = {}
        self._dates: dict[str, str] = {}
        self._sorted: dict[str, tuple[dict[str, ListedModel], list[ListedModel]]] = {}

    @cached_property
    def _table(self) -> dict[str, ListedModel]:
        return parse_price_table(json.loads(TABLE.read_text("utf-8")))

    def find(self, url: str, model: str) -> ListedModel | None:
        """Return the known facts of a model at `url` (empty for a local model), or None."""
        if not url:
            return ListedModel(model, CONTEXT, None)
        return self._list(url).get(model) or (self._table.get(model) if is_deepinfra(url) else None)

    def price(self, url: str, model: str) -> Price | None:
        """Return the price of a model at `url`, None if it is not known."""
        known = self.find(url, model)
        return known.price if known else None

    def models(self, url: str) -> list[ListedModel]:
        """Return the known models of the endpoint at `url`, the newest first.

        It is the same list until another one is fetched.
        """
        known = self._list(url) or (self._table if is_deepinfra(url) else {})
        if self._sorted.get(url, (None, []))[0] is not known:
            self._sorted[url] = known, newest_first(known.values())
        return self._sorted[url][1]

    def first(self, url: str) -> str | None:
        """Return the first model of the endpoint's own list that chats, or None."""
        return next((name for name in self._list(url) if "embed" not in name.lower()), None)

    def fresh(self, url: str) -> bool:
        """Return whether the list was fetched today."""
        self._list(url)
        return self._dates.get(url) == _today()

    def give_up(self, url: str) -> None:
        """Note that the endpoint has no list, so that it is not fetched again today."""
        self._dates[url] = _today()

    async def refresh(self, endpoint: Endpoint) -> None:
        """Fetch the endpoint's list and cache it. Raises EndpointError or ParamError."""
        payload = await self._client.models(endpoint)
        # On another thread: 20,000 models take half a second, and replies go on.
        await asyncio.to_thread(self._take, endpoint.url, payload, endpoint.name, _today())
        path = self._path(endpoint.url)
        if path:
            kept = {"name": endpoint.name, "date": _today(), "list": payload}
            with suppress(OSError):  # the list can be fetched again
                path.parent.mkdir(mode=0o700, exist_ok=True)
                # Another kernel reads the old file or the new one, never half of it.
                write_private(path, json.dumps(kept), overwrite=True)

    def _list(self, url: str) -> dict[str, ListedModel]:
        if url not in self._lists:
            self._lists[url] = {}
            path = self._path(url)
            try:
                kept = json.loads(path.read_text("utf-8")) if path else {}
                self._take(url, kept["list"], str(kept["name"]), str(kept["date"]))
            except (OSError, ValueError, TypeError, KeyError, RecursionError):
                pass  # never fetched, or unreadable: it can be fetched again
        return self._lists[url]

    def _take(self, url: str, payload: object, name: str, date: str) -> None:
        models = parse_models(payload, source=f"{name}'s own list", date=date)
        self._lists[url] = {model.id: model for model in models}
        self._dates[url] = date

    def _path(self, url: str) -> Path | None:
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        return self._folder / f"{name}.json" if self._folder else None


def _today() -> str:
    return time.strftime("%Y-%m-%d")
