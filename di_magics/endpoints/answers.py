"""What a server answers in one piece: lists and errors, bounded in length and without the key.

A compressed answer is refused, so that a small one cannot fill the memory.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, cast
from urllib.parse import urljoin, urlsplit

from di_magics.core.errors import BadRequest, EndpointError, StreamBroken
from di_magics.core.request.response import MAX_REPLY_BYTES, web_page_error
from di_magics.core.request.route import CHAT_PATH
from di_magics.core.request.server_errors import Target, http_error
from di_magics.core.visible import one_line
from di_magics.endpoints.endpoint import Endpoint

if TYPE_CHECKING:
    import httpx

MAX_ERROR_BYTES = 1 << 20


def check_encoding(response: httpx.Response, endpoint: Endpoint) -> None:
    """Raise BadRequest for a compressed answer: unpacked, a small one may fill the memory."""
    if _is_compressed(response):
        encoding = one_line(_header(response, "content-encoding", endpoint) or "", 40).lower()
        raise BadRequest(
            f"{endpoint.name} sent a compressed answer ({encoding}), which was not "
            "asked for. Check the endpoint's address, or the proxy on the way to it."
        )


def _is_compressed(response: httpx.Response) -> bool:
    encoding = response.headers.get("content-encoding", "")
    return encoding.strip().lower() not in ("", "identity")


def _header(response: httpx.Response, name: str, endpoint: Endpoint) -> str | None:
    value: str | None = response.headers.get(name)
    return value and endpoint.redactor.clean(value)


def read_chunks(response: httpx.Response) -> aclosing[AsyncGenerator[bytes]]:
    """Return a body's pieces as they come, for `async with`."""
    return aclosing(cast("AsyncGenerator[bytes]", response.aiter_raw()))


async def read_text(response: httpx.Response, endpoint: Endpoint) -> str:
    """Return a body as text, without the key. Raises EndpointError."""
    if not response.is_success:
        raise await read_error(response, endpoint, target_of(endpoint, ""))
    if "html" in response.headers.get("content-type", ""):
        raise web_page_error(endpoint.name)
    check_encoding(response, endpoint)
    body = await _read_bounded(response, MAX_REPLY_BYTES)
    if len(body) > MAX_REPLY_BYTES:
        raise StreamBroken(
            f"{endpoint.name} sent an answer of more than 16 MB, so no more of it is read. "
            "Check its address with %chat endpoint."
        )
    return endpoint.redactor.clean(body.decode("utf-8", "replace"))


async def read_error(response: httpx.Response, endpoint: Endpoint, target: Target) -> EndpointError:
    """Return the error for a response without success; a compressed body is not read."""
    body = b"" if _is_compressed(response) else await _read_bounded(response, MAX_ERROR_BYTES)
    location = _header(response, "location", endpoint)
    return http_error(
        response.status_code,
        endpoint.redactor.clean(body.decode("utf-8", "replace")).encode(),
        target,
        location=location and _moved_to(endpoint, location),
        headers=response.headers,
        now=time.time(),
        request_id=_header(response, "x-request-id", endpoint),
    )


async def _read_bounded(response: httpx.Response, limit: int) -> bytes:
    """Return a body; reading stops when it is longer than the limit."""
    body = bytearray()
    async with read_chunks(response) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                break
    return bytes(body)


def target_of(endpoint: Endpoint, model: str) -> Target:
    """Return the endpoint and the model as errors name them."""
    model = one_line(endpoint.redactor.clean(model), 120)
    return Target(model, endpoint.name, endpoint.service)


def _moved_to(endpoint: Endpoint, location: str) -> str:
    """Return the whole address of a redirect, without parts that may be secret."""
    try:
        parts = urlsplit(urljoin(endpoint.url + CHAT_PATH, location))
    except ValueError:
        return one_line(location.partition("?")[0], 160)
    url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return one_line(url.rstrip("/"), 160)
