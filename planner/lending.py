"""What is guaranteed to one, and not used, is lent to others: to those who can be preempted.

A claim that can be preempted counts against no guarantee, so it may start where its workspace has no quota left. Here is
what that would mean for a claim that cannot be: when it would start if it could.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from planner.axis import FOREVER
from planner.placement import earliest_window

if TYPE_CHECKING:
    from planner.placement import Window
    from planner.snapshot import Claim
    from planner.world import World


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
