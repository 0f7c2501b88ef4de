"""Passwords and keys in programs: quoted texts whose name, somewhere before them, says so.

A name and its text may have a type, a call or another operator between them, in each language its
own: `password: str = "…"`, `var password string = "…"`, `password <- "…"`, `env["PASSWORD"] = "…"`,
`define('PASSWORD', '…')`. So the search begins at the quoted texts, and looks at what is before
each of them on its line: at each name there, and whether only such things stand between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from di_magics.core.secrets import find_assignment, is_secret_column, looks_random, names_secret
from di_magics.core.secrets_in_text import (
    count_kinds,
    find_in_commands,
    find_in_sentences,
    is_odd,
)

BEFORE = 160
"""Characters before a text in which its name is looked for."""
MIN_SECRET_CHARS = 4
"""A shorter value is not hidden: it may be a part of any word."""
_TEXT = re.compile(r"(\"\"\"|'''|[\"'`])((?:\\.|(?!\1)[^\\\n]){1,400})\1")
_NAME = re.compile(r"[A-Za-z_][\w-]{0,60}")
_TYPE = r"[&*\w.\[\]<>|? ]{1,40}"
_GAP = re.compile(
    r"[\"'`]?[ \t]{0,9}[\])]{0,2}[?!]?[ \t]{0,9}"
    rf"(?:(?::[ \t]{{0,9}}{_TYPE}|[ \t]{_TYPE})?=(?!=)|:=|=>|<{{1,2}}-|:(?!:))[ \t]{{0,9}}"
    r"[(\[{]{0,2}[ \t]{0,9}(?:[\w.]{1,60}\([^()\n]{0,80}\)[ \t]{1,9}(?:or|\|\||\?\?)[ \t]{1,9})?"
    r"(?:\w{0,30}(?:[Ss]ecret|[Ss]tr|String|bytes)\w{0,30}\()?[rbfuRBFU]{0,2}"
)
_DEFAULT = re.compile(r"[\"'`][ \t]{0,9}[,{][^\"'\n]{0,80}\bdefault[ \t]{0,9}=[ \t]{0,9}")
_ARGUMENT = re.compile(r"[\"'`][ \t]{0,9},[ \t]{0,9}[rbfuRBFU]{0,2}")
_SETTER = re.compile(
    r"(?:\b(?:(?:get|set|put)env|define|setdefault|environ\.get|setProperty|getProperty)"
    r"|\bENV\.fetch)\([ \t]{0,9}[\"'`]\Z"
)
_CALLED = re.compile(r"\([ \t]{0,9}[rbfuRBFU]{0,2}")
_SHELL = re.compile(
    r"(?m)(?:^|[\s;&|(])(?:export[ \t]{1,9})?([A-Za-z_]\w{0,60})=([^\s\"'`;&|()<>]{1,400})"
)
# NAME=VALUE in a message, where a value is no word.
_IN_MESSAGE = re.compile(
    r"(?<![\w.])([A-Za-z_][\w-]{0,60})[ ]?[=:][ ]?([^\s,;()\[\]{}'\"<>]{4,200})"
)
# A line of a notebook that is for a shell, or sets a variable; a cell of such lines.
_SHELL_LINE = re.compile(r"(?m)^[ \t]{0,40}(?:!|%(?:env|set_env|sx|system)[ \t])[^\n]{0,1000}")
_SHELL_CELL = re.compile(r"\s{0,99}%%(?:bash|sh|script|sx|system|cmd)\b")
_ENV_BY_BLANK = re.compile(r"%(?:set_)?env[ \t]{1,9}([A-Za-z_]\w{0,60})[ \t]{1,9}(\S{1,400})")
# A call or an assignment to do with an account, and the texts in it after the first one.
_ACCOUNT = re.compile(
    r"(?i)(?<![^\W_])\w{0,40}(?:auth|log_?[io]n|sign_?in|connect|credential|account|user|ftp|imap"
    r"|pop3|ssh|ldap)\w{0,40}[ \t]{0,9}=?[ \t]{0,9}\("
)
MAX_CALL_CHARS = 400
_BEHIND = re.compile(
    r",\s{0,99}(?:[rbfuRBFU]{1,2})?([\"'])([^\"'\s\\]{4,100})\1(?=\s{0,99}[,)\]}])"
)
# A generated password in quotes; not a formula, a cell of a sheet, a colour or an address.
_GENERATED = re.compile(r"(?=[^\s]{0,40}[!#$?@])[\w!#$?@^&*+~.%-]{8,40}")
_NOT_GENERATED = re.compile(
    r"\$.*\$|\w+!\$?[A-Z]{1,3}\$?\d+|[\w.]+\$[A-Za-z]\w*|#[0-9a-fA-F]{3,8}|[\w.+-]+@(?:[\w-]+\.[\w.-]+|v?\d[\w.-]*)"
)
_NUMBERED = re.compile(r"[A-Za-z_]+_\d{1,4}")  # as in sales_2024
_WORD = re.compile(r"[^\W\d_]+|[\d.,]+")


def find_in_code(text: str, *, shell: bool = False) -> str | None:
    """Return the first name to which a program assigns a secret, or None.

    With `shell`, a value needs no quotes.
    """
    pairs = (*_quoted(text), *_in_shell(text), *(_SHELL.findall(text) if shell else ()))
    named = (name for name, value in pairs if is_secret_column(name, [value]))
    return find_assignment(text, quoted=True) or next(named, None)


def hide_in_code(*texts: str, others: Iterable[str] = ()) -> list[str]:
    """Return a program and what it printed, with what looks like a secret replaced by `[secret]`.

    `others` are secrets that are hidden as well. Every occurrence of a secret is hidden, in all the
    texts. More values count as secret here than in `find_in_code`: hiding too much does little
    harm, because the texts are only read, not run.
    """
    values = {other for other in others if any(other in text for text in texts)}
    for text in texts:
        for name, value in _quoted(text):
            pairs = [(name, value), *_IN_MESSAGE.findall(value)]
            values.update(v for n, v in pairs if _may_be_secret(n, v))
        for line in text.splitlines():
            if not line.startswith((" ", "\t")):  # the message at the end of a traceback
                values.update(v for n, v in _IN_MESSAGE.findall(line) if _is_in_message(n, v))
        for literal in _TEXT.finditer(text):
            pairs = _IN_MESSAGE.findall(literal[2])
            values.update(v for n, v in pairs if _is_in_message(n, v))
            if _is_generated(literal[2]):
                values.add(literal[2])
        pairs = [*_in_shell(text), *find_in_commands(text), *find_in_sentences(text)]
        values.update(v for _, v in pairs)
        values.update(_without_name(text))
    hidden = "|".join(
        re.escape(v) for v in sorted(values, key=len, reverse=True) if len(v) >= MIN_SECRET_CHARS
    )
    return [re.sub(hidden, "[secret]", text) if hidden else text for text in texts]


def _in_shell(text: str) -> Iterator[tuple[str, str]]:
    """Yield the secrets by name in what a notebook gives to a shell."""
    is_cell = _SHELL_CELL.match(text)
    for line in [text] if is_cell else _SHELL_LINE.findall(text):
        line = line.lstrip(" \t!")
        pairs = [*_SHELL.findall(line), *_ENV_BY_BLANK.findall(line)]
        yield from (pair for pair in pairs if is_secret_column(pair[0], [pair[1]]))


def _without_name(text: str) -> Iterator[str]:
    """Yield the texts after a user's name, as in connect(("host", "ada", "…"))."""
    for call in _ACCOUNT.finditer(text):
        arguments = _within(text[call.end() : call.end() + MAX_CALL_CHARS])
        values = (value for _, value in _BEHIND.findall(arguments))
        yield from (v for v in values if is_odd(v) and not _NUMBERED.fullmatch(v))


def _within(text: str) -> str:
    """Return a text up to the bracket that closes what was opened before it."""
    depth = 1
    for bracket in re.finditer(r"[()]", text):
        depth += 1 if bracket[0] == "(" else -1
        if not depth:
            return text[: bracket.end()]
    return text


def _is_generated(value: str) -> bool:
    """Return whether a text has all four kinds of characters, as generated passwords have."""
    bare = value.rstrip("?!.")
    return bool(
        _GENERATED.fullmatch(bare) and count_kinds(bare) == 4 and not _NOT_GENERATED.fullmatch(bare)
    )


def _may_be_secret(name: str, value: str) -> bool:
    mixed = all(re.search(kind, value) for kind in (r"\d", "[A-Za-z]", r"[^\w\s]"))
    return is_secret_column(name, [value]) or (
        names_secret(name) and (mixed or looks_random(value.rpartition(" ")[2]))
    )


def _is_in_message(name: str, value: str) -> bool:
    return not _WORD.fullmatch(value) and is_secret_column(name, [value])


def _quoted(text: str) -> Iterator[tuple[str, str]]:
    """Yield each quoted text of a program with the names that may be its own."""
    for literal in _TEXT.finditer(text):
        start = literal.start()
        before = text[max(start - BEFORE, 0) : start].rpartition("\n")[2]
        defines = before.lstrip().startswith("#define")
        for name in _NAME.finditer(before):
            gap = before[name.end() :]
            if (
                _GAP.fullmatch(gap)
                or _DEFAULT.fullmatch(gap)
                or (_ARGUMENT.fullmatch(gap) and _SETTER.search(before, 0, name.start()))
                or (_CALLED.fullmatch(gap) and name[0].lower().startswith(("set", "with")))
                or (defines and not gap.strip())
            ):
                yield name[0], literal[2]
