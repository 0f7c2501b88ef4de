"""`{{name}}` in a prompt: replaced by a variable's text, once, and never by a secret."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from di_magics.core.errors import ParamError
from di_magics.core.secrets import looks_secret
from di_magics.core.settings.params import suggest
from di_magics.core.visible import one_line

MAX_VALUE_CHARS = 200_000
"""Characters; a longer value is refused, and can be attached (`-a`)."""

_NAME = re.compile(r"\{\{([^\W\d][^\s{}.\[(]*)(?:\}\}|[.\[(][^{}\n]{0,200}\}\})")


def fill_placeholders(
    text: str,
    value: Callable[[str], object],
    known: Iterable[str],
) -> str:
    """Return the text with every `{{name}}` replaced by the text of that value, in one pass.

    Other braces, `{{ name }}` with spaces, and braces in a value stay as they are. Raises
    ParamError for a name that is not in `known`, for an expression (`{{name.part}}`,
    `{{name[0]}}`, `{{name()}}`), for a value without a text or with too long a text, and for a text
    that looks like a secret.
    """
    known = set(known)

    def fill(match: re.Match[str]) -> str:
        name = unicodedata.normalize("NFKC", match[1])  # as Python does it
        is_expression = match.end(1) + 2 != match.end()
        if not match[1].isidentifier() or (is_expression and name not in known):
            return match[0]
        if is_expression:
            raise ParamError(
                f"{one_line(match[0], 80)} is not the name of a variable. Put the value into a "
                "variable first: x = … and {{x}}."
            )
        if name not in known:
            raise ParamError(
                f"There is no variable {one_line(name, 60)} to fill in.{suggest(name, known)} "
                f"To send the braces as they are, write {{{{ {one_line(name, 60)} }}}} with spaces."
            )
        text = plain_str(value(name), name)
        if len(text) > MAX_VALUE_CHARS:
            raise ParamError(
                f"The text of {name} is too long: {len(text):,} of at most {MAX_VALUE_CHARS:,} "
                f"characters. Attach its beginning with -a {name}."
            )
        if looks_secret(name, text):
            raise ParamError(
                f"{name} looks like a key or a password: nothing was sent. Put what the model may "
                "read into a variable of another name."
            )
        return text

    return _NAME.sub(fill, text)


def plain_str(value: object, name: str) -> str:
    """Return `str(value)` as a plain str. Raises ParamError where that raises anything."""
    try:
        text = str(value)
        # A class of the user's, derived from str, may have methods of its own.
        return text if type(text) is str else str.__str__(text)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        why = one_line(type(error).__name__, 60)
        raise ParamError(
            f"{name} has no text to fill in: its str() raised {why}. Put its text into a variable "
            "first."
        ) from None
