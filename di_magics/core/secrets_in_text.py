"""Passwords in commands, in SQL and in sentences.

`find_in_commands` knows the options of common programs (`mysql -p…`, `curl -u user:…`), options and
headers whose name says so (`--password …`, `-H "X-Api-Key: …"`), and the statements of databases
(`IDENTIFIED BY '…'`). `find_in_sentences` knows "the password is …" and "password: …", where what
comes next cannot be an ordinary word: it has a digit or a sign as well as letters, or after "is" it
is a number of 4 to 12 digits. So "the password is required" has none, and a password that is an
ordinary word is not found.

Each pattern begins with a fixed word or sign, or with a few blanks before one, and each of its
repetitions is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from di_magics.core.secrets import is_place, is_secret_column

_GAP = r"(?:[^\n;|&]|(?<=\\)\n){0,300}?[\s\"',\[]"
_VALUE = r"(?:\\?[\"'](?P<quoted>[^\"'\n\\]{1,200})|(?P<bare>[^\s\"'`;|&<>\\]{1,200}))"
_NEXT = r"(?:[ \t=]{1,9}|[\"'],[ \t]{0,9}(?=[\"']))"
_USER = r"(?:[ \t=]{0,9}|[\"'],[ \t]{0,9})[\"']?[^\s:\"'@/$]{0,100}"
_SQL_VALUE = r"\\?(?:'(?P<quoted>[^'\n\\]{1,200})'|\"(?P<bare>[^\"\n\\]{1,200})\")"
_SQL = r"\s{1,9}(?:user|role|group|to|exists)\s{1,9}[^\s;]{1,100}\s{1,9}"
_COMMANDS = {
    "mysql -p": rf"\b(?:mysql|mariadb)[\w-]{{0,20}}{_GAP}-p{_VALUE}",
    "-u": rf"\b(?:curl|wget|xh|https?(?=[ \t])){_GAP}(?:-[uUa]|--(?:proxy-)?user|--auth)"
    rf"{_USER}:{_VALUE}",
    "smbclient -U": rf"\bsmbclient{_GAP}-U{_USER}%{_VALUE}",
    "sshpass -p": rf"\bsshpass{_GAP}-p[ \t]{{0,9}}{_VALUE}",
    "redis-cli -a": rf"\bredis-cli{_GAP}-a{_NEXT}{_VALUE}",
    "mongo -p": rf"\bmongo\w{{0,20}}{_GAP}-p{_NEXT}{_VALUE}",
    "login -p": r"\b(?:docker|podman|nerdctl|helm|az|oc)[ \t][^\n;|&]{0,60}?"
    rf"\blogin{_GAP}-p{_NEXT}{_VALUE}",
    "ldap -w": rf"\bldap(?:search|add|modify|delete|passwd|whoami){_GAP}-w{_NEXT}{_VALUE}",
    "-P": rf"\b(?:sqlcmd|bcp|isql|zip|unzip){_GAP}-P[ \t]{{0,9}}{_VALUE}",
    "-p": rf"\b(?:7z[ar]?|rar|unrar)[ \t]{_GAP}-p{_VALUE}",
    "pass:": rf"\bopenssl{_GAP}(?:-\w{{1,20}}[ \t]{{1,9}})?pass:{_VALUE}",
    "echo": r"\becho[ \t]{1,9}(?:-\w[ \t]{1,9})?[\"']?(?:\w{1,60}:)?"
    r"(?P<quoted>(?P<bare>[^\s\"'|]{1,200}))[\"']?[ \t]{0,9}\|[ \t]{0,9}"
    r"(?:sudo[ \t]{1,9}-S|(?:ch)?passwd|docker|podman|kinit|cryptsetup|gpg)\b",
    "login": rf"\blogin[ \t]{{1,9}}\S{{1,100}}\s{{1,9}}password[ \t]{{1,9}}{_VALUE}",
    "IDENTIFIED BY": rf"(?i){_SQL}identified\s{{1,9}}(?:with\s{{1,9}}[^\s;]{{1,60}}\s{{1,9}})?"
    rf"(?:by|as)\s{{1,9}}(?:password\s{{1,9}})?{_SQL_VALUE}",
    "PASSWORD": rf"(?i)(?:\b(?:with|(?:un)?encrypted|login)\s{{1,9}}|{_SQL})"
    rf"password\s{{1,9}}{_SQL_VALUE}",
    "PASSWORD()": rf"=\s{{0,9}}(?i:password)\(\s{{0,9}}{_SQL_VALUE}",
}
_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in _COMMANDS.items())
_OPTION = re.compile(
    r"(?<![\w-])--([A-Za-z][\w-]{1,60})"
    rf"(?:=|(?P<blank>[ \t]{{1,9}})|[\"'],[ \t]{{0,9}}(?=[\"'])){_VALUE}"
)
_HEADER = re.compile(
    r"(?<![\w-])(?:-H|--header)[ \t=]{0,9}\\?[\"']([A-Za-z][\w-]{1,60}):[ \t]{0,9}"
    r"(?P<quoted>(?P<bare>[^\"'\n\\]{1,400}))"
)
_PLACEHOLDER = re.compile(
    r"(?i:pass|passwd|pwd|pw|secret|token|key|value|string|text|x{2,9}|\*{1,9}|\.{3}|-.*)|"
    r"\w{1,60}=(?:\.{3}|value)|.*(?:[{}]|\$[({A-Za-z_]|%s|%\().*|[$%<\[@:?].*"
)

_SUBJECT = (
    r"(?<![^\W_])(?P<name>(?i:pass ?(?:word|phrase|code|wort)|passwd|pwd|kennwort|wachtwoord|senha"
    r"|contrase[nñ]a|mot de passe))"
)
_OF = (
    r"(?:[ ](?:for|of|to|on|at|from|here|now|f[üu]r|von|vom|zum|zur|der|des|de|del|du|para|pour)"
    r"(?:[ ][\w.'’-]{1,30}){0,5}?)?"
)
_SENTENCE = re.compile(
    rf"{_SUBJECT}{_OF}[ ](?:is|was|ist|war|lautet|est|es|é)(?:[ ](?:now|still|jetzt))?:?[ ]{{1,3}}"
    r"(?P<value>\S{4,100})(?!\S)(?P<after>[ ]{0,3}\w{0,12})"
)
_INLINE = re.compile(rf"{_SUBJECT}[ ]?[:=][ ]{{0,3}}(?P<value>\S{{8,100}})(?!\S)")
_BRACKETS = "\"'`“”„‘’«»()[]*_"
_UNITS = re.compile(r" *(?i:char|letter|digit|byte|bit|long|zeichen|stellen|caract)\w*")
_TERM = re.compile(
    r"(?i:(?:sha|md|rfc|utf|base|argon|aes|rsa|hs|rs|pbkdf|ed|iso|http|oauth|win|type|level|step|v)"
    r"[-_]?\d[\w-]*|\d+[-–]\w+|\d{4}-\d\d-\d\dT.*|[\w.+-]+@[\w-]+\.[\w.'’-]+|\w+://.*|[A-Za-z_.]{4,40}[\[(].*|~?/.*)"
)


def find_in_commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield pairs (label, password) from commands and statements of SQL.

    The label is the command, the option or the header before the password.
    """
    for name, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            yield from _check(name, "password", match)
    for match in _OPTION.finditer(text):
        if match["quoted"] or not match["blank"] or is_odd(match["bare"]):
            yield from _check(match[1], match[1], match)  # unlike "--password is required"
    for match in _HEADER.finditer(text):
        yield from _check(match[1], match[1], match)


def find_in_sentences(text: str) -> Iterator[tuple[str, str]]:
    """Yield pairs (label, password) from sentences; the label is their word for a password."""
    for match in _SENTENCE.finditer(text):
        value = _strip(match["value"])
        is_number = re.fullmatch(r"\d{4,12}", value) and not _UNITS.match(match["after"])
        if is_number or is_odd(value):
            yield match["name"], value
    for match in _INLINE.finditer(text):
        value = _strip(match["value"])
        if count_kinds(value) > 2 and is_odd(value):
            yield match["name"], value


def is_odd(value: str) -> bool:
    """Return whether a text without blanks is not a word, and may be a password.

    It has letters, and a digit or, before its last character, a sign.
    """
    has_letter = re.search(r"[^\W\d_]", value)
    return bool(
        len(value) >= 4
        and has_letter
        and re.search(r"\d|[!@#$%^*+=?~|](?=.)", value)
        and not (_TERM.fullmatch(value) or _PLACEHOLDER.fullmatch(value) or is_place(value))
        and is_secret_column("password", [value])
    )


def count_kinds(value: str) -> int:
    """Return how many of small letters, capitals, digits and signs a text has."""
    return sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", r"\d", r"[^\w\s]"))


def _strip(value: str) -> str:
    """Return a word without the quotes, brackets and punctuation around it."""
    return value.strip(_BRACKETS).rstrip(".,;:!?…").strip(_BRACKETS)


def _check(label: str, name: str, match: re.Match[str]) -> Iterator[tuple[str, str]]:
    value = match["quoted"] or match["bare"]
    if not _PLACEHOLDER.fullmatch(value) and is_secret_column(name, [value]):
        yield label, value
