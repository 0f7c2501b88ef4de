"""Every text of di_magics that a user can see: `python tests/messages.py` prints them by file.

A text is an argument of a function that speaks to the user (SPEAKERS), the docstring of a command
of `%chat`, or another literal of three words or more that is neither a docstring nor code of
another language. A value in an f-string is `{name}`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from di_magics.core import errors

PACKAGE = Path(errors.__file__).parents[1]
ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type)}
BUILDERS = {"_policy_error", "_invalid", "_mismatch", "incomplete", "schema_mismatch", "ErrorRule"}
"""Functions that put their argument into the text of an error."""
SPEAKERS = ERRORS | BUILDERS | {"say", "status", "ToolResult", "Interrupted"}
TABLES = {"command", "_flag", "Param"}
"""Functions whose arguments are shown in a table of the help."""

_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*[.,:;]?")
_CODE = re.compile(
    r"(?:SELECT|INSERT|UPDATE|DELETE|PRAGMA|CREATE|BEGIN) |[\\<|]"
    r"|^[a-z-]+: ?[\w# {}-]+; [a-z-]+: "
)


class Message(NamedTuple):
    """A text and its place; `speaker` is the function that gets it, empty for other literals."""

    file: str
    line: int
    speaker: str
    text: str


@cache
def messages() -> tuple[Message, ...]:
    """Return the texts of all files, in the order of the files."""
    collected: list[Message] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        collector = _Collector(path.relative_to(PACKAGE).as_posix())
        collector.visit(ast.parse(path.read_text("utf-8")))
        collected += collector.messages
    return tuple(collected)


class _Collector(ast.NodeVisitor):
    def __init__(self, file: str) -> None:
        self._file = file
        self._spoken: dict[ast.expr, str] = {}
        self.messages: list[Message] = []

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        calls = [item for item in node.decorator_list if isinstance(item, ast.Call)]
        details = ast.get_docstring(node)
        if details and any(_name(call.func) == "command" for call in calls):
            self.messages.append(Message(self._file, node.lineno, "details", details))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node.func)
        if name in SPEAKERS | TABLES:
            self._spoken.update(dict.fromkeys(node.args, name))
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._add(node, "".join(_parts(node)))
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                self.visit(value.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._add(node, node.value)

    def _add(self, node: ast.expr, text: str) -> None:
        speaker = self._spoken.get(node, "")
        words = [word for word in text.split() if _WORD.fullmatch(word)]
        if len(words) >= (2 if speaker else 3) and not _CODE.search(text):
            self.messages.append(Message(self._file, node.lineno, speaker, text))


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _parts(node: ast.JoinedStr) -> Iterator[str]:
    for value in node.values:
        if isinstance(value, ast.FormattedValue):
            yield f"{{{_hole(value.value)}}}"
        elif isinstance(value, ast.Constant):
            yield str(value.value)


def _hole(value: ast.expr) -> str:
    """Return the name of the value in an f-string, without the functions around it."""
    while isinstance(value, ast.Call) and value.args:
        value = value.args[0]
    if isinstance(value, ast.Attribute):
        return value.attr
    return value.id if isinstance(value, ast.Name) else "…"


def _print_all() -> None:
    file = ""
    for message in messages():
        if message.file != file:
            file = message.file
            print(f"\n{file}")
        print(f"  {message.line:4} {message.speaker or '-':12} {message.text!r}")


if __name__ == "__main__":
    _print_all()
