"""Passwords and keys in programs: quoted texts whose name, somewhere before them, says so.

A name and its text may have a type, a call or another operator between them, in each language its
own: `password: str = "…"`, `var password string = "…"`, `password <- "…"`, `env["PASSWORD"] = "…"`,
`define('PASSWORD', '…')`. So the search begins at the quoted texts, and looks at what is before
each of them on its line: at each name there, and whether only such things stand between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from di_magics.core.secrets import find_assignment, is_secret_column, looks_random, names_secret

BEFORE = 160
"""Characters before a text in which its name is looked for."""
SHORTEST = 4
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
_WORD = re.compile(r"[^\W\d_]+|[\d.,]+")


def find_in_code(text: str, *, shell: bool = False) -> str | None:
    """Return the first name that a program gives a secret to; in a `shell` also without quotes."""
    pairs = (*_quoted(text), *(_SHELL.findall(text) if shell else ()))
    named = (name for name, value in pairs if is_secret_column(name, [value]))
    return find_assignment(text, quoted=True) or next(named, None)


def hide_in_code(*texts: str) -> list[str]:
    """Return a program and what it printed without the secrets by name in any of them.

    A value is hidden wherever it stands, and where its name is that of a secret more often than
    `find_in_code` says so: a program that is wrong is only read.
    """
    values: set[str] = set()
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
    hidden = "|".join(
        re.escape(v) for v in sorted(values, key=len, reverse=True) if len(v) >= SHORTEST
    )
    return [re.sub(hidden, "[secret]", text) if hidden else text for text in texts]


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
