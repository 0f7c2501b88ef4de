"""Foreign text made safe to display.

The text of a model, a server or a file may contain characters that nobody sees: controls that
repaint a terminal, marks that reverse the text after them, fillers that are letters to Python, tags
that are instructions to a model. `_HIDDEN` is the list of them all. Choose by the purpose:

    one_line         a message or a name, on one line
    make_visible     where two different texts must not look alike
    show_exactly     the question "May the model run …?": moreover, no letter looks like another,
                     and no padding pushes anything out of sight
    strip_controls   a text of several lines for a page, or for print: only controls are removed
    show_direction   the same for a terminal: marks that reverse or hide text become visible, too
    remove_hidden    code that goes into a cell
    replace_hidden   anything else, with a replacement of your own

A zero-width joiner between two emoji and a variation selector after one stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_EMOJI = "\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297\u3299"
_EMOJI += "\U0001f000-\U0001faff"
_SPACES = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_LINE_BREAKS = "\x0b-\x0d\x1c-\x1e\x85\u2028\u2029"
# Unicode's Default_Ignorable_Code_Point and categories Cc, Cf, Co and Cs, noncharacters, and the
# empty braille pattern.
_INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f"
    "\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff"
    "\ufdd0-\ufdef\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U0010ffff"
)
# Compiled at its first use, because loading the extension must be fast.
_HIDDEN = (
    f"[{_INVISIBLE}{_LINE_BREAKS}{_SPACES}]"
    f"|(?<![{_EMOJI}\ufe0f])\u200d|\u200d(?![{_EMOJI}])"
    f"|(?<![{_EMOJI}\xa9\xae\u203c\u2049\u2122\u2139#*0-9])[\ufe0e\ufe0f]"
    "|(?<=[#*0-9])(?:\ufe0e|\ufe0f(?!\u20e3))"
)
_CONTROLS = r"\x1b\[[0-?]{0,99}[ -/]{0,99}[@-~]|[\x00-\x1f\x7f-\x9f\u2028\u2029]"

_CONTROL = "\r\n?|[\u2028\u2029]|[\x00-\x08\x0b-\x1f\x7f-\x9f]|[\ud800-\udfff]"
_REVERSING = (
    "[\u061c\u115f\u1160\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e00ff]"
)


def replace_hidden(text: str, replace: Callable[[str], str]) -> str:
    """Return the text with each hidden character replaced; newlines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_HIDDEN, lambda match: replace(match[0]), text)


def _mark(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def make_visible(text: object, limit: int | None = None) -> str:
    """Return foreign text on one line of at most `limit` characters, hidden ones as `⟨U+200B⟩`.

    Texts that differ only in hidden characters, kinds of spaces or line breaks stay different.
    """
    line = str(text) if limit is None else str(text)[: limit + 1]
    line = line.replace("⟨U+", "⟨U+27E8⟩U+")
    line = replace_hidden(line, _mark).replace("\n", "⟨U+000A⟩").replace("\t", "⟨U+0009⟩")
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


# What the question shows as it is, besides ASCII. Everything else is shown by its number: signs and
# digits that look like those of ASCII, combining marks, emoji, and scripts in which two spellings
# look alike (Indic ones) or which change the order of what stands beside them (Hebrew, Arabic).
_SIGNS = "¡¢£¥§©«®°±²³»¼½¾¿€、。「」『』"
_LATIN = "À-ſƠơƯưẠ-ỹ"  # of these, letters with an accent, and:
_LATIN_WITHOUT_ACCENT = "ÆØÞßæðøþĐđŁłŒœ"
_LIKE_OTHER_LATIN = "ĔĕĬĭŎŏ"
_EAST_ASIAN = "ぁ-ゖァ-ヺ㐀-䶿一-龥가-힣"
# Han and kana that look like each other, or like a sign of ASCII.
_LIKE_OTHER_EAST_ASIAN = "一丁七丄丅丨丫丶丿乂乙乚亅二三八冂凵力十千匚匸卜又口囗夕工才"
_LIKE_OTHER_EAST_ASIAN += "エオカセタチトニヌノハヘベペミメリロくせへべぺり"
# A word of one of these scripts has a letter that no other script has.
_WORDS = (
    ("ЁЂЄІЇЈЋЎЏА-яёђєіїјћўџҐґ", "ДЖИЙЦЧШЩЪЫЭЮЯджийлцчшщъыэюя"),
    ("ΆΈ-ΊΌΎ-ΡΣ-ώ", "ΔΘΞΣΨΩδζθλξπψ"),
)
_ALIKE_IN_CYRILLIC = "[Ьь][Іі]"  # looks like ы
# Padding: a character or its spelling, or up to four that are blank, again and again.
_MARK = r"⟨U\+[0-9A-F]{4,6}⟩|\\u[0-9a-f]{4}"
_RUN = rf"({_MARK}|\\.|.|(?:{_MARK}|\\[nrt]| ){{2,4}}?)\1{{19,}}"


def show_exactly(text: str) -> str:
    """Return foreign text on one line, such that no other text looks the same.

    What is not ASCII is `⟨U+200B⟩`, unless it is known to look like nothing else: accented Latin
    letters, Greek and Cyrillic words, Han, kana and Hangul. A run of 20 or more equal characters,
    or of a pattern of blank ones, is one sign, such as `⟨2,100 spaces⟩`.
    """
    if not (text.isascii() and text.isprintable()):
        text = re.sub(r"[^\W\d_]+|[^ -~]", _show_word, text)
    return re.sub(_RUN, _name_run, text)


def _show_word(match: re.Match[str]) -> str:
    word = match[0]
    for letters, own in _WORDS:
        if re.fullmatch(f"[{letters}]+", word):
            is_clear = re.search(f"[{own}]", word) and not re.search(_ALIKE_IN_CYRILLIC, word)
            return word if is_clear else "".join(map(_mark, word))
    return re.sub("[^ -~]", lambda letter: _show_character(letter[0]), word)


def _show_character(character: str) -> str:
    if re.match(f"[{_LATIN}]", character):
        base = unicodedata.normalize("NFD", character)[0]
        is_clear = base.isascii() or character in _LATIN_WITHOUT_ACCENT
        is_clear = is_clear and character not in _LIKE_OTHER_LATIN
    else:
        is_clear = bool(re.match(f"[{_SIGNS}{_EAST_ASIAN}]", character))
        is_clear = is_clear and character not in _LIKE_OTHER_EAST_ASIAN
    return character if is_clear else _mark(character)


def _name_run(run: re.Match[str]) -> str:
    unit = run[1]
    count = len(run[0]) // len(unit)
    return f"⟨{count:,} spaces⟩" if unit == " " else f"⟨{count:,} × {unit}⟩"


def one_line(text: object, limit: int = 400) -> str:
    """Return foreign text as one printable line of at most `limit` characters.

    Terminal escapes, line breaks and runs of spaces are one space, other hidden characters are
    shown as `⟨U+200B⟩`.
    """
    line = " ".join(re.sub(_CONTROLS, " ", str(text)).split())
    line = replace_hidden(line[: limit + 1], _mark)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def strip_controls(text: str) -> str:
    """Return the text without control characters: no terminal escapes, only line ends and tabs."""
    return re.sub(_CONTROL, _replace_control, text)


def _replace_control(match: re.Match[str]) -> str:
    first = match[0][0]
    return "\n" if first in "\r\u2028\u2029" else "\ufffd" if first >= "\ud800" else ""


def show_direction(text: str) -> str:
    """Return the text without control characters, and with marks that reverse or hide text visible.

    Joiners and selectors stay, because a text that streams may be cut between them and an emoji.
    """
    return re.sub(_REVERSING, lambda match: _mark(match[0]), strip_controls(text))


def remove_hidden(code: str) -> str:
    """Return foreign code as it looks: no hidden characters, only plain spaces and newlines."""
    code = re.sub(f"[{_SPACES}]", " ", code.replace("\r\n", "\n").replace("\r", "\n"))
    return replace_hidden(code, lambda character: "")
