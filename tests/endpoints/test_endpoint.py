"""An endpoint's address, headers and query, and that their values are secret."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from asking import once, run
from loopback import Fault, Loopback, Reply

import di_magics as di
from di_magics.core.errors import ParamError
from di_magics.core.settings.own_services import parse_services
from di_magics.endpoints.endpoint import Endpoint
from di_magics.endpoints.routing import Routing

SECRET = "header-secret-77"
QUERY = "query+secret/55"


def gateway(server: Loopback) -> Endpoint:
    """Return an endpoint with a key, a header and a query."""
    return Endpoint(
        server.url,
        "key-secret-1234",
        headers={"X-Gateway": SECRET},
        query={"api-version": "2026-10-01-preview", "code": QUERY},
    )


def test_headers_and_query_are_sent_with_every_request(server: Loopback) -> None:
    """With the list of models as well; the key is sent as ever."""
    once(gateway(server))
    run(lambda client: client.models(gateway(server)))
    for request in server.requests:
        assert request.headers["x-gateway"] == SECRET
        assert request.headers["authorization"] == "Bearer key-secret-1234"
        query = parse_qs(urlsplit(request.path).query)
        assert query["api-version"] == ["2026-10-01-preview"]
        assert query["code"] == [QUERY]
    assert len(server.requests) == 2
    assert parse_qs(urlsplit(server.requests[1].path).query)["filter"] == ["with_meta"]


def test_an_authorization_of_ones_own_takes_the_keys_place() -> None:
    """Whatever its case."""
    endpoint = Endpoint("https://host/v1", "key-1234567", headers={"authorization": "Basic abc"})
    assert endpoint.headers() == {"authorization": "Basic abc"}


@pytest.mark.parametrize("place", ["error", "reply"])
@pytest.mark.parametrize("secret", [SECRET, QUERY, "key-secret-1234"])
def test_a_value_that_the_server_repeats_is_not_shown(
    server: Loopback, place: str, secret: str
) -> None:
    """As a key is not; a version is not secret."""
    said = f"bad {secret} of 2026-10-01-preview"
    server.default = Fault(400, {"error": said}) if place == "error" else Reply(said)
    asked = once(gateway(server))
    shown = asked.reply.text if place == "reply" else str(asked.error)
    assert secret not in shown
    assert "[key]" in shown
    assert "2026-10-01-preview" in shown


def test_nothing_that_is_shown_of_an_endpoint_has_a_value() -> None:
    """Nor of a user's entry."""
    endpoint = Endpoint("https://host/v1", headers={"X-A": SECRET}, query={"code": QUERY})
    entry = {"url": "https://host/v1", "headers": {"X-A": SECRET}, "query": {"code": QUERY}}
    own = parse_services({"gate": entry}, "here")
    for text in (repr(endpoint), str(endpoint), endpoint.url, endpoint.name, repr(own)):
        assert SECRET not in text
        assert QUERY not in text


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint("https://host/v1", SECRET),
        Endpoint("https://host/v1", headers={"X-A": SECRET}),
        Endpoint("https://host/v1", query={"code": SECRET}),
    ],
)
def test_an_endpoint_with_a_key_is_copied_but_not_pickled(endpoint: Endpoint) -> None:
    """A cache of results or a saved session would write the key to a file."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(ParamError, match="cannot be pickled"):
            pickle.dumps(endpoint, protocol)
    for copied in (copy.copy(endpoint), copy.deepcopy(endpoint)):
        assert (copied.headers(), copied.address("/")) == (
            endpoint.headers(),
            endpoint.address("/"),
        )
    bare = pickle.loads(pickle.dumps(Endpoint("https://host/v1")))
    assert bare.url == "https://host/v1"


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"X-A": f"{SECRET}\r\nX-B: 1"}, "has a line end"),
        ({"X-A": f"{SECRET}\n"}, None),
        ({"X-A": f"{SECRET}\x00"}, "has a line end"),
        ({"X-A": "ü" + SECRET}, "in ASCII"),
        ({"X-A": " "}, "in ASCII"),
        ({"X-A": 1}, "in ASCII"),
        ({f"X\n{SECRET}": "a"}, "letters, digits and hyphens"),
        ({"": "a"}, "letters, digits and hyphens"),
        ({"Host": "a"}, "Leave it out"),
        ({"content-type": "a"}, "Leave it out"),
    ],
)
def test_a_header_that_cannot_be_sent_is_one_line(headers: Any, problem: str | None) -> None:
    """Without its value; a line end at the end alone is removed."""
    if problem is None:
        assert Endpoint("https://host/v1", headers=headers).headers() == {"X-A": SECRET}
        return
    with pytest.raises(ParamError, match=problem) as error:
        Endpoint("https://host/v1", headers=headers)
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", [{"headers": {"X-A": "1"}}, {"query": {"a": "1"}}])
def test_headers_and_query_are_not_sent_over_http(
    what: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Except to this machine, and where the user trusts the way."""
    with pytest.raises(ParamError, match="not encrypted"):
        Endpoint("http://host.example/v1", **what)
    assert Endpoint("http://127.0.0.1/v1", **what)
    monkeypatch.setenv("DI_MAGICS_TRUST_HTTP", "host.example")
    assert Endpoint("http://host.example/v1", **what)


def test_a_users_entry_takes_values_from_the_environment(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`$NAME`; one that is not set is named, and nothing is sent."""
    entry = {"url": server.url, "headers": {"api-key": "$GATE"}, "query": {"v": "1", "c": "$CODE"}}
    own = parse_services({"gate": entry}, "here")
    routing = Routing(None, lambda: own)
    with pytest.raises(ParamError, match="The variable GATE of api-key is not set"):
        routing.choose("gate", "m")
    monkeypatch.setenv("GATE", f" {SECRET} ")
    monkeypatch.setenv("CODE", "secret-code")
    endpoint = routing.choose("gate", "m").endpoint
    assert endpoint.headers() == {"api-key": SECRET}
    assert endpoint.address("/x") == f"{server.url}/x?v=1&c=secret-code"


@pytest.mark.parametrize("table", [1, {"X": 1}, {1: "a"}, [], "X: a"])
@pytest.mark.parametrize("name", ["headers", "query"])
def test_a_wrong_table_of_an_entry_is_refused(name: str, table: object) -> None:
    """Its values are not repeated."""
    with pytest.raises(ParamError, match=f"a table of texts as its {name}"):
        parse_services({"gate": {"url": "https://host/v1", name: table}}, "here")


def test_python_asks_with_headers_and_query(server: Loopback) -> None:
    """By `di.Endpoint`; neither is in the request that is kept."""
    endpoint = di.Endpoint(server.url, headers={"X-A": SECRET}, query={"v": "1"})
    reply = di.ask("hi", model="m", endpoint=endpoint)
    assert server.chats[0].headers["x-a"] == SECRET
    assert server.chats[0].path.endswith("/chat/completions?v=1")
    assert SECRET not in json.dumps(reply.request)


def test_an_address_with_a_query_is_named_with_its_port() -> None:
    """Without a user's name and password, which may be a key."""
    with pytest.raises(di.ParamError, match=r"address http://here:81/v1 has a query"):
        di.Endpoint("http://here:81/v1?key=1")
    with pytest.raises(di.ParamError, match=r"address http://here:81/v1 must not"):
        di.Endpoint("http://me:secret@here:81/v1")
