"""The same plan, found the slow and obvious way: try every instant at which anything ends, in order.

Shares nothing with the planner but the snapshot, so that the two agree only when both are right.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from planner.snapshot import Claim, LeaseView, NodeView, Snapshot

Place = tuple[str, str]
LATE_SECONDS_MAX = 2
"""A kept window that is later is looked for anew (`small_pages` makes it so little)."""
DAY = 24 * 3600


class Span(NamedTuple):
    start: datetime
    end: datetime | None

    def covers(self, instant: datetime) -> bool:
        return self.start <= instant and (self.end is None or instant < self.end)


class Start(NamedTuple):
    when: datetime
    cluster: str
    nodes: tuple[str, ...]


class Use(NamedTuple):
    """So much of something is taken: of a node, of a seat, of a limit."""

    owner: str
    what: tuple[str, ...]
    amount: int
    span: Span


@dataclass
class Oracle:
    snapshot: Snapshot
    used: list[Use] = field(default_factory=list)

    def __post_init__(self) -> None:
        for lease in self.snapshot.leases:
            span = Span(self.snapshot.now, self._freed(lease))
            for gpu in lease.gpus:
                if self._counts(gpu.cluster, gpu.node, gpu.ordinal):
                    self.used.append(Use("", (gpu.cluster, gpu.node), 1, span))
            self._use_shares("", lease, span)

    def starts(self) -> dict[str, Start | None]:
        """The start of every claim, in plan order."""
        order = strongest_first(self.snapshot)
        kept = self.keep(order)
        found: dict[str, Start | None] = {}
        for claim in order:
            self.used = [use for use in self.used if use.owner != claim.gpr_id]
            start, mine = self.earliest(claim), kept.get(claim.gpr_id)
            if mine and (not start or start.when >= mine.when):
                start = mine
            found[claim.gpr_id] = start
            if start:
                self.reserve(claim, start)
        return {
            gpr_id: start and start._replace(nodes=tuple(dict.fromkeys(start.nodes))) for gpr_id, start in found.items()
        }

    def keep(self, order: list[Claim]) -> dict[str, Start]:
        """The windows of promises and reservations, reserved."""
        kept: dict[str, Start] = {}
        in_time = sorted((claim for claim in order if claim.fixed_start or claim.pinned_start), key=self._pin)
        broken = []
        for claim in in_time:
            start = self._as_planned(claim)
            if start:
                kept[claim.gpr_id] = start
                self.reserve(claim, start)
            else:
                broken.append(claim)
        strength = {claim.gpr_id: place for place, claim in enumerate(order)}
        fixed = [claim for claim in broken if claim.fixed_start]
        others = sorted((claim for claim in broken if not claim.fixed_start), key=lambda one: strength[one.gpr_id])
        for claim in (*fixed, *others):
            start = self.earliest(claim)
            if start:
                kept[claim.gpr_id] = start
                self.reserve(claim, start)
        return kept

    def earliest(self, claim: Claim) -> Start | None:
        asked = self._asked(claim)
        return next((start for when in self._instants(asked) if (start := self.start_at(claim, when))), None)

    def start_at(self, claim: Claim, instant: datetime) -> Start | None:
        """The best nodes to start on at that instant."""
        if not self._shares_free(claim, instant):
            return None
        choices = [choice for cluster in self._clusters(claim) if (choice := self._choice(claim, cluster, instant))]
        return Start(instant, *min(choices)[-2:]) if choices else None

    def reserve(self, claim: Claim, start: Start) -> None:
        span = Span(start.when, self._end(claim, start.when))
        self._use_shares(claim.gpr_id, claim, span)
        self.used += [Use(claim.gpr_id, (start.cluster, node), claim.gpus_per_node, span) for node in start.nodes]

    def _use_shares(self, owner: str, user: Claim | LeaseView, span: Span) -> None:
        self.used += [Use(owner, ("limit", "", key), amount, span) for key, amount in user.uses]
        if user.exclusive:
            self.used.append(Use(owner, ("seat", "", user.workspace), 1, span))

    def _instants(self, asked: datetime) -> list[datetime]:
        ends = {use.span.end for use in self.used if use.span.end and use.span.end > asked}
        ends |= {instant for instant in self._limits_change() if instant > asked}
        return sorted({asked} | ends | {one.ends_at for one in self.snapshot.closures if one.ends_at > asked})

    def _asked(self, claim: Claim) -> datetime:
        wishes = (claim.not_before, claim.fixed_start)
        return max(self.snapshot.now, *(instant or self.snapshot.now for instant in wishes))

    def _pin(self, claim: Claim) -> datetime:
        return max(self._asked(claim), claim.fixed_start or claim.pinned_start or self.snapshot.now)

    def _as_planned(self, claim: Claim) -> Start | None:
        pin = self._pin(claim)
        for instant in self._instants(pin):
            if instant <= pin + timedelta(seconds=LATE_SECONDS_MAX) and self._shares_free(claim, instant):
                start = self.start_at(claim, instant)
                if not claim.gpus_per_node:
                    return start
                if claim.planned_cluster in self._clusters(claim) and self._fits_as_planned(claim, instant):
                    return Start(instant, claim.planned_cluster, claim.planned_nodes)
        return None

    def _fits_as_planned(self, claim: Claim, instant: datetime) -> bool:
        suited = {node.name: node for node in self._suited(claim, claim.planned_cluster)}
        planned = Counter(claim.planned_nodes)
        return planned.total() == claim.nodes and all(
            name in suited and self._parts(claim, suited[name], instant) >= count for name, count in planned.items()
        )

    def _choice(
        self, claim: Claim, cluster: str, instant: datetime
    ) -> tuple[int, bool, int, str, tuple[str, ...]] | None:
        """(preference, elsewhere than planned, GPUs free, cluster, nodes): smaller is better."""
        preference = claim.clusters.index(cluster) if claim.clusters else 0
        if not claim.gpus_per_node:
            usable = any(node.usable for node in self.snapshot.nodes if node.cluster == cluster)
            return (preference, False, 0, cluster, ()) if usable else None
        fitting = sorted(
            (self._free(node, instant), node.name)
            for node in self._suited(claim, cluster)
            for _ in range(self._parts(claim, node, instant))
        )
        free = {name: count for count, name in fitting}
        chosen = tuple(name for _, name in fitting[: claim.nodes])
        if cluster == claim.planned_cluster and self._fits_as_planned(claim, instant):
            chosen = claim.planned_nodes
        if len(chosen) < claim.nodes:
            return None
        return preference, cluster != claim.planned_cluster, sum(free[name] for name in set(chosen)), cluster, chosen

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
            and (not node.sliced or node.shape.lower() in (claim.shape.lower(), claim.instance_type.lower()))
        ]

    def _parts(self, claim: Claim, node: NodeView, instant: datetime) -> int:
        looks = self._looks(claim, instant)
        parts = max(0, min(self._free(node, look) for look in looks)) // claim.gpus_per_node
        return min(parts, 1) if claim.spread else parts

    def _looks(self, claim: Claim, instant: datetime) -> list[datetime]:
        """The instants of its stay at which less may be free than before."""
        end = self._end(claim, instant)
        begins = {use.span.start for use in self.used} | {one.begins_at for one in self.snapshot.closures}
        begins |= self._limits_change()
        return [instant, *(begin for begin in begins if instant < begin and (end is None or begin < end))]

    def _free(self, node: NodeView, instant: datetime) -> int:
        mine = [one for one in self.snapshot.closures if (one.cluster, one.node) == (node.cluster, node.name)]
        if any(one.begins_at <= instant < one.ends_at for one in mine):
            return 0
        return node.gpus - len(node.blocked_ordinals) - self._taken((node.cluster, node.name), instant)

    def _taken(self, what: tuple[str, ...], instant: datetime) -> int:
        return sum(use.amount for use in self.used if use.what == what and use.span.covers(instant))

    def _shares_free(self, claim: Claim, instant: datetime) -> bool:
        wanted = {("limit", "", key): amount for key, amount in claim.uses}
        if claim.exclusive:
            wanted["seat", "", claim.workspace] = 1
        return all(
            self._taken(what, look) + amount <= self._total(what, look)
            for look in self._looks(claim, instant)
            for what, amount in wanted.items()
        )

    def _total(self, what: tuple[str, ...], instant: datetime) -> int:
        """Of a limit at that instant."""
        if what[0] == "seat":
            return 1
        limit = next(limit for limit in self.snapshot.limits if limit.key == what[2])
        return [limit.total, *(total for since, total in limit.changes if since <= instant)][-1]

    def _limits_change(self) -> set[datetime]:
        return {since for limit in self.snapshot.limits for since, _ in limit.changes}

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


def kept_only(snapshot: Snapshot) -> Oracle:
    """With all windows reserved that are kept, and nobody else's."""
    oracle = Oracle(snapshot)
    oracle.keep(strongest_first(snapshot))
    return oracle


def strongest_first(snapshot: Snapshot) -> list[Claim]:
    """By aged priority; equals by what their workspaces have had for each unit of weight, in some pools apart, then by age."""
    aged = [replace(claim, priority=_aged(claim, snapshot)) for claim in snapshot.queue]
    aged.sort(key=lambda claim: (-claim.priority, claim.sequence))
    weights = {(standing.workspace, standing.pool): standing.weight for standing in snapshot.standings}
    had = Counter({(standing.workspace, standing.pool): standing.used for standing in snapshot.standings})
    for lease in snapshot.leases:
        left = DAY if lease.until is None else max(0, int((lease.until - snapshot.now).total_seconds()))
        had[_account(lease, snapshot)] += left * len(lease.gpus)
    turns = {}
    for claim in aged:
        account = _account(claim, snapshot)
        turn = had[account] * 1000 // weights.get(account, 1)
        turns[claim.gpr_id] = (-claim.priority, turn if snapshot.standings else 0, claim.sequence)
        seconds = DAY if claim.duration_seconds is None else claim.duration_seconds
        had[account] += claim.nodes * claim.gpus_per_node * seconds
    return sorted(snapshot.queue, key=lambda claim: turns[claim.gpr_id])


def _account(user: Claim | LeaseView, snapshot: Snapshot) -> tuple[str, str]:
    """Whose, and of which pool, if anybody stands anywhere in that one."""
    apart = any(standing.pool == user.pool for standing in snapshot.standings)
    return user.workspace, user.pool if apart else ""


def _aged(claim: Claim, snapshot: Snapshot) -> int:
    if not snapshot.ageing_seconds or not claim.submitted_at:
        return claim.priority
    top = next(top for top in (100, 200, 300) if claim.priority <= top)
    waited = max(0, int((snapshot.now - claim.submitted_at).total_seconds()))
    return min(top, claim.priority + waited // snapshot.ageing_seconds)
