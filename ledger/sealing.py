"""Secrets, sealed before they are written: whoever reads the ledger, or a copy of it, reads none and can guess at none.

The keys are the process's (`BERTH_SECRETS_KEYS`), not the ledger's. The first seals, all of them open: a new key is put
before the old one, which goes when no job that was sealed with it is still to start.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from domain.failures import InvalidRequest, Unavailable

_MARKING: Final = b"berth: marks of requests"
"""What a key is turned into another one by, so that no key does two things."""


class NoSecretsKey(Unavailable):
    """This process has no key for secrets: its administrator must set BERTH_SECRETS_KEYS."""

    code = "no_secrets_key"


@dataclass(frozen=True, slots=True)
class _Keys:
    sealing: MultiFernet
    marking: tuple[bytes, ...]


class Keyring:
    """The keys of this process, set once when it starts. Without any it seals and opens nothing."""

    def __init__(self) -> None:
        self._held: _Keys | None = None

    def use(self, keys: str) -> None:
        """Comma-joined, the one that seals first; empty: none. InvalidRequest for what is no key."""
        words = [word.strip() for word in keys.split(",") if word.strip()]
        try:
            fernets = [Fernet(word) for word in words]
        except ValueError as error:
            raise InvalidRequest(
                "BERTH_SECRETS_KEYS holds what is no key: each is 32 random bytes in URL-safe base64, comma-joined"
            ) from error
        marking = tuple(hmac.digest(urlsafe_b64decode(word), _MARKING, "sha256") for word in words)
        self._held = _Keys(MultiFernet(fernets), marking) if words else None

    def require(self) -> None:
        """Return if secrets can be written, else raise NoSecretsKey."""
        self._keys()

    def seal(self, value: str) -> str:
        """What may be written. NoSecretsKey."""
        return self._keys().encrypt(value.encode()).decode()

    def opened(self, sealed: str) -> str:
        """What was sealed. NoSecretsKey, also where it was sealed with a key that is not here."""
        try:
            return self._keys().decrypt(sealed).decode()
        except InvalidToken as error:
            raise NoSecretsKey("none of the keys in BERTH_SECRETS_KEYS opens what was sealed in the ledger") from error

    def mark(self, content: bytes) -> bytes:
        """What tells contents apart; whoever has no key can try no guess on it. Where there is no key it is a plain hash."""
        return hmac.digest(self._held.marking[0], content, "sha256") if self._held else _hash(content)

    def is_mark_of(self, mark: bytes, content: bytes) -> bool:
        """Whether it was made of this content, with any of the keys or before there was one."""
        keys = self._held.marking if self._held else ()
        made = [_hash(content), *(hmac.digest(key, content, "sha256") for key in keys)]
        return any(hmac.compare_digest(mark, one) for one in made)

    def _keys(self) -> MultiFernet:
        if self._held is None:
            raise NoSecretsKey
        return self._held.sealing


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


KEYRING: Final = Keyring()
