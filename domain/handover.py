"""How long GPUs take from one lease to the next: what plans allow for on both sides of a lease."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LESSONS_MIN: Final = 20
"""Leases that are over; fewer teach nothing."""
SECONDS_MAX: Final = 600
"""What takes longer is a fault, and no plan allows for it."""
STEADY: Final = 0.25
"""A share by which what is seen may differ from what is known: else every start that is shown would move each time."""


@dataclass(frozen=True, slots=True)
class Handover:
    """Whole seconds from a grant until its lease begins, and from a lease's end until its GPUs are free."""

    provisioning_seconds: int = 3
    teardown_seconds: int = 5


USUAL: Final = Handover()
"""Where nothing was learnt yet, and the least that is ever allowed for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What half of so many leases stayed within, in seconds."""

    leases: int
    provisioning: float
    teardown: float


def learnt(known: Handover, seen: Seen) -> Handover:
    """What to allow for from now on."""
    if seen.leases < LESSONS_MIN:
        return known
    return Handover(
        _adjusted(known.provisioning_seconds, seen.provisioning, USUAL.provisioning_seconds),
        _adjusted(known.teardown_seconds, seen.teardown, USUAL.teardown_seconds),
    )


def _adjusted(known: int, seen: float, least: int) -> int:
    wanted = min(max(math.ceil(seen), least), SECONDS_MAX)
    return wanted if abs(wanted - known) > STEADY * known else known
