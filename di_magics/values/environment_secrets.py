"""Keys and passwords in the environment, which must not be sent."""

from __future__ import annotations

import os

from di_magics.core.secrets import looks_secret

SHORTEST = 12


def contains_secret(text: str) -> bool:
    """Return whether a text holds a secret of the environment."""
    return any(secret in text for secret in environment_secrets())


def hide_secrets(text: str) -> str:
    """Return a text with `[secret]` in place of the environment's secrets."""
    for secret in environment_secrets():
        text = text.replace(secret, "[secret]")
    return text


def environment_secrets() -> list[str]:
    """Return the values of variables that look like a key or a password."""
    return [
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST and looks_secret(name, value)
    ]
