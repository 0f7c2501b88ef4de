"""A mirror of the Hugging Face hub on this machine: one repository, whose files are in memory."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

COMMIT = "c" * 40


class Hub:
    """Serves the files of `repo`; `lied` are other bytes for a path than the list has the hash of.

    `headers` are those of the last request. With `status` every request gets it. A file waits
    until `gate` is set, after its first half.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        repo: str = "me/Model-GGUF",
        *,
        lied: Mapping[str, bytes] | None = None,
        status: int = 0,
    ) -> None:
        self.headers: Mapping[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.half_sent = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.headers = dict(self.headers)
                path = self.path.partition("?")[0]
                prefix = f"/{repo}/resolve/main/"
                if status:
                    self._send(status, b"{}")
                elif path.startswith(f"/api/models/{repo}"):
                    self._send(200, json.dumps(self._info()).encode())
                elif path.startswith(prefix) and (name := path.removeprefix(prefix)) in files:
                    data = files[name]
                    digest = hashlib.sha256(data).hexdigest()
                    about = {
                        "ETag": f'"{digest}"',
                        "X-Repo-Commit": COMMIT,
                        "X-Linked-Etag": digest,
                    }
                    self._send(200, (lied or {}).get(name, data), about)
                else:
                    error = {"X-Error-Code": "RepoNotFound"}
                    self._send(404, b'{"error": "not found"}', error)

            do_HEAD = do_GET

            def _info(self) -> dict[str, Any]:
                siblings = [
                    {
                        "rfilename": name,
                        "size": len(data),
                        "lfs": {
                            "sha256": hashlib.sha256(data).hexdigest(),
                            "size": len(data),
                            "pointerSize": 130,
                        },
                    }
                    for name, data in files.items()
                ]
                card = {"license": "apache-2.0"}
                return {"id": repo, "sha": COMMIT, "siblings": siblings, "cardData": card}

            def _send(
                self, code: int, data: bytes, headers: Mapping[str, str] | None = None
            ) -> None:
                self.send_response(code)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command == "GET":
                    half = len(data) // 2
                    self.wfile.write(data[:half])
                    if headers:
                        hub.half_sent.set()
                        hub.gate.wait(30)
                    self.wfile.write(data[half:])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Hub:
        """Let the library of the hub ask this mirror, without anybody's token."""
        self._patch = pytest.MonkeyPatch()
        self._patch.setenv("HF_ENDPOINT", self.url)
        for name in ("HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            self._patch.delenv(name, raising=False)
        return self

    def __exit__(self, *error: object) -> None:
        self._patch.undo()
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
