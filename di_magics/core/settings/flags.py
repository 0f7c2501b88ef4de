"""Command lines: what a reader types behind `%%chat` and `%chat`, split and parsed.

The flags of the sampling parameters come from the one table; every mistake is a ParamError.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeGuard

from di_magics.core.amount import parse_usd
from di_magics.core.errors import ParamError
from di_magics.core.settings.params import PARAMS, suggest
from di_magics.core.text import one_line

EPILOG = """\
The text below the %%chat line is the prompt. A parameter that is not set is not sent, so the
server's default holds. `%chat help` lists the commands, `%chat params` the parameters.

  %%chat                         ask; the conversation so far goes along
  %%chat -t 0 --seed 1           the likeliest words, the same each time
  %%chat --once -s "Be brief."   no memory in or out, with a system prompt
  %%chat --dry-run               show what would be sent, and send nothing
  %%chat --vary temperature=0,0.7,1.4 -n 3     nine replies, side by side
  %%chat -a table -a plot.png    a variable and a file go along
  %%chat --tools add             the model may call the function add, if you let it
  %%chat --schema Person         JSON; _reply.json() is a Person

{{name}} in a prompt is replaced by that variable.
"""


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose mistakes are errors of ours instead of an exit."""

    def error(self, message: str) -> NoReturn:
        raise ParamError(f"%%chat: {one_line(message)}. %%chat -h lists the flags.")


def flag_parser() -> argparse.ArgumentParser:
    """Return the parser of the `%%chat` line."""
    parser = _Parser(
        prog="%%chat",
        description="Ask a language model; the reply streams in below the cell.",
        epilog=EPILOG,
        allow_abbrev=False,
        add_help=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("-m", "--model", metavar="ID", help="the model, for this cell")
    add("-s", "--system", metavar="TEXT", help="the system prompt, for this cell")
    add("--endpoint", metavar="NAME|URL", help="deepinfra, local, local:FILE.gguf, or a URL")
    table = parser.add_argument_group("sampling parameters (not sent unless set)")
    for param in PARAMS.values():
        names = [param.short] if param.short else []
        table.add_argument(
            *names,
            "--" + param.name.replace("_", "-"),
            dest=param.name,
            metavar=param.name.rsplit("_", 1)[-1].upper(),
            action="append" if param.kind is list else "store",
            help=f"{param.effect} ({param.range}{'; repeat it' * (param.kind is list)})".replace(
                "%", "%%"
            ),
        )
    group = parser.add_argument_group("conversation")
    add = group.add_argument
    add("-c", "--conversation", metavar="NAME", help="ask in this conversation (begun if new)")
    add("--new", action="store_true", help="start a new conversation")
    add("--once", action="store_true", help="no memory in or out")
    add("--last", metavar="N", help="send only the last N turns along (or all)")
    add("--append", action="store_true", help="a re-run adds a turn instead of a variant")
    group = parser.add_argument_group("what goes along, and what comes back")
    add = group.add_argument
    add(
        "-a",
        "--attach",
        action="append",
        metavar="FILE|NAME",
        help="an image, a text file or a variable (repeat it)",
    )
    add("--attach-tokens", metavar="N", help="cut an attached text after so many tokens (4000)")
    add("--resize", metavar="PIXELS", help="make the longer side of attached images this short")
    add(
        "-f",
        "--format",
        metavar="FORM",
        help="markdown, text, json (asks for it), or code (fills the next cell; code:2, code:bash)",
    )
    add("--schema", metavar="NAME|FILE", help="ask for JSON of this class or JSON Schema")
    add("--repair", action="store_true", help="where it does not fit, ask once more")
    add("--tools", metavar="F,G", help="Python functions that the model may call")
    add("--confirm", action="store_true", help="ask before each call, of safe functions too")
    add("--rounds", metavar="N", help="let it call tools in so many rounds (8)")
    group = parser.add_argument_group("exploring: a grid of replies, side by side")
    add = group.add_argument
    add("--vary", action="append", metavar="P=A,B,C", help="ask with each of these (repeat it)")
    add("-n", dest="repeats", metavar="N", help="ask each N times")
    add("--fresh", action="store_true", help="send runs again that are there from before")
    group = parser.add_argument_group("money")
    add = group.add_argument
    add("--budget", metavar="USD", help="send nothing that may cost more")
    add("--yes", action="store_true", help="send it: many calls, or the price is not known")
    group = parser.add_argument_group("output")
    add = group.add_argument
    add("-o", "--out", metavar="NAME", help="bind the reply to this variable (`_reply` always)")
    add("--no-stream", action="store_true", help="ask for the reply in one piece")
    add("--dry-run", action="store_true", help="show the request and send nothing")
    add("-q", "--quiet", action="store_true", help="show nothing; the reply is in `_reply`")
    add("-h", "--help", action="store_true", help="show this help")
    return parser


def flag_names() -> list[str]:
    """Return all names of flags, as they are typed."""
    return [name for action in flag_parser()._actions for name in action.option_strings]


def flag_help(name: str) -> str:
    """Return the line of help on a flag, whose name is given without hyphens; nothing for none."""
    for action in flag_parser()._actions:
        names = action.option_strings
        if name and name in [each.lstrip("-").replace("-", "_") for each in names]:
            value = f" {action.metavar}" if action.metavar else ""
            return f"%%chat {', '.join(names)}{value}\n\n{(action.help or '').replace('%%', '%')}"
    return ""


def split_line(line: str) -> list[str]:
    """Return the words of a line as a shell reads them, but for escapes and comments.

    Without an escape character Windows paths survive. Raises ParamError for an open quote.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.escape = ""
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        raise ParamError(f"A quote is not closed in: {one_line(line, 80)}") from None


def parse_flags(line: str) -> argparse.Namespace:
    """Return the flags of a `%%chat` line. Raises ParamError with the nearest flags."""
    parser = flag_parser()
    found, rest = parser.parse_known_args([_hyphenate(word) for word in split_line(line)])
    if rest and found.tools and not rest[0].startswith("-"):
        raise ParamError("--tools takes names with commas between and no spaces: --tools f,g")
    if rest:
        word = rest[0].partition("=")[0] or rest[0]
        known = flag_names()
        hint = suggest(word, known) if word.startswith("-") else ""
        raise ParamError(
            f"%%chat has no flag {one_line(word, 60)}.{hint} %%chat -h lists them."
            if word.startswith("-")
            else f"%%chat takes no {one_line(word, 60)!r} on its line: the prompt goes below it. "
            "For one line: %chat ask …"
        )
    if found.last is not None:
        found.last = parse_turn_count("--last", found.last) if found.last != "all" else "all"
    if found.repeats is not None:
        found.repeats = parse_repeats("-n", found.repeats)
    if found.budget is not None:
        found.budget = parse_usd(found.budget, "--budget")
    for flag in ("attach_tokens", "resize", "rounds"):
        if (typed := getattr(found, flag)) is not None:
            setattr(found, flag, _parse_positive("--" + flag.replace("_", "-"), typed))
    if found.format:
        found.format, found.block = _parse_format(found.format)
    if found.tools:
        found.tools = [name.strip() for name in found.tools.split(",") if name.strip()]
        if not found.tools:
            raise ParamError("--tools takes the names of functions, with commas between.")
    _check_together(found)
    if found.out and not found.out.isidentifier():
        raise ParamError(f"-o takes a variable's name, not {one_line(found.out, 60)!r}.")
    return found


def _hyphenate(word: str) -> str:
    """Spell a flag with hyphens, as the API's own names have underscores."""
    if not word.startswith("--"):
        return word
    name, sign, value = word.partition("=")
    return (name if " " in name else name.replace("_", "-")) + sign + value


def is_count(text: object) -> TypeGuard[str | int]:
    """Return whether this is a whole number from 0 on, and not one of endless digits."""
    if isinstance(text, int):
        return not isinstance(text, bool) and 0 <= text < 10**9
    return isinstance(text, str) and text.isdecimal() and len(text) < 10


def parse_turn_count(name: str, text: object) -> int:
    """Return a number of turns. Raises ParamError for anything else."""
    if not is_count(text):
        raise ParamError(f"{name} takes a number of turns, or all; not {one_line(text, 60)!r}.")
    return int(text)


FORMATS = ("markdown", "text", "code", "json")


def _parse_format(text: str) -> tuple[str, str]:
    """Return how a reply is shown, and which of its blocks of code is meant."""
    form, sign, block = text.partition(":")
    if form not in FORMATS or (sign and (form != "code" or not block)):
        raise ParamError(
            f"-f takes {', '.join(FORMATS)} or code:N, not {one_line(text, 40)!r}."
            f"{suggest(form, FORMATS)}"
        )
    return form, block


def _check_together(found: argparse.Namespace) -> None:
    """Raise ParamError for flags that do not go together."""
    if found.tools and (found.vary or found.repeats):
        raise ParamError("A grid calls no tools: leave out --tools, or --vary and -n.")
    if (found.vary or found.repeats) and (found.repair or found.format == "code"):
        raise ParamError("A grid asks once and fills no cell: leave out --repair and -f code.")
    if found.schema and found.format not in (None, "json"):
        raise ParamError("--schema asks for JSON: leave out -f, or write -f json.")
    if found.repair and not (found.schema or found.format == "json"):
        raise ParamError("--repair is for JSON: add -f json, or --schema NAME.")
    for flag in ("confirm", "rounds"):
        if getattr(found, flag) and not found.tools:
            raise ParamError(f"--{flag} is for tools: add --tools NAME.")
    for flag in ("attach_tokens", "resize"):
        if getattr(found, flag) and not found.attach:
            raise ParamError(f"--{flag.replace('_', '-')} is for attachments: add -a NAME.")


def _parse_positive(name: str, text: object) -> int:
    if not is_count(text) or not int(text):
        raise ParamError(f"{name} takes a whole number above 0, not {one_line(text, 60)!r}.")
    return int(text)


def parse_repeats(name: str, text: object) -> int:
    """Return how often to ask. Raises ParamError for anything but a whole number from 1 on."""
    if not is_count(text) or not int(text):
        raise ParamError(f"{name} takes a number of replies, not {one_line(text, 60)!r}.")
    return int(text)


def sampling_params(found: argparse.Namespace) -> Mapping[str, object]:
    """Return the sampling parameters that a line sets, as they were typed."""
    typed = {name: getattr(found, name) for name in PARAMS}
    if typed["stop"]:
        typed["stop"] = [decode_escapes(text) for text in typed["stop"]]
    return {name: value for name, value in typed.items() if value is not None}


def parse_assignments(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names and values of `name=value` words. Raises ParamError for anything else."""
    found = []
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            shown = one_line(word, 60)
            raise ParamError(f"Write NAME=VALUE without spaces, such as {shown}=…; not {shown!r}.")
        if name == "stop" and value.startswith("[") and value.endswith("]"):
            raise ParamError("Write each text by itself: stop=A stop=B, not as a list.")
        found.append((name, decode_escapes(value) if name == "stop" else value))
    return found


def decode_escapes(text: str) -> str:
    """Read the line ends and tabs that cannot be typed on a line."""
    return text.replace("\\n", "\n").replace("\\t", "\t")
