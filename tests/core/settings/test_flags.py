"""The `%%chat` line: split without surprises, parsed into flags, refused with the nearest flag."""

from __future__ import annotations

import random
import shlex
from contextlib import suppress
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from growth import growth

from di_magics.core.errors import ParamError
from di_magics.core.settings import flags as command
from di_magics.core.settings.counts import is_count
from di_magics.core.settings.flags import FLAGS, Flag, Flags, parse_flags, split_ask, split_line
from di_magics.core.settings.params import PARAMS

VALUES = {"stop": "x", "reasoning_effort": "low", "tool_choice": "auto", "user": "u"}
EXAMPLES = {
    "--model": "a/b",
    "--endpoint": "local",
    "--format": "json",
    "--tools": "f",
    "--vary": "seed=1,2",
    "--budget": "0.5",
}


def example(flag: Flag) -> str:
    """Return a line on which this flag is set to something that fits."""
    value = EXAMPLES.get(flag.names[-1]) or VALUES.get(flag.names[-1][2:].replace("-", "_"), "1")
    if flag.names[-1] == "--out":
        value = "x"
    return f"{flag.names[-1]} {value}" if flag.metavar else flag.names[-1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  a   b\t", ["a", "b"]),
        ("-s 'Be brief.' -t 0", ["-s", "Be brief.", "-t", "0"]),
        ("--stop=\"a 'b'\"", ["--stop=a 'b'"]),
        (r"-a C:\data\new.csv", ["-a", r"C:\data\new.csv"]),
        (r'"C:\my data\x"', [r"C:\my data\x"]),
        ("--stop '\\n'", ["--stop", "\\n"]),
        ("#1 a#b --stop '#'", ["#1", "a#b", "--stop", "#"]),
        ("a;b|c&d (e) $x {y} `z`", ["a;b|c&d", "(e)", "$x", "{y}", "`z`"]),
        ('"" x', ["", "x"]),
        ("ü — 😀", ["ü", "—", "😀"]),
    ],
)
def test_a_line_is_split_as_a_shell_does_without_escapes(line: str, words: list[str]) -> None:
    """Quotes are removed; backslashes, # and $ are ordinary characters."""
    assert split_line(line) == words


@pytest.mark.parametrize("line", ["it's", '-s "Be brief.', "'"])
def test_an_open_quote_is_refused(line: str) -> None:
    """The line is quoted back."""
    with pytest.raises(ParamError, match="quote is not closed"):
        split_line(line)


def split_like_a_shell(line: str) -> list[str]:
    """Return the words as shlex finds them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    return list(lexer)


def test_any_line_is_split_as_a_shell_splits_it() -> None:
    """Quotes within words, empty words, quotes that are not closed."""
    chance = random.Random(1)
    for _ in range(2000):
        line = "".join(chance.choices("ab \t\r\n'\"\\#é\u00a0\0", k=chance.randrange(12)))
        try:
            words = split_like_a_shell(line)
        except ValueError:
            with pytest.raises(ParamError, match="not closed"):
                split_line(line)
        else:
            assert split_line(line) == words, repr(line)


@pytest.mark.parametrize("piece", ["a", '"a"', "'", "''", " a", 'a"', "\"'"])
def test_a_long_line_takes_linear_time(piece: str) -> None:
    """Of one word, of many, and with a quote that is not closed."""

    def split(line: str) -> None:
        with suppress(ParamError):
            split_line(line)

    assert growth(split, 20_000, lambda size: piece * size) < 3


@pytest.mark.parametrize(
    ("line", "flags", "text"),
    [
        ("What  is 'it'? ", "", "What  is 'it'?"),
        ("-t 0 --once Who?", "-t 0 --once", "Who?"),
        ("--top_p=.5 -s 'Be  brief.' it's", "--top_p=.5 -s 'Be  brief.'", "it's"),
        ("Who is -t 0?", "", "Who is -t 0?"),
        ("-1 + 1 = ?", "", "-1 + 1 = ?"),
        ("-- so?", "", "-- so?"),
        ("-s 'open", "-s 'open", ""),
        ("-t", "-t", ""),
        ("--logprobs What is it?", "--logprobs", "What is it?"),
        ("--logprobs 5 What is it?", "--logprobs 5", "What is it?"),
        ("--logprobs", "--logprobs", ""),
    ],
)
def test_the_flags_of_a_line_end_where_its_text_begins(line: str, flags: str, text: str) -> None:
    """The text is unchanged, with its quotes and spaces."""
    assert split_ask(line) == (flags, text)


@pytest.mark.parametrize("spelled", ["hyphens", "underscores"])
@pytest.mark.parametrize("joined", [" ", "="])
@pytest.mark.parametrize("name", PARAMS)
def test_every_parameter_is_a_flag(name: str, joined: str, spelled: str) -> None:
    """With hyphens or the API's own underscores, with a space or an equals sign."""
    flag = name.replace("_", "-") if spelled == "hyphens" else name
    value = VALUES.get(name, "1")
    flags = parse_flags(f"--{flag}{joined}{value}")
    assert flags == Flags(params={name: [value] if name == "stop" else value})


def test_a_line_without_flags_sets_nothing() -> None:
    """No parameter, and every switch off."""
    assert parse_flags("") == Flags()
    assert not any(getattr(Flags(), item.name) for item in fields(Flags))


@pytest.mark.parametrize("key", FLAGS)
def test_every_flag_of_the_table_is_parsed_under_each_of_its_names(key: str) -> None:
    """Together with what it needs, it sets its own field and no other one."""
    flag = FLAGS[key]
    needed = " ".join(
        condition if " " in condition else example(FLAGS[command.KEYS[condition]])
        for condition in flag.needs[:1]
    )
    without = parse_flags(needed)
    for name in flag.names:
        line = f"{needed} {example(flag).replace(flag.names[-1], name, 1)}"
        flags = parse_flags(line)
        if key in PARAMS:
            assert replace(flags, params={}) == without
            assert list(flags.params) == [key]
        else:
            assert getattr(flags, key)
            assert replace(flags, **{key: getattr(without, key)}) == without


def test_flags_are_parsed() -> None:
    """Short and long ones, texts and switches; a later one wins."""
    flags = parse_flags(
        "-m a/b -s 'Be brief.' -t 0 -t 1 -qc x --new -o r --no_stream --presence-penalty -1"
    )
    assert flags == Flags(
        model="a/b",
        system="Be brief.",
        params={"temperature": "1", "presence_penalty": "-1"},
        quiet=True,
        conversation="x",
        new=True,
        out="r",
        no_stream=True,
    )


def test_stop_texts_add_up_and_are_decoded() -> None:
    r"""Each --stop adds one, in which \n and \t are a newline and a tab."""
    flags = parse_flags(r"--stop '\n\n' --stop=a\tb --stop=###")
    assert flags.params == {"stop": ["\n\n", "a\tb", "###"]}


def test_values_keep_their_underscores() -> None:
    """Only the name of a flag is respelled."""
    assert parse_flags("--system=a_b").system == "a_b"
    assert parse_flags("--endpoint 'a_b --c_d'").endpoint == "a_b --c_d"
    assert parse_flags("--user=--a_b").params == {"user": "--a_b"}
    assert parse_flags("-s '--a_b c'").system == "--a_b c"


@pytest.mark.parametrize("model", ["-m a/b", "-m 'a/b'", '--model="a/b"', "--model 'a/b'"])
def test_quotes_around_a_value_are_not_part_of_it(model: str) -> None:
    """However they are typed."""
    assert parse_flags(model).model == "a/b"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("--temperatur 1", "Did you mean --temperature"),
        ("--temp=1", "Did you mean --temperature"),
        ("--top 1", "Did you mean --top-p or --top-k"),
        ("-x", "%%chat -h"),
        ("=", "'='"),
        ("hello there", "the prompt goes below"),
        ("-s “Be brief.”", "must be straight"),
        ("-t 0 # a comment", "on a line above"),
        ("-t", "-t/--temperature"),
        ("--once=1", "--once"),
        ("-o 1x", "'1x'"),
        ("-o a.b", "'a.b'"),
        ("-n 0", "'0'"),
        ("--last x", "'x'"),
        ("--budget 0,5", "Write 0.5."),
        ("--resize 1,024 -a x", "Write 1024."),
    ],
)
def test_a_wrong_line_is_refused_with_the_next_step(line: str, hint: str) -> None:
    """No flag is guessed from its beginning; the nearest ones are named."""
    with pytest.raises(ParamError) as error:
        parse_flags(line)
    assert hint in str(error.value)


def test_values_are_parsed_as_their_flag_says() -> None:
    """Counts, all turns, and amounts."""
    assert (parse_flags("--last 0").last, parse_flags("--last all").last) == (0, "all")
    assert parse_flags("--above 0").above == 0
    assert parse_flags("-n 3").repeats == 3
    assert parse_flags("--budget $0.50").budget == Decimal("0.50")


def test_the_help_lists_every_flag_with_its_help() -> None:
    """`%%chat -h` is all one needs."""
    text = " ".join(command.flags_help().split())
    assert "%%chat -t 0 --seed 1" in text
    for flag in FLAGS.values():
        assert flag.names[-1] in text
        assert " ".join(flag.help.split()) in text
    for param in PARAMS.values():
        assert f"({param.range}" in text


@pytest.mark.parametrize("key", FLAGS)
def test_every_flag_has_help_of_its_own(key: str) -> None:
    """By any of its names, without hyphens."""
    for name in FLAGS[key].names:
        help = command.flag_help(name.lstrip("-").replace("-", "_"))
        assert help.startswith(f"%%chat {FLAGS[key].names[0]}")
        assert help.endswith(FLAGS[key].help)
    assert command.flag_help("") == command.flag_help("nothing") == ""


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_a_flag(flag: str) -> None:
    """Asking for help neither prints nor exits."""
    assert parse_flags(flag).help


def test_pairs_are_split_at_the_first_equals_sign() -> None:
    """The value may hold more of them, or be empty."""
    assert command.parse_assignments(["a=1", "b=c=d", "e="]) == [
        ("a", "1"),
        ("b", "c=d"),
        ("e", ""),
    ]


@pytest.mark.parametrize("comment", ["# warm", "#warm seed=1", "# x=1 it's"])
def test_a_comment_behind_pairs_is_ignored(comment: str) -> None:
    """A value may hold a `#` all the same."""
    words = ["temperature=1", "stop=#", *comment.split()]
    assert command.parse_assignments(words) == [("temperature", "1"), ("stop", "#")]


@pytest.mark.parametrize("word", ["a", "=1", ""])
def test_a_word_that_is_not_a_pair_is_refused(word: str) -> None:
    """`%chat set temperature 0.7` says how it is written."""
    with pytest.raises(ParamError, match="NAME=VALUE"):
        command.parse_assignments([word])


@pytest.mark.parametrize("value", ["[a]", "[]", '["a",', "a]"])
def test_a_list_of_stop_texts_is_refused_with_the_right_spelling(value: str) -> None:
    """A text that only begins or ends like one is a text."""
    if value.startswith("[") and value.endswith("]"):
        with pytest.raises(ParamError, match=r"stop=A stop=B"):
            command.parse_assignments([f"stop={value}"])
    else:
        assert command.parse_assignments([f"stop={value}"]) == [("stop", value)]


@pytest.mark.parametrize("found", [0, 7, "0", "12", 10**9 - 1])
def test_a_count_may_be_its_digits(found: object) -> None:
    """As a number or as its digits."""
    assert is_count(found)


@pytest.mark.parametrize("found", [-1, 10**9, True, 1.0, None, "", "-1", "1.0", "1" * 10, "²"])
def test_anything_else_is_not_a_count(found: object) -> None:
    """A truth value is none either."""
    assert not is_count(found)


def test_the_table_is_consistent() -> None:
    """Each name is of one flag, and conditions name flags and values that there are."""
    names = [name for flag in FLAGS.values() for name in flag.names]
    assert len(set(names)) == len(names)
    for flag in FLAGS.values():
        for condition in (*flag.needs, *flag.excludes):
            name, _, value = condition.partition(" ")
            assert name in names
            assert not value or value in FLAGS[command.KEYS[name]].completions


def conditions(kind: str) -> list[Any]:
    """Return each flag of the table with each flag that it needs or excludes."""
    return [(key, item) for key, flag in FLAGS.items() for item in getattr(flag, kind)]


@pytest.mark.parametrize(("key", "condition"), conditions("excludes"))
def test_flags_that_exclude_each_other_are_refused(key: str, condition: str) -> None:
    """The message names both."""
    name = condition.partition(" ")[0]
    other = condition if " " in condition else example(FLAGS[command.KEYS[name]])
    needed = "--schema x" if name == "--repair" else ""
    with pytest.raises(ParamError) as error:
        parse_flags(f"{example(FLAGS[key])} {other} {needed}")
    assert FLAGS[key].names[-1] in str(error.value)
    assert condition in str(error.value)


@pytest.mark.parametrize("key", [key for key, flag in FLAGS.items() if flag.needs])
def test_a_flag_without_what_it_needs_is_refused(key: str) -> None:
    """The message names what is missing, and any of it is enough."""
    with pytest.raises(ParamError) as error:
        parse_flags(example(FLAGS[key]))
    for condition in FLAGS[key].needs:
        assert condition in str(error.value)
        needed = condition if " " in condition else example(FLAGS[command.KEYS[condition]])
        parse_flags(f"{example(FLAGS[key])} {needed}")


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("--tools add", {"tools": ("add",)}),
        ("--tools ' add, look ,,x.y '", {"tools": ("add", "look", "x.y")}),
        ("--tools add --rounds 3 --confirm", {"rounds": 3, "confirm": True}),
        ("-f markdown", {"format": "markdown", "block": None}),
        ("-f text", {"format": "text"}),
        ("-f code", {"format": "code"}),
        ("--format=code:2", {"format": "code", "block": "2"}),
        ("-f code:bash", {"format": "code", "block": "bash"}),
        ("-f code:a:b", {"format": "code", "block": "a:b"}),
        ("-f json --repair", {"format": "json", "repair": True}),
        ("--schema Person", {"schema": "Person", "format": None}),
        ("--schema Person -f json --repair", {"schema": "Person", "repair": True}),
        ("-a a.png --attach b", {"attach": ("a.png", "b")}),
        ("-a x --attach-tokens 5 --resize 640", {"attach_tokens": 5, "resize": 640}),
        ("-a x --attach_tokens=5", {"attach_tokens": 5}),
        ("--above", {"above": "new"}),
        ("--above new", {"above": "new"}),
        ("--above 3 -t 0", {"above": 3}),
        ("--above=all", {"above": "all"}),
    ],
)
def test_values_of_flags_are_parsed(line: str, values: dict[str, Any]) -> None:
    """Names are split at commas, numbers are numbers."""
    flags = parse_flags(line)
    assert {name: getattr(flags, name) or None for name in values} == values


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "²", "9" * 99])
@pytest.mark.parametrize("flag", ["attach-tokens", "resize", "rounds"])
def test_a_number_is_one_above_zero(flag: str, text: str) -> None:
    """The line names the flag."""
    with pytest.raises(ParamError, match=rf"^--{flag} "):
        parse_flags(f"-a x --tools f --{flag}='{text}'")


@pytest.mark.parametrize("text", ["pdf", "jsn", "json:1", "code:", ":1", "Code", "a\x1b[31m"])
def test_a_format_is_one_of_four(text: str) -> None:
    """The line lists them, and the nearest."""
    with pytest.raises(ParamError, match="markdown, text, code, json") as error:
        parse_flags(f"-f '{text}'")
    assert str(error.value).isprintable()
    assert ("json?" in str(error.value)) or text != "jsn"


@pytest.mark.parametrize("line", ["--tools , --confirm", "--tools f, g", "--tools ''"])
def test_tools_are_names_with_commas_and_no_spaces(line: str) -> None:
    """The message shows how they are written."""
    with pytest.raises(ParamError, match="--tools f,g"):
        parse_flags(line)


def test_a_flag_may_have_a_value_of_its_own() -> None:
    """`--logprobs` alone asks for as many alternatives as most servers send."""
    assert parse_flags("--logprobs -t 0").params == {"logprobs": "20", "temperature": "0"}
    assert parse_flags("--logprobs 5").params == {"logprobs": "5"}


def test_a_flag_that_is_none_is_refused_before_the_text() -> None:
    """It would be asked as part of the question."""
    with pytest.raises(ParamError, match="--temperature"):
        split_ask("--temperatur 0 Why?")
