"""The loop ends without a word, whatever runs on it; a fork gets one of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager
from loopback import Answer, Loopback, Reply, Request, Stall

from di_magics.runtime.interrupts import Interrupts
from di_magics.runtime.loop import Loop

SCRIPT = """
import os, signal, sys, threading, warnings
from IPython.core.interactiveshell import InteractiveShell
from loopback import Drop, Fault, Hold, Loopback, Raw, Reply, Stall
import di_magics as di
import di_magics.api
import di_magics.session.model_list

di_magics.session.model_list.PRICE_SECONDS = 0.1

class Stalling(Loopback):
    '''The list of models never comes: it is being asked for when the script ends.'''
    def answer(self, request):
        return Stall() if request.method == "GET" else super().answer(request)

server = Stalling().__enter__()
endpoint = di.Endpoint(server.url)
os.environ |= {"DI_MAGICS_BASE_URL": server.url, "DI_MAGICS_MODEL": "m"}

def ask():
    return di.ask("hi", model="m", endpoint=endpoint)

def load():
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "di_magics")
    return shell

def interrupt(hold, delay):
    def send():
        hold.reached.wait(20)
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
    threading.Thread(target=send).start()

def fork(work):
    with warnings.catch_warnings(action="ignore"):  # Python 3.12 warns of threads
        pid = os.fork()
    if not pid:
        work()
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""
NO_COST = 'server.default = Reply("Hello", usage=None)\n'


def run_script(program: str, *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a program that asks a server of its own, in a fresh Python."""
    tests = Path(__file__).parent.parent
    path = os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", SCRIPT + program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "DI_MAGICS_HOME": "off"},
        timeout=timeout,
    )


@pytest.mark.parametrize(
    "program",
    [
        NO_COST + "ask()",
        NO_COST + "load(); ask()",
        NO_COST + "load().run_cell('%%chat\\nhi')",
        NO_COST + "load(); ask(); InteractiveShell.instance().run_line_magic('reload_ext', "
        "'di_magics'); ask()",
        NO_COST + "load(); ask(); InteractiveShell.instance().run_line_magic('unload_ext', "
        "'di_magics')",
        "server.default = Drop()\ntry: ask()\nexcept di.Unreachable: pass",
        "server.default = Reply(chunks=['Hel', Drop()])\ntry: ask()\nexcept di.StreamBroken: pass",
        "server.default = Fault(401)\ntry: ask()\nexcept di.Refused: pass",
        "for name in ('DI_MAGICS_BASE_URL', 'DI_MAGICS_MODEL'): os.environ.pop(name)\n"
        "try: di.ask('hi', model='m')\nexcept di.Refused: pass",
    ],
    ids=["ask", "magics", "cell", "reload", "unload", "drop", "broken", "401", "no-key"],
)
def test_a_script_ends_without_output(program: str) -> None:
    """With a request under way in the background, after errors, after a reload."""
    done = run_script(program)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("delay", [0, 0.001, 0.003, 0.01, 0.03])
@pytest.mark.parametrize("loaded", ["", "load()\n"])
def test_an_interrupted_script_ends_without_output(delay: float, loaded: str) -> None:
    """At whatever moment of the stream it comes."""
    done = run_script(
        f"{loaded}hold = Hold()\n"
        "server.default = Reply(chunks=['Hel', hold, *['lo'] * 1000], usage=None, rate=1000)\n"
        f"interrupt(hold, {delay}); hold.release()\n"
        "try: ask()\nexcept KeyboardInterrupt as error: print(type(error).__name__)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Interrupted\n", "")


def test_a_loop_that_closes_while_a_request_begins_ends_without_output() -> None:
    """At 400 moments of the first 4 ms: before the connection, while it is made, after it."""
    done = run_script(
        "import time\n"
        "from di_magics.endpoints.client import Client\n"
        "from di_magics.runtime.loop import Loop\n"
        "for number in range(400):\n"
        "    loop, client = Loop(), Client()\n"
        "    loop.submit(client.models(endpoint))\n"
        "    until = time.perf_counter() + number % 100 * 0.00004\n"
        "    while time.perf_counter() < until: pass\n"
        "    loop.close()\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("loaded", ["", "load()\n"])
def test_a_forked_process_can_ask(loaded: str) -> None:
    """The child has no part of its parent's loop, connections and threads; nor the other way."""
    done = run_script(
        f"{loaded}ask()\nfork(lambda: print(ask().text))\nprint(ask().text)\n"
        "fork(lambda: print(ask().text))\nserver.__exit__(None, None, None)"
    )
    assert done.stderr == ""
    assert done.stdout == "Hello! How can I help you today?\n" * 3


def test_closing_cancels_running_jobs() -> None:
    """Whoever waits for a job gets its end, and its clean-up has run."""
    loop = Loop()
    started, cleaned = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    job = loop.submit(work())
    assert started.wait(5)
    loop.close()
    assert cleaned.is_set()
    with pytest.raises(CancelledError):
        job.result()
    job.cancel()  # too late, and no error


def test_a_job_submitted_while_the_loop_closes_has_an_end() -> None:
    """It is cancelled, or it runs on a new loop; nobody waits for ever."""
    loop = Loop()
    jobs = []
    stop = threading.Event()

    async def work() -> int:
        await asyncio.sleep(0)
        return 1

    def submit() -> None:
        while not stop.is_set():
            jobs.append(loop.submit(work()))

    thread = threading.Thread(target=submit)
    thread.start()
    for _ in range(20):
        loop.close()
    stop.set()
    thread.join(10)
    loop.close()
    with Interrupts() as interrupts:
        for job in jobs:
            job.wait(interrupts)
    assert jobs


class StallingList(Loopback):
    """The list of models never comes."""

    def answer(self, request: Request) -> Answer:
        """Answer as usual, but not for the list."""
        return Stall() if request.method == "GET" else super().answer(request)


def test_an_interrupt_that_comes_with_stop_is_none() -> None:
    """A page sends one where Stop is not answered at once; it must not end Run All."""
    with Interrupts() as interrupts:
        interrupts.stop()
        signal.raise_signal(signal.SIGINT)
        assert interrupts.stopping
        assert not interrupts.interrupted
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert interrupts.interrupted


def test_a_second_interrupt_just_after_the_turn_is_the_same_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Later ones interrupt as before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
        assert interrupts.interrupted
        signal.raise_signal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        monkeypatch.setattr("di_magics.runtime.interrupts.AGAIN_SECONDS", -1)
        for _ in range(2):
            with Interrupts():
                signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        with Interrupts():
            pass
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.kernel
def test_a_kernel_ends_without_output(tmp_path: Path) -> None:
    """It is shut down while a request is under way in the background."""
    log = tmp_path / "log"
    manager = KernelManager(kernel_name="python3")
    with StallingList() as server, log.open("wb") as output:
        server.default = Reply(usage=None)
        env = {**os.environ, "DI_MAGICS_BASE_URL": server.url, "DI_MAGICS_MODEL": "m"}
        manager.start_kernel(cwd=str(tmp_path), env=env, stdout=output, stderr=output)
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        for cell in ("%load_ext di_magics", "%%chat\nhi"):
            client.execute_interactive(cell, timeout=60, output_hook=lambda message: None)
        server.wait_for(2)
        client.stop_channels()
        manager.shutdown_kernel()
    text = log.read_text()
    assert not [word for word in ("Traceback", "Error", "di_magics", "asyncgen") if word in text]
