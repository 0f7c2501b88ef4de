"""Keys and passwords in the environment, which must not be part of anything that is sent."""

from __future__ import annotations

import os

from di_magics.core.request.template import looks_secret

SHORTEST = 12


def contains_secret(text: str) -> bool:
    """Return whether a text holds one of them."""
    return any(secret in text for secret in environment_secrets())


def hide_secrets(text: str) -> str:
    """Return a text with `[secret]` in place of them."""
    for secret in environment_secrets():
        text = text.replace(secret, "[secret]")
    return text


def environment_secrets() -> list[str]:
    """Return those that the environment has under a name that says so."""
    return [
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST and looks_secret(name, value)
    ]
