"""The conversation: a tree that only grows, and what of it is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.conversation import (
    MAIN,
    Cell,
    Conversation,
    Turn,
    request_messages,
    round_messages,
    turn_messages,
)
from di_magics.core.errors import ChatError
from di_magics.core.reply.reply import Reply, Round, ToolCall, ToolResult
from di_magics.core.shown.tree import tree_rows, tree_text


class Notebook:
    """A conversation as a notebook makes it: `run` is a cell that runs."""

    def __init__(self) -> None:
        self.chat = Conversation()
        self.count = 0

    def run(
        self, cell: str | None, name: str | None = None, *, append: bool = False, ordinal: int = 0
    ) -> str:
        """Ask in this cell and return what was on the path, such as `a1 b1`."""
        self.count += 1
        at = Cell(cell, ordinal) if cell else None
        asked = sum(turn.cell is not None and turn.cell.id == cell for turn in self.turns) + 1
        conversation, parent = self.chat.place_turn(at, name, append=append)
        turn = Turn(
            id=f"id-{self.count}",
            prompt=f"{cell or 'x'}{asked if cell else self.count}",
            parent=parent,
            cell=at,
            conversation=conversation,
        )
        self.chat = self.chat.with_turn(turn)
        return self.path

    @property
    def turns(self) -> list[Turn]:
        """All turns, oldest first."""
        return list(self.chat.turns.values())

    @property
    def path(self) -> str:
        """The prompts from the root to the head."""
        return " ".join(turn.prompt for turn in self.chat.path())

    def variants(self) -> str:
        """The prompts of the head's variants."""
        return " ".join(turn.prompt for turn in self.chat.variants(self.chat.path()[-1]))


def test_cells_follow_one_another() -> None:
    """Each new cell follows the head."""
    notebook = Notebook()
    assert [notebook.run(cell) for cell in "abc"] == ["a1", "a1 b1", "a1 b1 c1"]


def test_a_rerun_is_a_variant() -> None:
    """The same cell takes its own place again, and nothing is said twice."""
    notebook = Notebook()
    for cell in "abc":
        notebook.run(cell)
    assert notebook.run("b") == "a1 b2"
    assert notebook.variants() == "b1 b2"
    assert notebook.run("c") == "a1 b2 c2"


def test_every_run_of_all_gives_a_chain_of_the_same_shape() -> None:
    """Run All again: what is sent is what stands above."""
    notebook = Notebook()
    runs = [[notebook.run(cell) for cell in "abc"][-1] for _ in range(3)]
    assert runs == ["a1 b1 c1", "a2 b2 c2", "a3 b3 c3"]
    assert notebook.variants() == "c1 c2 c3"


def test_append_adds_a_turn_instead() -> None:
    """An appended turn follows the head, and is no variant of the turn it follows."""
    notebook = Notebook()
    notebook.run("a")
    assert notebook.run("a", append=True) == "a1 a2"
    assert notebook.variants() == "a2"
    assert notebook.run("a") == "a1 a3"
    assert notebook.variants() == "a2 a3"


def test_a_rerun_never_follows_itself() -> None:
    """Where the cell above was appended below since, the turn it had then is followed."""
    notebook = Notebook()
    notebook.run("a")
    notebook.run("b")
    assert notebook.run("a", append=True) == "a1 b1 a2"
    assert notebook.run("b") == "a1 b2"


def test_asks_of_one_execution_are_turns() -> None:
    """Two asks in a cell follow one another; run again, they are variants in step."""
    notebook = Notebook()
    for expected in ("a1 a2", "a3 a4"):
        notebook.run("a", ordinal=0)
        assert notebook.run("a", ordinal=1) == expected
    assert notebook.variants() == "a2 a4"


def test_without_a_cell_turns_append() -> None:
    """In a terminal there are no variants."""
    notebook = Notebook()
    notebook.run(None)
    assert notebook.run(None) == "x1 x2"
    assert notebook.variants() == "x2"
    notebook.run("a")
    assert notebook.run("a") == "x1 x2 a2"


def test_a_cell_may_ask_another_conversation() -> None:
    """By name it follows that one's head, which then is the one in use."""
    notebook = Notebook()
    notebook.run("a")
    assert notebook.run("a", "other") == "a2"
    assert notebook.chat.name == "other"
    assert notebook.run("b", "other") == "a2 b1"
    assert notebook.run("c", MAIN) == "a1 c1"
    assert notebook.run("b") == "a2 b2"
    assert notebook.chat.name == "other"


def test_started_is_empty_and_named_in_order() -> None:
    """`chat-2`, `chat-3`, or as told; the old ones are kept."""
    chat = Conversation().start().start()
    assert chat.name == "chat-3"
    assert chat.path() == ()
    chat = chat.start("mine")
    assert list(chat.heads) == [MAIN, "chat-2", "chat-3", "mine"]
    assert chat.start("mine").name == "chat-4"
    assert chat.switch_to(MAIN).name == MAIN


def test_undo_moves_the_head_and_keeps_the_turns() -> None:
    """One turn back, or several, up to all of them."""
    notebook = Notebook()
    for cell in "abc":
        notebook.run(cell)
    chat = notebook.chat
    assert [turn.prompt for turn in chat.undo(2).path()] == ["a1"]
    assert chat.undo(3).path() == ()
    assert chat.undo().turns == chat.turns
    notebook.chat = chat.undo()
    assert notebook.run("d") == "a1 b1 d1"


@pytest.mark.parametrize(("count", "turns"), [(0, "2 turns"), (3, "2 turns"), (-1, "2 turns")])
def test_undo_takes_no_more_than_there_is(count: int, turns: str) -> None:
    """The message says how many turns there are."""
    notebook = Notebook()
    notebook.run("a")
    notebook.run("b")
    with pytest.raises(ChatError, match=f"main has {turns}"):
        notebook.chat.undo(count)
    with pytest.raises(ChatError, match=r"has 1 turn\."):
        notebook.chat.undo().undo(2)


def test_turns_are_numbered_from_one() -> None:
    """The last one unless told; another number is refused with the range."""
    chat = Conversation()
    with pytest.raises(ChatError, match="no turns yet"):
        chat.turn_at(None)
    notebook = Notebook()
    notebook.run("a")
    notebook.run("b")
    numbers = (None, 1, 2)
    assert [notebook.chat.turn_at(n).prompt for n in numbers] == ["b1", "a1", "b1"]
    for number in (0, 3, -1):
        with pytest.raises(ChatError, match="turns 1 to 2"):
            notebook.chat.turn_at(number)


def test_what_hangs_on_a_turn_is_counted() -> None:
    """Directly or not, variants and all."""
    notebook = Notebook()
    for cell in "abcb":
        notebook.run(cell)
    first = notebook.turns[0]
    assert notebook.chat.count_descendants(first) == 3
    assert notebook.chat.count_descendants(notebook.turns[2]) == 0


def test_sealing_moves_no_head() -> None:
    """A reply that comes late goes where its turn is."""
    notebook = Notebook()
    notebook.run("a")
    turn = notebook.turns[0]
    notebook.chat = notebook.chat.undo().with_outcome(replace(turn, reply=Reply("Hi")))
    assert notebook.chat.head is None
    assert notebook.chat.turns[turn.id].reply.text == "Hi"


def test_the_messages_are_derived_from_the_path() -> None:
    """One system message, then prompt and reply in turns, then the prompt."""
    path = (Turn("1", "a", reply=Reply("b")), Turn("2", "c", reply=Reply("d")))
    assert request_messages(path, Turn("3", "e", system="Be brief.")) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
        {"role": "user", "content": "e"},
    ]
    alone = [{"role": "user", "content": "e"}]
    assert (
        request_messages((), Turn("1", "e"))
        == request_messages((), Turn("1", "e", system=""))
        == alone
    )


@pytest.mark.parametrize(
    ("reply", "sent"),
    [
        (Reply(), []),
        (Reply(" \n", status="done"), []),
        (Reply(reasoning="hm", status="done"), []),
        (Reply("par", status="stopped"), ["a", "par"]),
        (Reply("par", status="cut"), ["a", "par"]),
        (Reply("x</s>", last_chunk="</s>"), ["a", "x"]),
    ],
)
def test_an_empty_turn_is_not_sent(reply: Reply, sent: list[str]) -> None:
    """One with partial text is sent as it stands, so that roles always alternate."""
    path = (Turn("1", "a", reply=reply),)
    assert [message["content"] for message in request_messages(path, Turn("2", "b"))] == [
        *sent,
        "b",
    ]


def chain(*ids: str) -> Conversation:
    """Return a conversation of turns that follow one another, each in a cell of its name."""
    chat, parent = Conversation(), None
    for each in ids:
        chat = chat.with_turn(
            Turn(each, each, parent, Cell(each), reply=Reply(text=each, status="done"))
        )
        parent = each
    return chat


def rerun(chat: Conversation, cell: str, new: str) -> Conversation:
    """Run a cell again; the new turn has this id."""
    name, parent = chat.place_turn(Cell(cell))
    turn = Turn(new, new, parent, Cell(cell), name, reply=Reply(text=new, status="done"))
    return chat.with_turn(turn)


def shape(chat: Conversation) -> list[str]:
    """Return the ids on the path."""
    return [turn.id for turn in chat.path()]


def test_redo_undoes_undo_and_rewind() -> None:
    """The head goes forward to where it was, one turn or several."""
    chat = chain("a", "b", "c", "d")
    assert shape(chat.undo().undo().redo()) == ["a", "b", "c"]
    assert shape(chat.rewind(1).redo(3)) == ["a", "b", "c", "d"]
    assert shape(chat.undo(4).redo()) == ["a"]


@pytest.mark.parametrize("count", [0, 2])
def test_redo_goes_no_farther_than_it_was(count: int) -> None:
    """There is nothing to redo beyond the turn that was undone."""
    with pytest.raises(ChatError, match="nothing to redo"):
        chain("a", "b").undo().redo(count)


def test_a_new_turn_ends_redo() -> None:
    """After an undo and a new turn the old future is a branch, and no longer ahead."""
    chat = chain("a", "b").undo()
    with pytest.raises(ChatError, match="nothing to redo"):
        chat.with_turn(Turn("c", "c", "a")).redo()


def test_a_fork_leaves_the_other_conversation_alone() -> None:
    """A fork begins with the same turns and goes its own way."""
    chat = chain("a", "b").fork("try")
    chat = chat.with_turn(Turn("c", "c", chat.head, conversation="try"))
    assert shape(chat) == ["a", "b", "c"]
    assert shape(chat.switch_to("main")) == ["a", "b"]
    with pytest.raises(ChatError, match="already"):
        chat.fork("main")


def test_another_variant_comes_back_with_what_followed_it() -> None:
    """Run again, the first cell has two variants; the old one still leads to its later turns."""
    chat = rerun(chain("a", "b", "c"), "a", "a2")
    assert shape(chat) == ["a2"]
    back = chat.with_variant(1)
    assert shape(back) == ["a", "b", "c"]
    assert shape(back.with_variant(2)) == ["a2"]
    assert back.count_descendants(back.turns["a"]) == 2


def test_a_rerun_after_choosing_a_variant_follows_it() -> None:
    """What a cell shows is what the next run of the cell below follows."""
    chat = rerun(rerun(chain("a", "b"), "a", "a2"), "b", "b2")
    assert shape(chat) == ["a2", "b2"]
    assert shape(rerun(chat.with_variant(1), "b", "b3")) == ["a", "b3"]


def test_any_number_of_run_alls_gives_parallel_chains() -> None:
    """Three runs of three cells are three chains of one shape, and the last is in use."""
    chat = chain("a", "b", "c")
    for run in "23":
        for cell in "abc":
            chat = rerun(chat, cell, cell + run)
    assert shape(chat) == ["a3", "b3", "c3"]
    assert [shape(chat.with_variant(n)) for n in (1, 2)] == [["a", "b", "c"], ["a2", "b2", "c2"]]


@pytest.mark.parametrize(("number", "says"), [(0, "1 to 2"), (3, "1 to 2")])
def test_a_variant_that_is_not_there_is_an_error(number: int, says: str) -> None:
    """The line says how many there are."""
    with pytest.raises(ChatError, match=says):
        rerun(chain("a"), "a", "a2").with_variant(number)


def test_without_variants_there_is_none_to_choose() -> None:
    """The line says how one comes about."""
    with pytest.raises(ChatError, match="running a cell again"):
        chain("a", "b").with_variant(1)


def test_a_conversation_without_some_turns() -> None:
    """What hung on them becomes a root, heads on them fall back, and no cell shows them."""
    chat = chain("a", "b", "c").fork("other")
    left = chat.remove({"a", "c"}, "other")
    assert [turn.id for turn in left.turns.values()] == ["b"]
    assert left.turns["b"].parent is None
    assert (left.heads, left.name) == ({"main": None}, "main")
    assert "a" not in left.showing.values()
    assert Conversation().remove([], "main").heads == {"main": None}


def test_the_tree_shows_branches_heads_and_what_is_in_use() -> None:
    """A chain stays in its column; each branch of a fork has its own."""
    chat = rerun(chain("a", "b", "c"), "b", "b2")
    assert tree_text(chat).split("\n") == [
        "* a → a",
        "  ├ b → b",
        "  │ c → c",
        "* └ b2 → b2  < main",
    ]
    assert [row.number for row in tree_rows(chat)] == [1, None, None, 2]


def test_a_branch_of_a_branch_keeps_the_strokes_of_both() -> None:
    """The last branch leaves no bar behind; what broke off says so."""
    chat = rerun(rerun(chain("a", "b", "c"), "c", "c2"), "b", "b2")
    failed = replace(chat.turns["c"], reply=Reply(text="half", status="cut"))
    assert tree_text(chat.with_outcome(failed)).split("\n") == [
        "* a → a",
        "  ├ b → b",
        "  │ ├ c → half (cut)",
        "  │ └ c2 → c2",
        "* └ b2 → b2  < main",
    ]


def test_the_tree_of_a_long_chain_is_no_problem() -> None:
    """Five thousand turns in a row are five thousand lines in one column."""
    turns = {
        str(i): Turn(str(i), "p", str(i - 1) if i else None, reply=Reply(text="r"))
        for i in range(5000)
    }
    lines = tree_text(Conversation(turns, {"main": "4999"})).split("\n")
    assert len(lines) == 5000
    assert all(line.startswith("* p") for line in lines)


def tool_round(*calls: tuple[str, str, str], text: str = "") -> Round:
    """Return a round with these calls, each given its id, arguments and result."""
    return Round(
        text,
        "a thought",
        tuple(ToolCall(name, f"f{name}", arguments) for name, arguments, _ in calls),
        tuple(ToolResult(result) for _, _, result in calls),
    )


def asked(name: str, arguments: str) -> dict[str, Any]:
    """Return a call as it is sent back."""
    return {
        "id": name,
        "type": "function",
        "function": {"name": f"f{name}", "arguments": arguments},
    }


def test_calls_are_sent_back_with_their_results() -> None:
    """In their order, with what was said beside them, and without the reasoning."""
    told = tool_round(("1", '{"a": 1}', "one"), ("2", "{}", ""), text="Let me see.")
    assert round_messages(told) == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [asked("1", '{"a": 1}'), asked("2", "{}")],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "2", "content": "(nothing)"},
    ]
    assert round_messages(tool_round(("1", "{}", "x")))[0]["content"] is None


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (' {"a" : 1 } ', ' {"a" : 1 } '),
        ('{"a": 1', "{}"),
        ("", "{}"),
        ("[1]", "{}"),
        ('"{}"', "{}"),
        ("null", "{}"),
        ("f(1)", "{}"),
        ('{"a": ' + "9" * 5000 + "}", "{}"),
        ('{"a":' * 100_000, "{}"),
    ],
)
def test_arguments_that_are_no_object_are_sent_as_none(arguments: str, sent: str) -> None:
    """Servers refuse a conversation for them; all others are sent as they came."""
    call = round_messages(tool_round(("1", arguments, "x")))[0]["tool_calls"][0]
    assert call["function"]["arguments"] == sent


def test_an_objection_is_said_by_the_reader() -> None:
    """After the reply that it is about."""
    assert round_messages(Round('{"a":', "hm", objection="It breaks off.")) == [
        {"role": "assistant", "content": '{"a":'},
        {"role": "user", "content": "It breaks off."},
    ]


def test_the_rounds_of_a_turn_stand_between_prompt_and_reply() -> None:
    """In every turn on the path, and in the one that is being answered."""
    first = tool_round(("1", "{}", "one"))
    second = tool_round(("2", "{}", "two"))
    answered = Turn("a", "A", reply=Reply("Done.", rounds=(first, second)))
    assert turn_messages(answered) == [
        {"role": "user", "content": "A"},
        *round_messages(first),
        *round_messages(second),
        {"role": "assistant", "content": "Done."},
    ]
    open_ = Turn("b", "B", "a", system="S", reply=Reply(rounds=(first,)))
    assert request_messages((answered,), open_) == [
        {"role": "system", "content": "S"},
        *turn_messages(answered),
        {"role": "user", "content": "B"},
        *round_messages(first),
    ]


def test_a_turn_that_called_tools_and_said_nothing_is_sent() -> None:
    """Without an empty reply at its end."""
    told = tool_round(("1", "{}", "one"))
    turn = Turn("a", "A", reply=Reply(" </s>", last_chunk="</s>", rounds=(told,), status="stopped"))
    assert request_messages((turn,), Turn("b", "B")) == [
        {"role": "user", "content": "A"},
        *round_messages(told),
        {"role": "user", "content": "B"},
    ]


def test_roles_alternate_after_an_objection_that_had_no_answer() -> None:
    """Many servers refuse two messages of the reader's in a row."""
    told = Round('{"a":', objection="It breaks off.")
    turn = Turn("a", "A", reply=Reply(rounds=(told,), status="failed"))
    roles = [message["role"] for message in request_messages((turn,), Turn("b", "B"))]
    assert roles == ["user", "assistant", "user"]


def test_no_message_of_a_round_is_empty() -> None:
    """A reply of nothing that was objected to, as servers refuse an empty message."""
    for told in (Round(objection="It is empty."), Round()):
        turn = Turn("a", "A", reply=Reply("Hi", rounds=(told,)))
        assert all(message["content"] for message in request_messages((turn,), Turn("b", "B")))


def test_attachments_are_sent_with_their_prompt() -> None:
    """In later turns too; of an image whose data are not there, only that it was."""
    notes = Attachment("text", "n.txt", "2 characters", "hi")
    image = Attachment("image", "a.png", "image", "data:image/png;base64,AA")
    lost = Attachment("image", "b.png", "image")
    path = (Turn("a", "A", attachments=(image,), reply=Reply("1")),)
    sent = request_messages(path, Turn("b", "B", attachments=(notes, lost)))
    assert sent[0]["content"] == [
        {"type": "image_url", "image_url": {"url": image.content}},
        {"type": "text", "text": "A"},
    ]
    assert sent[2]["content"] == (
        "n.txt (2 characters):\n\n```\nhi\n```\n\n"
        "(b.png was attached here; what it held was not kept.)\n\nB"
    )
