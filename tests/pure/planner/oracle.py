"""The same plan, found the slow and obvious way: try every instant at which anything ends, in order.

Shares nothing with the planner but the snapshot, so that the two agree only when both are right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from planner.snapshot import Claim, LeaseView, NodeView, Snapshot

Place = tuple[str, str]


class Span(NamedTuple):
    start: datetime
    end: datetime | None

    def covers(self, instant: datetime) -> bool:
        return self.start <= instant and (self.end is None or instant < self.end)


class Start(NamedTuple):
    when: datetime
    cluster: str
    nodes: tuple[str, ...]


@dataclass
class Oracle:
    snapshot: Snapshot
    used: list[tuple[Place, int, Span]] = field(default_factory=list)
    seats: list[tuple[str, Span]] = field(default_factory=list)
    shares: list[tuple[str, int, Span]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for lease in self.snapshot.leases:
            span = Span(self.snapshot.now, self._freed(lease))
            self.used += [
                ((gpu.cluster, gpu.node), 1, span)
                for gpu in lease.gpus
                if self._counts(gpu.cluster, gpu.node, gpu.ordinal)
            ]
            if lease.exclusive:
                self.seats.append((lease.workspace, span))
            self.shares += [(key, amount, span) for key, amount in lease.uses]

    def starts(self) -> dict[str, Start | None]:
        """The start of every claim, in plan order."""
        found = {}
        for claim in sorted(self.snapshot.queue, key=lambda claim: (-claim.priority, claim.sequence)):
            found[claim.gpr_id] = start = self.earliest(claim)
            if start:
                self.reserve(claim, start)
        return {
            gpr_id: start and start._replace(nodes=tuple(dict.fromkeys(start.nodes))) for gpr_id, start in found.items()
        }

    def earliest(self, claim: Claim) -> Start | None:
        asked = max(self.snapshot.now, claim.not_before or self.snapshot.now)
        spans = [*(used[-1] for used in self.used), *(seat[-1] for seat in self.seats), *(s[-1] for s in self.shares)]
        ends = {span.end for span in spans if span.end and span.end > asked}
        for instant in sorted({asked} | ends):
            choices = [choice for cluster in self._clusters(claim) if (choice := self._choice(claim, cluster, instant))]
            if choices and self._seat_free(claim, instant) and self._within_limits(claim, instant):
                return Start(instant, *min(choices)[-2:])
        return None

    def reserve(self, claim: Claim, start: Start) -> None:
        span = Span(start.when, self._end(claim, start.when))
        self.shares += [(key, amount, span) for key, amount in claim.uses]
        self.used += [((start.cluster, node), claim.gpus_per_node, span) for node in start.nodes]
        if claim.exclusive:
            self.seats.append((claim.workspace, span))

    def _choice(self, claim: Claim, cluster: str, instant: datetime) -> tuple[int, int, str, tuple[str, ...]] | None:
        """(preference, GPUs free, cluster, nodes): smaller is better."""
        preference = claim.clusters.index(cluster) if claim.clusters else 0
        if not claim.gpus_per_node:
            usable = any(node.usable for node in self.snapshot.nodes if node.cluster == cluster)
            return (preference, 0, cluster, ()) if usable else None
        fitting = sorted(
            (self._free(node, instant), node.name)
            for node in self._suited(claim, cluster)
            for _ in range(self._parts(claim, node, instant))
        )
        chosen = fitting[: claim.nodes]
        if len(chosen) < claim.nodes:
            return None
        return preference, sum(free for free, _ in set(chosen)), cluster, tuple(name for _, name in chosen)

    def _suited(self, claim: Claim, cluster: str) -> list[NodeView]:
        return [
            node
            for node in self.snapshot.nodes
            if node.cluster == cluster
            and node.usable
            and (cluster, node.name) not in claim.excluded_nodes
            and claim.shape.lower() in ("", node.shape.lower(), node.instance_type.lower())
            and claim.instance_type.lower() in ("", node.shape.lower(), node.instance_type.lower())
            and claim.memory_gib <= node.memory_gib + 1
            and (claim.pool in node.pools if claim.pool else not node.pools)
        ]

    def _parts(self, claim: Claim, node: NodeView, instant: datetime) -> int:
        looks = self._looks(claim, instant, [span for _, _, span in self.used])
        parts = max(0, min(self._free(node, look) for look in looks)) // claim.gpus_per_node
        return min(parts, 1) if claim.spread else parts

    def _looks(self, claim: Claim, instant: datetime, spans: list[Span]) -> list[datetime]:
        """The instants of its stay at which less may be free than before."""
        end = self._end(claim, instant)
        return [instant, *(span.start for span in spans if instant < span.start and (end is None or span.start < end))]

    def _free(self, node: NodeView, instant: datetime) -> int:
        taken = sum(
            count for place, count, span in self.used if place == (node.cluster, node.name) and span.covers(instant)
        )
        return node.gpus - len(node.blocked_ordinals) - taken

    def _seat_free(self, claim: Claim, instant: datetime) -> bool:
        spans = [span for workspace, span in self.seats if claim.exclusive and workspace == claim.workspace]
        return not any(span.covers(look) for look in self._looks(claim, instant, spans) for span in spans)

    def _within_limits(self, claim: Claim, instant: datetime) -> bool:
        totals = {limit.key: limit.total for limit in self.snapshot.limits}
        for key, amount in claim.uses:
            shares = [(used, span) for other, used, span in self.shares if other == key]
            for look in self._looks(claim, instant, [span for _, span in shares]):
                if sum(used for used, span in shares if span.covers(look)) + amount > totals[key]:
                    return False
        return True

    def _clusters(self, claim: Claim) -> set[str]:
        known = {node.cluster for node in self.snapshot.nodes}
        return known & set(claim.clusters) if claim.clusters else known

    def _end(self, claim: Claim, start: datetime) -> datetime | None:
        if claim.duration_seconds is None:
            return None
        return start + timedelta(seconds=claim.duration_seconds + self.snapshot.turnaround_seconds)

    def _freed(self, lease: LeaseView) -> datetime | None:
        """At the end and the teardown after it; an overdue lease needs at least that teardown from now on."""
        if lease.until is None:
            return None
        teardown = timedelta(seconds=self.snapshot.turnaround_seconds)
        freed = lease.until + teardown
        return freed if freed > self.snapshot.now else self.snapshot.now + max(teardown, timedelta(seconds=1))

    def _counts(self, cluster: str, name: str, ordinal: int) -> bool:
        return any(
            (node.cluster, node.name) == (cluster, name) and ordinal not in node.blocked_ordinals
            for node in self.snapshot.nodes
        )
