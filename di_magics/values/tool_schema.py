"""A function's parameters as a JSON Schema, and the arguments that a model passes.

The only importer of docstring_parser.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, get_type_hints

import docstring_parser

from di_magics.core.errors import ToolError
from di_magics.core.reply.json_reply import mend_json, parse_strict_json
from di_magics.core.secrets import looks_secret
from di_magics.core.visible import one_line
from di_magics.values.environment_secrets import held_secret
from di_magics.values.typed_json import (
    Field,
    JsonFields,
    JsonTypeError,
    annotated_description,
    json_fields,
    short_error,
)

MAX_NAME_CHARS = 64
"""OpenAI's limit, and of those that follow it."""
NAMED = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True, slots=True)
class ToolArguments:
    """The parameters of a function; `spec` is how it is offered to a model as a tool."""

    spec: Mapping[str, Any]
    signature: inspect.Signature
    _fields: JsonFields

    def parse(self, text: str) -> inspect.BoundArguments:
        """Return the arguments in a JSON text. Raises ToolError if they do not fit."""
        text = mend_json(text) if text.strip() else "{}"
        try:
            parse_strict_json(text, unique_names=True)
        except ValueError as error:
            raise self._mismatch(f"they are not JSON ({error})") from None
        try:
            values = self._fields.read(text)
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

    Raises ToolError if they have no JSON Schema.
    """
    if not name.isascii() or len(name) > MAX_NAME_CHARS:
        raise ToolError(
            f"{one_line(name, 60)} cannot be a tool: servers allow only ASCII names of at most "
            f"{MAX_NAME_CHARS} characters. Rename it."
        )
    try:
        signature = _signature(function)
    except Exception as error:
        raise ToolError(
            f"{name} cannot be a tool: its signature cannot be read ({short_error(error)}). Write "
            "a function with def around it."
        ) from None
    source = _source_function(function)
    bound = function.keywords if isinstance(function, functools.partial) else {}
    parameters = [item for item in signature.parameters.values() if item.name not in bound]
    if parameters and parameters[0].name == "self" and (owner := _class_name(source)):
        raise ToolError(
            f"{name} cannot be a tool: it is a method of {owner} without its object. Offer the "
            f"method of an object: {name} = {owner}(…).{name}"
        )
    description, descriptions = _docstring_parts(function)
    fields: dict[str, Field] = {}
    for parameter in parameters:
        if parameter.kind not in NAMED:
            raise ToolError(
                f"{name} cannot be a tool: a model passes arguments by name, and cannot pass "
                f"{one_line(parameter.replace(annotation=parameter.empty), 60)}. Name all of them."
            )
        hint = _hint(source, parameter.annotation)
        fields[parameter.name] = Field(
            hint,
            optional=parameter.default is not parameter.empty,
            description=annotated_description(hint) or descriptions.get(parameter.name) or "",
            null_is_missing=parameter.default is None,
        )
    try:
        object_ = json_fields(name, fields)
    except Exception as error:
        raise ToolError(
            f"{name} cannot be a tool: its parameters have no JSON Schema ({short_error(error)}). "
            "Use plain types, such as str, int and list."
        ) from None
    for parameter in parameters:
        if _is_plain_default(parameter.name, parameter.default):
            object_.schema["properties"][parameter.name]["default"] = parameter.default
    spec: dict[str, Any] = {"name": name, "parameters": object_.schema}
    if description:
        spec["description"] = description
    return ToolArguments(spec, signature, object_)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return a signature, whose annotations may be names that do not exist."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def _source_function(function: Any) -> Any:
    """Return the written function, without its partial, method, wrapper or object."""
    while isinstance(function, functools.partial | types.MethodType):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__
    return inspect.unwrap(function)


def _class_name(function: Callable[..., Any]) -> str:
    """Return the name of the class that a function was written in, "" for a plain function."""
    name = getattr(function, "__qualname__", "").rpartition("<locals>.")[2]
    return str(name.rpartition(".")[0])


def _hint(function: Any, annotation: Any) -> Any:
    """Return the type of a parameter, Any if there is none or it cannot be evaluated."""
    if annotation is inspect.Parameter.empty:
        return Any
    scope = getattr(function, "__globals__", {})
    local = {item.__name__: item for item in getattr(function, "__type_params__", ())}

    def holder() -> None:
        """Hold the annotation, so that the names in it can be looked up."""

    try:
        if isinstance(annotation, str):
            annotation = eval(annotation, scope, local)
        holder.__annotations__ = {"hint": annotation}
        return get_type_hints(holder, scope, local, include_extras=True)["hint"]
    except Exception:  # the user's own annotation may be anything
        return Any


def _is_plain_default(name: str, default: object) -> bool:
    """Return whether a default may be sent: a plain value, and not a key."""
    plain = type(default) in (str, int, bool) or (type(default) is float and isfinite(default))
    text = str(default) if plain else ""
    return plain and not looks_secret(name, text) and held_secret(text) is None


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
