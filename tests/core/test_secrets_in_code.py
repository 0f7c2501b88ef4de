"""Passwords and keys in programs; more spellings are in tests/values/test_secret_values.py."""

from __future__ import annotations

import pytest
from growth import growth

from di_magics.core.secrets_in_code import find_in_code, hide_in_code

VALUE = "Hq7!vbn-42Kd"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (f"password: str = '{VALUE}'", "password"),
        (f'#define DB_PASSWORD "{VALUE}"', "DB_PASSWORD"),
        (f"parser.add('--password', default='{VALUE}')", "password"),
        (f"setenv('DB_PASSWORD', '{VALUE}')", "DB_PASSWORD"),
        (f"user.setPassword('{VALUE}')", "setPassword"),
        (f"print('DB_PASSWORD', '{VALUE}')", None),
        (f"check_password('{VALUE}')", None),
        (f"PASSWORD={VALUE}", None),
        ("password = input('Password: ')", None),
    ],
)
def test_a_quoted_text_belongs_to_the_name_before_it(code: str, name: str | None) -> None:
    """With what may stand between them."""
    assert find_in_code(code) == name


def test_a_shell_needs_no_quotes() -> None:
    """But another program does."""
    assert find_in_code(f"cd x; PGPASSWORD={VALUE} psql", shell=True) == "PGPASSWORD"
    assert find_in_code("PGPASSWORD=$SECRET psql", shell=True) is None


@pytest.mark.parametrize(
    "cell",
    [
        f'connect(user="ada", password="{VALUE}")',
        f"config = {{'password': '{VALUE}'}}",
        f"secret: str = '{VALUE}'",
        f"raise ValueError('login failed for ada, password={VALUE}')",
        f"headers = {{'Authorization': 'Bearer {VALUE}'}}",
        f'TOKEN = """{VALUE}"""',
        f"client = Client(token='{VALUE}', secret_key='{VALUE}')",
    ],
)
def test_a_secret_of_a_failed_cell_is_hidden_in_it_and_in_its_traceback(cell: str) -> None:
    """And the rest of both stays as it is."""
    trace = f"Traceback\n  File x\n    {cell}\nKeyError: '{VALUE}'"
    hidden = hide_in_code("Why?", cell, trace)
    assert hidden[0] == "Why?"
    assert VALUE not in str(hidden)
    assert "[secret]" in hidden[1]
    assert hidden[2].startswith("Traceback\n  File x\n")


def test_a_secret_in_a_message_alone_is_hidden() -> None:
    """As a library writes it."""
    trace = f"  File x\nOperationalError: no login with user=ada password={VALUE}, host=x"
    assert hide_in_code(trace) == [trace.replace(VALUE, "[secret]")]


@pytest.mark.parametrize(
    "cell",
    [
        "password = input('Password: ')",
        "df.sort_values(key='column', by='token')",
        "def check(password: str) -> bool:\n    raise ValueError('password: too short')",
        "password = 'ab'",
    ],
)
def test_an_ordinary_cell_is_not_changed(cell: str) -> None:
    """Else nobody could mend it."""
    assert hide_in_code(cell) == [cell]


@pytest.mark.parametrize(
    "piece", ["'a' ", "password ", "password = '", "a = ", "x=y ", "name:'b',"]
)
def test_the_time_is_linear(piece: str) -> None:
    """Also on one line."""

    def make(size: int) -> str:
        return piece * (size // len(piece))

    assert growth(find_in_code, 10_000, make) <= 3
    assert growth(hide_in_code, 10_000, make) <= 3
