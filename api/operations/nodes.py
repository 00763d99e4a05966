"""Nodes with their pools and what their clusters say of them. Everybody may look, administrators change pools."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from api.operations import inventory, pools
from api.operations.inventory import SeenNode
from domain.failures import ClusterRefused, ClusterUnavailable, InvalidRequest, NotFound
from domain.hardware import Node, NodeFacts, NodeState, NodeUse, means_shape
from domain.limits import PoolNode
from ledger import pools as ledger_pools

if TYPE_CHECKING:
    from api.operations.call import Call


@dataclass(frozen=True, slots=True)
class PooledNode:
    """A node, what of it is held, and the pools that it is in. `facts`: None while its cluster does not answer.

    `parts`: what its GPUs are, where it is cut; what is counted, is counted over all of them.
    """

    node: Node
    held_gpus: int
    pools: tuple[str, ...]
    facts: NodeFacts | None = None
    parts: tuple[SeenNode, ...] = ()

    @property
    def pieces(self) -> tuple[SeenNode, ...]:
        """Where its GPUs are, each of one shape."""
        return self.parts or (SeenNode(self.node, self.held_gpus),)

    @property
    def gpus(self) -> int:
        """Whole GPUs, instances and shared ones alike."""
        return sum(one.node.gpus for one in self.pieces)

    @property
    def used_gpus(self) -> int:
        """GPUs in use by anybody, pods outside Berth included."""
        return sum(one.used_gpus for one in self.pieces)

    @property
    def free_gpus(self) -> int:
        """What a new lease could take."""
        return sum(one.node.free_gpus for one in self.pieces)

    @property
    def shapes(self) -> list[str]:
        """What its GPUs are."""
        return sorted({one.node.shape for one in self.pieces})


@dataclass(frozen=True, slots=True)
class NodeQuery:
    """Which nodes to list. `gpu_type` as people say it; the pool `default`: nodes of no pool."""

    pool: str | None = None
    gpu_type: str | None = None
    ready: bool | None = None


async def listing(call: Call, query: NodeQuery | None = None) -> list[PooledNode]:
    """Nodes as the ledger knows them, without their facts."""
    found = await inventory.nodes(call)
    async with call.backends.ledger.reading() as connection:
        pools_of = await ledger_pools.of_nodes(connection)
    parts = defaultdict[tuple[str, str], list[SeenNode]](list)
    for seen in found:
        if seen.node.name != seen.node.host:
            parts[seen.node.cluster, seen.node.host].append(seen)
    nodes = [
        PooledNode(
            node=seen.node,
            held_gpus=seen.held_gpus,
            pools=_pools(seen.node, pools_of),
            parts=tuple(parts[seen.node.cluster, seen.node.name]),
        )
        for seen in found
        if seen.node.name == seen.node.host
    ]
    return [node for node in nodes if _matches(node, query or NodeQuery())]


async def find(call: Call, name: str, cluster: str | None = None) -> PooledNode:
    """One node, without its facts."""
    return named(await listing(call), name, cluster)


def named(nodes: Sequence[PooledNode], name: str, cluster: str | None = None) -> PooledNode:
    """The node of this name, or NotFound; InvalidRequest where there are such in several clusters and none is named."""
    found = [one for one in nodes if one.node.name == name and cluster in {None, one.node.cluster}]
    if not found:
        raise NotFound(f"there is no node {name!r}", node=name)
    if len(found) > 1:
        where = ", ".join(one.node.cluster for one in found)
        raise InvalidRequest(f"there is a node {name!r} in several clusters ({where}): name the cluster as well")
    return found[0]


async def described(call: Call, nodes: Sequence[PooledNode]) -> list[PooledNode]:
    """The same with their facts, as far as their clusters answer; ClusterUnavailable where none does."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for one in nodes:
        names[one.node.cluster].append(one.node.name)
    asked = (call.backends.nodes.facts(cluster, ones) for cluster, ones in names.items())
    answers = await asyncio.gather(*asked, return_exceptions=True)
    facts: dict[str, Mapping[str, NodeFacts]] = {}
    for cluster, answer in zip(names, answers, strict=True):
        if not isinstance(answer, BaseException):
            facts[cluster] = answer
        elif not isinstance(answer, ClusterUnavailable | ClusterRefused):
            raise answer
    return [replace(one, facts=facts.get(one.node.cluster, {}).get(one.node.name)) for one in nodes]


async def detail(call: Call, name: str, cluster: str | None) -> tuple[PooledNode, NodeUse]:
    """One node with its facts and what is in use of it. ClusterUnavailable where its cluster does not answer."""
    found = await with_facts(call, name, cluster)
    return found, await call.backends.nodes.use(found.node.cluster, name)


async def with_facts(call: Call, name: str, cluster: str | None) -> PooledNode:
    """One node with its facts; ClusterUnavailable where its cluster does not answer."""
    found = await find(call, name, cluster)
    facts = await call.backends.nodes.facts(found.node.cluster, [name])
    if name not in facts:
        raise NotFound(f"node {name!r} has left cluster {found.node.cluster!r}", node=name)
    return replace(found, facts=facts[name])


async def join_pool(call: Call, name: str, cluster: str | None, pool: str) -> None:
    """Put a node into a pool; it stays in the others that it is in."""
    await pools.change(call, pool, pools.PoolChange(add=[await _word(call, name, cluster)]))


async def leave_pool(call: Call, name: str, cluster: str | None, pool: str) -> None:
    """Take a node out of a pool, or NotFound. What runs on it goes on."""
    pools.require_may_change(call, pool)
    node = await find(call, name, cluster)
    member = PoolNode(node.node.cluster, name)
    if member not in (await pools.find(call, pool)).nodes:
        raise NotFound(f"node {name!r} is not in the pool {pool!r}", node=name, pool=pool)
    await pools.change(call, pool, pools.PoolChange(remove=[f"{member.cluster}/{name}"]))


async def _word(call: Call, name: str, cluster: str | None) -> str:
    """The node by a name that is enough; the permission to change its pools is asked first."""
    pools.require_may_change(call)
    return f"{(await find(call, name, cluster)).node.cluster}/{name}"


def _pools(node: Node, pools_of: Mapping[PoolNode, frozenset[str]]) -> tuple[str, ...]:
    return tuple(sorted(pools_of.get(PoolNode(node.cluster, node.host), ())))


def _matches(one: PooledNode, query: NodeQuery) -> bool:
    in_pool = query.pool is None or query.pool in (one.pools or (pools.NO_POOL,))
    of_type = query.gpu_type is None or any(means_shape(query.gpu_type, shape) for shape in one.shapes)
    return in_pool and of_type and query.ready in {None, one.node.state is NodeState.READY}
