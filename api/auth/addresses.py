"""Addresses of those who vouch for people: what they say is believed, so nobody may say it in their place."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def checked_address(url: str, what: str) -> str:
    """An address over TLS, or on this machine. Raises ValueError."""
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        raise ValueError(f"{what} is an address: https://host")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise ValueError(f"{what} is asked over https; http is for this machine alone")
    return url


def checked_origin(url: str, what: str) -> str:
    """The same without a path, a query or a user. Raises ValueError."""
    parts = urlsplit(checked_address(url, what))
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{what} has no path")
    return url


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
