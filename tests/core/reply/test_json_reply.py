"""Replies that are to be JSON: asked for, read, and refused with the place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from growth import growth

from di_magics.core.errors import ReplyError
from di_magics.core.reply.json_reply import (
    escape_line_breaks,
    extract_json,
    format_json,
    mend_json,
    parse_json,
    parse_strict_json,
    repair_prompt,
    response_format,
    schema_mismatch,
    strip_fence,
)


@dataclass(frozen=True)
class Form:
    """A form of replies that takes any JSON."""

    name: str = "Person"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})

    def read(self, text: str) -> Any:
        """Return the object that a text is."""
        return parse_json(text)


def test_json_is_asked_for() -> None:
    """Any object, or one of a named form."""
    assert response_format(None) == {"type": "json_object"}
    assert response_format(Form()) == {
        "type": "json_schema",
        "json_schema": {"name": "Person", "schema": {"type": "object"}},
    }


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("{}", "{}"),
        (" {} \n", " {} \n"),
        ("```json\n{}\n```", "{}"),
        ("\n ```\n{}\n```\n\n", "{}"),
        ("~~~~ json x\n[1,\n2]\n  ~~~~ \n", "[1,\n2]"),
        ("````\n```\n{}\n```\n````", "```\n{}\n```"),
        ("```json\n{}", "```json\n{}"),
        ("```json\n```", "```json\n```"),
        ("```\n{}\n~~~", "```\n{}\n~~~"),
        ("See:\n```json\n{}\n```", "See:\n```json\n{}\n```"),
        ("```json\n{}\n```\nDone.", "```json\n{}\n```\nDone."),
        ("", ""),
    ],
)
def test_a_reply_in_a_single_block_is_what_stands_in_it(text: str, inside: str) -> None:
    """With words around it, it is a text."""
    assert strip_fence(text) == inside


ONE = '{"a": [1, {"b": "}"}]}'


@pytest.mark.parametrize(
    "text",
    [
        ONE,
        f"Here it is:\n\n{ONE}\n\nI hope that helps.",
        f"Here it is: {ONE}. Good luck!",
        f"```json\n{ONE}\n```\nDone.",
        f"See:\n```json\n{ONE}\n```",
        f"First some code:\n```python\nd = {{}}\n```\nthen JSON:\n```\n{ONE}\n```\n",
        f"As in [the manual](https://x) and {{curly}} braces: {ONE}",
        f"<think>so {{it}} is</think>\n{ONE}",
        f"Not [], but in a block:\n~~~\n{ONE}\n~~~\n",
    ],
)
def test_the_only_json_in_a_reply_is_what_was_meant(text: str) -> None:
    """In a block, or between words: no second question is needed."""
    assert parse_json(text) == {"a": [1, {"b": "}"}]}
    assert parse_strict_json(extract_json(text)) == parse_json(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE} and {ONE}",
        f"Either {ONE} or []",
        f"As said in [1]: {ONE}",
        f"```\n{ONE}\n```\nor\n```\n{ONE}\n```",
        'It is {"a": [1, 2], "b":',
        "It is {'a': [1, 2]}",
        "It is {'a': '}', 'b': [1, 2]}",
        'It is {"a": [1, 2], // first\n "b": 3}',
        "x] [1]",
        "It is 5",
        'It is "x"',
        "It is {}{",
    ],
)
def test_what_is_not_clear_is_not_guessed(text: str) -> None:
    """Two values, a broken one around a whole one, or no object and no array."""
    with pytest.raises(ReplyError):
        parse_json(text)


def test_a_reply_with_words_is_shown_with_its_words() -> None:
    """What is shown is what was said."""
    assert format_json(f"Here: {ONE}") == f"Here: {ONE}"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('{"a": [1, 2.5, null, true, "ü\\n"]}', {"a": [1, 2.5, None, True, "ü\n"]}),
        ("```json\n[1]\n```", [1]),
        (" 5 ", 5),
        ('"x"', "x"),
        ("null", None),
        ("0", 0),
    ],
)
def test_any_json_is_read(text: str, made: object) -> None:
    """In a block or bare."""
    assert parse_json(text) == made


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("```json\n\n```", "is empty"),
        ("Hello", "Expecting value in line 1, column 1"),
        ('{"a": 1}\n{"a": 2}', "Extra data in line 2, column 1"),
        ('{"a": 1,\n "b" 2}', "delimiter in line 2, column 6"),
        ("{a: 1}", "in line 1, column 2"),
        ('{"a": 1, // x\n}', "in line 1, column 10"),
        ('{"a": [1,\n2', "breaks off in line 2"),
        ('{"a":', "breaks off in line 1"),
        ('{"a": "x', "breaks off in line 1"),
        ("[", "breaks off in line 1"),
        ('{"a": NaN}', "NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("9" * 5000, "Exceeds the limit"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('"\x00"', "Invalid control character"),
        ('{"a": "\\u12"}', "in line 1, column"),
    ],
)
def test_what_is_no_json_is_an_error_with_its_place(text: str, said: str) -> None:
    """One short line, whatever the reply is."""
    with pytest.raises(ReplyError) as error:
        parse_json(text)
    assert said in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 150


def test_strict_json_says_in_a_few_words_what_is_wrong() -> None:
    """For any text, and not only a reply's."""
    assert parse_strict_json('{"a": 1}') == {"a": 1}
    with pytest.raises(ValueError, match=r"^it breaks off in line 1$"):
        parse_strict_json('{"a": "x')


def test_a_name_may_have_to_be_unique() -> None:
    """At every level; of two members with one name a program may read either."""
    for text in ('{"b": 1, "a": 1, "a": 1}', '[{"x": {"a": 1, "\\u0061": 2}}]'):
        assert parse_strict_json(text)
        with pytest.raises(ValueError, match=r"^an object has the name a twice$"):
            parse_strict_json(text, unique_names=True)
    assert parse_strict_json('{"a": {"a": 1}}', unique_names=True) == {"a": {"a": 1}}


def test_an_error_may_be_caught_as_a_value_error() -> None:
    """As that of `json.loads` is."""
    with pytest.raises(ValueError, match="not JSON"):
        parse_json("x")


@pytest.mark.parametrize(
    ("start", "piece", "end"),
    [
        ("```json\n{}\n```", " ", "x"),
        ("```json\n{}\n```", "\n", "x"),
        ("", " ", "x"),
        ("```\n", "\n", ""),
        ("```\n", "\n```", ""),
        ("", "`", ""),
        ("", "[", ""),
        ("x ", "[", ""),
        ("", "{x} ", ""),
        ("", "{'x': [", ""),
        ("", '["', ""),
        ("", '["]', ""),
        ("", "{} ", ""),
        ("", "```\n{}\n```\n", ""),
    ],
)
def test_an_endless_reply_is_read_in_linear_time(start: str, piece: str, end: str) -> None:
    """Models that must give JSON may go on with white space for ever."""

    def make(size: int) -> str:
        return start + piece * (size // len(piece)) + end

    assert growth(strip_fence, 100_000, make) <= 3
    assert growth(extract_json, 100_000, make) <= 3


def test_a_repeated_name_is_found_in_linear_time() -> None:
    """Also where it is the last one of many."""

    def make(size: int) -> str:
        names = ", ".join(f'"{number}": 0' for number in range(size // 11))
        return f'{{{names}, "last": 0, "last": 0}}'

    def read(text: str) -> None:
        with pytest.raises(ValueError, match="the name last twice"):
            parse_strict_json(text, unique_names=True)

    assert growth(read, 50_000, make) <= 3


def test_a_misfit_is_named_with_its_place() -> None:
    """Foreign words stay in one line, and are cut."""
    error = schema_mismatch("Person", "\x1b[31m\nage", "'x' is not of type 'integer'" + "y" * 999)
    assert str(error).startswith("The reply is not a Person: at age, 'x' is not of type 'integer'")
    assert str(error).isprintable()
    assert len(str(error)) < 350


def test_a_model_is_told_what_was_wrong() -> None:
    """And to give the JSON alone."""
    assert repair_prompt(ReplyError("It breaks off.")) == (
        "It breaks off. Answer again, with the corrected JSON alone."
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a":{"b":"ü"}}', '{\n  "a": {\n    "b": "ü"\n  }\n}'),
        ("```json\n[1]\n```", "[\n  1\n]"),
        ("null", "null"),
        ('{"a":', '{"a":'),
        ("no JSON", "no JSON"),
        ("", ""),
        ("[NaN]", "[NaN]"),
    ],
)
def test_json_is_shown_with_a_line_for_each_member(text: str, shown: str) -> None:
    """What is none is shown as it came."""
    assert format_json(text) == shown


@pytest.mark.parametrize("text", ['{"a": 1e999}', "[-1e400]"])
def test_what_is_shown_of_json_is_json(text: str) -> None:
    """A number that no double holds is shown as it came, and not as Infinity."""
    assert "Infinity" not in format_json(text)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ('{"a": "x\ny\t\r\x1f"}', '{"a": "x\\ny\\t\\r\x1f"}'),
        ('{\n\t"a\n": ["\\"\n", "\\\\"]}', '{\n\t"a\\n": ["\\"\\n", "\\\\"]}'),
        ('{"a": "\\n"}\n', '{"a": "\\n"}\n'),
        ('{"a": "x\ny', '{"a": "x\ny'),
        ("x\ny", "x\ny"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_lines_within_a_string_are_escaped(text: str, escaped: str) -> None:
    """Only within strings, and only if this makes it JSON."""
    assert escape_line_breaks(text) == mend_json(text) == escaped


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ('{"a": [1, 2,],\n}', '{"a": [1, 2]\n}'),
        ("{'a': True, \"b\": [None, False]}", '{"a": true, "b": [null, false]}'),
        ("[\"it's\", 'it\\'s', 'a \"b\" \\\\']", '["it\'s", "it\'s", "a \\"b\\" \\\\"]'),
        ("['None, ]', \"True,]\", 'a\nb']", '["None, ]", "True,]", "a\\nb"]'),
        ("{'a': 1, 'a': 2}", '{"a": 1, "a": 2}'),
        ("'a'", "'a'"),
        ("None", "None"),
        ("{a: 1}", "{a: 1}"),
        ("{'a': it's}", "{'a': it's}"),
        ("{'a': '\\x41'}", "{'a': '\\x41'}"),
        ("[1,,]", "[1,,]"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_python_and_a_last_comma_are_mended(text: str, mended: str) -> None:
    """Models write them for JSON. They have one meaning; what is in strings stays as it is."""
    assert mend_json(text) == mended


@pytest.mark.parametrize("unit", ["'", "\\'", '\\"', '"', "',", ", ", " ,", "True,", "'\\\\"])
def test_json_is_mended_in_linear_time(unit: str) -> None:
    """Whatever is not closed."""
    assert growth(mend_json, 20_000, lambda size: "{" + unit * size) <= 3


def test_a_reply_may_be_written_in_python() -> None:
    """All of it or its one block; beside JSON a block of Python is code."""
    assert parse_json("```python\n{'a': [1,]}\n```") == {"a": [1]}
    assert parse_json("```python\n{'a': 1}\n```\n```json\n{\"a\": 2}\n```") == {"a": 2}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "x\ny"}',
        'Here it is:\n```json\n{"a": "x\ny"}\n```\nDone.',
        'Here it is: {"a": "x\ny"}.',
    ],
)
def test_a_text_of_several_lines_is_read_wherever_the_json_is(text: str) -> None:
    """A line break in a string is escaped in JSON, but models write it as it is."""
    assert parse_json(text) == {"a": "x\ny"}
    assert parse_strict_json(extract_json(text)) == {"a": "x\ny"}


@pytest.mark.no_cover
def test_json_of_any_depth_is_shown() -> None:
    """Laid out as far as Python goes into it, else as it came."""
    for depth in (*range(0, 60, 7), *range(60, 1200, 29)):
        text = "[" * depth + "]" * depth
        assert format_json(text).replace("\n", "").replace(" ", "") == text
