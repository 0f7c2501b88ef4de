"""The flags of `%%chat`: one table for the parser, the help, completion (Tab) and the checks.

Every flag is a field of `Flags`, declared with its names, its help, the function that parses its
text, its completions, and the flags that it needs or excludes. The flags of the sampling parameters
are made from their own table. Every mistake is a ParamError.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal, NoReturn

from di_magics.core.amount import parse_usd
from di_magics.core.errors import ParamError
from di_magics.core.settings.counts import (
    Above,
    is_count,
    parse_above,
    parse_positive,
    parse_turn_count,
)
from di_magics.core.settings.extras import PREFIX, is_json
from di_magics.core.settings.params import PARAMS, Param, suggest
from di_magics.core.visible import one_line

FORMATS = ("markdown", "text", "code", "json")
VARIED_TEXTS = ("model", "system")
"""What `--vary` accepts besides the sampling parameters."""

EPILOG = """\
The text below the %%chat line is the prompt. A parameter that is not set is not sent, so the
server's default holds. `%chat help` lists the commands, `%chat params` the parameters.

  %%chat                         ask; the conversation so far is sent with it
  %%chat -t 0 --seed 1           the most likely words, the same every time
  %%chat --once -s "Be brief."   a separate question, with a system prompt
  %%chat --dry-run               show what would be sent, and send nothing
  %%chat --vary temperature=0,0.7,1.4 -n 3     nine replies, side by side
  %%chat -a table -a plot.png    attach a variable and a file
  %%chat --tools add             the model may call the function add, if you let it
  %%chat --schema Person         JSON; _reply.json() is a Person

{{name}} in a prompt is replaced by that variable.
"""
NOT_IN_SWEEPS = ("--tools", "--repair", "-f code")


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of the `%%chat` line; one without a metavar is a switch.

    `group` starts a new group of the help, which also has the flags after this one. `parse` is
    called with the flag's name and its text. A `repeated` flag collects its values; a `listed` flag
    has several values, separated by commas; `bare` is the value of a flag without one. Tab offers
    the `completions`, and what the `sources` (of the completion's Choices) return. One of
    the flags in `needs` must be set too, and none of `excludes` may be set; both may name a value
    as well: `-f json`.
    """

    names: tuple[str, ...]
    metavar: str
    help: str
    group: str = ""
    parse: Callable[[str, str], Any] | None = None
    repeated: bool = False
    listed: bool = False
    bare: str = ""
    completions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


def _make_flag(usage: str, help: str, **options: Any) -> Flag:
    parts = usage.replace(", ", " ").split()
    names = tuple(part for part in parts if part.startswith("-"))
    return Flag(names, " ".join(parts[len(names) :]), help, **options)


def _flag(usage: str, help: str, **options: Any) -> Any:
    flag = _make_flag(usage, help, **options)
    default: Any = () if flag.repeated or flag.listed else None if flag.metavar else False
    return field(default=default, metadata={"flag": flag})


def _parse_last(name: str, text: str) -> int | Literal["all"]:
    return "all" if text == "all" else parse_turn_count(name, text)


def _parse_format(name: str, text: str) -> str:
    form, colon, block = text.partition(":")
    if form not in FORMATS or (colon and (form != "code" or not block)):
        raise ParamError(
            f"{name} must be one of {', '.join(FORMATS)} or code:N, not {one_line(text, 40)!r}."
            f"{suggest(form, FORMATS)}"
        )
    return text


def _parse_names(name: str, text: str) -> tuple[str, ...]:
    parsed = tuple(part.strip() for part in text.split(",") if part.strip())
    if not parsed:
        raise ParamError(f"{name} must list names with commas between: {name} f,g.")
    return parsed


def _parse_budget(name: str, text: str) -> Decimal:
    return parse_usd(text, name)


def _parse_variable(name: str, text: str) -> str:
    if not text.isidentifier():
        raise ParamError(f"{name} must be a variable's name, not {one_line(text, 60)!r}.")
    return text


@dataclass(frozen=True)
class Flags:
    """What a `%%chat` line sets: None, False or empty where a flag was not given.

    `params` are the sampling parameters as they were typed, `block` which block of code
    `-f code:BLOCK` means.
    """

    model: str | None = _flag("-m, --model ID", "the model, for this cell", sources=("models",))
    system: str | None = _flag("-s, --system TEXT", "the system prompt, for this cell")
    endpoint: str | None = _flag(
        "--endpoint NAME|URL",
        "a name (%chat endpoint lists them), local:FILE.gguf, or a URL",
        sources=("endpoints",),
    )
    params: Mapping[str, object] = field(default_factory=dict)
    conversation: str | None = _flag(
        "-c, --conversation NAME",
        "ask in this conversation (started if new)",
        group="conversation",
        sources=("conversations",),
    )
    new: bool = _flag("--new", "start a new conversation")
    once: bool = _flag("--once", "send no earlier turns and remember nothing")
    last: int | Literal["all"] | None = _flag(
        "--last N", "send only the last N turns (or all)", parse=_parse_last, completions=("all",)
    )
    append: bool = _flag("--append", "a cell that runs again adds a turn, not a variant")
    extra: tuple[str, ...] = _flag(
        "--extra NAME=JSON",
        "any other field of the request, as it is given (repeatable)",
        group="attachments, extra fields and reply format",
        repeated=True,
    )
    attach: tuple[str, ...] = _flag(
        "-a, --attach FILE|NAME",
        "an image, a text file or a variable (repeatable)",
        repeated=True,
        sources=("variables", "files"),
    )
    attach_tokens: int | None = _flag(
        "--attach-tokens N",
        "cut off an attached text after N tokens (4000)",
        parse=parse_positive,
        needs=("--attach",),
    )
    resize: int | None = _flag(
        "--resize PIXELS",
        "shrink attached images to at most this many pixels on the longer side",
        parse=parse_positive,
        needs=("--attach",),
    )
    above: Above | None = _flag(  # noqa: RUF009 # a field, as those above
        "--above N",
        "send the cells between the last prompt and this one (or the last N above, or all)",
        parse=parse_above,
        bare="new",
        completions=("all",),
    )
    format: str | None = _flag(
        "-f, --format FORM",
        "the reply's format: markdown, text, json (the model is asked for JSON), or code (its code "
        "goes to the next cell; code:2: block 2, code:bash: a language)",
        parse=_parse_format,
        completions=FORMATS,
    )
    block: str = ""
    schema: str | None = _flag(
        "--schema NAME|FILE",
        "ask for JSON that fits this class or JSON Schema",
        sources=("schemas", "files"),
        excludes=("-f markdown", "-f text", "-f code"),
    )
    repair: bool = _flag(
        "--repair",
        "ask once more if the reply is not the requested JSON",
        needs=("-f json", "--schema"),
    )
    tools: tuple[str, ...] = _flag(
        "--tools F,G",
        "Python functions that the model may call",
        parse=_parse_names,
        listed=True,
        sources=("functions",),
    )
    confirm: bool = _flag(
        "--confirm", "ask before every call, also of safe functions", needs=("--tools",)
    )
    rounds: int | None = _flag(
        "--rounds N",
        "let the model call tools in at most N rounds (8)",
        parse=parse_positive,
        needs=("--tools",),
    )
    vary: tuple[str, ...] = _flag(
        "--vary P=A,B,C",
        "ask once for every value (repeatable)",
        group="sweep: many replies, side by side",
        repeated=True,
        completions=tuple(f"{name}=" for name in (*PARAMS, *VARIED_TEXTS) if name != "stop"),
        excludes=NOT_IN_SWEEPS,
    )
    repeats: int | None = _flag(
        "-n N",
        "ask N times, with --vary for every value",
        parse=parse_positive,
        excludes=NOT_IN_SWEEPS,
    )
    fresh: bool = _flag("--fresh", "send every run again, also those with a saved reply")
    budget: Decimal | None = _flag(  # noqa: RUF009 # a field, as those above
        "--budget USD", "send nothing that may cost more", group="money", parse=_parse_budget
    )
    yes: bool = _flag("--yes", "send it, even if it is many calls or the price is not known")
    out: str | None = _flag(
        "-o, --out NAME",
        "store the reply in this variable, besides `_reply`",
        group="output",
        parse=_parse_variable,
        sources=("variables",),
    )
    no_stream: bool = _flag("--no-stream", "get the reply in one piece, without streaming")
    dry_run: bool = _flag("--dry-run", "show the request and send nothing")
    quiet: bool = _flag("-q, --quiet", "show nothing; the reply is in `_reply`")
    help: bool = _flag("-h, --help", "show this help")


def _param_flag(param: Param) -> Flag:
    metavar = "K" if param.bare else param.name.rsplit("_", 1)[-1].upper()
    usage = f"--{param.name.replace('_', '-')} {metavar}"
    return _make_flag(
        f"{param.short}, {usage}" if param.short else usage,
        f"{param.effect} ({param.range}{'; repeatable' * (param.kind is list)})",
        group="sampling parameters (not sent unless set)" * (param is next(iter(PARAMS.values()))),
        repeated=param.kind is list,
        bare=param.bare,
        completions=param.choices or param.suggestions,
        sources=("functions",) if param.name == "tool_choice" else (),
    )


def _all_flags() -> Iterator[tuple[str, Flag]]:
    for item in fields(Flags):
        if item.name == "params":
            yield from ((param.name, _param_flag(param)) for param in PARAMS.values())
        elif "flag" in item.metadata:
            yield item.name, item.metadata["flag"]


FLAGS: Mapping[str, Flag] = dict(_all_flags())
"""Every flag, by the name of its field or of its sampling parameter, in the order of the help."""
KEYS: Mapping[str, str] = {name: key for key, flag in FLAGS.items() for name in flag.names}
"""The key in FLAGS by the name of a flag as it is typed."""


_WORD = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[^\s"'])+)""")


class _Parser(argparse.ArgumentParser):
    """An argparse parser that raises ParamError instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise ParamError(f"%%chat: {one_line(message)}. %%chat -h lists the flags.")


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="%%chat",
        description="Ask a language model; the reply streams in below the cell.",
        epilog=EPILOG,
        allow_abbrev=False,
        add_help=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group: Any = parser
    for key, flag in FLAGS.items():
        if flag.group:
            group = parser.add_argument_group(flag.group)
        options: dict[str, Any] = {"action": "store_true"}
        if flag.metavar:
            options = {"metavar": flag.metavar, "action": "append" if flag.repeated else "store"}
            options |= {"nargs": "?", "const": flag.bare} if flag.bare else {}
        group.add_argument(*flag.names, dest=key, help=flag.help.replace("%", "%%"), **options)
    return parser


def flags_help() -> str:
    """Return what `%%chat -h` shows."""
    return _make_parser().format_help()


def flag_help(name: str) -> str:
    """Return the help on the flag with this name (without hyphens), "" if there is none."""
    for flag in FLAGS.values():
        if name in [alias.lstrip("-").replace("-", "_") for alias in flag.names]:
            value = f"[{flag.metavar}]" if flag.bare else flag.metavar
            usage = f"%%chat {', '.join(flag.names)} {value}".rstrip()
            return f"{usage}\n\n{flag.help}"
    return ""


_WHITESPACE = " \t\r\n"
# shlex takes quadratic time for a long word.
_PART = re.compile(r"""([^ \t\r\n'"]+)|'([^']*)'|"([^"]*)\"""")
_QUOTED_WORD = re.compile(r"""(?:[^ \t\r\n'"]+|'[^']*'|"[^"]*")+""")


def split_line(line: str) -> list[str]:
    """Return the words of a line as a shell splits it, but without escapes and comments.

    Without an escape character Windows paths survive. An extra that is JSON keeps its quotes.
    Raises ParamError for an open quote.
    """
    words: list[str] = []
    end = 0
    for word in _QUOTED_WORD.finditer(line):
        if line[end : word.start()].strip(_WHITESPACE):
            break
        bare = _PART.sub(lambda part: part[1] or part[2] or part[3] or "", word[0])
        before = words[-1] if words else ""
        words.append(word[0] if _is_extra(word[0], before) else bare)
        end = word.end()
        if line[end : end + 1].strip(_WHITESPACE):
            break
    if line[end:].strip(_WHITESPACE):
        raise ParamError(
            f"A quote is not closed: {one_line(line, 80)}. Close it, or put the other kind of "
            "quotes around a text that holds one."
        )
    return words


def _is_extra(word: str, before: str) -> bool:
    """Return whether a word is NAME=JSON for an extra, whose quotes belong to the JSON."""
    text = word.removeprefix("--extra=").partition("=")[2]
    is_extra = before == "--extra" or word.startswith(("--extra=", PREFIX))
    return is_extra and text[:1] in ("{", "[", '"') and is_json(text)


def parse_flags(line: str) -> Flags:
    """Return the flags of a `%%chat` line.

    Raises ParamError for a flag that is not known (with the nearest ones), for a value that does
    not fit, and for flags that exclude one another.
    """
    typed, rest = _make_parser().parse_known_args([_hyphenate(word) for word in split_line(line)])
    if rest:
        raise _leftover_error(rest[0], line, tools=typed.tools)
    values: dict[str, Any] = {}
    params: dict[str, object] = {}
    for key, text in vars(typed).items():
        if text is None or text is False:
            continue
        flag = FLAGS[key]
        if key in PARAMS:
            params[key] = [decode_escapes(item) for item in text] if flag.repeated else text
        elif flag.parse:
            values[key] = flag.parse(flag.names[0], text)
        else:
            values[key] = tuple(text) if flag.repeated else text
    if "format" in values:
        values["format"], _, values["block"] = values["format"].partition(":")
    flags = Flags(params=params, **values)
    _check_together(flags)
    return flags


def split_ask(line: str) -> tuple[str, str]:
    """Return the flags at the beginning of a line, and the text after them, as it was typed.

    Raises ParamError for a word that looks like a flag and is not one.
    """
    end = 0
    while word := _WORD.match(line, end):
        name, sign, _ = _hyphenate(word[1]).partition("=")
        key = KEYS.get(name)
        if key is None and re.match("--[a-z]", name):
            raise _leftover_error(name, line, tools=None)
        if key is None:
            break
        if FLAGS[key].metavar and not sign:
            value = _WORD.match(line, word.end())
            optional = FLAGS[key].bare and not (value and is_count(value[1]))
            word = word if optional else value
        end = word.end() if word else len(line)
    return line[:end], line[end:].strip()


def _leftover_error(word: str, line: str, *, tools: str | None) -> ParamError:
    """Return the error for a word that belongs to no flag."""
    name = one_line(word.partition("=")[0] or word, 60)
    if word.startswith("-"):
        hint = suggest(name, KEYS)
        return ParamError(f"%%chat has no flag {name}.{hint} %%chat -h lists them.")
    if tools:
        return ParamError("--tools must list names with commas and no spaces: --tools f,g.")
    if re.search("[“”„‘’«»]", line):
        return ParamError(f"Quotes on a %%chat line must be straight: \"{name}\" or '{name}'.")
    if word.startswith("#"):
        return ParamError("A comment cannot follow the flags. Put it on a line above %%chat.")
    return ParamError(
        f"{name!r} is not a flag: the prompt goes below the %%chat line. In one line: %chat ask …"
    )


def _hyphenate(word: str) -> str:
    """Spell a flag with hyphens, as the API's own names have underscores."""
    if not word.startswith("--"):
        return word
    name, sign, value = word.partition("=")
    return (name if " " in name else name.replace("_", "-")) + sign + value


def _check_together(flags: Flags) -> None:
    """Raise ParamError for flags that exclude one another, or have no effect alone."""

    def is_set(condition: str) -> bool:
        name, _, value = condition.partition(" ")
        given = getattr(flags, KEYS[name])
        return given == value if value else bool(given)

    for key, flag in FLAGS.items():
        if key in PARAMS or not getattr(flags, key):
            continue
        name = flag.names[-1]
        if flag.needs and not any(map(is_set, flag.needs)):
            needed = " or ".join(flag.needs)
            raise ParamError(f"{name} has no effect without {needed}. Add it, or leave out {name}.")
        for condition in filter(is_set, flag.excludes):
            raise ParamError(
                f"{name} and {condition} cannot be used together. Leave one of them out."
            )


def parse_assignments(parts: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names and values of `name=value` texts; `#` starts a comment.

    Raises ParamError for any other text.
    """
    pairs = []
    for part in parts:
        if part.startswith("#"):
            break
        name, sign, value = part.partition("=")
        if not sign or not name:
            text = one_line(part, 60)
            raise ParamError(f"{text!r} is not NAME=VALUE. Write it without spaces: {text}=…")
        if name == "stop" and value.startswith("[") and value.endswith("]"):
            raise ParamError("stop must not be a list. Write every text by itself: stop=A stop=B.")
        pairs.append((name, decode_escapes(value) if name == "stop" else value))
    return pairs


def decode_escapes(text: str) -> str:
    r"""Return the text with `\n` and `\t` as a newline and a tab, which no line can hold."""
    return text.replace("\\n", "\n").replace("\\t", "\t")
