"""The magics in a real InteractiveShell, as IPython in a terminal runs them."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from loopback import Drop, Fault, Loopback, Reply
from shell import Run

import di_magics as di
from di_magics.core.reply.reply import Reply as Answer


def prompts(server: Loopback) -> list[list[str]]:
    """Return what each request sent, message by message."""
    return [[m["content"] for m in request.json["messages"]] for request in server.chats]


# Tests display/views.
def test_a_reply_and_its_receipt_are_shown(run: Run, server: Loopback) -> None:
    """`%%chat` writes the reply and under it what was sent and used."""
    server.reply(Reply("The sky scatters blue light."))
    shown = run("%%chat -t 0.7 --seed 1\nWhy is the sky blue?").text
    assert "The sky scatters blue light." in shown
    assert "a-model · temperature=0.7 seed=1 · 10 → 5 tokens · $0.0000015" in shown


# Tests display/views.
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_with_few_characters_shows_question_marks(
    shell: InteractiveShell, run: Run, server: Loopback, encoding: str, tmp_path: Path
) -> None:
    """A reply, its receipt, a preview and the answers of commands: none is an error."""
    cells = ("%chat ask Größe?", "%%chat --dry-run\n→ 😀", "%chat history", "%chat", "%chat params")
    server.reply(Reply("Größe: 😀 → “x”"))
    console = tmp_path / "console.txt"
    with console.open("w", encoding=encoding) as file, contextlib.redirect_stdout(file):
        results = [shell.run_cell(cell) for cell in cells]
    assert [result.error_in_exec for result in results] == [None] * len(cells)
    text = console.read_text(encoding=encoding)
    assert "Gr??e: ? ? ?x?" in text or "Größe: ? ? “x”" in text


# Tests display/views.
def test_an_output_of_ones_own_needs_no_encoding(shell: InteractiveShell, run: Run) -> None:
    """Programs replace sys.stdout by objects that can only write."""
    pieces: list[str] = []
    console = SimpleNamespace(write=pieces.append, flush=lambda: None)
    with contextlib.redirect_stdout(console):
        assert shell.run_cell("%chat ask →").error_in_exec is None
    assert "Hello!" in "".join(pieces)


def test_what_is_not_set_is_not_sent(run: Run, server: Loopback) -> None:
    """A request without flags holds no sampling parameter at all."""
    run("%%chat\nhello")
    assert set(server.requests[0].json) == {"model", "messages", "stream", "stream_options"}


def test_zero_is_sent(run: Run, server: Loopback) -> None:
    """0 is a value like any other."""
    run("%%chat -t 0 --top-k 0 --presence_penalty=0\nhello")
    sent = server.requests[0].json
    assert (sent["temperature"], sent["top_k"], sent["presence_penalty"]) == (0, 0, 0)


def test_the_conversation_is_sent_with_the_next_prompt(run: Run, server: Loopback) -> None:
    """The second request holds the first turn."""
    server.reply(Reply("one"), Reply("two"))
    run("%%chat\nfirst")
    run("%%chat\nsecond")
    assert prompts(server)[1] == ["first", "one", "second"]


def test_once_sends_and_keeps_no_other_turn(run: Run, server: Loopback) -> None:
    """`--once` neither sends the conversation nor adds to it."""
    server.reply(Reply("one"), Reply("aside"), Reply("two"))
    run("%%chat\nfirst")
    run("%%chat --once\naside?")
    run("%%chat\nsecond")
    assert prompts(server)[1:] == [["aside?"], ["first", "one", "second"]]


def test_new_starts_an_empty_conversation(run: Run, server: Loopback) -> None:
    """`--new` sends the prompt alone, and the next cell goes on from there."""
    run("%%chat\nfirst")
    server.reply(Reply("two"))
    run("%%chat --new\nsecond")
    run("%%chat\nthird")
    assert prompts(server)[1:] == [["second"], ["second", "two", "third"]]


def test_undo_removes_the_last_turn(run: Run, server: Loopback) -> None:
    """After `%chat undo` the last turn is no longer sent."""
    server.reply(Reply("one"), Reply("two"))
    run("%%chat\nfirst")
    run("%%chat\nsecond")
    run("%chat undo")
    run("%%chat\nthird")
    assert prompts(server)[2] == ["first", "one", "third"]


def test_undo_says_what_it_took_back(run: Run) -> None:
    """Each turn with its number, the way back, and what is left."""
    for prompt in ("first", "second", "third"):
        run(f"%%chat\n{prompt}")
    shown = run("%chat undo 2").text
    assert "taken back: 2 > second\ntaken back: 3 > third\n%chat redo goes forward" in shown
    assert "  1 > first" in shown


def test_ask_accepts_the_flags_of_a_cell(run: Run, server: Loopback) -> None:
    """They stand before the text, which is sent as it was typed."""
    run("%%chat\nfirst")
    assert run("%chat ask -t 0 --once -s 'Be  brief.' What is \"-t 1\"?").error is None
    body = server.chats[1].json
    assert body["temperature"] == 0
    assert [m["content"] for m in body["messages"]] == ["Be  brief.", 'What is "-t 1"?']
    assert isinstance(run("%chat ask --onse Who?").error, di.ParamError)
    assert isinstance(run("%chat ask -t 0").error, di.ParamError)
    assert '"temperature": 0.5' in run("%chat ask -t .5 --dry-run Who?").text
    assert len(server.chats) == 2


def test_ask_returns_the_reply_or_the_sweep(run: Run, shell: InteractiveShell) -> None:
    """In a variable, by its flags."""
    run("reply = %chat ask -t 0 Who?")
    run("sweep = %chat ask -n 2 -o same Who?")
    assert isinstance(shell.user_ns["reply"], di.Reply)
    assert isinstance(shell.user_ns["sweep"], di.Sweep)
    assert shell.user_ns["same"] is shell.user_ns["sweep"]


def test_last_limits_the_turns_that_are_sent(run: Run, server: Loopback) -> None:
    """`--last N` sends only the last N turns; the conversation keeps them all."""
    server.reply(*(Reply(text) for text in ("1", "2", "3", "4")))
    run("%%chat\na")
    run("%%chat\nb")
    run("%%chat --last 1\nc")
    run("%%chat --last 0\nd")
    assert prompts(server)[2:] == [["b", "2", "c"], ["d"]]
    assert "4 turns" in run("%chat").text


# Tests magics/commands/conversing.
def test_undo_redo_rewind_and_fork_move_the_head(run: Run, server: Loopback) -> None:
    """undo, redo, rewind and fork move the head; what is sent follows it."""
    server.reply(*(Reply(text) for text in ("1", "2", "3", "4")))
    run("%%chat\na")
    run("%%chat\nb")
    run("%chat undo 2")
    run("%chat redo 2")
    run("%chat fork other")
    run("%chat rewind 1")
    run("%%chat\nc")
    run("%chat use main")
    run("%%chat\nd")
    assert prompts(server)[2:] == [["a", "1", "c"], ["a", "1", "b", "2", "d"]]


def test_a_fork_begins_at_the_turn_that_it_names(
    run: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """By its number, or by its id as the page has it."""
    server.reply(*(Reply(text) for text in ("1", "2", "3", "4")))
    run("%%chat\na")
    run("%%chat\nb")
    assert "its turns up to 'a'" in run("%chat fork second --at 1").text
    run("%%chat\nc")
    turn = shell.magics_manager.registry["ChatMagics"].session.conversation.head
    run("%chat use main")
    run(f"%chat fork third try --at {turn[:8]}")
    assert "third try: 2 turns" in run("%chat list").text
    run("%%chat\nd")
    assert prompts(server)[2:] == [["a", "1", "c"], ["a", "1", "c", "3", "d"]]
    for wrong in ("x --at", "--at 1", "x --at 9", "x --at 00000000", "x --at first"):
        assert isinstance(run(f"%chat fork {wrong}").error, di.DiMagicsError)
    assert "x: " not in run("%chat list").text


@pytest.mark.parametrize("name", ["chat.md", "chat.json", "chat.ipynb"])
def test_a_saved_conversation_is_loaded_and_goes_on(
    run: Run, server: Loopback, tmp_path: Path, name: str
) -> None:
    """`%chat save` and `%chat load` carry a conversation elsewhere; the next turn follows it."""
    server.reply(*(Reply(text) for text in ("1", "2", "3")))
    run("%%chat\na")
    run("%%chat\nb")
    assert "2 turns" in run(f"%chat save {tmp_path / name}").text
    run("%chat new")
    run(f"%chat load {tmp_path / name}")
    run("%%chat\nc")
    assert prompts(server)[2] == ["a", "1", "b", "2", "c"]


def test_context_limits_the_turns_that_are_sent(run: Run, server: Loopback) -> None:
    """`%chat set context=1` holds for the cells to come, `--last` for its own."""
    server.reply(*(Reply(text) for text in "123456"))
    run("%%chat\na")
    run("%%chat\nb")
    assert "context=1" in run("%chat set context=1").text
    run("%%chat\nc")
    run("%%chat --last all\nd")
    run("%%chat --last 0\ne")
    run("%chat set context=all")
    run("%%chat\nf")
    assert [len(sent) for sent in prompts(server)] == [1, 3, 3, 7, 1, 11]
    assert prompts(server)[2] == ["b", "2", "c"]
    assert isinstance(run("%chat set context=-1").error, di.ParamError)
    assert isinstance(run("%%chat --last some\ng").error, di.ParamError)


def test_too_long_says_which_turns_to_leave_out(run: Run, server: Loopback) -> None:
    """The server's words, by how much, and the flag that sends fewer turns; that request fits."""
    server.reply(*(Reply("r" * 900) for _ in range(3)))
    server.reply(Fault(400, {"error": {"message": "1300 tokens exceed the context size (1000)"}}))
    for prompt in "abc":
        run(f"%%chat\n{prompt}")
    error = run("%%chat\nd").error
    assert isinstance(error, di.TooLong)
    assert "It is too long by 300 tokens: 1,300 of at most 1,000." in str(error)
    assert "Leave out turns 1 to 2 (about 602 tokens): --last 1" in str(error)
    run("%%chat --last 1\nd")
    assert prompts(server)[-1] == ["c", "r" * 900, "d"]


def test_save_does_not_overwrite_a_file(run: Run, server: Loopback, tmp_path: Path) -> None:
    """A file that is there stays what it was, unless `--overwrite` says so."""
    run("%%chat\na")
    for name in ("x.md", "x.json", "x.ipynb"):
        (tmp_path / name).write_text("precious")
        error = run(f"%chat save {tmp_path / name}").error
        assert isinstance(error, di.ChatError)
        assert "--overwrite" in str(error)
        assert (tmp_path / name).read_text() == "precious"
        assert "1 turn saved" in run(f"%chat save {tmp_path / name} --overwrite").text


# Tests display/final.
def test_show_repeats_the_output_of_the_cell(run: Run, server: Loopback) -> None:
    """The receipt of a turn from before has its parameters, too."""
    shown = run("%%chat -t 0.5 --seed 3 -s short --last 2\na").text
    receipt = shown.rpartition("\x1b[2m")[2].partition("\x1b")[0]
    assert "temperature=0.5 seed=3 · with a system prompt · with the last 2 turns" in receipt
    run("%%chat\nb")
    assert receipt in run("%chat show 1").text


def test_another_conversation_for_one_cell(run: Run, server: Loopback) -> None:
    """`-c` asks there, and the next cell goes on here."""
    run("%%chat\na")
    run("%%chat -c side\nb")
    run("%%chat\nc")
    run("%%chat -c side\nd")
    assert [len(sent) for sent in prompts(server)] == [1, 1, 3, 3]


def test_a_loaded_conversation_says_where_it_is(run: Run, server: Loopback, tmp_path: Path) -> None:
    """Under a name of its own, with the way back; the variants of here keep their numbers."""
    server.reply(*(Reply(text) for text in ("1", "2", "3")))
    run("%%chat\na")
    run("%chat retry")
    run(f"%chat save {tmp_path / 'chat.md'}")
    assert "%chat use main goes back." in run(f"%chat load {tmp_path}/chat.md").text
    run(f"%chat load {tmp_path / 'chat.md'}")
    assert "chat-2" in run("%chat list").text
    run("%chat use main")
    assert "(variant 2 of 2)" in run("%chat history").text


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("undo 0", "Cannot undo 0"),
        ("rewind 0", "no turn 0"),
        ("variant 0", "No turn has variants"),
        ("set stop=[a,b]", "stop=A stop=B"),
        ("help nonsense", "%chat help lists"),
    ],
)
def test_a_wrong_command_line_says_what_to_do(
    run: Run, server: Loopback, line: str, says: str
) -> None:
    """In one line."""
    run("%%chat\na")
    error = run(f"%chat {line}").error
    assert error
    assert says in str(error)


# Tests magics/commands/command.
@pytest.mark.parametrize("command", ["ask", "new", "undo", "set", "budget"])
def test_every_command_has_help(run: Run, server: Loopback, command: str) -> None:
    """`-h` behind it explains it, and does nothing."""
    assert run(f"%chat {command} -h").text.startswith(f"%chat {command}")
    assert server.requests == []
    assert "1" not in run("%chat list").text.replace("0 turns", "")


def test_help_knows_the_parameters(run: Run) -> None:
    """Range, default and how to set it."""
    shown = run("%chat help top-p").text
    assert "0 < top_p ≤ 1" in shown
    assert "%chat set top_p=" in shown


def test_the_limit_of_the_built_in_model_is_not_called_not_sent(run: Run) -> None:
    """`%chat params` and the help say that 512 is sent, until it is set."""
    run("%chat endpoint local")
    (row,) = re.findall(r"^.*max_tokens.*$", run("%chat params").text, re.MULTILINE)
    assert "512 (the built-in model)" in row
    assert "not sent" not in row
    assert "always sent a limit, 512" in run("%chat help max_tokens").text
    run("%chat set max_tokens=90")
    assert "512" not in run("%chat params").text


def test_several_stops_add_up(run: Run, server: Loopback) -> None:
    """On one line of `%chat set`."""
    run("%chat set stop=END stop=a\\n")
    run("%%chat\na")
    assert server.chats[0].json["stop"] == ["END", "a\n"]


def test_the_status_shows_how_many_turns_are_sent(run: Run, server: Loopback) -> None:
    """And what is in force, where nothing was set."""
    run("%chat set context=2")
    assert "the last 2 are sent" in run("%chat").text
    assert "a-model" in run("%chat model").text
    assert "127.0.0.1" in run("%chat endpoint").text
    assert "none" in run("%chat system").text


def test_retry_asks_the_last_question_again(run: Run, server: Loopback) -> None:
    """`%chat retry` sends the same request once more, and the new reply takes its place."""
    server.reply(*(Reply(text) for text in ("1", "2", "3", "4")))
    run("%%chat\na")
    run("%%chat\nb")
    assert "3" in run("%chat retry").text
    run("%%chat\nc")
    assert prompts(server)[2] == prompts(server)[1] == ["a", "1", "b"]
    assert prompts(server)[3] == ["a", "1", "b", "3", "c"]
    assert "├ b → 2" in run("%chat history --tree").text
    run("%chat variant 1")
    assert "2 turns" in run("%chat").text


def test_set_holds_until_unset_and_a_flag_wins(run: Run, server: Loopback) -> None:
    """`%chat set` holds for the cells to come, a flag for its own cell."""
    run("%chat set temperature=0.2 system='Be brief.'")
    run("%%chat --once\na")
    run("%%chat --once -t 1.5\nb")
    run("%chat unset temperature system")
    run("%%chat --once\nc")
    sent = [request.json for request in server.chats]
    assert [body.get("temperature") for body in sent] == [0.2, 1.5, None]
    assert prompts(server) == [["Be brief.", "a"], ["Be brief.", "b"], ["c"]]


def test_ask_accepts_a_question_mark(run: Run, server: Loopback) -> None:
    """`%chat ask …?` asks; IPython's help does not answer in its place, also below other lines."""
    run("x = 1\n%chat ask what's {x} and $x?")
    assert prompts(server) == [["what's {x} and $x?"]]


def test_ask_returns_the_reply(run: Run, shell: InteractiveShell, server: Loopback) -> None:
    """`r = %chat ask …` binds the reply."""
    server.reply(Reply("yes"))
    run("r = %chat ask are you there")
    assert shell.user_ns["r"].text == "yes"


def test_a_question_may_be_assigned(run: Run, shell: InteractiveShell, server: Loopback) -> None:
    """`reply = %chat ask …?` asks as well, and binds the reply."""
    server.reply(Reply("blue"))
    run("reply = %chat ask Name a colour?")
    assert shell.user_ns["reply"].text == "blue"


def test_a_cell_typed_in_a_terminal_waits_for_its_prompt(shell: InteractiveShell) -> None:
    """After the `%%chat` line more is expected; only a call for help is whole."""
    assert shell.check_complete("%%chat -t 0\n")[0] == "incomplete"
    assert shell.check_complete("%%chat -h\n")[0] == "complete"


def test_question_mark_help_stays_help(run: Run, server: Loopback) -> None:
    """`%%chat?` and `%chat?` show help and send nothing."""
    assert "--temperature" in run("%%chat?").text
    assert "Docstring" in run("%chat?").text
    assert "--top-p" in run("%%chat -h").text
    assert server.requests == []


def test_nothing_in_the_prompt_is_expanded(run: Run, server: Loopback) -> None:
    """Braces and dollars reach the model as they were typed."""
    run("%%chat\n{1 + 1} $HOME {'a': 'b'}")
    assert prompts(server) == [["{1 + 1} $HOME {'a': 'b'}"]]


def test_out_binds_the_reply(run: Run, shell: InteractiveShell, server: Loopback) -> None:
    """`-o NAME` and `_reply` hold the reply; `-q` shows nothing."""
    server.reply(Reply("text"))
    assert run("%%chat -q -o answer\nhello").text == ""
    reply = shell.user_ns["answer"]
    assert isinstance(reply, Answer)
    assert (reply.text, reply.status, reply.complete) == ("text", "done", True)
    assert reply.request == server.requests[0].json
    assert shell.user_ns["_reply"] is reply


def test_dry_run_sends_nothing(run: Run, server: Loopback) -> None:
    """`--dry-run` prints the body that would go out."""
    shown = run("%%chat --dry-run -t 1\nhello").text
    assert json.loads(shown)["temperature"] == 1
    assert server.requests == []


def test_no_stream_asks_for_one_piece(run: Run, server: Loopback) -> None:
    """`--no-stream` sends `stream: false` and shows the whole reply."""
    server.reply(Reply("in one piece"))
    assert "in one piece" in run("%%chat --no-stream\nhello").text
    assert server.requests[0].json["stream"] is False
    assert "stream_options" not in server.requests[0].json


def test_show_prints_the_request_that_was_sent(run: Run, server: Loopback) -> None:
    """`%chat show --request` prints the very body; curl and Python hold it as well."""
    run("%%chat -t 0.5\nfirst")
    run('%%chat\nit\'s the "second"')
    assert json.loads(run("%chat show --request").text) == server.requests[1].json
    assert json.loads(run("%chat show 1 --request").text) == server.requests[0].json
    assert "curl" in run("%chat show --curl").text
    assert "httpx" in run("%chat show --python").text


def test_exported_python_sends_the_same_body(run: Run, server: Loopback) -> None:
    """The program of `%chat show --python` runs, and sends what the cell sent."""
    run("%%chat -t 0.5 --stop ab\nhello")
    program = run("%chat show --python").text
    with capture_output():
        exec(compile(program, "exported", "exec"), {})
    assert server.requests[1].json == server.requests[0].json


def test_cost_adds_up(run: Run, server: Loopback) -> None:
    """`%chat cost` adds what the API said, and says where it said nothing."""
    run("%%chat\na")
    run("%%chat --once\nb")
    server.reply(Reply("c", usage=None))
    run("%%chat\nc")
    shown = run("%chat cost").text
    assert "$0.0000030 and 1 of unknown cost" in shown
    assert "$0.0000015 and 1 of unknown cost" in shown


@pytest.mark.parametrize(
    ("cell", "error", "says"),
    [
        ("%%chat -t 2.1\nx", di.ParamError, "0 ≤ temperature ≤ 2"),
        ("%%chat --top-p 0\nx", di.ParamError, "0 < top_p ≤ 1"),
        ("%%chat --top-k 1.5\nx", di.ParamError, "a whole number"),
        ("%%chat --temp 1\nx", di.ParamError, "--temperature"),
        ("%%chat hello\nx", di.ParamError, "the prompt goes below"),
        ("%%chat -t\nx", di.ParamError, "expected one argument"),
        ("%%chat 'open\nx", di.ParamError, "quote"),
        ("%%chat\n ", di.ParamError, "empty"),
        ("%chat ask ", di.ParamError, "For example"),
        ("%chat Why is the sky blue?", di.ParamError, "%chat ask"),
        ("%chat set temperature 0.5", di.ParamError, "temperature=…"),
        ("%%chat -o 1x\nx", di.ParamError, "variable"),
        ("%%chat --last x\nx", di.ParamError, "number of turns"),
        ("%chat variant 1", di.ChatError, "Run a cell again"),
        ("%chat load nowhere.ipynb", di.ChatError, "No such file"),
        ("%chat load /", di.ParamError, "must end in"),
        ("%chat save chat.md", di.ChatError, "no turns"),
        ("%chat save", di.ParamError, "For example"),
        ("%chat rewind", di.ParamError, "For example"),
        ("%chat histroy", di.ParamError, "history"),
        ("%chat what is love", di.ParamError, "%chat ask"),
        ("%chat set temperature=hot", di.ParamError, "a number"),
        ("%chat set temprature=1", di.ParamError, "temperature"),
        ("%chat set", di.ParamError, "For example"),
        ("%chat undo 3", di.ChatError, "0 turns"),
        ("%chat show 2", di.ChatError, "no turns yet"),
        ("%chat use nowhere", di.ChatError, "%chat list"),
        ("%chat key sk-secret", di.ParamError, "revoke"),
        ("%chat endpoint ftp://x", di.ParamError, "not the address"),
        ("%chat endpoint https://u:p@x/v1", di.ParamError, "%chat key"),
        pytest.param(
            *("%%chat --endpoint local:/nowhere.gguf\nx", di.ParamError, "nowhere"),
            marks=pytest.mark.local,
        ),
        ("%%chat --endpoint deepinfra\nx", di.Refused, "%chat key"),
    ],
)
def test_mistakes_are_one_line(
    run: Run,
    server: Loopback,
    monkeypatch: pytest.MonkeyPatch,
    cell: str,
    error: type[di.DiMagicsError],
    says: str,
) -> None:
    """A user's mistake is one line with the next step; nothing is sent."""
    if "local:" in cell:
        monkeypatch.delenv("DI_MAGICS_MODEL")
    ran = run(cell)
    assert type(ran.error) is error
    assert says in str(ran.error)
    assert "\n" not in str(ran.error)
    assert "Traceback" not in ran.text
    assert "sk-secret" not in ran.text
    assert server.requests == []


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        (Fault(401, {"detail": {"error": "Not authenticated"}}), di.Refused, "Not authenticated"),
        (Fault(402, {"detail": {"error": "no funds"}}), di.Refused, "no funds"),
        (Fault(404, {"error": "Model not found"}), di.BadRequest, "a-model"),
        (Fault(422, {"detail": [{"loc": ["body", "n"], "msg": "bad"}]}), di.BadRequest, "n: bad"),
        (Fault(429, b"busy", headers={"retry-after": "999"}), di.Busy, "busy"),
        (Fault(302, b"", headers={"location": "/x"}), di.BadRequest, "302"),
        (Fault(200, b"<p>", content_type="text/html"), di.BadRequest, "web page"),
    ],
)
def test_a_refused_request_is_one_line_and_the_conversation_stays(
    run: Run, server: Loopback, fault: Fault, error: type[di.DiMagicsError], says: str
) -> None:
    """The server's own words are in the line; the failed turn is not sent along later."""
    server.reply(Reply("one"), fault, Reply("three"))
    run("%%chat\nfirst")
    ran = run("%%chat\nsecond")
    assert type(ran.error) is error
    assert says in str(ran.error)
    assert "Traceback" not in ran.text
    run("%%chat\nthird")
    assert prompts(server)[2] == ["first", "one", "third"]


def test_a_broken_stream_keeps_the_partial_reply(
    run: Run, shell: InteractiveShell, server: Loopback
) -> None:
    """The partial reply is shown, bound, and sent along with the next turn."""
    server.reply(Reply(chunks=["The first ", "half", Drop()]))
    ran = run("%%chat\nfirst")
    assert isinstance(ran.error, di.StreamBroken)
    assert ran.error.reply is not None
    assert ran.error.reply.text == "The first half"
    assert "The first half" in ran.text
    assert shell.user_ns["_reply"].status == "cut"
    run("%%chat\nsecond")
    assert prompts(server)[1] == ["first", "The first half", "second"]


def test_terminal_escapes_of_a_model_are_not_written(run: Run, server: Loopback) -> None:
    """A reply cannot move the cursor or repaint the terminal."""
    server.reply(Reply("a\x1b[2Jb\x9b1mc\rd", model="m\x1b]0;x\x07"))
    shown = run("%%chat\nhello").text
    for ours in ("\r\x1b[K", "\x1b[2m", "\x1b[0m"):
        shown = shown.replace(ours, "")
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "\r" not in shown


def test_python_ask_displays_and_remembers_nothing(run: Run, server: Loopback) -> None:
    """`di.ask` returns the reply of the current settings; `%chat cost` counts it."""
    server.reply(Reply("pong"))
    run("%chat set temperature=0.3")
    ran = run("import di_magics as di\nr = di.ask('ping', top_p=0.5)\nprint(r.text, r.cost)")
    assert ran.text.strip() == "pong 0.0000015"
    assert server.requests[0].json["temperature"] == 0.3
    assert server.requests[0].json["top_p"] == 0.5
    assert "0 turns" in run("%chat").text
    assert "$0.0000015" in run("%chat cost").text


def test_python_ask_works_without_the_extension(server: Loopback) -> None:
    """Outside IPython `di.ask` needs nothing loaded, and leaves no thread behind."""
    reply = di.ask("ping", model="m", endpoint=di.Endpoint(server.url, "k"))
    assert reply.complete
    assert server.requests[0].headers["authorization"] == "Bearer k"
    assert not [thread for thread in threading.enumerate() if thread.name == "di_magics"]


def test_keys_go_only_where_they_belong(
    shell: InteractiveShell, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeepInfra's key is not sent elsewhere, nor an endpoint's own key to another."""
    monkeypatch.setenv("DEEPINFRA_TOKEN", "deepinfra-key")
    monkeypatch.setenv("DI_MAGICS_API_KEY", "own-key")
    monkeypatch.setenv("DI_MAGICS_MODEL", "m")
    with capture_output(), Loopback() as other:
        monkeypatch.setenv("DI_MAGICS_BASE_URL", other.url)
        shell.run_cell("%%chat\nhello")
        shell.run_cell(f"%%chat --endpoint {server.url}\nhello")
        assert other.requests[0].headers["authorization"] == "Bearer own-key"
    assert "authorization" not in server.requests[0].headers


def test_without_key_endpoint_and_extra_both_ways_are_named(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the key and the built-in model."""
    monkeypatch.setattr("di_magics.endpoints.local_server.is_available", lambda: False)
    with capture_output():
        error = shell.run_cell("%%chat\nhello").error_in_exec
    assert isinstance(error, di.Refused)
    assert "DEEPINFRA_TOKEN" in str(error)
    assert "[local]" in str(error)


def test_a_named_model_never_falls_back(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-m` without a key is refused, though a local model could answer."""
    monkeypatch.setattr("di_magics.endpoints.local_server.is_available", lambda: True)
    with capture_output():
        error = shell.run_cell("%%chat -m some/model\nhello").error_in_exec
    assert isinstance(error, di.Refused)
    assert "no flag -m, or %chat unset model" in str(error)


@pytest.mark.parametrize(
    ("cell", "offered", "not_offered"),
    [
        ("%%chat --temp", "--temperature", "--top-p"),
        ("%%chat -t 1 --to", "--top-p", "--seed"),
        ("%chat hist", "history", "show"),
        ("%chat set temp", "temperature=", "top_p="),
        ("%chat use ma", "main", "model"),
        ("%%chat\npri", "pri", "print"),
        ("%%chat -c ma", "main", "--model"),
        ("%%chat -o a_na", "a_name", "_hidden"),
        ("%%chat --vary temp", "temperature=", "top_p="),
        ("%%chat --reasoning-effort me", "medium", "low"),
        ("%%chat --endpoint lo", "local", "deepinfra"),
        ("%chat plot div", "diversity", "words"),
        ("%chat forget ma", "main", "model"),
        ("%chat cost --c", "--csv", "--all"),
    ],
)
def test_tab_completes_flags_commands_and_names(
    shell: InteractiveShell, cell: str, offered: str, not_offered: str
) -> None:
    """Tab offers flags, commands, parameters and conversations; in a prompt no Python."""
    line = cell.rpartition("\n")[2]
    shell.user_ns["a_name"] = 1
    with provisionalcompleter():
        found = [item.text for item in shell.Completer.completions(cell, len(cell))]
    assert offered in found, line
    assert not_offered not in found


def test_tab_completes_models_that_are_known(
    shell: InteractiveShell, run: Run, server: Loopback
) -> None:
    """From the list that was asked for, never by asking."""

    def offered(cell: str) -> list[str]:
        with provisionalcompleter():
            return [item.text for item in shell.Completer.completions(cell, len(cell))]

    assert "test/model" not in offered("%%chat -m te")
    assert server.requests == []
    run("%chat models")
    for cell in ("%%chat -m te", "%%chat --model te", "%chat model te"):
        assert "test/model" in offered(cell)


@pytest.mark.parametrize(
    ("cell", "offered"),
    [
        ("%%chat --tools a", {"add"}),
        ("%%chat --tools add,a", {"add,add"}),
        ("%%chat --tools di.t", {"di.tools.inspect", "di.tools.run_python"}),
        ("%%chat --tools add --tool-choice a", {"add", "auto"}),
        ("%%chat --schema P", {"Person"}),
        ("%%chat --schema sch", {"schema.json"}),
        ("%%chat -a no", {"notes.txt", "nothing"}),
        ("%%chat -a folder/", {"folder/inside.txt"}),
        ("%%chat -a nowhere/x", {"nowhere/x"}),
        ("%%chat -f j", {"json"}),
    ],
)
def test_tab_completes_the_users_variables(
    shell: InteractiveShell,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cell: str,
    offered: set[str],
) -> None:
    """Functions as tools, classes and files as schemas, variables and files to attach."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("notes.txt", "schema.json", "folder/inside.txt", ".hidden"):
        (tmp_path / name).touch()
    run("import di_magics as di\ndef add(a: int): ...\nclass Person: ...\nnothing = 1")
    with provisionalcompleter():
        found = {item.text for item in shell.Completer.completions(cell, len(cell))}
    assert found == offered


def test_fix_has_no_flags(run: Run, server: Loopback) -> None:
    """A flag of a cell is not sent as a question."""
    assert isinstance(run("%chat fix -t 0").error, di.ParamError)
    assert server.requests == []


@pytest.mark.parametrize(
    ("topic", "said"),
    [("tools", "--tools F,G"), ("--tools", "--tools F,G"), ("-a", "-a, --attach FILE|NAME")],
)
def test_help_knows_the_flags(run: Run, topic: str, said: str) -> None:
    """`%chat help tools` is about the flag."""
    assert said in run(f"%chat help {topic}").text


def test_a_reply_as_the_value_of_a_cell_is_formatted(
    run: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """With its receipt, but it is no turn: the notebook's file has it once."""
    server.reply(Reply("Some *text*."))
    run("%%chat -t 0 -q\nhi")
    assert "Some *text*." in run("_reply").text
    formatter = shell.display_formatter
    assert formatter
    formatter.active_types = ["text/html", "text/plain"]
    data, metadata = formatter.format(shell.user_ns["_reply"])
    assert "<em>text</em>" in data["text/html"]
    assert "temperature=0" in data["text/html"]
    assert metadata == {}
    assert repr(shell.user_ns["_reply"]).startswith("<Reply")


def test_a_reply_is_formatted_without_the_extension_too(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `di.ask`."""
    monkeypatch.setenv("DI_MAGICS_BASE_URL", server.url)
    monkeypatch.setenv("DI_MAGICS_MODEL", "a-model")
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    try:
        reply = di.ask("hi")
        assert shell.display_formatter
        assert reply.text in shell.display_formatter.format(reply)[0]["text/plain"]
        assert "<Reply" not in shell.display_formatter.format(reply)[0]["text/plain"]
    finally:
        InteractiveShell.clear_instance()


# Tests magics/compose.
def test_unloading_leaves_nothing_behind(server: Loopback) -> None:
    """Magics, transformers, configurables and the thread are gone, also after a reload."""
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    manager = shell.input_transformer_manager

    def state() -> tuple[object, ...]:
        return (
            sorted(shell.magics_manager.lsmagic()["line"]),
            sorted(shell.magics_manager.lsmagic()["cell"]),
            sorted(shell.magics_manager.registry),
            [type(item).__name__ for item in shell.configurables],
            [item.__name__ for item in manager.token_transformers],
            len(shell.input_transformers_cleanup),
            len(shell.Completer.custom_matchers),
            {name: len(found) for name, found in shell.events.callbacks.items()},
            sorted(thread.name for thread in threading.enumerate()),
        )

    shell.run_cell("%unload_ext di_magics")  # IPython registers what it needs for this
    before = state()
    with capture_output():
        shell.run_cell("%load_ext di_magics")
        shell.run_cell(f"%%chat --endpoint {server.url} -m m\nhello")
        shell.run_cell("%reload_ext di_magics")
        shell.run_cell(f"%%chat --endpoint {server.url} -m m\nhello")
        assert len(prompts(server)) == 2
        shell.run_cell("%unload_ext di_magics")
    assert state() == before
    InteractiveShell.clear_instance()


def test_a_python_without_sqlite_is_one_line() -> None:
    """Some are built so; the first question says what is missing, without a traceback."""
    code = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"  # IPython 8 needs SQLite
        "shell = InteractiveShell()\n"
        "sys.modules.update({name: None for name in ('_sqlite3', 'sqlite3', 'sqlite3.dbapi2')})\n"
        "shell.run_cell('%load_ext di_magics\\n%chat ask Hi')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "built without SQLite" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
