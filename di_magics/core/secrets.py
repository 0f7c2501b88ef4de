"""What looks like a key or a password: by its form, or by the name it has."""

from __future__ import annotations

import re

# A key has a form: a known prefix, or the armour of a file. Sources: the providers' own docs.
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
# Names of secrets, and names of secrets where the value looks random.
_SECRET = {"password", "passwd", "pwd", "passphrase", "secret", "secrets", "credential"}
_SECRET |= {"credentials", "apikey", "passcode"}
_PERHAPS = {"key", "token", "auth", "bearer", "pat", "pin"}
_RANDOM = re.compile(r"(?=\D*\d)(?=[^A-Za-z]*[A-Za-z])[\w+/=-]{16,500}")
_WORDY = re.compile(r"[a-z]+(?:[_/-][a-z]+)*(?:[_/-]?\d{1,4})?")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


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
    """Return the text with each key, known by its form, replaced by `[secret]`."""
    return _KEY.sub("[secret]", text)
