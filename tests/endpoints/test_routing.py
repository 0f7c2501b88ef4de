"""Which server and which key a name or an address stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from di_magics.core.errors import ParamError, PolicyError, Refused
from di_magics.core.settings.own_services import parse_services
from di_magics.core.settings.policy import Policy
from di_magics.core.settings.services import SERVICES, Service
from di_magics.endpoints.endpoint import Endpoint, mend_url
from di_magics.endpoints.routing import Routing

REMOTE = [service for service in SERVICES.values() if service.key_page]
HERE = [service for service in SERVICES.values() if service.start]
OWN = parse_services(
    {
        "school": {
            "url": "https://school.example/v1",
            "key_variable": "SCHOOL_KEY",
            "model": "class/model",
            "like": "openai",
        },
        "lan": "http://192.168.1.5:8000/v1",
    },
    "here",
)


def own() -> Mapping[str, Service]:
    """Return the user's own endpoints."""
    return OWN


@pytest.fixture
def routing(monkeypatch: pytest.MonkeyPatch) -> Routing:
    """A routing where every service has a key of its own in the environment."""
    for service in REMOTE:
        monkeypatch.setenv(service.key_variables[0], f"key-of-{service.name}")
    monkeypatch.setenv("SCHOOL_KEY", "key-of-school")
    return Routing(None, own)


def sent_key(endpoint: Endpoint) -> str:
    """Return the key that a request to it has, "" for none."""
    return endpoint.headers().get("Authorization", "").removeprefix("Bearer ")


@pytest.mark.parametrize("service", REMOTE, ids=lambda service: str(service.name))
@pytest.mark.parametrize("form", ["name", "address", "request", "upper"])
def test_a_key_goes_to_its_own_service(routing: Routing, service: Service, form: str) -> None:
    """Whether it was named, or its address was written."""
    named = {
        "name": service.name,
        "address": service.url,
        "request": f" {service.url}/chat/completions ",
        "upper": service.url + "/",
    }[form]
    route = routing.choose(named, "m")
    assert (route.name, route.url) == (service.name, service.url)
    assert sent_key(route.endpoint) == f"key-of-{service.name}"
    assert route.endpoint.service is service


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com.evil.example/v1",
        "https://evil.example/api.openai.com/v1",
        "https://api.openai.com:8443/v1",
        "https://deepinfra.com.evil.example/v1",
        "https://notdeepinfra.com/v1",
        "http://127.0.0.1:8000/v1",
        "http://api.openai.com/v1",
        "https://school.example.org/v1",
    ],
)
def test_no_key_goes_to_another_host(routing: Routing, url: str) -> None:
    """Nor to the same host at another port, or unencrypted."""
    assert sent_key(routing.choose(url, "m").endpoint) == ""


@pytest.mark.parametrize("service", HERE, ids=lambda service: str(service.name))
def test_a_server_on_this_machine_needs_no_key_and_is_free(
    routing: Routing, service: Service
) -> None:
    """Without a model there is nothing to send yet."""
    with pytest.raises(ParamError, match="%chat models"):
        routing.choose(service.name, None)
    routing.first_models[service.url] = "first"
    route = routing.choose(service.name, None)
    assert (route.model, route.free, route.local) == ("first", True, False)
    assert sent_key(route.endpoint) == ""
    assert routing.choose(service.name, "other").model == "other"


def test_a_model_that_ollama_runs_elsewhere_is_not_called_free(routing: Routing) -> None:
    """Its cost is not known."""
    assert not routing.choose("ollama", "gpt-oss:120b-cloud").free


def test_a_users_endpoint_has_its_key_its_model_and_its_facts(routing: Routing) -> None:
    """From one entry."""
    route = routing.choose("school", None)
    assert (route.name, route.model, route.url) == (
        "school",
        "class/model",
        "https://school.example/v1",
    )
    assert sent_key(route.endpoint) == "key-of-school"
    assert route.endpoint.service.fact("max_tokens").field == "max_completion_tokens"


def test_the_address_of_a_users_endpoint_gets_no_key(routing: Routing) -> None:
    """Its key belongs to its name."""
    assert sent_key(routing.choose("https://school.example/v1", "m").endpoint) == ""


@pytest.mark.parametrize("service", REMOTE, ids=lambda service: str(service.name))
def test_a_missing_key_says_whose_and_how_to_get_it(service: Service) -> None:
    """Nothing is sent; DeepInfra is named for DeepInfra alone."""
    with pytest.raises(Refused) as error:
        Routing(None).choose(service.name, "m")
    message = str(error.value)
    assert f"No key for {service.title} is set" in message
    assert service.key_page in message
    assert service.key_variables[0] in message
    assert ("deepinfra" in message.lower()) == (service.name == "deepinfra")


@pytest.mark.parametrize(
    ("named", "nearest"), [("olama", "ollama"), ("deepinfa", "deepinfra"), ("scholl", "school")]
)
def test_an_unknown_name_is_refused_with_the_nearest(
    routing: Routing, named: str, nearest: str
) -> None:
    """Before anything is sent or set."""
    for refuse in (lambda: routing.choose(named, "m"), lambda: routing.resolve(named)):
        with pytest.raises(ParamError, match=f"Did you mean .*{nearest}"):
            refuse()


def test_a_wrong_file_of_the_user_is_no_obstacle_elsewhere() -> None:
    """A built-in endpoint does not need it; a name that may be in it does."""

    def broken() -> Mapping[str, Service]:
        raise ParamError("The endpoints in x cannot be read.")

    routing = Routing(None, broken)
    assert routing.choose("https://host/v1", "m").url == "https://host/v1"
    assert routing.resolve("groq") == ("groq", "")
    with pytest.raises(ParamError, match="cannot be read"):
        routing.resolve("school")


def test_the_environments_model_is_for_the_environments_endpoint(
    routing: Routing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that is named later has other models; an address may be a proxy to the same."""
    monkeypatch.setenv("DI_MAGICS_MODEL", "usual")
    assert routing.choose("https://host/v1", None).model == "usual"
    assert routing.choose("deepinfra", None).model == "usual"
    with pytest.raises(ParamError, match="No model is set for groq"):
        routing.choose("groq", None)
    monkeypatch.setenv("DI_MAGICS_ENDPOINT", "groq")
    assert routing.choose(None, None).model == "usual"


def test_a_policys_endpoint_may_be_a_name(routing: Routing) -> None:
    """Its key goes there, in place of the user's."""
    policy = Policy(endpoint="groq", sources=("class.toml",))
    route = routing.choose(None, "m", policy, "key-of-class")
    assert (route.url, sent_key(route.endpoint)) == (SERVICES["groq"].url, "key-of-class")
    with pytest.raises(PolicyError):
        routing.choose("openai", "m", policy, "key-of-class")


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        (" https://host/v1 ", "https://host/v1"),
        ("https://host/ v1", "https://host/v1"),
        ("'https://host/v1'", "https://host/v1"),
        ("“https://host/v1”", "https://host/v1"),
        ("https://host/v1/", "https://host/v1"),
        ("https://host/v1/chat/completions", "https://host/v1"),
        ("https://host/v1/chat/completions/", "https://host/v1"),
        ("https://host/v1/completions", "https://host/v1"),
        ("https://host/v1/models", "https://host/v1"),
        ("host.example/v1", "https://host.example/v1"),
        ("127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("localhost:8000/v1", "http://localhost:8000/v1"),
        ("[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("ftp://x", "ftp://x"),
        ("https://u:p@x/v1", "https://u:p@x/v1"),
    ],
)
def test_an_address_is_corrected_where_its_meaning_is_plain(typed: str, url: str) -> None:
    """What is changed is said, except for what only surrounds it."""
    assert mend_url(typed) == url
    if url.startswith("http") and "@" not in url:
        assert Endpoint(typed).url == url
        plain = typed.strip(" '“”").rstrip("/")
        assert Endpoint(typed).note == ("" if plain == url else f"the address is {url}")


@pytest.mark.parametrize("service", SERVICES.values(), ids=lambda service: str(service.name))
def test_an_export_names_the_variable_of_the_key(service: Service) -> None:
    """Whether it is set or not; a server on this machine has none."""
    to = Routing(None).destination(service.url)
    if service.key_page:
        assert (to.url, to.key_variable) == (service.url, service.key_variables[0])
    else:
        assert to.key_variable == ("LOCAL_KEY" if service.name == "local" else None)


def test_an_export_names_the_variables_of_headers_and_query() -> None:
    """A value that is written in a file is as secret as a key; a version is not."""
    headers = {"X-Course": "ml-101", "X-Team": "$TEAM", "2nd": "secret"}
    query = {"api-version": "2026-10-01", "code": "abc"}
    school = Service("school", url="https://host/v1/", headers=headers, query=query)
    gate = replace(school, name="gate", headers={"authorization": "Basic x"}, query={})
    to = Routing(None, lambda: {"gate": gate, "school": school}).destination(
        "https://host/v1", "school"
    )
    assert to.headers == {"X-Course": "$X_COURSE", "X-Team": "$TEAM", "2nd": "$_2ND"}
    assert to.query == {"api-version": "2026-10-01", "code": "$CODE"}
    keyed = replace(gate, key_variables=("GATE_KEY",), key_page="https://host")
    to = Routing(None, lambda: {"gate": keyed}).destination("https://host/v1", "gate")
    assert (to.headers, to.key_variable) == ({"authorization": "$AUTHORIZATION"}, None)


def test_an_export_needs_no_file_of_endpoints() -> None:
    """One that is wrong now may have been right when the turn was sent."""

    def broken() -> dict[str, Service]:
        raise ParamError("wrong")

    assert Routing(None, broken).destination("https://host/v1", "school").url == "https://host/v1"
