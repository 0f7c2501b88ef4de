"""Any field of a request that is not in the table of parameters: `--extra NAME=JSON`.

An extra is sent as it is given. It cannot replace what has a flag of its own and is set, or what we
decide ourselves (messages, model, stream). A limit of tokens and the number of choices always have
their own flags, because a budget depends on them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.settings.params import PARAMS
from di_magics.core.settings.services import SERVICES
from di_magics.core.visible import one_line

EXTRA = "extra"
PREFIX = "extra."
MAX_CHARS, MAX_DEPTH = 100_000, 50
"""Of the JSON of one extra."""
RESERVED: Mapping[str, str] = {
    "messages": "The prompt is below the %%chat line, -s is the system prompt",
    "prompt": "The prompt is below the %%chat line",
    "model": "Use -m MODEL",
    "stream": "Use --no-stream",
    "stream_options": "di_magics sets it itself",
    "n": "Use -n N, which asks N times",
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "n_predict"),
        "Use --max-tokens N",
    ),
}
"""The fields that no extra may have, and what to use instead."""
PARAM_OF_FIELD: Mapping[str, str] = {
    **{name: name for name in PARAMS},
    **{
        fact.field: name
        for service in SERVICES.values()
        for name, fact in service.facts.items()
        if fact.field and name in PARAMS
    },
    "top_logprobs": "logprobs",
}
"""The parameter that a field belongs to, under all of its names."""
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,99}")


def parse_extras(texts: Iterable[str]) -> dict[str, Any]:
    """Return the fields of `NAME=JSON` texts. Raises ParamError for anything else."""
    extras: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise ParamError(f"{one_line(text, 60)!r} is not NAME=JSON. Write --extra NAME=1.")
        if name in extras:
            raise ParamError(f"--extra {one_line(name, 60)} is there twice. Leave one of them out.")
        extras[name] = parse_extra(name, value)
    return extras


def parse_extra(name: str, text: str) -> Any:
    """Return the value of an extra that was typed as JSON. Raises ParamError for anything else."""
    check_name(name)
    if len(text) > MAX_CHARS:
        raise ParamError(f"The extra {name} is longer than {MAX_CHARS:,} characters. Shorten it.")
    try:
        value = json.loads(text, parse_constant=_refuse)
        if _is_deep(value):
            raise ValueError("deep")
        return value
    except (ValueError, RecursionError):
        word = text if re.fullmatch(r"[\w.-]+", text) else "a text"
        raise ParamError(
            f"The value of {name} is not JSON: {one_line(text, 60)}. Put it in single quotes: "
            f"""'{name}="{one_line(word, 40)}"' or '{name}={{"a": 1}}'."""
        ) from None


def is_json(text: str) -> bool:
    """Return whether this is JSON that an extra may have."""
    try:
        parse_extra("x", text)
    except ParamError:
        return False
    return True


def check_extra(name: object, value: object) -> Any:
    """Return the value of an extra from Python, as JSON has it. Raises ParamError."""
    if not isinstance(name, str):
        raise ParamError("The name of an extra must be a text.")
    check_name(name)
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ParamError(
            f"The extra {name} must be a value that JSON has: a text, a number, True, None, a list "
            "or a dict of them."
        ) from None
    return parse_extra(name, text)


def check_name(name: str) -> None:
    """Raise ParamError for a field that an extra cannot have."""
    if not _NAME.fullmatch(name):
        raise ParamError(
            f"{one_line(name, 60)!r} is not the name of a field. Write NAME=JSON without spaces."
        )
    if name in RESERVED:
        raise ParamError(f"An extra cannot replace {name}. {RESERVED[name]}.")


def check_conflicts(extras: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
    """Raise ParamError for an extra that would replace a field which is `sent` already."""
    for name in extras:
        owner = PARAM_OF_FIELD.get(name, name)
        if name in sent or owner in sent:
            raise ParamError(
                f"An extra cannot replace {name}, which is set already. Leave out the extra, or "
                f"what sets it (%chat unset {owner})."
            )


def format_extra(name: str, value: object) -> str:
    """Return `name=JSON` as a receipt shows it."""
    is_word = isinstance(value, str) and value.isalpha()
    return f"{name}={value if is_word else json.dumps(value, ensure_ascii=False)}"


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
