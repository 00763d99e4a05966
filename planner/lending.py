"""What is guaranteed to one, and not used, is lent to others: to those who can be preempted.

A claim that can be preempted counts against no guarantee, so it may start where its workspace has no quota left. Here is
what that would mean for a claim that cannot be; which leases borrow, and who may have back what they do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from planner.axis import FOREVER
from planner.placement import earliest_window
from planner.snapshot import UNLIMITED, LeaseView
from planner.world import totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from planner.placement import Window
    from planner.snapshot import Claim, Snapshot
    from planner.world import World

    Strength = Callable[[LeaseView], tuple[int, tuple[int, int]]]
    """(band, work that is lost when it ends early, and what tells equals apart): the greater is the last to be ended."""

Room = tuple[str, ...]
"""Keys of guarantees that have room for a claim."""
Owner = tuple[int, str]
"""Who something is guaranteed to: 0 for a workspace, 1 for a department; and the guarantee's key."""


def noted(world: World, claim: Claim, window: Window) -> Window:
    """With when it would start if it could be preempted, where only a guarantee stands in the way of starting sooner.

    To be asked before the window is reserved, or else it stands in its own way.
    """
    if not any(share.budget.limit.guaranteed and share.decides(window.start) for share in world.shares(claim)):
        return window
    return window._replace(lent_from=sooner(world, claim, window.start))


def sooner(world: World, claim: Claim, than: int = FOREVER) -> int | None:
    """When it would start if it could be preempted; None: no sooner."""
    guarantees = {share.budget.limit.key for share in world.shares(claim) if share.budget.limit.guaranteed}
    if not guarantees:
        return None
    uses = tuple(use for use in claim.uses if use[0] not in guarantees)
    window = earliest_window(world, replace(claim, uses=uses))
    return window.start if window and window.start < than else None


def hint(world: World, start: int | None) -> str:
    """As the end of a sentence; empty where it would help nothing."""
    if start is None:
        return ""
    when = f"at {world.axis.spoken(start)}" if start else "at once"
    return f"; if it could be preempted, it could start {when}"


class Lent:
    """What is lent at one instant of a pass: the leases that borrow, and who may have back what is guaranteed to it.

    Whoever holds more than is guaranteed to it borrows the rest, and all where nothing is. A guarantee is filled with what
    cannot be preempted first, then with the stronger band, then with what has more work to lose; what fits no more borrows.
    Of a workspace in a department it borrows from others there what is beyond the workspace's guarantee, and from
    everybody else only what is beyond the department's too.

    Whoever would hold no more than is guaranteed to it may have that back, and does not let itself be preempted: so nobody
    takes it in turn.
    """

    def __init__(self, world: World, snapshot: Snapshot, instant: int, strength: Strength) -> None:
        """To be made before anything is reserved."""
        self._world = world
        self._instant = instant
        self._strength = strength
        amounts = ((limit.key, totals(limit, world.axis).at(instant)) for limit in snapshot.limits if limit.guaranteed)
        self._guaranteed = {key: amount for key, amount in amounts if amount < UNLIMITED}
        self._unused = Counter(self._guaranteed)
        self._leases = defaultdict[Owner, list[LeaseView]](list)
        for lease in snapshot.leases if self._guaranteed else ():
            if world.axis.freed_at(lease) > instant:
                self._unused.subtract(dict.fromkeys(lease.guarantees, lease.gpus_in_all))
                for owner in enumerate(lease.guarantees):
                    self._leases[owner].append(lease)
        self._ended: set[int] = set()
        self._borrowed: dict[Owner, set[int]] = {}

    def ended(self, leases: Iterable[LeaseView]) -> None:
        """These hold nothing any more at that instant."""
        for lease in leases:
            self._ended.add(lease.fence)
            self._forget(lease)

    def stay(self, leases: Iterable[LeaseView]) -> None:
        """Undoes an `ended`."""
        for lease in leases:
            self._ended.remove(lease.fence)
            self._forget(lease)

    def room(self, claim: Claim) -> Room:
        """Which guarantees are not exceeded when the claim has its GPUs too, beside all that is held and reserved then."""
        wanted = claim.gpus_in_all
        if claim.preemptible or not wanted:
            return ()
        possible = [key for key in claim.guarantees if key in self._guaranteed and self._unused[key] >= wanted]
        shares = self._world.guaranteed(claim) if possible else ()
        left = {share.budget.limit.key: share.budget.left.at(self._instant) for share in shares}
        return tuple(key for key in possible if left[key] >= wanted)

    def due(self, claim: Claim, room: Room, leases: Iterable[LeaseView]) -> set[int]:
        """Fences of those that borrow what is guaranteed to the claim."""
        if not room:
            return set()
        owed, found = dict[tuple[str, ...], bool](), set[int]()
        for lease in leases:
            theirs = lease.guarantees
            if theirs not in owed:
                owed[theirs] = bool(theirs) and self._is_owed(
                    room, [key for key in claim.guarantees if key not in theirs]
                )
            owners = (owner for owner in enumerate(theirs) if owner[1] not in claim.guarantees)
            if owed[theirs] and all(lease.fence in self._beyond(owner) for owner in owners):
                found.add(lease.fence)
        return found

    def _is_owed(self, room: Room, mine: Sequence[str]) -> bool:
        """Something is guaranteed, and nothing of it would be exceeded."""
        return any(key in room for key in mine) and all(key in room or key not in self._guaranteed for key in mine)

    def _beyond(self, owner: Owner) -> set[int]:
        """Fences of those that do not fit in its guarantee."""
        if owner not in self._borrowed:
            found = self._borrowed[owner] = set[int]()
            left = self._guaranteed.get(owner[1], 0)
            staying = (lease for lease in self._leases[owner] if lease.fence not in self._ended)
            for lease in sorted(staying, key=partial(self._importance, owner), reverse=True):
                if lease.preemptible and lease.gpus_in_all > left:
                    found.add(lease.fence)
                else:
                    left -= lease.gpus_in_all
        return self._borrowed[owner]

    def _importance(self, owner: Owner, lease: LeaseView) -> tuple[bool, int, bool, tuple[int, int]]:
        """The greater is filled in first."""
        inner = owner[0] - 1
        borrows_within = inner >= 0 and lease.fence in self._beyond((inner, lease.guarantees[inner]))
        band, loss = self._strength(lease)
        return (not lease.preemptible, band, not borrows_within, loss)

    def _forget(self, lease: LeaseView) -> None:
        for owner in enumerate(lease.guarantees):
            self._borrowed.pop(owner, None)
