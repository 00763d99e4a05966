"""From what people type to one Gpr: a whole id, the beginning of one, or a name."""

from __future__ import annotations

import re
from itertools import islice
from uuid import UUID

from cli.client import BerthClient, Gpr, NotFound
from cli.exits import ExitCode
from cli.failures import CommandFailed

SEARCHED_MAX = 500
"""Newest Gprs looked through for a beginning or a name; older ones are found by their whole id."""
BEGINNING_MIN = 4
EXTERNAL_ID = re.compile(r"gpr-[0-9a-f]{8}-[0-9a-f]{4}", re.ASCII)


def find_gpr(client: BerthClient, words: str) -> Gpr:
    """The Gpr that is meant, or why it is not clear which."""
    if _is_id(words):
        return client.gpr(words)
    found = [gpr for gpr in islice(client.gprs(), SEARCHED_MAX) if _is_meant(gpr, words)]
    if not found:
        raise NotFound(f"no Gpr is called {words!r}, nor begins its id so", code="not_found")
    # a name that was used before means the one that still lives
    living = [gpr for gpr in found if not gpr.ended]
    return _only(living or found[:1], words)


def _only(found: list[Gpr], words: str) -> Gpr:
    if len(found) > 1:
        ids = ", ".join(str(gpr.id)[:13] for gpr in found)
        raise CommandFailed(f"{words!r} may mean {ids}", mend="write more of the id", code=ExitCode.USAGE)
    return found[0]


def _is_meant(gpr: Gpr, words: str) -> bool:
    return words == gpr.name or (len(words) >= BEGINNING_MIN and str(gpr.id).startswith(words.lower()))


def _is_id(words: str) -> bool:
    if EXTERNAL_ID.fullmatch(words):
        return True
    try:
        UUID(words)
    except ValueError:
        return False
    return True
