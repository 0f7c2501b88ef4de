"""Exports: a request as JSON, curl or Python, without the key; records as CSV.

A request contains foreign text. Control characters and invisible ones are written as escapes, so
that they are harmless in a terminal and the same bytes are sent.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.request.route import CHAT_PATH
from di_magics.core.settings.flags import split_line
from di_magics.core.settings.settings import Settings
from di_magics.core.text import replace_hidden

Request = Mapping[str, Any]

LONGEST_DATA = 60

STREAM = """
    pending = b""
    for part in response.iter_bytes():
        *lines, pending = (pending + part).split(b"\\n")
        for line in lines:
            if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
                event = json.loads(line[5:])
                if "error" in event:
                    raise SystemExit(event["error"])
                for choice in event.get("choices") or []:
                    print(choice["delta"].get("content") or "", end="", flush=True)
print()"""
WHOLE = """
    for choice in json.loads(response.read())["choices"]:
        print(choice["message"].get("content") or "")"""


def as_json(body: Request, url: str = "", key_variable: str | None = None) -> str:
    """Return the body as JSON; the bytes of an image are shortened."""
    return _dump_json(_shorten_data(body), indent=2)


def _dump_json(data: object, indent: int | None = None) -> str:
    """Return JSON in which other scripts can be read, and hidden characters are escapes."""
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    return replace_hidden(text, lambda character: json.dumps(character)[1:-1])


def _shorten_data(data: Any, name: str = "") -> Any:
    if isinstance(data, Mapping):
        return {key: _shorten_data(value, key) for key, value in data.items()}
    if isinstance(data, list):
        return [_shorten_data(value) for value in data]
    if name == "url" and isinstance(data, str) and len(data) > LONGEST_DATA:
        return f"{data[:LONGEST_DATA]}… ({len(data):,} characters)"
    return data


def as_magic(settings: Settings, prompt: str) -> tuple[str, list[str]]:
    """Return a `%%chat` cell with these settings, and the flags that a line cannot express."""
    parts = ["%%chat"]
    left_out: list[str] = []
    flags = {"-m": settings.model, "--endpoint": settings.endpoint, "-s": settings.system}
    flags["--last"] = None if settings.context is None else f"{settings.context}"
    pairs = [(flag, value) for flag, value in flags.items() if value]
    for name, value in settings.params.items():
        texts = (
            [_escape_line_ends(text) for text in value]
            if isinstance(value, tuple)
            else [f"{value}"]
        )
        pairs += [("--" + name.replace("_", "-"), text) for text in texts]
    pairs += [("--extra", f"{name}={json.dumps(value)}") for name, value in settings.extra.items()]
    for flag, text in pairs:
        quote = next((sign for sign in ("", '"', "'") if _fits_in_quotes(text, sign)), None)
        if quote is None:
            left_out.append(flag)
        else:
            parts.append(f"{flag} {quote}{text}{quote}")
    return f"{' '.join(parts)}\n{prompt}", left_out


def _escape_line_ends(text: str) -> str:
    return text.replace("\n", "\\n").replace("\t", "\\t")


def _fits_in_quotes(text: str, quote: str) -> bool:
    """Return whether a `%%chat` line reads this text as one word between these quotes."""
    try:
        return "\n" not in text and split_line(f"x {quote}{text}{quote}") == ["x", text]
    except ParamError:
        return False


def as_curl(body: Request, url: str, key_variable: str | None) -> str:
    """Return a curl command; the shell fills in the key from its environment variable."""
    lines = [f"curl {shlex.quote(_address(url))}"]
    if key_variable:
        lines.append(f'  -H "Authorization: Bearer ${key_variable}"')
    lines.append("  -H 'Content-Type: application/json'")
    lines.append(f"  -d {shlex.quote(_dump_json(body))}")
    return " \\\n".join(lines)


def as_python(body: Request, url: str, key_variable: str | None) -> str:
    """Return a Python program that sends the body with httpx and prints the reply's text."""
    header = f'{{"Authorization": "Bearer " + os.environ[{key_variable!r}]}}'
    data = replace_hidden(repr(dict(body)), lambda character: ascii(character)[1:-1])
    return "\n".join(
        [
            "import json",
            *(["import os"] if key_variable else []),
            "",
            "import httpx",
            "",
            f"body = {data}",
            "with httpx.stream(",
            '    "POST",',
            f"    {_address(url)!r},",
            "    json=body,",
            *([f"    headers={header},"] if key_variable else []),
            "    timeout=600,",
            ") as response:",
            "    if response.is_error:",
            "        raise SystemExit(response.read().decode())",
        ]
    ) + (STREAM if body.get("stream") else WHOLE)


def _address(url: str) -> str:
    """Return the address of the request; hidden characters are encoded as a client encodes them."""

    def encode(character: str) -> str:
        return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))

    return replace_hidden(url, encode) + CHAT_PATH


def as_csv(records: Sequence[Mapping[str, object]]) -> str:
    """Return records as CSV (RFC 4180), its columns in the order in which they first appear.

    A text that a spreadsheet would read as a formula gets an apostrophe in front.
    """
    columns = list(dict.fromkeys(name for record in records for name in record))
    rows: list[list[object]] = [[*columns]]
    rows += ([record.get(name) for name in columns] for record in records)
    return "".join(",".join(map(_csv_cell, row)) + "\r\n" for row in rows)


def _csv_cell(value: object) -> str:
    text = "" if value is None else str(value)
    if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")):
        text = "'" + text
    quoted = any(sign in text for sign in ',"\r\n')
    return '"' + text.replace('"', '""') + '"' if quoted else text
