"""The commands that ask, and those that use the last reply."""

from __future__ import annotations

from di_magics.core.errors import ParamError
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.flags import flags_help, parse_flags, split_ask
from di_magics.display.sweep import Sweep
from di_magics.magics.commands.command import Context, command, incomplete, refuse_flags, say


@command("ask [flags] TEXT", "ask in one line; TEXT may end in a question mark")
def ask(context: Context, rest: str) -> Reply | Sweep | None:
    """reply = %chat ask Name a colour.     keeps the reply in a variable
    %chat ask -t 0 --once Name a colour.    with the flags of %%chat, before the text
    """
    typed, text = split_ask(rest)
    flags = parse_flags(typed)
    if flags.help:
        say(flags_help())
        return None
    return context.asking.run(flags, text or incomplete("ask What is the capital of France?"))


@command("panel [--side]", "a panel with model, parameters and costs")
def show_panel(context: Context, rest: str) -> None:
    """With --side it is shown in the right sidebar of JupyterLab and Notebook 7. It can be open
    several times, and in a separate view (right click on the output, Create New View for Cell
    Output). After a restart of the kernel run the cell again.
    """
    if rest not in ("", "--side"):
        raise ParamError("%chat panel has only --side. Leave the rest out.")
    if rest and context.page:
        (widget := context.panel().widget).open()
        if widget.comm is not None:
            context.page.show_panel(widget.model_id)
            return
    context.asking.show_panel(context.panel)


@command("retry", "ask the last prompt again, as a variant; %chat variant goes back")
def retry(context: Context, rest: str) -> Reply:
    """The next questions send the new reply in place of the old one, which is kept."""
    return context.asking.ask_again(context.session.conversation.turn_at())


@command("continue", "go on with the last reply, where max_tokens or Stop has cut it off")
def continue_reply(context: Context, rest: str) -> Reply:
    """The whole reply is shown, as a variant of its turn; the cut one is kept. Endpoints that are
    known to continue a message are sent the reply so far, others are asked to go on; the receipt
    says which. A reply that was cut by max_tokens gets as many tokens again.
    """
    if rest:
        raise ParamError("%chat continue has no arguments. It continues the last reply.")
    return context.asking.ask_to_continue(context.session.conversation.turn_at())


@command("fix [TEXT]", "ask what was wrong with the last cell that failed")
def fix(context: Context, rest: str) -> Reply:
    """Sends that cell, its traceback and the conversation so far, but no variables. TEXT replaces
    the default question. %chat code then puts the corrected code into the next cell.
    """
    refuse_flags("fix", rest)
    return context.asking.ask_fix(rest)


@command("code [N|LANGUAGE]", "put the last reply's code into the next cell; nothing is run")
def fill_next_cell(context: Context, rest: str) -> None:
    """All Python blocks, block N, or the blocks in a language. %%chat -f code does it at once."""
    context.asking.fill_next_cell(context.session.conversation.turn_at().reply, rest)
