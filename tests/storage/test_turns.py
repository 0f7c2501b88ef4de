"""A notebook's turns on disk come back as they were, and are gone when they are forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from stored import DONE, begin, keep, turn

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.cells import NotebookLocation
from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.record import METADATA_KEY
from di_magics.core.errors import StoreError
from di_magics.core.logprobs import TokenProbability
from di_magics.storage.database import Database, update_notebook
from di_magics.storage.journal import Journal
from di_magics.storage.ledger import Ledger
from di_magics.storage.notebook import find_notebook
from di_magics.storage.turns import Turns


def test_a_conversation_comes_back_as_it_was(turns: Turns, store: Database, tmp_path: Path) -> None:
    """Turns, heads, and what each cell shows survive the process."""
    chat = keep(store, turn("a"), turn("b", "a")).undo().fork("other")
    turns.save_state(chat).result()
    store.close()
    again = Database(tmp_path)
    assert Turns(again, "n").load() == chat
    again.close()


def test_half_a_surrogate_pair_can_be_kept(store: Database, turns: Turns) -> None:
    """JSON may hold one, UTF-8 cannot; the rest of the text is as it was."""
    keep(store, replace(turn("a"), prompt="a\ud83d", reply=replace(DONE, text="b\udc00")))
    found = turns.load().turns["a"]
    assert (found.prompt, found.reply.text) == ("a?", "b?")


def test_two_kernels_keep_what_the_other_shows(store: Database, turns: Turns) -> None:
    """Cells and conversations that only one of them has stay."""
    one = keep(store, turn("a"))
    begin(Journal(store), turn("b"))
    other = Conversation().with_turn(replace(turn("b"), conversation="other"))
    turns.save_state(other).result()
    found = turns.load()
    assert found.shown_turns == {**one.shown_turns, **other.shown_turns}
    assert found.heads == {"main": "a" if found.heads["main"] else None, "other": "b"}


def test_what_is_forgotten_is_gone_from_the_file(turns: Turns, store: Database) -> None:
    """No byte of prompt or reply is left; the costs are."""
    secret = replace(turn("a"), prompt="a-secret-prompt", reply=replace(DONE, text="its-reply"))
    keep(store, secret, turn("b", "a"))
    turns.forget(["a"], "other")
    turns.vacuum()
    assert Ledger(store, "n").entries()[0].cost == DONE.cost
    store.close()
    assert store.path
    data = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert b"a-secret-prompt" not in data
    assert b"its-reply" not in data


def test_a_turn_that_followed_a_forgotten_one_stays(store: Database, turns: Turns) -> None:
    """It is a root from then on."""
    keep(store, turn("a"), turn("b", "a"))
    turns.forget(["a"], "other")
    assert [item.id for item in turns.load().path()] == ["b"]


def test_a_forgotten_conversation_does_not_come_back(store: Database, turns: Turns) -> None:
    """Not even by its name, where another conversation has the same head."""
    chat = keep(store, turn("a")).fork("other")
    turns.save_state(chat).result()
    turns.save_state(replace(chat, heads={"main": "a"}, name="main")).result()
    assert "other" in turns.load().heads
    turns.forget([], "other")
    assert turns.load().heads == {"main": "a"}


def test_all_can_be_forgotten(store: Database, turns: Turns) -> None:
    """Those of every notebook."""
    keep(store, turn("a"), turn("b", "a"))
    assert turns.forget_all() == 2
    assert turns.load().turns == {}


def copy_notebook(store: Database, folder: Path) -> None:
    """Copy the file of notebook "n", and run a cell in the copy."""
    original, copied = folder / "a.ipynb", folder / "b.ipynb"
    outputs = [{"metadata": {METADATA_KEY: {"notebook": "n", "turn": "b"}}}]
    for file in (original, copied):
        file.write_text(json.dumps({"cells": [{"id": "c", "outputs": outputs}]}))
    store.write(lambda db: update_notebook(db, "n", path=str(original.resolve()))).result()
    assert find_notebook(store, NotebookLocation(str(copied), "c"), "copy")


def test_a_copy_has_ids_of_its_own_and_costs_nothing(
    turns: Turns, store: Database, tmp_path: Path
) -> None:
    """A copied notebook begins with the same turns and budget and does not pay a second time."""
    keep(store, turn("a"), turn("b", "a"))
    Ledger(store, "n").budget = Decimal("0.5")
    copy_notebook(store, tmp_path)
    path = Turns(store, "copy").load().path()
    assert [item.prompt for item in path] == ["prompt a", "prompt b"]
    assert {item.id for item in path}.isdisjoint({"a", "b"})
    assert Ledger(store, "copy").entries() == []
    assert Ledger(store, "copy").budget == Decimal("0.5")
    assert [item.id for item in turns.load().path()] == ["a", "b"]


def test_a_row_that_is_not_json_is_an_error(turns: Turns, store: Database) -> None:
    """It names the file that was edited by hand."""
    keep(store, turn("a"))
    store.write(lambda db: db.execute("UPDATE turns SET identity = 'no'")).result()
    with pytest.raises(StoreError, match=r"conversations\.sqlite3"):
        turns.load()


IMAGE = Attachment("image", "plot.png", "PNG image, 1 kB", "data:image/png;base64,QUJDREVG")
TEXT = Attachment("text", "notes", "text, 6 characters", "SECRET")


def test_attachments_come_back(turns: Turns, store: Database, tmp_path: Path) -> None:
    """The contents survive the process, and the ones of a copy are its own."""
    chat = keep(store, replace(turn("a"), attachments=(IMAGE, TEXT)), turn("b", "a"))
    copy_notebook(store, tmp_path)
    store.close()
    again = Database(tmp_path)
    assert Turns(again, "n").load() == chat
    (copied, _) = Turns(again, "copy").load().path()
    assert copied.attachments == (IMAGE, TEXT)
    again.close()


def test_an_adopted_turn_keeps_its_attachments(store: Database, turns: Turns) -> None:
    """A run of a grid that becomes the reply goes on to send its attachments."""
    begin(Journal(store), turn("a"))
    turns.adopt([replace(turn("b"), attachments=(TEXT,))])
    assert turns.load().turns["b"].attachments == (TEXT,)


@pytest.mark.parametrize("everything", [True, False])
def test_attachments_are_forgotten_with_their_turn(
    turns: Turns, store: Database, tmp_path: Path, everything: bool
) -> None:
    """No byte of it stays in the file."""
    keep(store, replace(turn("a"), attachments=(TEXT,)))
    if everything:
        turns.forget_all()
    else:
        turns.forget(["a"], "main")
    turns.vacuum()
    store.close()
    assert all(b"SECRET" not in file.read_bytes() for file in tmp_path.iterdir())


SECRET_TOKENS = (
    TokenProbability(
        " secret", -0.5, (TokenProbability(" other-word", -2.0, (), b"\xf0", 7),), None, 5
    ),
    TokenProbability("end", None),
)


# Tests storage/rows.
def test_log_probabilities_are_kept_and_copied_and_forgotten(
    turns: Turns, store: Database, tmp_path: Path
) -> None:
    """They are in the file alone, as long as their turn is."""
    keep(store, replace(turn("a"), reply=replace(DONE, logprobs=SECRET_TOKENS)), turn("b", "a"))
    copy_notebook(store, tmp_path)
    store.close()
    again = Database(tmp_path)
    kept, copies = Turns(again, "n"), Turns(again, "copy")
    assert kept.logprobs("a") == SECRET_TOKENS
    assert kept.logprobs("b") == ()
    (copied, _) = copies.load().path()
    assert copies.logprobs(copied.id) == SECRET_TOKENS
    kept.forget(["a"], "other")
    assert kept.logprobs("a") == ()
    copies.forget_all()
    assert copies.logprobs(copied.id) == ()
    rows = again.read(lambda db: db.execute("SELECT * FROM logprobs").fetchall())
    assert rows.result() == []
    again.close()


def test_an_adopted_turn_keeps_its_log_probabilities(store: Database, turns: Turns) -> None:
    """A run of a sweep that becomes the reply."""
    turns.adopt([replace(turn("a"), reply=replace(DONE, logprobs=SECRET_TOKENS))])
    assert turns.logprobs("a") == SECRET_TOKENS


def test_a_turn_that_is_not_kept_has_no_log_probabilities(store: Database, turns: Turns) -> None:
    """With --once only the costs are on disk."""
    journal = Journal(store)
    begin(journal, turn("a"), kept=False)
    journal.seal("a", replace(DONE, logprobs=SECRET_TOKENS)).result()
    assert turns.logprobs("a") == ()


def test_damaged_log_probabilities_are_an_error(store: Database, turns: Turns) -> None:
    """It names the file."""
    keep(store, replace(turn("a"), reply=replace(DONE, logprobs=SECRET_TOKENS)))
    store.write(lambda db: db.execute("UPDATE logprobs SET tokens = x'00'")).result()
    with pytest.raises(StoreError, match="damaged"):
        turns.logprobs("a")
