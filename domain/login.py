"""Who somebody is for whoever vouches for them, and what they are called here because of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

WORKSPACE_PREFIX: Final = "dev-"
LOGIN_MARK: Final = "@"
"""In the name of every principal that a login made, and of no other."""
_SLUG_LENGTH_MAX: Final = 40
_LOCAL_LENGTH_MAX: Final = 64
_SUFFIXES: Final = (6, 12, 32)
"""Hex digits that tell two of the same name apart; more where even those are taken."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody as an issuer knows them. The pair of `issuer` and `subject` never means anybody else.

    `user_name` is what people call them, which may change or be another's, too; `realm` says whose word that is.
    """

    issuer: str
    subject: str
    user_name: str
    realm: str


def principal_names(subject: Subject) -> Iterator[str]:
    """Names for a new principal, the first that is free to be taken: `jschmidt@aws`, then `jschmidt-3fa9c1@aws`.

    Each has an @, which names given by administrators have not: a login never becomes a principal that others meant.
    """
    local, _, own_realm = subject.user_name.partition("@")
    name, realm = _plain(local) or "user", _plain(own_realm) or subject.realm
    digest = hashlib.sha256(f"{subject.issuer}\n{subject.subject}".encode()).hexdigest()
    yield f"{name}@{realm}"
    for length in _SUFFIXES:
        yield f"{name}-{digest[:length]}@{realm}"


def user_name_of(principal_name: str) -> str:
    """What somebody is called without saying who vouches for it."""
    return principal_name.partition("@")[0]


def personal_workspace_names(principal_name: str, principal_id: UUID) -> list[str]:
    """Names for a principal's own workspace, in the order in which they are tried; each is a namespace's name, too."""
    slug = re.sub(r"[^a-z0-9]+", "-", user_name_of(principal_name).lower())[:_SLUG_LENGTH_MAX].strip("-") or "user"
    suffixed = [f"{WORKSPACE_PREFIX}{slug[:24].strip('-')}-{principal_id.hex[-length:]}" for length in _SUFFIXES]
    return [f"{WORKSPACE_PREFIX}{slug}", *suffixed]


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+=-]+", "-", text)[:_LOCAL_LENGTH_MAX].strip("-")
