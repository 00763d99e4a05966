"""When so many GPUs of a kind are free, for every number of them that can be asked for at once."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arbitration.honesty import learnt
from arbitration.snapshot import read_snapshot
from arbitration.supply import BEHIND_ALL, WISH_SECONDS
from arbitration.what_if import opening_estimate
from domain.gpu_kinds import split
from domain.hardware import means_shape
from domain.priority import PRIORITY_DEFAULT
from ledger import arbitration
from planner.plan import openings
from planner.snapshot import Claim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from domain.gpr import Estimate
    from ledger.connection import Ledger
    from planner.snapshot import NodeView, Snapshot

SIZES_MAX: Final = 32
"""Of each kind: every number on one node, then whole nodes, the small numbers before the large ones."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which GPUs, how many, for how long. Empty: any kind, every number, no pool."""

    shape: str = ""
    gpus: int | None = None
    seconds: int = WISH_SECONDS
    pool: str = ""


@dataclass(frozen=True, slots=True)
class FreeAt:
    """So many GPUs of one kind on so many nodes of one cluster, and when they are free for as long as was asked."""

    shape: str
    nodes: int
    gpus_per_node: int
    estimate: Estimate

    @property
    def gpus(self) -> int:
        """In all."""
        return self.nodes * self.gpus_per_node


async def free_at(ledger: Ledger, question: Question, now: datetime) -> list[FreeAt]:
    """By kind and number, behind all that is queued already."""
    async with ledger.reading() as connection:
        snapshot = await read_snapshot(connection, await arbitration.queue(connection, now), now)
        intervals = await learnt(connection)
    wishes = [_claim(question, *wish) for wish in _wishes(snapshot, question)]
    found = await asyncio.to_thread(openings, snapshot, wishes)
    return [
        FreeAt(
            wish.shape, wish.nodes, wish.gpus_per_node, opening_estimate(found[wish.gpr_id], intervals, snapshot.now)
        )
        for wish in wishes
    ]


def _wishes(snapshot: Snapshot, question: Question) -> Iterator[tuple[str, int, int]]:
    """(shape, nodes, GPUs on each)."""
    nodes_of = defaultdict[str, list["NodeView"]](list)
    for node in snapshot.nodes:
        in_pool = question.pool in node.pools if question.pool else not node.pools
        if in_pool and node.gpus and (not question.shape or means_shape(question.shape, node.shape)):
            nodes_of[node.shape].append(node)
    for shape in sorted(nodes_of):
        per_node_max = max(node.gpus for node in nodes_of[shape])
        if question.gpus is not None:
            yield (shape, *split(question.gpus, per_node_max))
            continue
        clusters = Counter(node.cluster for node in nodes_of[shape] if node.gpus == per_node_max)
        for gpus in _sizes(per_node_max, max(clusters.values())):
            yield (shape, *split(gpus, per_node_max))


def _sizes(per_node_max: int, nodes_max: int) -> list[int]:
    on_one = list(range(1, per_node_max + 1))[: SIZES_MAX // 2]
    whole = [per_node_max * nodes for nodes in range(2, nodes_max + 1)]
    left = SIZES_MAX - len(on_one)
    if len(whole) > left:  # the first ones, then ever larger steps, and all of them
        whole = sorted(
            {*whole[: left // 2], *(per_node_max * 2**step for step in range(1, 12)), whole[-1]} & set(whole)
        )
    return on_one + whole


def _claim(question: Question, shape: str, nodes: int, gpus_per_node: int) -> Claim:
    return Claim(
        gpr_id=f"{nodes} x {gpus_per_node} x {shape}",
        gpr_name="the wish",
        workspace="",
        exclusive=False,
        sequence=BEHIND_ALL,
        priority=PRIORITY_DEFAULT,
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        duration_seconds=question.seconds,
        clusters=(),
        shape=shape,
        pool=question.pool,
    )
