"""The parameters of functions as JSON Schemas, and the arguments that models pass."""

from __future__ import annotations

import functools
import json
import sys
import warnings
from collections.abc import Callable, Collection, Container, Iterable, Reversible
from datetime import date
from typing import Annotated, Any, Literal, TypedDict

import pandas as pd
import pydantic
import pytest
from schema_classes import MAYBE, Colour, Movie, Person, Place, Tree

import di_magics as di
from di_magics.core.errors import DiMagicsError, ToolError
from di_magics.values.tool_schema import ToolArguments, tool_arguments

KEY = "sk-" + "a1B2" * 10


def one_line(call: Callable[[], object], kind: type[DiMagicsError]) -> str:
    """Return the one printable line of an error."""
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    return message


def properties(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the parameters of a function as they are offered."""
    offered: dict[str, Any] = tool_arguments(function, "f").spec["parameters"]["properties"]
    return offered


def called(function: Callable[..., Any], text: str) -> Any:
    """Call a function as a model does."""
    bound = tool_arguments(function, "f").parse(text)
    return function(*bound.args, **bound.kwargs)


def test_a_function_is_offered_by_its_signature_and_docstring() -> None:
    """Name, description, types and what is required are a tool's; no titles cost tokens."""

    def add(a: int, b: int = 2) -> int:
        """Add two numbers.

        The sum is exact.

        Args:
            a: the first
            b: the second
        """
        return a + b

    assert tool_arguments(add, "add").spec == {
        "name": "add",
        "description": "Add two numbers.\n\nThe sum is exact.",
        "parameters": {
            "type": "object",
            "properties": {
                "a": {"type": "integer", "description": "the first"},
                "b": {"type": "integer", "description": "the second", "default": 2},
            },
            "required": ["a"],
            "additionalProperties": False,
        },
    }


def test_a_function_without_anything_is_offered_by_its_name() -> None:
    """No parameters, no annotations, no docstring: what is known is said."""

    def bare(x, y=1):  # type: ignore[no-untyped-def]
        return x

    spec = tool_arguments(bare, "bare").spec
    assert set(spec) == {"name", "parameters"}
    assert spec["parameters"]["properties"] == {"x": {}, "y": {"default": 1}}
    assert tool_arguments(lambda: 1, "f").spec["parameters"]["properties"] == {}
    assert called(bare, '{"x": [1, {"a": null}]}') == [1, {"a": None}]


def google(a: int) -> None:
    """Do it.

    Args:
        a (int): how often,
            at most ten times
    """


def numpy(a: int) -> None:
    """Do it.

    Parameters
    ----------
    a : int
        how often,
        at most ten times
    """


def rest(a: int) -> None:
    """Do it.

    :param a: how often,
        at most ten times
    :type a: int
    """


@pytest.mark.parametrize("function", [google, numpy, rest])
def test_docstrings_of_all_styles_are_read(function: Callable[..., Any]) -> None:
    """The words on a parameter are its description, those on the function the tool's."""
    offered = properties(function)["a"]
    assert offered["type"] == "integer"
    assert " ".join(offered["description"].split()) == "how often, at most ten times"
    assert tool_arguments(function, "f").spec["description"] == "Do it."


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":param",
        ":param a",
        "Args:",
        "Args:\n  a",
        "Args:\n\ta: b",
        "@param x: d\n" * 3,
        "\0",
        ":: :param x: y\n@param x: d",
    ],
)
def test_malformed_docstring_still_offers_the_tool(text: str) -> None:
    """Whatever a docstring looks like, the function is offered."""

    def function(a: int) -> int:
        return a

    function.__doc__ = text
    assert called(function, '{"a": 1}') == 1


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (float, {"type": "number"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Collection[int], {"type": "array", "items": {"type": "integer"}}),
        (
            Iterable[Reversible[int]],
            {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
        ),
        (Container, {"type": "array", "items": {}}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (MAYBE, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (
            Annotated[int, pydantic.Field(ge=0, description="how many")],
            {"type": "integer", "minimum": 0, "description": "how many"},
        ),
        (date, {"type": "string", "format": "date"}),
    ],
)
def test_a_type_hint_is_its_schema(hint: Any, schema: dict[str, Any]) -> None:
    """The types that Python has for it are said in JSON Schema."""

    def function(a: Any) -> None:
        pass

    function.__annotations__ = {"a": hint}
    assert properties(function) == {"a": schema}


def test_a_docstring_is_a_description_beside_an_annotation() -> None:
    """Bounds of an Annotated type hold where the docstring describes the parameter."""

    def function(a: Annotated[int, pydantic.Field(ge=0)]) -> int:
        """Do it.

        Args:
            a: how many
        """
        return a

    assert properties(function) == {
        "a": {"type": "integer", "minimum": 0, "description": "how many"}
    }
    assert "$.a" in one_line(lambda: called(function, '{"a": -1}'), di.ToolError)


def test_classes_of_the_user_are_made() -> None:
    """A parameter of a dataclass, an enumeration, a model or a TypedDict gets its object."""

    def function(where: Place, colour: Colour, who: Person, movie: Movie) -> list[Any]:
        return [where, colour, who, movie]

    text = (
        '{"where": {"x": 1.5}, "colour": "red", "who": {"name": "Ada", "age": 36}, '
        '"movie": {"title": "M"}}'
    )
    where, colour, who, movie = called(function, text)
    assert where == Place(1.5)
    assert colour is Colour.RED
    assert who == Person(name="Ada", age=36)
    assert movie == {"title": "M"}


def test_a_default_is_not_passed() -> None:
    """What the model leaves out, the function fills in itself, as in any call."""

    def function(a: int = 1, *, b: list[int] | None = None, **more: int) -> None:
        pass

    offered = tool_arguments(functools.partial(lambda a=1, *, b=(): (a, b)), "f").parse(
        '{"b": [2]}'
    )
    assert dict(offered.arguments) == {"b": [2]}
    assert (offered.args, offered.kwargs) == ((), {"b": [2]})
    assert dict(tool_arguments(lambda a=1: a, "f").parse("{}").arguments) == {}
    assert "more" in one_line(lambda: tool_arguments(function, "f"), di.ToolError)


def test_keyword_only_parameters_are_passed_by_name() -> None:
    """Parameters behind a star get their values."""

    def function(a: int, b: int = 5, *, c: int, d: int = 7) -> tuple[int, ...]:
        return a, b, c, d

    assert called(function, '{"c": 3, "a": 1}') == (1, 5, 3, 7)
    assert called(function, '{"d": 4, "c": 3, "b": 2, "a": 1}') == (1, 2, 3, 4)


@pytest.mark.parametrize(
    "name",
    ["_x", "__x", "schema", "model_config", "model_fields", "json", "copy", "p0", "self", "größe"],
)
def test_a_parameter_may_have_any_name(name: str) -> None:
    """Names that mean something to a library are names like any other."""
    scope: dict[str, Any] = {}
    exec(f"def function({name}: int, p1: int = 2):\n    return {name}, p1", scope)
    function = scope["function"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(properties(function)) == [name, "p1"]
    assert called(function, json.dumps({name: 1})) == (1, 2)
    assert called(function, json.dumps({"p1": 3, name: 1})) == (1, 3)


class Counter:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, by: int = 1) -> int:
        """Count on."""
        self.count += by
        return self.count

    def __call__(self, by: int) -> int:
        """Count on, too."""
        return self.add(by)

    @classmethod
    def named(cls, name: str) -> str:
        """Name it."""
        return name

    @staticmethod
    def twice(by: int) -> int:
        """Double it."""
        return by * 2


def test_methods_are_offered_without_self() -> None:
    """A bound method, a class method, a static one and an object that can be called are tools."""
    counter = Counter()
    assert list(properties(counter.add)) == ["by"]
    assert called(counter.add, '{"by": 2}') == 2
    assert called(counter, '{"by": 2}') == 4
    assert called(Counter.named, '{"name": "a"}') == "a"
    assert called(Counter.twice, '{"by": 2}') == 4
    assert tool_arguments(counter.add, "f").spec["description"] == "Count on."


def scaled(a: float, by: float = 1.0) -> float:
    """Scale a number."""
    return a * by


def test_a_partial_function_takes_what_is_left() -> None:
    """What functools.partial has filled in is not offered, and cannot be passed."""
    assert called(functools.partial(scaled, 3.0), '{"by": 2.0}') == 6.0
    assert list(properties(functools.partial(scaled, 3.0))) == ["by"]
    by_name = functools.partial(scaled, by=4.0)
    assert called(by_name, '{"a": 2.0}') == 8.0
    assert list(properties(by_name)) == ["a"]
    assert "$.by" in one_line(lambda: called(by_name, '{"a": 2.0, "by": 1.0}'), di.ToolError)


def test_a_partial_function_is_described_as_its_function() -> None:
    """The model is told what the function does, not what functools.partial is."""
    assert (
        tool_arguments(functools.partial(scaled, 3.0), "f").spec["description"] == "Scale a number."
    )


def test_a_decorated_function_is_offered_as_itself() -> None:
    """What functools.wraps has dressed keeps its parameters and its words."""

    @functools.wraps(scaled)
    def wrapped(*of: Any, **named: Any) -> float:
        return scaled(*of, **named)

    assert list(properties(wrapped)) == ["a", "by"]
    assert called(wrapped, '{"a": 2.0, "by": 3.0}') == 6.0


def no_variadic(*numbers: int) -> None:
    """Take any number of them."""


def no_keywords(**named: int) -> None:
    """Take any names."""


def no_name(a: int, /) -> None:
    """Take one by its place."""


def no_schema(table: pd.DataFrame) -> None:
    """Take a table."""


def no_json(call: Callable[[int], int]) -> None:
    """Take a function."""


def no_hint(a: 5) -> None:  # type: ignore[valid-type] # it is what is tested
    """Take a five."""


def no_pattern(a: Annotated[str, pydantic.Field(pattern="(")]) -> None:
    """Take what matches what is no pattern."""


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (no_variadic, "*numbers"),
        (no_keywords, "**named"),
        (no_name, "cannot pass a."),
        (no_schema, "DataFrame"),
        (no_json, "Use plain types"),
        (no_hint, "5"),
        (no_pattern, "regex"),
        (max, "signature"),
        (print, "*args"),
    ],
)
def test_what_cannot_be_offered_is_one_line(function: Callable[..., Any], word: str) -> None:
    """A function whose parameters cannot be said in JSON is refused, with the reason."""
    message = one_line(lambda: tool_arguments(function, "tool"), di.ToolError)
    assert "tool cannot be a tool" in message
    assert word in message


@pytest.mark.parametrize("name", ["größe", "数える", "n" * 65])
def test_a_name_that_servers_refuse_is_refused_before(name: str) -> None:
    """A server refuses the whole request, and says only a number in the list of tools."""
    message = one_line(lambda: tool_arguments(google, name), di.ToolError)
    assert "at most 64 characters" in message
    assert tool_arguments(google, "n" * 64).spec["name"] == "n" * 64


@pytest.mark.parametrize("default", [object(), {1}, float("nan"), date(2026, 1, 2), Colour.RED])
def test_a_default_of_any_kind_is_quiet(default: object) -> None:
    """A default that has no form in JSON is left out without a word; what is sent is JSON."""

    def function(a: object = None) -> object:
        return a

    function.__defaults__ = (default,)
    function.__annotations__ = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        json.dumps(tool_arguments(function, "f").spec, allow_nan=False)
    assert dict(tool_arguments(function, "f").parse("{}").arguments) == {}


def return_nowhere(a: int) -> Nowhere:  # type: ignore[name-defined] # noqa: F821
    """Return what does not exist."""
    return a


def other_nowhere(a: int, b: Nowhere = 1) -> int:  # type: ignore[name-defined] # noqa: F821
    """Take what does not exist."""
    return a


def raising(a: int, b: 1 / 0 = 1) -> int:  # type: ignore[valid-type]
    """Take what raises."""
    return a


def nested(a: int, b: list["Nowhere"] | None = None) -> int:  # type: ignore[name-defined] # noqa: F821, UP037
    """Take a list of what does not exist."""
    return a


@pytest.mark.parametrize("function", [return_nowhere, other_nowhere, raising, nested])
def test_a_hint_that_cannot_be_evaluated_allows_anything(function: Callable[..., Any]) -> None:
    """Other parameters keep their types, and the hint of the result does not matter."""
    offered = properties(function)
    assert offered["a"] == {"type": "integer"}
    assert "type" not in offered.get("b", {})
    assert called(function, '{"a": 1}') == 1
    assert "$.a" in one_line(lambda: called(function, '{"a": "1"}'), di.ToolError)


def test_a_name_within_a_hint_is_looked_up_where_the_function_is() -> None:
    """A class named in quotes within a type is found."""

    def function(people: list["Person"]) -> Any:  # noqa: UP037 # it is what is tested
        return people[0]

    function.__annotations__ = {"people": list["Person"]}  # as without the __future__ import
    assert called(function, '{"people": [{"name": "Ada", "age": 36}]}') == Person(
        name="Ada", age=36
    )


class Doc:
    """What PEP 727 puts into Annotated."""

    def __init__(self, documentation: str) -> None:
        self.documentation = documentation


@pytest.mark.parametrize(
    "hint",
    [
        Annotated[int, "how many"],
        Annotated[int, Doc("how many")],
        Annotated[int, pydantic.Field(description="how many")],
        Annotated[int, 5, "how many", "and more"],
    ],
)
def test_a_text_in_annotated_is_the_description(hint: Any) -> None:
    """It wins over the docstring, which stands further away."""

    def function(a: Any) -> None:
        """Do it.

        Args:
            a: something else
        """

    function.__annotations__ = {"a": hint}
    assert properties(function) == {"a": {"type": "integer", "description": "how many"}}


def test_a_text_in_annotated_is_kept_within_a_type() -> None:
    """Within a list, a union or a TypedDict it describes that part."""

    class Trip(TypedDict):
        days: Annotated[int, "how long"]

    def function(a: Any, b: Any, c: Any) -> None:
        """Do it."""

    part = Annotated[int, "how many"]
    function.__annotations__ = {"a": list[part], "b": part | None, "c": Trip}
    schema = tool_arguments(function, "f").spec["parameters"]
    assert schema["properties"]["a"]["items"]["description"] == "how many"
    assert schema["properties"]["b"]["anyOf"][0]["description"] == "how many"
    if sys.version_info < (3, 12):  # later the standard TypedDict is left as it is
        assert schema["$defs"]["Trip"]["properties"]["days"]["description"] == "how long"


def decorated() -> Callable[..., Any]:
    """Return a method in a wrapper."""

    @functools.wraps(Counter.add)
    def wrapper(*values: Any, **named: Any) -> Any:
        return Counter.add(*values, **named)

    return wrapper


@pytest.mark.parametrize(
    "function", [Counter.add, functools.partial(Counter.add, by=2), decorated()]
)
def test_a_method_without_its_object_is_refused(function: Callable[..., Any]) -> None:
    """A model cannot pass `self`; the error says how to offer the method."""
    message = one_line(lambda: tool_arguments(function, "add"), di.ToolError)
    assert "a method of Counter without its object" in message
    assert "add = Counter(…).add" in message


def test_a_default_that_looks_like_a_key_is_not_told() -> None:
    """A key that is a parameter's default, or filled in by functools.partial, is nobody's."""

    def fetch(url: str, key: str = KEY) -> str:
        return url

    def plain(url: str, key: str) -> str:
        return url

    for function in (fetch, functools.partial(plain, key=KEY)):
        assert KEY not in json.dumps(tool_arguments(function, "f").spec)


@pytest.mark.parametrize("password", ["test", "hunter2", "q7Zt9Lm2Xw4Vb8Nc"])
def test_a_default_that_is_a_password_of_the_environment_is_not_told(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the parameter is called, and however short the password is."""
    monkeypatch.setenv("DB_PASSWORD", password)

    def fetch(url: str, using: str = password) -> str:
        return url

    assert "default" not in properties(fetch)["using"]


# What a model passes ------------------------------------------------------------------------


def takes(a: int, b: float = 1.0, c=None) -> list[Any]:  # type: ignore[no-untyped-def]
    """Take three."""
    return [a, b, c]


@pytest.fixture(scope="module")
def three() -> ToolArguments:
    """What that function takes."""
    return tool_arguments(takes, "takes")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "$.a"),
        ("{}", "$.a"),
        ("  ", "$.a"),
        ("not JSON", "not JSON (Expecting value in line 1, column 1)"),
        ('{"a": 1', "not JSON (it breaks off in line 1)"),
        ('{"a": 1} and more', "Extra data in line 1, column 10"),
        ('{"a": 1}{"a": 2}', "Extra data in line 1, column 9"),
        ("[1]", "object"),
        ("null", "$.a"),
        ('"a"', "object"),
        ('{"a": 1, "z": 2}', "$.z"),
        ('{"A": 1}', "$.a"),
        ('{"p0": 1}', "$.a"),
        ('{"a": "3"}', "$.a"),
        ('{"a": 1.5}', "$.a"),
        ('{"a": true}', "$.a"),
        ('{"a": null}', "$.a"),
        ('{"a": [1]}', "$.a"),
        ('{"a": 1, "b": "2"}', "$.b"),
        ('{"a": 1, "b": NaN}', "NaN is not a number"),
        ('{"a": 1, "b": -Infinity}', "-Infinity is not a number"),
        ('{"a": 1, "b": 1e999}', "$.b"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": 1, "c": NaN}', "NaN"),
        ('{"a": 1, "c": {"x": [Infinity]}}', "Infinity"),
        ('{"a": 1, "c": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"a": 1, "c": ' + '{"x":' * 5000 + "1" + "}" * 5001, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
        ('{"a": 1, "c": ' + "9" * 100_000 + "}", "digits"),
        ('{"a": 1, "c": "\\ud800"}', "JSON"),
        ('{"a": 1, "c": "\ud800"}', "unicode"),
        ('{"a": 1, "c": "\x01"}', "JSON"),
        ('{"a": 1, "line\\nend\\u001b[31m": 2}', "line"),
        ('{"a": 1, "' + "k" * 100_000 + '": 2}', "kkk"),
        ("\ufeff{}", "JSON"),
        ("\0", "JSON"),
    ],
)
def test_arguments_that_do_not_fit_are_one_line(
    three: ToolArguments, text: str, where: str
) -> None:
    """Whatever a model passes, what is wrong is said in one line that asks for another call."""
    message = one_line(lambda: three.parse(text), di.ToolError)
    assert "nothing was run" in message
    assert "Call takes again" in message
    assert where in message


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"a": 1}', {"a": 1}),
        (' {"b": 2, "a": -1}\n', {"a": -1, "b": 2.0}),
        ('{"a": 1, "c": null}', {"a": 1, "c": None}),
        ('{"a": 1, "c": {"x": ["😀"]}}', {"a": 1, "c": {"x": ["😀"]}}),
        ("{'a': 1, 'c': [None, True, \"it's\",],}", {"a": 1, "c": [None, True, "it's"]}),
        ('{"a": ' + "9" * 400 + "}", {"a": int("9" * 400)}),
        ('{"a": 1, "c": "\\ud83d\\ude00"}', {"a": 1, "c": "😀"}),
    ],
)
def test_arguments_that_fit_are_read(
    three: ToolArguments, text: str, values: dict[str, object]
) -> None:
    """Order and spaces do not matter."""
    assert dict(three.parse(text).arguments) == values


@pytest.mark.parametrize("text", ["", " \n", "{}", "null", '"{}"', '"{ }"'])
@pytest.mark.parametrize("function", [lambda: "called", lambda a=1, b=None: "called"])
def test_no_arguments_have_several_spellings(function: Callable[..., Any], text: str) -> None:
    """Models write nothing, an empty object, null, or an object within a string."""
    assert called(function, text) == "called"


def lenient(
    a: int = 0,
    b: list[int] | None = None,
    c: str = "",
    d: dict[str, int] | None = None,
    e: Place | None = None,
    f: int | str = 0,
    g: str = None,  # type: ignore[assignment] # noqa: RUF013 # a common way to write it
    h: int = None,  # type: ignore[assignment] # noqa: RUF013
    i: list[Place] = [],  # noqa: B006
) -> dict[str, Any]:
    """Return what was passed."""
    return {name: value for name, value in locals().items() if value not in (0, None, "", [])}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"a": 3.0}', {"a": 3}),
        ('{"a": -2.0e3}', {"a": -2000}),
        ('{"b": [1.0, 2, 3.0]}', {"b": [1, 2, 3]}),
        ('{"f": 3.0}', {"f": 3}),
        ('{"f": "3.0"}', {"f": "3.0"}),
        ('{"g": null, "h": null}', {}),
        ('{"b": null, "d": null}', {}),
        ('{"b": "[1, 2]"}', {"b": [1, 2]}),
        ('{"b": "[1.0, 2]"}', {"b": [1, 2]}),
        ('{"d": "{\\"x\\": 1}"}', {"d": {"x": 1}}),
        ('{"e": "{\\"x\\": 1}"}', {"e": Place(1.0)}),
        ('{"i": "[{\\"x\\": 1}]"}', {"i": [Place(1.0)]}),
        ('{"i": ["{\\"x\\": 1}"]}', {"i": [Place(1.0)]}),
        ('{"c": "[1, 2]"}', {"c": "[1, 2]"}),
        ('{"c": "x\ny"}', {"c": "x\ny"}),
        ('{"c": "null"}', {"c": "null"}),
        (json.dumps('{"a": 3.0, "c": "x"}'), {"a": 3, "c": "x"}),
        (json.dumps(json.dumps({"a": 3})).replace("3", "3.0"), {"a": 3}),
    ],
)
def test_a_spelling_with_one_meaning_is_accepted(text: str, values: dict[str, Any]) -> None:
    """What can mean one thing only costs no further request."""
    assert called(lenient, text) == values


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 3.5}',
        '{"a": "3"}',
        '{"a": true}',
        '{"a": null}',
        '{"a": 1e400}',
        '{"b": "1, 2"}',
        '{"b": "{}"}',
        '{"b": "[1, \\"x\\"]"}',
        '{"d": "[1]"}',
        '{"c": 3}',
        '{"e": "Ulm"}',
        '{"nothing": null}',
        '"null"',
        '"[1]"',
        '"hello"',
        "3.0",
        "[]",
        json.dumps(json.dumps("{}")),
        '{"b": "' + "[" * 100_000 + '"}',
    ],
)
def test_a_spelling_with_several_meanings_is_not_guessed(text: str) -> None:
    """Nothing is run, and the model is told."""
    assert "nothing was run" in one_line(lambda: called(lenient, text), di.ToolError)


# Tests values/typed_json.
def test_a_mistake_deep_within_is_found() -> None:
    """The line says at which place of which parameter."""

    def function(people: list[Person]) -> None:
        pass

    text = '{"people": [{"name": "a", "age": 1}, {"name": "b"}]}'
    assert "$.people[1].age" in one_line(
        lambda: tool_arguments(function, "f").parse(text), di.ToolError
    )


def test_arguments_of_a_type_with_a_union_of_itself_are_read_within_bounds() -> None:
    """Also where they are JSON within a string."""

    def draw(tree: Tree) -> None:
        """Draw it."""

    value: dict[str, object] = {"v": "no"}
    for _ in range(30):
        value = {"c": value}
    parse = tool_arguments(draw, "draw").parse
    for argument in (value, json.dumps(value)):
        with pytest.raises(ToolError, match="too deeply"):
            parse(json.dumps({"tree": argument}))


def test_an_iterable_is_a_list_that_is_checked_before_the_call() -> None:
    """It can be read twice, and a wrong item is found before the function runs."""

    def total(numbers: Iterable[int]) -> tuple[int, int]:
        return sum(numbers), sum(numbers)

    assert called(total, '{"numbers": [1, 2]}') == (3, 3)
    with pytest.raises(ToolError, match=r"valid integer"):
        tool_arguments(total, "f").parse('{"numbers": [1, "x"]}')
