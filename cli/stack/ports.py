"""Which loopback ports a stack listens on: the well-known one where free, else a free one near it.

Only chooses; `settings` keeps the choice, so that a stack's addresses stay the same.
"""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING

from cli.stack.failures import StackError

if TYPE_CHECKING:
    from collections.abc import Container

LOOPBACK = "127.0.0.1"
TRIES_MAX = 2_000
QUIET_RANGE = range(20_000, 32_000)
"""Below the range that Linux takes outgoing connections from, so that a stopped part's port stays free."""


def is_free(port: int) -> bool:
    """Whether one could listen there now; what merely lingers in TIME_WAIT does not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_near(preferred: int, taken: Container[int]) -> int:
    """The preferred port, or the first free one above it that nobody else has claimed."""
    for port in range(preferred, min(preferred + TRIES_MAX, 65_536)):
        if port not in taken and is_free(port):
            return port
    raise StackError(f"no free port from {preferred} upward", mend="stop what listens on 127.0.0.1, or restart")


def free_anywhere(count: int) -> list[int]:
    """Distinct free ports for parts that nobody needs to remember, as tests start them."""
    chosen: set[int] = set()
    for _ in range(TRIES_MAX):
        port = random.choice(QUIET_RANGE)  # noqa: S311 - a port, not a secret
        if port not in chosen and is_free(port):
            chosen.add(port)
        if len(chosen) == count:
            return list(chosen)
    raise StackError(f"no {count} free ports on {LOOPBACK}", mend="stop what listens there")
