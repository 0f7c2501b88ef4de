"""Values as JSON."""

from __future__ import annotations

import warnings
from datetime import date
from typing import Any

import pandas as pd
import pydantic
import pytest
from schema_classes import Colour, Person, Place

from di_magics.values.typed_json import to_json

KEY = "sk-" + "a1B2" * 10


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({"a": [1, 2.5, "é"]}, '{"a":[1,2.5,"é"]}'),
        (Place(1.0), '{"x":1.0,"y":0.0}'),
        (Person(name="Ada", age=36), '{"name":"Ada","age":36,"friends":[]}'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (Colour.RED, '"red"'),
        ((1, 2), "[1,2]"),
        ({3}, "[3]"),
        (float("nan"), "null"),
        (10**400, "1" + "0" * 400),
        (pydantic.SecretStr(KEY), '"**********"'),
    ],
)
def test_a_value_has_a_form_in_json(value: object, text: str) -> None:
    """Plain values, dataclasses, models, dates and enumerations are written as JSON."""
    assert to_json(value) == text


class Failing(pydantic.BaseModel):
    """A model that cannot be written."""

    @pydantic.model_serializer
    def written(self) -> dict[str, Any]:
        """Fail."""
        raise RuntimeError("no")


def circle() -> list[Any]:
    """Return a list that is in itself."""
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    "value", [object(), pd.DataFrame(), circle, circle(), Failing(), "\ud800", b"\xff"]
)
def test_a_value_without_a_form_in_json_is_none(value: object) -> None:
    """What has no such form gives nothing, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_json(value) is None
