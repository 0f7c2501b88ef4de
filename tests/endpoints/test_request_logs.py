"""What the HTTP library logs of our requests has no secrets, and of others is as before."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from asking import ask, run
from loopback import Fault, Loopback, Reply
from shell import Run

from di_magics.endpoints.client import Client
from di_magics.endpoints.endpoint import Endpoint
from di_magics.endpoints.request_logs import LIBRARIES

SECRETS = ("key-8Kf+2/aZ=Qx7LmNc9R", "header/4Tz&9=wQk2Lm", "query value+7/Yx&4=Zt")


def spellings(secret: str) -> set[str]:
    """Return how a log may spell a secret."""
    encoded = base64.b64encode(secret.encode()).decode()
    return {secret, json.dumps(secret)[1:-1], quote(secret), quote(secret, safe=""), encoded} | {
        quote(secret).replace("%20", "+"),
        quote(secret, safe="").replace("%20", "+"),
    }


def secret_endpoint(url: str) -> Endpoint:
    """Return an endpoint that sends all kinds of secrets."""
    key, header, query = SECRETS
    return Endpoint(url, key, headers={"X-Key": header}, query={"api-key": query})


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return all that was logged."""
    return "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)


def assert_no_secrets(text: str) -> None:
    """No secret is in a text, in any spelling."""
    assert [s for secret in SECRETS for s in spellings(secret) if s in text] == []


def test_a_request_logs_no_secrets(server: Loopback, caplog: pytest.LogCaptureFixture) -> None:
    """At level DEBUG, in a reply, an error, a list of models and a broken connection."""
    caplog.set_level(logging.DEBUG)
    echo = {f"x-{number}": secret for number, secret in enumerate(SECRETS)}
    server.reply(Reply(), Fault(401, {"error": " ".join(SECRETS)}, headers=echo))

    async def work(client: Client) -> None:
        for url in (server.url, server.url, "http://127.0.0.1:9/v1"):
            await ask(client, secret_endpoint(url))
        await client.models(secret_endpoint(server.url))

    run(work)
    assert len(server.requests) == 3
    assert all("api-key=query" in request.path for request in server.requests)
    assert_no_secrets(logged(caplog))


def test_cells_log_no_secrets(
    run: Run,
    server: Loopback,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`di.ask`, `%%chat` and `%chat models` with an endpoint of the user's."""
    caplog.set_level(logging.DEBUG)
    for name, secret in zip(("KEY", "HEADER", "QUERY"), SECRETS, strict=True):
        monkeypatch.setenv(f"MY_{name}", secret)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "endpoints.toml").write_text(
        f'[mine]\nurl = "{server.url}"\nmodel = "m"\nkey_variable = "MY_KEY"\n'
        'headers = { X-Key = "$MY_HEADER" }\nquery = { api-key = "$MY_QUERY" }\n'
    )
    for cell in ("%chat endpoint mine", "%%chat\nhi", "%chat models", "import di_magics as di"):
        assert run(cell).error is None
    assert run("di.ask('hi')").error is None
    assert all("api-key=query" in request.path for request in server.requests)
    assert len(server.chats) == 2
    assert_no_secrets(logged(caplog))


def test_requests_of_the_user_are_logged(
    server: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    """Also while and after ours are made; nothing is left on the loggers."""
    caplog.set_level(logging.DEBUG)

    def get() -> int:
        caplog.clear()
        httpx.get(f"{server.url}/models", trust_env=False)
        return len(caplog.records)

    before = get()
    assert before > 5

    async def both(client: Client) -> int:
        await ask(client, Endpoint(server.url))
        return await asyncio.to_thread(get)

    assert run(both) == before
    assert get() == before
    loggers = [
        logger
        for name, logger in logging.root.manager.loggerDict.items()
        if name.startswith(LIBRARIES) and isinstance(logger, logging.Logger)
    ]
    assert loggers
    assert not any(logger.filters for logger in loggers)
