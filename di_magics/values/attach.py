"""Files and variables of the reader's as attachments; the only importer of Pillow.

A file is named by the reader, never by a model, and what does not fit is left out and said.
"""

from __future__ import annotations

import base64
import io
from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import di_magics.values.environment_secrets as keys
from di_magics.core.conversation.attachment import Attachment
from di_magics.core.errors import ParamError
from di_magics.core.money.prices import BYTES_PER_TOKEN, estimate_tokens
from di_magics.core.request.template import looks_secret, value_text
from di_magics.core.settings.params import suggest
from di_magics.core.text import describe_error, one_line
from di_magics.values.files import os_error_reason, read_bounded, resolve_path

LARGEST = 20_000_000
"""DeepInfra takes images of up to 20 MB (https://deepinfra.com/docs/advanced/vision)."""
LARGEST_FILE = 200_000_000
LONGEST_CHARACTER = 4
TOKENS = 4000
"""A text is cut off after about so many tokens, unless told otherwise."""
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


def attach(
    named: str,
    names: Mapping[str, Any],
    folder: Path,
    *,
    tokens: int = TOKENS,
    resize: int | None = None,
) -> Attachment:
    """Return the variable or the file of that name; the variable where there are both.

    A text is cut off after so many `tokens`; `resize` is how many pixels the longer side of an
    image may have. Raises ParamError.
    """
    if named.isidentifier() and named in names:
        return attach_value(names[named], named, tokens=tokens, resize=resize)
    path, shown = resolve_path(named, folder), one_line(named, 120)
    try:
        data = read_bounded(path, LARGEST_FILE, named)
    except ParamError:
        raise
    except (OSError, ValueError) as error:
        hint = suggest(named, names) if named.isidentifier() else ""
        raise ParamError(
            f"There is no variable and no file {shown} to attach ({os_error_reason(error)}).{hint}"
        ) from None
    if _format(data):
        return _image(data, path.name, resize)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ParamError(
            f"{shown} is neither text (UTF-8) nor an image (PNG, JPEG, WebP). Read it in Python, "
            "and attach the variable."
        )
    return _check_no_secret(_text(text, path.name, "", tokens))


def attach_value(
    value: Any, name: str, *, tokens: int = TOKENS, resize: int | None = None
) -> Attachment:
    """Return a value as an attachment: an image, a table, or its Markdown or its text.

    Raises ParamError where it has no such form, or looks like a key.
    """
    image = _call_safely(lambda found: _image_data(found, name), value, name)
    if image is not None:
        return _image(image, name, resize)
    if _is_table(value):
        found: Attachment = _call_safely(lambda table: _table(table, name, tokens), value, name)
    elif issubclass(type(value), str):
        found = _text(str.__str__(value), name, "text", tokens)
    else:
        markdown = _call_safely(_markdown, value, name)
        text = value_text(value, name) if markdown is None else markdown
        found = _text(text, name, type(value).__name__, tokens)
    if looks_secret(name, found.content):
        raise ParamError(f"{one_line(name, 80)} looks like a key or a password: not attached.")
    return _check_no_secret(found)


def _check_no_secret(found: Attachment) -> Attachment:
    """Return a text. Raises ParamError where it holds a key of the environment."""
    if keys.contains_secret(found.content):
        raise ParamError(
            f"{one_line(found.name, 80)} holds a key or a password of your environment: not "
            "attached."
        )
    return found


def truncate_text(text: str, tokens: int) -> tuple[str, str]:
    """Return as much of a text as so many tokens hold, and what was left out, if anything was."""
    data = text.encode("utf-8", "replace")
    most = max(tokens * BYTES_PER_TOKEN, LONGEST_CHARACTER)
    if len(data) <= most:
        return text, ""
    cut = data[:most].decode("utf-8", "ignore")
    end = cut.rfind("\n")
    cut = cut[:end] if end > len(cut) // 2 else cut
    whole = f"{len(text):,} characters, about {estimate_tokens(len(data)):,} tokens"
    return cut, f"only the first {len(cut):,} of {whole}"


def _text(text: str, name: str, kind: str, tokens: int) -> Attachment:
    if not text.strip():
        raise ParamError(f"{one_line(name, 80)} is empty: there is nothing to attach.")
    cut, left = truncate_text(text, tokens)
    size = f"{len(text):,} characters"
    return Attachment("text", name, ", ".join(filter(None, [kind, left or size])), cut)


def _call_safely(read: Callable[[Any], Any], value: Any, name: str) -> Any:
    """Read a value by its own methods, which may do anything."""
    try:
        return read(value)
    except (KeyboardInterrupt, ParamError):
        raise
    except BaseException as error:
        raised = one_line(describe_error(error), 120)
        raise ParamError(f"{one_line(name, 80)} cannot be attached: {raised}.") from None


def _markdown(value: Any) -> str | None:
    found = getattr(type(value), "_repr_markdown_", None)
    said = found(value) if found else None
    return str.__str__(said) if issubclass(type(said), str) else None


# Tables -------------------------------------------------------------------------------------


def _is_table(value: Any) -> bool:
    """Return whether this is a DataFrame or a Series of pandas, or a DataFrame of polars."""
    library = type(value).__module__.partition(".")[0]
    return library in ("pandas", "polars") and type(value).__name__ in ("DataFrame", "Series")


def _table(value: Any, name: str, tokens: int) -> Attachment:
    """Return as many rows as fit, as CSV."""
    rows = len(value)
    columns = f" × {_counted(value.shape[1], 'column')}" if len(value.shape) > 1 else ""
    kind = f"{type(value).__name__}, {_counted(rows, 'row')}{columns}, as CSV"
    most = tokens * BYTES_PER_TOKEN

    def fits(count: int) -> bool:
        return len(_csv(value, count).encode("utf-8", "replace")) <= most

    shown = 1
    while shown < rows and fits(2 * shown):  # by and by: a row may be huge
        shown *= 2
    shown = bisect_left(range(min(2 * shown, rows) + 1), True, key=lambda n: not fits(n)) - 1
    text = _csv(value, max(shown, 0))
    left = "" if shown >= rows else f"only the first {_counted(max(shown, 0), 'row')}"
    cut, shorter = truncate_text(text, tokens)
    note = ", ".join(filter(None, [kind, left, shorter and "of which the names do not fit"]))
    return Attachment("text", name, note, cut.rstrip("\n"))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _csv(value: Any, rows: int) -> str:
    head = value.head(rows)
    return str(head.write_csv() if hasattr(head, "write_csv") else head.to_csv())


# Images -------------------------------------------------------------------------------------


def _image_data(value: Any, name: str) -> bytes | None:
    """Return the bytes of an image: bytes, a Pillow image, a figure, an IPython.display.Image."""
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        if not _format(data):
            raise ParamError(f"{name} is no image (PNG, JPEG, WebP).")
        return data
    library = type(value).__module__.partition(".")[0]
    out = io.BytesIO()
    if library == "matplotlib" and hasattr(value, "savefig"):
        value.savefig(out, format="png", bbox_inches="tight")
        return out.getvalue()
    if library == "PIL" and hasattr(value, "save"):
        value.save(out, format="PNG")
        return out.getvalue()
    if library == "IPython" and type(value).__name__ in ("Image", "Audio", "Video"):
        if not isinstance(value.data, bytes) or not _format(value.data):
            raise ParamError(f"{name} is no image (PNG, JPEG, WebP) that is here. Attach a file.")
        return value.data
    return None


def _format(data: bytes) -> str | None:
    """Return which of the formats this is, by its first bytes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    return "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _image(data: bytes, name: str, resize: int | None) -> Attachment:
    kind = _format(data)
    shown = one_line(name, 80)
    if kind is None:
        raise ParamError(f"{shown} is no image that can be sent (PNG, JPEG, WebP).")
    before = len(data)
    size = ""
    if resize:
        data, size = _resize(data, kind, shown, resize)
    if len(data) > LARGEST:
        raise ParamError(
            f"{shown} is too large to be sent: {_size(len(data))}, and 20 MB are taken. --resize "
            "1024 makes the longer side 1,024 pixels."
        )
    shrunk = f", made smaller from {_size(before)}" if len(data) < before else ""
    note = f"{kind} image{size}, {_size(len(data))}{shrunk}"
    url = f"data:{FORMATS[kind]};base64,{base64.b64encode(data).decode()}"
    return Attachment("image", name, note, url)


def _resize(data: bytes, kind: str, shown: str, pixels: int) -> tuple[bytes, str]:
    """Return an image with a longer side of at most so many pixels, and its size in words."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ParamError(
            "--resize needs Pillow: pip install pillow. Without it images are sent as they are."
        ) from None
    try:
        with Image.open(io.BytesIO(data)) as found:
            size = found.size
            if max(size) > pixels:
                image = ImageOps.exif_transpose(found)
                if image.mode not in ("L", "RGB", "RGBA"):  # few others can be made smaller well
                    image = image.convert("RGBA" if kind != "JPEG" else "RGB")
                image.thumbnail((pixels, pixels))
                out = io.BytesIO()
                image.save(out, format=kind)
                data, size = out.getvalue(), image.size
    except Exception as error:  # whatever a broken image makes Pillow raise
        reason = "it is broken" if isinstance(error, OSError) else one_line(error, 120)
        raise ParamError(f"{shown} cannot be made smaller ({reason}).") from None
    return data, f", {size[0]:,} × {size[1]:,}"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3)):,} kB"
