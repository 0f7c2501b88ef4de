"""Tools to offer to a model: `%%chat --tools di.tools.inspect,di.tools.run_python`.

`inspect` reads a variable and runs without a question. `run_python` runs the model's code, so the
user is always asked, and sees the code first.
"""

from __future__ import annotations

import ast
import io
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from di_magics.core.errors import ParamError, ToolError
from di_magics.core.reply.tool_calls import always_ask, safe
from di_magics.core.secrets_in_code import hide_in_code
from di_magics.core.settings.params import suggest
from di_magics.core.text import describe_error
from di_magics.core.visible import one_line
from di_magics.values.attach import attach_value
from di_magics.values.namespace import current_shell, variables_in
from di_magics.values.secret_values import refuse_secret_member, secrets_by_name

HEAD_TOKENS = 500
"""Of a variable's text, about this many tokens are returned."""
MAX_OUTPUT = 100_000
"""Characters of output that are kept; of them, a model gets the first 4,000 tokens or so."""
MAX_NAMES = 50
FILE = "<run_python>"
MAX_COLUMNS = 100


@safe
def inspect(name: str) -> str:
    """Return the type, the size and the beginning of a variable of the notebook.

    Args:
        name: The name of the variable.
    """
    names = _user_names()
    known = variables_in(names)
    if name not in known:
        listed = ", ".join(known[:MAX_NAMES]) or "none"
        raise ToolError(
            f"There is no variable called {one_line(name, 60)}.{suggest(name, known)} "
            f"The variables are: {listed}."
        )
    value = names[name]
    try:
        attached = attach_value(value, name, tokens=HEAD_TOKENS)
        text = "" if attached.kind == "image" else f"({attached.note})\n{attached.content}"
    except ParamError as error:
        refuse_secret_member(value, name)
        text = str(error)
    return _hide("\n".join(filter(None, [f"{name}: {_describe(value)}", text])))


@always_ask
def run_python(code: str) -> str:
    """Run Python code in the notebook and return what it prints and the value of its last line.

    Variables that the code sets stay in the notebook. The user is asked before it runs.

    Args:
        code: The Python code.
    """
    output = _Output()
    with redirect_stdout(output), redirect_stderr(output):
        try:
            value = _execute(code)
            if value is not None:
                output.write(_shown(value))
        except Exception as error:
            text = f"{output.getvalue().rstrip()}\n{describe_error(error)}{_line_of(error)}"
            raise ToolError(_hide(text.lstrip())) from None
    return _hide(output.getvalue()) or "(no output)"


def _hide(text: str) -> str:
    """Return a text without what variables that are called like a secret hold."""
    return hide_in_code(text, others=secrets_by_name(_user_names()))[0]


class _Output(io.StringIO):
    """Keeps the first MAX_OUTPUT characters that are printed."""

    def write(self, text: str) -> int:
        super().write(text[: max(MAX_OUTPUT - self.tell(), 0)])
        return len(text)


def _user_names() -> dict[str, Any]:
    """Return the variables of the notebook, or of the program where there is none."""
    shell = current_shell()
    names: dict[str, Any] = shell.user_ns if shell else vars(sys.modules["__main__"])
    return names


def _describe(value: object) -> str:
    """Return the type of a value, and its shape or its length."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    parts = [one_line(kind, 120)]
    try:
        shape: Any = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            parts.append(f"shape {one_line(str(shape), 60)}")
        elif isinstance(value, str | bytes | list | tuple | dict | set | frozenset):
            parts.append(f"length {len(value):,}")
        if (dtypes := getattr(value, "dtypes", None)) is not None and hasattr(dtypes, "items"):
            columns = [f"{column} {dtype}" for column, dtype in [*dtypes.items()][:MAX_COLUMNS]]
            parts.append(f"columns {one_line(', '.join(columns), 2000)}")
        elif (dtype := getattr(value, "dtype", None)) is not None:
            parts.append(f"dtype {one_line(str(dtype), 60)}")
    except Exception:  # an object of the user's may raise anything
        parts.append("its size cannot be read")
    return ", ".join(parts)


def _execute(code: str) -> object:
    """Run the code among the notebook's variables and return the value of its last line."""
    shell = current_shell()
    tree = ast.parse(shell.transform_cell(code) if shell else code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    names = _user_names()
    exec(compile(tree, FILE, "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), FILE, "eval"), names)


def _line_of(error: BaseException) -> str:
    """Return where in the code an exception was raised, as `(line 3)`."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == FILE]
    return f" (line {lines[0]})" if lines else ""


def _shown(value: object) -> str:
    """Return a value as the notebook shows it as plain text."""
    shell = current_shell()
    data = shell.display_formatter.format(value, include={"text/plain"})[0] if shell else {}
    return str(data.get("text/plain") or repr(value))
