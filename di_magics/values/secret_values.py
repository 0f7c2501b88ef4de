"""Files, variables and texts that look like secrets, refused before they are sent."""

from __future__ import annotations

import configparser
import csv
import json
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from di_magics.core.errors import ParamError
from di_magics.core.secrets import (
    find_assignment,
    find_credential,
    find_env,
    find_line,
    find_property,
    is_secret_column,
    is_secret_file,
    looks_random,
    looks_secret,
)
from di_magics.core.secrets_in_code import find_in_code
from di_magics.core.secrets_in_text import find_in_commands, find_in_sentences
from di_magics.core.text import describe_error
from di_magics.core.visible import one_line
from di_magics.values.environment_secrets import held_secret
from di_magics.values.value_names import named_texts

HEADER_LINES = 20
NAMING = {"name", "key", "setting", "variable", "parameter", "property"}
"""The first of two columns, where a table has settings."""
MAX_LINES = 1000
MAX_NAME_CHARS = 100
"""Secrets of a notebook that one name has, as a column."""
SETTINGS = {".json", ".jsonl", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties"}
SETTINGS |= {".xml", ".plist", ".config", ".tf", ".tfvars", ".envrc", ".ndjson", ".json5"}
PROGRAMS = {".py", ".js", ".mjs", ".ts", ".jsx", ".tsx", ".r", ".jl", ".rb", ".go", ".java", ".kt"}
PROGRAMS |= {".php", ".pl", ".sh", ".bash", ".zsh", ".ps1", ".cs", ".c", ".cpp", ".rs", ".swift"}
MANUALS = {".md", ".rst", ".adoc", ".tex", ".html", ".htm"}
_NOT_CODE = re.compile(r"(?ms)^\[(?:markdown|raw)\]$.*?(?=^\[code\]$|\Z)")
"""Cells of a notebook, as values/attach.py writes it, that may show examples."""
SHELLS = {".sh", ".bash", ".zsh"}
TABLES = {".csv", ".tsv", ".tab", ".psv"}
DELIMITERS = ",;\t|"
HISTORY = {"In", "Out", "_ih", "_oh", "_dh"}
"""IPython's own variables."""
EXAMPLES = ("0a1B2c3D4e5F6g7H8", "Bearer 0a1B2c3D4e5F6g7H8")
"""Texts that are secrets under any name that may be that of one."""


def refuse_secret_file(path: Path, name: str) -> None:
    """Raise ParamError for a file that usually holds secrets, by its name or its target's."""
    try:
        target = path.resolve().name
    except (OSError, RuntimeError, ValueError):
        target = ""
    if is_secret_file(path.name) or is_secret_file(target):
        raise ParamError(
            f"{one_line(name, 80)} usually holds keys or passwords: it was not attached. Copy "
            "what the model may read into a file of another name."
        )


def refuse_secret_text(text: str, path: Path) -> None:
    """Raise ParamError for the text of a file that holds a key or a password."""
    name = one_line(path.name, 80)
    suffix = path.suffix.lower()
    if find_credential(text):
        raise ParamError(
            f"{name} seems to hold a key or a password: it was not attached. Remove that first."
        )
    member = None
    if suffix in SETTINGS:
        member = _secret_member(_parse(text, suffix)) or find_assignment(text)
        member = member or (find_in_code(text) if suffix == ".tf" else None)
        member = member or (find_property(text) if suffix == ".properties" else None)
    elif suffix in PROGRAMS:
        member = find_in_code(text, shell=suffix in SHELLS)
    elif suffix == ".ipynb":
        code = _NOT_CODE.sub("", text)
        member = find_in_code(code) or _find_command(code)
    elif suffix in TABLES:
        member = _secret_column(text)
    elif suffix not in MANUALS:
        member = _find_in_prose(text)
    if suffix in SETTINGS | PROGRAMS:
        member = member or _find_command(text)
    if member:
        raise _member_error(name, member)
    refuse_environment_secret(text, name)


def refuse_secret_value(text: str, value: object, name: str) -> None:
    """Raise ParamError for a variable that looks like a secret, or whose text holds one."""
    if looks_secret(name, text):
        raise ParamError(
            f"{one_line(name, 80)} looks like a key or a password: it was not attached. Put what "
            "the model may read into a variable of another name."
        )
    refuse_secret_member(value, name)
    is_named = isinstance(value, str) or next(iter(named_texts(value)), None)
    if not is_named and (member := find_in_code(text)):  # the repr of an object
        raise _member_error(one_line(name, 80), member)
    refuse_environment_secret(text, name)


def refuse_environment_secret(text: str, name: str) -> None:
    """Raise ParamError for a text that holds a secret of the environment."""
    if variable := held_secret(text):
        raise ParamError(
            f"{one_line(name, 80)} holds a key or a password, the value of {variable} in the "
            "environment: nothing was sent. Remove it first."
        )


def refuse_secret_member(value: object, name: str) -> None:
    """Raise ParamError for a table with a column of passwords, or a dict with one, at any level."""
    try:
        if isinstance(value, str):
            is_settings = value.lstrip()[:1] in ("{", "[")
            document = _parse(value, ".json") if is_settings else None
            pattern = find_assignment if is_settings else _find_in_prose
            secret = _secret_member(document) or pattern(value)
        else:
            secret = _secret_member(value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what the value's own methods raise
        raised = one_line(describe_error(error), 120)
        raise ParamError(
            f"{one_line(name, 80)} cannot be read ({raised}). Convert it to a text first."
        ) from None
    if secret is not None:
        raise _member_error(one_line(name, 80), secret)


def secrets_by_name(variables: Mapping[str, object]) -> list[str]:
    """Return the secrets in a notebook's variables, at any level: values whose name says so.

    They are hidden in what is sent of its cells, whose code may have read them from a prompt.
    """
    own = {name: value for name, value in variables.items() if name not in HISTORY}
    with suppress(Exception):
        return _named_secrets(own)
    secrets: list[str] = []  # an object's own methods raise: each variable by itself
    for name, value in own.items():
        with suppress(Exception):
            secrets += _named_secrets({name: value})
    return secrets


def _named_secrets(variables: Mapping[str, object]) -> list[str]:
    secrets: dict[str, None] = {}
    for name, texts in named_texts(variables):
        if any(_is_secret(name, example) for example in EXAMPLES):
            secrets |= {t: None for t in islice(texts, MAX_NAME_CHARS) if _is_secret(name, t)}
        if len(secrets) >= MAX_LINES:
            break
    return list(secrets)


def _is_secret(name: str, text: str) -> bool:
    return is_secret_column(name, [text]) or (looks_random(text) and looks_secret(name, text))


def _find_in_prose(text: str) -> str | None:
    """Return the first name that an ordinary text gives a secret to, in a line or a sentence."""
    sentences = (name for name, _ in find_in_sentences(text))
    return find_line(text) or find_env(text) or _find_command(text) or next(sentences, None)


def _find_command(text: str) -> str | None:
    return next((name for name, _ in find_in_commands(text)), None)


def _secret_member(value: object) -> str | None:
    """Return the first name within a value that has a secret, also in a text `NAME=VALUE`."""
    named = (name for name, texts in named_texts(value) if is_secret_column(name, texts))
    lines = value if isinstance(value, list | tuple) else ()
    if isinstance(value, Mapping):
        lists = (member for member in value.values() if isinstance(member, list | tuple))
        lines = [text for member in islice(lists, MAX_LINES) for text in islice(member, MAX_LINES)]
    texts = (text for text in islice(lines, MAX_LINES) if isinstance(text, str))
    found = next(named, None)
    return found if found is not None else next(filter(None, map(find_line, texts)), None)


def _parse(text: str, suffix: str) -> object:
    """Return what a file of settings holds, None if that is not known: then patterns are left."""
    try:
        if suffix == ".toml":
            return tomllib.loads(text)
        if suffix in (".ini", ".cfg", ".conf"):
            parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
            parser.read_string(text)
            return {name: dict(section) for name, section in parser.items()}
        return json.loads(text) if suffix == ".json" else None
    except (ValueError, RecursionError, configparser.Error):
        return None


def _member_error(name: str, member: str) -> ParamError:
    return ParamError(
        f"{name} has {one_line(member, 60)}, which looks like a password or a key: nothing was "
        "sent. Remove it, or give it another name."
    )


def _secret_column(text: str) -> str | None:
    """Return the first column of a text of CSV that holds passwords, whatever separates columns.

    Its names are in the first line of several cells, or in a comment before it.
    """
    lines = [line for line in text.splitlines() if line.strip("# ")]
    comments = next((at for at, line in enumerate(lines) if line[0] != "#"), 0)
    lines = [line.lstrip("# ") for line in lines]
    for delimiter in DELIMITERS:
        try:
            rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
        except csv.Error:
            continue
        is_settings = bool(rows) and len(rows[0]) == 2 and rows[0][0].lower() in NAMING
        if is_settings and (member := _secret_member(rows[1:])):
            return member
        start = enumerate(rows[: comments + HEADER_LINES])
        header = next((at for at, row in start if at >= comments and len(row) > 1), comments)
        for at, names in enumerate(rows[: header + 1]):
            for column, name in enumerate(names):
                if any(other in name for other in DELIMITERS):
                    continue  # a line that another delimiter splits
                cells = (row[column] for row in islice(rows, at + 1, None) if column < len(row))
                if is_secret_column(name, cells):
                    return name
    return None
