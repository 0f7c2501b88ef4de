"""The commands of `%chat`: each reads or replaces what the session holds, and prints.

A command is a method of that name; its docstring is its line in `%chat help`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from di_magics.core import export, transcript
from di_magics.core.chat import Turn
from di_magics.core.command import flags, pairs, split
from di_magics.core.cost import tally
from di_magics.core.errors import ChatError, DiMagicsError, ParamError, one_line
from di_magics.core.params import PARAMS, nearest, shown
from di_magics.core.record import rebuilt
from di_magics.core.reply import Reply
from di_magics.core.settings import NAMES
from di_magics.core.tree import tree
from di_magics.session import Session
from di_magics.view import FinalView

EXPORTS = {"--request": export.as_json, "--curl": export.as_curl, "--python": export.as_python}


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as columns of plain text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def counted(number: int, noun: str) -> str:
    """Return `1 turn`, `2 turns`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def say(text: str) -> None:
    """Print what a command answers."""
    print(text)  # noqa: T201 # the answer of a command is its output


WORDS = (
    *("status", "ask", "set", "unset", "params", "model", "endpoint", "system", "key"),
    *(
        "history",
        "show",
        "retry",
        "undo",
        "redo",
        "rewind",
        "variant",
        "new",
        "fork",
        "use",
        "list",
    ),
    *("save", "load", "forget", "cost", "help"),
)


class Commands:
    """What `%chat WORD REST` does."""

    def __init__(
        self, session: Session, ask: Callable[[str], Reply], retry: Callable[[Turn], Reply]
    ) -> None:
        self._session = session
        self._ask = ask
        self._retry = retry

    def run(self, line: str) -> Reply | None:
        """Run a line; `ask` and `retry` return the reply. Raises ParamError for another word."""
        word, _, rest = line.strip().partition(" ")
        command = self.all().get({"": "status", "-h": "help", "--help": "help"}.get(word, word))
        if command is None:
            raise ParamError(
                f"%chat has no command {one_line(word, 40)!r}.{nearest(word, self.all())} "
                "To ask: %chat ask …, or a %%chat cell. %chat help lists the commands."
            )
        result: Reply | None = command(rest.strip())
        return result

    def all(self) -> dict[str, Callable[[str], Any]]:
        """Return the commands by name, in the order of the help."""
        return {name: getattr(self, name) for name in WORDS}

    def status(self, rest: str) -> None:
        """status: what is in force, on one screen (%chat alone does the same)"""
        settings, chat = self._session.settings, self._session.conversation
        try:
            route = self._session.routes.choose(settings.endpoint, settings.model)
            endpoint, model = route.name, route.model
        except DiMagicsError as error:
            endpoint, model = f"none. {error}", settings.model or "—"
        values = " ".join(shown(name, value) for name, value in settings.params.items())
        say(
            table(
                [
                    ("endpoint", one_line(endpoint)),
                    ("model", one_line(model)),
                    ("system", one_line(settings.system or "—", 80)),
                    ("parameters", values or "server's defaults"),
                    ("conversation", f"{chat.name}, {counted(len(chat.path()), 'turn')}"),
                    ("cost", self._session.spent.shown),
                    ("more", "%chat help, %chat params, %%chat -h"),
                ]
            )
        )

    def ask(self, rest: str) -> Reply:
        """ask TEXT: ask in one line; TEXT may end in a question mark"""
        return self._ask(rest or _incomplete("ask What is the capital of France?"))

    def set(self, rest: str) -> None:
        """set NAME=VALUE …: set parameters, model, endpoint or system for the cells to come"""
        self._set(pairs(split(rest)) or _incomplete("set temperature=0.7 seed=1"))

    def unset(self, rest: str) -> None:
        """unset NAME …: leave them to the server again; `unset all` for every parameter"""
        settings = self._session.settings
        names = split(rest) or _incomplete("unset temperature")
        for name in list(settings.params) if names == ["all"] else names:
            settings = settings.lacking(name)
        self._session.settings = settings
        self._say_set()

    def _set(self, values: Sequence[tuple[str, str]]) -> None:
        """Set all of these, or none where one does not fit."""
        settings = self._session.settings
        for name, value in values:
            settings = settings.having(name, value)
        if settings.endpoint and settings.endpoint != self._session.settings.endpoint:
            self._session.routes.check(settings.endpoint)
        self._session.settings = settings
        self._say_set()

    def _say_set(self) -> None:
        settings = self._session.settings
        words = [shown(name, value) for name, value in settings.params.items()]
        words += [f"{n}={one_line(v, 80)!r}" for n in NAMES if (v := getattr(settings, n))]
        say("set: " + (" ".join(words) or "nothing; the server's defaults hold"))

    def params(self, rest: str) -> None:
        """params: the sampling parameters: value, range, effect"""
        values = self._session.settings.params
        try:
            settings = self._session.settings
            here = self._session.routes.choose(settings.endpoint, settings.model).local
        except DiMagicsError:  # nothing could be asked now; DeepInfra's are the ones to show
            here = False
        rows = [("parameter", "value", "server's default", "range", "effect")]
        for name, param in PARAMS.items():
            value = shown(name, values[name]).partition("=")[2] if name in values else "not sent"
            default = (here and param.local_default) or param.default
            rows.append((name, value, default, param.range, param.effect))
        say(table(rows))

    def model(self, rest: str) -> None:
        """model [ID]: set the model for the cells to come, or show it"""
        self._one("model", rest)

    def endpoint(self, rest: str) -> None:
        """endpoint [NAME|URL]: deepinfra, local, local:FILE.gguf or a URL; or show it"""
        self._one("endpoint", rest)

    def system(self, rest: str) -> None:
        """system [TEXT]: set the system prompt for the cells to come, or show it (unset system)"""
        self._one("system", rest)

    def _one(self, name: str, value: str) -> None:
        if value:
            self._set([(name, value)])
        else:
            found = getattr(self._session.settings, name)
            say(one_line(found, 2000) if found else f"{name} is not set; %chat shows what holds")

    def key(self, rest: str) -> None:
        """key: type DeepInfra's key, hidden; it is kept for this kernel only"""
        if rest:
            raise ParamError(
                "Not on this line: it would be saved with the notebook. %chat key alone asks for "
                "the key, hidden. If that was your key, revoke it."
            )
        import getpass

        try:
            typed = getpass.getpass("DeepInfra key: ").strip()
        except (EOFError, RuntimeError, KeyboardInterrupt):  # no one is there to type
            typed = ""
        if not typed or len(typed.split()) > 1:
            raise ParamError("No key was typed; nothing has changed.")
        self._session.routes.key = typed
        say("The key is set for this kernel.")

    def history(self, rest: str) -> None:
        """history [--tree]: the turns of this conversation, or all turns with their branches"""
        chat = self._session.conversation
        if rest == "--tree":
            say(tree(chat) or "There are no turns yet.")
            return
        if rest:
            raise ParamError(f"%chat history takes --tree or nothing, not {one_line(rest, 40)!r}.")
        lines = []
        for number, turn in enumerate(chat.path(), 1):
            variants = chat.variants(turn)
            which = f" (variant {variants.index(turn) + 1} of {len(variants)})"
            lines.append(f"{number:>3} > {one_line(turn.prompt, 90)}")
            lines[-1] += which if len(variants) > 1 else ""
            lines.append(f"    {one_line(turn.reply.shown or f'({turn.reply.status})', 90)}")
        say("\n".join(lines) or f"Conversation {chat.name} has no turns yet.")

    def show(self, rest: str) -> None:
        """show [TURN] [--request|--curl|--python]: a reply, or the request behind it"""
        words = split(rest)
        forms = [word for word in words if word.startswith("-")]
        for form in forms:
            if form not in EXPORTS:
                raise ParamError(f"%chat show has no {one_line(form, 40)}.{nearest(form, EXPORTS)}")
        number = _number(" ".join(word for word in words if word not in forms))
        turn = self._session.conversation.numbered(number)
        if not forms:
            FinalView().close(turn, [])
        for form in forms:
            url, key_variable = self._session.routes.address(turn.url)
            if turn.local and form != "--request":
                say("# PORT and LOCAL_KEY change at each start: put another endpoint there.")
            say(EXPORTS[form](self._session.request(turn), url, key_variable))

    def undo(self, rest: str) -> None:
        """undo [N]: take the last turn back, or N of them; they are kept and no longer sent"""
        self._session.conversation = self._session.conversation.undone(_number(rest) or 1)
        self.history("")

    def retry(self, rest: str) -> Reply:
        """retry: ask the last question again, as a variant; %chat variant goes back"""
        return self._retry(self._session.conversation.numbered())

    def redo(self, rest: str) -> None:
        """redo [N]: go forward again after undo or rewind"""
        self._session.conversation = self._session.conversation.redone(_number(rest) or 1)
        self.history("")

    def rewind(self, rest: str) -> None:
        """rewind TURN: go back to that turn of %chat history; the next one follows it"""
        number = _number(rest) or _incomplete("rewind 2")
        self._session.conversation = self._session.conversation.rewound(number)
        self.history("")

    def variant(self, rest: str) -> None:
        """variant N: go on with another variant of a turn, and what followed it"""
        number = _number(rest) or _incomplete("variant 1")
        self._session.conversation = self._session.conversation.with_variant(number)
        self.history("")

    def fork(self, rest: str) -> None:
        """fork NAME: go on under another name; this conversation stays as it is"""
        name = rest or _incomplete("fork another-try")
        before = self._session.conversation.name
        self._session.conversation = self._session.conversation.forked(name)
        say(f"Conversation {name} begins as a copy. %chat use {before} goes back.")

    def new(self, rest: str) -> None:
        """new [NAME]: start a new conversation; the old one is kept"""
        chat = self._session.conversation
        if rest in chat.heads:
            raise ChatError(f"There is a conversation {rest} already: %chat use {rest}.")
        self._session.conversation = chat.started(rest or None)
        name = self._session.conversation.name
        say(f"Conversation {name} begins. %chat use {chat.name} goes back.")

    def use(self, rest: str) -> None:
        """use NAME: go on with another conversation"""
        chat = self._session.conversation
        if rest not in chat.heads:
            raise ChatError(
                f"There is no conversation {one_line(rest, 60)!r}.{nearest(rest, chat.heads)} "
                "%chat list shows them."
            )
        self._session.conversation = chat.using(rest)
        self.history("")

    def list(self, rest: str) -> None:
        """list: the conversations of this notebook"""
        chat = self._session.conversation
        for name, head in chat.heads.items():
            turns = len(chat.path(head)) if head else 0
            say(f"{'*' if name == chat.name else ' '} {name}: {counted(turns, 'turn')}")

    def save(self, rest: str) -> None:
        """save FILE: write this conversation to a .md, .json or .ipynb file"""
        path = Path(rest or _incomplete("save chat.md")).expanduser()
        turns = self._session.conversation.path()
        if not turns:
            raise ChatError("There is nothing to save yet: this conversation has no turns.")
        text = transcript.written(turns, path.suffix)
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ChatError(f"{path} cannot be written: {error.strerror}.") from None
        say(f"{counted(len(turns), 'turn')} saved in {path}")

    def load(self, rest: str) -> None:
        """load FILE: go on with the conversation in a notebook, or in a saved .md or .json file"""
        path = Path(rest or _incomplete("load other.ipynb")).expanduser()
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise ChatError(f"{path} cannot be read: {error.strerror}.") from None
        found, problems = rebuilt(transcript.read(text, path.suffix))
        if not found.turns:
            raise ChatError(f"There is no turn of a conversation in {path}.")
        self._session.conversation = self._session.conversation.joined(found, path.stem)
        for problem in problems:
            say(f"left out: {problem}")
        self.history("")

    def forget(self, rest: str) -> None:
        """forget [NAME|--all]: delete a conversation, or those of all notebooks; costs are kept"""
        chat = self._session.conversation
        name = rest or chat.name
        if rest != "--all" and name not in chat.heads:
            raise ChatError(
                f"There is no conversation {one_line(rest, 60)!r}.{nearest(rest, chat.heads)} "
                "%chat list shows them."
            )
        count = self._session.forget(None if rest == "--all" else name)
        say(f"{counted(count, 'turn')} deleted. What is in the outputs of notebooks stays there.")

    def cost(self, rest: str) -> None:
        """cost: what this conversation cost, and everything in this kernel"""
        chat = self._session.conversation
        here = tally(turn.reply for turn in chat.path())
        rows: list[tuple[str, ...]] = [("", "replies", "tokens in", "tokens out", "cost")]
        for name, total in ((chat.name, here), ("this kernel", self._session.spent)):
            counts = (total.replies, total.prompt_tokens, total.completion_tokens)
            rows.append((name, *(f"{count:,}" for count in counts), total.shown))
        say(table(rows))

    def help(self, rest: str) -> None:
        """help [COMMAND|flags|params]: this list, or more on one of them"""
        commands = self.all()
        if rest == "flags":
            say(flags().format_help())
        elif rest == "params":
            self.params("")
        elif rest in commands:
            say(f"%chat {commands[rest].__doc__}")
        elif rest:
            raise ParamError(
                f"There is no help on {one_line(rest, 40)!r}."
                f"{nearest(rest, [*commands, 'flags', 'params'])}"
            )
        else:
            usages = [(command.__doc__ or "").partition(": ") for command in commands.values()]
            rows = [(f"%chat {usage}", effect) for usage, _, effect in usages]
            say(table([("%%chat [flags]", "ask; the prompt is below (%%chat -h)"), *rows]))


def _number(text: str) -> int | None:
    if not text:
        return None
    if not text.isdigit():
        raise ParamError(f"That takes a number, not {one_line(text, 40)!r}. %chat history counts.")
    return int(text)


def _incomplete(example: str) -> NoReturn:
    raise ParamError(f"Say what: for example %chat {example}")
