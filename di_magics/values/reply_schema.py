"""The schema of a reply, a class of the user's or a JSON Schema; reads replies by it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

from di_magics.core.errors import ParamError
from di_magics.core.reply.json_reply import (
    extract_json,
    parse_json,
    parse_strict_json,
    schema_mismatch,
)
from di_magics.core.text import describe_error
from di_magics.core.visible import one_line
from di_magics.runtime.files import os_error_reason, read_bounded
from di_magics.values.json_schema import JsonSchema, json_schema
from di_magics.values.typed_json import (
    JsonType,
    JsonTypeError,
    NoSchemaError,
    json_type,
    short_error,
)

MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class ClassSchema:
    """JSON that becomes an object of a class: a pydantic model, a dataclass, a TypedDict, …"""

    name: str
    type: JsonType

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema of the class."""
        return self.type.schema

    def read(self, text: str) -> Any:
        """Return the object in a reply. Raises ReplyError where the reply does not fit."""
        parse_json(text)  # its messages about text that is not JSON are better than pydantic's
        try:
            return self.type.read(extract_json(text))
        except JsonTypeError as error:
            raise schema_mismatch(self.name, error.path, error.reason) from None
        except Exception as error:  # the user's class may raise anything
            raise schema_mismatch(self.name, "$", f"it raised {describe_error(error)}") from None


def reply_schema(form: Any, name: str) -> ClassSchema | JsonSchema:
    """Return the schema of a class or of a JSON Schema. Raises ParamError for anything else."""
    safe = _server_name(name)
    if isinstance(form, Mapping):
        return json_schema(form, safe)
    if not isinstance(form, type) and get_origin(form) is None:
        raise ParamError(
            f"{safe} is not a class and not a JSON Schema. Name a pydantic model, a dataclass, a "
            "TypedDict, or a dict or a .json file with a JSON Schema."
        )
    try:
        return ClassSchema(safe, json_type(form))
    except NoSchemaError:
        raise ParamError(
            f"{safe} has no JSON Schema: it is, or holds, an ordinary class. Write @dataclass "
            "above it, and a type for each field."
        ) from None
    except Exception as error:  # pydantic may raise anything for a class
        raise ParamError(
            f"{safe} has no JSON Schema ({short_error(error)}). Use plain types, such as str, int "
            "and list."
        ) from None


def schema_from_file(file: Path) -> JsonSchema:
    """Return the JSON Schema in a .json file. Raises ParamError if there is none."""
    label = one_line(file, 160)
    try:
        text = read_bounded(file, MAX_FILE_BYTES, file.name).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ParamError(f"{label} is not text in UTF-8. Save it as JSON in UTF-8.") from None
    except OSError as error:
        raise ParamError(
            f"There is no class and no file {label} ({os_error_reason(error)}). --schema must name "
            "a class, a dict, or a .json file."
        ) from None
    try:
        parsed = parse_strict_json(text)
    except ValueError as error:
        raise ParamError(f"{label} is not JSON: {error}. Correct the file.") from None
    if not isinstance(parsed, dict):
        raise ParamError(f"{label} is not a JSON Schema: it must be an object.")
    return json_schema(parsed, _server_name(file.stem))


def _server_name(name: str) -> str:
    """Return a name of the letters and the length that servers allow."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "reply"
