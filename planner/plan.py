"""A pass: every claim in order gets the earliest window that fits, and holds it (conservative backfill).

So a weaker claim can only fill what the stronger ones leave, and never delays them. Windows that begin now are
grants; the others are forecasts. Writing either down is the caller's work.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from planner import lending
from planner.obstacles import Obstacles
from planner.order import in_order
from planner.placement import Window, earliest_window
from planner.preemption import Preemption, Preemptions
from planner.promises import Promises
from planner.reasons import Reason, waiting
from planner.world import World

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from planner.snapshot import Claim, HeldGpu, Snapshot


@dataclass(frozen=True, slots=True)
class Grant:
    """Start now, on exactly these GPUs."""

    gpr_id: str
    cluster: str
    gpus: tuple[HeldGpu, ...]


class Forecast(NamedTuple):
    """When and where a claim starts if nothing changes, and why not now."""

    gpr_id: str
    starts_at: datetime | None
    """None: nobody can know; the reason says why."""
    position: int
    """From 1, among all that stay queued, strongest first."""
    reason: Reason
    cluster: str | None = None
    nodes: tuple[str, ...] = ()
    """One for each of the claim's nodes; the same one more than once where they share it."""


@dataclass(frozen=True, slots=True)
class Opening:
    """When a claim that is not queued would start if it alone came to the queue."""

    starts_at: datetime | None
    """None: nobody can know."""
    reason: Reason | None
    """Why not now; None: it could start now."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every claim of the queue is in exactly one of the first two, strongest first."""

    grants: tuple[Grant, ...]
    forecasts: tuple[Forecast, ...]
    preemptions: tuple[Preemption, ...] = ()
    """None unless leases allow it. The forecasts are as if these leases were told now."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """What is to be done now."""

    grants: tuple[Grant, ...]
    preemptions: tuple[Preemption, ...]
    is_whole: bool = True
    """False: there may be more preemptions, in the next pass."""


def plan(snapshot: Snapshot) -> Plan:
    """Everything at once: who starts now and where, who starts when, and why not sooner."""
    world = World(snapshot)
    grants, forecasts, preemptions = list[Grant](), list[Forecast](), Preemptions(world, snapshot)
    for claim, outcome in _settle(world, in_order(snapshot), preemptions):
        if _starts_now(outcome):
            grants.append(_grant(claim, outcome))
        else:
            forecasts.append(_forecast(world, claim, outcome, len(forecasts) + 1))
    return Plan(tuple(grants), tuple(forecasts), tuple(preemptions))


def decide(snapshot: Snapshot) -> Decisions:
    """The grants and preemptions of `plan`, sooner: claims behind the last one that might get either are not looked at."""
    world = World(snapshot)
    preemptions = Preemptions(world, snapshot)
    settled = _settle(world, in_order(snapshot), preemptions, only_decisions=True)
    grants = tuple(_grant(claim, outcome) for claim, outcome in settled if _starts_now(outcome))
    return Decisions(grants, tuple(preemptions), is_whole=not preemptions.is_exhausted)


def outcome_of(snapshot: Snapshot, gpr_id: str) -> Grant | Forecast:
    """What `plan` says about one claim of the queue, sooner: weaker claims are not looked at."""
    world = World(snapshot)
    granted = 0
    settled = _settle(world, in_order(snapshot), Preemptions(world, snapshot))
    for place, (claim, outcome) in enumerate(settled, start=1):
        if claim.gpr_id == gpr_id:
            if _starts_now(outcome):
                return _grant(claim, outcome)
            return _forecast(world, claim, outcome, place - granted)
        if _starts_now(outcome):
            granted += 1
            _grant(claim, outcome)  # it picks its GPUs before the one that is asked about
    raise KeyError(gpr_id)


def openings(snapshot: Snapshot, wishes: Iterable[Claim]) -> dict[str, Opening]:
    """What `outcome_of` would say of each wish if it were queued alone, by its id: the queue is settled once for all.

    A wish reserves nothing, so none is in another's way.
    """
    asked = {wish.gpr_id: wish for wish in wishes}
    if not asked:
        return {}
    world = World(snapshot)
    found: dict[str, Opening] = {}
    for claim, outcome in _settle(world, in_order(snapshot, asked), Preemptions(world, snapshot), asked):
        if claim.gpr_id in asked:
            found[claim.gpr_id] = _opening(world, claim, outcome)
            if len(found) == len(asked):
                break
    return found


def _settle(
    world: World,
    claims: Sequence[Claim],
    preemptions: Preemptions,
    wishes: Collection[str] = (),
    *,
    only_decisions: bool = False,
) -> Iterator[tuple[Claim, Window | Reason]]:
    """Each claim with the window it now holds, or with the reason why it cannot have one. Wishes hold nothing.

    `only_decisions`: claims behind the last that might start now, or preempt, are left out.
    """
    obstacles = Obstacles(world)
    promises = Promises(world, claims)
    for claim in _up_to_the_last_hopeful(world, promises, preemptions, claims) if only_decisions else claims:
        if claim in promises:
            yield claim, promises.settle(claim)
            continue
        window = preemptions.window(claim, earliest_window(world, claim))
        if window and claim.uses and not only_decisions:
            window = lending.noted(world, claim, window)
        if window and claim.gpr_id not in wishes:
            world.reserve(claim, window)
        yield claim, window or obstacles.of(claim)
        if claim.gpr_id in wishes:
            preemptions.give_back(claim)


def _up_to_the_last_hopeful(
    world: World, promises: Promises, preemptions: Preemptions, claims: Iterable[Claim]
) -> Iterator[Claim]:
    """Asks anew before each claim, since every grant leaves fewer that might start now."""
    promised_now = promises.beginning_now()
    waiting_claims = deque(claims)
    while waiting_claims:
        last = waiting_claims[-1]
        if last.gpr_id in promised_now or world.might_start_now(last) or preemptions.may_help(last):
            yield waiting_claims.popleft()
        else:
            waiting_claims.pop()


def _starts_now(outcome: Window | Reason) -> TypeGuard[Window]:
    return isinstance(outcome, Window) and outcome.start == 0


def _grant(claim: Claim, window: Window) -> Grant:
    gpus = (gpu for node in window.nodes for gpu in node.pick_now(claim.gpus_per_node))
    return Grant(claim.gpr_id, window.cluster, tuple(gpus))


def _opening(world: World, claim: Claim, outcome: Window | Reason) -> Opening:
    if isinstance(outcome, Reason):
        return Opening(None, outcome)
    reason = None if _starts_now(outcome) else waiting(world, claim, outcome)
    return Opening(world.axis.instant(outcome.start), reason)


def _forecast(world: World, claim: Claim, outcome: Window | Reason, position: int) -> Forecast:
    if isinstance(outcome, Reason):
        return Forecast(claim.gpr_id, None, position, outcome)
    nodes = tuple([node.view.name for node in outcome.nodes])
    starts_at, reason = world.axis.instant(outcome.start), waiting(world, claim, outcome)
    return Forecast(claim.gpr_id, starts_at, position, reason, outcome.cluster, nodes)
