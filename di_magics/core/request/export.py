"""Exports: a request as JSON, curl or Python, without the key; records as CSV.

A request contains foreign text. Control characters and invisible ones are written as escapes, so
that they are harmless in a terminal and the same bytes are sent.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.request.route import CHAT_PATH
from di_magics.core.settings.flags import split_line
from di_magics.core.settings.settings import Settings
from di_magics.core.visible import replace_hidden

Request = Mapping[str, Any]

MAX_DATA_CHARS = 60
# Within a cell another separator begins a new one, and so does a line end.
_FORMULA = re.compile(r"(?:\A|(?<![; \t\r\n\"'])[; \t\r\n\"']+)(?=[=+@＝＋－＠-])")
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""The bytes that stand for themselves in a query."""

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


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an exported request goes: base address, and the environment variable with the key.

    A value of `headers` or `query` that begins with `$` is the name of such a variable.
    """

    url: str
    key_variable: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


NOWHERE = Destination("")


def as_json(body: Request, to: Destination = NOWHERE) -> str:
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
    if name == "url" and isinstance(data, str) and len(data) > MAX_DATA_CHARS:
        return f"{data[:MAX_DATA_CHARS]}… ({len(data):,} characters)"
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
            [text.replace("\n", "\\n").replace("\t", "\\t") for text in value]
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


def _fits_in_quotes(text: str, quote: str) -> bool:
    """Return whether a `%%chat` line reads this text as one word between these quotes."""
    try:
        return "\n" not in text and split_line(f"x {quote}{text}{quote}") == ["x", text]
    except ParamError:
        return False


def as_curl(body: Request, to: Destination) -> str:
    """Return a curl command; the shell fills in the variables of the environment."""
    words = [shlex.quote(_address(to.url))]
    for sign, (name, value) in zip("?" + "&" * len(to.query), to.query.items(), strict=False):
        known = value if value.startswith("$") else _percent_encode(value)
        words.append(_shell_text(f"{sign}{_percent_encode(name)}=", known))
    lines = [f"curl {''.join(words)}"]
    if to.key_variable:
        lines.append(f'  -H "Authorization: Bearer ${to.key_variable}"')
    for name, value in {**to.headers, "Content-Type": "application/json"}.items():
        lines.append(f"  -H {_shell_text(f'{name}: ', value)}")
    lines.append(f"  -d {shlex.quote(_dump_json(body))}")
    return " \\\n".join(lines)


def as_python(body: Request, to: Destination) -> str:
    """Return a Python program that sends the body with httpx and prints the reply's text."""
    headers = {name: _python_value(value) for name, value in to.headers.items()}
    if to.key_variable:
        headers["Authorization"] = f'"Bearer " + os.environ[{to.key_variable!r}]'
    query = {name: _python_value(value) for name, value in to.query.items()}
    data = replace_hidden(repr(dict(body)), lambda character: ascii(character)[1:-1])
    needs_os = any("os.environ" in value for value in (*headers.values(), *query.values()))
    return "\n".join(
        [
            "import json",
            *(["import os"] if needs_os else []),
            "",
            "import httpx",
            "",
            f"body = {data}",
            "with httpx.stream(",
            '    "POST",',
            f"    {_address(to.url)!r},",
            "    json=body,",
            *([f"    params={_python_dict(query)},"] if query else []),
            *([f"    headers={_python_dict(headers)},"] if headers else []),
            "    timeout=600,",
            ") as response:",
            "    if response.is_error:",
            "        raise SystemExit(response.read().decode())",
        ]
    ) + (STREAM if body.get("stream") else WHOLE)


def _python_value(value: str) -> str:
    return f"os.environ[{value[1:]!r}]" if value.startswith("$") else repr(value)


def _python_dict(items: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name!r}: {value}" for name, value in items.items()) + "}"


def _shell_text(begin: str, value: str) -> str:
    """Return a word of the shell: a text and a value, which may be a variable."""
    if value.startswith("$"):
        return f'{shlex.quote(begin)}"{value}"'
    return shlex.quote(begin + value)


def _address(url: str) -> str:
    """Return the address of the request; hidden characters are encoded as a client encodes them."""
    return replace_hidden(url, _percent_encode) + CHAT_PATH


def _percent_encode(text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in data)


def as_csv(records: Sequence[Mapping[str, object]]) -> str:
    """Return records as CSV (RFC 4180), its columns in the order in which they first appear.

    What a spreadsheet would read as a formula gets an apostrophe in front, also where it takes
    another sign for the separator; control characters and marks of direction are made visible.
    """
    columns = list(dict.fromkeys(name for record in records for name in record))
    rows: list[list[object]] = [[*columns]]
    rows += ([record.get(name) for name in columns] for record in records)
    return "".join(",".join(map(_csv_cell, row)) + "\r\n" for row in rows)


def _csv_cell(value: object) -> str:
    text = "" if value is None else str(value)
    if isinstance(value, str):
        text = _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)
        text = _FORMULA.sub(_guard_formula, text)
    quoted = any(sign in text for sign in ',"\r\n')
    return '"' + text.replace('"', '""') + '"' if quoted else text


def _guard_formula(match: re.Match[str]) -> str:
    """Return the place before a formula with an apostrophe, unless it is the item of a list."""
    if match.start() and not re.search(r"[;\t\r\n]", match[0]):
        return match[0]
    line = match.string[match.end() : match.end() + 1000].partition("\n")[0]
    is_item = match.start() and line[:2] in ("- ", "+ ") and not re.search(r"[|(!=@;\t]", line)
    return match[0] if is_item else f"{match[0]}'"
