"""Lines of an authorized_keys file, as far as they can be let into a box: a key and nothing else.

What stands before a key there is a command to a server that reads it, and what stands behind it is anybody's text: neither
is kept. What is left was read by a parser of keys, so that it cannot be something else than it seems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 16384
LINE_LENGTH_MAX: Final = 8192
_TYPES: Final = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_KEY: Final = re.compile(
    rf"({'|'.join(re.escape(kind) for kind in _TYPES)})[ \t]+([A-Za-z0-9+/]+={{0,3}})(?:[ \t].*)?", re.ASCII
)
_OPTIONS: Final = re.compile(r'(?:[^\s"]|"(?:\\.|[^"\\])*")+[ \t]+', re.ASCII)


def usable_keys(text: str) -> Iterator[str]:
    """Each key of the text once, as `type base64`; a line that is none spoils no other."""
    seen = set()
    for line in text.splitlines():
        key = _bare(line.strip())
        if key is not None and key not in seen and _is_sound(key):
            seen.add(key)
            yield key


def _bare(line: str) -> str | None:
    if not line or line.startswith("#") or len(line) > LINE_LENGTH_MAX:
        return None
    found = _KEY.fullmatch(line)
    if found is None and (options := _OPTIONS.match(line)):
        found = _KEY.fullmatch(line, options.end())
    return f"{found[1]} {found[2]}" if found else None


def _is_sound(key: str) -> bool:
    try:
        parsed = load_ssh_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return not isinstance(parsed, RSAPublicKey) or RSA_BITS_MIN <= parsed.key_size <= RSA_BITS_MAX
