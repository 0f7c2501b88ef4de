"""Keys and passwords in the environment, which must not be sent.

A secret is the value of a variable whose name says so (DB_PASSWORD, `is_secret_variable`), that is
the key of an endpoint, or whose value has the form of a key or of a URL with a password. Two
promises:

* `hide_secrets` replaces every secret of four characters or more in the result of a tool, as it is
  and in other spellings: Python's repr, JSON (also within JSON), percent-encoded, HTML, base64,
  hexadecimal. A shorter one may be in any text, so it is not hidden (`unhidden_names` returns its
  variable), nor is a word such as `true`, or a secret that a function encrypts or splits.
* `held_secret` finds the secrets that no ordinary text contains by chance, so that a text with one
  is refused: those of twelve characters, or of six of different kinds, such as `hunter2` but not
  `postgres`.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote

from di_magics.core.secrets import is_secret_variable, is_switch
from di_magics.core.settings.services import SERVICES
from di_magics.core.text import strip_colours

MIN_SECRET_CHARS = 4
MIN_LINE_CHARS = 16
URL_PASSWORD = re.compile(r"://[^\s/:@]{0,100}:([^\s/@]{1,200})@")

_key_variables = {name for service in SERVICES.values() for name in service.key_variables}


def add_key_variables(names: Iterable[str]) -> None:
    """Count these variables as keys of endpoints: their values are secrets, whatever they are."""
    if not _key_variables.issuperset(names := set(names)):
        _key_variables.update(names)
        _is_secret.cache_clear()


def hide_secrets(text: str) -> str:
    """Return a text with `[secret]` in place of the environment's secrets, in all spellings."""
    spellings = {spelling for _, value in _secrets() for spelling in _spellings(value)}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, "[secret]")
    return text


def without_colours(text: str) -> str:
    """Return a text without a terminal's colours; a secret with some of them is hidden before."""
    return strip_colours(hide_secrets(text)) if "\x1b" in text else text


def held_secret(text: str) -> str | None:
    """Return the name of an environment variable whose secret is in a text, or None."""
    bare = text.strip()
    for name, value in _secrets():
        if bare == value or (_is_distinctive(value) and any(s in text for s in _spellings(value))):
            return name
    return None


def contains_secret(text: str) -> bool:
    """Return whether a secret of the environment is in a text."""
    return held_secret(text) is not None


def unhidden_names() -> list[str]:
    """Return the names of the secrets that are too short to be hidden."""
    return [
        name
        for name, value in os.environ.items()
        if 0 < len(value) < MIN_SECRET_CHARS and not is_switch(value) and _is_secret(name, value)
    ]


def _secrets() -> Iterator[tuple[str, str]]:
    """Yield the name and the value of every secret, and parts that may appear alone."""
    for name, value in os.environ.items():
        if not _is_secret(name, value):
            continue
        parts = [value, *(line for line in value.splitlines() if len(line) >= MIN_LINE_CHARS)]
        for match in URL_PASSWORD.finditer(value):
            parts += [match[1], unquote(match[1])]
        for part in parts:
            if len(part) >= MIN_SECRET_CHARS and not is_switch(part):
                yield name, part


@lru_cache(1000)
def _is_secret(name: str, value: str) -> bool:
    return name in _key_variables or is_secret_variable(name, value)


def _is_distinctive(value: str) -> bool:
    """Return whether a secret cannot be a part of an ordinary text."""
    kinds = (str.isalpha, str.isdigit, lambda character: not character.isalnum())
    mixed = sum(any(map(kind, value)) for kind in kinds) > 1
    return len(value) >= 12 or (len(value) >= 6 and mixed)


@lru_cache(1000)
def _spellings(secret: str) -> frozenset[str]:
    """Return a secret as it is and as programs write it."""
    data = secret.encode("utf-8", "surrogateescape")
    escaped = {secret, repr(secret)[1:-1], ascii(secret)[1:-1], repr(data)[2:-1]}
    escaped |= {text.replace("'", "\\'").replace('"', '\\"') for text in escaped}
    for _ in range(2):  # JSON, and JSON within JSON
        escaped |= {json.dumps(text)[1:-1] for text in escaped} | {
            json.dumps(text, ensure_ascii=False)[1:-1] for text in escaped
        }
    escaped |= {html.escape(secret), html.escape(secret, quote=False)}
    escaped |= {html.escape(secret).replace("&#x27;", "&#39;")}
    for percent in (quote(data), quote(data, safe=""), quote(data, safe="!*'()"), quote_plus(data)):
        escaped |= {percent, re.sub("%..", lambda match: match[0].lower(), percent)}
    escaped |= {data.hex(), data.hex().upper(), *_base64(data)}
    return frozenset(text for text in escaped if len(text) >= MIN_SECRET_CHARS)


def _base64(data: bytes) -> Iterator[str]:
    """Yield the base64 of a secret, alone and within other data."""
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + data).decode().rstrip("=")
        start, end = -(-8 * offset // 6), 8 * (offset + len(data)) // 6
        for part in {text[start:end], text if offset == 0 else text[start:end]}:
            yield part
            yield part.replace("+", "-").replace("/", "_")
