"""Values of variables, sealed before they are written: whoever reads the ledger, or a copy of it, reads no secrets.

The keys are the process's (`BERTH_SECRETS_KEYS`), not the ledger's. The first seals, all of them open: a new key is put
before the old one, which goes when no job that was sealed with it is still to start.
"""

from __future__ import annotations

from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from domain.failures import InvalidRequest, Unavailable


class NoSecretsKey(Unavailable):
    """This process has no key for secrets: its administrator must set BERTH_SECRETS_KEYS."""

    code = "no_secrets_key"


class Keyring:
    """The keys of this process, set once when it starts. Without any it seals and opens nothing."""

    def __init__(self) -> None:
        self._fernet: MultiFernet | None = None

    def use(self, keys: str) -> None:
        """Comma-joined, the one that seals first; empty: none. InvalidRequest for what is no key."""
        words = [word.strip() for word in keys.split(",") if word.strip()]
        try:
            fernets = [Fernet(word) for word in words]
        except ValueError as error:
            raise InvalidRequest(
                "BERTH_SECRETS_KEYS holds what is no key: each is 32 random bytes in URL-safe base64, comma-joined"
            ) from error
        self._fernet = MultiFernet(fernets) if fernets else None

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

    def _keys(self) -> MultiFernet:
        if self._fernet is None:
            raise NoSecretsKey
        return self._fernet


KEYRING: Final = Keyring()
