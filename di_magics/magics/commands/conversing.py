"""The commands that show the conversation and move in it."""

from __future__ import annotations

from dataclasses import replace

from di_magics.core.conversation.conversation import Conversation, readable_name
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError, ParamError
from di_magics.core.request import export
from di_magics.core.settings.flags import split_line
from di_magics.core.settings.params import suggest
from di_magics.core.text import count_noun
from di_magics.core.visible import one_line
from di_magics.display.views import FinalView, show
from di_magics.magics.commands.command import (
    Context,
    command,
    incomplete,
    parse_number,
    say,
    say_history,
)

SHORT_ID = 8
"""Characters of a turn's id, which no number of a turn has."""
EXPORTS = {"--request": export.as_json, "--curl": export.as_curl, "--python": export.as_python}


@command("history [--tree]", "the turns of this conversation, or all turns with their branches")
def show_history(context: Context, rest: str) -> None:
    """In the tree, bold turns (in plain text: *) are sent with the next question, and ◂ (in plain
    text: <) marks the end of every conversation.
    """
    conversation = context.session.conversation
    if rest == "--tree":
        from di_magics.display.tables import tree_output

        has_turns = bool(conversation.turns)
        show(tree_output(conversation)) if has_turns else say("There are no turns yet.")
        return
    if rest:
        raise ParamError(f"%chat history has no {one_line(rest, 40)!r}. It has only --tree.")
    say_history(conversation)


@command("show [TURN | run K] [--request|--curl|--python]", "a reply, or the request behind it")
def show_turn(context: Context, rest: str) -> None:
    """%chat show                the last reply and its receipt
    %chat show 2 --curl       the request of turn 2 as a command, without the key
    %chat show run 5          a run of the last sweep
    """
    arguments = split_line(rest)
    forms = [word for word in arguments if word.startswith("-")]
    for form in forms:
        if form not in EXPORTS:
            raise ParamError(
                f"%chat show has no {one_line(form, 40)}.{suggest(form, EXPORTS)} Use one of "
                f"{', '.join(EXPORTS)}."
            )
    turn = named_turn(context, [word for word in arguments if word not in forms])
    request = context.session.request(turn)
    if not forms:
        FinalView().close(replace(turn, reply=replace(turn.reply, request=request)), [])
    for form in forms:
        if turn.local and form != "--request":
            say("# PORT and LOCAL_KEY change at every start: use another endpoint instead.")
        to = context.session.routing.destination(turn.url, turn.endpoint)
        say(EXPORTS[form](request, to))


def named_turn(context: Context, arguments: list[str]) -> Turn:
    """Return the turn that `2` or `run 5` names, the last one without a name."""
    if arguments[:1] != ["run"]:
        return context.session.conversation.turn_at(parse_number(" ".join(arguments)))
    run = parse_number(" ".join(arguments[1:]))
    return context.asking.require_sweep().turn(incomplete("show run 0") if run is None else run)


@command("undo [N]", "take back the last turn, or N of them; they are kept and no longer sent")
def undo(context: Context, rest: str) -> None:
    """%chat redo goes forward again. Nothing is deleted: %chat forget does that."""
    before, count = context.session.conversation, _parse_count(rest)
    after, turns = before.undo(count), before.path()
    for number, turn in enumerate(turns[-count:], len(turns) - count + 1):
        say(f"taken back: {number} > {one_line(turn.prompt, 90)}")
    say("%chat redo goes forward again.\n")
    _use(context, after)


@command("redo [N]", "go forward again after undo or rewind")
def redo(context: Context, rest: str) -> None:
    _use(context, context.session.conversation.redo(_parse_count(rest)))


@command("rewind TURN", "go back to that turn of %chat history; the next one follows it")
def rewind(context: Context, rest: str) -> None:
    number = parse_number(rest or incomplete("rewind 2")) or 0
    _use(context, context.session.conversation.rewind(number))


@command("variant N", "continue with another variant of a turn, and the turns after it")
def use_variant(context: Context, rest: str) -> None:
    """A cell that runs again makes a variant, as %chat retry does. N counts the variants of the
    last turn that has several, as in its receipt; %chat history --tree shows all of them.
    """
    number = parse_number(rest or incomplete("variant 1")) or 0
    _use(context, context.session.conversation.with_variant(number))
    say("The next question continues this variant; the outputs of the cells stay as they are.")


@command("fork NAME [--at TURN]", "continue under another name; this conversation stays unchanged")
def fork(context: Context, rest: str) -> None:
    """%chat fork other           with all turns of this conversation
    %chat fork other --at 2    with its turns up to the second; *Fork* below a reply does so

    %chat use NAME switches to a conversation, %chat list shows all of them.
    """
    name, option, turn = (part.strip() for part in f" {rest} ".partition(" --at "))
    if not name or (option and not turn):
        incomplete("fork another-try --at 2" if option else "fork another-try")
    before = context.session.conversation
    at = _turn_at(before, turn) if turn else None
    after = context.session.notebook.update(lambda before: before.fork(name, at))
    start = f"with its turns up to {one_line(at.prompt, 60)!r}" if at else "as a copy"
    say(f"Conversation {after.name} starts {start}. %chat use {before.name} goes back.")


def _turn_at(conversation: Conversation, name: str) -> Turn:
    """Return the turn of that number, or whose id begins so, as the page names it."""
    if len(name) >= SHORT_ID:
        return conversation.find_turn(name)
    return conversation.turn_at(parse_number(name))


@command("new [NAME]", "start a new conversation; the old one is kept")
def start_new(context: Context, rest: str) -> None:
    before = context.session.conversation
    rest = readable_name(rest)
    if rest in before.heads:
        raise ChatError(f"Conversation {rest} exists already. %chat use {rest} switches to it.")
    after = context.session.notebook.update(lambda before: before.start(rest or None))
    say(f"Conversation {after.name} starts. %chat use {before.name} goes back.")


@command("use NAME", "continue another conversation")
def switch(context: Context, rest: str) -> None:
    conversation = context.session.conversation
    check_name(conversation, rest or incomplete(f"use {conversation.name}"))
    _use(context, conversation.switch_to(rest))


@command("list", "the conversations of this notebook")
def list_conversations(context: Context, rest: str) -> None:
    conversation = context.session.conversation
    for name, head in conversation.heads.items():
        turns = len(conversation.path(head)) if head else 0
        say(f"{'*' if name == conversation.name else ' '} {name}: {count_noun(turns, 'turn')}")


def check_name(conversation: Conversation, name: str) -> None:
    """Raise ChatError where there is no conversation of that name."""
    if name not in conversation.heads:
        raise ChatError(
            f"There is no conversation {one_line(name, 60)!r}.{suggest(name, conversation.heads)} "
            "%chat list shows them."
        )


def _use(context: Context, conversation: Conversation) -> None:
    context.session.notebook.update(lambda before: conversation)
    say_history(conversation)


def _parse_count(rest: str) -> int:
    number = parse_number(rest)
    return 1 if number is None else number
