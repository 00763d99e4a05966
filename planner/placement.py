"""Where and when a claim fits: the earliest window, and of the equally early ones the tightest.

Tightest means the fewest GPUs left free on the node when the claim starts, so that whole nodes stay whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from planner.axis import FOREVER
from planner.spans import overlaps, starts_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.nodes import Node
    from planner.search import Search
    from planner.snapshot import Claim
    from planner.spans import Span
    from planner.world import Share, World


Place = tuple[str, list["Node"]]
"""A cluster, and a node for each of the claim's."""


class Window(NamedTuple):
    """A start, and the nodes to start on."""

    start: int
    cluster: str
    nodes: tuple[Node, ...]
    held_back: bool
    """It starts the moment it may: its workspace or its own `not_before` decided, not a lack of GPUs."""
    lent_from: int | None = None
    """When it would start sooner if it could be preempted, and so count against no guarantee (`lending`)."""


def earliest_window(world: World, claim: Claim) -> Window | None:
    """The window to reserve; None when the claim never fits."""
    shares, stay = world.shares(claim), world.stay(claim)
    start = world.earliest_asked(claim)
    while True:
        start = _earliest_of_shares(shares, start, stay)
        window = _earliest_on_nodes(world, claim, start) if claim.gpus_per_node else _without_gpus(world, claim, start)
        if not shares or not window or window.start == start or _leave_room(shares, window.start, stay):
            return window
        start = window.start


def window_as_planned(world: World, claim: Claim, start: int, latest: int) -> Window | None:
    """The first window between these starts on the nodes of its last forecast; None when there is none."""
    searches = world.searches(claim) if claim.gpus_per_node else ()
    search = next((search for _, search in searches if search.cluster == claim.planned_cluster), None)
    if not search and claim.gpus_per_node:
        return None
    shares, stay = world.shares(claim), world.stay(claim)
    while start <= latest:
        fit = max([start, *(share.first_fit(start, stay) for share in shares)])
        fit = max(fit, search.planned_fit(claim, start)) if search else fit
        if fit == start:
            return _as_planned(world, claim, search, start)
        start = fit
    return None


def window_at(world: World, claim: Claim, start: int) -> Window | None:
    """The best window that begins at exactly that instant; None when it does not fit then."""
    if not _leave_room(world.shares(claim), start, world.stay(claim)):
        return None
    return _earliest_on_nodes(world, claim, start, start) if claim.gpus_per_node else _without_gpus(world, claim, start)


def _earliest_of_shares(shares: Sequence[Share], start: int, stay: int) -> int:
    """From when on there is enough left of all of them at once; FOREVER: never."""
    while True:
        before = start
        for share in shares:
            start = share.first_fit(start, stay)
        if start == before or len(shares) == 1:
            return start


def _leave_room(shares: Sequence[Share], start: int, stay: int) -> bool:
    return all(share.fits(start, stay) for share in shares)


def _without_gpus(world: World, claim: Claim, start: int) -> Window | None:
    cluster = next(iter(world.clusters(claim)), None)
    return Window(start, cluster, (), held_back=True) if cluster and start < FOREVER else None


def stretches_of(world: World, claim: Claim) -> list[Span]:
    """Every stretch of time in which it could start, in order; each from its first start to its last.

    Beside what is reserved, and whatever instant it asks for.
    """
    stay, shares = world.stay(claim), world.shares(claim)
    if claim.gpus_per_node:
        somewhere = overlaps((span for _, search in world.searches(claim) for span in search.starts()), 1)
    else:
        somewhere = [(0, FOREVER - 1)] if world.clusters(claim) else []
    within = [span for share in shares for span in starts_within(share.budget.left.spans(share.amount), stay)]
    return overlaps([*somewhere, *within], len(shares) + 1)


def _as_planned(world: World, claim: Claim, search: Search | None, start: int) -> Window | None:
    if not search:
        return _without_gpus(world, claim, start)
    return Window(start, search.cluster, tuple(search.planned(claim)), held_back=False)


def _earliest_on_nodes(world: World, claim: Claim, start: int, limit: int = FOREVER - 1) -> Window | None:
    best: Place | None = None
    best_preference = 0
    for preference, search in world.searches(claim):
        # a cluster that is less preferred has to be sooner
        found = search.earliest(claim, start, limit - 1 if best and preference > best_preference else limit)
        if not found:
            continue
        instant, nodes = found
        place = (search.cluster, nodes)
        if best is None or instant < limit or _merit(claim, place, instant) < _merit(claim, best, instant):
            best, best_preference, limit = place, preference, instant
    return Window(limit, best[0], tuple(best[1]), held_back=limit == start) if best else None


def _merit(claim: Claim, place: Place, instant: int) -> tuple[bool, int, str]:
    """Smaller is better, among equally early ones in clusters that are equally preferred."""
    cluster, nodes = place
    return (cluster != claim.planned_cluster, sum(node.steps.at(instant) for node in dict.fromkeys(nodes)), cluster)
