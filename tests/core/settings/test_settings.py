"""Settings: one value with a change at a time."""

from __future__ import annotations

import pytest

from di_magics.core.errors import ParamError
from di_magics.core.settings.settings import NAMES, Settings


def test_a_value_is_set_and_taken_out_again() -> None:
    """Each change is a new value, the old one stays as it was."""
    before = Settings()
    after = before.having("temperature", "0").having("model", "m").having("top-p", 0.5)
    assert after == Settings(model="m", params={"temperature": 0, "top_p": 0.5})
    assert after.lacking("top_p").lacking("model").lacking("temperature") == before == Settings()


def test_what_is_not_set_can_be_taken_out() -> None:
    """`%chat unset` of what is not set changes nothing."""
    assert Settings().lacking("seed").lacking("system") == Settings()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["", " \n", None, 5])
def test_a_name_takes_a_text(name: str, value: object) -> None:
    """Model, endpoint and system prompt are never blank."""
    with pytest.raises(ParamError, match=f"%chat unset {name}"):
        Settings().having(name, value)


def test_a_parameter_is_validated() -> None:
    """What does not fit is refused before anything changes."""
    with pytest.raises(ParamError, match="out of range"):
        Settings().having("temperature", 3)


@pytest.mark.parametrize("change", [lambda s: s.having("sytem", "x"), lambda s: s.lacking("sytem")])
def test_an_unknown_name_is_refused(change: object) -> None:
    """With the nearest name there is."""
    assert callable(change)
    with pytest.raises(ParamError, match="Did you mean system"):
        change(Settings())
