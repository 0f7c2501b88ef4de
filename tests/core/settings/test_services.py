"""The table of endpoints: every fact has a source; a user's own rows are checked."""

from __future__ import annotations

import re
from typing import Any

import pytest
from readme_tables import describe_fact, services_table

from di_magics.core.errors import ParamError
from di_magics.core.settings import services
from di_magics.core.settings.own_services import parse_services
from di_magics.core.settings.params import PARAMS
from di_magics.core.settings.services import SERVICES, UNKNOWN_SERVICE, Fact

FACTS = [
    pytest.param(service, name, fact, id=f"{service.name}-{name}")
    for service in SERVICES.values()
    for name, fact in service.facts.items()
]


def test_the_endpoints_are_these() -> None:
    """By the names that a user types."""
    assert services.ENDPOINTS == (
        "deepinfra",
        "local",
        "ollama",
        "lmstudio",
        "llamacpp",
        "vllm",
        "openai",
        "openrouter",
        "groq",
        "mistral",
        "together",
        "fireworks",
        "xai",
        "deepseek",
        "gemini",
    )


@pytest.mark.parametrize("service", SERVICES.values(), ids=lambda service: str(service.name))
def test_an_endpoint_is_on_this_machine_or_encrypted(service: services.Service) -> None:
    """One elsewhere needs a key, and says where to get it; one here says how it is started."""
    if service.name == services.LOCAL:
        assert not service.url
        return
    here = service.url.startswith("http://127.0.0.1:")
    assert here or service.url.startswith("https://")
    assert bool(service.start) == here
    assert bool(service.key_page) == (not here)
    assert here or service.key_variables
    assert not service.url.endswith("/")
    assert all(re.fullmatch("[A-Z_]+", name) for name in service.key_variables)
    assert services.is_name(service.name)


@pytest.mark.parametrize(("service", "name", "fact"), FACTS)
def test_a_fact_has_a_source_and_a_date_and_says_something(
    service: services.Service, name: str, fact: Fact
) -> None:
    """It is about a parameter, or a field that we send ourselves."""
    ours = ("stream_options", "reasoning_content", "tool_call_id", "prefill")
    assert name in PARAMS or name in ours
    assert fact.source
    assert re.fullmatch(r"20\d\d-[01]\d", fact.date)
    assert describe_fact(name, fact) or fact.default or fact.below
    assert not (fact.refused and fact.ignored)


def test_the_readmes_table_has_a_row_for_each() -> None:
    """With the address, the key, and what is known."""
    table = services_table()
    assert len(table.splitlines()) == 2 + len(SERVICES)
    assert "`http://127.0.0.1:11434/v1` (`ollama serve`) | not needed |" in table
    assert "`max_tokens` is sent as `max_completion_tokens`" in table
    assert "refuses `stop` with reasoning models" in table
    assert "continues a reply (`prefix`)" in table
    assert "`reasoning_content` goes back in later turns" in table


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("olama", "ollama"), ("open", "openai"), ("Groq", "groq"), ("scool", "school")],
)
def test_an_unknown_name_has_its_nearest_neighbours(name: str, nearest: str) -> None:
    """Also of the user's own."""
    own = parse_services({"school": "https://host/v1"}, "here")
    with pytest.raises(ParamError, match=f"Did you mean .*{nearest}"):
        services.find_service(name, own)


def test_nothing_is_known_of_an_unknown_endpoint() -> None:
    """Nor of a parameter that no source is about."""
    assert UNKNOWN_SERVICE.fact("temperature") == Fact()
    assert SERVICES["groq"].fact("top_k") == Fact()


def test_a_user_names_endpoints() -> None:
    """By an address, or with a key's variable, a model, and the facts of another."""
    own = parse_services(
        {
            "plain": "https://host/v1",
            "school": {
                "url": "https://school.example/v1",
                "key_variable": " SCHOOL_KEY ",
                "model": "a/model",
                "like": "vllm",
                "title": "our school",
                "headers": {"X-A": "$A"},
                "query": {"v": "1"},
            },
        },
        "here",
    )
    assert (own["plain"].url, own["plain"].title, own["plain"].facts) == (
        "https://host/v1",
        "plain",
        {},
    )
    school = own["school"]
    assert (school.name, school.title, school.model) == ("school", "our school", "a/model")
    assert school.key_variables == ("SCHOOL_KEY",)
    assert school.facts == SERVICES["vllm"].facts
    assert (school.headers, school.query) == ({"X-A": "$A"}, {"v": "1"})


def test_a_server_on_this_machine_may_be_elsewhere() -> None:
    """Its name keeps its facts and its commands, but not its key."""
    own = parse_services({"llamacpp": "http://127.0.0.1:9/v1"}, "here")["llamacpp"]
    assert own.facts == SERVICES["llamacpp"].facts
    assert (own.start, own.title) == (SERVICES["llamacpp"].start, "llama.cpp")
    assert own.key_variables == ()
    assert services.find_service("llamacpp", {"llamacpp": own}) is own


def test_no_key_page_is_inherited() -> None:
    """A gateway that is like OpenAI has keys of its own."""
    own = parse_services({"gate": {"url": "https://gate/v1", "like": "openai"}}, "here")["gate"]
    assert (own.key_page, own.key_variables) == ("", ())
    assert own.fact("max_tokens").field == "max_completion_tokens"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"a b": "https://host/v1"}, "letters, digits"),
        ({1: "https://host/v1"}, "letters, digits"),
        ({"openai": "https://host/v1"}, "built-in"),
        ({"local": "https://host/v1"}, "built-in"),
        ({"x": 1}, "must be an address"),
        ({"x": {"url": 1}}, "needs a text as its url"),
        ({"x": {"url": " "}}, "needs a text as its url"),
        ({"x": {}}, "has no address"),
        ({"x": {"url": "https://host/v1", "modle": "m"}}, "Did you mean model"),
        ({"x": {"url": "https://host/v1", "headers": {"X": 1}}}, "a table of texts as its headers"),
        ({"x": {"url": "https://host/v1", "query": "a=1"}}, "a table of texts as its query"),
        ({"x": {"url": "https://host/v1", "like": "opena"}}, "Did you mean openai"),
    ],
)
def test_a_wrong_entry_is_one_line_that_names_it(table: dict[Any, Any], problem: str) -> None:
    """And the file that it is in."""
    with pytest.raises(ParamError, match=problem) as error:
        parse_services(table, "the-file.toml")
    assert str(error.value).startswith("the-file.toml: the endpoint")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [("ollama", True), ("a-b_1", True), ("a.b", False), ("a/b", False), ("1a", False), ("", False)],
)
def test_a_name_is_not_an_address(text: str, name: bool) -> None:
    """An address has a dot, a colon or a slash."""
    assert services.is_name(text) is name


# What is checked before sending -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params", "problem"),
    [
        ("groq", {"logprobs": 5}, r"refuses logprobs.*%chat unset logprobs.*--extra logprobs="),
        ("gemini", {"seed": 1}, "Gemini refuses seed"),
        ("openai", {"stop": ("a",) * 5}, "stop must be at most 4 for OpenAI, not 5"),
        ("deepinfra", {"logprobs": 21}, "at most 20 .* A local model sends more"),
        ("vllm", {"logprobs": 21}, "at most 20"),
        ("deepseek", {"reasoning_effort": "none"}, "must be one of minimal, low"),
        ("deepinfra", {"reasoning_effort": "max"}, "must be one of none, low"),
        ("local", {"seed": 2**32 - 1}, "seed must be below 4294967295 for the local model"),
        ("llamacpp", {"seed": 2**32}, "must be below"),
        ("", {"logprobs": 21}, "at most 20 for this endpoint"),
    ],
)
def test_what_an_endpoint_is_known_to_refuse_is_said_before(
    name: str, params: dict[str, Any], problem: str
) -> None:
    """In one line, with the way out."""
    service = SERVICES.get(name, UNKNOWN_SERVICE)
    with pytest.raises(ParamError, match=problem) as error:
        service.check(params)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("openai", {"stop": ("a",) * 4, "logprobs": 20, "temperature": 2, "max_tokens": 5}),
        ("local", {"seed": 2**32 - 2, "logprobs": 10_000, "user": "me"}),
        ("xai", {"stop": ("a",), "frequency_penalty": 1}),
        ("deepseek", {"temperature": 1, "reasoning_effort": "max"}),
        ("ollama", {"top_k": 5}),
        ("groq", {"top_k": 5}),
        ("", {"stop": ("a",) * 16, "seed": 2**40}),
    ],
)
def test_anything_else_is_left_to_the_server(name: str, params: dict[str, Any]) -> None:
    """Also what it ignores, and what only some of its models refuse."""
    SERVICES.get(name, UNKNOWN_SERVICE).check(params)


def test_what_has_no_effect_is_a_warning() -> None:
    """And what only some models refuse."""
    assert SERVICES["ollama"].warnings(["top_k", "seed"]) == ["Ollama ignores top_k."]
    assert SERVICES["xai"].warnings(["stop"]) == ["xAI refuses stop with reasoning models."]
    assert UNKNOWN_SERVICE.warnings(["stop"]) == []


@pytest.mark.parametrize(
    ("name", "param", "default"),
    [
        ("deepinfra", "temperature", "1"),
        ("local", "temperature", "0.8"),
        ("llamacpp", "top_k", "40"),
        ("ollama", "temperature", "1"),
        ("openai", "top_p", "1 (off)"),
        ("groq", "temperature", ""),
        ("", "temperature", ""),
        ("", "stop", "none"),
        ("groq", "max_tokens", "the server's limit"),
    ],
)
def test_a_default_is_the_endpoints_own_or_not_known(name: str, param: str, default: str) -> None:
    """What does not depend on the endpoint holds for all."""
    assert SERVICES.get(name, UNKNOWN_SERVICE).default(PARAMS[param]) == default


def test_deepinfras_defaults_are_those_of_the_table_of_parameters() -> None:
    """They are in both, and are the same."""
    deepinfra = SERVICES["deepinfra"]
    assert {name: deepinfra.default(param) for name, param in PARAMS.items()} == {
        name: param.default for name, param in PARAMS.items()
    }


@pytest.mark.parametrize(
    ("name", "param", "field"),
    [
        ("openai", "max_tokens", "max_completion_tokens"),
        ("mistral", "seed", "random_seed"),
        ("lmstudio", "repetition_penalty", "repeat_penalty"),
        ("groq", "max_tokens", "max_tokens"),
        ("", "max_tokens", "max_tokens"),
    ],
)
def test_a_parameter_has_the_name_that_the_endpoint_has_for_it(
    name: str, param: str, field: str
) -> None:
    """Its own, unless another one is known."""
    assert SERVICES.get(name, UNKNOWN_SERVICE).name_of(param) == field
