"""A function's parameters as a JSON Schema, and the arguments that a model passes.

The only importer of docstring_parser.
"""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import docstring_parser

from di_magics.core.errors import ToolError
from di_magics.core.reply.json_reply import parse_strict_json
from di_magics.core.secrets import looks_secret
from di_magics.core.text import one_line
from di_magics.values.typed_json import Field, JsonFields, JsonTypeError, json_fields, short_error

NAMED = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True, slots=True)
class ToolArguments:
    """The parameters of a function; `spec` is how it is offered to a model as a tool."""

    spec: Mapping[str, Any]
    signature: inspect.Signature
    _fields: JsonFields

    def parse(self, text: str) -> inspect.BoundArguments:
        """Return the arguments in a JSON text. Raises ToolError where they do not fit."""
        try:
            parse_strict_json(text or "{}")
        except ValueError as error:
            raise self._mismatch(f"they are not JSON ({error})") from None
        try:
            values = self._fields.read(text or "{}")
        except JsonTypeError as error:
            raise self._mismatch(str(error)) from None
        except Exception as error:  # what a type of the user's raises
            raise self._mismatch(short_error(error)) from None
        return inspect.BoundArguments(self.signature, OrderedDict(values))

    def _mismatch(self, why: str) -> ToolError:
        return ToolError(
            f"The arguments do not fit, and nothing was run: {why}. Call {self.spec['name']} again "
            "with arguments that fit its schema."
        )


def tool_arguments(function: Callable[..., Any], name: str) -> ToolArguments:
    """Return the parameters of a function, by its signature, type hints and docstring.

    Raises ToolError where they have no JSON Schema.
    """
    if not name.isascii():
        raise ToolError(f"{one_line(name, 60)} cannot be a tool: servers allow only ASCII names.")
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception as error:
        raise ToolError(
            f"{name} cannot be a tool: its signature cannot be read ({short_error(error)})."
        ) from None
    description, descriptions = _docstring_parts(function)
    fields: dict[str, Field] = {}
    for parameter in signature.parameters.values():
        if parameter.kind not in NAMED:
            raise ToolError(
                f"{name} cannot be a tool: a model passes everything by name, and cannot pass "
                f"{one_line(parameter, 60)}."
            )
        hint = Any if parameter.annotation is parameter.empty else parameter.annotation
        optional = parameter.default is not parameter.empty
        fields[parameter.name] = Field(hint, optional, descriptions.get(parameter.name) or "")
    try:
        object_ = json_fields(name, fields)
    except Exception as error:
        raise ToolError(
            f"{name} cannot be a tool: its parameters have no JSON Schema ({short_error(error)}). "
            "Use plain types, and look things up by name."
        ) from None
    for parameter in signature.parameters.values():
        if _is_plain_default(parameter.name, parameter.default):
            object_.schema["properties"][parameter.name]["default"] = parameter.default
    spec: dict[str, Any] = {"name": name, "parameters": object_.schema}
    if description:
        spec["description"] = description
    return ToolArguments(spec, signature, object_)


def _is_plain_default(name: str, default: Any) -> bool:
    """Return whether a default may be sent: a plain value, and not a key."""
    plain = type(default) in (str, int, bool) or (type(default) is float and isfinite(default))
    return plain and not looks_secret(name, str(default))


def _docstring_parts(function: Callable[..., Any]) -> tuple[str, Mapping[str, str | None]]:
    """Return the description of a function in its docstring, and those of its parameters."""
    while isinstance(function, functools.partial):  # its own docstring is that of functools.partial
        function = function.func
    text = inspect.getdoc(function) or ""
    try:
        doc = docstring_parser.parse(text)
    except Exception:  # a docstring may look like anything
        return text, {}
    parts = (doc.short_description, doc.long_description)
    descriptions = {param.arg_name: param.description for param in doc.params}
    return "\n\n".join(part for part in parts if part), descriptions
