"""The complete text of a variable, also if its own `str` shortens it."""

from __future__ import annotations

import re
import sys
import types
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.request.template import plain_str as str_of
from di_magics.core.text import describe_error
from di_magics.core.visible import one_line
from di_magics.values.json_text import is_array, refuse_iterator, to_json

# The repr of an object without its own text.
_OBJECT = re.compile(r"<[^<>\n]{1,200} at 0x[0-9A-Fa-f]{4,16}>")
CONTAINERS = (list, tuple, dict, set, frozenset)


def value_text(value: object, name: str, limit: int) -> tuple[str, bool]:
    """Return the text of a value, and whether that is all of it.

    A text is cut only if it is longer than `limit` characters, at about that length. Raises
    ParamError for a value without a meaningful text.
    """
    refuse_textless(value, name)
    try:
        if issubclass(type(value), str):
            return str.__str__(value), True
        if is_table(value):
            return table_text(value, limit)
        if is_array(value) or _is_pandas_array(value):
            return _array_text(value, limit)
        if isinstance(value, CONTAINERS) and _is_longer(value, limit):
            return to_json(value, limit, lambda inner: str_of(inner, name))[0], False
    except (KeyboardInterrupt, ParamError):
        raise
    except BaseException as error:
        raised = one_line(describe_error(error), 120)
        raise ParamError(
            f"{one_line(name, 80)} has no text ({raised}). Put its text into a variable first."
        ) from None
    text = str_of(value, name)
    if _OBJECT.search(text) and not _OBJECT.sub("", text[:2000]).strip("[](){}, \n"):
        raise ParamError(
            f"{one_line(name, 80)} is a {_kind(value)} without its own text. Put what it holds "
            "into a variable, and send that."
        )
    return text, True


def refuse_textless(value: object, name: str) -> None:
    """Raise ParamError for a value whose text has no meaning for a model."""
    label = one_line(name, 80)
    library = type(value).__module__.partition(".")[0]
    if value is None:
        raise ParamError(f"{label} is None: there is nothing to send. Give it a value first.")
    if isinstance(value, types.ModuleType):
        raise ParamError(f"{label} is a module. Name a variable that holds a value.")
    if isinstance(value, (*_CLASSES, *_FUNCTIONS)):
        kind = "class" if isinstance(value, _CLASSES) else "function"
        raise ParamError(
            f"{label} is a {kind}. Name a variable that holds a value, such as x = {label}(…)."
        )
    if library == "matplotlib":
        raise ParamError(
            f"{label} is a part of a plot ({_kind(value)}). Attach the figure as an image: "
            f"-a NAME of the figure, or fig = {label}.figure first."
        )
    try:
        refuse_iterator(value)
    except ParamError as error:
        raise ParamError(f"{label} cannot be sent: {error}") from None


_CLASSES = (type, types.GenericAlias)
_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
)


def _kind(value: object) -> str:
    return one_line(type(value).__name__, 60)


def _is_longer(value: object, limit: int) -> bool:
    """Return whether the text of nested containers is certainly longer than the limit."""
    waiting, seen = [value], 0
    while waiting and seen <= limit:
        inner = waiting.pop()
        seen += 1
        if isinstance(inner, str | bytes):
            seen += len(inner)
        elif isinstance(inner, CONTAINERS):
            if len(inner) + seen > limit:
                return True
            waiting += [*inner.keys(), *inner.values()] if isinstance(inner, dict) else inner
    return seen > limit


# Arrays -------------------------------------------------------------------------------------


def _is_pandas_array(value: object) -> bool:
    """Return whether this is an index or an array of pandas, which shortens its text."""
    kind = type(value)
    return kind.__module__.partition(".")[0] == "pandas" and hasattr(kind, "__array__")


def _array_text(value: Any, limit: int) -> tuple[str, bool]:
    """Return an array as NumPy writes it, without an ellipsis; of a large one the first part."""
    numpy = sys.modules.get("numpy")
    if numpy is None:  # an array of another library, which has its own text
        return str_of(value, "array"), True
    whole, size = True, 1
    for length in value.shape:
        size *= length
    if size > limit and value.shape:
        row = max(size // max(value.shape[0], 1), 1)
        value, whole = value[: max(limit // row, 1)], False
    array = numpy.asanyarray(value)
    if array.size > limit:
        array = array.reshape(-1)[:limit]
    if numpy.ma.isMaskedArray(array):  # its text has an ellipsis in any case
        return str(array.tolist()), whole
    return str(numpy.array2string(array, threshold=sys.maxsize)), whole


# Tables -------------------------------------------------------------------------------------


def is_table(value: object) -> bool:
    """Return whether this is a DataFrame or a Series of pandas or polars."""
    library = type(value).__module__.partition(".")[0]
    return library in ("pandas", "polars") and type(value).__name__ in ("DataFrame", "Series")


def table_csv(value: Any, rows: int) -> str:
    """Return the first rows of a table as CSV."""
    head = value.head(rows)
    if hasattr(head, "to_csv"):
        return str(head.to_csv())
    return str((head if hasattr(head, "write_csv") else head.to_frame()).write_csv())


def table_text(value: Any, limit: int) -> tuple[str, bool]:
    """Return a table as CSV; only the first rows of one that is longer than the limit."""
    columns = value.shape[1] if len(value.shape) > 1 else 1
    rows = limit // (2 * max(columns, 1))  # a cell has a character and a comma at least
    return table_csv(value, rows).rstrip("\n"), len(value) <= rows
