"""Command lines: split without surprises, parsed into flags, refused with the nearest flag."""

from __future__ import annotations

import pytest

from di_magics.core.errors import ParamError
from di_magics.core.settings import flags as command
from di_magics.core.settings.flags import parse_flags, split_line
from di_magics.core.settings.params import PARAMS

VALUES = {"stop": "x", "reasoning_effort": "low", "tool_choice": "auto", "user": "u"}


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


@pytest.mark.parametrize("spelled", ["hyphens", "underscores"])
@pytest.mark.parametrize("joined", [" ", "="])
@pytest.mark.parametrize("name", PARAMS)
def test_every_parameter_is_a_flag(name: str, joined: str, spelled: str) -> None:
    """With hyphens or the API's own underscores, with a space or an equals sign."""
    flag = name.replace("_", "-") if spelled == "hyphens" else name
    value = VALUES.get(name, "1")
    found = command.sampling_params(parse_flags(f"--{flag}{joined}{value}"))
    assert found == {name: [value] if name == "stop" else value}


def test_a_line_without_flags_sets_nothing() -> None:
    """No parameter, and every switch off."""
    found = parse_flags("")
    assert command.sampling_params(found) == {}
    assert not any(vars(found).values())


def test_flags_are_parsed() -> None:
    """Short and long ones, texts and switches; a later one wins."""
    found = parse_flags(
        "-m a/b -s 'Be brief.' -t 0 -t 1 -qc x --new -o r --no_stream --presence-penalty -1"
    )
    assert (found.model, found.system, found.temperature) == ("a/b", "Be brief.", "1")
    assert (found.quiet, found.conversation, found.new, found.out) == (True, "x", True, "r")
    assert (found.no_stream, found.presence_penalty, found.once) == (True, "-1", False)


def test_stop_texts_add_up_and_are_decoded() -> None:
    r"""Each --stop adds one, in which \n and \t are a newline and a tab."""
    found = parse_flags(r"--stop '\n\n' --stop=a\tb --stop=###")
    assert command.sampling_params(found) == {"stop": ["\n\n", "a\tb", "###"]}


def test_values_keep_their_underscores() -> None:
    """Only the name of a flag is respelled."""
    assert parse_flags("--system=a_b").system == "a_b"
    assert parse_flags("--endpoint 'a_b --c_d'").endpoint == "a_b --c_d"
    assert parse_flags("--user=--a_b").user == "--a_b"
    assert parse_flags("-s '--a_b c'").system == "--a_b c"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--temperatur 1", "no flag --temperatur.* Did you mean --temperature"),
        ("--temp=1", "no flag --temp.* Did you mean --temperature"),
        ("--top 1", "Did you mean --top-p or --top-k"),
        ("-x", "no flag -x"),
        ("=", "takes no '='"),
        ("hello there", "takes no 'hello' on its line: the prompt goes below"),
        ("-t", "expected one argument"),
        ("--once=1", "ignored explicit argument"),
        ("-o 1x", "takes a variable's name, not '1x'"),
        ("-o a.b", "takes a variable's name"),
    ],
)
def test_a_wrong_line_is_refused_with_the_way_on(line: str, said: str) -> None:
    """No flag is guessed from its beginning; the nearest ones are named."""
    with pytest.raises(ParamError, match=said):
        parse_flags(line)


def test_the_help_lists_every_flag_with_its_range() -> None:
    """`%%chat -h` is all one needs."""
    text = " ".join(command.flag_parser().format_help().split())
    assert "%%chat -t 0 --seed 1" in text
    for param in PARAMS.values():
        assert "--" + param.name.replace("_", "-") in text
        assert f"({param.range}" in text


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


@pytest.mark.parametrize("word", ["a", "=1", ""])
def test_what_is_no_pair_is_refused(word: str) -> None:
    """`%chat set temperature 0.7` says how it is written."""
    with pytest.raises(ParamError, match="NAME=VALUE"):
        command.parse_assignments([word])
