"""An OpenAI-compatible endpoint over HTTP; the only file that imports httpx.

What a server sends is passed on bounded in length and without the key: answers and headers by
answers.py, streams by `ResponseReader`, `ReplyRedactor` and `StreamSize`, and errors by
`_translate_error`. Errors are raised `from None`, because the library's own error may repeat what
a server or a proxy sent.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from di_magics.core.errors import (
    BadRequest,
    EndpointError,
    ParamError,
    Refused,
    StreamBroken,
    Unreachable,
)
from di_magics.core.reply.fold import ReplyEvent
from di_magics.core.request import retry
from di_magics.core.request.body import encode_body
from di_magics.core.request.redact import ReplyRedactor
from di_magics.core.request.response import ResponseReader
from di_magics.core.request.route import CHAT_PATH, COMPLETIONS_PATH
from di_magics.core.settings.services import DEEPINFRA, SERVICES
from di_magics.core.visible import one_line
from di_magics.endpoints.answers import (
    check_encoding,
    read_chunks,
    read_error,
    read_text,
    target_of,
)
from di_magics.endpoints.endpoint import Endpoint, is_loopback
from di_magics.endpoints.environment import (
    Proxy,
    certificate_variables,
    find_proxy,
    load_certificates,
)
from di_magics.endpoints.request_logs import RequestLogs
from di_magics.endpoints.stream_size import StreamSize

if TYPE_CHECKING:
    import ssl

    import httpx

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 600.0
LOCAL_PATIENCE = 6
"""A server on this machine may be silent so many times longer: it reads a long prompt slowly."""
LIST_SECONDS = 20.0
DRAIN_SECONDS = 0.2

OTHERS = SERVICES.keys() - {DEEPINFRA}

PER_POOL = 16
"""Requests per pool, at most. The work of a pool is quadratic in its connections (httpcore 1.0,
`_assign_requests_to_connections`): 200 in one pool needed four times the CPU."""

OnRetry = Callable[[EndpointError, float], None]


class _Pool:
    """Kept-alive connections, and how many requests are under way on them."""

    def __init__(self, client: httpx.AsyncClient, proxy: Proxy | None, logs: RequestLogs) -> None:
        self.client = client
        self.proxy = proxy
        self.under_way = 0
        self._logs = logs

    @asynccontextmanager
    async def request(
        self, method: str, url: str, seconds: float, **options: Any
    ) -> AsyncGenerator[httpx.Response]:
        """Send a request and yield its response, whose body is not read yet.

        Raises TimeoutError if its headers are not complete after these seconds,
        httpx.ReadTimeout if nothing more comes for as long, and httpx.ProxyError if the proxy
        asks for a password: for an http address httpx itself only returns its 407.
        """
        import httpx

        self.under_way += 1
        self._logs.drop()
        try:
            timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS, pool=None)
            request = self.client.build_request(method, url, timeout=timeout, **options)
            async with asyncio.timeout(seconds):
                response = await self.client.send(request, stream=True)
            try:
                if response.status_code == 407 and self.proxy:
                    raise httpx.ProxyError(f"407 {response.reason_phrase}")
                yield response
            finally:
                await response.aclose()
        finally:
            self.under_way -= 1


class Client:
    """Sends requests; one per kernel, all its methods run on the one loop."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._logs = RequestLogs()
        self._pools: dict[Hashable, list[_Pool]] = {}
        self._certificates: dict[Hashable, ssl.SSLContext] = {}
        self._pid = os.getpid()

    def _pool(self, endpoint: Endpoint) -> tuple[_Pool, Endpoint]:
        """Return a pool with room, for the proxy and certificates of the environment.

        The endpoint beside it is the same, but removes the proxy's password as well.
        """
        if self._pid != os.getpid():  # after a fork the connections are the parent's
            self._forget()
        encrypted = endpoint.url.startswith("https:")
        proxy = find_proxy(endpoint.url)
        certificates = certificate_variables() if encrypted else {}
        kind = (encrypted, proxy, *certificates.items())
        pools = self._pools.setdefault(kind, [])
        pool = next((pool for pool in pools if pool.under_way < PER_POOL), None)
        if pool is None:
            pool = _Pool(self._build(encrypted, proxy, certificates), proxy, self._logs)
            pools.append(pool)
        return pool, endpoint.behind(proxy.secrets) if proxy else endpoint

    def _build(
        self, encrypted: bool, proxy: Proxy | None, certificates: dict[str, str]
    ) -> httpx.AsyncClient:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        verify = self._trusted(certificates) if encrypted else False
        try:
            return httpx.AsyncClient(
                limits=httpx.Limits(max_connections=None, keepalive_expiry=120),
                trust_env=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none is kept
                proxy=httpx.Proxy(proxy.url) if proxy else None,
                verify=verify,
            )
        except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
            what = proxy.variable if proxy else "The network settings of the environment"
            raise ParamError(
                f"{what} cannot be used ({type(error).__name__}). Correct or unset HTTPS_PROXY, "
                "ALL_PROXY and SSL_CERT_FILE."
            ) from None

    def _trusted(self, variables: dict[str, str]) -> ssl.SSLContext:
        """Return the certificates to trust; reading them is slower than a request."""
        import httpx

        kind = tuple(variables.items())
        if kind not in self._certificates:
            self._certificates[kind] = (
                load_certificates(variables)
                if variables
                else httpx.create_ssl_context(trust_env=False)
            )
        return self._certificates[kind]

    async def close(self) -> None:
        """Close all connections."""
        for pools in self._pools.values():
            for pool in pools:
                await pool.client.aclose()
        self._pools.clear()
        self._logs.close()

    async def stream(
        self, endpoint: Endpoint, body: Mapping[str, Any], on_retry: OnRetry
    ) -> AsyncGenerator[list[ReplyEvent]]:
        """Yield the events of the reply, one list per read of the network.

        Retries by the rules of core/request/retry.py, and calls `on_retry` with the error and the
        seconds until the next try. Raises EndpointError, and ParamError for an invalid environment.
        Ends without an error when the connection ends, so the caller must look for Finished.
        """
        attempt = 0
        while True:
            attempt += 1
            begun = False
            try:
                async with aclosing(self._once(endpoint, body)) as batches:
                    async for events in batches:
                        begun = True
                        yield events
                return
            except EndpointError as error:
                final = begun or endpoint.local  # the next cell starts our own again
                seconds = None if final else retry.retry_delay(attempt, error, random.random())
                if seconds is None:
                    raise
                on_retry(error, seconds)
                await asyncio.sleep(seconds)

    async def get(self, endpoint: Endpoint, path: str) -> object:
        """Return what a path of a local server has, as JSON; None for other text.

        Raises EndpointError.
        """
        return await self._json("GET", endpoint, path)

    async def post(self, endpoint: Endpoint, path: str, body: Mapping[str, Any]) -> object:
        """Return a local server's answer to a body, as JSON; None for other text.

        Raises EndpointError.
        """
        return await self._json("POST", endpoint, path, content=encode_body(body))

    async def _json(self, method: str, endpoint: Endpoint, path: str, **options: Any) -> object:
        import httpx

        url = endpoint.url.removesuffix("/v1") + path
        headers = {
            **endpoint.headers(),
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        pool, endpoint = self._pool(endpoint)
        seconds = _silence_seconds(endpoint)
        try:
            async with pool.request(method, url, seconds, headers=headers, **options) as response:
                return json.loads(await read_text(response, endpoint))
        except (httpx.HTTPError, TimeoutError) as error:
            raise _translate_error(error, endpoint, pool.proxy, seconds) from None
        except (ValueError, RecursionError):
            return None

    async def models(self, endpoint: Endpoint) -> object:
        """Return the endpoint's own list of models, unparsed, without the key.

        Raises EndpointError, and ParamError for an invalid environment.
        """
        import httpx

        # DeepInfra's own, or a proxy that may lead there; others may refuse what they do not know.
        query = {} if endpoint.service.name in OTHERS else {"filter": "with_meta"}
        url = endpoint.address("/models", **query)
        headers = {**endpoint.headers(), "Accept-Encoding": "identity"}
        pool, endpoint = self._pool(endpoint)
        try:
            async with (
                asyncio.timeout(LIST_SECONDS),
                pool.request("GET", url, LIST_SECONDS, headers=headers) as response,
            ):
                answer = await read_text(response, endpoint)
            return endpoint.redactor.clean_values(json.loads(answer))
        except (httpx.HTTPError, TimeoutError) as error:
            raise _translate_error(error, endpoint, pool.proxy, LIST_SECONDS) from None
        except (ValueError, RecursionError):
            raise BadRequest(
                f"{endpoint.name} has no list of models. Name one: %chat model ID."
            ) from None

    async def _once(
        self, endpoint: Endpoint, body: Mapping[str, Any]
    ) -> AsyncGenerator[list[ReplyEvent]]:
        import httpx

        headers = {
            **endpoint.headers(),
            "Content-Type": "application/json",
            "Accept": "text/event-stream" if body.get("stream") else "application/json",
            # A compressed stream is held back until a block is full.
            "Accept-Encoding": "identity",
        }
        if endpoint.local:
            # llama.cpp's server sometimes closes a kept connection during the next request; a new
            # connection is cheap on this machine.
            headers["Connection"] = "close"
        path = COMPLETIONS_PATH if "prompt" in body else CHAT_PATH
        url, content = endpoint.address(path), encode_body(body)
        pool, endpoint = self._pool(endpoint)
        keys, seconds = ReplyRedactor(endpoint.redactor), _silence_seconds(endpoint)
        begun = False
        try:
            async with (
                endpoint.turn(),
                pool.request("POST", url, seconds, content=content, headers=headers) as response,
            ):
                target = target_of(endpoint, str(body.get("model", "")))
                if not response.is_success:
                    raise await read_error(response, endpoint, target)
                check_encoding(response, endpoint)
                reader, size = ResponseReader(target, endpoint.redactor.clean), StreamSize(endpoint)
                async with read_chunks(response) as chunks:
                    async for chunk in chunks:
                        batch = reader.feed(chunk)
                        begun = begun or bool(batch.events)
                        if events := keys.feed(batch.events):
                            yield events
                        if batch.error:
                            raise batch.error
                        if batch.done:
                            await _drain(chunks)
                            return
                        size.add(len(chunk), batch)
                # On another thread: 16 MB in one piece take many seconds, and Stop must not wait.
                batch = await asyncio.to_thread(reader.close)
                if events := [*await asyncio.to_thread(keys.feed, batch.events), *keys.close()]:
                    yield events
                if batch.error:
                    raise batch.error
        except (httpx.HTTPError, EndpointError, TimeoutError) as error:
            if events := keys.close():
                yield events
            if isinstance(error, EndpointError):
                raise
            raise _translate_error(error, endpoint, pool.proxy, seconds, begun) from None
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ParamError(
                f"{one_line(endpoint.url, 120)!r} is not the address of an endpoint "
                f"({one_line(error, 80)}). %chat endpoint sets it."
            ) from None


def _silence_seconds(endpoint: Endpoint) -> float:
    """Return for how long an endpoint may send nothing."""
    return SILENCE_SECONDS * (LOCAL_PATIENCE if is_loopback(endpoint.url) else 1)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the rest of a stream after its last event, so that its connection can be reused.

    Not every server closes the stream then.
    """
    import httpx

    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in chunks:
                pass


def _translate_error(
    error: Exception,
    endpoint: Endpoint,
    proxy: Proxy | None,
    seconds: float,
    begun: bool = False,
) -> EndpointError:
    """Return the error for a failed connection."""
    import httpx

    detail = one_line(endpoint.redactor.clean(str(error)), 160) or type(error).__name__
    name, where = endpoint.name, one_line(endpoint.url, 120)
    if endpoint.local:
        kept = "; the partial reply is kept" if begun else ""
        return (StreamBroken if begun else Unreachable)(
            f"The model server on this machine has ended ({detail}){kept}. Run the cell again to "
            "restart it."
        )
    if begun:
        return StreamBroken(
            f"The connection to {name} broke off ({detail}). The partial reply is kept; "
            "run the cell again for a new reply."
        )
    # Not retried: the wait was long enough.
    if isinstance(error, httpx.ReadTimeout | TimeoutError):
        return StreamBroken(
            f"{name} gave no answer in {seconds:.0f} s. Run the cell again, or use another model."
        )
    if isinstance(error, httpx.ProxyError | httpx.UnsupportedProtocol) and proxy:
        return Refused(
            f"The proxy {proxy} of {proxy.variable} refused the connection to {name} ({detail}). "
            f"Correct {proxy.variable}, or add the host to NO_PROXY."
        )
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        if "CERTIFICATE_VERIFY_FAILED" in detail:
            variables = " and ".join(certificate_variables())
            step = (
                f"Correct {variables}, or unset it to trust the usual certificates."
                if variables
                else "Set SSL_CERT_FILE to the file of certificates that your network uses."
            )
            return Refused(f"The certificate of {name} is not trusted ({detail}). {step}")
        if isinstance(error, httpx.ConnectTimeout):
            detail = f"no answer in {CONNECT_SECONDS:.0f} s"
        if proxy:
            return Unreachable(
                f"No connection to the proxy {proxy} of {proxy.variable} ({detail}). Correct "
                f"{proxy.variable}, or add the host of {where} to NO_PROXY."
            )
        if endpoint.free:
            return Unreachable(
                f"No connection to {name} at {where} ({detail}). Start the server in a terminal: "
                f"{endpoint.service.start}"
            )
        return Unreachable(
            f"No connection to {name} at {where} ({detail}). Check the network and the address: "
            "%chat endpoint."
        )
    return Unreachable(f"{name} gave no answer ({detail}). Try again in a moment.")
