"""`{{name}}` in a prompt: filled in once, exactly, and never with a secret."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from growth import growth

from di_magics.core.errors import ParamError
from di_magics.core.request.template import (
    MAX_VALUE_CHARS,
    fill_placeholders,
    plain_str,
)
from di_magics.core.secrets import looks_secret

KEYS = [
    "sk-proj-abcdefGHIJ0123456789",
    "sk_live_0123456789abcdefXYZ",
    "pk-0123456789abcdefghij",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0123456789_abcdef",
    "glpat-0123456789abcdef_-XY",
    "hf_abcdefghijABCDEFGHIJ0123",
    "gsk_abcdefghijABCDEFGHIJ0123",
    "xoxb-123456789012-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "AIzaSyA-0123456789abcdefghij_0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "jwt:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn",
    "postgresql+psycopg2://ann:s3cret@db.example.org/school",
]


class Subtext(str):
    """A text whose methods are not to be trusted."""

    __slots__ = ()

    def __str__(self) -> str:
        return "evil"

    def __len__(self) -> int:
        return 0

    def __contains__(self, key: object) -> bool:
        raise SystemExit

    def strip(self, chars: str | None = None, /) -> str:
        raise SystemExit


class Says:
    """A value whose text is what it was told to say."""

    def __init__(self, filled: str) -> None:
        self.filled = filled

    def __str__(self) -> str:
        return self.filled


class Raises:
    """A value that has no text."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error


class NoText:
    """A value whose text is none."""

    def __str__(self) -> str:
        return 1  # type: ignore[return-value]


def fill(text: str, values: Mapping[str, object]) -> str:
    """Return the text with these values filled in."""
    return fill_placeholders(text, values.__getitem__, values)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("no braces", "no braces"),
        ("{{a}}", "1"),
        ("{{a}}{{b}} and {{a}}", "1two and 1"),
        ("a {{a}}\n{{größe}} {{_x1}}", "a 1\nü None"),
        ("{{gro\u0308ße}} {{कीमत}} {{ﬁ}}", "ü 5 6"),
        ("{{{a}}}", "{1}"),
        ("{{{{a}}}}", "{{1}}"),
        ("{a} {{a} {a}}", "{a} {{a} {a}}"),
        ("{{ a }} {{a }} {{ a}} {{\na}}", "{{ a }} {{a }} {{ a}} {{\na}}"),
        ("{{x.real}} {{x[0]}} {{x()}}", "{{x.real}} {{x[0]}} {{x()}}"),
        ("{{a!r}} {{a:>9}}", "{{a!r}} {{a:>9}}"),
        ("{{1a}} {{}} {{a-b}} {{*a}}", "{{1a}} {{}} {{a-b}} {{*a}}"),
        ("{% raw %} {# a #} ${{a}}", "{% raw %} {# a #} $1"),
        ("\\{{a}} %s %(a)s $a", "\\1 %s %(a)s $a"),
    ],
)
def test_only_a_name_between_two_braces_is_filled_in(text: str, filled: str) -> None:
    """Spaces, unknown names with a part and all other braces stay as they are."""
    names = {"a": 1, "b": "two", "größe": "ü", "_x1": None, "कीमत": 5, "fi": 6, "x2": 7}
    assert fill(text, names) == filled


@pytest.mark.parametrize(
    "value", ["{{b}}", "{{a}}", "{{", "}}", "{{nobody}}", "{b} {0} %s", "\\1 \\g<0> \\n", "\x00"]
)
def test_what_stands_in_a_value_is_never_read(value: str) -> None:
    """There is one pass, so braces and backslashes in a value are text."""
    assert fill("<{{a}}|{{b}}>", {"a": value, "b": "B"}) == f"<{value}|B>"


def test_a_value_is_asked_for_only_where_it_stands() -> None:
    """No other variable is looked at."""
    asked: list[str] = []

    def value(name: str) -> object:
        asked.append(name)
        return len(asked)

    assert fill_placeholders("{{a}} {{a}}", value, iter(["a", "b"])) == "1 2"
    assert asked == ["a", "a"]


def test_an_unknown_name_is_an_error_with_its_neighbour() -> None:
    """The line says how to send the braces as they are."""
    with pytest.raises(ParamError, match=r"no variable nmae .*name.*write \{\{ nmae \}\} with"):
        fill("{{nmae}}", {"name": 1})


def test_an_endless_name_stays_one_short_line() -> None:
    """What is quoted of it is cut."""
    with pytest.raises(ParamError) as error:
        fill("{{" + "x" * 10_000 + "}}", {})
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "error",
    [ValueError("a\nb"), SystemExit(1), GeneratorExit(), RecursionError(), MemoryError()],
)
def test_a_value_without_a_text_is_one_error(error: BaseException) -> None:
    """Whatever its `__str__` raises, the line names the class and nothing is sent."""
    with pytest.raises(ParamError, match=f"a has no text .* raised {type(error).__name__}"):
        fill("{{a}}", {"a": Raises(error)})


def test_a_text_that_is_none_is_an_error() -> None:
    """So are a `__str__` that returns a number and an int that Python does not print."""
    for value in (NoText(), 10**5000):
        with pytest.raises(ParamError, match="no text"):
            plain_str(value, "a")


def test_the_name_of_a_hostile_error_stays_in_its_line() -> None:
    """A class may be called anything."""
    with pytest.raises(ParamError) as error:
        plain_str(Raises(type("Bad\n\x1b[31m", (Exception,), {})()), "a")
    assert str(error.value).isprintable()


def test_the_stop_square_still_stops() -> None:
    """An interrupt within `__str__` is not an error of the value."""
    with pytest.raises(KeyboardInterrupt):
        fill("{{a}}", {"a": Raises(KeyboardInterrupt())})


def test_a_text_of_a_class_of_its_own_is_taken_plain() -> None:
    """None of its methods is called on what goes out."""
    filled = plain_str(Says(Subtext("Hi")), "a")
    assert type(filled) is str
    assert filled == "Hi"
    assert fill("{{a}}", {"a": Says(Subtext("Hi"))}) == "Hi"
    with pytest.raises(ParamError, match="key or a password"):
        fill("{{a}}", {"a": Says(Subtext(KEYS[0]))})


def test_a_huge_value_is_refused_and_what_fits_is_not() -> None:
    """The line says how it can be attached instead."""
    assert len(fill("{{a}}", {"a": "x " * (MAX_VALUE_CHARS // 2)})) == MAX_VALUE_CHARS
    with pytest.raises(ParamError, match=r"200,001 .*-a a"):
        fill("{{a}}", {"a": "x" * (MAX_VALUE_CHARS + 1)})


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("around", ["{}", "x = '{}'", "['a', '{}', 1]", "Bearer {}\n"])
def test_a_key_is_known_by_its_form(key: str, around: str) -> None:
    """Whatever the variable is called and whatever stands around it."""
    assert looks_secret("notes", around.format(key))
    with pytest.raises(ParamError, match=r"notes looks like a key .* nothing was sent"):
        fill("{{notes}}", {"notes": around.format(key)})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokens", "['a']"),
        ("tokens", "['The', 'cat', 'sat', '0a1B2c3D4e5F6g7H8']"),
        ("key", "de"),
        ("key", "C# minor"),
        ("token", "hello"),
        ("token", "<|im_start|>"),
        ("monkey", "0a1B2c3D4e5F6g7H8"),
        ("keyboard_layout", "0a1B2c3D4e5F6g7H8"),
        ("author", "0a1B2c3D4e5F6g7H8"),
        ("pattern", "0a1B2c3D4e5F6g7H8"),
        ("passengers", "891"),
        ("secretary", "Ann"),
        ("sort_key", "average_score_2024"),
        ("key", "2024-01-01T00:00:00"),
        ("name", "sk-learn-pipeline-tutorial"),
        ("digest", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        ("url", "https://example.org/a?b=c#d"),
        ("url", "http://localhost:8888/lab/tree/a@b.ipynb"),
        ("url", "https://ann@example.org/x"),
        ("url", "git+ssh://git@github.com/x/y.git"),
        ("url", "http://localhost:8888?mail=ann@example.org"),
        ("text", "Write to ann@example.org, or see http://a.org:80 and bob@x.org."),
        ("text", "The risk-averse task-force asked for disk-space-optimisation-software."),
        ("text", "A secret is a password that nobody knows; the key is under the mat."),
        ("text", "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----"),
        ("text", "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----"),
        ("text", "0123456789" * 20),
        ("text", "ACGT" * 500),
        ("text", "sk-SK, hf_x, AKIA, AIza, eyJ.a.b, xox"),
        ("text", ""),
    ],
)
def test_ordinary_values_are_filled_in(name: str, text: str) -> None:
    """Words that only begin like a secret's are none."""
    assert not looks_secret(name, text)
    assert fill(f"<{{{{{name}}}}}>", {name: text}) == f"<{text}>"


def test_what_is_no_name_stays() -> None:
    """A superscript is a word character and part of no identifier."""
    assert fill("{{x²}}", {}) == "{{x²}}"


@pytest.mark.parametrize("part", [".shape", ".a.b", "[0]", "['x']", "()", ".upper()", "[1:2]"])
def test_a_part_of_a_variable_is_refused(part: str) -> None:
    """Only a name is filled in; the error says so instead of sending the braces."""
    with pytest.raises(ParamError, match=r"not the name of a variable\. Put .* first: x = … and"):
        fill(f"Explain {{{{a{part}}}}}.", {"a": 1})


@pytest.mark.parametrize("text", ["{{a.", "{{a(", "{{a", "{{a.a}", "{{a\n", "{{a-", "{{a}"])
def test_placeholders_are_found_in_linear_time(text: str) -> None:
    """Twice the text takes about twice the time."""
    assert growth(lambda n: fill(text * n, {"x": 1}), 20_000) <= 3
