"""Who goes first: band, priority, fair share, age. Nothing else decides about strength.

A wait lifts a request within its band, slowly. Promises are no matter of order: what is kept for a promise is out of
reach for all others, however strong (`promises`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from domain.priority import PRIORITY_MAX, band_of
from planner.axis import SECOND, Axis
from planner.snapshot import Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from planner.snapshot import LeaseView, Snapshot

OPEN_SECONDS_COUNTED = 24 * 3600
"""What a claim without an end weighs in fair share: a day."""
_TOP_OF_BAND = {band_of(priority): priority for priority in range(PRIORITY_MAX + 1)}
_DUE_STEPS = 1_000
"""Turns are compared in thousandths of a GPU-second for each unit of weight."""
_SECOND = timedelta(seconds=1)
_NO_WISHES: Mapping[str, Claim] = MappingProxyType({})


def in_order(snapshot: Snapshot, wishes: Mapping[str, Claim] = _NO_WISHES) -> list[Claim]:
    """Strongest first; equals by their workspaces' turns where standings are known, then by order of submission.

    Turns are taken apart in each pool that has standings. Who was preempted goes first in its band.
    Wishes, by id, stand among the queue as if each came alone.
    """
    lifted = _lifts(snapshot)
    everybody = [*snapshot.queue, *wishes.values()]
    by_age = sorted(
        everybody, key=lambda claim: (-lifted(claim), not claim.was_preempted, claim.sequence, claim.gpr_id)
    )
    if not snapshot.standings:
        return by_age
    turns = _turns(by_age, snapshot, wishes)
    return sorted(by_age, key=lambda claim: (-lifted(claim), not claim.was_preempted, turns[claim.gpr_id]))


def _lifts(snapshot: Snapshot) -> Callable[[Claim], int]:
    """The priority of a claim, with a point for each full period of waiting: never past its band."""
    if not snapshot.ageing_seconds:
        return lambda claim: _TOP_OF_BAND[band_of(claim.priority)] if claim.was_preempted else claim.priority
    axis, period = Axis.of(snapshot), snapshot.ageing_seconds * SECOND

    def lifted(claim: Claim) -> int:
        if claim.was_preempted:
            return _TOP_OF_BAND[band_of(claim.priority)]
        waited = -axis.offset(claim.submitted_at) if claim.submitted_at else 0
        return min(claim.priority + max(0, waited) // period, _TOP_OF_BAND[band_of(claim.priority)])

    return lifted


def _turns(claims: Iterable[Claim], snapshot: Snapshot, wishes: Mapping[str, Claim]) -> dict[str, int]:
    """What each claim's workspace will have had before it, in proportion to its weight: the least goes first.

    What its leases will still take counts as had, so that a grant does not earn another turn; and what its own stronger
    claims ask for, so that workspaces take turns within one plan. Of all this only what is of the same account.
    """
    accounts = _accounts(snapshot)
    everywhere_else = accounts[""]
    turns: dict[str, int] = {}
    for claim in claims:
        account = accounts.get(claim.pool, everywhere_else)
        had = account.had[claim.workspace]
        turns[claim.gpr_id] = had * _DUE_STEPS // account.weights.get(claim.workspace, 1)
        if claim.gpr_id not in wishes:
            account.had[claim.workspace] = had + _work(claim)
    return turns


class _Account(NamedTuple):
    """What workspaces weigh and have had beside one another: in one pool, or everywhere else."""

    weights: dict[str, int]
    had: defaultdict[str, int]


def _accounts(snapshot: Snapshot) -> dict[str, _Account]:
    """By pool: of each that has standings, and of all else under no name."""
    pools = {"", *(standing.pool for standing in snapshot.standings)}
    accounts = {pool: _Account({}, defaultdict(int)) for pool in pools}
    for standing in snapshot.standings:
        account = accounts[standing.pool]
        account.weights[standing.workspace] = standing.weight
        account.had[standing.workspace] = standing.used
    for lease in snapshot.leases:
        accounts.get(lease.pool, accounts[""]).had[lease.workspace] += _ahead(lease, snapshot.now)
    return accounts


def _ahead(lease: LeaseView, now: datetime) -> int:
    seconds = OPEN_SECONDS_COUNTED if lease.until is None else max(0, (lease.until - now) // _SECOND)
    return len(lease.gpus) * seconds


def _work(claim: Claim) -> int:
    seconds = OPEN_SECONDS_COUNTED if claim.duration_seconds is None else claim.duration_seconds
    return claim.nodes * claim.gpus_per_node * seconds
