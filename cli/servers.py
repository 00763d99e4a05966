"""Which server a command talks to, and as whom: what was said, else the local stack."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.stack.stack import DEFAULT, Stack

DEFAULT_STACK = DEFAULT
API = "API"
TEMPORAL_UI = "Temporal UI"
"""Under these names the stack lists where people go."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where, and as whom."""

    url: str
    api_key: str


def chosen_server(url: str, api_key: str, stack_name: str) -> Server:
    """The server that was named, else the local stack's. The stack's own key goes to no other server."""
    if url:
        return Server(_checked_url(url), _checked_key(api_key))
    stack = Stack.open(stack_name)
    if not stack.exists:
        raise CommandFailed(
            f"no server was named, and there is no local stack {stack_name!r}",
            mend="start one with `berth up`, or name a server with --url or BERTH_URL",
            code=ExitCode.AWAY,
        )
    return Server(stack.urls()[API], _checked_key(api_key or stack.administrator_key() or ""))


def _checked_url(url: str) -> str:
    place = urlsplit(url)
    if place.scheme not in {"http", "https"} or not place.hostname:
        raise CommandFailed(f"{url!r} is not the URL of a server", mend="write https://host:port", code=ExitCode.USAGE)
    return url


def _checked_key(key: str) -> str:
    text = key.strip()
    if not text.isascii() or not text.isprintable():
        raise CommandFailed("the API key holds characters that no key has", code=ExitCode.USAGE)
    return text
