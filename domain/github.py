"""GitHub's user names, as far as they matter here: whose public keys open a box."""

from __future__ import annotations

import re
from typing import Final

from domain.failures import InvalidRequest

NAME_LENGTH_MAX: Final = 39
NAME_PATTERN: Final = r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*-?(_[A-Za-z0-9]+)?$"
"""Letters, digits and single hyphens, not first; old names may end with one. An underscore: managed by a company."""


def checked_user_name(text: str) -> str:
    """The name in lower case, as GitHub compares names; or InvalidRequest."""
    if len(text) > NAME_LENGTH_MAX or not re.fullmatch(NAME_PATTERN, text, re.ASCII):
        raise InvalidRequest(
            f"{text[: NAME_LENGTH_MAX + 1]!r} is no GitHub user name: at most {NAME_LENGTH_MAX} letters, digits and "
            f"single hyphens, not beginning with a hyphen"
        )
    return text.lower()
