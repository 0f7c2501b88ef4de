"""The commands that save, load and forget conversations."""

from __future__ import annotations

from pathlib import Path

from di_magics.core.conversation import transcript
from di_magics.core.conversation.record import rebuild_conversation
from di_magics.core.errors import ChatError
from di_magics.core.settings.params import suggest
from di_magics.core.text import one_line
from di_magics.magics.commands.answer import Words, count_noun, incomplete, say, say_history


class Keeping(Words):
    """Files, and what is on disk."""

    def save(self, rest: str) -> None:
        """save FILE [--overwrite]: write this conversation to a .md, .json or .ipynb file

        %chat load FILE reads it back, in this notebook or another one.
        """
        overwrite = rest.endswith(" --overwrite")
        path = Path(rest.removesuffix(" --overwrite") or incomplete("save chat.md")).expanduser()
        turns = self._session.conversation.path()
        if not turns:
            raise ChatError("There is nothing to save yet: this conversation has no turns.")
        text = transcript.write_transcript(turns, path.suffix)
        if path.exists() and not overwrite:
            raise ChatError(
                f"{path} is there already. Take another name, or %chat save {path} --overwrite."
            )
        if self._session.is_own_file(path):
            raise ChatError(f"{path} is this notebook: it holds the conversation already.")
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ChatError(f"{path} cannot be written: {error.strerror}.") from None
        say(f"{count_noun(len(turns), 'turn')} saved in {path}")

    def load(self, rest: str) -> None:
        """load FILE: go on with the conversation in a notebook, or in a saved .md or .json file

        A notebook needs no saving for this: its outputs hold their turns. The conversation comes
        under a name of its own, and %chat use goes back.
        """
        path = Path(rest or incomplete("load other.ipynb")).expanduser()
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise ChatError(f"{path} cannot be read: {error.strerror}.") from None
        found, problems = rebuild_conversation(transcript.read_transcript(text, path.suffix))
        if not found.turns:
            raise ChatError(f"There is no turn of a conversation in {path}.")
        chat = self._session.conversation
        self._session.join(found, path.stem)
        for problem in problems:
            say(f"left out: {problem}")
        say(f"Conversation {self._session.conversation.name}; %chat use {chat.name} goes back.")
        say_history(self._session.conversation)

    def forget(self, rest: str) -> None:
        """forget [NAME|--all]: delete a conversation, or those of all notebooks; costs are kept

        Deletes for good what is on disk. What stands in the outputs of notebooks stays there: Edit,
        Clear Outputs of All Cells removes it.
        """
        chat = self._session.conversation
        name = rest or chat.name
        if rest != "--all" and name not in chat.heads:
            raise ChatError(
                f"There is no conversation {one_line(rest, 60)!r}.{suggest(rest, chat.heads)} "
                "%chat list shows them."
            )
        count = self._session.forget(None if rest == "--all" else name)
        say(
            f"{count_noun(count, 'turn')} deleted. What is in the outputs of notebooks stays there."
        )
