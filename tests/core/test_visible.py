"""Foreign text: nothing in it is hidden, and texts that differ do not look alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from growth import growth

from di_magics.core.visible import (
    make_visible,
    one_line,
    remove_hidden,
    show_direction,
    show_exactly,
)

HIDDEN = {
    "control": "\x08",
    "escape": "\x1b",
    "C1 control": "\x9b",
    "C1 string": "\x9d",
    "soft hyphen": "\xad",
    "grapheme joiner": "\u034f",
    "Hangul filler of a syllable's beginning": "\u115f",
    "Hangul filler of a syllable's middle": "\u1160",
    "Mongolian selector": "\u180b",
    "Mongolian vowel separator": "\u180e",
    "zero-width space": "\u200b",
    "zero-width non-joiner": "\u200c",
    "zero-width joiner": "\u200d",
    "right-to-left mark": "\u200f",
    "line separator": "\u2028",
    "right-to-left override": "\u202e",
    "word joiner": "\u2060",
    "isolate": "\u2066",
    "deprecated format": "\u206a",
    "last deprecated format": "\u206f",
    "empty braille": "\u2800",
    "Hangul filler": "\u3164",
    "half a character": "\ud800",
    "private use": "\ue000",
    "variation selector": "\ufe00",
    "emoji selector": "\ufe0f",
    "byte order mark": "\ufeff",
    "half-width Hangul filler": "\uffa0",
    "annotation": "\ufff9",
    "end of annotation": "\ufffb",
    "tag": "\U000e0041",
    "end of tag": "\U000e007f",
    "supplementary selector": "\U000e0100",
}
SPACES = [chr(c) for c in range(0x10000) if unicodedata.category(chr(c)) == "Zs" and c != 0x20]


@pytest.mark.parametrize("character", HIDDEN.values(), ids=HIDDEN)
def test_hidden_character_is_shown_by_its_number_and_left_out_of_code(character: str) -> None:
    """Wherever it stands; two that differ are shown in two ways."""
    mark = f"⟨U+{ord(character):04X}⟩"
    for text in (f"{character}ab", f"a{character}b", f"ab{character}"):
        assert make_visible(text) == text.replace(character, mark)
        assert remove_hidden(text) == "ab"
        assert one_line(text) in (text.replace(character, mark), "a b", "ab")
        assert one_line(text).isprintable()


@pytest.mark.parametrize(
    ("text", "looks_like"),
    [
        *((f"rm{c}x", "rmx") for c in HIDDEN.values()),
        *((f"rm{c}x", "rm x") for c in (*SPACES, "\n", "\t", "\r", "\x85")),
        ("rm  x", "rm x"),
        ("rm⟨U+200B⟩x", "rm\u200bx"),
        ("rm⟨U+27E8⟩x", "rm⟨x"),
        ("😀\ufe0f\ufe0f", "😀\ufe0f"),
        ("1\ufe0f", "1"),
        ("a\u200d😀", "a😀"),
        ("\x1b[31mx", "x"),
    ],
)
def test_texts_that_look_alike_are_shown_differently(text: str, looks_like: str) -> None:
    """As in "May the model run …?": whoever allows one text does not get another one."""
    assert make_visible(text) != make_visible(looks_like)
    assert "\n" not in make_visible(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a" + " " * 2100 + "b", "a⟨2,100 spaces⟩b"),
        ("a" + " " * 19 + "b", "a" + " " * 19 + "b"),
        ("-" * 20, "⟨20 × -⟩"),
        (r"\n" * 20, r"⟨20 × \n⟩"),
        ("\u200b" * 20, "⟨20 × ⟨U+200B⟩⟩"),
        ("ls" + " \U0001d159" * 1400 + "; rm", "ls⟨1,400 ×  ⟨U+1D159⟩⟩; rm"),
        ("a" + " \n \t" * 20 + "b", "a⟨20 ×  ⟨U+000A⟩ ⟨U+0009⟩⟩b"),
        ("⟨20 spaces⟩", "⟨U+27E8⟩20 spaces⟨U+27E9⟩"),
        ("слово шьі", "слово ⟨U+0448⟩⟨U+044C⟩⟨U+0456⟩"),
        ("Łódź İı Đ\xd0", "Łódź İ⟨U+0131⟩ Đ⟨U+00D0⟩"),
        ("데이터 ロ口 20°", "데이터 ⟨U+30ED⟩⟨U+53E3⟩ 20°"),
        ("r\u043c -rf", "r⟨U+043C⟩ -rf"),
        ("\u0441\u043e\u0440", "⟨U+0441⟩⟨U+043E⟩⟨U+0440⟩"),
        ("привет, Αθήνα, naïve 漢字", "привет, Αθήνα, naïve 漢字"),
    ],
)
def test_what_is_shown_exactly_hides_nothing(text: str, shown: str) -> None:
    """Padding is counted, and letters that only look Latin are marked."""
    assert show_exactly(text) == shown


LOOK_ALIKE = {
    "é": "e\u0301",
    ";": "\u037e",
    "K": "\u212a",
    "Å": "\u212b",
    "`": "\u1fef",
    "\xb7": "\u0387",
    "\u8c48": "\uf900",
    "dic": "\u217e\u2170\u217d",
    "no": "\u0578\u0585",
    "g": "\u0261",
    "l": "\u04cf",
    "A": "\u13aa",
    "B": "\ua4d0",
    "o": "\u2c9f",
    ".": "\u2024",
    "/": "\u2044",
    "\\": "\u2216",
    "!": "\u01c3",
    "-": "\u2010",
    "*": "\u204e",
    "<": "\u2039",
    ":": "\u2236",
    "1": "\U0001d7f7",
    "x": "\uff58",
    "cop": "\u0441\u043e\u0440",
    "ы": "ьі",
    "ΦΠ": "ФП",
    "カ": "力",
    "へ": "ヘ",
    "आ": "अ\u093e",
    "א 1": "1 א",
    "": "\U0001d159",
    "😀": "😀\ufe0f",
}


@pytest.mark.parametrize(("one", "other"), LOOK_ALIKE.items())
def test_the_question_shows_at_most_one_of_two_texts_that_look_alike(one: str, other: str) -> None:
    """The other one is shown by its numbers, wherever it stands."""
    for around in ("{}", "rm {} x", "{0}{0}", "a{}", "ш{}", "漢{}", "Θ{}", '"{}"'):
        first, second = show_exactly(around.format(one)), show_exactly(around.format(other))
        assert first != second
        assert "⟨U+" in first + second


@pytest.mark.parametrize(
    "text", ["plain", "ü — 漢字 한글 नमस्ते", "👩‍💻 ❤️ ☎︎ 1️⃣ 👍🏽", "a  b", "x < y", "⟨a⟩ \\u200b"]
)
def test_visible_text_is_shown_as_it_is(text: str) -> None:
    """Other scripts, emoji made of several characters, and signs of every kind."""
    assert make_visible(text) == text
    assert remove_hidden(text) == text


@pytest.mark.parametrize("function", [make_visible, one_line])
def test_a_limit_holds_for_what_is_shown(function: object) -> None:
    """However many characters a hidden one is shown as."""
    assert callable(function)
    for text in ("\u200b" * 50, "a" * 50, "a" * 10):
        assert len(function(text, 10)) <= 10
    assert function("a" * 10, 10) == "a" * 10
    assert function("a" * 11, 10) == "a" * 9 + "…"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nb\t c ", "a b c"),
        ("\x1b[31mred\x1b[0m \x1b[2Jx", "red x"),
        ("a\x00\x07\x9bb", "a b"),
        ("a\u202eb\u2028c", "a⟨U+202E⟩b c"),
        ("ü — 😀", "ü — 😀"),
        (5, "5"),
        ("", ""),
    ],
)
def test_a_message_is_one_printable_line(text: object, line: str) -> None:
    """Line breaks, controls and terminal escapes are one space."""
    assert one_line(text) == line


@pytest.mark.parametrize(
    "piece", ["\x1b[", "\x1b[1;", "\x9b ", "\u200d", "😀\u200d", "⟨U+", " ", "a"]
)
@pytest.mark.parametrize("function", [make_visible, one_line, remove_hidden])
def test_a_text_without_end_is_read_in_linear_time(
    function: Callable[[str], str], piece: str
) -> None:
    """Whatever it repeats."""
    assert growth(lambda n: function(piece * n), 50_000) <= 3


def test_marks_of_direction_are_visible_in_a_terminal() -> None:
    """Emoji, joiners, accents and no-break spaces stay; escapes are taken out."""
    shown = show_direction("a\u202eb\u2066\u200b\x1b[31m\U000e0041\x9b\r\nc")
    assert shown == "a⟨U+202E⟩b⟨U+2066⟩⟨U+200B⟩[31m⟨U+E0041⟩\nc"
    for text in ("é\xa0ü\n\t", "👩\u200d🚀 ❤\ufe0f", "می\u200cخواهم"):
        assert show_direction(text) == text
