"""Where the key of an endpoint is from, where it is kept, and where it may go."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from di_magics.core.errors import ParamError
from di_magics.core.settings.services import SERVICES, UNKNOWN_SERVICE
from di_magics.endpoints.endpoint import Endpoint
from di_magics.endpoints.keys import Keys, check_variable, key_origin

GROQ = SERVICES["groq"]
KEY = "gsk-typed-secret-1"


class Keyring(ModuleType):
    """A keyring in memory, as the library `keyring` offers the system's; `broken` refuses."""

    __module__ = "keyring.backends.SecretService"

    def __init__(self) -> None:
        super().__init__("keyring")
        self.backend: Any = self
        self.kept: dict[tuple[str, str], str] = {}
        self.broken = False
        self.reads = 0

    def get_keyring(self) -> Any:
        """Return the backend."""
        return self.backend

    def set_password(self, application: str, place: str, key: str) -> None:
        """Keep a key."""
        self._check()
        self.kept[application, place] = key

    def get_password(self, application: str, place: str) -> str | None:
        """Return a key, None for an unknown one."""
        self._check()
        self.reads += 1
        return self.kept.get((application, place))

    def delete_password(self, application: str, place: str) -> None:
        """Remove a key; an unknown one is an error."""
        self._check()
        del self.kept[application, place]

    def _check(self) -> None:
        if self.broken:
            raise RuntimeError("the keyring is locked: secret details")


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    """The system's keyring, and no key in the environment."""
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    module = Keyring()
    monkeypatch.setitem(sys.modules, "keyring", module)
    return module


def test_a_typed_key_comes_before_the_environments(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is for this kernel only."""
    monkeypatch.setenv("GROQ_API_KEY", " from-environment ")
    keys = Keys(None)
    assert keys.find(GROQ, GROQ.url) == ("from-environment", "GROQ_API_KEY")
    keys.set(GROQ.url, KEY)
    assert keys.find(GROQ, GROQ.url) == (KEY, "typed in")
    assert Keys(None).find(GROQ, GROQ.url) == ("from-environment", "GROQ_API_KEY")


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://api.groq.com/other/path", True),
        ("https://api.groq.com:8443/openai/v1", False),
        ("http://api.groq.com/openai/v1", False),
        ("https://api.groq.com.evil.example/v1", False),
        ("https://groq.com/openai/v1", False),
    ],
)
def test_a_key_belongs_to_scheme_host_and_port(url: str, same: bool) -> None:
    """The path does not matter."""
    keys = Keys(None)
    keys.set(GROQ.url, KEY)
    assert (keys.find(UNKNOWN_SERVICE, url)[0] == KEY) is same


def test_deepinfras_hosts_are_one_place() -> None:
    """Over https."""
    assert key_origin("https://api.deepinfra.com/v1") == key_origin("https://x.deepinfra.com/v1")
    assert key_origin("http://api.deepinfra.com/v1") != key_origin("https://api.deepinfra.com/v1")
    assert key_origin("https://deepinfra.com.evil.example") != key_origin("https://deepinfra.com")


def test_a_kept_key_is_there_in_the_next_kernel(keyring: Keyring, tmp_path: Path) -> None:
    """The file has the name of its place, and nothing of the key."""
    Keys(tmp_path).keep(GROQ.url, KEY)
    assert keyring.kept == {("di_magics", "https://api.groq.com"): KEY}
    assert Keys(tmp_path).find(GROQ, GROQ.url) == (KEY, "keyring")
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "https://api.groq.com" in written
    assert KEY not in written


def test_the_keyring_is_read_only_where_a_key_was_kept(keyring: Keyring, tmp_path: Path) -> None:
    """And once: it may ask the user to unlock it."""
    keys = Keys(tmp_path)
    assert keys.find(GROQ, GROQ.url) == (None, "")
    assert keyring.reads == 0
    Keys(tmp_path).keep(GROQ.url, KEY)
    later = Keys(tmp_path)
    for _ in range(3):
        assert later.find(GROQ, GROQ.url)[0] == KEY
    assert keyring.reads == 1


def test_a_forgotten_key_is_gone_everywhere(keyring: Keyring, tmp_path: Path) -> None:
    """From the kernel and from the keyring; what it was removed from is told."""
    keys = Keys(tmp_path)
    keys.set(GROQ.url, KEY)
    keys.keep(GROQ.url, KEY)
    assert keys.forget(GROQ.url) == ["typed in", "keyring"]
    assert keyring.kept == {}
    assert keys.find(GROQ, GROQ.url) == Keys(tmp_path).find(GROQ, GROQ.url) == (None, "")
    assert keys.forget(GROQ.url) == []


def test_a_locked_keyring_is_as_no_key(keyring: Keyring, tmp_path: Path) -> None:
    """It is tried again; keeping and forgetting say so in one line without its details."""
    keys = Keys(tmp_path)
    keys.keep(GROQ.url, KEY)
    keyring.broken = True
    later = Keys(tmp_path)
    assert later.find(GROQ, GROQ.url) == (None, "")
    for refuse in (lambda: later.keep(GROQ.url, KEY), lambda: later.forget(GROQ.url)):
        with pytest.raises(ParamError, match="keyring of this system can be used") as error:
            refuse()
        assert "secret" not in str(error.value)
    keyring.broken = False
    assert later.find(GROQ, GROQ.url)[0] == KEY


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keyring.backends.fail", "Keyring"),
        ("keyring.backends.null", "Keyring"),
        ("keyrings.alt.file", "PlaintextKeyring"),
        ("keyrings.google_artifactregistry_auth", "GooglePythonAuth"),
        ("__main__", "OwnKeyring"),
    ],
)
def test_a_backend_that_keeps_nothing_or_plain_text_is_refused(
    keyring: Keyring, tmp_path: Path, module: str, name: str
) -> None:
    """A key is never written to the disk."""
    other = type(name, (), {"__module__": module})()
    for backend in (other, type("ChainerBackend", (), {"backends": [other, other]})()):
        keyring.backend = backend
        with pytest.raises(ParamError, match="keyring of this system can be used"):
            Keys(tmp_path).keep(GROQ.url, KEY)
    assert list(tmp_path.iterdir()) == []


def test_of_a_chain_the_systems_own_is_used(keyring: Keyring, tmp_path: Path) -> None:
    """The library would use the first that does not refuse, which may store plain text."""
    plain = type("PlaintextKeyring", (), {"__module__": "keyrings.alt.file"})()
    keyring.backend = type("ChainerBackend", (), {"backends": [plain, keyring]})()
    Keys(tmp_path).keep(GROQ.url, KEY)
    assert keyring.kept == {("di_magics", "https://api.groq.com"): KEY}
    assert Keys(tmp_path).find(GROQ, GROQ.url) == (KEY, "keyring")


@pytest.mark.parametrize(
    ("variable", "url", "goes"),
    [
        ("GROQ_API_KEY", "https://api.groq.com/other/v1", True),
        ("GROQ_API_KEY", "https://other.example/v1", False),
        ("GROQ_API_KEY", "http://api.groq.com/openai/v1", False),
        ("DEEPINFRA_TOKEN", "http://127.0.0.1:8000/v1", False),
        ("GOOGLE_API_KEY", "https://generativelanguage.googleapis.com/v1beta/openai", True),
        ("VLLM_API_KEY", "https://lab.example/v1", True),
        ("SCHOOL_KEY", "https://other.example/v1", True),
        ("DI_MAGICS_API_KEY", "https://base.example/v2", True),
        ("DI_MAGICS_API_KEY", "https://other.example/v1", False),
    ],
)
def test_a_variable_of_the_table_goes_to_its_own_host(
    variable: str, url: str, goes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a file of endpoints says."""
    monkeypatch.setenv("DI_MAGICS_BASE_URL", "https://base.example/v1")
    if goes:
        check_variable(variable, url)
        return
    with pytest.raises(ParamError, match=f"{variable} is the key of another endpoint"):
        check_variable(variable, url)


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ParamError, match="pip install keyring"):
        Keys(tmp_path).keep(GROQ.url, KEY)


def test_without_a_folder_nothing_is_kept(keyring: Keyring) -> None:
    """Nobody would find it again."""
    with pytest.raises(ParamError, match="DI_MAGICS_HOME"):
        Keys(None).keep(GROQ.url, KEY)
    assert keyring.kept == {}


@pytest.mark.parametrize("content", ["", "[", "{}", "[1, null]", '"x"'])
def test_a_damaged_file_of_places_is_as_none(
    keyring: Keyring, tmp_path: Path, content: str
) -> None:
    """The key can be kept again."""
    (tmp_path / "kept_keys.json").write_text(content)
    keys = Keys(tmp_path)
    assert keys.find(GROQ, GROQ.url) == (None, "")
    keys.keep(GROQ.url, KEY)
    assert Keys(tmp_path).find(GROQ, GROQ.url)[0] == KEY


@pytest.mark.parametrize(
    ("url", "trusted", "sent"),
    [
        ("https://host.example/v1", "", True),
        ("http://host.example/v1", "", False),
        ("http://192.168.1.5:8000/v1", "", False),
        ("http://0.0.0.0:8000/v1", "", False),
        ("http://127.0.0.1:8000/v1", "", True),
        ("http://127.8.9.10:8000/v1", "", True),
        ("http://[::1]:8000/v1", "", True),
        ("http://localhost:8000/v1", "", True),
        ("http://localhost.example:8000/v1", "", False),
        ("http://127.0.0.1.example:8000/v1", "", False),
        ("http://192.168.1.5:8000/v1", "192.168.1.5", True),
        ("http://192.168.1.5:8000/v1", "host.docker.internal, 192.168.1.5", True),
        ("http://HOST.docker.internal/v1", "Host.Docker.Internal", True),
        ("http://[fd00::1]:8000/v1", "[fd00::1]", True),
        ("http://192.168.1.55/v1", "192.168.1.5", False),
        ("http://x.host.example/v1", "host.example", False),
        ("http://host.example/v1", " , ", False),
    ],
)
def test_a_key_goes_over_http_only_where_that_is_trusted(
    monkeypatch: pytest.MonkeyPatch, url: str, trusted: str, sent: bool
) -> None:
    """To this machine, and to the hosts that the user names."""
    monkeypatch.setenv("DI_MAGICS_TRUST_HTTP", trusted)
    if sent:
        assert Endpoint(url, KEY).headers() == {"Authorization": f"Bearer {KEY}"}
    else:
        with pytest.raises(ParamError, match="DI_MAGICS_TRUST_HTTP"):
            Endpoint(url, KEY)
    assert Endpoint(url).headers() == {}
