"""Finds out which endpoints of this machine have a server that listens; asks no other machine."""

from __future__ import annotations

import socket

from di_magics.core.settings.services import Service
from di_magics.endpoints.endpoint import is_loopback, mend_url, split_url

SECONDS = 0.2


def listens(service: Service) -> bool | None:
    """Return whether something listens at a service on this machine, None for any other."""
    url = mend_url(service.url)
    if not service.url or not is_loopback(url):
        return None
    parts = split_url(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname, port), SECONDS):
            return True
    except OSError:
        return False
