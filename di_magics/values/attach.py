"""The user's files and variables as attachments; the only importer of Pillow.

A file is named by the user, never by a model. The note of an attachment says what was cut.
"""

from __future__ import annotations

import base64
import codecs
import io
import unicodedata
import warnings
from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from di_magics.core.conversation.attachment import Attachment
from di_magics.core.conversation.notebook_file import NotebookCell, read_cells
from di_magics.core.errors import ParamError
from di_magics.core.request.readers import load_json
from di_magics.core.settings.params import suggest
from di_magics.core.text import count_noun, describe_error, format_bytes
from di_magics.core.tokens import PER_TOKEN, estimate_text_tokens, token_prefix
from di_magics.core.visible import one_line
from di_magics.runtime.files import os_error_reason, read_bounded, resolve_path
from di_magics.values.secret_values import (
    refuse_secret_file,
    refuse_secret_text,
    refuse_secret_value,
)
from di_magics.values.value_text import is_table, table_csv, value_text

MAX_ATTACHMENT_BYTES = 20_000_000
"""Bytes: DeepInfra accepts images of up to 20 MB (https://deepinfra.com/docs/advanced/vision)."""
MAX_FILE_BYTES = 200_000_000
MAX_PIXELS = 50_000_000
"""Of an image that is resized or turned: decoded, a pixel takes up to 8 bytes, a few times over."""
ORIENTATION = 0x0112
"""The tag of a photograph's EXIF data that says how its camera was held; 1 is upright."""
TOKENS = 4000
"""A text is cut after about this many tokens, unless the user sets another limit."""
LOOKAHEAD = 4000
"""Characters after a cut that are checked too, for a secret that the cut would halve."""
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}

T = TypeVar("T")
R = TypeVar("R")


def attach(
    name: str,
    names: Mapping[str, object],
    folder: Path,
    *,
    tokens: int = TOKENS,
    resize: int | None = None,
) -> Attachment:
    """Return the variable or the file of that name; the variable if there are both.

    A text is cut after about `tokens` tokens; `resize` is the longest side of an image, in pixels.
    Raises ParamError.
    """
    variable = unicodedata.normalize("NFKC", name)  # as Python does it
    if name.isidentifier() and variable in names:
        return attach_value(names[variable], variable, tokens=tokens, resize=resize)
    path, label = resolve_path(name, folder), one_line(name, 120)
    refuse_secret_file(path, name)
    try:
        data = read_bounded(path, MAX_FILE_BYTES, name)
    except OSError as error:
        hint = suggest(name, names) if name.isidentifier() else ""
        raise ParamError(
            f"{label} is not a variable, and not a file that can be read "
            f"({os_error_reason(error)}).{hint} Attach one by its name: -a NAME."
        ) from None
    if _format(data):
        return _image(data, path.name, resize)
    try:
        text = data.decode("utf-16" if data[:2] in UTF_16_MARKS else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ParamError(
            f"{label} is neither text (UTF-8) nor an image (PNG, JPEG, WebP). Read it in Python, "
            "and attach the variable."
        )
    kind = ""
    if path.suffix == ".ipynb" and (cells := _read_cells(text)):
        shown = [cell for cell in cells if cell is not None]
        private = len(cells) - len(shown)
        text, kind = "\n\n".join(shown), f"{count_noun(len(shown), 'cell')} without images"
        kind += f", {count_noun(private, 'private cell')} left out" if private else ""
    attached = _text(text, path.name, kind, tokens)
    refuse_secret_text(text[: len(attached.content) + LOOKAHEAD], path)
    return attached


def attach_value(
    value: object, name: str, *, tokens: int = TOKENS, resize: int | None = None
) -> Attachment:
    """Return a value as an attachment: an image, a table, or its Markdown or its text.

    Raises ParamError if it has no such form, or looks like a key.
    """
    image = _call_safely(lambda value: _image_data(value, name), value, name)
    if image is not None:
        return _image(image, name, resize)
    text = None
    if is_table(value):
        attached: Attachment = _call_safely(lambda table: _table(table, name, tokens), value, name)
    elif issubclass(type(value), str):
        text = str.__str__(value)
        attached = _text(text, name, "text", tokens)
    else:
        shown = _call_safely(_shown_text, value, name)
        limit = PER_TOKEN * tokens + LOOKAHEAD
        text, whole = (shown, True) if shown else value_text(value, name, limit)
        attached = _text(text, name, type(value).__name__, tokens, whole=whole)
    text = attached.content if text is None else text
    refuse_secret_value(text[: len(attached.content) + LOOKAHEAD], value, name)
    return attached


def _read_cells(source: str) -> list[str | None]:
    """Return the cells of a notebook's file as text, each with its output; [] if it has none.

    A private one is None.
    """
    try:
        notebook = load_json(source)
    except ValueError:
        return []
    return [None if cell.is_private else _cell_text(cell) for cell in read_cells(notebook)]


def _cell_text(cell: NotebookCell) -> str:
    parts = [f"[{cell.kind}]", cell.source]
    for output in cell.outputs:
        parts += ["[output]", output.text]
    return "\n".join(part.strip("\n") for part in parts)


def truncate_text(
    text: str, tokens: int, *, whole: bool = True, length: int | None = None
) -> tuple[str, str]:
    """Return the start of a text of about `tokens` tokens, and a note if something was cut.

    If not `whole`, the text is the start of a longer one of `length` characters (None: unknown).
    """
    cut = token_prefix(text, tokens)
    if len(cut) == len(text) and whole:
        return text, ""
    end = cut.rfind("\n")
    cut = cut[:end] if len(cut) < len(text) and end > len(cut) // 2 else cut
    if not whole:
        of = f" of {length:,}" if length else ""
        return cut, f"only the first {len(cut):,}{of} characters"
    size = f"{len(text):,} characters, about {estimate_text_tokens(text):,} tokens"
    return cut, f"only the first {len(cut):,} of {size}"


def _text(text: str, name: str, kind: str, tokens: int, *, whole: bool = True) -> Attachment:
    if not text.strip():
        raise ParamError(f"{one_line(name, 80)} is empty. Leave it out, or attach something else.")
    cut, note = truncate_text(text, tokens, whole=whole)
    size = count_noun(len(text), "character")
    return Attachment("text", name, ", ".join(filter(None, [kind, note or size])), cut)


def _call_safely(read: Callable[[T], R], value: T, name: str) -> R:
    """Return what `read` returns. Raises ParamError for whatever the value's methods raise."""
    try:
        return read(value)
    except (KeyboardInterrupt, ParamError):
        raise
    except BaseException as error:
        raised = one_line(describe_error(error), 120)
        raise ParamError(
            f"{one_line(name, 80)} cannot be attached ({raised}). Convert it to a text or an image "
            "first."
        ) from None


def _shown_text(value: Any) -> str | None:
    """Return the text that a value displays: its Markdown, or what IPython.display's SVG holds."""
    method = getattr(type(value), "_repr_markdown_", None)
    held = type(value).__module__.startswith("IPython.") and getattr(value, "data", None)
    text = method(value) if method else held
    return str.__str__(text) if issubclass(type(text), str) else None


# Tables -------------------------------------------------------------------------------------


def _table(value: Any, name: str, tokens: int) -> Attachment:
    """Return the first rows of a table, as many as fit, as CSV."""
    rows = len(value)
    columns = f" × {count_noun(value.shape[1], 'column')}" if len(value.shape) > 1 else ""
    kind = f"{type(value).__name__}, {count_noun(rows, 'row')}{columns}, as CSV"

    def fits(count: int) -> bool:
        text = table_csv(value, count)
        return len(text) <= tokens * PER_TOKEN and estimate_text_tokens(text) <= tokens

    kept = 1
    while kept < rows and fits(2 * kept):  # step by step: a row may be huge
        kept *= 2
    kept = bisect_left(range(min(2 * kept, rows) + 1), True, key=lambda n: not fits(n)) - 1
    text = table_csv(value, max(kept, 0))
    left_out = "" if kept >= rows else f"only the first {count_noun(max(kept, 0), 'row')}"
    cut, names_cut = truncate_text(text, tokens)
    note = ", ".join(filter(None, [kind, left_out, names_cut and "column names cut"]))
    return Attachment("text", name, note, cut.rstrip("\n"))


# Images -------------------------------------------------------------------------------------


def _image_data(value: Any, name: str) -> bytes | None:
    """Return the bytes of an image: bytes, a Pillow image, a figure, an IPython.display.Image."""
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        if not _format(data):
            raise ParamError(
                f"{name} is not an image (PNG, JPEG, WebP). Decode it to a text, or convert it to "
                "one of these."
            )
        return data
    library = type(value).__module__.partition(".")[0]
    out = io.BytesIO()
    if library == "matplotlib" and hasattr(value, "savefig"):
        value.savefig(out, format="png", bbox_inches="tight")
        return out.getvalue()
    if library == "PIL" and hasattr(value, "save"):
        from PIL import ImageOps

        ImageOps.exif_transpose(value).save(out, format="PNG")
        return out.getvalue()
    if library == "IPython" and type(value).__name__ in ("Image", "Audio", "Video"):
        if not isinstance(value.data, bytes) or not _format(value.data):
            raise ParamError(
                f"{name} does not hold an image (PNG, JPEG, WebP). Attach an image file."
            )
        return value.data
    return None


def _format(data: bytes) -> str | None:
    """Return the format of an image, by its first bytes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    return "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _image(data: bytes, name: str, resize: int | None) -> Attachment:
    kind = _format(data)
    label = one_line(name, 80)
    if kind is None:
        raise ParamError(
            f"{label} is not an image that can be sent. Convert it to PNG, JPEG or WebP."
        )
    before = len(data)
    size = ""
    if resize:
        data, size = _resize(data, kind, label, resize)
    if turned := _turn_upright(data, kind):
        data, size = turned, f"{size}, turned upright"
    if len(data) > MAX_ATTACHMENT_BYTES:
        raise ParamError(
            f"{label} is too large to be sent: {format_bytes(len(data))} of at most 20 MB. Shrink "
            "it with --resize 1024, to 1,024 pixels on the longer side."
        )
    resized = len(data) < before and not turned
    shrunk = f", resized from {format_bytes(before)}" if resized else ""
    note = f"{kind} image{size}, {format_bytes(len(data))}{shrunk}"
    url = f"data:{FORMATS[kind]};base64,{base64.b64encode(data).decode()}"
    return Attachment("image", name, note, url)


def _turn_upright(data: bytes, kind: str) -> bytes | None:
    """Return a photograph turned upright, because most servers ignore its EXIF orientation.

    None if it is upright, too large, or cannot be read, and without Pillow.
    """
    if not any(mark in data for mark in (b"Exif", b"eXIf", b"EXIF")):
        return None
    with suppress(Exception):  # Pillow may raise anything for a broken image
        from PIL import Image, ImageOps

        ignored = warnings.catch_warnings(action="ignore")  # there is a limit of our own below
        with ignored, Image.open(io.BytesIO(data)) as opened:
            turned = opened.getexif().get(ORIENTATION, 1) in range(2, 9)
            if turned and opened.width * opened.height <= MAX_PIXELS:
                out = io.BytesIO()
                ImageOps.exif_transpose(opened).save(out, format=kind, quality=95)
                return out.getvalue()
    return None


def _resize(data: bytes, kind: str, label: str, pixels: int) -> tuple[bytes, str]:
    """Return an image whose longer side has at most this many pixels, and a note of its size."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ParamError(
            "--resize needs Pillow: pip install pillow. Without it images are sent as they are."
        ) from None
    try:
        ignored = warnings.catch_warnings(action="ignore")  # there is a limit of our own below
        with ignored, Image.open(io.BytesIO(data)) as opened:
            size = opened.size
            opened.draft(None, (pixels, pixels))  # a JPEG is not decoded at its full size
            if opened.width * opened.height > MAX_PIXELS:  # nothing has been decoded so far
                raise ParamError(
                    f"{label} is too large to be resized: {size[0]:,} × {size[1]:,} pixels. Make "
                    "it smaller with another program first."
                )
            if max(size) > pixels:
                image = ImageOps.exif_transpose(opened)
                if image.mode not in ("L", "RGB", "RGBA"):  # Pillow resizes few other modes well
                    image = image.convert("RGBA" if kind != "JPEG" else "RGB")
                image.thumbnail((pixels, pixels))
                out = io.BytesIO()
                image.save(out, format=kind)
                data, size = out.getvalue(), image.size
    except ParamError:
        raise
    except Exception as error:  # Pillow may raise anything for a broken image
        reason = "it is broken" if isinstance(error, OSError) else one_line(error, 120)
        raise ParamError(f"{label} cannot be resized ({reason}). Leave out --resize.") from None
    return data, f", {size[0]:,} × {size[1]:,}"
