"""Which models there are and what they cost, as far as it is known without asking."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

from di_magics.core.prices import Model, Price, table
from di_magics.endpoint import is_deepinfra

TABLE = Path(__file__).with_name("prices.json")


class Catalog:
    """The models of the endpoints; DeepInfra's from the dated table that comes with the package."""

    @cached_property
    def _table(self) -> dict[str, Model]:
        return table(json.loads(TABLE.read_text("utf-8")))

    def find(self, url: str, model: str) -> Model | None:
        """Return what is known of a model at an endpoint's address."""
        return self._table.get(model) if is_deepinfra(url) else None

    def price(self, url: str, model: str) -> Price | None:
        """Return what a model costs at an endpoint's address, None where nobody said."""
        found = self.find(url, model)
        return found.price if found else None
