"""Builds a session: the one place that knows all of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from di_magics.core.conversation.cells import NotebookLocation
from di_magics.core.settings.own_services import parse_services
from di_magics.core.settings.services import Service
from di_magics.core.settings.settings import Settings
from di_magics.endpoints.catalog import Catalog
from di_magics.endpoints.client import Client
from di_magics.endpoints.routing import Routing
from di_magics.magics.cell import RunningCell
from di_magics.runtime.loop import Loop
from di_magics.runtime.state_dir import state_dir
from di_magics.session.session import Session
from di_magics.storage.alias_file import AliasFile
from di_magics.storage.database import Database
from di_magics.storage.endpoint_file import EndpointFile
from di_magics.storage.policy_file import PolicyFiles
from di_magics.values.environment_secrets import add_key_variables


def new_session(
    cell: RunningCell | None = None,
    settings: Settings | None = None,
    policy: str | None = None,
    endpoints: Callable[[], Mapping[str, Any]] = dict,
) -> Session:
    """Return a session with its own loop, connections and local servers.

    `cell` finds its notebook; `policy` is the path of a teacher's file. `endpoints` returns
    the user's own endpoints, besides those in the file of endpoints. The turns are on disk, or
    in memory if DI_MAGICS_HOME is `off`.
    """
    folder, client = state_dir(), Client()
    file = EndpointFile(folder)

    def own() -> dict[str, Service]:
        named = {**file.current(), **parse_services(endpoints(), "c.ChatMagics.endpoints")}
        add_key_variables(name for service in named.values() for name in service.key_variables)
        return named

    return Session(
        Routing(folder, own),
        client,
        Loop(),
        Database(folder),
        cell.locate if cell else NotebookLocation,
        Catalog(client, folder),
        PolicyFiles(cell.folder if cell else Path.cwd, policy),
        AliasFile(folder),
        settings or Settings(),
    )
