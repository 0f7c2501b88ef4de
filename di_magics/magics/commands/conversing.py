"""The commands that look at the conversation, and move in it."""

from __future__ import annotations

from dataclasses import replace

from di_magics.core.conversation.conversation import Turn
from di_magics.core.errors import ChatError, ParamError
from di_magics.core.request import export
from di_magics.core.settings.flags import split_line
from di_magics.core.settings.params import suggest
from di_magics.core.text import one_line
from di_magics.display.views import FinalView
from di_magics.magics.commands.answer import (
    Words,
    count_noun,
    incomplete,
    parse_number,
    say,
    say_history,
    show,
)

EXPORTS = {"--request": export.as_json, "--curl": export.as_curl, "--python": export.as_python}


class Conversing(Words):
    """History, back and forth, and other conversations."""

    def history(self, rest: str) -> None:
        """history [--tree]: the turns of this conversation, or all turns with their branches

        In the tree, bold turns (in plain text: *) are what the next question is sent with, and ◂
        (in plain text: <) marks where each conversation stands.
        """
        chat = self._session.conversation
        if rest == "--tree":
            from di_magics.display.final import tree_output

            show(tree_output(chat)) if chat.turns else say("There are no turns yet.")
            return
        if rest:
            raise ParamError(f"%chat history takes --tree or nothing, not {one_line(rest, 40)!r}.")
        say_history(chat)

    def show(self, rest: str) -> None:
        """show [TURN | run K] [--request|--curl|--python]: a reply, or the request behind it

        %chat show                the last reply and its receipt
        %chat show 2 --curl       the request of turn 2 as a command; the key stays out of it
        %chat show run 5          a run of the last grid
        """
        words = split_line(rest)
        forms = [word for word in words if word.startswith("-")]
        for form in forms:
            if form not in EXPORTS:
                raise ParamError(f"%chat show has no {one_line(form, 40)}.{suggest(form, EXPORTS)}")
        named = [word for word in words if word not in forms]
        if named[:1] == ["run"]:
            turn = self._run(" ".join(named[1:]))
        else:
            turn = self._session.conversation.turn_at(parse_number(" ".join(named)))
        if not forms:
            # The request is derived anew: a turn of before does not carry it.
            reply = replace(turn.reply, request=self._session.request(turn))
            FinalView().close(replace(turn, reply=reply), [])
        for form in forms:
            url, key_variable = self._session.routes.address(turn.url)
            if turn.local and form != "--request":
                say("# PORT and LOCAL_KEY change at each start: put another endpoint there.")
            say(EXPORTS[form](self._session.request(turn), url, key_variable))

    def _run(self, text: str) -> Turn:
        run, sweep = parse_number(text), self._actions.sweep
        if run is None:
            incomplete("show run 0")
        if sweep is None:
            raise ChatError("There is no grid yet: %%chat --vary temperature=0,1 makes one.")
        return sweep.turn(run)

    def undo(self, rest: str) -> None:
        """undo [N]: take the last turn back, or N of them; they are kept and no longer sent

        %chat redo goes forward again. Nothing is deleted: %chat forget does that.
        """
        self._session.conversation = self._session.conversation.undo(_count(rest))
        say_history(self._session.conversation)

    def redo(self, rest: str) -> None:
        """redo [N]: go forward again after undo or rewind"""
        self._session.conversation = self._session.conversation.redo(_count(rest))
        say_history(self._session.conversation)

    def rewind(self, rest: str) -> None:
        """rewind TURN: go back to that turn of %chat history; the next one follows it"""
        turn = parse_number(rest or incomplete("rewind 2")) or 0
        self._session.conversation = self._session.conversation.rewind(turn)
        say_history(self._session.conversation)

    def variant(self, rest: str) -> None:
        """variant N: go on with another variant of a turn, and what followed it

        A cell that runs again makes a variant, as %chat retry does. N counts those of the last turn
        that has any, as its receipt says; %chat history --tree shows all of them.
        """
        variant = parse_number(rest or incomplete("variant 1")) or 0
        self._session.conversation = self._session.conversation.with_variant(variant)
        say_history(self._session.conversation)
        say("This is what the next question is sent with; the cells show what they showed before.")

    def fork(self, rest: str) -> None:
        """fork NAME: go on under another name; this conversation stays as it is

        %chat use NAME goes from one to the other, %chat list shows them.
        """
        name = rest or incomplete("fork another-try")
        before = self._session.conversation.name
        self._session.conversation = self._session.conversation.fork(name)
        say(f"Conversation {name} begins as a copy. %chat use {before} goes back.")

    def new(self, rest: str) -> None:
        """new [NAME]: start a new conversation; the old one is kept"""
        chat = self._session.conversation
        if rest in chat.heads:
            raise ChatError(f"There is a conversation {rest} already: %chat use {rest}.")
        self._session.conversation = chat.start(rest or None)
        name = self._session.conversation.name
        say(f"Conversation {name} begins. %chat use {chat.name} goes back.")

    def use(self, rest: str) -> None:
        """use NAME: go on with another conversation"""
        chat = self._session.conversation
        if not rest:
            incomplete(f"use {chat.name}")
        if rest not in chat.heads:
            raise ChatError(
                f"There is no conversation {one_line(rest, 60)!r}.{suggest(rest, chat.heads)} "
                "%chat list shows them."
            )
        self._session.conversation = chat.switch_to(rest)
        say_history(self._session.conversation)

    def list(self, rest: str) -> None:
        """list: the conversations of this notebook"""
        chat = self._session.conversation
        for name, head in chat.heads.items():
            turns = len(chat.path(head)) if head else 0
            say(f"{'*' if name == chat.name else ' '} {name}: {count_noun(turns, 'turn')}")


def _count(rest: str) -> int:
    found = parse_number(rest)
    return 1 if found is None else found
