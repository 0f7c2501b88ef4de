"""Proxies and certificates in the environment.

They are read here and not by httpx, which supports only a part and raises other errors.
* A proxy is HTTPS_PROXY or HTTP_PROXY, else ALL_PROXY, else the system's. NO_PROXY has names,
  addresses and networks, also of IPv6. Requests to this machine never use a proxy.
* Certificates are those of SSL_CERT_FILE and SSL_CERT_DIR, else of REQUESTS_CA_BUNDLE, else the
  ones that come with certifi.
Every error names the variable and the next step.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import ssl
import urllib.request
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from di_magics.core.errors import ParamError
from di_magics.core.visible import one_line
from di_magics.endpoints.endpoint import is_loopback, trim_url

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
PROXIES = ("http", "https", "socks5", "socks5h")


class Proxy(NamedTuple):
    """A proxy's address, with its password if it has one, and the variable that names it."""

    url: str
    variable: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password, and `user:password` as it is sent."""
        parts = urlsplit(self.url)
        if not parts.password:
            return ()
        password = unquote(parts.password)
        return password, f"{unquote(parts.username or '')}:{password}"

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", 120)


def find_proxy(url: str) -> Proxy | None:
    """Return the proxy for an address, None for a direct connection. Raises ParamError."""
    parts = urlsplit(url)
    if is_loopback(url) or _is_exempt(parts.hostname or "", parts.port):
        return None
    proxy = _named_proxy(parts.scheme)
    if proxy is None:
        return None
    try:
        scheme, valid = urlsplit(proxy.url).scheme, bool(urlsplit(proxy.url).hostname)
        _ = urlsplit(proxy.url).port
    except ValueError:
        scheme, valid = "", False
    if scheme not in PROXIES or not valid:
        raise ParamError(
            f"{proxy.variable} is not the address of a proxy. Set it to http://HOST:PORT, or unset "
            "it."
        )
    if scheme.startswith("socks") and not importlib.util.find_spec("socksio"):
        raise ParamError(
            f"{proxy.variable} names a SOCKS proxy ({proxy}), which needs the extra [socks]. Run "
            f"pip install socksio and restart the kernel, or unset {proxy.variable}."
        )
    return proxy


def _named_proxy(scheme: str) -> Proxy | None:
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if value := trim_url(os.environ.get(variable, "")):
                return Proxy(value if "://" in value else f"http://{value}", variable)
    system = urllib.request.getproxies().get(scheme)
    return Proxy(system, "The system's proxy setting") if system else None


def _is_exempt(host: str, port: int | None) -> bool:
    """Return whether NO_PROXY, or the system, has a host that needs no proxy."""
    listed = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    if any(_matches(entry.strip().lower(), host, port) for entry in listed.split(",")):
        return True
    return not listed and bool(urllib.request.proxy_bypass(host))


def _matches(listed: str, host: str, port: int | None) -> bool:
    if listed == "*":
        return True
    name, number = listed, ""
    if listed.startswith("["):
        name, _, number = listed[1:].partition("]")
    elif listed.count(":") == 1:
        name, _, number = listed.partition(":")
    number = number.removeprefix(":")
    if number and number != str(port):
        return False
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        name = name.removeprefix("*").removeprefix(".")
        return bool(name) and (host == name or host.endswith("." + name))
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False


def certificate_variables() -> dict[str, str]:
    """Return the variables in force that name certificates, with their values."""
    values = {name: trim_url(os.environ.get(name, "")) for name in CERTIFICATES}
    own = {name: value for name, value in values.items() if value}
    if len(own) > 1:
        own.pop("REQUESTS_CA_BUNDLE", None)
    return own


def load_certificates(variables: dict[str, str]) -> ssl.SSLContext:
    """Return a TLS context that trusts what the variables name. Raises ParamError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name, value in variables.items():
        path = Path(value)
        try:
            if path.is_dir():
                problem = "" if any(path.iterdir()) else "is an empty folder"
                context.load_verify_locations(capath=value)
            else:
                problem = "" if path.exists() else "does not exist"
                if not problem:
                    context.load_verify_locations(cafile=value)
        except ssl.SSLError:
            problem = "has no certificates in PEM format"
        except (OSError, ValueError) as error:
            problem = f"cannot be read ({one_line(getattr(error, 'strerror', error), 80)})"
        if problem:
            raise ParamError(
                f"{name} is {one_line(value, 160)!r}, which {problem}. Correct it, or unset it to "
                "trust the usual certificates."
            )
    return context
