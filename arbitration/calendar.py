"""The plan as data: for each node, who has how many of its GPUs from when until when, and who will have them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from arbitration.snapshot import read_snapshot
from ledger import arbitration
from planner.plan import plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ledger.connection import Ledger
    from planner.snapshot import Claim, Closure, LeaseView, NodeView, Snapshot


class SpanKind(StrEnum):
    """How certain it is."""

    LEASE = "lease"
    """Held now."""
    PROMISE = "promise"
    """Planned, and no later than promised."""
    RESERVATION = "reservation"
    """Kept from a fixed instant on."""
    FORECAST = "forecast"
    """Planned, if nothing changes."""


@dataclass(frozen=True, slots=True)
class Span:
    """Some GPUs of one node for some time."""

    kind: SpanKind
    gpr_id: str
    gpr_name: str
    workspace_id: str
    gpus: int
    begins_at: datetime
    ends_at: datetime | None
    """None: nobody knows."""


@dataclass(frozen=True, slots=True)
class NodeCalendar:
    """One node, and its spans in order of time."""

    cluster: str
    name: str
    shape: str
    gpus: int
    usable: bool
    unusable_reason: str
    spans: tuple[Span, ...]
    closures: tuple[Closure, ...] = ()
    """Announced maintenance, likewise in order."""


async def calendar(ledger: Ledger, now: datetime, hours: int, cluster: str | None = None) -> list[NodeCalendar]:
    """Every node of a cluster or of all, with all that begins within so many hours."""
    async with ledger.reading() as connection:
        snapshot = await read_snapshot(connection, await arbitration.queue(connection, now), now)
    return await asyncio.to_thread(_calendar, snapshot, now + timedelta(hours=hours), cluster)


def _calendar(snapshot: Snapshot, until: datetime, cluster: str | None) -> list[NodeCalendar]:
    spans = defaultdict[tuple[str, str], list[Span]](list)
    for place, span in (*_of_leases(snapshot), *_of_queue(snapshot)):
        if span.begins_at < until:
            spans[place].append(span)
    nodes = (node for node in snapshot.nodes if cluster in {None, node.cluster})
    closures: defaultdict[tuple[str, str], list[Closure]] = defaultdict(list)
    for closure in snapshot.closures:
        if closure.begins_at < until:
            closures[closure.cluster, closure.node].append(closure)
    return [_node(node, spans[_place(node)], closures[node.cluster, node.host]) for node in sorted(nodes, key=_place)]


def _node(node: NodeView, spans: list[Span], closures: list[Closure]) -> NodeCalendar:
    ordered = tuple(sorted(spans, key=lambda span: (span.begins_at, span.gpr_name, span.gpr_id)))
    away = tuple(sorted(closures, key=lambda one: (one.begins_at, one.ends_at, one.name)))
    reason = "" if node.usable else node.unusable_reason or "out of use"
    return NodeCalendar(node.cluster, node.name, node.shape, node.gpus, node.usable, reason, ordered, away)


def _place(node: NodeView) -> tuple[str, str]:
    return node.cluster, node.name


def _of_leases(snapshot: Snapshot) -> Iterator[tuple[tuple[str, str], Span]]:
    for lease in snapshot.leases:
        counts = Counter((gpu.cluster, gpu.node) for gpu in lease.gpus)
        for place, gpus in counts.items():
            yield place, _held(lease, gpus, snapshot)


def _held(lease: LeaseView, gpus: int, snapshot: Snapshot) -> Span:
    """Until its teardown is over."""
    teardown = timedelta(seconds=snapshot.turnaround_seconds)
    ends_at = max(lease.until, snapshot.now) + teardown if lease.until else None
    return Span(SpanKind.LEASE, lease.gpr_id, lease.gpr_name, lease.workspace, gpus, snapshot.now, ends_at)


def _of_queue(snapshot: Snapshot) -> Iterator[tuple[tuple[str, str], Span]]:
    claims = {claim.gpr_id: claim for claim in snapshot.queue}
    planned = plan(snapshot)
    for grant in planned.grants:
        counts = Counter((gpu.cluster, gpu.node) for gpu in grant.gpus)
        for place, gpus in counts.items():
            yield place, _planned(claims[grant.gpr_id], gpus, snapshot.now)
    for forecast in planned.forecasts:
        claim = claims[forecast.gpr_id]
        if forecast.starts_at is not None:
            for node, parts in Counter(forecast.nodes).items():
                yield (forecast.cluster or "", node), _planned(claim, parts * claim.gpus_per_node, forecast.starts_at)


def _planned(claim: Claim, gpus: int, begins_at: datetime) -> Span:
    kind = SpanKind.PROMISE if claim.pinned_start else SpanKind.FORECAST
    kind = SpanKind.RESERVATION if claim.fixed_start else kind
    ends_at = None if claim.duration_seconds is None else begins_at + timedelta(seconds=claim.duration_seconds)
    return Span(kind, claim.gpr_id, claim.gpr_name, claim.workspace, gpus, begins_at, ends_at)
