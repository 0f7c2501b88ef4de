"""The key is removed in every spelling and however a reply is cut; nothing else changes."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import pickle
import random
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from growth import growth

from di_magics.core.errors import ParamError
from di_magics.core.logprobs import TokenProbability
from di_magics.core.reply.fold import (
    Finished,
    Logprobs,
    Reasoning,
    ReplyEvent,
    Served,
    Text,
    ToolCallDelta,
    ToReturn,
    Used,
)
from di_magics.core.reply.reply import Usage
from di_magics.core.request.redact import (
    MAX_ESCAPED_CHARS,
    REDACTED,
    Redactor,
    ReplyRedactor,
    Secret,
    hide_text,
    hide_values,
)

KEY = "sk-secret-0123456789"

KEYS = ["sk-Abc123xyz_QRS456", "a+b/c=d'e\"f\\g~h.1%234", "aaaaaaaa", "AbAbAbAbAbAc"]


def base64_in(before: str, after: str) -> Callable[[str], str]:
    """Return a function that encodes a text between two others."""
    return lambda key: base64.b64encode(f"{before}{key}{after}".encode()).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda key: json.dumps(key)[1:-1],
    "json in json": lambda key: json.dumps(json.dumps(key))[1:-1],
    "escaped slash": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "unicode": lambda key: "".join(f"\\u{ord(sign):04X}" for sign in key),
    "repr": lambda key: repr(key)[1:-1],
    "repr of bytes": lambda key: repr(key.encode())[2:-1],
    "hex": lambda key: "".join(f"\\x{ord(sign):02x}" for sign in key),
    "digits": lambda key: key.encode().hex(),
    "capital digits": lambda key: key.encode().hex().upper(),
    "percent": lambda key: quote(key, safe=""),
    "every percent": lambda key: "".join(f"%{ord(sign):02x}" for sign in key),
    "percent twice": lambda key: quote(quote(key, safe=""), safe=""),
    "entities": lambda key: "".join(f"&#{ord(sign)};" for sign in key),
    "hex entities": lambda key: "".join(f"&#x{ord(sign):X};" for sign in key),
    "named entities": lambda key: key.replace("/", "&sol;").replace("+", "&plus;"),
    "nulls": "\0".join,
    "terminal": "\x1b[31m".join,
    "zero width": "\u200b".join,
    "base64": base64_in("", ""),
    "base64 of a header": base64_in("Bearer ", ""),
    "base64 of a login": base64_in("u:", "\n"),
    "url base64": lambda key: base64.urlsafe_b64encode(f"?{key}>".encode()).decode(),
}


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\n\t  ", "\\n", "\\r\\n"])
@pytest.mark.parametrize("key", KEYS[:2])
def test_a_key_in_base64_is_removed_over_several_lines(key: str, line_break: str) -> None:
    """From a complete text, and from a reply in pieces of any size."""
    for before in ("", "a", "ab"):
        encoded = base64_in(before, "")(key)
        lines = line_break.join(re.findall(".{1,7}", encoded))
        whole = Redactor(key).clean(f"It is {lines}. No.")
        assert whole.startswith("It is ")
        assert whole.count(REDACTED) == 1
        assert len(whole) <= len(f"It is {REDACTED}. No.") + 10
        for size in (1, 3, 20):
            pieces = split(f"It is {lines}. No.", itertools.repeat(size))
            assert joined(feed_all(key, [Text(piece) for piece in pieces]), Text) == whole


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_removed_in_every_spelling(key: str, spelling: str) -> None:
    """What stands around it stays."""
    spelled = SPELLINGS[spelling](key)
    clean = Redactor(key).clean(f"Invalid key {spelled}. Try again.")
    assert clean.startswith("Invalid key ")
    assert clean.endswith(". Try again.")
    assert clean.count(REDACTED) == 1
    # Base64 depends on its neighbours: a few of its signs at the ends are no part of the key.
    assert len(clean) <= len("Invalid key . Try again." + REDACTED) + 14


def split(text: str, sizes: Iterator[int]) -> list[str]:
    """Cut a text into pieces."""
    pieces = []
    while text:
        size = next(sizes)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def random_sizes(seed: int) -> Iterator[int]:
    """Yield sizes of pieces, mostly small."""
    chance = random.Random(seed)
    while True:
        yield chance.choice([1, 1, 2, 3, 5, 40])


def feed_all(key: str, events: list[ReplyEvent]) -> list[ReplyEvent]:
    """Return what comes out when each event is a read of its own."""
    redactor = ReplyRedactor(Redactor(key))
    passed = [event for item in events for event in redactor.feed([item])]
    return passed + redactor.close()


def joined(events: list[ReplyEvent], kind: type) -> str:
    """Return the text of all events of a kind."""
    return "".join(getattr(event, "text", "") for event in events if isinstance(event, kind))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_removed_however_a_reply_is_cut(key: str, seed: int, spelling: str) -> None:
    """Between reasoning, text and calls, each with a key of its own; the rest is unchanged."""
    text = f"It is {SPELLINGS[spelling](key)}, {key[:-1]}?"
    sizes = random_sizes(seed)
    whole = Redactor(key).clean(text)
    assert REDACTED in whole
    kinds: list[Callable[[str], ReplyEvent]] = [
        Text,
        Reasoning,
        lambda piece: ToolCallDelta(0, "", "", piece),
    ]
    queues = [[kind(piece) for piece in split(text, sizes)] for kind in kinds]
    chance = random.Random(seed)
    events: list[ReplyEvent] = []
    while queues := [queue for queue in queues if queue]:
        events.append(chance.choice(queues).pop(0))
    passed = feed_all(key, events)
    assert joined(passed, Text) == whole
    assert joined(passed, Reasoning) == whole
    assert "".join(e.arguments for e in passed if isinstance(e, ToolCallDelta)) == whole


@pytest.mark.parametrize("seed", range(20))
def test_a_reply_without_the_key_is_unchanged(seed: int) -> None:
    """Event for event, though it is made of pieces of the key."""
    key = "sk-aabbaabbaab%12"
    chance = random.Random(seed)
    parts = ["sk", "-", "aabb", "%", "\\", "a", " ", "aab", "no key", "%1"]
    events: list[ReplyEvent] = [Text(chance.choice(parts)) for _ in range(300)]
    events.append(Finished("stop"))
    assert key not in joined(events, Text)
    assert feed_all(key, events) == events


def test_only_a_possible_key_prefix_is_held_back() -> None:
    """What cannot be the key is passed on at once, and the end of a reply releases the rest."""
    redactor = ReplyRedactor(Redactor("sk-0123456789"))
    assert redactor.feed([Text("my key:")]) == [Text("my key:")]
    assert redactor.feed([Text(" sk-")]) == []
    assert redactor.feed([Text("no")]) == [Text(" sk-"), Text("no")]
    assert redactor.feed([Text(" sk"), Finished("stop")]) == [Text(" sk"), Finished("stop")]


PIECES: dict[str, Callable[[str], ReplyEvent]] = {
    "text": Text,
    "reasoning": Reasoning,
    "call": lambda text: ToolCallDelta(0, "", "", text),
    "another call": lambda text: ToolCallDelta(1, "", "", text),
    "tokens": lambda text: Logprobs((TokenProbability(text, -1.0),)),
}


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(PIECES, 2)))
def test_what_one_text_holds_back_delays_no_other(first: str, second: str) -> None:
    """A reasoning that ends in a letter of the key held back the whole reply after it."""
    for spelling in SPELLINGS.values():
        spelled = spelling(KEY)
        for length in range(1, len(spelled)):
            redactor = ReplyRedactor(Redactor(KEY))
            begun = PIECES[first](spelled[:length])
            passed = redactor.feed([begun])
            other = PIECES[second]("; and so on.")
            assert redactor.feed([other]) == [other]
            passed += redactor.feed([Finished("stop")])
            assert passed[-1] == Finished("stop")
            assert begun in passed or REDACTED in repr(passed) or first == "tokens"


@pytest.mark.parametrize("held", [Reasoning("cats"), Logprobs((TokenProbability("s", -1.0),))])
def test_a_text_that_is_held_back_costs_the_others_nothing(held: ReplyEvent) -> None:
    """However many pieces follow it."""

    def run(count: int) -> None:
        redactor = ReplyRedactor(Redactor(KEY))
        redactor.feed([held])
        for _ in range(count):
            redactor.feed([Text("a word ")])

    assert growth(run, 2_000) <= 3


def test_the_values_of_a_document_are_cleaned_as_they_are_read() -> None:
    """In a list of any length, after its escapes have been decoded."""
    names = [f"model-{n}" for n in range(20_000)]
    body = json.dumps({"data": [*names, f"x/{KEY}", 3, None], KEY: True}).replace("/", "\\/")
    clean = Redactor(KEY).clean_values(json.loads(body))
    assert clean == {"data": [*names, f"x/{REDACTED}", 3, None], REDACTED: True}


def test_the_probabilities_of_a_key_are_removed() -> None:
    """The tokens spell it out, one by one."""
    key = "sk-0123456789"
    events: list[ReplyEvent] = []
    for sign in f"a {key} b":
        events += [Text(sign), Logprobs((TokenProbability(sign, -1.0),))]
    passed = feed_all(key, events)
    tokens = "".join(t.token for e in passed if isinstance(e, Logprobs) for t in e.tokens)
    assert joined(passed, Text) == f"a {REDACTED} b"
    assert key[:4] not in tokens
    assert tokens.endswith(" b")


def test_a_key_is_removed_from_names() -> None:
    """The model's name, the reply's id, the reason to end, a call's name and id."""
    key = "sk-0123456789"
    events: list[ReplyEvent] = [
        Served(key, f"id-{key}", key),
        ToolCallDelta(0, key, f"f{key}", ""),
        Finished(key),
    ]
    assert key not in repr(feed_all(key, events))


@pytest.mark.parametrize("key", ["a", "EM", "none", "ollama", "secret7"])
def test_short_keys_leave_words_alone(key: str) -> None:
    """Such a key is no secret, and a word of many replies."""
    text = f"An{key}other {key}s {key}7"
    assert Redactor(key).clean(text) == text
    assert Redactor(key).clean(f"key {key}!") == (f"key {key}!" if len(key) < 4 else "key [key]!")
    events: list[ReplyEvent] = [Text(f"Use {key} here"), Served(key, key)]
    assert feed_all(key, events) == events


@pytest.mark.parametrize("key", [None, ""])
def test_no_key_changes_nothing(key: str | None) -> None:
    """There is nothing to be removed."""
    assert Redactor(key).clean("a [key] b") == "a [key] b"


@pytest.mark.parametrize(
    "hostile", ["a" * 8, "\\", "%", "%61", "\\u0061", "sk-Abc123xyz_QRS45", "\\\\\\/"]
)
@pytest.mark.parametrize("key", KEYS[:3])
def test_cleaning_is_linear(key: str, hostile: str) -> None:
    """Twice the text takes about twice the time."""
    redactor = Redactor(key)

    def make(size: int) -> str:
        return hostile * (size // len(hostile))

    assert growth(redactor.clean, 100_000, make) <= 3
    assert growth(redactor.open_end, 100_000, make) <= 3


def test_a_text_of_over_a_megabyte_loses_the_plain_key_alone() -> None:
    """A key behind escapes is not looked for there: that would take a second."""
    text = "\\" + "a" * MAX_ESCAPED_CHARS + KEY
    assert Redactor(KEY).clean(text) == "\\" + "a" * MAX_ESCAPED_CHARS + REDACTED


def test_a_name_that_is_repeated_is_cleaned_once() -> None:
    """Servers send the model and the id with every event."""
    redactor = ReplyRedactor(Redactor(KEY))
    served = Served(f"m {KEY}", "1")
    assert redactor.feed([served]) == [Served(f"m {REDACTED}", "1")]
    plain = Served("m", "1")
    for _ in range(2):
        assert redactor.feed([plain, Text("b")]) == [plain, Text("b")]


@pytest.mark.parametrize(
    "token",
    [
        TokenProbability("a", -1.0, (TokenProbability(KEY, -2.0),)),
        TokenProbability("a", -1.0, tuple(TokenProbability(sign, -2.0) for sign in KEY)),
        TokenProbability("a", -1.0, (TokenProbability("b", -2.0, (), KEY.encode()),)),
        TokenProbability("a", -1.0, (), KEY.encode()),
    ],
)
def test_a_key_in_alternatives_or_bytes_removes_the_probabilities(token: TokenProbability) -> None:
    """A lens shows them."""
    redactor = ReplyRedactor(Redactor(KEY))
    assert redactor.feed([Logprobs((token,)), Finished("stop")]) == [Finished("stop")]


def test_a_key_in_the_tokens_alone_takes_their_probabilities_along() -> None:
    """The text of the reply may be cleaned by the server already."""
    tokens = Logprobs((TokenProbability(KEY, -0.1),))
    redactor = ReplyRedactor(Redactor(KEY))
    assert redactor.feed([tokens, Finished("stop")]) == [Finished("stop")]


def test_a_name_that_was_cut_within_the_key_is_cut_before_it() -> None:
    """Long reasons to end are cut when they are read, perhaps in the middle of the key."""
    redactor = ReplyRedactor(Redactor(KEY))
    assert redactor.feed([Finished(f"no: {KEY[:9]}…")]) == [Finished("no: …")]
    assert redactor.feed([Finished("no: x…")]) == [Finished("no: x…")]


def test_token_counts_pass() -> None:
    """They are numbers."""
    events: list[ReplyEvent] = [Used(Usage(1, 2, 3)), Text("a")]
    assert ReplyRedactor(Redactor(KEY)).feed(events) == events
    suspect = [Text(f"a {KEY} b"), *events]
    assert ReplyRedactor(Redactor(KEY)).feed(suspect) == [Text(f"a {REDACTED} b"), *events]


def test_the_time_is_linear_in_the_log_probabilities() -> None:
    """Tokens whose end may begin the key are held back for a moment only."""
    top = tuple(TokenProbability(f"w{n}", -1.0) for n in range(20))
    event = Logprobs((TokenProbability(KEY[0], -1.0, top, KEY[:1].encode()),))

    def run(count: int) -> None:
        redactor = ReplyRedactor(Redactor(KEY))
        for _ in range(count):
            redactor.feed([Text(" a"), event])

    assert growth(run, 2_000) <= 3


def test_what_would_be_sent_back_goes_with_the_key() -> None:
    """It is signed: a part of it is of no use."""
    redactor = ReplyRedactor(Redactor(KEY))
    back: list[ReplyEvent] = [ToReturn("extra_content", '{"a": 1}')]
    assert redactor.feed(back) == back
    assert redactor.feed([ToReturn("extra_content", f'{{"a": "{KEY}"}}'), Text("x")]) == [Text("x")]
    assert redactor.feed([Text("y"), *back]) == [Text("y"), *back]


def test_what_would_be_sent_back_waits_for_the_text_that_it_repeats() -> None:
    """Its own form may not show the key: the pieces are in documents of their own."""
    redactor = ReplyRedactor(Redactor(KEY))
    first, second = (ToReturn("reasoning_details", f'{{"text": "{half}"}}') for half in "ab")
    assert redactor.feed([Reasoning(f"it is {KEY[:9]}"), first]) == []
    assert redactor.feed([Text("x")]) == [Text("x")]
    passed = redactor.feed([Reasoning(f"{KEY[9:]}."), second])
    assert joined(passed, Reasoning) == f"it is {REDACTED}."
    assert not any(isinstance(event, ToReturn) for event in passed + redactor.close())
    assert redactor.feed([Reasoning("s"), first]) == []
    assert redactor.feed([Reasoning("o.")]) == [Reasoning("s"), first, Reasoning("o.")]
    assert redactor.feed([Reasoning("s"), first]) == []
    assert redactor.close() == [Reasoning("s"), first]


def test_several_secrets_are_removed() -> None:
    """Those of a reply are the long ones."""
    redactor = Redactor(KEY, "another-secret", "short", None, "abc", KEY)
    text = f"{KEY} another-secret short abc"
    assert redactor.clean(text) == "[key] [key] [key] abc"
    assert redactor.in_replies().clean(text) == "[key] [key] short abc"
    assert not Redactor(None, "abc")
    assert Redactor(None).open_end("x") == 1


def test_more_keys_are_removed_beside_those_it_has() -> None:
    """As the password of a proxy."""
    redactor = Redactor("first-key-123").with_keys(["second-key-456", ""])
    assert redactor.clean("first-key-123 second-key-456 third") == "[key] [key] third"


def test_a_secret_hides_itself() -> None:
    """Also without the blanks around it, and as one value among others."""
    hidden = hide_values({"X-Key": f" {KEY} ", "other": 3})
    assert repr(hidden) == "{'X-Key': '[secret]', 'other': 3}"
    assert repr(hidden["X-Key"].strip()) == "'[secret]'"
    assert hidden["X-Key"].strip() == KEY
    assert hide_text(None) is hide_values(None) is None


def test_a_secret_is_copied_but_not_pickled() -> None:
    """What has it would be written to a file with it."""
    secret = Secret("sk-1234567890")
    assert copy.copy(secret) is copy.deepcopy([secret])[0] is secret
    with pytest.raises(ParamError, match="cannot be pickled"):
        pickle.dumps([secret])
