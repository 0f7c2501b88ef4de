"""What a server's refusal means, and what to do next."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from di_magics.core.errors import BadRequest, Busy, EndpointError, Refused, StreamBroken, TooLong
from di_magics.core.request.readers import read_count
from di_magics.core.text import one_line


def error_text(payload: object) -> str | None:
    """Return the server's own words in an error body, whichever of its shapes it has."""
    match payload:
        case str() if payload.strip():
            return one_line(payload)
        case {"msg": str() as message, "loc": [*loc]}:  # FastAPI names the field it refuses
            place = ".".join(str(part) for part in loc if part != "body")
            return one_line(f"{place}: {message}" if place else message)
        case {**found}:
            every = (error_text(found.get(key)) for key in ("error", "detail", "message"))
            return next(filter(None, every), None)
        case [*items]:
            found_words = [said for item in items[:3] if (said := error_text(item))]
            return "; ".join(found_words) or None
        case _:
            return None


def stream_error(payload: Mapping[str, Any]) -> EndpointError:
    """Return the error that a payload inside a stream reports."""
    inner = payload.get("error")
    code = (inner if isinstance(inner, dict) else payload).get("code")
    said = (error_text(payload) or "no reason given").rstrip(".")
    if isinstance(code, int) and 400 <= code < 600:
        return http_error(code, json.dumps(payload).encode())
    if is_too_long(said):
        return _too_long_error(f"The server reported an error: {said}.", said, payload)
    return StreamBroken(f"The server reported an error: {said}. Run the cell again.")


_TOO_LONG = (
    "maximum input length",
    "context length",
    "context size",
    "context window",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input too long",
)
SHORTEN = "The conversation is too long for the model: %chat undo, %chat new, or a shorter prompt."


def is_too_long(said: str) -> bool:
    """Return whether a server's words say that the input does not fit."""
    return any(sign in said.lower() for sign in _TOO_LONG)


def mentions_param(said: str, param: str) -> bool:
    """Return whether a server's words are about this parameter, and not only hold its name."""
    pattern = rf"['\"`]{param}['\"`]|\b{param}:|\bparameter {param}\b"
    return bool(re.search(pattern, said)) or ("_" in param and param in said)


def http_error(
    status: int,
    answer: bytes,
    *,
    model: str = "",
    endpoint: str = "The server",
    deepinfra: bool = True,
    retry_after: float | None = None,
    request_id: str | None = None,
) -> EndpointError:
    """Return the error for an answer that is not 2xx: the server's words and the next step.

    `deepinfra` says whose key and account it is about.
    """
    try:
        payload: object = json.loads(answer)
    except (ValueError, RecursionError):
        text = answer.decode("utf-8", "replace").strip()
        payload = None if text.startswith("<") else text
    said = error_text(payload)
    kind, step = _next_step(status, said or "", model, deepinfra)
    quoted = f": {said.rstrip('.')}" if said else ""
    answered = f"{endpoint} answered {status}{quoted}."
    if kind is TooLong:
        return _too_long_error(answered, said or "", payload, status=status, request_id=request_id)
    return kind(f"{answered} {step}", status=status, request_id=request_id, retry_after=retry_after)


_LIMIT = re.compile(
    r"(?:maximum|limit|context (?:size|length|window))[^\d]{0,40}?(\d[\d,]*)", re.IGNORECASE
)


def _too_long_error(message: str, said: str, payload: object, **answer: Any) -> TooLong:
    """Read how long the input was and may be: from llama.cpp's fields, else the server's words."""
    error = TooLong(f"{message} {SHORTEN}", **answer)
    inner = payload.get("error") if isinstance(payload, dict) else None
    fields = inner if isinstance(inner, dict) else {}
    asked, limit = read_count(fields.get("n_prompt_tokens")), read_count(fields.get("n_ctx"))
    if not asked or not limit:
        found = _LIMIT.search(said)
        limit = int(found[1].replace(",", "")) if found else None
        numbers = [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", said)]
        asked = max(numbers, default=0)
    if limit and asked and asked > limit:
        error.asked, error.limit = asked, limit
    error.server_text = message
    return error


# llama.cpp's and vLLM's words.
_NO_IMAGES = ("image input is not supported", "is not a multimodal model", "at most 0 image")


def _next_step(
    status: int, said: str, model: str, deepinfra: bool
) -> tuple[type[EndpointError], str]:
    if is_too_long(said):
        return TooLong, SHORTEN
    if any(sign in said.lower() for sign in _NO_IMAGES):
        return BadRequest, "This model cannot look at images: name one that can with -m."
    if status == 402:
        where = "at https://deepinfra.com/dash/billing" if deepinfra else "to your account there"
        return Refused, f"Add funds {where}."
    if status in (401, 403):
        how = "with %chat key, or in the environment as DEEPINFRA_TOKEN"
        other = "in the environment as DI_MAGICS_API_KEY, for DI_MAGICS_BASE_URL"
        return Refused, f"Set the key {how if deepinfra else other}."
    if status == 404 and "model" in said.lower():
        return BadRequest, f"Check the model's name ({model}) with %chat model."
    if status in (404, 405) or status < 400:
        return BadRequest, "Check the endpoint's address and the model's name with %chat."
    if status in (408, 409, 429) or status >= 500:
        return Busy, "Try again in a moment; what was there is kept."
    return BadRequest, "%chat show --request prints what was sent."
