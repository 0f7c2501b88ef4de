"""A real kernel, and what a front end would show of it.

Outputs are collected as JupyterLab collects them: streams are joined, a display update changes
every output of that display id, clear_output clears. Each message keeps its size on the wire.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

TIMEOUT_SECONDS = 60.0
TRANSPORT = "tcp" if sys.platform == "win32" else "ipc"
"""A free port may be taken by another process before the kernel opens it; a socket file is not."""


@dataclass(frozen=True)
class Message:
    """A message of the kernel: `size` is its bytes on the wire, `at` is on time.monotonic."""

    type: str
    content: dict[str, Any]
    metadata: dict[str, Any]
    size: int
    at: float


@dataclass
class Result:
    """What a cell has shown so far; `status` is None until the cell has ended.

    `outputs` are as in the notebook file, `error` is the error output if there is one, `messages`
    are all that the kernel published for the cell. `prompts` are the questions of input(),
    `payload` is what the front end is asked to do when the cell has ended.
    """

    outputs: list[dict[str, Any]] = field(default_factory=list)
    status: str | None = None
    messages: list[Message] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    payload: list[dict[str, Any]] = field(default_factory=list)
    idle: bool = False
    clear_pending: bool = False

    @property
    def done(self) -> bool:
        """Whether the cell has ended and all it published has come."""
        return self.idle and self.status is not None

    @property
    def error(self) -> dict[str, Any] | None:
        """The error output, or None."""
        errors = (output for output in self.outputs if output["output_type"] == "error")
        return next(errors, None)

    @property
    def text(self) -> str:
        """What the cell shows as plain text: streams, displays, results and errors."""
        return "".join(_text(output) for output in self.outputs)

    def of_type(self, message_type: str) -> list[Message]:
        """Return the messages of one type, such as `comm_msg`."""
        return [message for message in self.messages if message.type == message_type]


def _text(output: Mapping[str, Any]) -> str:
    match output["output_type"]:
        case "stream":
            return str(output["text"])
        case "error":
            return "\n".join(output["traceback"]) + "\n"
        case _:
            return str(output["data"].get("text/plain", "")) + "\n"


class Kernel:
    """A kernel with a client: `run` runs a cell to its end, `start` and `wait` in two steps.

    Its environment is the caller's, with the changes in `env`. `published` is all that the kernel
    has published, for whatever message.
    """

    def __init__(
        self,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        manager: KernelManager | None = None,
    ) -> None:
        self._is_page = manager is not None
        self._manager = manager or _new_manager()
        self._client: BlockingKernelClient
        if self._is_page:
            self._client = BlockingKernelClient()
            self._client.load_connection_info(self._manager.get_connection_info())
        else:
            self._manager.start_kernel(cwd=str(cwd), env={**os.environ, **(env or {})})
            self._client = self._manager.client()
        self._cells: dict[str, Result] = {}
        self._comms: dict[str, Result] = {}
        self._displays: dict[str, list[dict[str, Any]]] = {}
        self._inputs: list[str] = []
        self._offered: list[str] | None = None
        self.published: list[Message] = []
        self._client.start_channels()
        self._poller = zmq.Poller()
        for channel in self._channels():
            self._poller.register(channel.socket, zmq.POLLIN)
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def page(self) -> Kernel:
        """Return another page of this kernel, which does not end with it."""
        return Kernel(Path(), manager=self._manager)

    def close(self) -> None:
        """Stop the kernel, if it was started here."""
        self._client.stop_channels()
        if not self._is_page:
            self._manager.shutdown_kernel(now=True)
            if TRANSPORT == "ipc":
                shutil.rmtree(os.path.dirname(self._manager.ip), ignore_errors=True)

    @property
    def pid(self) -> int:
        """The kernel's process."""
        pid = self._manager.provisioner.pid  # type: ignore[union-attr]
        assert isinstance(pid, int)
        return pid

    def run(
        self,
        code: str,
        cell_id: str | None = None,
        *,
        inputs: Iterable[str] | None = None,
        tags: Sequence[str] = (),
        timeout: float = TIMEOUT_SECONDS,
    ) -> Result:
        """Run a cell and return what it shows; `inputs` answer its input() and getpass()."""
        return self.wait(self.start(code, cell_id, inputs=inputs, tags=tags), timeout=timeout)

    def start(
        self,
        code: str,
        cell_id: str | None = None,
        *,
        inputs: Iterable[str] | None = None,
        tags: Sequence[str] = (),
    ) -> Result:
        """Run a cell without waiting; the result fills while `wait` waits.

        With a `cell_id` it is sent as JupyterLab does, without one as nbclient does. Without
        `inputs` there is nobody to ask; with too few of them nobody answers.
        """
        self._inputs = list(inputs or ())
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": inputs is not None,
            "stop_on_error": True,
        }
        metadata = {"cellId": cell_id, "tags": [*tags]} if cell_id is not None else {}
        result = Result()
        self._cells[self.send("execute_request", content, metadata)] = result
        return result

    def wait(
        self,
        result: Result,
        until: Callable[[], object] | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Result:
        """Take in messages until the cell has ended, or until `until()` is true."""
        deadline = time.monotonic() + timeout
        reached = until or (lambda: result.done)
        while not reached():
            if until and result.done:
                raise AssertionError(f"The cell ended before that:\n{result.text}")
            ready = dict(self._poller.poll(max(0, round((deadline - time.monotonic()) * 1000))))
            if not ready:
                raise TimeoutError(f"Not in {timeout} s. The cell shows:\n{result.text}")
            for channel in self._channels():
                if channel.socket in ready:
                    self._take(channel)
        return result

    def complete(self, code: str) -> list[str]:
        """Return what Tab offers at the end of the code."""
        self._offered = None
        self.send("complete_request", {"code": code, "cursor_pos": len(code)})
        self.wait(Result(), lambda: self._offered is not None)
        return self._offered or []

    def interrupt(self) -> None:
        """Interrupt what runs, as ■ does."""
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        """Kill the kernel and start it again; what has been shown stays.

        It is killed here, because the manager would interrupt it first.
        """
        provisioner: Any = self._manager.provisioner
        os.kill(provisioner.pid, signal.SIGKILL)
        self._manager.restart_kernel(now=True)
        self._wait_until_ready()

    def send(
        self,
        message_type: str,
        content: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Send any message on the shell channel, such as a widget's `comm_msg`; return its id."""
        session = self._client.session
        message = session.msg(message_type, dict(content), metadata=dict(metadata or {}))
        self._client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def _wait_until_ready(self) -> None:
        """Ask until the kernel answers and what it publishes arrives.

        What a killed kernel had published may still arrive, and is no sign of the new one. The
        client's own `wait_for_ready` waits 0.3 s longer.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        shell, iopub = self._client.shell_channel.socket, self._client.iopub_channel.socket
        silent, asked = {shell, iopub}, set[str]()
        while silent:
            if time.monotonic() > deadline:
                raise TimeoutError("The kernel does not answer.")
            asked.add(self._client.kernel_info())
            while silent and (ready := dict(self._poller.poll(200))):
                for socket in ready:
                    if self._receive(socket)["parent_header"].get("msg_id") in asked:
                        silent.discard(socket)

    def _receive(self, socket: Any) -> dict[str, Any]:
        session = self._client.session
        _, parts = session.feed_identities(socket.recv_multipart())
        message: dict[str, Any] = session.deserialize(parts)
        return message | {"size": sum(len(part) for part in parts)}

    def _channels(self) -> tuple[Any, ...]:
        client = self._client
        return client.iopub_channel, client.shell_channel, client.stdin_channel

    def _take(self, channel: Any) -> None:
        message = self._receive(channel.socket)
        result = self._cells.get(message["parent_header"].get("msg_id"), Result())
        content, kind = message["content"], message["header"]["msg_type"]
        if kind == "execute_reply":
            result.status = content["status"]
            result.payload = content.get("payload", [])
        elif kind == "complete_reply":
            self._offered = content["matches"]
        elif kind == "input_request":
            result.prompts.append(content["prompt"])
            if self._inputs:
                self._client.input(self._inputs.pop(0))
        elif channel is self._client.iopub_channel:
            outcome = Message(kind, content, message["metadata"], message["size"], time.monotonic())
            if kind == "comm_open":
                self._comms[content["comm_id"]] = result
            elif kind == "comm_msg":  # it may have no parent
                result = self._comms.get(content["comm_id"], result)
            result.messages.append(outcome)
            self.published.append(outcome)
            self._show(result, kind, content)

    def _show(self, result: Result, kind: str, content: dict[str, Any]) -> None:
        """Change the outputs as a front end does."""
        outputs = result.outputs
        if kind == "status":
            result.idle = content["execution_state"] == "idle"
        elif kind == "update_display_data":
            for output in self._displays.get(content["transient"]["display_id"], ()):
                output["data"], output["metadata"] = content["data"], content["metadata"]
        elif kind == "clear_output" and content["wait"]:
            result.clear_pending = True
        elif kind == "clear_output":
            outputs.clear()
        elif kind in ("stream", "display_data", "execute_result", "error"):
            if result.clear_pending:
                outputs.clear()
                result.clear_pending = False
            output = {"output_type": kind, **content}
            if display_id := output.pop("transient", {}).get("display_id"):
                self._displays.setdefault(display_id, []).append(output)
            last = outputs[-1] if outputs else {}
            if kind == "stream" and last.get("name") == content["name"]:
                last["text"] += content["text"]
            else:
                outputs.append(output)


def _new_manager() -> KernelManager:
    if TRANSPORT == "tcp":
        return KernelManager(kernel_name="python3")
    sockets = os.path.join(tempfile.mkdtemp(prefix="kernel-"), "socket")
    return KernelManager(kernel_name="python3", transport=TRANSPORT, ip=sockets)
