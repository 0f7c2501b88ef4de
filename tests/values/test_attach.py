"""What goes along with a prompt: files, images, tables and other variables."""

from __future__ import annotations

import base64
import builtins
import contextlib
import io
import json
import os
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from growth import growth
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import HTML, SVG, Audio, Latex, Markdown
from IPython.display import Image as Shown
from loopback import Loopback, Reply
from matplotlib.figure import Figure
from PIL import Image
from shell import Run

import di_magics as di
from di_magics.core.conversation.attachment import Attachment
from di_magics.core.text import count_noun
from di_magics.core.tokens import PER_TOKEN, estimate_text_tokens
from di_magics.values.attach import (
    MAX_ATTACHMENT_BYTES,
    MAX_FILE_BYTES,
    TOKENS,
    attach,
    attach_value,
    truncate_text,
)

FORMATS = ["PNG", "JPEG", "WEBP"]
MOST = TOKENS * PER_TOKEN
KEY = "sk-" + "a1B2" * 10


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 20), mode: str = "RGB") -> bytes:
    """Return the bytes of an image."""
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind)
    return out.getvalue()


def claiming(width: int, height: int) -> bytes:
    """Return a PNG that says it is so large, and has not the pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + body


def sent(attached: Attachment) -> bytes:
    """Return the bytes in an image's data URL."""
    return base64.b64decode(attached.content.partition(",")[2])


def opened(attached: Attachment) -> Image.Image:
    """Return the image as whoever receives it sees it."""
    return Image.open(io.BytesIO(sent(attached)))


def refused(call: Callable[[], object]) -> str:
    """Return the one line with which something is refused."""
    with pytest.raises(di.ParamError) as caught:
        call()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    return message


# Images -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_an_image_file_goes_as_it_is(tmp_path: Path, kind: str) -> None:
    """A file's bytes are not touched, whatever its name ends in, and the note says its format."""
    data = picture(kind)
    (tmp_path / "a picture.dat").write_bytes(data)
    attached = attach("a picture.dat", {}, tmp_path)
    assert (attached.kind, attached.name, attached.note) == (
        "image",
        "a picture.dat",
        f"{kind} image, 1 kB",
    )
    assert attached.content.startswith(f"data:image/{kind.lower()};base64,")
    assert sent(attached) == data


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("holder", [bytes, bytearray, memoryview])
def test_bytes_of_an_image_go_as_they_are(kind: str, holder: Callable[[bytes], Any]) -> None:
    """A variable with an image's bytes is that image."""
    data = picture(kind)
    attached = attach_value(holder(data), "data")
    assert (attached.kind, sent(attached)) == ("image", data)


def test_a_pillow_image_goes_as_png() -> None:
    """An image of Pillow is sent without a loss."""
    attached = attach_value(Image.new("RGBA", (7, 5), (1, 2, 3, 4)), "it")
    assert attached.note.startswith("PNG image")
    assert (opened(attached).size, opened(attached).getpixel((0, 0))) == ((7, 5), (1, 2, 3, 4))


def test_a_figure_goes_as_png() -> None:
    """A figure of matplotlib is drawn."""
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    attached = attach_value(figure, "figure")
    assert attached.note.startswith("PNG image")
    assert opened(attached).size[0] > 100


@pytest.mark.parametrize("kind", FORMATS)
def test_a_displayed_image_goes_as_it_is(kind: str) -> None:
    """What IPython.display.Image holds is sent."""
    data = picture(kind)
    assert sent(attach_value(Shown(data=data, format=kind.lower()), "shown")) == data


def test_a_displayed_image_that_is_only_an_address_is_refused() -> None:
    """An IPython.display.Image of a URL holds no image, and the text of the object is none."""
    assert "shown" in refused(lambda: attach_value(Shown(url="http://127.0.0.1:9/x.png"), "shown"))


@pytest.mark.parametrize("kind", [SVG, HTML, Latex, Markdown])
def test_a_displayed_text_goes_as_it_is(kind: type[SVG | HTML | Latex | Markdown]) -> None:
    """What such an object of IPython.display holds is sent: its own text is its address."""
    text = '<svg xmlns="http://www.w3.org/2000/svg"><circle r="4"/></svg>'
    assert attach_value(kind(text), "shown").content == text


def test_a_displayed_sound_is_refused() -> None:
    """What IPython.display.Audio holds is not an image."""
    assert "sound does not hold an image" in refused(
        lambda: attach_value(Audio(data=b"RIFF....", rate=8), "sound")
    )


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a", b"RIFF....AVI ", b"%PDF-1.7"])
def test_other_bytes_are_refused(data: bytes) -> None:
    """Bytes that are no image are refused with the formats that are taken."""
    assert "PNG, JPEG, WebP" in refused(lambda: attach_value(data, "data"))


@pytest.mark.parametrize("mode", ["F", "CMYK"])
def test_an_image_that_png_cannot_hold_is_one_line(mode: str) -> None:
    """What Pillow says of an image that it cannot write is the reason."""
    assert f"mode {mode}" in refused(lambda: attach_value(Image.new(mode, (4, 4)), "it"))


def test_too_large_an_image_is_refused_with_what_to_do() -> None:
    """Beyond 20 MB the line names --resize; up to there an image is sent."""
    data = picture()
    data += b"\0" * (MAX_ATTACHMENT_BYTES - len(data))
    assert attach_value(data, "it").note == "PNG image, 20 MB"
    message = refused(lambda: attach_value(data + b"\0", "it"))
    assert "20 MB" in message
    assert "--resize 1024" in message


def test_a_large_image_is_sent_once_it_is_made_smaller() -> None:
    """The limit is for what is sent, not for what there was."""
    attached = attach_value(picture() + b"\0" * MAX_ATTACHMENT_BYTES, "it", resize=10)
    assert opened(attached).size == (10, 5)
    assert "10 × 5, 1 kB, resized from 20 MB" in attached.note


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("size", "pixels", "after"),
    [((400, 200), 100, (100, 50)), ((200, 400), 100, (50, 100)), ((9000, 1), 3, (3, 1))],
)
def test_resize_is_for_the_longer_side(
    kind: str, size: tuple[int, int], pixels: int, after: tuple[int, int]
) -> None:
    """The longer side gets that short, the other with it, and the format stays."""
    attached = attach_value(picture(kind, size), "it", resize=pixels)
    assert (opened(attached).size, opened(attached).format) == (after, kind)
    assert f"{kind} image, {after[0]} × {after[1]}" in attached.note


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_resize_takes_images_of_all_colours(mode: str) -> None:
    """Grey, with a palette, transparent, or with 16 bits: a PNG is made smaller."""
    assert opened(attach_value(picture("PNG", (40, 20), mode), "it", resize=10)).size == (10, 5)


@pytest.mark.parametrize("size", [(7100, 7100), (12_000, 12_000), (20_000, 20_000)])
def test_an_image_of_too_many_pixels_is_not_decoded(
    size: tuple[int, int], recwarn: pytest.WarningsRecorder
) -> None:
    """A file of 300 kB took 2 GB of memory, and Pillow's warning went into the cell."""
    tracemalloc.start()
    try:
        with pytest.raises(di.ParamError, match="be resized"):
            attach_value(claiming(*size), "it", resize=10)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert not recwarn.list


def test_a_large_photograph_is_resized() -> None:
    """A JPEG is decoded at a part of its size."""
    attached = attach_value(picture("JPEG", (9000, 6000)), "it", resize=100)
    assert opened(attached).size == (100, 67)


def test_resize_leaves_a_small_image_alone() -> None:
    """An image that is short enough goes as it is, and its size is said."""
    data = picture("WEBP", (40, 20))
    attached = attach_value(data, "it", resize=40)
    assert sent(attached) == data
    assert attached.note == "WEBP image, 40 × 20, 1 kB"


def test_resize_turns_an_image_as_its_camera_was_held() -> None:
    """A picture that says it lies on its side stands upright once it is made smaller."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200)).save(out, "JPEG", exif=exif)
    assert opened(attach_value(out.getvalue(), "it", resize=100)).size == (50, 100)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("orientation", "corner"), [(3, "red"), (6, "blue"), (8, "red")])
@pytest.mark.parametrize("as_object", [False, True])
def test_a_photograph_is_sent_upright(
    kind: str, orientation: int, corner: str, as_object: bool
) -> None:
    """Servers send a model the pixels, and ignore how the camera was held (ollama 18418)."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (0, 0, 20, 20))
    image.save(out, kind, exif=exif)
    value = Image.open(io.BytesIO(out.getvalue())) if as_object else out.getvalue()
    attached = attach_value(value, "it", resize=None)
    sent = opened(attached).convert("RGB")
    assert sent.size == ((40, 20) if orientation == 3 else (20, 40))
    assert sent.getexif().get(0x0112, 1) == 1
    assert (sent.tobytes()[0] > 128) is (corner == "red")
    assert as_object or attached.note == f"{kind} image, turned upright, 1 kB"


def test_a_photograph_that_cannot_be_turned_is_sent_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is broken, or there is no Pillow."""
    broken = picture("JPEG")[:40] + b"Exif\0\0MM"
    assert attach_value(broken, "it").note == "JPEG image, 1 kB"
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(out, "JPEG", exif=exif)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert attach_value(out.getvalue(), "it").note == "JPEG image, 1 kB"


@pytest.mark.parametrize(
    "data",
    [
        picture("PNG", (400, 200))[:-40],
        picture("JPEG", (400, 200))[:100],
        picture("WEBP", (400, 200))[:20],
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        claiming(60_000, 60_000),
        claiming(0, 0),
    ],
    ids=["png", "jpeg", "webp", "png-head", "jpeg-head", "bomb", "no-size"],
)
def test_resize_of_a_broken_image_is_one_line(data: bytes) -> None:
    """A broken image and one that would fill the memory are refused, not decoded."""
    assert "it cannot be resized" in refused(lambda: attach_value(data, "it", resize=10))


def test_resize_of_a_broken_image_names_no_object_of_python() -> None:
    """The reason is in words that mean something to the user."""
    assert "BytesIO" not in refused(lambda: attach_value(picture()[:40], "it", resize=10))


def test_resize_without_pillow_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Pillow images are sent, and --resize names the package."""
    data = picture()
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install pillow" in refused(lambda: attach_value(data, "it", resize=10))
    assert sent(attach_value(data, "it")) == data


# Files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_file_goes_as_text(tmp_path: Path, encoding: str) -> None:
    """A text of UTF-8 goes along, and one that is marked as UTF-16, both without their mark."""
    (tmp_path / "notes.txt").write_bytes("für dich\n".encode(encoding))
    attached = attach("notes.txt", {}, tmp_path)
    assert attached == Attachment("text", "notes.txt", "9 characters", "für dich\n")


def test_a_file_is_found_by_its_full_path_and_from_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An absolute path and one from the user's home folder are taken as they are."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("a")
    elsewhere = tmp_path / "elsewhere"
    assert attach(str(tmp_path / "a.txt"), {}, elsewhere).content == "a"
    assert attach("~/a.txt", {}, elsewhere).content == "a"


@pytest.mark.parametrize(
    "data",
    [
        "ünïcode".encode("latin-1"),
        "wide".encode("utf-16-le"),
        "wide".encode("utf-32"),
        b"\xff\xfea",
        b"a\0b",
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes) -> None:
    """Another encoding, or a NUL, is not a text that can be sent, and the line says what to do."""
    (tmp_path / "data").write_bytes(data)
    assert "neither text (UTF-8) nor an image" in refused(lambda: attach("data", {}, tmp_path))


@pytest.mark.parametrize("data", [b"", b" \n\t\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path: Path, data: bytes) -> None:
    """There is nothing to send of a file with nothing in it."""
    (tmp_path / "a.txt").write_bytes(data)
    assert "a.txt is empty" in refused(lambda: attach("a.txt", {}, tmp_path))


@pytest.mark.parametrize("named", ["folder", "pipe", "/dev/zero", "/dev/null", "."])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, named: str) -> None:
    """A folder, a pipe that nobody writes to and an endless device are not read, and that is said.

    Nothing is waited for.
    """
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    refusal = refused(lambda: attach(named, {}, tmp_path))
    assert refusal.startswith(f"{named} is not a regular file.")


def test_too_large_a_file_is_refused_unread(tmp_path: Path) -> None:
    """A file beyond 200 MB is refused by its size, which is said."""
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert "huge is too large (200 MB; at most 200 MB are read)" in refused(
        lambda: attach("huge", {}, tmp_path)
    )


@pytest.mark.parametrize(
    "named",
    ["nowhere", "no/where.txt", "a\0b", "x" * 5000, "~no-such-reader/x", "bad\nname\x1b[31m"],
)
def test_a_missing_file_is_one_line(tmp_path: Path, named: str) -> None:
    """A name of nothing, or one that no file can have, is one printable line."""
    assert "is not a variable, and not a file" in refused(lambda: attach(named, {}, tmp_path))


def test_a_mistyped_name_gets_the_nearest(tmp_path: Path) -> None:
    """The variables with names like it are offered."""
    message = refused(lambda: attach("tabel", {"table": 1, "other": 2}, tmp_path))
    assert "Did you mean table?" in message


def test_a_variable_wins_over_a_file_and_a_path_takes_the_file(tmp_path: Path) -> None:
    """Where there are both, the bare name is the variable and ./name the file."""
    (tmp_path / "notes").write_text("from the file")
    names = {"notes": "from the variable", "./notes": "from nowhere"}
    assert attach("notes", names, tmp_path).content == "from the variable"
    assert attach("./notes", names, tmp_path).content == "from the file"
    assert attach("notes", {}, tmp_path).content == "from the file"


# Tables -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "note", "content"),
    [
        (pd.DataFrame({"a": [1, 2], "b": "x"}), "2 rows × 2 columns, as CSV", ",a,b\n0,1,x\n1,2,x"),
        (pd.Series([1, 2], name="s"), "2 rows, as CSV", ",s\n0,1\n1,2"),
        (pd.DataFrame({"a": [], "b": []}), "0 rows × 2 columns, as CSV", ",a,b"),
        (pd.DataFrame(), "0 rows × 0 columns, as CSV", '""'),
        (pd.Series(dtype=float), "0 rows, as CSV", ",0"),
    ],
)
def test_a_table_goes_as_csv(table: Any, note: str, content: str) -> None:
    """A DataFrame and a Series go along with their shape, empty ones too."""
    attached = attach_value(table, "table")
    assert attached == Attachment("text", "table", f"{type(table).__name__}, {note}", content)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"n": range(100_000), "text": "é😀"}),
        pd.Series(range(100_000)),
        pd.DataFrame({"text": ["x" * 1000] * 50}),
    ],
    ids=["frame", "series", "long"],
)
@pytest.mark.parametrize("tokens", [TOKENS, 500])
def test_a_long_table_is_cut_after_a_row(table: Any, tokens: int) -> None:
    """Whole rows go along, as many as fit, and the note says how many of how many."""
    attached = attach_value(table, "table", tokens=tokens)
    most = tokens * PER_TOKEN
    shown = attached.content.count("\n")
    assert shown > 0
    assert most / 3 < len(attached.content.encode()) <= most
    assert attached.content == table.head(shown).to_csv().rstrip("\n")
    assert f"{len(table):,} rows" in attached.note
    assert f"only the first {shown:,} row" in attached.note


def test_one_huge_row_does_not_cost_the_rows_before_it() -> None:
    """As many rows go along as fit, though the table as a whole is far too long."""
    table = pd.DataFrame({"text": ["x"] * 100 + ["y" * MOST * 20]})
    assert attach_value(table, "table").content == table.head(100).to_csv().rstrip("\n")


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"é" * 50_000: [1]}),
        pd.DataFrame({f"column {number}": [1] for number in range(20_000)}),
    ],
    ids=["one", "many"],
)
def test_names_that_do_not_fit_are_cut(table: Any) -> None:
    """Where the names of the columns are too much, there are no rows, and the note says so."""
    attached = attach_value(table, "table")
    assert TOKENS - 2 <= estimate_text_tokens(attached.content) <= TOKENS
    assert "only the first 0 rows, column names cut" in attached.note


def test_a_table_whose_first_row_does_not_fit_goes_by_its_names() -> None:
    """A row is never cut in the middle."""
    attached = attach_value(pd.DataFrame({"a": ["x" * MOST]}), "table")
    assert attached.content == ",a"
    assert "only the first 0 rows" in attached.note


def test_a_table_that_fails_is_one_line() -> None:
    """A value in it whose text raises ends in the reason."""

    class Hostile:
        def __str__(self) -> str:
            raise SystemExit("no text")

    table = pd.DataFrame({"a": [Hostile()]})
    assert "table cannot be attached (SystemExit" in refused(lambda: attach_value(table, "table"))


# Other variables ----------------------------------------------------------------------------


def test_an_object_goes_as_its_markdown() -> None:
    """What an object shows itself as in a notebook goes along."""
    assert attach_value(Markdown("# Title"), "it") == Attachment(
        "text", "it", "Markdown, 7 characters", "# Title"
    )


@pytest.mark.parametrize("value", [5, [1, 2], {"a": 1}, 1.5])
def test_any_other_value_goes_as_its_text(value: object) -> None:
    """What has no other form goes as str() has it, and the note says of which type it is."""
    attached = attach_value(value, "it")
    assert attached.content == str(value)
    size = count_noun(len(str(value)), "character")
    assert attached.note == f"{type(value).__name__}, {size}"


class Loud(Exception):
    """Its own text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit


class Odd(str):
    """A text that does not behave as one."""

    def strip(self, *of: Any) -> str:
        raise RuntimeError("no")

    def encode(self, *of: Any) -> bytes:
        return b"something else"

    def __str__(self) -> str:
        return "something else"


def raising(error: BaseException) -> Callable[[object], str]:
    """Return a method that raises this."""

    def method(self: object) -> str:
        raise error

    return method


def having(**members: Any) -> Any:
    """Return an object with these methods."""
    return type("Hostile", (), members)()


@pytest.mark.parametrize(
    "error", [RuntimeError("no\n\x1b[31mline"), SystemExit(3), GeneratorExit(), Loud()]
)
@pytest.mark.parametrize("method", ["_repr_markdown_", "__str__", "__class__"])
def test_a_method_that_raises_is_one_line(error: BaseException, method: str) -> None:
    """Whatever a value's own methods raise, nothing but the reason comes out of it."""
    member = raising(error)
    attached = having(**{method: property(member) if method == "__class__" else member})
    assert refused(lambda: attach_value(attached, "it")).startswith("it ")


@pytest.mark.parametrize("method", ["_repr_markdown_", "__str__"])
def test_an_interrupt_is_not_held_up(method: str) -> None:
    """The stop square ends a method that takes long."""
    with pytest.raises(KeyboardInterrupt):
        attach_value(having(**{method: raising(KeyboardInterrupt())}), "it")


@pytest.mark.parametrize("message", [None, 5, b"bytes", ["a"]])
def test_markdown_that_is_no_text_is_passed_over(message: object) -> None:
    """An object whose _repr_markdown_ gives something else goes as its text."""
    attached = having(_repr_markdown_=lambda self: message, __str__=lambda self: "its text")
    assert attach_value(attached, "it").content == "its text"


def test_failing_str_is_a_one_line_error() -> None:
    """A __str__ that gives something else is refused."""
    assert "TypeError" in refused(lambda: attach_value(having(__str__=lambda self: 5), "it"))


@pytest.mark.parametrize(
    "value",
    [
        Odd("the text"),
        having(_repr_markdown_=lambda self: Odd("the text")),
        having(__str__=lambda self: Odd("the text")),
    ],
    ids=["itself", "markdown", "str"],
)
def test_a_derived_text_is_taken_as_plain_text(value: object) -> None:
    """The methods of the user's own class of texts have no say in it."""
    attached = attach_value(value, "it")
    assert attached.content == "the text"
    assert type(attached.content) is str


def test_what_only_says_that_it_is_a_text_is_one_line() -> None:
    """An object that poses as a str, as stand-ins in tests do, is refused or goes as its text."""
    posing = having(__class__=property(lambda self: str))
    with contextlib.suppress(di.ParamError):
        assert "Hostile" in attach_value(posing, "it").content


@pytest.mark.parametrize("value", ["", " \n", having(__str__=lambda self: "")])
def test_an_empty_variable_is_refused(value: object) -> None:
    """There is nothing to send of it."""
    assert "it is empty" in refused(lambda: attach_value(value, "it"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("config", f"endpoint: here\nkey: {KEY}"),
        ("password", "correct horse"),
        ("api_key", "0123456789abcdef"),
        ("config", {"endpoint": "here", "key": KEY}),
        ("config", [KEY]),
        ("config", pd.DataFrame({"key": [KEY]})),
        ("config", Markdown(KEY)),
        ("password", ("correct horse",)),
    ],
    ids=["text", "name", "name-and-text", "dict", "list", "table", "markdown", "name-of-tuple"],
)
def test_what_looks_like_a_key_is_refused(name: str, value: object) -> None:
    """A variable with a key in it, in whatever it is held, is not sent and not shown."""
    message = refused(lambda: attach_value(value, name))
    assert "looks like a key or a password" in message
    assert KEY not in message


def test_one_long_word_is_read_in_linear_time() -> None:
    """A text without a space in it, as encoded data is, is searched for keys as well."""
    assert attach_value("x" * 500_000, "it").content == "x" * MOST
    assert growth(lambda n: attach_value("x" * n, "it"), MOST // 2) <= 3


# What is left out ---------------------------------------------------------------------------


def test_a_long_text_is_cut_at_a_line_end() -> None:
    """The last line that does not fit is left out, and the note says how much there is."""
    text = "a line of text\n" * 2000
    attached = attach_value(text, "it")
    assert attached.content == "\n".join(["a line of text"] * (MOST // 15))
    assert len(attached.content.encode()) <= MOST
    assert attached.note == (
        f"text, only the first {len(attached.content):,} of 30,000 characters, about 10,000 tokens"
    )


def test_a_long_line_is_cut_in_the_middle() -> None:
    """Where the only line end is far up, half of the text is not given up for it."""
    attached = attach_value("title\n" + "x" * 50_000, "it")
    assert attached.content == "title\n" + "x" * (MOST - 6)


def test_a_text_that_fits_is_whole() -> None:
    """A text of exactly so many tokens is not cut."""
    assert truncate_text("x" * 30, 10) == ("x" * 30, "")
    assert truncate_text("x" * 31, 10)[0] == "x" * 30


@pytest.mark.parametrize("character", ["é", "€", "😀"])
@pytest.mark.parametrize("before", range(4))
def test_a_character_is_never_cut(character: str, before: int) -> None:
    """A character of several bytes goes whole or not at all."""
    cut, left = truncate_text("x" * before + character * 20, 10)
    assert cut == ("x" * before + character * 20)[: len(cut)]
    assert 10 - 3 < estimate_text_tokens(cut) <= 10
    assert f"only the first {len(cut)} of {before + 20} characters" in left


def test_half_a_character_is_counted_and_does_no_harm() -> None:
    """A lone surrogate, as a broken file name leaves it, can be cut."""
    assert truncate_text("\ud800" * 40, 10)[0] == "?" * 15


def test_of_a_text_at_least_a_character_is_left() -> None:
    """An attachment with nothing in it would pass for one of which nothing was kept."""
    assert attach_value("😀😀", "it", tokens=1).content == "😀"


# Through %%chat -----------------------------------------------------------------------------


def messages(server: Loopback, number: int = -1) -> list[Any]:
    """Return the contents of the messages of a request."""
    return [message["content"] for message in server.chats[number].json["messages"]]


FRAME = "df (DataFrame, 2 rows × 2 columns, as CSV):\n\n```\n,a,b\n0,1,x\n1,2,x\n```"


@pytest.fixture
def df(shell: InteractiveShell) -> None:
    """A table of the user's."""
    shell.user_ns["df"] = pd.DataFrame({"a": [1, 2], "b": "x"})


@pytest.mark.usefixtures("df")
def test_an_attached_table_is_sent_and_said(run: Run, server: Loopback) -> None:
    """`-a` sends a table in front of the prompt, and the receipt says what went along."""
    shown = run("%%chat -a df\nWhat is this?").text
    assert messages(server) == [f"{FRAME}\n\nWhat is this?"]
    assert "with df: DataFrame, 2 rows × 2 columns, as CSV" in shown


@pytest.mark.usefixtures("df")
def test_several_things_go_along_in_their_order(
    run: Run, server: Loopback, shell: InteractiveShell, tmp_path: Path
) -> None:
    """`-a` may be repeated: images come first, and texts as they are named."""
    (tmp_path / "plot.png").write_bytes(picture())
    shell.user_ns["note"] = "a ``` fence"
    shown = run(f"%%chat -a note -a {tmp_path / 'plot.png'} -a df\nWell?").text
    url = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
    note = "note (text, 11 characters):\n\n````\na ``` fence\n````"
    assert messages(server) == [
        [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": f"{note}\n\n{FRAME}\n\nWell?"},
        ]
    ]
    assert "with plot.png: PNG image, 1 kB" in shown


@pytest.mark.usefixtures("df")
def test_an_attachment_goes_along_with_the_next_turn(run: Run, server: Loopback) -> None:
    """The conversation holds what was attached, and `%chat retry` sends it again."""
    server.reply(Reply("one"), Reply("two"), Reply("three"))
    run("%%chat -a df\nfirst")
    run("%%chat\nsecond")
    assert messages(server) == [f"{FRAME}\n\nfirst", "one", "second"]
    run("%chat undo")
    run("%chat retry")
    assert messages(server) == [f"{FRAME}\n\nfirst"]


def test_what_was_attached_is_what_it_was_then(
    run: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """A variable that changes afterwards does not change the turns before."""
    shell.user_ns["note"] = ["then"]
    run("%%chat -a note\nfirst")
    shell.user_ns["note"][0] = "now"
    run("%%chat\nsecond")
    assert "then" in messages(server)[0]
    assert "now" not in messages(server)[0]


def test_flags_bound_what_is_attached(run: Run, server: Loopback, shell: InteractiveShell) -> None:
    """--attach-tokens cuts texts, --resize makes images smaller."""
    shell.user_ns |= {"text": "x" * 1000, "image": picture("PNG", (400, 200))}
    run("%%chat -a text -a image --attach-tokens 10 --resize 50\nWell?")
    image, message = messages(server)[0]
    assert "x" * 30 in message["text"]
    assert "x" * 31 not in message["text"]
    data = base64.b64decode(image["image_url"]["url"].partition(",")[2])
    assert Image.open(io.BytesIO(data)).size == (50, 25)


def test_what_cannot_be_attached_sends_nothing(
    run: Run, server: Loopback, shell: InteractiveShell
) -> None:
    """One of several that cannot be attached is one line, and the rest is not sent either."""
    shell.user_ns |= {"good": "text", "api_key": "0123456789abcdef", "text": KEY}
    for named in ("nowhere", "api_key", "text"):
        ran = run(f"%%chat -a good -a {named}\nWell?")
        assert isinstance(ran.error, di.ParamError)
        assert "0123456789abcdef" not in ran.text
        assert KEY not in ran.text
    assert server.requests == []
    assert "no turns" in run("%chat history").text


def test_a_notebook_goes_as_its_cells(tmp_path: Path) -> None:
    """With what they printed, and without images, which would take all the room."""
    image = {"data": {"image/png": "A" * 100_000, "text/plain": ["<Figure>"]}}
    outputs = [
        {"output_type": "stream", "text": ["1\n"]},
        {"output_type": "display_data", **image},
        {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["\x1b[31m"]},
    ]
    cells = [
        {"cell_type": "markdown", "source": "# Title"},
        {"cell_type": "code", "source": ["print(1)\n", "draw()"], "outputs": outputs},
    ]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    attached = attach("a.ipynb", {}, tmp_path)
    assert attached.content == (
        "[markdown]\n# Title\n\n[code]\nprint(1)\ndraw()\n[output]\n1\n[output]\n<Figure>\n"
        "[output]\nValueError: no"
    )
    assert attached.note == "2 cells without images, 95 characters"


def test_a_private_cell_of_a_notebook_is_not_sent(tmp_path: Path) -> None:
    """By its tag or by a comment at its head, as with --above; the receipt says so."""
    private = [
        {"cell_type": "code", "source": "tagged = 1", "metadata": {"tags": ["private"]}},
        {"cell_type": "code", "source": ["# Notes\n", "#| private\n", "commented = 1"]},
    ]
    shown = [{"cell_type": "code", "source": "seen = 1", "metadata": {"tags": [["x"], "a"]}}]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [*private, *shown]}))
    attached = attach("a.ipynb", {}, tmp_path)
    assert attached.content == "[code]\nseen = 1"
    assert attached.note.startswith("1 cell without images, 2 private cells left out")
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": private}))
    with pytest.raises(di.ParamError, match="is empty"):
        attach("a.ipynb", {}, tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"cells": 3}', '{"cells": []}', "[" * 100_000, '{"cells": [3, null]}']
)
def test_a_file_that_is_no_notebook_goes_as_it_is(tmp_path: Path, text: str) -> None:
    """Whatever its name is; a cell of any shape is no error."""
    (tmp_path / "a.ipynb").write_text(text)
    assert text.startswith(attach("a.ipynb", {}, tmp_path).content)
    odd = '{"cells": [{"source": [1, null], "outputs": [{"text": {}}, {"data": 3}, 4]}]}'
    (tmp_path / "a.ipynb").write_text(odd)
    assert attach("a.ipynb", {}, tmp_path).content.startswith("[code]\n1None\n[output]")


@pytest.mark.usefixtures("df")
def test_a_dry_run_shows_what_would_go_along(run: Run, server: Loopback) -> None:
    """--dry-run shows the request with the attachment and sends nothing."""
    shown = run("%%chat -a df --dry-run\nWhat?").text
    assert "df (DataFrame, 2 rows" in shown
    assert server.requests == []


@pytest.mark.usefixtures("df")
@pytest.mark.parametrize("name", ["chat.json", "chat.md", "chat.ipynb"])
def test_a_saved_conversation_holds_no_content(
    run: Run, server: Loopback, shell: InteractiveShell, tmp_path: Path, name: str
) -> None:
    """A file of a conversation says what was attached; loaded, that sentence is sent instead."""
    shell.user_ns["image"] = picture()
    shell.user_ns["note"] = "a-private-text"
    server.reply(Reply("one"), Reply("two"))
    run("%%chat -a note -a image\nfirst")
    file = tmp_path / name
    assert "1 turn saved" in run(f"%chat save {file}").text
    saved = file.read_text("utf-8")
    assert "a-private-text" not in saved
    assert base64.b64encode(picture()).decode()[:40] not in saved
    run("%chat forget --yes")
    run(f"%chat load {file}")
    run("%%chat\nsecond")
    assert messages(server) == [
        "(note was attached here; its content was not kept.)\n\n"
        "(image was attached here; its content was not kept.)\n\nfirst",
        "one",
        "second",
    ]


@pytest.mark.parametrize("command", ["forget --yes", "forget --all --yes"])
def test_forgotten_attachments_leave_no_byte(
    run: Run, server: Loopback, shell: InteractiveShell, tmp_path: Path, command: str
) -> None:
    """After `%chat forget` neither a text nor an image that was attached is in the store."""

    def stored() -> bytes:
        files = (path for path in (tmp_path / "home").iterdir() if path.is_file())
        return b"".join(path.read_bytes() for path in files)

    noise = Image.frombytes("RGB", (60, 60), os.urandom(10_800))
    shell.user_ns |= {"note": "a-private-text " * 1000, "noise": noise}
    run("%%chat -a note -a noise\nfirst")
    url = messages(server)[0][0]["image_url"]["url"].encode()
    parts = [b"a-private-text", url[1000:1040], url[-40:]]
    before = stored()
    assert all(part in before for part in parts)
    assert "1 turn deleted" in run(f"%chat {command}").text
    after = stored()
    assert not any(part in after for part in parts)


@pytest.mark.usefixtures("df")
def test_a_grid_sends_the_attachment_with_each_run(run: Run, server: Loopback) -> None:
    """Each run of a grid holds what was attached."""
    assert run("%%chat --vary temperature=0,1 -a df\nWhat?").error is None
    assert [messages(server, number) for number in range(2)] == [[f"{FRAME}\n\nWhat?"]] * 2
    assert sorted(request.json["temperature"] for request in server.chats) == [0, 1]


def test_names_of_python_itself_are_no_variables(run: Run, server: Loopback) -> None:
    """What every Python has, such as print, is not attached."""
    assert "print" in vars(builtins)
    assert isinstance(run("%%chat -a print\nWell?").error, di.ParamError)
    assert server.requests == []
