"""What leaves the notebook: a request as JSON, curl or Python, without the key; records as CSV."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.settings.flags import split_line
from di_magics.core.settings.settings import Settings

Request = Mapping[str, Any]

LONGEST_DATA = 60


def as_json(body: Request, url: str = "", key_variable: str | None = None) -> str:
    """Return the body that is sent; of the bytes of an image only the beginning."""
    return json.dumps(_shorten_data(body), indent=2, ensure_ascii=False)


def _shorten_data(found: Any, name: str = "") -> Any:
    if isinstance(found, Mapping):
        return {key: _shorten_data(value, key) for key, value in found.items()}
    if isinstance(found, list):
        return [_shorten_data(value) for value in found]
    if name == "url" and isinstance(found, str) and len(found) > LONGEST_DATA:
        return f"{found[:LONGEST_DATA]}… ({len(found):,} characters)"
    return found


def as_magic(settings: Settings, prompt: str) -> tuple[str, list[str]]:
    """Return a `%%chat` cell with what is set, and the flags whose texts no line can hold."""
    words = ["%%chat"]
    left: list[str] = []
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
    for flag, text in pairs:
        quote = next((sign for sign in ("", '"', "'") if _fits_in_quotes(text, sign)), None)
        if quote is None:
            left.append(flag)
        else:
            words.append(f"{flag} {quote}{text}{quote}")
    return f"{' '.join(words)}\n{prompt}", left


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
    lines = [f"curl {shlex.quote(url + '/chat/completions')}"]
    if key_variable:
        lines.append(f'  -H "Authorization: Bearer ${key_variable}"')
    lines.append("  -H 'Content-Type: application/json'")
    lines.append(f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}")
    return " \\\n".join(lines)


def as_python(body: Request, url: str, key_variable: str | None) -> str:
    """Return a Python program that sends the body with httpx and prints the answer."""
    header = f'{{"Authorization": "Bearer " + os.environ[{key_variable!r}]}}'
    return "\n".join(
        [
            *(["import os", ""] if key_variable else []),
            "import httpx",
            "",
            f"body = {dict(body)!r}",
            "with httpx.stream(",
            '    "POST",',
            f"    {url + '/chat/completions'!r},",
            "    json=body,",
            *([f"    headers={header},"] if key_variable else []),
            "    timeout=600,",
            ") as response:",
            "    for part in response.iter_text():",
            '        print(part, end="")',
        ]
    )


def as_csv(records: Sequence[Mapping[str, object]]) -> str:
    """Return records as CSV (RFC 4180), its columns in the order in which they first appear.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
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
