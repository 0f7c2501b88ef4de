"""The commands of `%chat`: each reads or replaces what the session holds, and prints.

A command is a method of that name; its docstring is its line in `%chat help`.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import Any

from di_magics.core.amount import format_usd
from di_magics.core.errors import DiMagicsError, ParamError
from di_magics.core.money.cost import tally
from di_magics.core.reply.reply import Reply
from di_magics.core.settings.flags import flag_help, flag_parser
from di_magics.core.settings.params import PARAMS, format_param, suggest
from di_magics.core.text import one_line
from di_magics.magics.commands.answer import (
    count_noun,
    incomplete,
    no_flags,
    say,
    show_table,
    table,
)
from di_magics.magics.commands.conversing import Conversing
from di_magics.magics.commands.exploring import Exploring
from di_magics.magics.commands.keeping import Keeping
from di_magics.magics.commands.money import Money
from di_magics.magics.commands.setting import Setting


class Commands(Setting, Conversing, Exploring, Keeping, Money):
    """What `%chat WORD REST` does."""

    def run(self, line: str) -> Reply | None:
        """Run a line; what asks returns the reply. Raises ParamError for another word."""
        word, _, rest = line.strip().partition(" ")
        command = self.all().get({"": "status", "-h": "help", "--help": "help"}.get(word, word))
        if command is None:
            raise ParamError(
                f"%chat has no command {one_line(word, 40)!r}.{suggest(word, self.all())} "
                "To ask: %chat ask …, or a %%chat cell. %chat help lists the commands."
            )
        if rest.strip() in ("-h", "--help"):
            command, rest = self.help, word
        result: Reply | None = command(rest.strip())
        return result

    def all(self) -> dict[str, Callable[[str], Any]]:
        """Return the commands by name, in the order of the help."""
        return {name: getattr(self, name) for name in words()}

    def status(self, rest: str) -> None:
        """status: what is in force, on one screen (%chat alone does the same)"""
        settings, chat = self._session.settings, self._session.conversation
        try:
            route = self._session.route()
            endpoint, model = route.name, route.model
        except DiMagicsError as error:
            endpoint, model = f"none. {error}", settings.model or "—"
        limit, policy = self._session.budget, self._session.policies.current()
        values = " ".join(format_param(name, value) for name, value in self._in_force().items())
        spent = tally(self._session.entries())
        along = "" if settings.context is None else f"; the last {settings.context} go along"
        rows = [
            ("endpoint", one_line(endpoint)),
            ("model", one_line(model)),
            ("system", one_line(settings.system or policy.system or "—", 80)),
            ("parameters", values or "server's defaults"),
            ("conversation", f"{chat.name}, {count_noun(len(chat.path()), 'turn')}{along}"),
            ("cost", spent.text),
        ]
        if limit is not None:
            rows.append(
                ("budget", f"{format_usd(limit)}, of which {format_usd(spent.cost)} are spent")
            )
        rows += [("policy", one_line(source, 160)) for source in policy.sources]
        if policy.log:
            rows.append(("kept in", f"{one_line(policy.log, 160)}, for your teacher"))
        say(table([*rows, ("more", "%chat help, %chat params, %%chat -h")]))

    def ask(self, rest: str) -> Reply:
        """ask TEXT: ask in one line; TEXT may end in a question mark

        reply = %chat ask Name a colour.     keeps the reply in a variable
        """
        no_flags("ask", rest)
        return self._actions.ask_line(rest or incomplete("ask What is the capital of France?"))

    def panel(self, rest: str) -> None:
        """panel: model, parameters and costs as a panel to set and watch them

        It may be open several times, and in a view of its own (right click on the output, Create
        New View for Cell Output). After a restart of the kernel run the cell again.
        """
        self._actions.show_panel()

    def retry(self, rest: str) -> Reply:
        """retry: ask the last question again, as a variant; %chat variant goes back

        The new reply takes the old one's place in what is sent; the old one is kept.
        """
        return self._actions.ask_again(self._session.conversation.turn_at())

    def fix(self, rest: str) -> Reply:
        """fix [TEXT]: what was wrong with the cell that failed last

        Sends that cell, its traceback and the conversation so far, and no variable. TEXT is asked
        in place of our question. %chat code then puts the corrected code into the next cell.
        """
        no_flags("fix", rest)
        return self._actions.ask_fix(rest)

    def code(self, rest: str) -> None:
        """code [N|LANGUAGE]: the last reply's code into the next cell; nothing is run

        All Python blocks, block N, or those in a language. %%chat -f code does so at once.
        """
        self._actions.next_cell(self._session.conversation.turn_at().reply, rest)

    def help(self, rest: str) -> None:
        """help [COMMAND|PARAMETER|flags|params]: this list, or more on one of them"""
        commands = self.all()
        name = rest.replace("-", "_").lstrip("_")
        if rest == "flags":
            say(flag_parser().format_help())
        elif rest == "params":
            self.params("")
        elif rest in commands:
            say("%chat " + cleandoc(commands[rest].__doc__ or ""))
        elif name in PARAMS:
            param = PARAMS[name]
            flag = "--" + name.replace("_", "-")
            say(
                f"{name}: {param.effect}\n\nRange: {param.range}. Not sent unless set; the "
                f"server's default then: {param.default}.\n%%chat {flag} …   for one cell\n"
                f"%chat set {name}=…   for the cells to come; %chat unset {name} takes it back"
            )
        elif flag := flag_help(name):
            say(flag)
        elif rest:
            known = [*commands, "flags", "params", *PARAMS]
            raise ParamError(
                f"There is no help on {one_line(rest, 40)!r}.{suggest(rest, known)} "
                "%chat help lists the commands, %%chat -h the flags."
            )
        else:
            docs = [cleandoc(command.__doc__ or "") for command in commands.values()]
            usages = [doc.partition("\n")[0].partition(": ") for doc in docs]
            rows = [(f"%chat {usage}", effect) for usage, _, effect in usages]
            show_table([("%%chat [flags]", "ask; the prompt is below (%%chat -h)"), *rows])


def words() -> tuple[str, ...]:
    """Return the names of the commands, in the order of the help."""
    parts = (Commands, Setting, Conversing, Exploring, Keeping, Money)
    known = (each for part in parts for each in vars(part).items())
    return tuple(name for name, found in known if (found.__doc__ or "").startswith(name))
