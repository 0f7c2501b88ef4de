"""The commands that compare replies: of a sweep, of one request repeated, of two turns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from di_magics.core.conversation.conversation import Conversation
from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ChatError, ParamError
from di_magics.core.settings.counts import parse_positive
from di_magics.core.settings.flags import split_line
from di_magics.core.settings.params import suggest
from di_magics.core.shown.notes import adopted_notes
from di_magics.core.sweep.difference import compare_texts, count_texts, first_difference
from di_magics.core.text import count_noun
from di_magics.core.visible import one_line
from di_magics.display.views import FinalView, show
from di_magics.magics import branching
from di_magics.magics.commands.command import (
    Context,
    already_exists,
    cannot_write,
    command,
    incomplete,
    say,
    take_option,
    take_switch,
)
from di_magics.session.inspector import BRANCH_TOKENS

BRANCH_FLAGS = ("--token", "--rank", "-n", "--max-tokens")
BRANCHES = 8
BEST_EFFORT = "A seed is best effort: the server's batching and rounding may still change a reply."


@command("repeat N [--yes]", "send the last request N times, and show where the replies differ")
def repeat(context: Context, rest: str) -> None:
    """The replies are not part of the conversation; %chat adopt K adds reply K."""
    from di_magics.display.tables import repeats_output

    arguments = split_line(rest) or incomplete("repeat 5")
    yes = take_switch(arguments, "--yes")
    count = parse_positive("%chat repeat", " ".join(arguments))
    turn = context.session.conversation.turn_at()
    sweep = context.asking.repeat(turn, count, yes=yes)
    texts = [reply.clean_text for reply in sweep.replies if reply and reply.complete]
    seeded = f" {BEST_EFFORT}" if "seed" in turn.params else " No seed was set."
    if first_difference(texts) is None:
        verdict = f"{len(texts)} of {count} replies, all identical."
    else:
        verdict = f"{len(count_texts(texts))} different replies in {len(texts)}."
    show(repeats_output(texts, verdict + seeded))


@command(
    "diff [A B | run A B]",
    "compare two turns, two runs of the last sweep, or the last two variants",
)
def show_difference(context: Context, rest: str) -> None:
    from di_magics.display.tables import comparison_output

    arguments = split_line(rest)
    conversation = context.session.conversation
    if arguments[:1] == ["run"]:
        one, other = _parse_two(arguments[1:], "diff run 0 1")
        sweep = context.asking.require_sweep()
        turns, kind = (sweep.turn(one), sweep.turn(other)), "run"
    elif arguments:
        one, other = _parse_two(arguments, "diff 1 2")
        turns, kind = (conversation.turn_at(one), conversation.turn_at(other)), "turn"
    else:
        variants = _last_variants(conversation)
        one, other = len(variants) - 1, len(variants)
        turns, kind = (variants[-2], variants[-1]), "variant"
    parts = compare_texts(*(turn.reply.clean_text for turn in turns))
    show(comparison_output(parts, (f"{kind} {one}", f"{kind} {other}")))


def _parse_two(numbers: Sequence[str], example: str) -> tuple[int, int]:
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        incomplete(example)
    return int(numbers[0]), int(numbers[1])


def _last_variants(conversation: Conversation) -> tuple[Turn, ...]:
    for turn in reversed(conversation.path()):
        if len(variants := conversation.variants(turn)) > 1:
            return variants
    raise ChatError("No turn has variants yet. %chat diff 1 2 compares two turns.")


@command(
    "plot [Y [X]] [--out FILE [--overwrite]]",
    "plot a measure of the last sweep against a varied parameter",
)
def plot(context: Context, rest: str) -> None:
    """%chat plot diversity                 how much the replies at each value differ
    %chat plot cost model --out cost.svg
    """
    from di_magics.display.plot import figure_output

    names = split_line(rest)
    file = take_option(names, "--out", "plot --out plot.svg")
    overwrite = take_switch(names, "--overwrite")
    if len(names) > 2:
        raise ParamError(
            f"%chat plot has no {one_line(' '.join(names[2:]), 60)!r}. Write %chat plot Y X."
        )
    figure = context.asking.require_sweep().plot(*names)
    if file is None:
        show(*figure_output(figure))
        return
    out = Path(file)
    if out.suffix not in (".png", ".svg"):
        raise ParamError(f"A plot's file must end in .png or .svg, not {one_line(out, 80)!r}.")
    if not overwrite and os.path.lexists(out.expanduser()):
        raise already_exists(out)
    try:
        figure.savefig(out.expanduser())
    except OSError as error:
        raise cannot_write(out, error) from None
    say(f"saved in {one_line(out, 160)}")


@command(
    "branch TURN:TOKEN [--token TEXT | --rank N] [-n 8] [--max-tokens 20]",
    "continue a reply from one of its tokens, several times, side by side",
)
def branch(context: Context, rest: str) -> None:
    """%chat branch 2:14                 continue turn 2 from its token 14
    %chat branch 2:14 --rank 2        with the second likeliest token there
    %chat branch 2:14 --token " fox"
    The replies are not part of the conversation; %chat adopt K adds reply K. The current settings
    are used. On a local model it is exact, because token ids are continued.
    """
    example = "branch 2:14 --rank 2"
    arguments = split_line(rest)
    text, rank, count, longest = (take_option(arguments, flag, example) for flag in BRANCH_FLAGS)
    place = arguments.pop(0) if arguments and arguments[0][:1] != "-" else incomplete(example)
    if arguments:
        name = arguments[0].partition("=")[0]
        raise ParamError(
            f"%chat branch has no flag {one_line(name, 40)}.{suggest(name, BRANCH_FLAGS)} "
            "%chat help branch lists them."
        )
    number, _, token = place.partition(":")
    turn = context.session.conversation.turn_at(parse_positive("The turn", number))
    if remark := branching.name_continuing(context.session, turn):
        say(remark)
    branching.branch(
        context.asking,
        turn,
        parse_positive("The token", token) - 1,
        BRANCHES if count is None else parse_positive("-n", count),
        token=text,
        rank=None if rank is None else parse_positive("--rank", rank),
        max_tokens=BRANCH_TOKENS if longest is None else parse_positive("--max-tokens", longest),
    )


@command("adopt K", "make run K of the last sweep the last turn of the conversation")
def adopt(context: Context, rest: str) -> None:
    if not rest.isdecimal():
        incomplete("adopt 0")
    sweep, run = context.asking.require_sweep(), int(rest)
    turn = sweep.turn(run)
    if turn.id in context.session.conversation.turns:
        raise ChatError(f"Run {run} is in the conversation already. %chat history shows it.")
    before = context.session.conversation
    context.session.notebook.adopt(turn)
    notes = adopted_notes(before, context.session.conversation, turn)
    FinalView().close(turn, [f"run {run} of {count_noun(len(sweep), 'run')}", *notes])
