"""Which models there are and what they cost: an endpoint's own list, kept, else a dated table."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from di_magics.core.money.prices import Model, Price, parse_models, parse_price_table
from di_magics.endpoints.client import Client
from di_magics.endpoints.endpoint import Endpoint, is_deepinfra
from di_magics.endpoints.local_server import CONTEXT

TABLE = Path(__file__).with_name("prices.json")


class Catalog:
    """The models of the endpoints, as far as they are known without asking.

    Lists are kept in the folder, if there is one. Only DeepInfra's models are in the table that
    comes with the package.
    """

    def __init__(self, client: Client, folder: Path | None) -> None:
        self._client = client
        self._folder = folder / "lists" if folder else None
        self._lists: dict[str, dict[str, Model]] = {}
        self._dates: dict[str, str] = {}

    @cached_property
    def _table(self) -> dict[str, Model]:
        return parse_price_table(json.loads(TABLE.read_text("utf-8")))

    def find(self, url: str, model: str) -> Model | None:
        """Return what is known of a model at an endpoint's address, empty for llama.cpp here."""
        if not url:
            return Model(model, CONTEXT, None)
        return self._list(url).get(model) or (self._table.get(model) if is_deepinfra(url) else None)

    def price(self, url: str, model: str) -> Price | None:
        """Return what a model costs at an endpoint's address, None where nobody said."""
        found = self.find(url, model)
        return found.price if found else None

    def models(self, url: str) -> list[Model]:
        """Return the models at an endpoint's address that are known of, by id."""
        found = self._list(url) or (self._table if is_deepinfra(url) else {})
        return [found[name] for name in sorted(found, key=str.lower)]

    def fresh(self, url: str) -> bool:
        """Return whether the endpoint was asked today."""
        self._list(url)
        return self._dates.get(url) == _today()

    def give_up(self, url: str) -> None:
        """Note that the endpoint has no list, so that it is not asked for it each time."""
        self._dates[url] = _today()

    async def refresh(self, endpoint: Endpoint) -> None:
        """Ask the endpoint for its list and keep it. Raises EndpointError."""
        payload = await self._client.models(endpoint)
        self._take(endpoint.url, payload, endpoint.name, _today())
        path = self._path(endpoint.url)
        if path:
            kept = {"name": endpoint.name, "date": _today(), "list": payload}
            with suppress(OSError):  # it can be asked again
                path.parent.mkdir(mode=0o700, exist_ok=True)
                # Another kernel reads the old one or the new one, never half of it.
                with NamedTemporaryFile("w", dir=path.parent, delete=False) as new:
                    json.dump(kept, new)
                os.replace(new.name, path)

    def _list(self, url: str) -> dict[str, Model]:
        if url not in self._lists:
            self._lists[url] = {}
            path = self._path(url)
            try:
                kept = json.loads(path.read_text("utf-8")) if path else {}
                self._take(url, kept["list"], str(kept["name"]), str(kept["date"]))
            except (OSError, ValueError, TypeError, KeyError, RecursionError):
                pass  # never asked, or nothing that can be read: it can be asked again
        return self._lists[url]

    def _take(self, url: str, payload: Any, name: str, date: str) -> None:
        found = parse_models(payload, source=f"{name}'s own list", date=date)
        self._lists[url] = {model.id: model for model in found}
        self._dates[url] = date

    def _path(self, url: str) -> Path | None:
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        return self._folder / f"{name}.json" if self._folder else None


def _today() -> str:
    return time.strftime("%Y-%m-%d")
