"""Settings: one value with a change at a time."""

from __future__ import annotations

import pytest

from di_magics.core.errors import ParamError
from di_magics.core.settings.settings import TEXT_SETTINGS, Settings


def test_a_value_is_set_and_unset() -> None:
    """Each change is a new value, the old one stays as it was."""
    before = Settings()
    after = before.with_value("temperature", "0").with_value("model", "m").with_value("top-p", 0.5)
    assert after == Settings(model="m", params={"temperature": 0, "top_p": 0.5})
    assert (
        after.without_value("top_p").without_value("model").without_value("temperature")
        == before
        == Settings()
    )


def test_which_cells_above_are_sent_is_a_number_new_or_all() -> None:
    """0 sends none, as if it were not set."""
    assert Settings().with_value("above", "2") == Settings(above=2)
    assert Settings().with_value("above", "new") == Settings(above="new")
    assert Settings().with_value("above", "all") == Settings(above="all")
    assert Settings(above=2).with_value("above", "0") == Settings()
    assert Settings(above=2).without_value("above") == Settings()
    for wrong in ("some", "-1", True, None):
        with pytest.raises(ParamError, match="number of cells"):
            Settings().with_value("above", wrong)


def test_the_context_is_a_number_of_turns_or_all() -> None:
    """All is what it is where nothing is set."""
    some = Settings().with_value("context", "3")
    assert some == Settings(context=3)
    assert some.with_value("context", "all") == Settings()


def test_a_setting_that_is_not_set_can_be_unset() -> None:
    """`%chat unset` of what is not set changes nothing."""
    assert Settings().without_value("seed").without_value("system") == Settings()


@pytest.mark.parametrize("name", TEXT_SETTINGS)
@pytest.mark.parametrize("value", ["", " \n", None, 5])
def test_a_text_setting_must_be_a_text(name: str, value: object) -> None:
    """Model, endpoint and system prompt are never blank."""
    with pytest.raises(ParamError, match=f"%chat unset {name}"):
        Settings().with_value(name, value)


def test_a_parameter_is_validated() -> None:
    """What does not fit is refused before anything changes."""
    with pytest.raises(ParamError, match="out of range"):
        Settings().with_value("temperature", 3)


@pytest.mark.parametrize(
    "change", [lambda s: s.with_value("sytem", "x"), lambda s: s.without_value("sytem")]
)
def test_an_unknown_name_is_refused(change: object) -> None:
    """With the nearest name there is."""
    assert callable(change)
    with pytest.raises(ParamError, match="Did you mean system"):
        change(Settings())


@pytest.mark.parametrize("typed", ["a/b", '"a/b"', "'a/b'", " a/b "])
@pytest.mark.parametrize("name", ["model", "endpoint"])
def test_quotes_and_spaces_around_a_name_are_not_part_of_it(name: str, typed: str) -> None:
    """`%chat model "a/b"` sets a/b; a system prompt may be in quotes."""
    assert getattr(Settings().with_value(name, typed), name) == "a/b"
    assert Settings().with_value("system", '"Hi"').system == '"Hi"'


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        (["model=big", "endpoint=local"], None),
        (["model=big", "endpoint=local", "endpoint=deepinfra"], "big"),
        (["model=big", "endpoint=local", "endpoint="], "big"),
        (["model=big", "endpoint=local", "endpoint=local:a.gguf", "endpoint="], "big"),
        (["endpoint=local", "model=small", "endpoint=https://a", "endpoint=local"], "small"),
        (["model=big", "endpoint=https://a"], "big"),
        (
            [
                "endpoint=https://a",
                "model=a",
                "endpoint=https://b",
                "model=b",
                "endpoint=https://a",
            ],
            "a",
        ),
        (["endpoint=https://a", "model=a", "endpoint=https://b", "model=b", "endpoint="], None),
        (["model=big", "endpoint=local", "model=small", "endpoint=https://c"], "big"),
    ],
)
def test_a_model_belongs_to_its_endpoint(changes: list[str], model: str | None) -> None:
    """It is back with it; a model on this machine is never sent elsewhere, nor another one here."""
    settings = Settings()
    for change in changes:
        name, value = change.split("=")
        settings = settings.with_value(name, value) if value else settings.without_value(name)
    assert settings.model == model


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [(None, "local"), ("https://a", "local"), ("local", "local"), ("local:a.gguf", "local:a.gguf")],
)
def test_the_local_endpoint_is_the_one_that_is_set(endpoint: str | None, local: str) -> None:
    """Where another or none is set, it is that of the built-in model."""
    assert Settings(endpoint=endpoint).local_endpoint == local


def test_the_same_endpoint_changes_nothing() -> None:
    """Not the model, either."""
    settings = Settings(model="a", endpoint="https://a")
    assert settings.at_endpoint("https://a") is settings


def test_other_fields_of_the_request_are_set_as_json() -> None:
    """One by one, or as a dict; `extra` alone removes all of them."""
    settings = Settings().with_value("extra.a", '{"b": 1}').with_value("extra.c", "true")
    assert settings.extra == {"a": {"b": 1}, "c": True}
    assert settings.without_value("extra.a").extra == {"c": True}
    assert settings.without_value("extra").extra == {}
    assert settings.with_value("extra", {"d": None}).extra == {"d": None}


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("extra.a", "flex", "is not JSON"),
        ("extra.model", '"m"', "cannot replace"),
        ("extra.", "1", "not the name"),
        ("extra", "1", "a dict of fields"),
        ("extra", {"a": {1}}, "JSON"),
    ],
)
def test_a_wrong_field_changes_nothing(name: str, value: object, problem: str) -> None:
    """In one line."""
    with pytest.raises(ParamError, match=problem):
        Settings().with_value(name, value)


def test_a_field_that_cannot_be_there_is_not_removed() -> None:
    """Its name is a mistake."""
    with pytest.raises(ParamError, match="cannot replace"):
        Settings().without_value("extra.stream")
