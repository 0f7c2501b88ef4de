"""The address of an OpenAI-compatible server and its key."""

from __future__ import annotations

import copy
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import cached_property
from urllib.parse import SplitResult, urlencode, urlsplit

from di_magics.core.arguments import check_arguments
from di_magics.core.errors import ParamError
from di_magics.core.request.redact import Redactor, Secret, hide_text, hide_values
from di_magics.core.request.route import CHAT_PATH, COMPLETIONS_PATH
from di_magics.core.settings.services import DEEPINFRA, LOCAL, SERVICES, UNKNOWN_SERVICE, Service
from di_magics.core.visible import one_line

Turn = Callable[[], AbstractAsyncContextManager[None]]

VERSION = re.compile(r"v?\d[\d.-]{0,20}(?:preview|beta|alpha)?")
"""A value of a header or a query that is not secret: a version or a date."""
OURS = frozenset(
    [
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
    ]
)
"""The headers that we send ourselves."""
PATHS = (CHAT_PATH, COMPLETIONS_PATH, "/models", "/responses")
"""What the address of a request has after the base address."""


def split_url(url: str) -> SplitResult:
    """Return the parts of an address, which are empty if it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
    except ValueError:
        return urlsplit("")
    return parts


def is_deepinfra(url: str) -> bool:
    """Return whether the address is DeepInfra's own, over https."""
    parts = split_url(url)
    host = (parts.hostname or "").lower()
    return parts.scheme == "https" and (host == "deepinfra.com" or host.endswith(".deepinfra.com"))


def is_loopback(url: str) -> bool:
    """Return whether the address is on this machine: 127.0.0.0/8, ::1 or localhost."""
    host = split_url(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def trusts_http(url: str) -> bool:
    """Return whether an address may get its key over http: this machine's, or one that is trusted.

    DI_MAGICS_TRUST_HTTP names hosts, with commas between.
    """
    named = os.environ.get("DI_MAGICS_TRUST_HTTP", "").lower().split(",")
    trusted = {trim_url(name).strip("[]") for name in named} - {""}
    return is_loopback(url) or split_url(url).hostname in trusted


def trim_url(text: str) -> str:
    """Return an address without the blanks and quotes around it, which copying may add."""
    return text.strip().strip("'\"`\u2018\u2019\u201c\u201d").strip()


def mend_url(text: str) -> str:
    """Return the base address that is meant: without blanks and a request's path, with a scheme."""
    url = re.sub(r"\s+", "", trim_url(text)).rstrip("/")
    if re.match(r"(localhost|[\w-]+(\.[\w-]+)+|[\w.-]+(?=:\d)|\[[\da-fA-F:]+\])(:\d+)?(/|$)", url):
        url = f"{'http' if is_loopback(f'//{url}') else 'https'}://{url}"
    for path in PATHS:
        url = url.removesuffix(path)
    return url.rstrip("/")


def _check_header(name: object, value: object) -> str:
    """Return the name of a header. Raises ParamError for one that cannot be sent."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name, re.ASCII):
        raise ParamError("The name of a header must be letters, digits and hyphens. Correct it.")
    if name.lower() in OURS:
        raise ParamError(f"The header {name} is set by di_magics. Leave it out.")
    if not isinstance(value, str) or not value.strip() or not value.isascii():
        raise ParamError(f"The value of the header {name} must be a text in ASCII. Correct it.")
    if not value.strip().isprintable():
        raise ParamError(f"The value of the header {name} has a line end. Remove it.")
    return name


def _check_query(name: object, value: object) -> tuple[str, Secret]:
    """Return an item of a query. Raises ParamError for one that is not a text."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise ParamError("query must be a dict of texts by name. Convert its values with str().")
    return name, Secret(value)


def service_at(url: str) -> Service:
    """Return the service of the table whose host this is, over https; else UNKNOWN_SERVICE."""
    if is_deepinfra(url):
        return SERVICES[DEEPINFRA]
    origin = split_url(url)[:2]
    return next(
        (
            service
            for service in SERVICES.values()
            if service.url.startswith("https:") and urlsplit(service.url)[:2] == origin
        ),
        UNKNOWN_SERVICE,
    )


class Endpoint:
    """Where requests go: a base URL up to and including `/v1` or `/openai`, and its key.

    The key is sent as a bearer token over https, or to this machine; it is never displayed. `name`
    is the endpoint's name in messages; `headers` and `query` are sent with every request, and their
    values are as secret as the key. `note` says how `url` was corrected, if it was; `service` is
    what is known of the endpoint. Raises ParamError for an address that is not http(s), holds a
    password, or would carry the key unencrypted, and for a header that cannot be sent.
    """

    local = False
    url = ""
    _key: Secret | None = None

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        service: Service | None = None,
    ) -> None:
        # From here on no frame of ours has a key as a plain text, whatever is raised.
        key, headers, query = hide_text(key), hide_values(headers), hide_values(query)
        try:
            self._set(url, key, name=name, headers=headers, query=query, service=service)
        except ParamError as error:
            del url, key, headers, query
            raise error.with_traceback(None)  # noqa: B904 # it is the same error

    @check_arguments
    def _set(
        self,
        url: str,
        key: str | None,
        *,
        name: str | None,
        headers: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
        service: Service | None,
    ) -> None:
        typed, url = url, mend_url(url)
        parts = split_url(url)
        host = parts.hostname if parts.port != 0 else None
        place = parts.netloc.rpartition("@")[2]
        address = one_line(f"{parts.scheme}://{place}{parts.path}", 120)
        if parts.scheme not in ("http", "https") or not host or not url.isprintable():
            raise ParamError(
                f"{one_line(url.rpartition('@')[2], 120)!r} is not the address of an endpoint. "
                "Write a name (%chat endpoint lists them) or a URL such as https://host/v1."
            )
        if parts.username or parts.password:
            raise ParamError(
                f"The address {address} must not contain a key. Set it with %chat key instead."
            )
        if parts.query or parts.fragment:
            raise ParamError(
                f"The address {address} has a query (? or #). Leave it out, or give it "
                "to di.Endpoint as query={…}."
            )
        secret = Secret((key or "").strip())
        self._headers = {
            _check_header(*item): Secret(item[1].strip()) for item in (headers or {}).items()
        }
        self._query = dict(_check_query(*item) for item in (query or {}).items())
        is_secret = bool(secret or self._headers or self._query)
        if is_secret and parts.scheme == "http" and not trusts_http(url):
            raise ParamError(
                f"{address} is not encrypted, so the key is not sent there. Use https, or name the "
                "host in DI_MAGICS_TRUST_HTTP if you trust the network on the way to it."
            )
        if not (secret.isascii() and secret.isprintable()):
            raise ParamError(
                "The key contains characters that no key has. Copy it again with %chat key."
            )
        self.url = url
        self.note = "" if trim_url(typed).rstrip("/") == url else f"the address is {url}"
        self.service = service or service_at(url)
        self.name = name or self.service.name or parts.netloc
        self._key = secret or None

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, {'with a key' if self._key else 'no key'})"

    @property
    def has_key(self) -> bool:
        """Whether a key will be sent."""
        return self._key is not None

    @property
    def free(self) -> bool:
        """Whether it is a server on this machine that we know to charge nothing."""
        return self.local or (bool(self.service.start) and is_loopback(self.url))

    @cached_property
    def redactor(self) -> Redactor:
        """Removes the key and the other secrets from everything that the server sends."""
        others = (*self._headers.values(), *self._query.values())
        return Redactor(self._key, *(value for value in others if not VERSION.fullmatch(value)))

    def behind(self, secrets: Iterable[str]) -> Endpoint:
        """Return this endpoint behind a proxy with these secrets, which are removed as well."""
        other = copy.copy(self)
        other.redactor = self.redactor.with_keys(secrets)
        return other

    def headers(self) -> dict[str, str]:
        """Return the headers of a request to this endpoint; its own come first."""
        key = {"Authorization": Secret(f"Bearer {self._key}")} if self._key else {}
        own = {name.lower() for name in self._headers}
        return {**self._headers, **{n: v for n, v in key.items() if n.lower() not in own}}

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return a context to send a request in."""
        return nullcontext()

    def address(self, path: str, **query: str) -> str:
        """Return the address of a request, with the endpoint's query."""
        text = urlencode({**query, **self._query})
        return f"{self.url}{path}{f'?{text}' if text else ''}"


class LocalEndpoint(Endpoint):
    """Our own llama.cpp server on this machine, free of charge."""

    local = True

    def __init__(
        self, url: str, key: str | None = None, *, name: str | None = None, turn: Turn = nullcontext
    ) -> None:
        super().__init__(url, key, name=name, service=SERVICES[LOCAL])
        self._turn = turn

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return a context in which the server computes no other request; it may have to wait."""
        return self._turn()
