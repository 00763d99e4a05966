"""A promised start, what an extension was granted, and the rules of the house for both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domain.failures import InUse

PROMISES_PER_WORKSPACE: Final = 4
EXTENSION_HOURS_MAX: Final = 7 * 24


class NoPromise(InUse):
    """Nobody can say when it starts, so nobody can promise it."""

    code = "no_promise"


class TooManyPromises(InUse):
    """The workspace has as many promises as it may have at once."""

    code = "too_many_promises"


class ExtensionRefused(InUse):
    """The lease cannot last that much longer."""

    code = "extension_refused"


@dataclass(frozen=True, slots=True)
class Promise:
    """A start that nobody who comes later can move."""

    made_at: datetime
    starts_at: datetime | None
    """No later than this. None: the hardware was lost, and nobody can say yet when there will be other."""
    cluster: str
    nodes: tuple[str, ...]
    """One for each of the Gpr's nodes; the same one more than once where they share it."""
    moves: int = 0
    """How often hardware was lost, and another start had to be promised."""


@dataclass(frozen=True, slots=True)
class TimeRules:
    """The rules of the house about time."""

    promises_per_workspace: int = PROMISES_PER_WORKSPACE
    """So many of its queued Gprs may have a promise at once; 0: none may."""
    extension_seconds_max: int = EXTENSION_HOURS_MAX * 3600
    """So much longer than it asked for may a lease last, in all."""


@dataclass(frozen=True, slots=True)
class Extension:
    """A lease lasts longer. `in_the_way`: what kept it from lasting as long as was asked for; empty: nothing did."""

    seconds: int
    in_the_way: str = ""
