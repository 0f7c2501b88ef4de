"""A JSON Schema of the user's, and the check of a reply by it within bounds.

The only importer of jsonschema and referencing.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.reply.json_reply import parse_json, schema_mismatch
from di_magics.core.text import describe_error
from di_magics.core.visible import one_line
from di_magics.values.typed_json import compile_pattern, plain_json, short_error

MAX_STEPS = 500_000
"""Steps of the check of a reply by a JSON Schema, at most: a few seconds."""
MAX_ERRORS = 100
"""Errors among which the one is chosen that is shown."""
CHARACTERS_PER_STEP = 100
LOOPS = (
    *("items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"),
    *("properties", "additionalProperties", "patternProperties", "unevaluatedProperties"),
    *("propertyNames", "enum", "const"),
)
"""The keywords that go through all members of a list or an object, or compare it."""
DATA = ("const", "enum", "default", "examples")
"""The keywords whose values are not schemas."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """JSON by a JSON Schema (https://json-schema.org), which becomes plain lists and dicts."""

    name: str
    schema: Mapping[str, Any]

    def read(self, text: str) -> Any:
        """Return the object in a reply. Raises ReplyError where the reply does not fit."""
        import jsonschema
        import referencing.exceptions

        parsed = parse_json(text)
        bounded = _BoundedKeywords(_validator_class(self.schema)).validator_class
        # With its own registry, nothing that a schema refers to is fetched.
        validator = bounded(_without_dialects(self.schema), registry=referencing.Registry())
        try:
            errors = itertools.islice(validator.iter_errors(parsed), MAX_ERRORS)
            error = jsonschema.exceptions.best_match(errors)
        except _TooManyStepsError:
            raise schema_mismatch(
                self.name, "$", "it needs too many steps to be checked: it is too long or too deep"
            ) from None
        except referencing.exceptions.Unresolvable as missing:
            raise ParamError(
                f"The schema {self.name} refers to {one_line(missing.ref, 120)}, which is not in "
                "it. Put the missing part into its $defs."
            ) from None
        except Exception as fault:  # a schema that refers to itself, a number beyond all floats
            raise schema_mismatch(
                self.name, "$", f"it cannot be checked ({describe_error(fault)})"
            ) from None
        if error:
            raise schema_mismatch(self.name, error.json_path, error.message)
        return parsed


class _TooManyStepsError(Exception):
    """A reply would take too long to be checked."""


class _BoundedKeywords:
    """The keywords of JSON Schema for one reply, with a bound on the work of all together.

    jsonschema's own need time without a bound: `pattern` uses Python's regular expressions,
    `uniqueItems` compares all pairs, and `anyOf` in a schema that refers to itself tries twice as
    much with each level. `validator_class` is a class of validators with these in their place.
    """

    def __init__(self, validator_class: Any) -> None:
        import jsonschema

        self._steps = 0
        own = {
            "additionalProperties": self._additional_properties,
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "uniqueItems": self._unique_items,
        }
        keywords = {
            name: self._bounded(name, own.get(name, check))
            for name, check in validator_class.VALIDATORS.items()
        }
        self.validator_class = jsonschema.validators.extend(validator_class, keywords)

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise _TooManyStepsError

    def _bounded(self, name: str, check: Any) -> Any:
        def keyword(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            self._count(1 + (len(value) if isinstance(value, dict | list) else 0))
            if name in LOOPS and isinstance(instance, dict | list):
                self._count(len(instance))
            for error in check(validator, value, instance, schema) or ():
                self._count(1 + len(error.message) // CHARACTERS_PER_STEP)
                yield error

        return keyword

    def _matches(self, pattern: str, text: str) -> bool:
        self._count(1 + len(text) // CHARACTERS_PER_STEP)
        return compile_pattern(pattern)(text)

    def _pattern(self, validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not self._matches(value, instance):
            yield _mismatch(f"{instance[:80]!r} does not match {value!r}")

    def _pattern_properties(
        self, validator: Any, value: Any, instance: Any, schema: Any
    ) -> Iterator[Any]:
        if isinstance(instance, dict):
            for pattern, inner in value.items():
                for name in instance:
                    if self._matches(pattern, name):
                        yield from validator.descend(
                            instance[name], inner, path=name, schema_path=pattern
                        )

    def _additional_properties(
        self, validator: Any, value: Any, instance: Any, schema: Any
    ) -> Iterator[Any]:
        if not isinstance(instance, dict):
            return
        named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name in instance:
            if name in named or any(self._matches(pattern, name) for pattern in patterns):
                continue
            if value is False:
                yield _mismatch(f"{name[:80]!r} is not a property that the schema has")
            else:
                yield from validator.descend(instance[name], value, path=name)

    def _unique_items(
        self, validator: Any, value: Any, instance: Any, schema: Any
    ) -> Iterator[Any]:
        if value and isinstance(instance, list):
            texts = [json.dumps(_with_whole_numbers(item), sort_keys=True) for item in instance]
            self._count(sum(map(len, texts)) // CHARACTERS_PER_STEP)
            if len(set(texts)) < len(texts):
                yield _mismatch("it has the same item twice")


def _mismatch(message: str) -> Exception:
    import jsonschema

    error: Exception = jsonschema.ValidationError(message)
    return error


def _with_whole_numbers(value: Any) -> Any:
    """Return JSON with 1 for 1.0, which is the same number."""
    if isinstance(value, dict):
        return {name: _with_whole_numbers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_dialects(schema: Any) -> Any:
    """Return a schema without `$schema`, with which jsonschema goes on with a class of its own."""
    if isinstance(schema, dict):
        return {
            name: inner if name in DATA else _without_dialects(inner)
            for name, inner in schema.items()
            if name != "$schema" or not isinstance(inner, str)
        }
    return [_without_dialects(inner) for inner in schema] if isinstance(schema, list) else schema


def _patterns(schema: Any) -> Iterator[str]:
    """Yield the regular expressions in a schema."""
    inner = schema if isinstance(schema, list) else []
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(schema.get("patternProperties"), dict):
            yield from schema["patternProperties"]
        inner = [member for name, member in schema.items() if name not in DATA]
    for member in inner:
        yield from _patterns(member)


def json_schema(schema: Mapping[str, Any], name: str) -> JsonSchema:
    """Return a JSON Schema that is valid and can be checked. Raises ParamError for any other."""
    import jsonschema

    try:
        _validator_class(schema).check_schema(schema)
        plain = plain_json(schema)
        _check_patterns(plain, name)
        return JsonSchema(name, plain)
    except ParamError:
        raise
    except jsonschema.SchemaError as error:
        why = f"at {one_line(error.json_path, 80)}, {one_line(error.message, 200)}"
    except Exception as error:  # it is not JSON at all
        why = short_error(error)
    raise ParamError(f"{name} is not a JSON Schema: {why}. Correct it.")


def _check_patterns(schema: Mapping[str, Any], name: str) -> None:
    """Raise ParamError for regular expressions that cannot be checked in linear time."""
    for pattern in _patterns(schema):
        try:
            compile_pattern(pattern)
        except ValueError:
            raise ParamError(
                f"{name} has the pattern {one_line(pattern, 80)!r}, which cannot be checked in "
                r"bounded time. Write it without (?=…), (?!…), (?<=…), (?<!…) and \1."
            ) from None
    if '"patternProperties"' in (text := json.dumps(schema)) and '"unevaluatedProperties"' in text:
        raise ParamError(
            f"{name} has patternProperties and unevaluatedProperties, which cannot be checked in "
            "bounded time together. Use additionalProperties instead."
        )


def _validator_class(schema: Mapping[str, Any]) -> Any:
    import jsonschema  # slow to import, and only a JSON Schema needs it

    return jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
