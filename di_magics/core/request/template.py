"""`{{name}}` in a prompt: filled in with a variable's text, once, and never with a secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from di_magics.core.errors import ParamError
from di_magics.core.settings.params import suggest
from di_magics.core.text import one_line

LONGEST = 200_000
"""A value of more characters than this is no part of a sentence; `-a` attaches it, bounded."""

_NAME = re.compile(r"\{\{([^\W\d]\w*)\}\}")

# Keys have a form: a known beginning, or the armour of a file. Sources: the providers' own docs.
_KEY = re.compile(
    r"(?<!\w)(?:"
    r"(?:sk|pk|rk)[-_](?:(?=[\w-]{0,200}\d)[\w-]{16,}|[\w-]{32,})"
    r"|gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|hf_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|xox[abeoprs]-[\w-]{10,}"
    r"|A(?:KIA|SIA)[A-Z0-9]{16}\b|AIza[\w-]{30,}"
    r"|(?:jwt:)?eyJ[\w-]{8,500}\.eyJ[\w-]{8,}(?:\.[\w-]+)?"
    r"|\w{1,20}://[^\s/:@?#\[\]]{0,100}:[^\s/@?#\[\]]{1,200}@"
    r")"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----)[\s\S]){0,20000}(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
)
# Names that say so, and names that say so only of a value that looks drawn at random.
_SECRET = {"password", "passwd", "pwd", "passphrase", "secret", "secrets", "credential"}
_SECRET |= {"credentials", "apikey", "passcode"}
_PERHAPS = {"key", "token", "auth", "bearer", "pat", "pin"}
_RANDOM = re.compile(r"(?=\D*\d)(?=[^A-Za-z]*[A-Za-z])[\w+/=-]{16,500}")
_WORDY = re.compile(r"[a-z]+(?:[_/-][a-z]+)*(?:[_/-]?\d{1,4})?")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def placeholder_names(text: str) -> list[str]:
    """Return the names that a text asks to be filled in, in order."""
    return [found[1] for found in _NAME.finditer(text)]


def fill_placeholders(
    text: str,
    value: Callable[[str], object],
    known: Iterable[str],
    secrets: Iterable[str] = (),
) -> str:
    """Return the text with each `{{name}}` replaced by the text of that value, in one pass.

    Only a name between two braces on each side counts: other braces, `{{ name }}` with spaces and
    what stands in a value stay as they are. `secrets` are texts that must not be in it. Raises
    ParamError for a name that is not in `known`, a value that has no text or too long a one, and
    one that looks like a secret.
    """
    known = set(known)
    secrets = [secret for secret in secrets if secret]

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if not name.isidentifier():
            return found[0]
        if name not in known:
            raise ParamError(
                f"There is no variable {one_line(name, 60)} to fill in.{suggest(name, known)} "
                f"To send the braces as they are, write {{{{ {one_line(name, 60)} }}}} with spaces."
            )
        said = value_text(value(name), name)
        if len(said) > LONGEST:
            raise ParamError(
                f"The text of {name} is {len(said):,} characters long. -a {name} attaches what "
                "fits of it."
            )
        if looks_secret(name, said) or any(secret in said for secret in secrets):
            raise ParamError(
                f"{name} looks like a key or a password, so it was not filled in and nothing was "
                "sent. What a model is to read goes into a variable of another name."
            )
        return said

    return _NAME.sub(fill, text)


def value_text(value: object, name: str) -> str:
    """Return `str(value)` as a plain text. Raises ParamError where that fails, whatever it does."""
    try:
        said = str(value)
        # A class of the reader's, derived from str, may have methods of its own.
        return said if type(said) is str else str.__str__(said)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        why = one_line(type(error).__name__, 60)
        raise ParamError(f"{name} has no text to fill in: its str() raised {why}.") from None


def looks_secret(name: str, text: str) -> bool:
    """Return whether a variable looks like a key or a password, by its name or by its text."""
    words = {word.lower() for word in _WORDS.findall(name)}
    if words & _SECRET and text.strip():
        return True
    bare = text.strip()
    if words & _PERHAPS and _RANDOM.fullmatch(bare) and not _WORDY.fullmatch(bare):
        return True
    return bool(_KEY.search(text))


def redact(text: str) -> str:
    """Return the text with what has the form of a key replaced by `[secret]`."""
    return _KEY.sub("[secret]", text)
