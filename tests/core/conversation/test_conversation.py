"""The conversation: a tree that only grows, and heads that move."""

from __future__ import annotations

from dataclasses import replace

import pytest

from di_magics.core.conversation.cells import Cell
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import MAIN, Turn, check_continuable
from di_magics.core.errors import ChatError
from di_magics.core.reply.reply import LIMIT_REASONS, Reply, Round
from di_magics.core.shown.notes import variant_notes
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


def test_new_cell_follows_the_head() -> None:
    """Each new cell follows the head."""
    notebook = Notebook()
    assert [notebook.run(cell) for cell in "abc"] == ["a1", "a1 b1", "a1 b1 c1"]


def test_a_rerun_is_a_variant() -> None:
    """The new turn takes the old one's place, and nothing is sent twice."""
    notebook = Notebook()
    for cell in "abc":
        notebook.run(cell)
    assert notebook.run("b") == "a1 b2"
    assert notebook.variants() == "b1 b2"
    assert notebook.run("c") == "a1 b2 c2"


def test_every_run_all_makes_a_chain_of_the_same_shape() -> None:
    """What is sent is what stands above on the screen."""
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
    """Where the cell above has a newer turn below this one, its old turn is followed."""
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
    """Its turn follows the head of the named conversation, which is in use from then on."""
    notebook = Notebook()
    notebook.run("a")
    assert notebook.run("a", "other") == "a2"
    assert notebook.chat.name == "other"
    assert notebook.run("b", "other") == "a2 b1"
    assert notebook.run("c", MAIN) == "a1 c1"
    assert notebook.run("b") == "a2 b2"
    assert notebook.chat.name == "other"


def test_a_new_conversation_is_empty_and_has_the_next_name() -> None:
    """`chat-2`, `chat-3`, or the name that was given; the old ones are kept."""
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
    """The default is the last one; another number is refused with the range."""
    chat = Conversation()
    with pytest.raises(ChatError, match="no turns yet"):
        chat.turn_at(None)
    notebook = Notebook()
    notebook.run("a")
    notebook.run("b")
    numbers = (None, 1, 2)
    assert [notebook.chat.turn_at(n).prompt for n in numbers] == ["b1", "a1", "b1"]
    for number in (0, 3, -1):
        with pytest.raises(ChatError, match="1 to 2"):
            notebook.chat.turn_at(number)


def test_the_turns_that_follow_one_are_counted() -> None:
    """Directly or not, variants and all."""
    notebook = Notebook()
    for cell in "abcb":
        notebook.run(cell)
    first = notebook.turns[0]
    assert notebook.chat.count_descendants(first) == 3
    assert notebook.chat.count_descendants(notebook.turns[2]) == 0


def test_a_late_reply_moves_no_head() -> None:
    """It goes to its turn, wherever the head is now."""
    notebook = Notebook()
    notebook.run("a")
    turn = notebook.turns[0]
    notebook.chat = notebook.chat.undo().with_outcome(replace(turn, reply=Reply("Hi")))
    assert notebook.chat.head is None
    assert notebook.chat.turns[turn.id].reply.text == "Hi"


def chain(*ids: str) -> Conversation:
    """Return a conversation of turns that follow one another, each in a cell of its name."""
    chat, parent = Conversation(), None
    for item in ids:
        chat = chat.with_turn(
            Turn(item, item, parent, Cell(item), reply=Reply(text=item, status="done"))
        )
        parent = item
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
    """After an undo and a new turn the undone turn is on another branch."""
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


def test_a_fork_begins_with_the_turns_up_to_any_turn() -> None:
    """Also one of another conversation, or one that was run again since."""
    chat = rerun(chain("a", "b", "c"), "a", "a2")
    assert shape(chat.fork("try", chat.find_turn("b"))) == ["a", "b"]
    for name in ("x", ""):  # no turn, and several
        with pytest.raises(ChatError, match="no turn"):
            chat.find_turn(name)


def test_another_variant_comes_back_with_what_followed_it() -> None:
    """Run again, the first cell has two variants; the old one still leads to its later turns."""
    chat = rerun(chain("a", "b", "c"), "a", "a2")
    assert shape(chat) == ["a2"]
    back = chat.with_variant(1)
    assert shape(back) == ["a", "b", "c"]
    assert shape(back.with_variant(2)) == ["a2"]
    assert back.count_descendants(back.turns["a"]) == 2


def test_a_turn_that_failed_is_no_variant() -> None:
    """A cell that is run again until it works has one; while it has failed, the last is there."""
    failed = Reply(status="failed")
    chat = rerun(rerun(chain("a"), "a", "a2"), "a", "a3")
    chat = chat.with_outcome(replace(chat.turns["a2"], reply=failed))
    assert [turn.id for turn in chat.variants(chat.turns["a3"])] == ["a", "a3"]
    chat = chat.with_outcome(replace(chat.turns["a3"], reply=failed))
    assert [turn.id for turn in chat.variants(chat.turns["a3"])] == ["a", "a3"]
    assert variant_notes(chat, chat.turns["a3"]) == []
    assert shape(chat.with_variant(1)) == ["a"]
    assert [turn.id for turn in chat.variants(chat.turns["a"])] == ["a"]


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
    """The error says how many there are."""
    with pytest.raises(ChatError, match=says):
        rerun(chain("a"), "a", "a2").with_variant(number)


def test_without_variants_there_is_none_to_choose() -> None:
    """The error says how to make one."""
    with pytest.raises(ChatError, match="Run a cell again"):
        chain("a", "b").with_variant(1)


def test_turns_can_be_removed() -> None:
    """A turn whose parent is removed is a root; no head and no cell keeps a removed turn."""
    chat = chain("a", "b", "c").fork("other")
    left = chat.remove({"a", "c"}, "other")
    assert [turn.id for turn in left.turns.values()] == ["b"]
    assert left.turns["b"].parent is None
    assert (left.heads, left.name) == ({"main": None}, "main")
    assert "a" not in left.shown_turns.values()
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
    """Below the last branch is no bar; a reply that broke off has its status."""
    chat = rerun(rerun(chain("a", "b", "c"), "c", "c2"), "b", "b2")
    failed = replace(chat.turns["c"], reply=Reply(text="half", status="cut"))
    assert tree_text(chat.with_outcome(failed)).split("\n") == [
        "* a → a",
        "  ├ b → b",
        "  │ ├ c → half (cut)",
        "  │ └ c2 → c2",
        "* └ b2 → b2  < main",
    ]


def test_a_long_chain_has_a_tree_of_one_column() -> None:
    """Five thousand turns in a row do not reach the limit of recursion."""
    turns = {
        str(i): Turn(str(i), "p", str(i - 1) if i else None, reply=Reply(text="r"))
        for i in range(5000)
    }
    lines = tree_text(Conversation(turns, {"main": "4999"})).split("\n")
    assert len(lines) == 5000
    assert all(line.startswith("* p") for line in lines)


def test_a_new_conversation_is_another_one_and_a_variant_of_its_own_first_turn() -> None:
    """A second run of a cell with `--new` asks again; it does not begin a third conversation."""
    first = Turn("1", "a", cell=Cell("a"))
    chat = Conversation().with_turn(first)
    name, parent = chat.place_turn(Cell("b"), new=True)
    assert (name != first.conversation, parent) == (True, None)
    chat = chat.with_turn(Turn("2", "b", cell=Cell("b"), conversation=name))
    assert chat.place_turn(Cell("b"), new=True) == (name, None)


def test_a_turn_in_place_of_another_has_its_parent() -> None:
    """A retry is a variant, whatever cell it runs in."""
    first, second = Turn("1", "a"), Turn("2", "b", parent="1")
    chat = Conversation().with_turn(first).with_turn(second)
    assert chat.place_turn(Cell("x"), replaces=second) == (second.conversation, "1")
    assert chat.place_turn(Cell("x"), once=True)[1] is None


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        *((Reply("a", status="done", finish_reason=reason), None) for reason in LIMIT_REASONS),
        (Reply("a", status="done", finish_reason="loop"), None),
        (Reply("a", status="stopped"), None),
        (Reply("a", status="cut"), None),
        (Reply("a", status="done", finish_reason="stop"), "is complete"),
        (Reply("a", status="done"), "is complete"),
        (Reply(" ", status="stopped"), "no text"),
        (Reply("a", status="stopped", rounds=(Round("b"),)), "after tool calls"),
    ],
)
def test_only_a_reply_that_was_cut_off_can_be_continued(reply: Reply, problem: str | None) -> None:
    """By max_tokens, Stop, a broken connection, or our own end of a loop."""
    turn = Turn("t", "hi", reply=reply)
    if problem is None:
        check_continuable(turn)
        return
    with pytest.raises(ChatError, match=problem):
        check_continuable(turn)
