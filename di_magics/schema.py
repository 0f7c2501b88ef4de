"""JSON Schemas of the reader's classes and functions, and values read by them.

The only importer of pydantic, jsonschema and docstring_parser.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, get_type_hints, is_typeddict

import docstring_parser
import jsonschema
import pydantic
import referencing
import referencing.exceptions
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict

from di_magics.core.errors import ParamError, ToolError, one_line
from di_magics.core.structure import bare, misfit, parsed

LARGEST_FILE = 1_000_000
NAMED = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY


class _Terse(GenerateJsonSchema):
    """Without the titles that only repeat a field's name: they cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


# The form of a reply ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClassShape:
    """JSON that becomes an object of a class: a pydantic model, a dataclass, a TypedDict, …"""

    name: str
    schema: Mapping[str, Any]
    adapter: pydantic.TypeAdapter[Any]

    def read(self, text: str) -> Any:
        """Return the object. Raises ReplyError where the text does not fit."""
        parsed(text)  # says better where it is no JSON
        try:
            return self.adapter.validate_json(bare(text))
        except pydantic.ValidationError as error:
            raise misfit(self.name, *_first(error)) from None


@dataclass(frozen=True, slots=True)
class SchemaShape:
    """JSON by a JSON Schema (https://json-schema.org), which becomes plain lists and dicts."""

    name: str
    schema: Mapping[str, Any]

    def read(self, text: str) -> Any:
        """Return the object. Raises ReplyError where the text does not fit."""
        found = parsed(text)
        # With a registry of its own nothing that a schema refers to is fetched.
        validator = _validator(self.schema)(self.schema, registry=referencing.Registry())
        try:
            error = jsonschema.exceptions.best_match(validator.iter_errors(found))
        except referencing.exceptions.Unresolvable as missing:
            raise ParamError(
                f"The schema {self.name} refers to {one_line(missing.ref, 120)}, which is not in "
                "it. Put what it needs into its $defs."
            ) from None
        if error:
            raise misfit(self.name, error.json_path, error.message)
        return found


def shape(found: Any, name: str) -> ClassShape | SchemaShape:
    """Return the shape that a class or a JSON Schema describes. Raises ParamError for no such."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "reply"
    if isinstance(found, Mapping):
        kind = _validator(found)
        try:
            kind.check_schema(found)
        except jsonschema.SchemaError as error:
            where = one_line(error.json_path, 80)
            raise ParamError(
                f"{safe} is no JSON Schema: at {where}, {one_line(error.message, 200)}."
            ) from None
        return SchemaShape(safe, found)
    if not isinstance(found, type) and not hasattr(found, "__origin__"):
        raise ParamError(
            f"{safe} is no class and no JSON Schema: name a pydantic model, a dataclass, a "
            "TypedDict, or a dict or a .json file with a JSON Schema."
        )
    try:
        adapter = pydantic.TypeAdapter(_understood(found))
        return ClassShape(safe, adapter.json_schema(schema_generator=_Terse), adapter)
    except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as no:
        why = one_line(str(no).partition("\n")[0], 200)
        raise ParamError(f"{safe} has no JSON Schema: {why}") from None


def _validator(schema: Mapping[str, Any]) -> Any:
    return jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)


def shape_in(file: Path) -> SchemaShape:
    """Return the shape in a .json file. Raises ParamError where there is none."""
    shown = one_line(file, 160)
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ParamError(f"{shown} is too large for a JSON Schema.")
        found = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ParamError(
            f"There is no class and no file {shown} ({error.strerror}). --schema takes the name of "
            "a class or a dict, or a .json file."
        ) from None
    except (ValueError, RecursionError):
        raise ParamError(f"{shown} is no JSON.") from None
    if not isinstance(found, dict):
        raise ParamError(f"{shown} is no JSON Schema: it is to be an object.")
    made = shape(found, file.stem)
    assert isinstance(made, SchemaShape)
    return made


def _understood(found: Any) -> Any:
    """Return a class as pydantic takes it: before Python 3.12 not the standard TypedDict."""
    if not is_typeddict(found):
        return found
    hints = get_type_hints(found)
    optional = found.__optional_keys__
    fields = {name: NotRequired[hint] if name in optional else hint for name, hint in hints.items()}
    return TypedDict(found.__name__, fields)  # type: ignore[operator] # made at run time


def _first(error: pydantic.ValidationError) -> tuple[str, str]:
    """Return where the first mistake is, as a JSON path, and what it is."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in found["loc"])
    return "$" + "".join(steps), found["msg"]


# The arguments of a function ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a function takes: `spec` is how it is offered to a model as a tool."""

    spec: Mapping[str, Any]
    model: type[pydantic.BaseModel]
    signature: inspect.Signature

    def read(self, text: str) -> inspect.BoundArguments:
        """Return the arguments in a text of JSON. Raises ToolError where they do not fit."""
        try:
            made = self.model.model_validate_json(text or "{}")
        except pydantic.ValidationError as error:
            where, why = _first(error)
            raise ToolError(
                f"The arguments do not fit, and nothing was run: {why} ({where}). Call "
                f"{self.spec['name']} again with arguments that fit its schema."
            ) from None
        values = {
            field.alias or name: getattr(made, name)
            for name, field in type(made).model_fields.items()
            if name in made.model_fields_set
        }
        return inspect.BoundArguments(self.signature, OrderedDict(values))


def arguments(function: Callable[..., Any], name: str) -> Arguments:
    """Return what a function takes, by its signature, type hints and docstring.

    Raises ToolError where that cannot be said as a JSON Schema.
    """
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception as error:
        why = one_line(f"{type(error).__name__}: {error}", 120)
        raise ToolError(f"{name} cannot be a tool: its signature cannot be read ({why}).") from None
    doc = docstring_parser.parse(inspect.getdoc(function) or "")
    told = {param.arg_name: param.description for param in doc.params}
    fields: dict[str, Any] = {}
    # Fields have names of their own: pydantic would not take every name of a parameter.
    for number, (each, parameter) in enumerate(signature.parameters.items()):
        if parameter.kind not in NAMED:
            raise ToolError(
                f"{name} cannot be a tool: give its parameter {parameter} a name of its own that "
                "can be passed by name."
            )
        given = parameter.default is not parameter.empty
        hint = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = parameter.default if given else ...
        fields[f"p{number}"] = (
            hint,
            pydantic.Field(default, alias=each, description=told.get(each)),
        )
    config = pydantic.ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=False
    )
    try:
        model = pydantic.create_model(name, __config__=config, **fields)
        schema = model.model_json_schema(schema_generator=_Terse)
    except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as no:
        why = one_line(str(no).partition("\n")[0], 200)
        raise ToolError(
            f"{name} cannot be a tool: its parameters have no JSON Schema ({why}). Take plain "
            "types, and look things up by name."
        ) from None
    schema.pop("title", None)
    parts = (doc.short_description, doc.long_description)
    spec: dict[str, Any] = {"name": name, "parameters": schema}
    if description := "\n\n".join(part for part in parts if part):
        spec["description"] = description
    return Arguments(spec, model, signature)


def as_json(value: object) -> str | None:
    """Return a value as JSON (a dataclass, a model or a date, too), None where it has no form."""
    try:
        return pydantic.TypeAdapter(Any).dump_json(value, warnings=False).decode()
    except Exception:  # whatever an object's own methods do
        return None
