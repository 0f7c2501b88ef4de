"""A user's own endpoints, read into rows of the same form as those of the table in services.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.settings.params import suggest
from di_magics.core.settings.services import FIXED, SERVICES, UNKNOWN_SERVICE, Service, is_name
from di_magics.core.visible import one_line

TEXTS = ("url", "key_variable", "model", "like", "title")
TABLES = ("headers", "query")
ENTRIES = (*TEXTS, *TABLES)
"""What a user's entry may have. `like` is the name of an endpoint with the same facts."""


def parse_services(table: Mapping[str, Any], source: str) -> dict[str, Service]:
    """Return the endpoints in a user's table: an address, or a table of ENTRIES, by name.

    Raises ParamError, naming the `source`, for anything else.
    """
    return {name: _parse_service(name, entry, source) for name, entry in table.items()}


def _parse_service(name: object, entry: object, source: str) -> Service:
    label = f"{one_line(source, 160)}: the endpoint {one_line(name, 60)!r}"
    if not isinstance(name, str) or not is_name(name):
        raise ParamError(f"{label} must have a name of letters, digits, - and _. Rename it.")
    if name in FIXED:
        raise ParamError(f"{label} has the name of a built-in one. Rename it.")
    values = {"url": entry} if isinstance(entry, str) else entry
    if not isinstance(values, Mapping):
        raise ParamError(f'{label} must be an address, or a table with url = "https://host/v1".')
    for key, value in values.items():
        if key not in ENTRIES:
            raise ParamError(
                f"{label} has an unknown entry {one_line(key, 40)!r}."
                f"{suggest(str(key), ENTRIES)} Correct or remove it."
            )
        if key in TABLES:
            is_table = isinstance(value, Mapping) and all(
                isinstance(text, str) for item in value.items() for text in item
            )
            if not is_table:
                raise ParamError(f"{label} needs a table of texts as its {key}. Correct it.")
        elif not isinstance(value, str) or not value.strip():
            raise ParamError(f"{label} needs a text as its {key}. Correct or remove it.")
    if "url" not in values:
        raise ParamError(f'{label} has no address. Add url = "https://host/v1".')
    like = SERVICES.get(values.get("like", name), UNKNOWN_SERVICE)
    if "like" in values and like is UNKNOWN_SERVICE:
        raise ParamError(
            f"{label} is like {one_line(values['like'], 40)!r}, which is not a built-in endpoint."
            f"{suggest(values['like'], SERVICES)} Correct or remove it."
        )
    variable = values.get("key_variable", "").strip()
    return replace(
        like,
        name=name,
        title=values.get("title", like.title if name == like.name else name),
        url=values["url"],
        key_variables=(variable,) if variable else (),
        key_page="",
        model=values.get("model", ""),
        headers=values.get("headers", {}),
        query=values.get("query", {}),
    )
