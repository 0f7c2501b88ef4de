"""Keys and passwords, known by their form or by their name."""

from __future__ import annotations

import pytest

from di_magics.core.secrets import looks_secret, redact

LONGEST = 200_000
KEYS = [
    "sk-proj-abcdefGHIJ0123456789",
    "sk_live_0123456789abcdefXYZ",
    "pk-0123456789abcdefghij",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0123456789_abcdef",
    "glpat-0123456789abcdef_-XY",
    "hf_abcdefghijABCDEFGHIJ0123",
    "gsk_abcdefghijABCDEFGHIJ0123",
    "xoxb-123456789012-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "AIzaSyA-0123456789abcdefghij_0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "jwt:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn",
    "postgresql+psycopg2://ann:s3cret@db.example.org/school",
]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["a", "eyJ-", "x://", "sk-", "-----BEGIN ", "key "])
def test_a_long_value_is_looked_through_in_no_time(piece: str) -> None:
    """A gene of 200,000 letters is one word, and still takes one pass."""
    looks_secret("dna", piece * (LONGEST // len(piece)))


@pytest.mark.parametrize(
    "text",
    [
        "redis://:s3cret-password@cache.example.org:6379/0",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBF",
    ],
)
def test_a_password_without_a_user_and_a_pgp_key_are_secrets(text: str) -> None:
    """Both forms are common in settings of a reader's."""
    assert looks_secret("settings", text)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "PASSWORD",
        "db_password",
        "dbPassword",
        "Password1",
        "passwd",
        "my_pwd",
        "passphrase",
        "client_secret",
        "SECRETS",
        "credentials",
        "awsCredential",
        "apikey",
        "APIKEY",
    ],
)
def test_a_name_may_say_that_it_is_a_secret(name: str) -> None:
    """Then any text is one, and no text at all is none."""
    assert looks_secret(name, "hello")
    assert not looks_secret(name, " \n")


@pytest.mark.parametrize(
    "name",
    ["key", "api_key", "apiKey", "API_KEY", "token", "MY_TOKEN", "auth", "bearer", "pat"],
)
def test_other_names_say_so_of_what_looks_drawn_at_random(name: str) -> None:
    """Sixteen characters in one word, with letters and digits."""
    assert looks_secret(name, " 0a1B2c3D4e5F6g7H8 \n")
    for text in ("hello", "1234567890123456", "abcdefghijklmnop", "short1", "two words 12345678"):
        assert not looks_secret(name, text)


@pytest.mark.parametrize("key", KEYS)
def test_what_has_the_form_of_a_key_is_left_out_of_a_trace(key: str) -> None:
    """The text around it stays."""
    shown = redact(f"before {key} after")
    assert shown.startswith("before ")
    assert "[secret]" in shown
    assert key not in shown
    assert redact("before after") == "before after"


def test_nothing_is_left_of_a_key_in_armour() -> None:
    """Lines that say how it is encrypted have hyphens, and the key itself follows them."""
    armour = (
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\n"
        "MIIEow\n-----END RSA PRIVATE KEY-----"
    )
    assert redact(f"a\n{armour}\nb") == "a\n[secret]\nb"
