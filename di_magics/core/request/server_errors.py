"""What a server's error means, and what to do next.

Servers refuse the same thing with different statuses: too long a prompt is a 400, a 413 or a 500,
an empty account a 400, a 402 or a 429. So the text decides first (error_body.py reads it) and the
status last. error_rules.py has the one table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from di_magics.core.errors import EndpointError, TooLong
from di_magics.core.read_json import as_object
from di_magics.core.request.error_body import error_codes, error_text
from di_magics.core.request.error_rules import CHECK_ADDRESS, ERROR_RULES, ErrorRule
from di_magics.core.request.readers import load_json, read_count
from di_magics.core.request.retry import parse_wait
from di_magics.core.request.route import CHAT_PATH
from di_magics.core.settings.services import DEEPINFRA, UNKNOWN_SERVICE, Service
from di_magics.core.text import count_noun
from di_magics.core.visible import one_line

MAX_WAIT_SECONDS = 1e6
"""A server's longer wait, or an endless one, is shown as this."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which model of which endpoint was asked; `service` says whose key and account it is."""

    model: str = ""
    endpoint: str = "The server"
    service: Service = UNKNOWN_SERVICE

    @property
    def key(self) -> str:
        """How the key is set."""
        service = self.service
        whose = f"of {service.title} " if service.title else ""
        variable = next(iter(service.key_variables), "")
        if not variable:
            variable = "DI_MAGICS_API_KEY, with the address in DI_MAGICS_BASE_URL"
        command = f"%chat key {service.name}".strip()
        return f"{whose}with {command}, or in the environment as {variable}"

    @property
    def billing(self) -> str:
        """Where funds are added."""
        if self.service.name == DEEPINFRA:
            return "at https://deepinfra.com/dash/billing"
        return f"to your account at {self.service.title or 'the endpoint'}"


def http_error(
    status: int,
    answer: bytes,
    target: Target | None = None,
    *,
    headers: Mapping[str, object] | None = None,
    now: float = 0.0,
    request_id: str | None = None,
    location: str | None = None,
) -> EndpointError:
    """Return the error for a response without success: the server's text and the next step.

    `headers` and the local time `now` say when to try again, `location` is where a redirect points
    to.
    """
    try:
        payload: object = load_json(answer)
    except ValueError:
        text = answer.decode("utf-8", "replace").strip()
        payload = None if text.startswith("<") else text
    # OpenRouter relays the headers of the server behind it.
    upstream = as_object(as_object(as_object(payload).get("error")).get("metadata"))
    retry_after = parse_wait({**as_object(upstream.get("headers")), **(headers or {})}, now)
    error = _error(status, payload, target or Target(), location, retry_after)
    error.request_id, error.retry_after = request_id, retry_after
    return error


def stream_error(payload: Mapping[str, Any], target: Target | None = None) -> EndpointError:
    """Return the error that a payload inside a stream reports."""
    inner = payload.get("error")
    code = (inner if isinstance(inner, dict) else payload).get("code")
    number = int(code) if isinstance(code, str) and re.fullmatch("[45][0-9]{2}", code) else code
    status = number if isinstance(number, int) and 400 <= number < 600 else 0
    return _error(status, payload, target or Target())


def find_rule(status: int, payload: object) -> ErrorRule:
    """Return the row of ERROR_RULES that an error body with this status is about."""
    text = (error_text(payload) or "").rstrip(".")
    signs = " ".join([text, *error_codes(payload)]).lower()[:2000]
    return next(
        row
        for row in ERROR_RULES
        if (not row.statuses or status in row.statuses) and re.search(row.pattern, signs)
    )


def _error(
    status: int,
    payload: object,
    target: Target,
    location: str | None = None,
    retry_after: float | None = None,
) -> EndpointError:
    text = (error_text(payload) or "").rstrip(".")
    rule = find_rule(status, payload)
    if status:
        answered = f"{target.endpoint} answered {status}{f': {text}' if text else ''}."
    else:
        answered = f"{target.endpoint} reported an error: {text or 'no reason given'}."
    minutes = int(min(retry_after or 0.0, MAX_WAIT_SECONDS) // 60)
    step = rule.step.format(
        wait=f"in {count_noun(minutes + 1, 'minute')}" if minutes else "in a moment",
        model=target.model,
        billing=target.billing,
        key=target.key,
        moved=_redirect_step(status, one_line(location or "", 200)),
    )
    error = rule.error(f"{answered} {step}", status=status or None)
    if isinstance(error, TooLong):
        error.server_text = answered
        error.asked, error.limit = _parse_lengths(text, payload)
    return error


def _redirect_step(status: int, location: str) -> str:
    """Return what to do about a redirect: only a page is asked for anew, with GET."""
    if not location:
        return CHECK_ADDRESS
    if status in (302, 303) and not location.endswith((CHAT_PATH, "/models")):
        return f"It leads to {location}, perhaps to log in. {CHECK_ADDRESS}"
    moved = location.removesuffix(CHAT_PATH)
    return f"It has moved to {moved}: if you trust that address, set it with %chat endpoint URL."


# A number that stands alone: not a part of a model's name or an id.
_COUNT = r"(?<![\w.-])(\d{1,9}(?:,\d{3})*)(?![\w-])"
_LIMITS = (
    re.compile(rf"{_COUNT}(?: tokens)? max", re.IGNORECASE),
    re.compile(
        r"(?:maximum|limit|context (?:size|length|window)|cannot exceed|n_ctx|must be <=|less than)"
        rf"[^\d]{{0,40}}?{_COUNT}",
        re.IGNORECASE,
    ),
)


def _parse_lengths(text: str, payload: object) -> tuple[int | None, int | None]:
    """Return how long the input was and may be: llama.cpp's fields, else numbers of the text."""
    fields = as_object(as_object(payload).get("error"))
    asked, limit = read_count(fields.get("n_prompt_tokens")), read_count(fields.get("n_ctx"))
    if not asked or not limit:
        match = next(filter(None, (pattern.search(text) for pattern in _LIMITS)), None)
        limit = int(match[1].replace(",", "")) if match else None
        asked = max((int(count.replace(",", "")) for count in re.findall(_COUNT, text)), default=0)
    return (asked, limit) if limit and asked and asked > limit else (None, None)
