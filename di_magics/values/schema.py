"""JSON Schemas of the reader's classes and functions, and values read by them.

The only importer of pydantic, jsonschema and docstring_parser.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import docstring_parser
import pydantic
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict

from di_magics.core.errors import ParamError, ToolError
from di_magics.core.reply.json_reply import (
    extract_json,
    parse_json,
    parse_strict_json,
    schema_mismatch,
)
from di_magics.core.request.template import looks_secret
from di_magics.core.text import describe_error, one_line
from di_magics.values.files import os_error_reason, read_bounded

LARGEST_FILE = 1_000_000
NAMED = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY


class _Terse(GenerateJsonSchema):
    """Without the titles that only repeat a field's name: they cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


# The form of a reply ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClassSchema:
    """JSON that becomes an object of a class: a pydantic model, a dataclass, a TypedDict, …"""

    name: str
    schema: Mapping[str, Any]
    adapter: pydantic.TypeAdapter[Any]

    def read(self, text: str) -> Any:
        """Return the object. Raises ReplyError where the text does not fit."""
        parse_json(text)  # says better where it is no JSON
        try:
            return self.adapter.validate_json(extract_json(text))
        except pydantic.ValidationError as error:
            raise schema_mismatch(self.name, *_first(error)) from None
        except Exception as error:  # a class of the reader's may check what it likes
            raise schema_mismatch(self.name, "$", f"it raised {describe_error(error)}") from None


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """JSON by a JSON Schema (https://json-schema.org), which becomes plain lists and dicts."""

    name: str
    schema: Mapping[str, Any]

    def read(self, text: str) -> Any:
        """Return the object. Raises ReplyError where the text does not fit."""
        import jsonschema
        import referencing.exceptions

        found = parse_json(text)
        # With a registry of its own nothing that a schema refers to is fetched.
        validator = _validator(self.schema)(self.schema, registry=referencing.Registry())
        try:
            error = jsonschema.exceptions.best_match(validator.iter_errors(found))
        except referencing.exceptions.Unresolvable as missing:
            raise ParamError(
                f"The schema {self.name} refers to {one_line(missing.ref, 120)}, which is not in "
                "it. Put what it needs into its $defs."
            ) from None
        except Exception as fault:  # a schema that refers to itself, a number beyond all floats
            raise schema_mismatch(
                self.name, "$", f"it cannot be checked ({describe_error(fault)})"
            ) from None
        if error:
            raise schema_mismatch(self.name, error.json_path, error.message)
        return found


def reply_schema(found: Any, name: str) -> ClassSchema | JsonSchema:
    """Return the shape that a class or a JSON Schema describes. Raises ParamError for no such."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "reply"
    if isinstance(found, Mapping):
        return _json_schema(found, safe)
    if not isinstance(found, type) and get_origin(found) is None:
        raise ParamError(
            f"{safe} is no class and no JSON Schema: name a pydantic model, a dataclass, a "
            "TypedDict, or a dict or a .json file with a JSON Schema."
        )
    try:
        adapter = pydantic.TypeAdapter(_pydantic_type(found))
        return ClassSchema(safe, _plain_json(adapter.json_schema(schema_generator=_Terse)), adapter)
    except pydantic.errors.PydanticSchemaGenerationError:
        raise ParamError(
            f"{safe} has no JSON Schema: it is, or holds, an ordinary class. Write @dataclass "
            "above it, and a type for each field."
        ) from None
    except Exception as error:  # whatever a class makes pydantic raise
        raise ParamError(f"{safe} has no JSON Schema: {_short_error(error)}") from None


def _json_schema(found: Mapping[str, Any], name: str) -> JsonSchema:
    import jsonschema

    try:
        kind = _validator(found)
        kind.check_schema(found)
        return JsonSchema(name, _plain_json(found))
    except jsonschema.SchemaError as error:
        why = f"at {one_line(error.json_path, 80)}, {one_line(error.message, 200)}"
    except Exception as error:  # whatever is no JSON at all
        why = _short_error(error)
    raise ParamError(f"{name} is no JSON Schema: {why}.")


def _validator(schema: Mapping[str, Any]) -> Any:
    import jsonschema  # takes longer than all the rest, and only a JSON Schema needs it

    return jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)


def _plain_json(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema as it will be sent. Raises ValueError or TypeError where it is no JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(schema, allow_nan=False))
    return plain


def _short_error(error: Exception) -> str:
    return one_line(describe_error(error), 200)


def schema_from_file(file: Path) -> JsonSchema:
    """Return the shape in a .json file. Raises ParamError where there is none."""
    shown = one_line(file, 160)
    try:
        text = read_bounded(file, LARGEST_FILE, file.name).decode("utf-8-sig")
    except ParamError:
        raise
    except UnicodeDecodeError:
        raise ParamError(f"{shown} is no JSON (in UTF-8).") from None
    except (OSError, ValueError) as error:
        raise ParamError(
            f"There is no class and no file {shown} ({os_error_reason(error)}). --schema must name "
            "a class, a dict, or a .json file."
        ) from None
    try:
        found = parse_strict_json(text)
    except ValueError as error:
        raise ParamError(f"{shown} is no JSON: {error}.") from None
    if not isinstance(found, dict):
        raise ParamError(f"{shown} is no JSON Schema: it is to be an object.")
    return _json_schema(found, re.sub(r"[^A-Za-z0-9_-]", "_", file.stem)[:64] or "reply")


def _pydantic_type(hint: Any, within: tuple[Any, ...] = ()) -> Any:
    """Return a type as pydantic takes it: before Python 3.12 without the standard TypedDict."""
    if sys.version_info >= (3, 12) or hint in within:
        return hint
    if is_typeddict(hint):
        inner = get_type_hints(hint, include_extras=True)
        fields = {
            name: _field(each, name in hint.__optional_keys__, (*within, hint))
            for name, each in inner.items()
        }
        return TypedDict(hint.__name__, fields)  # type: ignore[operator] # made at run time
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None or origin is Literal:
        return hint
    if origin is Annotated:
        return Annotated[(_pydantic_type(arguments[0], within), *hint.__metadata__)]
    new = tuple(_pydantic_type(each, within) for each in arguments)
    if new == arguments:
        return hint
    if origin in (Union, types.UnionType):
        return Union[new]  # noqa: UP007 # made at run time
    return hint.copy_with(new) if hasattr(hint, "copy_with") else origin[new]


def _field(hint: Any, optional: bool, within: tuple[Any, ...]) -> Any:
    """Return a field of a TypedDict, which need not be there or has to be."""
    said = get_origin(hint)
    if said in (NotRequired, Required):
        hint, optional = get_args(hint)[0], said is NotRequired
    inner = _pydantic_type(hint, within)
    return NotRequired[inner] if optional else inner


def _first(error: pydantic.ValidationError) -> tuple[str, str]:
    """Return where the first mistake is, as a JSON path, and what it is."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in found["loc"])
    return one_line("$" + "".join(steps), 80), one_line(found["msg"], 200)


# The arguments of a function ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolArguments:
    """What a function takes: `spec` is how it is offered to a model as a tool."""

    spec: Mapping[str, Any]
    model: type[pydantic.BaseModel]
    signature: inspect.Signature

    def parse(self, text: str) -> inspect.BoundArguments:
        """Return the arguments in a text of JSON. Raises ToolError where they do not fit."""
        try:
            parse_strict_json(text or "{}")
        except ValueError as error:
            raise self._unfit(f"they are no JSON ({error})") from None
        try:
            made = self.model.model_validate_json(text or "{}", strict=True)
        except pydantic.ValidationError as error:
            where, why = _first(error)
            raise self._unfit(f"{why} ({where})") from None
        except Exception as error:  # what a type of the reader's makes of it
            raise self._unfit(_short_error(error)) from None
        values = {
            field.alias or name: getattr(made, name)
            for name, field in type(made).model_fields.items()
            if name in made.model_fields_set
        }
        return inspect.BoundArguments(self.signature, OrderedDict(values))

    def _unfit(self, why: str) -> ToolError:
        return ToolError(
            f"The arguments do not fit, and nothing was run: {why}. Call {self.spec['name']} again "
            "with arguments that fit its schema."
        )


def tool_arguments(function: Callable[..., Any], name: str) -> ToolArguments:
    """Return what a function takes, by its signature, type hints and docstring.

    Raises ToolError where that cannot be said as a JSON Schema.
    """
    if not name.isascii():
        raise ToolError(f"{one_line(name, 60)} cannot be a tool: servers take only ASCII names.")
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception as error:
        raise ToolError(
            f"{name} cannot be a tool: its signature cannot be read ({_short_error(error)})."
        ) from None
    description, told = _docstring_parts(function)
    fields: dict[str, Any] = {}
    # Fields have names of their own: pydantic would not take every name of a parameter.
    for number, (each, parameter) in enumerate(signature.parameters.items()):
        if parameter.kind not in NAMED:
            raise ToolError(
                f"{name} cannot be a tool: a model passes everything by name, and cannot pass "
                f"{one_line(parameter, 60)}."
            )
        hint = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else None  # is never passed on
        about: dict[str, Any] = {"description": told[each]} if told.get(each) else {}
        fields[f"p{number}"] = (_pydantic_type(hint), pydantic.Field(default, alias=each, **about))
    config = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False)
    try:
        model = pydantic.create_model(name, __config__=config, **fields)
        schema = _plain_json(model.model_json_schema(schema_generator=_Terse))
    except Exception as error:
        raise ToolError(
            f"{name} cannot be a tool: its parameters have no JSON Schema ({_short_error(error)}). "
            "Take plain types, and look things up by name."
        ) from None
    schema.pop("title", None)
    for each, parameter in signature.parameters.items():
        schema["properties"][each].pop("default", None)
        if _may_be_shown(each, parameter.default):
            schema["properties"][each]["default"] = parameter.default
    spec: dict[str, Any] = {"name": name, "parameters": schema}
    if description:
        spec["description"] = description
    return ToolArguments(spec, model, signature)


def _may_be_shown(name: str, default: Any) -> bool:
    """Return whether a default is a plain value, and no key."""
    plain = type(default) in (str, int, bool) or (type(default) is float and isfinite(default))
    return plain and not looks_secret(name, str(default))


def _docstring_parts(function: Callable[..., Any]) -> tuple[str, Mapping[str, str | None]]:
    """Return what a docstring says of a function, and of each of its parameters."""
    while isinstance(function, functools.partial):  # it would describe itself
        function = function.func
    text = inspect.getdoc(function) or ""
    try:
        doc = docstring_parser.parse(text)
    except Exception:  # a docstring may look like anything
        return text, {}
    parts = (doc.short_description, doc.long_description)
    told = {param.arg_name: param.description for param in doc.params}
    return "\n\n".join(part for part in parts if part), told


def as_json(value: object) -> str | None:
    """Return a value as JSON (a dataclass, a model or a date, too), None where it has no form."""
    try:
        return pydantic.TypeAdapter(Any).dump_json(value, warnings=False).decode()
    except Exception:  # whatever an object's own methods do
        return None
