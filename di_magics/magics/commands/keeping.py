"""The commands that save, load and forget conversations."""

from __future__ import annotations

from pathlib import Path

from di_magics.core.conversation import transcript
from di_magics.core.conversation.record import rebuild_conversation
from di_magics.core.errors import ChatError
from di_magics.core.text import count_noun
from di_magics.core.visible import one_line
from di_magics.display.markdown import to_markdown
from di_magics.magics.commands.command import (
    Context,
    command,
    incomplete,
    say,
    say_history,
    take_switch,
    write_file,
)
from di_magics.magics.commands.conversing import check_name
from di_magics.runtime.files import os_error_reason, read_bounded
from di_magics.storage.notebook import MAX_FILE_BYTES


@command("save FILE [--overwrite]", "write this conversation to a .md, .json or .ipynb file")
def save(context: Context, rest: str) -> None:
    """%chat load FILE reads it back, in this notebook or another one."""
    arguments = rest.split(" ")
    overwrite = take_switch(arguments, "--overwrite")
    path = Path(" ".join(arguments) or incomplete("save chat.md")).expanduser()
    turns = context.session.conversation.path()
    if not turns:
        raise ChatError("This conversation has no turns yet. Ask in a %%chat cell first.")
    text = transcript.write_transcript(turns, path.suffix, to_markdown)
    own = context.session.notebook.locate().path
    if own and Path(own).resolve() == path.resolve():
        raise ChatError(
            f"{one_line(path, 160)} is this notebook, which has the conversation already. "
            "Choose another name."
        )
    write_file(path, text, overwrite=overwrite)
    say(f"{count_noun(len(turns), 'turn')} saved in {one_line(path, 160)}")


@command("load FILE", "continue the conversation in a notebook, or in a saved .md or .json file")
def load(context: Context, rest: str) -> None:
    """A notebook needs no %chat save for this: its outputs hold the turns. The conversation gets a
    new name, and %chat use goes back.
    """
    path = Path(rest or incomplete("load other.ipynb")).expanduser()
    try:
        data = read_bounded(path, MAX_FILE_BYTES, rest, transcript.SUFFIXES)
    except OSError as error:
        raise ChatError(
            f"{one_line(path, 160)} cannot be read ({os_error_reason(error)}). Give the path of a "
            "file: %chat load FILE."
        ) from None
    text = data.decode("utf-8", "replace")
    loaded, problems = rebuild_conversation(transcript.read_transcript(text, path.suffix))
    if not loaded.turns:
        raise ChatError(
            f"{one_line(path, 160)} has no turns of a conversation. Load a notebook with replies, "
            "or a file that "
            "%chat save has written."
        )
    before = context.session.conversation.name
    context.session.notebook.join(loaded, path.stem)
    for problem in problems:
        say(f"left out: {problem}")
    say(f"Conversation {context.session.conversation.name} starts. %chat use {before} goes back.")
    say_history(context.session.conversation)


@command(
    "forget [NAME|--all] [--yes]",
    "delete a conversation, or those of all notebooks, after a question; costs are kept",
)
def forget(context: Context, rest: str) -> None:
    """Deletes the turns on disk for good; with --yes it does not ask before. The outputs of
    notebooks stay: Edit, Clear Outputs of All Cells removes them.
    """
    conversation = context.session.conversation
    arguments = rest.split()
    yes = take_switch(arguments, "--yes")
    name = " ".join(arguments) or conversation.name
    everything = name == "--all"
    if not everything:
        check_name(conversation, name)
    what = "all conversations of all notebooks" if everything else f"conversation {name}"
    if not yes and not context.asking.confirm(f"Delete {what} for good?"):
        say("Nothing was deleted.")
        return
    count = context.session.notebook.forget(None if everything else name)
    say(f"{count_noun(count, 'turn')} deleted. The outputs of notebooks stay until you clear them.")
