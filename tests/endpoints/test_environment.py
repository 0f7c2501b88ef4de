"""Proxies and certificates of the environment: used as they should be, or refused in one line."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import certifi
import pytest
from asking import Asked, once, run
from loopback import TEXT, Answer, Fault, Loopback, Request

from di_magics.core.errors import DiMagicsError, ParamError, Refused, Unreachable
from di_magics.core.request import retry
from di_magics.endpoints.endpoint import Endpoint
from di_magics.endpoints.environment import (
    CERTIFICATES,
    certificate_variables,
    find_proxy,
    load_certificates,
)
from di_magics.endpoints.routing import Routing

ELSEWHERE = "http://chat.invalid/v1"
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class ProxyServer(Loopback):
    """A proxy that answers by itself, unless it `refuses`; `paths` are what it was asked for."""

    paths: list[str]
    refuses = False

    def answer(self, request: Request) -> Answer:
        """Answer as the endpoint would."""
        self.paths = [*getattr(self, "paths", []), request.path]
        if request.method == "CONNECT" or self.refuses:
            return Fault(407, headers={"proxy-authenticate": "Basic"})
        return super().answer(replace(request, path=urlsplit(request.path).path))


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no certificates of the machine; short pauses."""
    for name in (*PROXY_VARIABLES, *CERTIFICATES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.001)


@pytest.fixture
def proxy() -> Iterator[ProxyServer]:
    """A proxy on this machine."""
    with ProxyServer() as proxy:
        yield proxy


@pytest.fixture
def closed() -> str:
    """The address of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


def error_of(url: str) -> DiMagicsError:
    """Return the error of asking there: one line, without a password."""
    try:
        asked: Asked = once(Endpoint(url))
        assert asked.error
        error: DiMagicsError = asked.error
    except DiMagicsError as raised:
        error = raised
    assert "\n" not in str(error)
    assert "secret" not in str(error)
    assert len(str(error)) < 400
    return error


@pytest.mark.parametrize("spelled", ["plain", "percent", "basic"])
@pytest.mark.parametrize("url", [ELSEWHERE, ELSEWHERE.replace("http:", "https:")])
@pytest.mark.parametrize("password", ["pw5ecret/PW", "p w+5%ecret"])
def test_a_password_that_a_proxy_repeats_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str, spelled: str, password: str
) -> None:
    """In the status line of a refused tunnel, in a body and in a header, and in no traceback."""
    basic = base64.b64encode(f"user:{password}".encode()).decode()
    said = {"plain": password, "percent": quote(password, safe=""), "basic": basic}[spelled]

    class Refusing(Loopback):
        def answer(self, request: Request) -> Answer:
            assert request.headers["proxy-authorization"] == f"Basic {basic}"
            return Fault(407, f"No: {said}", headers={"x-request-id": said}, reason=f"No {said}")

    with Refusing() as proxy:
        own = proxy.origin.replace("//", f"//user:{quote(password, safe='')}@")
        monkeypatch.setenv("ALL_PROXY", own)
        error = once(Endpoint(url, "")).error
    assert error is not None
    text = "".join(traceback.format_exception(error)) + repr(vars(error))
    assert "[key]" in text
    assert said not in text


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("spelled", ["{}", " {} ", '"{}"', "http://u:p@{0.netloc}", "{0.netloc}"])
def test_a_proxy_is_used(
    proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch, variable: str, spelled: str
) -> None:
    """With blanks and quotes around it, with a password, without its scheme."""
    value = spelled.format(urlsplit(proxy.origin)).replace(
        str(urlsplit(proxy.origin)), proxy.origin
    )
    monkeypatch.setenv(variable, value)
    assert once(Endpoint(ELSEWHERE)).reply.text == TEXT
    assert proxy.paths == [ELSEWHERE + "/chat/completions"]


def test_a_proxy_that_is_set_later_is_used(
    proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch, server: Loopback
) -> None:
    """`%env` in a notebook holds from the next request on."""

    async def work(client: object) -> list[str]:
        from asking import ask

        first = await ask(client, Endpoint(server.url))  # type: ignore[arg-type]
        os.environ["HTTP_PROXY"] = proxy.origin
        second = await ask(client, Endpoint(ELSEWHERE))  # type: ignore[arg-type]
        return [first.reply.text, second.reply.text]

    monkeypatch.setenv("HTTP_PROXY", "")
    assert run(work) == [TEXT, TEXT]


@pytest.mark.parametrize(
    ("exempt", "host", "direct"),
    [
        ("*", "example.org", True),
        ("example.org", "example.org", True),
        ("example.org", "api.example.org", True),
        (".example.org", "api.example.org", True),
        ("*.example.org", "api.example.org", True),
        ("EXAMPLE.org ", "example.org", True),
        (" other , example.org", "example.org", True),
        ("example.org:8443", "example.org:8443", True),
        ("example.org:8443", "example.org", False),
        ("ample.org", "example.org", False),
        ("", "example.org", False),
        (",", "example.org", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "example.org", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3:80", True),
        ("fd00::/8", "[fd00::1]", True),
        ("fd00::/8", "[fe80::1]", False),
        ("[fd00::1]", "[fd00::1]:8000", True),
        ("[fd00::1]:8000", "[fd00::1]:8000", True),
        ("fd00::1", "[fd00:0::1]", True),
        ("::1,127.0.0.1,localhost", "example.org", False),
        ("]:[,%,10.0.0.0/99", "example.org", False),
    ],
)
def test_no_proxy_names_hosts_and_networks(
    monkeypatch: pytest.MonkeyPatch, exempt: str, host: str, direct: bool
) -> None:
    """Of IPv6, too; what is neither does no harm."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, exempt)
        assert (find_proxy(f"https://{host}/v1") is None) == direct
        monkeypatch.delenv(variable)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_has_no_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Whatever the environment says."""
    monkeypatch.setenv("ALL_PROXY", "socks5://x")
    assert find_proxy(f"http://{host}:8080/v1") is None


@pytest.mark.parametrize(
    "value", ["ftp://h:1", "http://", "http://h:port", "http://u:secret@h:99999", "http://[", "://"]
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_what_is_not_a_proxy_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """The line names the variable."""
    monkeypatch.setenv(variable, value)
    error = error_of("https://chat.invalid/v1")
    assert isinstance(error, ParamError)
    assert f"{variable} is not the address of a proxy" in str(error)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_needs_a_package(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """The line names the variable, the proxy without its password, and what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:secret@10.0.0.1:1080")
    error = error_of("https://chat.invalid/v1")
    assert isinstance(error, ParamError)
    for part in ("ALL_PROXY", f"{scheme}://10.0.0.1:1080", "[socks]", "pip install socksio"):
        assert part in str(error)


@pytest.mark.parametrize("url", [ELSEWHERE, "https://chat.invalid/v1"])
def test_a_dead_proxy_is_named(monkeypatch: pytest.MonkeyPatch, closed: str, url: str) -> None:
    """And not the endpoint, which nobody has reached."""
    monkeypatch.setenv("ALL_PROXY", f"http://me:secret@{closed}")
    error = error_of(url)
    assert isinstance(error, Unreachable)
    assert f"No connection to the proxy http://{closed} of ALL_PROXY" in str(error)
    assert "NO_PROXY" in str(error)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://chat.invalid/v1", "chat.invalid:443"),
        (ELSEWHERE, ELSEWHERE + "/chat/completions"),
    ],
)
def test_a_proxy_that_refuses_is_named(
    monkeypatch: pytest.MonkeyPatch, proxy: ProxyServer, url: str, asked: str
) -> None:
    """With its words; it is not tried again."""
    proxy.refuses = True
    monkeypatch.setenv("ALL_PROXY", proxy.origin)
    error = error_of(url)
    assert isinstance(error, Refused)
    assert "407 Proxy Authentication Required" in str(error)
    assert "Correct ALL_PROXY" in str(error)
    assert proxy.paths == [asked]


@pytest.mark.parametrize("variable", CERTIFICATES)
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text(""), "no certificates"),
        (lambda path: path.write_bytes(b"\0\xff certificates"), "no certificates"),
        (lambda path: path.mkdir(), "empty folder"),
    ],
    ids=["missing", "empty", "garbage", "folder"],
)
def test_certificates_that_cannot_be_used_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, make: object, problem: str
) -> None:
    """The line names the variable and its value; nothing is sent."""
    path = tmp_path / "certificates"
    make(path)  # type: ignore[operator]
    monkeypatch.setenv(variable, str(path))
    error = error_of("https://chat.invalid/v1")
    assert isinstance(error, ParamError)
    for part in (variable, "certificates", problem):
        assert part in str(error)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("spelled", ["{}", ' "{}" '])
def test_certificates_of_the_environment_are_trusted(
    monkeypatch: pytest.MonkeyPatch, variable: str, spelled: str
) -> None:
    """They take the place of the usual ones, and are checked against the host's name."""
    monkeypatch.setenv(variable, spelled.format(certifi.where()))
    context = load_certificates(certificate_variables())
    assert len(context.get_ca_certs()) > 50
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_openssl_variables_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """REQUESTS_CA_BUNDLE holds where neither of them is set; an empty one is not set."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "r")
    monkeypatch.setenv("SSL_CERT_FILE", " ")
    assert certificate_variables() == {"REQUESTS_CA_BUNDLE": "r"}
    monkeypatch.setenv("SSL_CERT_FILE", "f")
    monkeypatch.setenv("SSL_CERT_DIR", "d")
    assert certificate_variables() == {"SSL_CERT_FILE": "f", "SSL_CERT_DIR": "d"}


@pytest.mark.parametrize("variable", ["DI_MAGICS_BASE_URL", "DI_MAGICS_ENDPOINT"])
@pytest.mark.parametrize(
    "spelled", [" {} ", "{}/", '"{}"', "'{}'", "{}/chat/completions", ' "{}/chat/completions/"\n']
)
def test_an_address_that_was_copied_carelessly_is_mended(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, variable: str, spelled: str
) -> None:
    """And the passing line says so where a part was left out; its own key still goes with it."""
    monkeypatch.setenv("DI_MAGICS_BASE_URL", spelled.format(server.url))
    monkeypatch.setenv(variable, spelled.format(server.url))
    monkeypatch.setenv("DI_MAGICS_API_KEY", "secret-key-1")
    lines: list[str] = []

    async def work(client: object) -> Endpoint:
        routing = Routing(None)
        resolved = routing.resolve(spelled.format(server.url))
        assert resolved == (server.url, f"the address is {server.url}" if "chat" in spelled else "")
        return await routing.open(routing.choose(None, "m"), lines.append)

    endpoint = run(work)
    assert (endpoint.url, endpoint.has_key) == (server.url, True)
    assert lines == ([endpoint.note] if "chat" in spelled else [])
    assert once(endpoint).reply.text == TEXT
