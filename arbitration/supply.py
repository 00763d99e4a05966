"""What there is of each kind of GPU, and when so many of it would be free: one snapshot, one plan, for all kinds and sizes.

Only nodes of no pool count, and what asks for such: a pool's nodes are for those who name it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from arbitration.snapshot import read_snapshot
from domain.gpr import Estimate
from domain.gpu_kinds import GpuKind, NodeModel, split
from domain.priority import PRIORITY_DEFAULT
from domain.slices import cut_of
from ledger import arbitration, census
from planner.plan import openings
from planner.snapshot import Claim

if TYPE_CHECKING:
    from datetime import datetime

    from ledger.census import LiveCounts
    from ledger.connection import Ledger
    from planner.plan import Opening
    from planner.snapshot import NodeView, Snapshot

WISH_SECONDS: Final = 3600
"""How long what is asked about would stay: GPUs that are free for less are somebody else's soon."""
BEHIND_ALL: Final = 2**62
"""Its place in the order of submission."""


class Wish(NamedTuple):
    """One way to ask for a number of GPUs."""

    shape: str
    instance_type: str
    nodes: int
    gpus_per_node: int


@dataclass(frozen=True, slots=True)
class Stock:
    """GPUs, counted. Those that nobody holds and nobody can use are in no number."""

    available: int
    in_use: int
    """Held by anybody, pods outside Berth included."""
    queued: int
    """Asked for by what waits."""

    @property
    def total(self) -> int:
        """All that are in use or could be."""
        return self.available + self.in_use


@dataclass(frozen=True, slots=True)
class KindSupply:
    """One kind of GPU. `soonest`: by how many GPUs, the way to ask that starts first, and when that is."""

    stock: Stock
    per_node_max: int
    soonest: Mapping[int, tuple[Wish, Estimate]]


@dataclass(frozen=True, slots=True)
class Supply:
    """Everything at one instant; kinds by name."""

    at: datetime
    kinds: Mapping[str, KindSupply]
    everything: Stock
    counts: LiveCounts


async def supply(ledger: Ledger, kinds: Sequence[GpuKind], sizes: Sequence[int], now: datetime) -> Supply:
    """What there is, and the soonest start of each of these sizes."""
    async with ledger.reading() as connection:
        queue = await arbitration.queue(connection, now)
        snapshot = await read_snapshot(connection, queue, now)
        counts = await census.live(connection)
    return await asyncio.to_thread(_supply, snapshot, kinds, sizes, counts)


def wishes(kind: GpuKind, models: Iterable[NodeModel], gpus: int) -> list[Wish]:
    """All ways to ask for so many GPUs of a kind."""
    known = list(models)
    nodes, gpus_per_node = split(gpus, kind.per_node_max(known))
    return [Wish(shape, instance_type, nodes, gpus_per_node) for shape, instance_type in kind.wanted(known)]


def _supply(snapshot: Snapshot, kinds: Sequence[GpuKind], sizes: Sequence[int], counts: LiveCounts) -> Supply:
    models = sorted({_model(node) for node in snapshot.nodes if not node.pools})
    asked = {(kind.name, size): wishes(kind, models, size) for kind in kinds for size in sizes if kind.product}
    claims = {wish: _claim(wish) for ways in asked.values() for wish in ways}
    found = openings(snapshot, claims.values())
    estimates = {wish: _estimate(found[claim.gpr_id]) for wish, claim in claims.items()}
    tally = _Tally(snapshot)
    return Supply(
        at=snapshot.now,
        kinds={
            kind.name: KindSupply(
                tally.of(kind, models),
                kind.per_node_max(models),
                {size: _soonest(asked[kind.name, size], estimates) for size in sizes if kind.product},
            )
            for kind in kinds
        },
        everything=tally.everything(),
        counts=counts,
    )


def _model(node: NodeView) -> NodeModel:
    return NodeModel(node.shape, node.instance_type, node.gpus)


def _claim(wish: Wish) -> Claim:
    return Claim(
        gpr_id=f"wish {wish}",
        gpr_name="the wish",
        workspace="",
        exclusive=False,
        sequence=BEHIND_ALL,
        priority=PRIORITY_DEFAULT,
        nodes=wish.nodes,
        gpus_per_node=wish.gpus_per_node,
        duration_seconds=WISH_SECONDS,
        clusters=(),
        shape=wish.shape,
        instance_type=wish.instance_type,
    )


def _estimate(opening: Opening) -> Estimate:
    reason = opening.reason
    return Estimate(opening.starts_at, 0, reason.code if reason else "", reason.text if reason else "")


def _soonest(ways: Sequence[Wish], estimates: Mapping[Wish, Estimate]) -> tuple[Wish, Estimate]:
    """Of ways that never start, the first."""
    known = [(estimate.starts_at, wish) for wish in ways if (estimate := estimates[wish]).starts_at is not None]
    best = min(known)[1] if known else ways[0]
    return best, estimates[best]


class _Tally:
    """GPUs of a snapshot by the make of their nodes, and what waits by the words in which it asks."""

    def __init__(self, snapshot: Snapshot) -> None:
        held = defaultdict[tuple[str, str], set[int]](set)
        for lease in snapshot.leases:
            for gpu in lease.gpus:
                held[gpu.cluster, gpu.node].add(gpu.ordinal)
        away = {(one.cluster, one.node) for one in snapshot.closures if one.begins_at <= snapshot.now < one.ends_at}
        self._available, self._in_use = Counter[NodeModel](), Counter[NodeModel]()
        for node in snapshot.nodes:
            if not node.pools and not node.sliced:  # parts of GPUs are none of these kinds, and no GPUs to be counted
                used = len(held[node.cluster, node.name] | node.blocked_ordinals)
                self._in_use[_model(node)] += used
                takes_new = node.usable and (node.cluster, node.host) not in away
                self._available[_model(node)] += max(0, node.gpus - used) if takes_new else 0
        self._queued = Counter[tuple[str, str]]()
        for claim in snapshot.queue:
            if not claim.pool and not cut_of(claim.shape):
                self._queued[claim.shape.lower(), claim.instance_type.lower()] += claim.nodes * claim.gpus_per_node

    def of(self, kind: GpuKind, models: Iterable[NodeModel]) -> Stock:
        """One kind of GPU."""
        meant = kind.models(models)
        names = {name.lower() for model in meant for name in (model.shape, model.instance_type)}
        names = names or {kind.instance_type.lower()}
        queued = sum(gpus for words, gpus in self._queued.items() if any(words) and set(words) <= {"", *names})
        return Stock(sum(self._available[one] for one in meant), sum(self._in_use[one] for one in meant), queued)

    def everything(self) -> Stock:
        """All GPUs of nodes of no pool."""
        return Stock(self._available.total(), self._in_use.total(), self._queued.total())
