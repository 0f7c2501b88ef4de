"""Whether a server listens on this machine."""

from __future__ import annotations

import socket

import pytest
from loopback import Loopback

from di_magics.core.settings.own_services import parse_services
from di_magics.core.settings.services import SERVICES, Service
from di_magics.endpoints.endpoint import is_deepinfra, is_loopback, trusts_http
from di_magics.endpoints.keys import key_origin
from di_magics.endpoints.probe import listens


def service_at(url: str) -> Service:
    """Return an endpoint with this address."""
    return parse_services({"x": url}, "here")["x"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_that_listens_is_found(server: Loopback, host: str) -> None:
    """By its port."""
    assert listens(service_at(server.url.replace("127.0.0.1", host))) is True


def test_a_port_where_nothing_listens_is_told_at_once() -> None:
    """Without waiting for anything."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert listens(service_at(f"http://127.0.0.1:{port}/v1")) is False


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999999/v1", "https://[x]/v1"])
def test_what_is_no_address_is_asked_nothing(url: str) -> None:
    """A request to it is an error of one line."""
    assert listens(service_at(url)) is None
    assert key_origin(url) == "://"
    assert not any(known(url) for known in (is_deepinfra, is_loopback, trusts_http))


def test_no_other_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a service nor a server in the same network."""

    def refuse(*_: object) -> None:
        raise AssertionError("a connection to another machine")

    monkeypatch.setattr(socket, "create_connection", refuse)
    for url in ("https://host.example/v1", "http://192.168.1.1:11434/v1", "https://10.0.0.1/v1"):
        assert listens(service_at(url)) is None
    remote = [service for service in SERVICES.values() if service.key_page]
    assert {listens(service) for service in (*remote, SERVICES["local"])} == {None}
