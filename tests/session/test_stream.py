"""A reply as an iterator, for `for` and `async for`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import TEXT, Fault, Hold, Loopback, Reply
from shell import Run

import di_magics as di


@pytest.fixture
def hold() -> Iterator[Hold]:
    """What a reply waits for, released at the end."""
    hold = Hold()
    yield hold
    hold.release()


def streams() -> list[threading.Thread]:
    """Return the threads that read a reply."""
    return [thread for thread in threading.enumerate() if thread.name == "di_magics-stream"]


def test_the_text_comes_while_the_reply_grows(run: Run, server: Loopback, hold: Hold) -> None:
    """Then the reply is there, with its cost; the conversation does not change."""
    server.reply(Reply(chunks=["Hel", hold, "lo"]))
    stream = di.stream("hi", temperature=0, extra={"x": 1})
    assert server.chats == []
    pieces = iter(stream)
    assert next(pieces) == "Hel"
    assert stream.reply is None
    hold.release()
    assert "".join(pieces) == "lo"
    assert stream.reply is not None
    assert (stream.reply.text, stream.reply.status) == ("Hello", "done")
    assert (server.chats[0].json["temperature"], server.chats[0].json["x"]) == (0, 1)
    assert "$0.0000015" in run("%chat cost").text
    assert "no turns" in run("%chat history").text
    assert streams() == []


def test_leaving_the_loop_stops_the_reply(run: Run, server: Loopback, hold: Hold) -> None:
    """The connection is closed, and what came is sealed and counted."""
    server.reply(Reply(chunks=["Hel", hold, "lo"]))
    stream = di.stream("hi")
    for text in stream:
        assert text == "Hel"
        break
    assert server.chats[0].closed.wait(10)
    assert stream.reply is not None
    assert (stream.reply.text, stream.reply.status) == ("Hel", "stopped")
    assert streams() == []


def test_the_errors_are_those_of_ask(run: Run, server: Loopback) -> None:
    """Before and after sending; a stream is read once."""
    server.reply(Fault(401, {"error": "no"}))
    with pytest.raises(di.Refused):
        list(di.stream("hi"))
    with pytest.raises(di.ParamError):
        list(di.stream("hi", temperature=9))
    stream = di.stream("hi")
    assert "".join(stream) == TEXT
    with pytest.raises(di.ChatError, match="read once"):
        list(stream)


def test_a_stream_works_without_the_extension(server: Loopback) -> None:
    """And leaves no thread behind."""
    endpoint = di.Endpoint(server.url)
    assert "".join(di.stream("hi", model="m", endpoint=endpoint)) == TEXT
    names = {thread.name for thread in threading.enumerate()}
    assert not {"di_magics", "di_magics-stream"} & names


def test_several_are_asked_at_once(run: Run, server: Loopback) -> None:
    """None waits for another, and all of them count."""
    holds = [Hold() for _ in range(3)]
    for number, item in enumerate(holds):
        server.reply(Reply(chunks=[f"{number}", item]))

    async def ask_all() -> list[str]:
        asked = [asyncio.ensure_future(di.aask("hi")) for _ in holds]
        for item in holds:
            assert await asyncio.to_thread(item.reached.wait, 10)
        for item in holds:
            item.release()
        return sorted(reply.text for reply in await asyncio.gather(*asked))

    assert asyncio.run(ask_all()) == ["0", "1", "2"]
    assert "3 replies" in run("%chat cost").text or "$0.0000045" in run("%chat cost").text


def test_async_for_reads_the_same(run: Run, server: Loopback, hold: Hold) -> None:
    """Leaving its loop stops the reply, too."""
    server.reply(Reply("Hello"), Reply(chunks=["Hel", hold, "lo"]))

    async def read() -> str:
        whole = "".join([text async for text in di.stream("hi")])
        async for _ in di.stream("hi"):
            break
        return whole

    assert asyncio.run(read()) == "Hello"
    assert server.chats[1].closed.wait(10)


def test_a_cancelled_task_stops_its_reply(run: Run, server: Loopback, hold: Hold) -> None:
    """As asyncio cancels it, at a timeout for example."""
    server.reply(Reply(chunks=["Hel", hold, "lo"]))

    async def cancel() -> None:
        task = asyncio.ensure_future(di.aask("hi"))
        assert await asyncio.to_thread(hold.reached.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert server.chats[0].closed.wait(10)
    assert streams() == []


def test_an_answer_may_be_an_object(run: Run, server: Loopback, tmp_path: Path) -> None:
    """With a schema, as `ask` has it; a file may be attached."""
    server.reply(Reply('{"a": 1}'))
    (tmp_path / "notes.txt").write_text("a note")
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    reply = asyncio.run(di.aask("hi", schema=schema, attach=tmp_path / "notes.txt"))
    assert reply.json() == {"a": 1}
    assert "a note" in server.chats[0].body.decode()
