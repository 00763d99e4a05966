"""What the shell offers after Tab: names that the server knows. In silence and at once, or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import islice

from cli.client import BerthClient
from cli.client.transport import AT_ONCE, Transport
from cli.failures import EXPECTED
from cli.servers import DEFAULT_STACK, chosen_server

OFFERED_MAX = 50


def workspace_names(incomplete: str) -> list[str]:
    """Workspaces by name."""
    return _offered(lambda client: (each.name for each in client.workspaces()), incomplete)


def cluster_names(incomplete: str) -> list[str]:
    """Clusters by name."""
    return _offered(lambda client: (each.name for each in client.clusters()), incomplete)


def gpr_words(incomplete: str) -> list[str]:
    """Gprs by name and by the beginning of their id, newest first."""
    return _offered(
        lambda client: (word for each in islice(client.gprs(), OFFERED_MAX) for word in (each.name, str(each.id)[:8])),
        incomplete,
    )


def _offered(words: Callable[[BerthClient], Iterable[str]], incomplete: str) -> list[str]:
    try:
        server = chosen_server(
            os.environ.get("BERTH_URL", ""),
            os.environ.get("BERTH_API_KEY", ""),
            os.environ.get("BERTH_STACK", DEFAULT_STACK),
        )
        transport = Transport(server.url, server.api_key, patience=AT_ONCE)
        with BerthClient(server.url, transport=transport) as client:
            found = dict.fromkeys(word for word in words(client) if word.startswith(incomplete))
    except EXPECTED:
        return []  # a word may not be completed; the prompt must stay whole
    return list(islice(found, OFFERED_MAX))
