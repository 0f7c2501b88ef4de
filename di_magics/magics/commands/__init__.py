"""The commands of `%chat`: they read or change the session, and print.

To add a command, write a function with `@command("name ARGUMENTS", "what it does")` in one of the
modules here; the help, completion and the spelling hints find it in the table below.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from di_magics.core.errors import DiMagicsError, ParamError
from di_magics.core.money.tally import tally
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.flags import flag_help, flags_help
from di_magics.core.settings.params import BUILT_IN_MAX_TOKENS, PARAMS, format_param, suggest
from di_magics.core.settings.services import Service
from di_magics.core.text import align_columns, count_noun
from di_magics.core.visible import one_line
from di_magics.magics.commands import (
    ask,
    conversing,
    keeping,
    lenses,
    local_models,
    money,
    setting,
    sweeping,
)
from di_magics.magics.commands.command import (
    Command,
    Context,
    command,
    say,
    show_table,
)

if TYPE_CHECKING:
    from di_magics.display.sweep import Sweep


@command("status", "the current state on one screen (%chat alone does the same)")
def show_status(context: Context, rest: str) -> None:
    session, conversation = context.session, context.session.conversation
    settings, policy = session.settings, session.policies.current()
    try:
        route = session.route()
        endpoint, model = route.name, route.model
    except DiMagicsError as error:
        endpoint, model = setting.describe_not_ready(session, error), settings.model or "—"
    budget, spent = session.budget, tally(session.notebook.ledger.entries())
    values = " ".join(
        [
            *(
                format_param(name, value)
                for name, value in setting.params_in_force(session).items()
            ),
            *setting.extras_in_force(session),
        ]
    )
    turns = count_noun(len(conversation.path()), "turn")
    are = "is" if settings.context == 1 else "are"
    last = "" if settings.context is None else f"; the last {settings.context} {are} sent"
    rows = [
        ("endpoint", one_line(endpoint)),
        ("model", one_line(model)),
        ("system", one_line(settings.system or policy.system or "—", 80)),
        ("parameters", values or "server's defaults"),
        ("conversation", f"{conversation.name}, {turns}{last}"),
        ("cost", spent.text),
    ]
    limits = budget.limits(session.notebook.ledger.committed(budget.policies))
    rows += [("budget", limit.text) for limit in limits]
    rows += [("policy", one_line(source, 160)) for source in policy.sources]
    if policy.log:
        rows.append(("log", f"{one_line(policy.log, 160)}, for your teacher"))
    say(align_columns([*rows, ("more", "%chat help, %chat params, %%chat -h")]))


@command("help [COMMAND|PARAMETER|flags|params]", "this list, or more about one of them")
def show_help(context: Context, rest: str) -> None:
    name = rest.replace("-", "_").lstrip("_")
    if rest == "flags":
        say(flags_help())
    elif rest == "params":
        COMMANDS["params"].run(context, "")
    elif rest in COMMANDS:
        say(COMMANDS[rest].help)
    elif name in PARAMS:
        say(_param_help(name, setting.service_in_use(context.session)[0]))
    elif flag := flag_help(name):
        say(flag)
    elif rest:
        known = [*COMMANDS, "flags", "params", *PARAMS]
        raise ParamError(
            f"There is no help on {one_line(rest, 40)!r}.{suggest(rest, known)} "
            "%chat help lists the commands, %%chat -h the flags."
        )
    else:
        rows = [(f"%chat {item.usage}", item.summary) for item in COMMANDS.values()]
        show_table([("%%chat [flags]", "ask; the prompt is below (%%chat -h)"), *rows])


def _param_help(name: str, service: Service) -> str:
    param, flag = PARAMS[name], "--" + name.replace("_", "-")
    default, local = service.default(param), ""
    title = service.title or "this endpoint"
    holds = f"the default of {title} is then {default}" if default else "the server decides then"
    known = "".join(f" {line}" for line in service.warnings([name]))
    if name == "max_tokens":
        local = f" The built-in model is always sent a limit, {BUILT_IN_MAX_TOKENS} unless set."
    return (
        f"{name}: {param.effect}\n\nRange: {param.range}. Not sent unless set; "
        f"{holds}.{local}{known}\n%%chat {flag} …   for one cell\n"
        f"%chat set {name}=…   for the next cells; %chat unset {name} removes it"
    )


def _table() -> Mapping[str, Command]:
    """Return the commands by name, in the order of the help."""
    commands = [show_status, *_commands_of(ask), show_help]
    for module in (setting, local_models, conversing, lenses, sweeping, keeping, money):
        commands += _commands_of(module)
    return {item.name: item for item in commands}


def _commands_of(module: ModuleType) -> list[Command]:
    return [value for value in vars(module).values() if isinstance(value, Command)]


COMMANDS = _table()


def run_command(context: Context, line: str) -> Reply | Sweep | None:
    """Run a line of `%chat` and return its value: the reply or the sweep, if it asks.

    Raises ParamError for an unknown command.
    """
    word, _, rest = line.strip().partition(" ")
    name = {"": "status", "-h": "help", "--help": "help"}.get(word, word)
    if name not in COMMANDS:
        raise ParamError(
            f"%chat has no command {one_line(word, 40)!r}.{suggest(word, COMMANDS)} "
            "%chat help lists the commands; to ask, use %chat ask … or a %%chat cell."
        )
    if rest.strip() in ("-h", "--help"):
        name, rest = "help", name
    return COMMANDS[name].run(context, rest.strip())
