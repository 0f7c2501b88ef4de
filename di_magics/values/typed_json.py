"""Python types as JSON Schemas, and JSON texts as objects of those types.

The only importer of pydantic and typing_extensions.
"""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import (
    Callable,
    Collection,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Reversible,
)
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
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

import pydantic
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict

from di_magics.core.text import describe_error
from di_magics.core.visible import one_line


class JsonTypeError(ValueError):
    """A JSON text does not fit a type: `path` is the JSON path of the mistake, `reason` why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{reason} ({path})")
        self.path = path
        self.reason = reason


class NoSchemaError(TypeError):
    """A type has no JSON Schema, because it is or holds an ordinary class."""


MAX_LARGE_NUMBERS = 5_000
"""Numbers above 2**61 in JSON for a set: they can be chosen so that Python compares all pairs."""
MAX_STEPS = 1_000_000
"""Values that pydantic may try, at most: about a second. JSON of n characters may have 4 n more."""


def check_steps(schema: Mapping[str, Any], text: str) -> None:
    """Raise JsonTypeError for JSON that would take too long to read.

    pydantic tries every member of a union. In a recursive union the number of attempts doubles with
    each level of the JSON, and nothing can interrupt it.
    """
    if "$ref" not in json.dumps(schema):
        return
    try:
        steps = _Steps(schema).count(schema, json.loads(text))
    except ValueError:
        return  # pydantic says what is wrong with it
    except RecursionError:
        raise JsonTypeError("$", "it is nested too deeply") from None
    if steps > MAX_STEPS + 4 * len(text):
        raise JsonTypeError("$", "it is nested too deeply for a type with unions")


class _Steps:
    """Counts the values that pydantic tries for a JSON Schema of its own."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._definitions = schema.get("$defs", {})
        self._known: dict[tuple[int, int], int] = {}

    def count(self, schema: Any, value: Any) -> int:
        """Return the number for a value, which is as large as 2 to the power of its depth."""
        if not isinstance(schema, dict) or not isinstance(value, dict | list):
            return 1
        key = id(schema), id(value)
        if key not in self._known:
            self._known[key] = 1 + sum(self.count(*pair) for pair in self._parts(schema, value))
        return self._known[key]

    def _definition(self, reference: str) -> Any:
        return self._definitions.get(reference.removeprefix("#/$defs/"))

    def _parts(self, schema: dict[str, Any], value: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the schemas within a schema, each with the value that it is tried for."""
        if "$ref" in schema:
            yield self._definition(schema["$ref"]), value
        chosen = schema.get("discriminator", {})
        tag = value.get(chosen.get("propertyName")) if isinstance(value, dict) else None
        if chosen.get("mapping") and isinstance(tag, str):
            yield self._definition(chosen["mapping"].get(tag, "")), value
        else:
            for name in ("anyOf", "oneOf", "allOf"):
                yield from ((member, value) for member in schema.get(name, ()))
        if isinstance(value, dict):
            named = schema.get("properties", {})
            other = schema.get("additionalProperties")
            yield from ((named.get(name, other), member) for name, member in value.items())
        else:
            first = schema.get("prefixItems", ())
            yield from zip(first, value, strict=False)
            yield from ((schema.get("items"), member) for member in value[len(first) :])


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Return whether a text has a match of a regular expression, in time linear in the text.

    The function is pydantic's, in Rust. Raises ValueError for an expression that it does not have,
    as one with look-around or a reference back.
    """
    try:
        adapter = pydantic.TypeAdapter(Annotated[str, pydantic.Field(pattern=pattern)])
    except Exception as error:  # pydantic_core's SchemaError
        raise ValueError(pattern) from error
    return adapter.validator.isinstance_python


class _SchemaWithoutTitles(GenerateJsonSchema):
    """Titles that only repeat the name of a field cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class JsonType:
    """A type that JSON texts are read as: a pydantic model, a dataclass, a TypedDict, …"""

    schema: Mapping[str, Any]
    _adapter: pydantic.TypeAdapter[Any]

    def read(self, text: str) -> Any:
        """Return the object in a JSON text. Raises JsonTypeError, or what the class raises."""
        check_steps(self.schema, text)
        if '"uniqueItems": true' in json.dumps(self.schema):
            large = islice(re.finditer(r"\d{18}", text), MAX_LARGE_NUMBERS + 1)
            if sum(1 for _ in large) > MAX_LARGE_NUMBERS:
                raise JsonTypeError("$", "it has too many large numbers for a set")
        try:
            return self._adapter.validate_json(text)
        except pydantic.ValidationError as error:
            raise _first_mistake(error) from None


def json_type(hint: Any) -> JsonType:
    """Return the type of a hint.

    Raises NoSchemaError for an ordinary class, and whatever pydantic raises for a hint that is not
    valid.
    """
    try:
        adapter = pydantic.TypeAdapter(_supported_type(hint))
    except pydantic.errors.PydanticSchemaGenerationError as error:
        raise NoSchemaError(str(error)) from None
    return JsonType(plain_json(adapter.json_schema(schema_generator=_SchemaWithoutTitles)), adapter)


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a JSON object: its type, whether it may be missing, and its description.

    With `null_is_missing` a null where the type has no null counts as a missing field.
    """

    hint: Any
    optional: bool
    description: str = ""
    null_is_missing: bool = False


@dataclass(frozen=True, slots=True)
class JsonFields:
    """A JSON object with fields of any name, and with no other fields."""

    schema: Mapping[str, Any]
    _fields: Mapping[str, Field]
    _model: type[pydantic.BaseModel]

    def read(self, text: str) -> dict[str, Any]:
        """Return the fields that a JSON text has.

        A spelling with one possible meaning is accepted: null for no fields, 3.0 for an int, JSON
        within a string for an object or a list. Raises JsonTypeError, or what a class raises.
        """
        mistake: pydantic.ValidationError | None = None
        for _ in range(MAX_RESPELLINGS):
            try:
                return self._read(text)
            except pydantic.ValidationError as error:
                mistake = error
                respelled = self._respell(text, error)
                if respelled is None:
                    break
                text = respelled
        assert mistake is not None
        raise _first_mistake(mistake) from None

    def _read(self, text: str) -> dict[str, Any]:
        check_steps(self.schema, text)
        parsed = self._model.model_validate_json(text, strict=True)
        return {
            field.alias or name: getattr(parsed, name)
            for name, field in self._model.model_fields.items()
            if name in parsed.model_fields_set
        }

    def _respell(self, text: str, error: pydantic.ValidationError) -> str | None:
        """Return the JSON, with values of one possible meaning written as the types require."""
        try:
            document = json.loads(text)
            if not isinstance(document, dict):
                inner = {} if document is None else _json_within(document, dict)
                return None if inner is None else json.dumps(inner, allow_nan=False)
            mistakes = error.errors(include_url=False, include_context=False, include_input=False)
            changes = [
                self._respell_value(document, item["loc"], item["type"]) for item in mistakes
            ]
            return json.dumps(document, allow_nan=False) if any(changes) else None
        except (ValueError, RecursionError):
            return None

    def _respell_value(self, document: Any, path: tuple[int | str, ...], kind: str) -> bool:
        """Change the value at a path; return whether it was changed."""
        parent: Any = None
        key: Any = None
        value = document
        for step in path:  # a step that leads nowhere names a member of a union
            held = isinstance(value, dict) and step in value
            if held or (isinstance(value, list) and isinstance(step, int) and step < len(value)):
                parent, key, value = value, step, value[step]
        field = self._fields.get(key) if parent is document else None
        if value is None and field and field.null_is_missing:
            del document[key]
        elif kind == "int_type" and isinstance(value, float) and value.is_integer():
            parent[key] = int(value)
        elif (inner := _json_within(value, CONTAINERS.get(kind))) is not None:
            parent[key] = inner
        else:
            return False
        return True


MAX_RESPELLINGS = 4
CONTAINERS: dict[str, type] = {
    "list_type": list,
    "tuple_type": list,
    "set_type": list,
    "frozen_set_type": list,
    "dict_type": dict,
    "model_type": dict,
    "dataclass_type": dict,
}
"""The JSON type that pydantic misses, by the name of the mistake."""


def _json_within(value: Any, kind: type | None) -> Any:
    """Return the list or the object whose JSON a string is, None where it is not one."""
    if kind is None or not isinstance(value, str):
        return None
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return inner if isinstance(inner, kind) else None


def json_fields(name: str, fields: Mapping[str, Field]) -> JsonFields:
    """Return the object of these fields. Raises whatever pydantic raises for their types."""
    definitions: dict[str, Any] = {}
    # The fields have numbers as names, because pydantic does not allow every parameter's name.
    for number, (alias, field) in enumerate(fields.items()):
        default = None if field.optional else ...  # only the function itself knows its defaults
        # Not description=None: that would hide the description in an annotation.
        described: dict[str, Any] = {"description": field.description} if field.description else {}
        info: Any = pydantic.Field(default, alias=alias, **described)
        definitions[f"p{number}"] = (_supported_type(field.hint), info)
    config = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False)
    model = pydantic.create_model(name, __config__=config, **definitions)
    schema = plain_json(model.model_json_schema(schema_generator=_SchemaWithoutTitles))
    schema.pop("title", None)
    for alias in fields:
        schema["properties"][alias].pop("default", None)
    return JsonFields(schema, fields, model)


def annotated_description(hint: Any) -> str:
    """Return the text in Annotated[…, "text"], or in a Field or a Doc that stands there."""
    if get_origin(hint) is Annotated:
        for item in hint.__metadata__:
            for text in (item, getattr(item, "documentation", 0), getattr(item, "description", 0)):
                if isinstance(text, str):
                    return text
    return ""


def plain_json(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema as it will be sent. Raises ValueError or TypeError where it is not JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(schema, allow_nan=False))
    return plain


def leaf_json(value: object) -> str | None:
    """Return a value as pydantic writes it (a model, a date, a path, …), None where it cannot.

    It is not bounded: lists and objects are for `json_text`.
    """
    try:
        return pydantic.TypeAdapter(Any).dump_json(value, warnings=False).decode()
    except Exception:  # an object's own methods may raise anything
        return None


def short_error(error: Exception) -> str:
    """Return an exception's type and text on one line."""
    return one_line(describe_error(error), 200)


def _first_mistake(error: pydantic.ValidationError) -> JsonTypeError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
    message = "it is nested too deeply" if "recursion limit" in first["msg"] else first["msg"]
    return JsonTypeError(one_line("$" + "".join(steps), 80), one_line(message, 200))


LISTS = (Collection, Container, Iterable, Reversible)
"""Types that are read as a list: pydantic has no schema for them, or reads them lazily."""


def _supported_type(hint: Any, within: tuple[Any, ...] = ()) -> Any:
    """Return a type as pydantic supports it.

    A bare text in Annotated becomes a description, an Iterable a list, and before Python 3.12 the
    standard TypedDict is replaced.
    """
    if hint in within:
        return hint
    if sys.version_info < (3, 12) and is_typeddict(hint):
        inner = get_type_hints(hint, include_extras=True)
        fields = {
            name: _typed_dict_field(field, name in hint.__optional_keys__, (*within, hint))
            for name, field in inner.items()
        }
        return TypedDict(hint.__name__, fields)  # type: ignore[operator] # made at run time
    origin, arguments = get_origin(hint), get_args(hint)
    if (origin or hint) in LISTS:
        return list.__class_getitem__(_supported_type(arguments[0], within)) if arguments else list
    if origin is None or origin is Literal:
        return hint
    if origin is Annotated:
        text = annotated_description(hint)
        described = [pydantic.Field(description=text)] if text else []
        return Annotated[(_supported_type(arguments[0], within), *hint.__metadata__, *described)]
    new = tuple(_supported_type(argument, within) for argument in arguments)
    if new == arguments:
        return hint
    if origin in (Union, types.UnionType):
        return Union[new]  # noqa: UP007 # made at run time
    return hint.copy_with(new) if hasattr(hint, "copy_with") else origin[new]


def _typed_dict_field(hint: Any, optional: bool, within: tuple[Any, ...]) -> Any:
    """Return a field of a TypedDict, which may be missing or is required."""
    origin = get_origin(hint)
    if origin in (NotRequired, Required):
        hint, optional = get_args(hint)[0], origin is NotRequired
    inner = _supported_type(hint, within)
    return NotRequired[inner] if optional else inner
