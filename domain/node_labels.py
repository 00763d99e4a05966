"""Labels that people may put on nodes: how Kubernetes spells them, and which belong to somebody else. Pure."""

from __future__ import annotations

import re
from typing import Final

from domain.failures import InvalidRequest
from domain.identifiers import LABEL_DOMAIN

NAME_MAX: Final = 63
KEY_MAX: Final = 253
"""Kubernetes allows a little more, which nobody has."""
OWNED_DOMAINS: Final = (LABEL_DOMAIN, "kubernetes.io", "k8s.io", "x-k8s.io")
"""Berth's own, and those by which Kubernetes and its node agents steer."""
VENDOR: Final = "nvidia.com"
"""What it writes with a dot (`gpu.product`, `mig.config`) describes or changes the hardware under leases."""

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_PREFIX: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.ASCII)


def checked_key(key: str) -> str:
    """A key that a label may have, or InvalidRequest."""
    prefix, slash, name = key.rpartition("/")
    if len(key) > KEY_MAX or not _is_name(name) or (slash and not _is_prefix(prefix)):
        raise InvalidRequest(
            f"{key[:80]!r} is no key of a label: 1 to {NAME_MAX} letters, digits, '-', '_' or '.', beginning and ending "
            "with a letter or digit, after a domain and a slash where there is one"
        )
    return key


def checked_own_key(key: str) -> str:
    """A key that people may write, or InvalidRequest that says whose it is."""
    prefix, _, name = checked_key(key).rpartition("/")
    owner = next((domain for domain in OWNED_DOMAINS if prefix == domain or prefix.endswith(f".{domain}")), "")
    if prefix == VENDOR and "." in name:
        owner = VENDOR
    if owner:
        raise InvalidRequest(f"the label {key!r} belongs to {owner} and cannot be changed here", key=key)
    return key


def checked_value(value: str) -> str:
    """A value that a label may have, the empty one included; or InvalidRequest."""
    if value and not _is_name(value):
        raise InvalidRequest(
            f"{value[:80]!r} is no value of a label: at most {NAME_MAX} letters, digits, '-', '_' or '.', "
            "beginning and ending with a letter or digit"
        )
    return value


def _is_name(text: str) -> bool:
    return len(text) <= NAME_MAX and bool(_NAME.fullmatch(text))


def _is_prefix(text: str) -> bool:
    return bool(_PREFIX.fullmatch(text))
