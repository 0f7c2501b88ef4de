"""The commands that look at a reply token by token."""

from __future__ import annotations

from dataclasses import replace

from di_magics.core.conversation.turn import Turn
from di_magics.core.errors import ParamError
from di_magics.core.settings.flags import split_line
from di_magics.core.shown.lens_text import parse_order
from di_magics.core.visible import one_line
from di_magics.magics.branching import lab_functions, lens_functions
from di_magics.magics.commands.command import (
    Context,
    command,
    parse_number,
    take_option,
    take_switch,
)
from di_magics.magics.commands.conversing import named_turn


@command(
    "lens [TURN | run K] [--score]",
    "the tokens of a reply by probability, and the alternatives to each",
)
def show_lens(context: Context, rest: str) -> None:
    """The reply needs log-probabilities: %%chat --logprobs, or %chat set logprobs=20.

    %chat lens          the last reply, also of --once or di.ask
    %chat lens run 5    a run of the last sweep
    With --score the built-in model reads its reply again, about 13 ms a token.
    """
    from di_magics.display.lens import Lens

    arguments = split_line(rest)
    read_again = take_switch(arguments, "--score")
    turn, name = _inspected_turn(context, arguments)
    inspector, handle = context.session.inspector, None
    if read_again:
        progress = context.asking.make_progress()
        data, handle = inspector.score_turn(turn, progress.update), progress.handle
    else:
        data = inspector.lens_data(turn)
    Lens(replace(data, name=name), **lens_functions(context.session, turn, data)).show(handle)


@command(
    "lab [TURN[:TOKEN] | run K] [--order ORDER]",
    "a reply's tokens with sliders: what other sampling settings would change",
)
def show_lab(context: Context, rest: str) -> None:
    """Nothing is sent: every position is computed in the browser.

    %chat lab 2:14                 from token 14 of turn 2
    %chat lab --order vllm         the filters in vLLM's order
    %chat lab --order top_p,temperature
    """
    from IPython.display import display

    from di_magics.display.lens import Lens

    arguments = split_line(rest)
    named = take_option(arguments, "--order", "lab --order vllm")
    order = None if named is None else parse_order(named)
    place, _, number = " ".join(arguments).partition(":")
    token = parse_number(number) if number else 1
    turn, name = _inspected_turn(context, place.split())
    data = replace(context.session.inspector.lens_data(turn), name=name)
    if not token or token > len(data.tokens):
        name = number if number.isdecimal() else repr(number)
        raise ParamError(
            f"The reply has no token {one_line(name, 40)}. Tokens are numbered 1 to "
            f"{len(data.tokens)}."
        )

    functions = lab_functions(context.asking, turn, data)
    display(Lens(data, lab=True, at=token - 1, order=order, **functions))


def _inspected_turn(context: Context, arguments: list[str]) -> tuple[Turn, str]:
    """Return the turn that these arguments name and what the header calls it.

    Without words it is the last one, even if it is not remembered.
    """
    last = context.session.notebook.last_once
    if last and not arguments:
        return last, "the last reply, not remembered"
    turn = named_turn(context, arguments)
    if arguments[:1] == ["run"]:
        return turn, f"run {int(arguments[1])} of the last sweep"
    return turn, f"turn {context.session.conversation.path().index(turn) + 1}"
