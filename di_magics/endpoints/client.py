"""An OpenAI-compatible endpoint over HTTP; the only file that imports httpx.

One kept-alive client; raw bytes go to our own SSE decoder; a key goes where it belongs or nowhere.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from di_magics.core.errors import (
    BadRequest,
    EndpointError,
    ParamError,
    Refused,
    StreamBroken,
    Unreachable,
)
from di_magics.core.reply.reply import ReplyEvent
from di_magics.core.request import retry
from di_magics.core.request.body import encode_body
from di_magics.core.request.refusals import Target, http_error
from di_magics.core.request.response import ResponseReader
from di_magics.core.text import one_line

if TYPE_CHECKING:
    import httpx

DEEPINFRA = "https://api.deepinfra.com/v1/openai"
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 600.0
LIST_SECONDS = 20.0
LONGEST_ANSWER = 1 << 20
DRAIN_SECONDS = 0.2


def is_deepinfra(url: str) -> bool:
    """Return whether the address is DeepInfra's own, over https."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    return parts.scheme == "https" and (host == "deepinfra.com" or host.endswith(".deepinfra.com"))


def is_loopback(url: str) -> bool:
    """Return whether the address is on this machine."""
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


class Endpoint:
    """Where requests go: a base URL up to and including `/v1` or `/openai`, and its key.

    The key is sent as a bearer token over https, or to this machine; never shown. `name` is what
    messages call it. Raises ParamError for an address that is not http(s), holds a password, or
    would carry the key unencrypted.
    """

    local = False

    def __init__(self, url: str, key: str | None = None, *, name: str | None = None) -> None:
        try:
            parts = urlsplit(url)
            host = parts.hostname if parts.port != 0 else None  # reading the port checks it
        except ValueError:
            parts, host = urlsplit(""), None
        shown = one_line(f"{parts.scheme}://{host}{parts.path}", 120)
        if parts.scheme not in ("http", "https") or not host:
            raise ParamError(
                f"{one_line(url.rpartition('@')[2], 120)!r} is no address of an endpoint. Write "
                "deepinfra, local, local:FILE.gguf, or a URL such as https://host/v1."
            )
        if parts.username or parts.password:
            raise ParamError(
                f"Leave the key out of the address {shown}: set DI_MAGICS_API_KEY instead."
            )
        if parts.query or parts.fragment:
            raise ParamError(f"Leave out what follows the path of the address {shown}.")
        key = (key or "").strip() or None
        if key and parts.scheme == "http" and not is_loopback(url):
            raise ParamError(
                f"{shown} is not encrypted, so the key will not be sent there. Use https."
            )
        if key and not (key.isascii() and key.isprintable()):
            raise ParamError("The key holds characters no key has. Copy it again: %chat key.")
        self.url = url.rstrip("/")
        self.name = name or ("deepinfra" if is_deepinfra(url) else parts.netloc)
        self._key = key

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, {'with a key' if self._key else 'no key'})"

    @property
    def has_key(self) -> bool:
        """Whether a key will be sent."""
        return self._key is not None

    def without_key(self, text: str) -> str:
        """Return a server's words without the key in them."""
        return text.replace(self._key, "…") if self._key else text

    def headers(self) -> dict[str, str]:
        """Return the headers of a request to this endpoint."""
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}


class LocalEndpoint(Endpoint):
    """A llama.cpp server that we have started on this machine: free of charge."""

    local = True


Waiting = Callable[[EndpointError, float], None]


PER_POOL = 16
"""A pool looks at each of its connections for each of them, whenever a request begins or ends
(httpcore 1.0, `_assign_requests_to_connections`): 200 in one took four times the CPU."""


class _Pool:
    """Kept-alive connections, and how many requests are under way on them."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.under_way = 0

    @asynccontextmanager
    async def request(self, method: str, url: str, **more: Any) -> AsyncGenerator[httpx.Response]:
        """Send a request and yield its response, to be read as it comes."""
        self.under_way += 1
        try:
            async with self.client.stream(method, url, **more) as response:
                yield response
        finally:
            self.under_way -= 1


class Client:
    """Sends requests; one per kernel, all its methods run on the one loop."""

    def __init__(self) -> None:
        self._pools: dict[tuple[bool, bool], list[_Pool]] = {}

    def _pool(self, endpoint: Endpoint) -> _Pool:
        """Return a pool with room: a proxy of the environment is not for this machine."""
        import httpx

        kind = near, encrypted = is_loopback(endpoint.url), endpoint.url.startswith("https:")
        pools = self._pools.setdefault(kind, [])
        found = next((pool for pool in pools if pool.under_way < PER_POOL), None)
        if found is None:
            client = httpx.AsyncClient(
                timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS, pool=None),
                limits=httpx.Limits(max_connections=None, keepalive_expiry=120),
                trust_env=not near,
                verify=self._certificates if encrypted else False,
            )
            found = _Pool(client)
            pools.append(found)
        return found

    @cached_property
    def _certificates(self) -> Any:
        """The certificates to trust; reading them costs more than a whole exchange nearby."""
        import httpx

        return httpx.create_ssl_context()

    async def close(self) -> None:
        """Close all connections."""
        for pools in self._pools.values():
            for pool in pools:
                await pool.client.aclose()
        self._pools.clear()

    async def stream(
        self, endpoint: Endpoint, body: Mapping[str, Any], waiting: Waiting
    ) -> AsyncGenerator[list[ReplyEvent]]:
        """Yield the events of the reply, a list for each read of the network.

        Tries again as core.retry says, calling `waiting` with the error and the seconds until
        then. Raises EndpointError; ends quietly where the connection ends, so whoever folds the
        events must look for Finished.
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
                error.args = (endpoint.without_key(str(error)),)  # some servers repeat it
                final = begun or endpoint.local  # a server of our own is started again instead
                seconds = None if final else retry.retry_delay(attempt, error, random.random())
                if seconds is None:
                    raise
                waiting(error, seconds)
                await asyncio.sleep(seconds)

    async def models(self, endpoint: Endpoint) -> object:
        """Return the endpoint's own list of models, as it came. Raises EndpointError."""
        import httpx

        url = f"{endpoint.url}/models?filter=with_meta"
        try:
            async with self._pool(endpoint).request(
                "GET", url, headers=endpoint.headers(), timeout=LIST_SECONDS
            ) as response:
                answer = await _read_bounded(response, LONGEST_ANSWER * 16)
                if response.status_code != 200:
                    refused = _http_error(response, answer, endpoint)
                    refused.args = (endpoint.without_key(str(refused)),)
                    raise refused
            return json.loads(answer)
        except httpx.HTTPError as error:
            raise _translate_error(error, endpoint, begun=False) from error
        except (ValueError, RecursionError):
            raise BadRequest(
                f"{endpoint.name} has no list of models. Name one: %chat model ID."
            ) from None

    async def _once(
        self, endpoint: Endpoint, body: Mapping[str, Any]
    ) -> AsyncGenerator[list[ReplyEvent]]:
        import httpx

        content = encode_body(body)
        headers = {
            **endpoint.headers(),
            "Content-Type": "application/json",
            "Accept": "text/event-stream" if body.get("stream") else "application/json",
            # A compressed stream is held back until a block is full.
            "Accept-Encoding": "identity",
        }
        if endpoint.local:
            # llama.cpp's server closes a kept connection now and then as the next request is on
            # its way; a new one costs nothing on this machine.
            headers["Connection"] = "close"
        url = endpoint.url + "/chat/completions"
        begun = False
        try:
            async with self._pool(endpoint).request(
                "POST", url, content=content, headers=headers
            ) as response:
                if response.status_code != 200:
                    answer = await _read_bounded(response)
                    raise _http_error(response, answer, endpoint, body.get("model", ""))
                reader = ResponseReader(_target(endpoint, body.get("model", "")))
                chunks = response.aiter_bytes()
                async for chunk in chunks:
                    batch = reader.feed(chunk)
                    if batch.events:
                        begun = True
                        yield batch.events
                    if batch.error:
                        raise batch.error
                    if batch.done:
                        await _drain(chunks)
                        return
                batch = reader.close()
                if batch.events:
                    yield batch.events
                if batch.error:
                    raise batch.error
        except httpx.HTTPError as error:
            raise _translate_error(error, endpoint, begun) from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ParamError(
                f"{one_line(endpoint.url, 120)!r} is no address of an endpoint "
                f"({one_line(error, 80)}). %chat endpoint sets it."
            ) from error


def _http_error(
    response: httpx.Response, answer: bytes, endpoint: Endpoint, model: str = ""
) -> EndpointError:
    return http_error(
        response.status_code,
        answer,
        _target(endpoint, model),
        location=response.headers.get("location"),
        retry_after=_retry_after_seconds(response.headers.get("retry-after")),
        request_id=response.headers.get("x-request-id"),
    )


def _target(endpoint: Endpoint, model: str) -> Target:
    return Target(one_line(model, 120), endpoint.name, is_deepinfra(endpoint.url))


async def _read_bounded(response: httpx.Response, limit: int = LONGEST_ANSWER) -> bytes:
    """Read a whole answer, of which a server at fault may send without end."""
    answer = bytearray()
    async for chunk in response.aiter_bytes():
        answer += chunk
        if len(answer) > limit:
            break
    return bytes(answer[:limit])


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the end of a stream that has said its last word, so that its connection is kept.

    Not every server ends it then.
    """
    import httpx

    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in chunks:
                pass


def _retry_after_seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date (RFC 9110, 10.2.3)."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def _translate_error(error: httpx.HTTPError, endpoint: Endpoint, begun: bool) -> EndpointError:
    import httpx

    detail = one_line(error, 160) or type(error).__name__
    if endpoint.local:
        kept = " What had come is kept." if begun else ""
        return (StreamBroken if begun else Unreachable)(
            f"The model server on this machine is gone ({detail}).{kept} Run the cell again: that "
            "starts it anew."
        )
    if begun:
        return StreamBroken(
            f"The connection to {endpoint.name} broke off ({detail}). What had come is kept; "
            "run the cell again for a new reply."
        )
    if isinstance(error, httpx.ReadTimeout):  # not to be tried again: it has waited long enough
        return StreamBroken(
            f"{endpoint.name} gave no answer in {SILENCE_SECONDS:.0f} s. Run the cell again, or "
            "take another model."
        )
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return Unreachable(
            f"No connection to {endpoint.name} at {one_line(endpoint.url, 120)} ({detail}). "
            "Check the network and the address: %chat endpoint."
        )
    if isinstance(error, httpx.ProxyError | httpx.UnsupportedProtocol):
        return Refused(f"{endpoint.name} is out of reach ({detail}). Check the proxy settings.")
    return Unreachable(f"{endpoint.name} gave no answer ({detail}). Try again in a moment.")
