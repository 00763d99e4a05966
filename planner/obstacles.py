"""Why a claim gets no start at all: nothing that is here now, or ends at a known time, can serve it.

A ladder from what the claim asks for to the state of the nodes: each rung keeps fewer nodes, and the first that
keeps too few is the reason.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from planner import kinds
from planner.axis import FOREVER
from planner.reasons import Reason, ReasonCode, wish
from planner.timeline import NODE_GPUS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from planner.nodes import Node
    from planner.snapshot import Claim
    from planner.world import World

NAMES_SPOKEN_MAX = 3


class Obstacles:
    """The obstacles of one pass, each found once for all claims that ask for the same."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._found: dict[tuple[object, ...], Reason | None] = {}

    def of(self, claim: Claim) -> Reason:
        """For a claim that has no window: if nodes would serve it in time, its workspace never does."""
        what = (claim.shape, claim.instance_type, claim.memory_gib, claim.nodes, claim.gpus_per_node)
        asked = (*what, claim.clusters, claim.excluded_nodes)
        if asked not in self._found:
            self._found[asked] = _on_nodes(claim, self._world.nodes)
        return self._found[asked] or _in_workspace(claim, self._world)


def _in_workspace(claim: Claim, world: World) -> Reason:
    workspace = world.workspace(claim)
    holder = workspace.ends.get(FOREVER) if workspace else None
    name = holder.name if holder else "what it holds"
    text = f"waits for its workspace {claim.workspace_name or claim.workspace}, which runs one at a time: {name} has no known end"
    return Reason(ReasonCode.NO_KNOWN_END, text)


def _on_nodes(claim: Claim, nodes: Sequence[Node]) -> Reason | None:
    everywhere = [node for node in nodes if kinds.in_reach(claim, node.kind)]
    if not everywhere:
        return Reason(ReasonCode.CLUSTER_UNKNOWN, _unknown(claim))
    suited = everywhere
    for rung in _LADDER:
        kept = [node for node in suited if rung.keeps(claim, node)]
        if _most_in_one_cluster(kept) < (claim.nodes if rung.whole_gang else 1):
            lost = [node for node in suited if not rung.keeps(claim, node)]
            return Reason(_code(rung, everywhere), rung.sentence(claim, lost or suited))
        suited = kept
    return None


def _code(rung: _Rung, everywhere: Sequence[Node]) -> ReasonCode:
    nothing_left = rung.code is ReasonCode.NODES_UNUSABLE and not any(node.view.usable for node in everywhere)
    return ReasonCode.CLUSTER_UNAVAILABLE if nothing_left else rung.code


def _most_in_one_cluster(nodes: Iterable[Node]) -> int:
    return max(Counter(node.view.cluster for node in nodes).values(), default=0)


def _unknown(claim: Claim) -> str:
    named = f"cluster named {' or '.join(claim.clusters)}" if claim.clusters else "cluster"
    return f"no {named} has nodes for Berth"


def _no_shape(claim: Claim, lost: Sequence[Node]) -> str:
    return f"no node has the GPU {claim.shape}; there are {_listed({node.view.shape for node in lost})}"


def _no_type(claim: Claim, lost: Sequence[Node]) -> str:
    types = _listed({node.view.instance_type for node in lost})
    return f"no node that suits is of type {claim.instance_type}; there are {types}"


def _no_memory(claim: Claim, lost: Sequence[Node]) -> str:
    most = max(node.view.memory_gib for node in lost)
    return f"asks for GPUs with {claim.memory_gib} GiB; the largest that suit have {most}"


def _too_large(claim: Claim, lost: Sequence[Node]) -> str:
    most = max(node.view.gpus for node in lost)
    return f"asks for {claim.gpus_per_node} GPUs on one node; the largest that suits has {most}"


def _too_many(claim: Claim, suited: Sequence[Node]) -> str:
    most = _most_in_one_cluster(suited)
    return f"asks for {claim.nodes} nodes of one cluster with {claim.gpus_per_node} GPUs each; there are {most}"


def _failed(_: Claim, lost: Sequence[Node]) -> str:
    return f"failed before on {_listed(_spoken(node) for node in lost)}, and too few other nodes suit"


def _unusable(_: Claim, lost: Sequence[Node]) -> str:
    nodes = _listed(f"{_spoken(node)} ({node.view.unusable_reason or 'out of use'})" for node in lost)
    return f"needs nodes that cannot be used now: {nodes}"


def _blocked(_: Claim, lost: Sequence[Node]) -> str:
    nodes = _listed(f"{_spoken(node)} ({len(node.view.blocked_ordinals)} of {node.view.gpus})" for node in lost)
    return f"needs GPUs that are unhealthy or used by others: {nodes}"


def _endless(claim: Claim, lost: Sequence[Node]) -> str:
    holders = _listed(f"{node.ends[FOREVER].name} on {_spoken(node)}" for node in lost if FOREVER in node.ends)
    return f"waits for {wish(claim, lost[0].view.cluster)}, held without a known end by {holders}"


def _spoken(node: Node) -> str:
    return f"{node.view.name} of {node.view.cluster}"


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - NAMES_SPOKEN_MAX
    return ", ".join(ordered[:NAMES_SPOKEN_MAX]) + (f" and {more} more" if more > 0 else "")


class _Rung(NamedTuple):
    code: ReasonCode
    keeps: Callable[[Claim, Node], bool]
    sentence: Callable[[Claim, Sequence[Node]], str]
    """From the claim, and the nodes that this rung takes away."""
    whole_gang: bool = True
    """As many nodes must be left as the claim asks for, in one cluster; else one is enough."""


def _has_gpus(claim: Claim, node: Node) -> bool:
    return min(node.view.gpus, NODE_GPUS_MAX) >= claim.gpus_per_node


_LADDER = (
    _Rung(ReasonCode.NO_SUCH_SHAPE, lambda claim, node: kinds.has_shape(claim, node.kind), _no_shape, whole_gang=False),
    _Rung(
        ReasonCode.NO_SUCH_INSTANCE_TYPE,
        lambda claim, node: kinds.has_type(claim, node.kind),
        _no_type,
        whole_gang=False,
    ),
    _Rung(
        ReasonCode.NOT_ENOUGH_MEMORY,
        lambda claim, node: kinds.has_memory(claim, node.kind),
        _no_memory,
        whole_gang=False,
    ),
    _Rung(ReasonCode.LARGER_THAN_ANY_NODE, _has_gpus, _too_large, whole_gang=False),
    _Rung(ReasonCode.NOT_ENOUGH_NODES, lambda _claim, _node: True, _too_many),
    _Rung(ReasonCode.NODES_EXCLUDED, lambda claim, node: node.place not in claim.excluded_nodes, _failed),
    _Rung(ReasonCode.NODES_UNUSABLE, lambda _claim, node: node.view.usable, _unusable),
    _Rung(ReasonCode.GPUS_BLOCKED, lambda claim, node: node.healthy_gpus >= claim.gpus_per_node, _blocked),
    _Rung(ReasonCode.NO_KNOWN_END, lambda claim, node: node.steps.lasting >= claim.gpus_per_node, _endless),
)
