"""Windows that are kept until the turn of their claims: of promises, and of reservations with a fixed start.

All are kept before anyone is placed, so no claim can move one, however strong it is and whenever it came. At its turn
a promised claim may start earlier, never later; a reservation starts at its instant.

Only lost capacity breaks one. A lease that ended a little late is no such loss: what stands behind it moves by as little,
and so does what stands behind that. Whoever cannot have its nodes any more is served anew before all that have no
window: reservations first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from planner.axis import SECOND
from planner.placement import Window, earliest_window, window_as_planned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planner.snapshot import Claim
    from planner.world import World

SLACK: Final = 60 * SECOND
"""A kept window that is late by no more stays on its nodes."""


class Promises:
    """Those of one pass."""

    def __init__(self, world: World, claims: Sequence[Claim]) -> None:
        """`claims`: the queue in order."""
        self._world = world
        self._kept: dict[str, tuple[Claim, Window]] = {}
        pinned = sorted((claim for claim in claims if claim.fixed_start or claim.pinned_start), key=self._pin)
        for claim in pinned:
            start = self._pin(claim)
            self._keep(claim, window_as_planned(world, claim, start, start + SLACK))
        for claim in self._without_window(pinned, claims):
            self._keep(claim, earliest_window(world, claim))

    def __contains__(self, claim: Claim) -> bool:
        return claim.gpr_id in self._kept

    def __iter__(self) -> Iterator[tuple[Claim, Window]]:
        """Those whose turn has not come."""
        return iter(self._kept.values())

    def beginning_now(self) -> set[str]:
        """The ids of those whose turn has not come, and for whom what is kept begins now."""
        return {gpr_id for gpr_id, (_, window) in self._kept.items() if window.start == 0}

    def settle(self, claim: Claim) -> Window:
        """The window of a claim whose turn has come: what is kept for it, unless it can start earlier; it holds it."""
        _, kept = self._kept.pop(claim.gpr_id)
        if kept.start <= self._world.earliest_asked(claim):
            return kept
        self._world.give_back(claim, kept)
        found = earliest_window(self._world, claim)
        window = found if found and found.start < kept.start else kept
        self._world.reserve(claim, window)
        return window

    def _pin(self, claim: Claim) -> int:
        pinned = claim.fixed_start or claim.pinned_start
        return max(self._world.axis.offset(pinned) if pinned else 0, self._world.earliest_asked(claim))

    def _keep(self, claim: Claim, window: Window | None) -> None:
        if window:
            self._world.reserve(claim, window)
            self._kept[claim.gpr_id] = (claim, window)

    def _without_window(self, pinned: Iterable[Claim], claims: Iterable[Claim]) -> list[Claim]:
        """Reservations in order of time, then promises in order of strength."""
        reservations = [claim for claim in pinned if claim.fixed_start]
        promised = [claim for claim in claims if claim.pinned_start and not claim.fixed_start]
        return [claim for claim in (*reservations, *promised) if claim not in self]
