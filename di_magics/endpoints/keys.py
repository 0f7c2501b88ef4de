"""The keys of endpoints: typed in, kept in the system's keyring, or in the environment.

A key belongs to an *origin* (RFC 6454): the scheme, host and port of an address. So it stays with
its server when a name gets another address. DeepInfra's own hosts are one origin.

The keyring is the operating system's, reached by the library `keyring`, the extra [keyring]. It may
ask the user to unlock it, so it is read only for origins whose key was kept; their names, without
the keys, are in a file in the state folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.request.redact import Secret, hide_text
from di_magics.core.settings.services import SERVICES, Service
from di_magics.core.visible import one_line
from di_magics.endpoints.endpoint import is_deepinfra, mend_url, split_url
from di_magics.runtime.files import write_private

APPLICATION = "di_magics"
TYPED, KEPT = "typed in", "keyring"
SYSTEM = ("macOS", "Windows", "SecretService", "libsecret", "kwallet")
"""The library's backends for the keyrings of systems; others may keep nothing, or plain text."""


def key_origin(url: str) -> str:
    """Return the origin that a key for this address belongs to."""
    parts = split_url(url)
    return "https://deepinfra.com" if is_deepinfra(url) else f"{parts.scheme}://{parts.netloc}"


def check_variable(name: str, url: str) -> None:
    """Raise ParamError if a variable of the environment belongs to another origin than this one."""
    owners = [
        service.url
        for service in SERVICES.values()
        if name in service.key_variables and service.url.startswith("https:")
    ]
    if name == "DI_MAGICS_API_KEY":
        owners = [mend_url(os.environ.get("DI_MAGICS_BASE_URL", ""))]
    if owners and key_origin(url) not in map(key_origin, owners):
        raise ParamError(
            f"{name} is the key of another endpoint, so it is not sent to {one_line(url, 120)}. "
            "Put this endpoint's own key into another variable."
        )


class Keys:
    """Finds, keeps and forgets keys; the names of kept ones are in `folder`, if there is one."""

    def __init__(self, folder: Path | None) -> None:
        self._file = folder / "kept_keys.json" if folder else None
        self._typed: dict[str, str] = {}
        self._from_keyring: dict[str, str | None] = {}

    def find(self, service: Service, url: str) -> tuple[str | None, str]:
        """Return the key for an address and where it is from: a variable, TYPED or KEPT."""
        origin = key_origin(url)
        if origin in self._typed:
            return self._typed[origin], TYPED
        base = mend_url(os.environ.get("DI_MAGICS_BASE_URL", ""))
        own = ["DI_MAGICS_API_KEY"] if base and key_origin(base) == origin else []
        for name in (*own, *service.key_variables):
            if key := os.environ.get(name, "").strip():
                return Secret(key), name
        kept = self._read_kept(origin)
        return (kept, KEPT) if kept else (None, "")

    def set(self, url: str, key: str) -> None:
        """Use this key for the address until the kernel ends."""
        self._typed[key_origin(url)] = Secret(key)

    def keep(self, url: str, key: str) -> None:
        """Put a key into the system's keyring. Raises ParamError where that is not possible."""
        origin, key = key_origin(url), Secret(key)
        if self._file is None:
            raise ParamError("The key cannot be kept, because DI_MAGICS_HOME is off. Unset it.")
        keyring = _load_keyring()
        try:
            keyring.set_password(APPLICATION, origin, key)
            self._write_origins({*self._origins(), origin})
        except Exception as error:  # a backend may raise anything
            raise _no_keyring(type(error).__name__) from None
        self._from_keyring[origin] = key

    def forget(self, url: str) -> list[str]:
        """Forget the key for an address; return from where it was removed: TYPED, KEPT.

        Raises ParamError if the keyring refuses.
        """
        origin, removed = key_origin(url), []
        if self._typed.pop(origin, None):
            removed.append(TYPED)
        if origin in self._origins():
            try:
                _load_keyring().delete_password(APPLICATION, origin)
                self._write_origins(set(self._origins()) - {origin})
            except ParamError:
                raise
            except Exception as error:  # a backend may raise anything
                raise _no_keyring(type(error).__name__) from None
            self._from_keyring.pop(origin, None)
            removed.append(KEPT)
        return removed

    def _read_kept(self, origin: str) -> str | None:
        if origin not in self._from_keyring:
            key = None
            if origin in self._origins():
                try:
                    key = hide_text(_load_keyring().get_password(APPLICATION, origin))
                except Exception:  # it is locked or gone: as without a key
                    return None
            self._from_keyring[origin] = key
        return self._from_keyring[origin]

    def _origins(self) -> list[str]:
        try:
            origins = json.loads(self._file.read_text("utf-8")) if self._file else []
        except (OSError, ValueError, RecursionError):
            return []
        return [origin for origin in origins if isinstance(origin, str)]

    def _write_origins(self, origins: Iterable[str]) -> None:
        if self._file:
            write_private(self._file, json.dumps(sorted(origins)), overwrite=True)


def _load_keyring() -> Any:
    """Return the keyring of the system, also one of several that the library chains.

    Raises ParamError without the library, and where there is only another keyring, because it may
    store plain text.
    """
    try:
        import keyring
    except ImportError:
        raise ParamError(
            "Keeping a key needs the extra [keyring]. Run pip install keyring, then this again."
        ) from None
    chosen = keyring.get_keyring()
    for backend in getattr(chosen, "backends", (chosen,)):
        if type(backend).__module__ in (f"keyring.backends.{name}" for name in SYSTEM):
            return backend
    raise _no_keyring(f"{type(chosen).__module__}.{type(chosen).__qualname__}")


def _no_keyring(why: str) -> ParamError:
    return ParamError(
        f"No keyring of this system can be used ({one_line(why, 80)}). Set the variable of the key "
        "in the environment instead."
    )
