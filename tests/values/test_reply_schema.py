"""The forms of replies: classes and JSON Schemas, and the replies that are read by them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
import typing
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pandas as pd
import pydantic
import pytest
from growth import cpu_seconds, growth
from loopback import Loopback
from schema_classes import MAYBE, Colour, Movie, Notes, Person, Place, Shelf, Tagged, Tree

import di_magics as di
from di_magics.core.errors import DiMagicsError, ReplyError
from di_magics.values.reply_schema import MAX_FILE_BYTES, reply_schema, schema_from_file
from di_magics.values.typed_json import MAX_LARGE_NUMBERS


def one_line(call: Callable[[], object], kind: type[DiMagicsError]) -> str:
    """Return the one printable line of an error."""
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    return message


# The form of a reply ------------------------------------------------------------------------

ADA = '{"name": "Ada", "age": 36}'


@pytest.mark.parametrize(
    ("found", "text", "value"),
    [
        (Person, ADA, Person(name="Ada", age=36)),
        (Place, '{"x": 1}', Place(1.0)),
        (Colour, '"blue"', Colour.BLUE),
        (Movie, '{"title": "M", "year": 1931}', {"title": "M", "year": 1931}),
        (Movie, '{"title": "M"}', {"title": "M"}),
        (Notes, "{}", {}),
        (Shelf, '{"movies": [{"title": "M"}]}', {"movies": [{"title": "M"}]}),
        (list[Person], f"[{ADA}]", [Person(name="Ada", age=36)]),
        (list[Movie], '[{"title": "M"}]', [{"title": "M"}]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (int, "3", 3),
        (Literal["yes", "no"], '"no"', "no"),
        (MAYBE, "null", None),
        (int | str, '"a"', "a"),
        ({"type": "object", "required": ["a"]}, '{"a": 1, "b": 2}', {"a": 1, "b": 2}),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, "3", 3),
        ({}, "[1]", [1]),
    ],
)
def test_a_reply_becomes_an_object(found: Any, text: str, value: object) -> None:
    """Classes of all kinds make objects, a JSON Schema plain lists and dicts."""
    made = reply_schema(found, "It")
    assert made.name == "It"
    json.dumps(made.schema)
    assert made.read(text) == value
    assert made.read(f"```json\n{text}\n```") == value


def test_what_a_typed_dict_says_of_its_fields_is_kept() -> None:
    """Bounds and words that stand with a field are sent, and held to."""
    made = reply_schema(Notes, "Notes")
    assert made.schema["properties"]["stars"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 5,
        "description": "how good it is",
    }
    assert "$.stars" in one_line(lambda: made.read('{"stars": 9}'), ReplyError)


def test_a_schema_has_no_titles_of_fields() -> None:
    """Titles that repeat a name are left out of what is sent."""
    assert reply_schema(Place, "Place").schema["properties"] == {
        "x": {"type": "number"},
        "y": {"type": "number", "default": 0.0},
    }


def test_a_name_is_one_that_servers_take() -> None:
    """A name is made of letters, digits, - and _, and is not endless."""
    assert reply_schema(Place, "größer als.1").name == "gr__er_als_1"
    assert reply_schema(Place, "x" * 100).name == "x" * 64
    assert reply_schema(Place, "").name == "reply"


PEOPLE = {"type": "array", "items": {"type": "object", "properties": {"age": {"type": "integer"}}}}


@pytest.mark.parametrize(
    ("found", "text", "where"),
    [
        (Person, '{"name": "Ada"}', "at $.age, Field required"),
        (Person, '{"name": "Ada", "age": -1}', "at $.age,"),
        (Person, '{"name": 1, "age": 1}', "at $.name,"),
        (list[Person], f'[{ADA}, {{"name": "a"}}]', "at $[1].age,"),
        (Movie, '{"year": 1931}', "at $.title,"),
        (Person, "[]", "at $,"),
        (Person, ADA[:-1], "it breaks off in line 1"),
        (Person, "", "empty"),
        (dict, '{"a": NaN}', "NaN"),
        (dict, '{"a": "\ud800"}', "unicode"),
        (dict, '{"a": ' + "[" * 500 + "]" * 500 + "}", "nested too deeply"),
        (dict, "[" * 100_000, "too deeply"),
        (PEOPLE, '[{"age": 1}, {"age": "2"}]', "at $[1].age, '2' is not of type 'integer'"),
        (PEOPLE, "{}", "at $,"),
        (PEOPLE, "[", "it breaks off"),
        ({"type": "integer"}, "9" * 5000, "digits"),
        ({"enum": [1]}, '"' + "x" * 10_000 + '"', "at $,"),
        ({"const": 1}, '"\\u001b[31m\\n"', "at $,"),
    ],
)
def test_a_reply_that_does_not_fit_says_where(found: Any, text: str, where: str) -> None:
    """The line says where the reply is wrong, and why."""
    assert where in one_line(lambda: reply_schema(found, "It").read(text), ReplyError)


@pytest.mark.parametrize("error", [KeyError("boom"), TypeError("boom"), ZeroDivisionError("boom")])
@pytest.mark.parametrize("kind", ["dataclass", "model"])
def test_a_class_that_fails_on_a_reply_is_a_misfit(error: Exception, kind: str) -> None:
    """Whatever a class of the user's raises when it is made, the reply is no such thing."""

    @dataclasses.dataclass
    class Failing:
        x: int

        def __post_init__(self) -> None:
            raise error

    class Model(pydantic.BaseModel):
        x: int

        @pydantic.field_validator("x")
        @classmethod
        def check(cls, x: int) -> int:
            raise error

    made = reply_schema(Failing if kind == "dataclass" else Model, "It")
    assert "boom" in one_line(lambda: made.read('{"x": 1}'), ReplyError)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"items": {"$ref": "#"}}, "[" * 300 + "]" * 300),
        ({"multipleOf": 0.5}, "1" + "0" * 400),
    ],
    ids=["deep", "huge"],
)
def test_a_reply_that_a_check_cannot_take_is_a_misfit(schema: Any, text: str) -> None:
    """JSON nested deeply or with huge numbers does not fit, or fits; nothing else comes of it."""
    try:
        reply_schema(schema, "It").read(text)
    except ReplyError as error:
        result = str(error)
    else:
        result = ""
    assert len(result.splitlines()) <= 1


def test_a_schema_that_only_refers_to_itself_is_one_line() -> None:
    """A schema that can never be done with is refused, at the latest when it is used."""
    one_line(lambda: reply_schema({"$ref": "#"}, "It").read("1"), DiMagicsError)


class Sealed:
    """A class that nobody can say in JSON."""

    def __init__(self, *of: object) -> None:
        self.of = of


@dataclasses.dataclass
class Unknown:
    """It has a field of a type that there is not."""

    x: Nowhere  # type: ignore[name-defined] # noqa: F821 # it is what is tested


class UnknownDict(TypedDict):
    """The same as a TypedDict."""

    x: Nowhere  # type: ignore[name-defined] # noqa: F821 # it is what is tested


@dataclasses.dataclass
class Unmatched:
    """It has a pattern that is none."""

    x: Annotated[str, pydantic.Field(pattern="(")]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Sealed, "It has no JSON Schema"),
        (pd.DataFrame, "It has no JSON Schema"),
        (list[Sealed], "It has no JSON Schema"),
        (Callable[[int], int], "It has no JSON Schema"),
        (Unknown, "It has no JSON Schema"),
        (UnknownDict, "It has no JSON Schema"),
        (Unmatched, "It has no JSON Schema"),
        (Place(1.0), "It is not a class and not a JSON Schema"),
        (Person(name="Ada", age=36), "It is not a class and not a JSON Schema"),
        ("Person", "It is not a class and not a JSON Schema"),
        (5, "It is not a class and not a JSON Schema"),
        (None, "It is not a class and not a JSON Schema"),
        (one_line, "It is not a class and not a JSON Schema"),
        ([{"type": "object"}], "It is not a class and not a JSON Schema"),
        ({"type": "nothing"}, "It is not a JSON Schema: at $.type"),
        (
            {"properties": {"a": {"minimum": "x"}}},
            "It is not a JSON Schema: at $.properties.a.minimum",
        ),
        ({"required": "a"}, "It is not a JSON Schema: at $.required"),
        ({"pattern": "("}, "It is not a JSON Schema: at $.pattern"),
        ({"$ref": 5}, "It is not a JSON Schema"),
        ({"$schema": 5}, "It is not a JSON Schema"),
        ({"$schema": []}, "It is not a JSON Schema"),
        ({"default": {1}}, "It is not a JSON Schema"),
        ({"const": float("nan")}, "It is not a JSON Schema"),
        ({"properties": {"a": object()}}, "It is not a JSON Schema"),
    ],
)
def test_what_is_no_shape_is_one_line(found: Any, why: str) -> None:
    """A class without a schema, an object, and a dict that is none are refused with the reason."""
    assert why in one_line(lambda: reply_schema(found, "It"), di.ParamError)


@pytest.mark.parametrize("draft", ["draft-04", "draft-06", "draft-07", "2019-09", "2020-12"])
def test_a_schema_may_be_of_any_draft(draft: str) -> None:
    """What a schema says of itself in $schema holds."""
    base = "draft/" if draft.startswith("20") else ""
    end = "schema" if draft.startswith("20") else "schema#"
    found = {"$schema": f"http://json-schema.org/{base}{draft}/{end}", "type": "integer"}
    assert reply_schema(found, "It").read("3") == 3
    assert "at $," in one_line(lambda: reply_schema(found, "It").read('"3"'), ReplyError)


@pytest.mark.parametrize("draft", ["", "http://json-schema.org/draft-07/schema#"])
@pytest.mark.parametrize("ref", ["{url}/schema.json", "{url}/s.json#/$defs/x", "file:///etc/hosts"])
def test_nothing_that_a_schema_refers_to_is_fetched(server: Loopback, ref: str, draft: str) -> None:
    """A reference to elsewhere is one line with what to do, and asks nobody."""
    result = {"$ref": ref.format(url=server.url)} | ({"$schema": draft} if draft else {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = one_line(lambda: reply_schema(result, "It").read("1"), di.ParamError)
    assert "refers to" in message
    assert "$defs" in message
    assert server.requests == []


def test_nothing_that_an_id_makes_of_a_reference_is_fetched(server: Loopback) -> None:
    """A reference that only the schema's own $id makes an address asks nobody either."""
    found = {"$id": f"{server.url}/a.json", "properties": {"a": {"$ref": "b.json"}}}
    assert "refers to" in one_line(
        lambda: reply_schema(found, "It").read('{"a": 1}'), di.ParamError
    )
    assert server.requests == []


# A schema in a file -------------------------------------------------------------------------


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_schema_is_read_from_a_file(tmp_path: Path, start: bytes) -> None:
    """A .json file is a schema under its own name, with or without a mark at its beginning."""
    file = tmp_path / "a person.json"
    file.write_bytes(start + b'{"type": "integer"}')
    found = schema_from_file(file)
    assert (found.name, found.schema, found.read("3")) == ("a_person", {"type": "integer"}, 3)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not text in UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"[1]", "it must be an object"),
        (b"true", "it must be an object"),
        (b'"text"', "it must be an object"),
        (b'{"type": 5}', "at $.type"),
        (b'{"const": NaN}', "not JSON"),
        (b"{" + b" " * MAX_FILE_BYTES + b"}", "too large"),
    ],
    ids=["empty", "open", "utf-16", "deep", "huge", "list", "true", "text", "type", "nan", "large"],
)
def test_a_file_that_is_no_schema_is_one_line(tmp_path: Path, data: bytes, why: str) -> None:
    """What is wrong with a file is said."""
    (tmp_path / "it.json").write_bytes(data)
    assert why in one_line(lambda: schema_from_file(tmp_path / "it.json"), di.ParamError)


@pytest.mark.parametrize("named", ["missing.json", "folder/none.json", "x" * 300])
def test_a_missing_file_says_what_schema_takes(tmp_path: Path, named: str) -> None:
    """Where there is no such file, the line says what --schema takes."""
    (tmp_path / "folder").mkdir()
    message = one_line(lambda: schema_from_file(tmp_path / named), di.ParamError)
    assert "--schema must name" in message


def test_a_file_without_an_end_is_not_read(tmp_path: Path) -> None:
    """A pipe that nobody writes to is refused without waiting for it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    errors: list[BaseException] = []

    def reading() -> None:
        try:
            schema_from_file(pipe)
        except BaseException as error:
            errors.append(error)

    # In a thread, so that one that waits can be let go.
    thread = threading.Thread(target=reading, daemon=True)
    thread.start()
    thread.join(1)
    if waits := thread.is_alive():
        os.close(os.open(pipe, os.O_WRONLY))
        thread.join()
    assert not waits
    assert [type(error) for error in errors] == [di.ParamError]


def test_typing_constructs_have_schemas() -> None:
    """The TypedDict of these tests is the standard library's."""
    assert typing.is_typeddict(Movie)
    assert type(Movie).__module__ == "typing"


# The time of a check --------------------------------------------------------------------------

MANY = r"^(\w+\s?)+$"  # with Python's own regular expressions twice the time for each letter
NODES = [{"properties": {"c": {"$ref": "#/$defs/n"}}, "required": [name]} for name in "ab"]
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def nested(count: int) -> Any:
    """Return an object within an object, and so on."""
    value: Any = {}
    for _ in range(count):
        value = {"c": value}
    return value


@pytest.mark.parametrize(
    ("schema", "make"),
    [
        ({"pattern": MANY}, lambda n: "a" * n + "!"),
        ({"patternProperties": {MANY: {"type": "null"}}}, lambda n: {"a" * n + "!": 1}),
        (
            {"patternProperties": {MANY: {}}, "additionalProperties": False},
            lambda n: {"a" * n + "!": 1},
        ),
        ({"propertyNames": {"pattern": MANY}}, lambda n: {"a" * n + "!": 1}),
        ({"uniqueItems": True}, lambda n: [{"a": i} if i % 2 else [i] for i in range(n)]),
        ({"uniqueItems": True}, lambda n: [i * (2**61 - 1) for i in range(n)]),
        ({"contains": {"type": "null"}}, lambda n: ["a"] * n),
        ({"items": {"enum": [*range(99)]}}, lambda n: ["a"] * n),
        ({"additionalProperties": {"type": "null"}}, lambda n: {str(i): 1 for i in range(n)}),
    ],
)
def test_the_time_of_a_check_is_linear(
    schema: dict[str, Any], make: Callable[[int], object]
) -> None:
    """For each keyword that looks at all of a text, a list or an object."""
    form = reply_schema(schema, "It")

    def read(text: str) -> None:
        with contextlib.suppress(ReplyError):
            form.read(text)

    assert growth(read, 4000, lambda n: json.dumps(make(n))) <= 3


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": NODES},
        {"oneOf": NODES},
        {"$schema": DRAFT, "not": {"allOf": [{"not": {"anyOf": NODES}}]}},
        {"if": NODES[0], "else": NODES[1]},
        {"anyOf": NODES, "unevaluatedProperties": False},
    ],
)
@pytest.mark.parametrize("at_root", [False, True])
def test_a_schema_that_refers_to_itself_is_checked_within_bounds(
    monkeypatch: pytest.MonkeyPatch, schema: dict[str, Any], at_root: bool
) -> None:
    """The work doubles with each level of the reply; 13 levels took 15 seconds."""
    monkeypatch.setattr("di_magics.values.json_schema.MAX_STEPS", 20_000)
    whole = {"$ref": "#/$defs/n", "$defs": {"n": schema}, "$schema": DRAFT}
    if at_root:
        text = json.dumps({"$schema": DRAFT, **schema}).replace("#/$defs/n", "#")
        whole = json.loads(text)
    form = reply_schema(whole, "It")
    message = one_line(lambda: form.read(json.dumps(nested(40))), ReplyError)
    assert "too many steps" in message
    assert "too many steps" not in one_line(lambda: form.read(json.dumps(nested(2))), ReplyError)


@pytest.mark.parametrize("depth", [20, 30, 100, 400])
@pytest.mark.parametrize("union", [Tree, list[Tree], dict[str, Tree], Tree | None])
def test_a_class_with_a_union_of_itself_is_read_within_bounds(union: Any, depth: int) -> None:
    """pydantic tries both classes at each level; 26 levels took 25 seconds."""
    value = nested(depth) | {"v": "no"}
    text = json.dumps({list: [value], dict: {"a": value}}.get(typing.get_origin(union), value))
    form = reply_schema(union, "It")
    assert cpu_seconds(lambda: one_line(lambda: form.read(text), ReplyError)) < 5


def test_a_tree_of_usual_depth_is_read() -> None:
    """As deep as people write them, and a long list of them; a union with a tag may be deeper."""
    assert reply_schema(Tree, "It").read(json.dumps(nested(12))).c.c.c is not None
    many = reply_schema(list[Tree], "It").read(json.dumps([nested(5)] * 3000))
    assert len(many) == 3000
    value: Any = {"kind": "one"}
    for _ in range(60):
        value = {"kind": "two", "c": value}
    assert reply_schema(Tagged, "It").read(json.dumps({"c": value})).c.kind == "two"


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        ({"pattern": "(?=a)b"}, "(?=a)b"),
        ({"properties": {"pattern": {"items": {"pattern": r"(a)\1"}}}}, r"(a)"),
        ({"anyOf": [{"patternProperties": {"(?!a)": {}}}]}, "(?!a)"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "together"),
    ],
)
def test_a_schema_that_cannot_be_checked_in_bounded_time_is_refused(
    schema: dict[str, Any], part: str
) -> None:
    """Before a reply is paid for."""
    assert part in one_line(lambda: reply_schema(schema, "It"), di.ParamError)


@pytest.mark.parametrize(
    ("schema", "fits", "fails"),
    [
        ({"pattern": "b+"}, ["abc", 5], ["ac", ""]),
        ({"pattern": r"^\d{3}-\d$"}, ["123-4"], ["123-45", "x123-4"]),
        ({"uniqueItems": True}, [[1, True, "1", [1], [True]], "aa"], [[1, 1.0], [{"a": 1}] * 2]),
        ({"uniqueItems": False}, [[1, 1]], []),
        (
            {
                "properties": {"a": {}},
                "patternProperties": {"^x": {"type": "null"}},
                "additionalProperties": False,
            },
            [{"a": 1, "x1": None}, {}, []],
            [{"b": 1}, {"x1": 1}],
        ),
        ({"additionalProperties": {"type": "null"}}, [{"a": None}], [{"a": 1}]),
        ({"enum": [{"pattern": "(?=a)"}]}, [{"pattern": "(?=a)"}], [{}]),
        ({"properties": {"$schema": {"type": "null"}}}, [{"$schema": None}], [{"$schema": 1}]),
    ],
)
def test_bounded_keywords_mean_the_same(
    schema: dict[str, Any], fits: list[Any], fails: list[Any]
) -> None:
    """As in jsonschema's own."""
    form = reply_schema(schema, "It")
    for value in fits:
        assert form.read(json.dumps(value)) == value
    for value in fails:
        one_line(partial(form.read, json.dumps(value)), ReplyError)


def test_a_set_of_numbers_that_collide_is_read_quickly_or_refused() -> None:
    """Python's hash of an int is its remainder by 2**61 - 1, which a reply may choose."""
    colliding = [number * (2**61 - 1) for number in range(MAX_LARGE_NUMBERS + 100)]
    schema = reply_schema(set[int], "numbers")
    assert len(schema.read(json.dumps(colliding[:1000]))) == 1000
    with pytest.raises(ReplyError, match="too many large numbers for a set"):
        schema.read(json.dumps(colliding))
    assert len(reply_schema(list[int], "numbers").read(json.dumps(colliding))) == len(colliding)
