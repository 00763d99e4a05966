"""Who starts now, by the rule of each policy: the real planner, and what others do.

All get the same snapshot and place alike (the tightest node first), so that only the rule makes the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.simulator.stock import Stock
from planner.axis import SECOND, Axis
from planner.plan import Grant, Plan, decide, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from planner.snapshot import Claim, HeldGpu, Snapshot


class Policy(NamedTuple):
    """A rule with a name."""

    name: str
    decide: Callable[[Snapshot], Plan]
    """Grants, and forecasts where the rule has any."""


class Backfill:
    """EASY: the first that does not fit has a start reserved; others may go first only if they do not move that start.

    One decision. Only the first has a reservation, and it is found anew each time.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._axis = Axis.of(snapshot)
        self._stock = Stock.now(snapshot)
        self._ends = [(self._axis.freed_at(lease) // SECOND, lease.gpus) for lease in snapshot.leases]
        self._grants: list[Grant] = []

    def decide(self, queue: Sequence[Claim]) -> Plan:
        """Who starts now, of a queue in order."""
        fitting = 0
        while fitting < len(queue) and (gpus := self._stock.find(queue[fitting])):
            self._start(queue[fitting], gpus)
            fitting += 1
        if fitting < len(queue):
            self._fill(queue[fitting], queue[fitting + 1 :])
        return Plan(tuple(self._grants), ())

    def _fill(self, head: Claim, others: Sequence[Claim]) -> None:
        reserved, later = self._stock.when_fits(head, sorted(self._ends, key=lambda end: end[0]))
        for claim in others:
            gpus = self._stock.find(claim)
            if gpus is None:
                continue
            if self._stay(claim) > reserved:
                later.take(gpus)
                if not later.find(head):
                    later.give(gpus)
                    continue
            self._start(claim, gpus)

    def _start(self, claim: Claim, gpus: tuple[HeldGpu, ...]) -> None:
        self._stock.take(gpus)
        self._ends.append((self._stay(claim), gpus))
        self._grants.append(Grant(claim.gpr_id, gpus[0].cluster, gpus))

    def _stay(self, claim: Claim) -> int:
        return (claim.duration_seconds or 0) + self._axis.turnaround // SECOND


def _in_turn(queue: Sequence[Claim], stock: Stock, *, blocks: bool) -> Plan:
    """`blocks`: the first that does not fit holds up all behind it."""
    grants: list[Grant] = []
    for claim in queue:
        gpus = stock.find(claim)
        if gpus:
            stock.take(gpus)
            grants.append(Grant(claim.gpr_id, gpus[0].cluster, gpus))
        elif blocks:
            break
    return Plan(tuple(grants), ())


def _by_age(snapshot: Snapshot) -> list[Claim]:
    return sorted(snapshot.queue, key=lambda claim: claim.sequence)


def _by_priority(snapshot: Snapshot) -> list[Claim]:
    return sorted(snapshot.queue, key=lambda claim: (-claim.priority, claim.sequence))


def _decisions(snapshot: Snapshot) -> Plan:
    decided = decide(snapshot)
    return Plan(decided.grants, (), decided.preemptions)


BERTH = Policy("Berth", plan)
BERTH_GRANTS = Policy("Berth", _decisions)
"""The same grants and preemptions, without the forecasts."""
FIFO = Policy("FIFO", lambda snapshot: _in_turn(_by_age(snapshot), Stock.now(snapshot), blocks=True))
STRICT = Policy("strict priority", lambda snapshot: _in_turn(_by_priority(snapshot), Stock.now(snapshot), blocks=True))
GREEDY = Policy("greedy priority", lambda snapshot: _in_turn(_by_priority(snapshot), Stock.now(snapshot), blocks=False))
"""Whatever fits starts, the stronger first: Kueue's best effort."""
EASY = Policy("EASY", lambda snapshot: Backfill(snapshot).decide(_by_priority(snapshot)))
EASY_FIFO = Policy("EASY, FIFO", lambda snapshot: Backfill(snapshot).decide(_by_age(snapshot)))
OTHERS = (FIFO, STRICT, GREEDY, EASY, EASY_FIFO)
