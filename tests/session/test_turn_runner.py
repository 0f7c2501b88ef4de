"""Turns of several requests: tools are called, replies put right, in a real InteractiveShell."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Drop, Fault, Loopback, Raw, Reply, event
from shell import Run

import di_magics as di
from di_magics.core.reply.reply import LIMIT_REASONS

TOOLS = """
import di_magics as di

@di.safe
def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b

@di.safe
def fail():
    raise ValueError("no luck")

def delete(file: str):
    raise AssertionError
"""


@pytest.fixture
def tools(run: Run) -> Run:
    """A shell with some functions."""
    assert run(TOOLS).error is None
    return run


def call(name: str, **arguments: Any) -> dict[str, str]:
    """Return a call of a tool."""
    return {"name": name, "arguments": json.dumps(arguments)}


def asks(*calls: Mapping[str, str], text: str = "", **more: Any) -> Reply:
    """Return a reply that asks for tools."""
    return Reply(text, tool_calls=calls, finish="tool_calls", **more)


def sent(server: Loopback, request: int = -1) -> list[tuple[str, Any]]:
    """Return role and content of each message of a request."""
    return [(m["role"], m["content"]) for m in server.chats[request].json["messages"]]


def test_a_tool_is_called_and_the_model_answers(tools: Run, server: Loopback) -> None:
    """User, assistant with its call, the result, and the reply; all of it is shown."""
    server.reply(asks(call("add", a=40, b=2), text="I add."), Reply("It is 42."))
    shown = tools("%%chat --tools add\nWhat is 40 plus 2?").text
    first, second = (request.json for request in server.chats)
    assert first["tools"] == second["tools"]
    assert first["tools"][0]["function"]["parameters"]["required"] == ["a", "b"]
    assert second["messages"] == [
        {"role": "user", "content": "What is 40 plus 2?"},
        {
            "role": "assistant",
            "content": "I add.",
            "tool_calls": [
                {
                    "id": "call_0",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a": 40, "b": 2}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_0", "content": "42"},
    ]
    assert "I add." in shown
    assert "add(a=40, b=2) → 42" in shown
    assert "It is 42." in shown
    assert "tools: add · 2 requests · 20 → 10 tokens · $0.0000030" in shown


def test_several_calls_and_several_rounds(tools: Run, server: Loopback) -> None:
    """Each call has its result, failures too, and the model may go on asking."""
    server.reply(
        asks(call("add", a=1, b=1), call("fail"), call("nothing")),
        asks(call("add", a=2, b=2)),
        Reply("2 and 4."),
    )
    assert tools("%%chat --tools add,fail\ngo").error is None
    assert [said for role, said in sent(server) if role == "tool"] == [
        "2",
        "ValueError: no luck",
        "There is no tool nothing. The tools are add, fail; nothing was run.",
        "4",
    ]


def test_the_next_turn_sends_the_calls_along(tools: Run, server: Loopback) -> None:
    """They belong to the conversation, without the tools and without the reasoning."""
    server.reply(asks(call("add", a=1, b=1), reasoning="hm"), Reply("2."), Reply("ok"))
    tools("%%chat --tools add\ngo")
    tools("%%chat\nthanks")
    assert [role for role, _ in sent(server)] == ["user", "assistant", "tool", "assistant", "user"]
    assert "hm" not in server.chats[-1].body.decode()
    assert "tools" not in server.chats[-1].json


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("source", ["reasoning_content", "reasoning"])
def test_what_a_server_wants_back_goes_back(
    tools: Run, server: Loopback, stream: bool, source: str
) -> None:
    """Gemini's signature with its call; the reasoning in its field, within the turn only."""
    signature = {"google": {"thought_signature": "AY89/+=="}}
    function = {"name": "add", "arguments": '{"a": 1, "b": 2}'}
    asked = {"id": "c1", "type": "function", "function": function}
    if stream:
        deltas: list[dict[str, Any]] = [
            {source: "I must "},
            {source: "add."},
            {"tool_calls": [{**asked, "index": 0}]},
            {"tool_calls": [{"extra_content": signature}]},
        ]
        events = [event({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
        server.reply(Raw([*events, event(end), b"data: [DONE]\n\n"]))
    else:
        message = {
            "role": "assistant",
            "content": None,
            source: "I must add.",
            "tool_calls": [{**asked, "extra_content": signature}],
        }
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        server.reply(Fault(200, {"choices": [choice]}))
    server.reply(Reply("3", reasoning="Easy."), Reply("Bye"))
    assert tools(f"%%chat --tools add {'' if stream else '--no-stream'}\n1+2?").error is None
    calls = [{**asked, "extra_content": signature}]
    expected = {"role": "assistant", "content": None, "tool_calls": calls}
    within = server.chats[1].json["messages"][1]
    assert within == {**expected, source: "I must add."}
    assert json.loads(tools("%chat show --request").text)["messages"][1] == within
    tools("%%chat\nThanks")
    assert server.chats[2].json["messages"][1] == expected
    assert "Easy." not in json.dumps(server.chats[2].json)


def test_a_required_tool_is_required_once(tools: Run, server: Loopback) -> None:
    """Or it would be called for ever; the receipt says what was asked for."""
    server.reply(asks(call("add", a=1, b=1)), Reply("2."))
    shown = tools("%%chat --tools add --tool-choice add\ngo").text
    choices = [request.json["tool_choice"] for request in server.chats]
    assert choices == [{"type": "function", "function": {"name": "add"}}, "auto"]
    assert "tool_choice=add" in shown
    assert '"tool_choice": "auto"' in tools("%chat show --request").text


def test_a_tool_choice_that_is_not_a_tool_is_refused(tools: Run, server: Loopback) -> None:
    """Nothing is sent."""
    error = tools("%%chat --tools add --tool-choice sub\ngo").error
    assert isinstance(error, di.ParamError)
    assert "one of the tools (add)" in str(error)
    assert server.requests == []


def test_rounds_are_limited(tools: Run, server: Loopback) -> None:
    """A model that goes on asking is stopped; all that came is kept and the history is valid."""
    server.reply(*[asks(call("add", a=n, b=0)) for n in range(3)], Reply("ok"))
    error = tools("%%chat --tools add --rounds 2\ngo").error
    assert isinstance(error, di.ToolError)
    assert "in 2 rounds" in str(error)
    assert len(server.chats) == 3
    assert "calls that were not run" in tools("%chat show").text
    tools("%%chat\nwhy?")
    assert [role for role, _ in sent(server)] == ["user", *["assistant", "tool"] * 2, "user"]


def test_eight_rounds_are_allowed_by_default(tools: Run, server: Loopback) -> None:
    """The ninth request may not ask for more."""
    server.reply(*[asks(call("add", a=n, b=0)) for n in range(9)])
    assert isinstance(tools("%%chat --tools add\ngo").error, di.ToolError)
    assert len(server.chats) == 9


@pytest.mark.parametrize("fault", [Fault(400, {"error": "no"}), Reply(chunks=["par", Drop()])])
def test_a_later_failure_keeps_the_calls(tools: Run, server: Loopback, fault: Any) -> None:
    """The turn has its calls and their results, whatever the second request came to."""
    server.reply(asks(call("add", a=1, b=1)), fault, Reply("ok"))
    assert isinstance(tools("%%chat --tools add\ngo").error, di.EndpointError)
    tools("%%chat\nand now?")
    assert ("tool", "2") in sent(server)


def test_every_request_is_in_the_ledger(tools: Run, server: Loopback) -> None:
    """The ledger has a line for each, and the reply has the sums."""
    server.reply(asks(call("add", a=1, b=1)), Reply("2."))
    tools("%%chat --tools add\ngo")
    assert "  2 " in tools("%chat cost").text.splitlines()[-1]
    reply = tools("print(_reply.usage.prompt_tokens, _reply.cost, len(_reply.rounds))").text
    assert reply.split() == ["20", "0.0000030", "1"]


def test_the_budget_is_checked_between_rounds(tools: Run, server: Loopback) -> None:
    """A request that would exceed the budget is not sent; the partial reply is kept."""
    pricing = {"input_tokens": 1.0, "output_tokens": 2.0}
    server.models = [{"id": "a-model", "metadata": {"pricing": pricing, "tags": ["chat"]}}]
    usage = {"prompt_tokens": 10_000, "completion_tokens": 5_000, "estimated_cost": 0.02}
    server.reply(asks(call("add", a=1, b=1), usage=usage), Reply("never"))
    tools("%chat models")
    tools("%chat budget 0.03")
    error = tools("%%chat --tools add --max-tokens 10000\ngo").error
    assert isinstance(error, di.BudgetError)
    assert len(server.chats) == 1
    assert "the partial reply is kept" in str(error)
    kept = tools("print(_reply.rounds[0].results[0].content, _reply.status, _reply.cost)").text
    assert kept.split() == ["2", "failed", "0.02"]


def test_retry_asks_with_the_same_tools(tools: Run, server: Loopback) -> None:
    """The functions are looked up by name; one that is gone is said."""
    server.reply(
        asks(call("add", a=1, b=1)), Reply("2."), asks(call("add", a=1, b=1)), Reply("Two.")
    )
    tools("%%chat --tools add\ngo")
    assert "2 requests" in tools("%chat retry").text
    assert server.chats[2].json["tools"] == server.chats[0].json["tools"]
    tools("del add")
    assert isinstance(tools("%chat retry").error, di.ToolError)


def test_a_retry_asks_before_each_call_where_the_cell_did(
    tools: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--confirm` holds for the turn, however often it is sent."""
    questions: list[str] = []

    def ask(text: str) -> str:
        questions.append(text)
        return "n"

    monkeypatch.setattr("builtins.input", ask)
    server.reply(*[asks(call("add", a=1, b=1)), Reply("No.")] * 2)
    tools("%%chat --tools add --confirm\ngo")
    tools("%chat retry")
    assert len(questions) == 2


@pytest.mark.parametrize("suffix", [".json", ".md", ".ipynb"])
@pytest.mark.parametrize("command", ["retry", "continue", "repeat 2"])
def test_a_loaded_file_offers_no_tools(
    tools: Run, server: Loopback, tmp_path: Path, suffix: str, command: str
) -> None:
    """Only the user names functions that a model may call; `add` runs without a question."""
    calls = asks(call("add", a=1, b=1), usage={"completion_tokens": 9})
    server.reply(calls, Reply("Two.", finish="length"), *[calls] * 4)
    tools("def add(a: int, b: int):\n    ran.append(a)\nadd = di.safe(add)\nran = []")
    tools("%%chat --tools add\ngo")
    file = tmp_path / f"x{suffix}"
    tools(f"%chat save {file}")
    text = file.read_text().replace('"rounds"', '"no"')
    file.write_text(text)
    tools("%chat forget --all --yes")
    assert tools(f"%chat load {file}").error is None
    tools("ran.clear()")
    tools(f"%chat {command}")
    assert tools("print(ran)").text == "[]\n"
    if command == "retry":
        error = tools("%chat retry").error
        assert isinstance(error, di.ChatError)
        assert str(error).endswith("--tools add")
        assert len(server.chats) == 2


def test_a_tool_is_run_only_if_the_user_allows_it(
    tools: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without @di.safe the user is asked, and the model gets a refusal as the result."""
    asked: list[str] = []

    def refuse(question: str) -> str:
        asked.append(question)
        return "n"

    monkeypatch.setattr("builtins.input", refuse)
    server.reply(asks(call("delete", file="a.txt")), Reply("I may not."))
    assert tools("%%chat --tools delete\ngo").error is None
    assert asked == ['May the model run delete(file="a.txt")? [y/N] ']
    assert ("tool", "The user did not allow this call; it was not run.") in sent(server)


def test_calls_without_tools_are_shown_and_not_sent_back(run: Run, server: Loopback) -> None:
    """A model may ask for what it was not offered; the history stays valid."""
    server.reply(asks(call("add", a=1)), Reply("ok"))
    run("%%chat\ngo")
    run("%%chat\nagain")
    assert sent(server) == [("user", "again")]


@pytest.mark.local
def test_the_built_in_model_refuses_tools(tools: Run, server: Loopback) -> None:
    """Its template would leave them out silently; the line says what takes them."""
    error = tools("%%chat --endpoint local --tools add\ngo").error
    assert isinstance(error, di.ToolError)
    assert "local:FILE.gguf" in str(error)


@pytest.mark.local
def test_the_built_in_model_refuses_images(run: Run, server: Loopback) -> None:
    """That is said before anything is sent, and no turn fails."""
    run("image = b'\\x89PNG\\r\\n\\x1a\\n'")
    error = run("%%chat --endpoint local -a image\nwhat?").error
    assert isinstance(error, di.ParamError)
    assert "cannot read images" in str(error)
    assert "no turns yet" in run("%chat history").text


@pytest.mark.parametrize("names", ["add, fail", "add fail"])
def test_spaces_between_tool_names_are_refused(tools: Run, server: Loopback, names: str) -> None:
    """The line says how they are written."""
    error = tools(f"%%chat --tools {names}\ngo").error
    assert "--tools f,g" in str(error)


def test_a_grid_refuses_tools(tools: Run, server: Loopback) -> None:
    """Nobody could tell the calls of its runs apart."""
    assert isinstance(tools("%%chat --tools add -n 3\ngo").error, di.ParamError)


def test_a_saved_turn_has_its_rounds(tools: Run, server: Loopback, tmp_path: Path) -> None:
    """A conversation that is saved and loaded sends the same messages."""
    server.reply(asks(call("add", a=1, b=1)), Reply("2."), Reply("a"), Reply("b"))
    tools("%%chat --tools add\ngo")
    tools(f"%chat save {tmp_path / 'chat.md'}")
    tools("%%chat\nnext")
    tools("%chat new")
    tools(f"%chat load {tmp_path / 'chat.md'}")
    tools("%%chat\nnext")
    assert sent(server, -1) == sent(server, -2)
    assert "add(a=1, b=1) → 2" in tools("%chat show 1").text


def test_the_turn_is_on_disk_before_the_next_request(
    tools: Run, server: Loopback, tmp_path: Path
) -> None:
    """What the tools gave is written down while the model is asked again."""
    seen: list[str] = []

    def look() -> None:
        while '"results":[null]' not in "".join(seen):  # the disk is a moment behind
            with closing(sqlite3.connect(tmp_path / "home" / "conversations.sqlite3")) as db:
                seen[:] = [str(row) for row in db.execute("SELECT outcome, sealed FROM turns")]

    server.reply(asks(call("add", a=1, b=1)), asks(call("look")), Reply("2."))
    tools("")
    shell = InteractiveShell.instance()
    shell.user_ns["look"] = di.safe(look)
    tools("%%chat --tools add,look\ngo")
    assert len(seen) == 1
    assert '["2",false,' in seen[0].replace(" ", "")
    assert seen[0].endswith("0)")


def test_a_reply_is_kept_when_the_disk_is_full(
    tools: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the turn cannot be sealed, the reply is shown and bound, and the line says why."""

    def full(db: sqlite3.Connection, *entry: Any, sealed: bool) -> None:
        if sealed:
            raise sqlite3.OperationalError("database or disk is full")

    server.reply(asks(call("add", a=1, b=1)), Reply("It is 2."))
    tools("%%chat --once\nhello")
    monkeypatch.setattr("di_magics.storage.journal.update_entry", full)
    ran = tools("%%chat --tools add\ngo")
    assert isinstance(ran.error, di.StoreError)
    assert "It is 2." in tools("print(_reply.text)").text


# Replies of a form --------------------------------------------------------------------------

PERSON = """
from dataclasses import dataclass

@dataclass
class Person:
    name: str
    age: int
"""
GOOD, BAD = '{"name": "Ada", "age": 36}', '{"name": "Ada", "age": "old"}'


def test_a_reply_becomes_an_object_of_the_users_class(run: Run, server: Loopback) -> None:
    """The request carries the schema, and `_reply.json()` is a Person."""
    run(PERSON)
    server.reply(Reply(GOOD))
    shown = run("%%chat --schema Person\nInvent one.").text
    form = server.chats[0].json["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["name"] == "Person"
    assert form["json_schema"]["schema"]["required"] == ["name", "age"]
    assert "as JSON: Person" in shown
    assert "Person(name='Ada', age=36)" in run("print(_reply.json())").text


def test_a_reply_that_does_not_fit_is_an_error_and_is_kept(run: Run, server: Loopback) -> None:
    """The line says where and what to do; the text and the turn are there."""
    run(PERSON)
    server.reply(Reply(BAD), Reply("ok"))
    error = run("%%chat --schema Person\nInvent one.").error
    assert isinstance(error, di.ReplyError)
    assert "not a Person: at $.age" in str(error)
    assert "--repair" in str(error)
    assert BAD in run("print(_reply.text)").text
    assert isinstance(run("_reply.json()").error, di.ReplyError)
    run("%%chat\nnext")
    assert ("assistant", BAD) in sent(server)


def test_repair_asks_once_more_with_the_error(run: Run, server: Loopback) -> None:
    """The model sees what it said and what was wrong with it; the receipt counts two requests."""
    run(PERSON)
    server.reply(Reply(BAD), Reply(GOOD))
    shown = run("%%chat --schema Person --repair\nInvent one.").text
    (_, asked, objection) = (said for _, said in sent(server))
    assert asked == BAD
    assert objection.startswith("The reply is not a Person: at $.age")
    assert "2 requests" in shown
    assert "36" in run("print(_reply.json().age)").text


def test_retry_asks_for_the_same_format(run: Run, server: Loopback) -> None:
    """The schema goes along again, and a reply that is not JSON is an error again."""
    run(PERSON)
    server.reply(Reply(GOOD), Reply("no"))
    run("%%chat --schema Person\nInvent one.")
    assert isinstance(run("%chat retry").error, di.ReplyError)
    first, second = (request.json["response_format"] for request in server.chats)
    assert first == second


def test_repair_gives_up_after_one_try(run: Run, server: Loopback) -> None:
    """The second reply is what is kept."""
    run(PERSON)
    server.reply(Reply(BAD), Reply("never mind"))
    error = run("%%chat --schema Person --repair\nInvent one.").error
    assert isinstance(error, di.ReplyError)
    assert "asked twice" in str(error)
    assert len(server.chats) == 2


def test_an_empty_reply_twice_is_left_out_of_what_follows(run: Run, server: Loopback) -> None:
    """There is nothing to object to in no text."""
    server.reply(Reply(""), Reply(""), Reply("ok"))
    run("%%chat -f json --repair\ngo")
    run("%%chat\nnext")
    assert sent(server) == [("user", "next")]


@pytest.mark.parametrize("reason", LIMIT_REASONS)
def test_json_that_was_cut_off_says_where(run: Run, server: Loopback, reason: str) -> None:
    """And that max_tokens cut it."""
    server.reply(Reply('{"a": [1,\n2', finish=reason))
    error = run("%%chat -f json --max-tokens 5\nA list.").error
    assert "breaks off in line 2. It was cut off by max_tokens" in str(error)
    assert server.chats[0].json["response_format"] == {"type": "json_object"}


def test_tools_and_a_schema_go_together(run: Run, server: Loopback) -> None:
    """Calls come first, then the reply has its form."""
    run(TOOLS + PERSON)
    server.reply(asks(call("add", a=30, b=6)), Reply(GOOD))
    assert run("%%chat --schema Person --tools add\ngo").error is None
    assert "36" in run("print(_reply.json().age)").text


@pytest.mark.parametrize(
    "flags",
    [
        "-f json --repair -n 2",
        "-f code --vary temperature=0,1",
        "--repair",
        "--confirm",
        "--rounds 3",
        "--resize 10",
        "--attach-tokens 5",
        "--schema Person -f text",
        "-f prose",
        "-f code:",
        "-f json:2",
        "--tools add --rounds 0",
        "--tools add --rounds x",
    ],
)
def test_flags_without_an_effect_are_refused(run: Run, server: Loopback, flags: str) -> None:
    """Each lacks what it is about, or takes something else."""
    error = run(f"%%chat {flags}\ngo").error
    assert isinstance(error, di.ParamError)
    assert server.requests == []


def test_plain_text_is_shown_as_it_is(run: Run, server: Loopback) -> None:
    """With -f text nothing is asked for and nothing is read as Markdown."""
    server.reply(Reply("# no heading"))
    assert "# no heading" in run("%%chat -f text\ngo").text
    assert "response_format" not in server.chats[0].json


# From Python --------------------------------------------------------------------------------


@di.safe
def double(n: int) -> int:
    """Double it."""
    return 2 * n


def test_ask_calls_tools(run: Run, server: Loopback) -> None:
    """`di.ask` does what the cell does."""
    server.reply(asks(call("double", n=21)), Reply("42"))
    reply = di.ask("go", tools=[double])
    assert reply.text == "42"
    assert reply.rounds[0].results[0].content == "42"


def test_ask_reads_a_schema(run: Run, server: Loopback) -> None:
    """A reply that does not fit raises, and the error has it."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    server.reply(Reply('{"n": 3}'), Reply('{"n": "x"}'))
    assert di.ask("go", schema=schema).json() == {"n": 3}
    with pytest.raises(di.ReplyError, match=r"\$\.n") as caught:
        di.ask("go", schema=schema)
    assert caught.value.reply
    assert caught.value.reply.text == '{"n": "x"}'


def test_ask_attaches_values_and_paths(run: Run, server: Loopback, tmp_path: Path) -> None:
    """A path is a file, anything else the value itself."""
    (tmp_path / "a.txt").write_text("from a file")
    di.ask("go", attach=[tmp_path / "a.txt", "a text"])
    said = server.chats[0].json["messages"][0]["content"]
    assert "from a file" in said
    assert "a text" in said


def test_ask_accepts_one_value_for_a_list(run: Run, server: Loopback) -> None:
    """A text, a table or a function by itself is one, and not its parts."""
    server.reply(asks(call("double", n=2)), Reply("4"))
    di.ask("go", attach="a note", tools=double)
    said = server.chats[0].json["messages"][0]["content"]
    assert said.count("```") == 2
    assert "a note" in said


def test_a_plain_class_is_not_a_schema(run: Run, server: Loopback) -> None:
    """The line says what makes it one."""
    run("class Plain: ...")
    assert "Write @dataclass above it" in str(run("%%chat --schema Plain\ngo").error)


def test_reasoning_details_and_a_messages_extra_go_back_whole(tools: Run, server: Loopback) -> None:
    """Put together from their pieces, within the turn only, also after a repair of the kernel."""
    part = {"type": "reasoning.text", "index": 0, "format": "x-v1"}
    sealed = {"type": "reasoning.encrypted", "index": 1, "data": "AY89/+=="}
    asked = {
        "id": "c1",
        "type": "function",
        "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'},
    }
    deltas: list[dict[str, Any]] = [
        {"reasoning": "I ", "reasoning_details": [{**part, "text": "I "}]},
        {"reasoning": "add.", "reasoning_details": [{**part, "text": "add.", "signature": "S="}]},
        {"reasoning_details": [sealed]},
        {"extra_content": {"google": {"thought_signature": "T="}}},
        {"tool_calls": [{**asked, "index": 0}]},
    ]
    events = [event({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    server.reply(Raw([*events, event(end), b"data: [DONE]\n\n"]), Reply("3"), Reply("Bye"))
    assert tools("%%chat --tools add\n1+2?").error is None
    within = server.chats[1].json["messages"][1]
    assert within["reasoning_details"] == [{**part, "text": "I add.", "signature": "S="}, sealed]
    assert within["extra_content"] == {"google": {"thought_signature": "T="}}
    assert within["reasoning"] == "I add."
    assert json.loads(tools("%chat show --request").text)["messages"][1] == within
    tools("%%chat\nThanks")
    later = server.chats[2].json["messages"][1]
    assert later == {"role": "assistant", "content": None, "tool_calls": [asked]}


def test_a_key_in_what_goes_back_is_not_kept(
    tools: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither whole nor in pieces; the rest of the turn goes on."""
    monkeypatch.setenv("DI_MAGICS_API_KEY", "sk-very-secret-77")
    asked = {
        "id": "c1",
        "type": "function",
        "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'},
    }
    deltas: list[dict[str, Any]] = [
        {"reasoning_details": [{"type": "t", "index": 0, "text": "sk-very-"}]},
        {"reasoning_details": [{"type": "t", "index": 0, "text": "secret-77"}]},
        {"extra_content": {"echo": "sk-very-secret-77"}},
        {"tool_calls": [{**asked, "index": 0}]},
    ]
    events = [event({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    server.reply(Raw([*events, event(end), b"data: [DONE]\n\n"]), Reply("3"))
    assert tools("%%chat --tools add\n1+2?").error is None
    body = server.chats[1].body.decode()
    assert "secret-77" not in body
    assert "sk-very" not in body


def test_deepseek_gets_the_reasoning_of_a_turn_with_calls_in_later_turns(
    tools: Run, server: Loopback
) -> None:
    """It refuses the request otherwise; of a turn without calls it gets none."""
    entry = {"url": server.url, "like": "deepseek", "model": "m"}
    tools(f"%config ChatMagics.endpoints = {{'it': {entry}}}")
    tools("%chat endpoint it")
    server.reply(
        Reply("plain", reasoning="No need."),
        asks(call("add", a=1, b=1), reasoning="I add."),
        Reply("2.", reasoning="Easy."),
        Reply("ok"),
    )
    tools("%%chat\nhi")
    tools("%%chat --tools add\ngo")
    tools("%%chat\nthanks")
    messages = server.chats[-1].json["messages"]
    thoughts = [message.get("reasoning_content") for message in messages]
    assert thoughts == [None, None, None, "I add.", None, "Easy.", None]
