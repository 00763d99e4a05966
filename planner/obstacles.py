"""Why a claim gets no start at all: nothing that is here now, or ends at a known time, can serve it.

A ladder from what the claim asks for to the state of the nodes: each rung keeps fewer nodes, and the first that
keeps too few is the reason.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from planner import kinds, lending
from planner.axis import FOREVER
from planner.reasons import Reason, ReasonCode, limited_by, spoken_total, wish
from planner.timeline import NODE_GPUS_MAX
from planner.world import totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from planner.nodes import Node
    from planner.snapshot import Claim
    from planner.steps import Steps
    from planner.world import Budget, Share, World

NAMES_SPOKEN_MAX = 3


class Obstacles:
    """The obstacles of one pass, each found once for all claims that ask for the same."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._found: dict[tuple[object, ...], Reason | None] = {}

    def of(self, claim: Claim) -> Reason:
        """For a claim that has no window: if nodes would serve it in time, its workspace never does."""
        what = (claim.shape, claim.instance_type, claim.memory_gib, claim.nodes, claim.gpus_per_node, claim.spread)
        asked = (*what, claim.pool, claim.clusters, claim.excluded_nodes)
        if asked not in self._found:
            self._found[asked] = _on_nodes(claim, self._world.nodes)
        return self._found[asked] or _in_shares(claim, self._world)


def _in_shares(claim: Claim, world: World) -> Reason:
    stay, shares = world.stay(claim), world.shares(claim)
    never = [share.budget for share in shares if share.first_fit(0, stay) == FOREVER]
    holder = never[0].ends.get(FOREVER) if never else None
    for share in shares:
        allowed = totals(share.budget.limit, world.axis)
        # a limit that shrinks may leave too little time for what comes free before
        if allowed.first_fit(0, share.amount, stay) == FOREVER or (not holder and _shrinks(allowed, share.amount)):
            text = f"asks for more than {share.budget.limit.spoken}{_times_of(share, allowed, world)}"
            return Reason(ReasonCode.LARGER_THAN_ITS_QUOTA, text + lending.hint(world, lending.sooner(world, claim)))
    name = holder.name if holder else "what it holds"
    text = f"waits for {_limited(claim, never[0] if never else None)}: {name} has no known end"
    return Reason(ReasonCode.NO_KNOWN_END, text + lending.hint(world, lending.sooner(world, claim)))


def _shrinks(allowed: Steps, amount: int) -> bool:
    """Below that, for good."""
    return allowed.spans(amount)[-1][1] < FOREVER


def _times_of(share: Share, allowed: Steps, world: World) -> str:
    """When the limit itself is large enough, though not for as long as the claim stays."""
    spans = [span for span in allowed.spans(share.amount) if span[1] > 0]
    if not spans:
        return " and than it will be at any time that is known" if share.budget.changes else ""
    begin, end = spans[0]
    since = f"from {world.axis.spoken(begin)} " if begin > 0 else ""
    return f", or for longer: it is {spoken_total(allowed.at(begin))} {since}until {world.axis.spoken(end)}"


def _limited(claim: Claim, budget: Budget | None) -> str:
    return limited_by(claim, budget.limit) if budget else "its turn"


def _on_nodes(claim: Claim, nodes: Sequence[Node]) -> Reason | None:
    everywhere = [node for node in nodes if kinds.in_reach(claim, node.kind)]
    if not everywhere:
        return Reason(ReasonCode.CLUSTER_UNKNOWN, _unknown(claim))
    suited = everywhere
    for rung in _LADDER:
        kept = [node for node in suited if rung.keeps(claim, node)]
        if _most_in_one_cluster(claim, kept, rung.capacity) < (claim.nodes if rung.whole_gang else 1):
            lost = [node for node in suited if not rung.keeps(claim, node)]
            return Reason(_code(rung, everywhere), rung.sentence(claim, lost or suited))
        suited = kept
    return None


def _code(rung: _Rung, everywhere: Sequence[Node]) -> ReasonCode:
    nothing_left = rung.code is ReasonCode.NODES_UNUSABLE and not any(node.view.usable for node in everywhere)
    return ReasonCode.CLUSTER_UNAVAILABLE if nothing_left else rung.code


def _most_in_one_cluster(claim: Claim, nodes: Iterable[Node], capacity: Callable[[Node], int]) -> int:
    """How many of the claim's nodes, or parts of one where they may share, at most."""
    most: Counter[str] = Counter()
    for node in nodes:
        shared = not claim.spread and claim.gpus_per_node
        most[node.view.cluster] += max(1, capacity(node) // claim.gpus_per_node) if shared else 1
    return max(most.values(), default=0)


def _gpus(node: Node) -> int:
    return min(node.view.gpus, NODE_GPUS_MAX)


def _unknown(claim: Claim) -> str:
    named = f"cluster named {' or '.join(claim.clusters)}" if claim.clusters else "cluster"
    return f"no {named} has nodes for Berth"


def _no_pool(claim: Claim, lost: Sequence[Node]) -> str:
    pools = _listed({pool for node in lost for pool in node.view.pools})
    if claim.pool:
        return f"no node that suits is in the pool {claim.pool}; there are {pools or 'none in any pool'}"
    return f"every node that suits is in a pool, and it names none; there are {pools}"


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
    most = _most_in_one_cluster(claim, suited, _gpus)
    if not claim.spread:
        return f"asks for {claim.nodes} x {claim.gpus_per_node} GPUs of one cluster; there is room for {most}"
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
    capacity: Callable[[Node], int] = _gpus
    """GPUs that a node has left for parts of a claim, as this rung sees it."""


def _has_gpus(claim: Claim, node: Node) -> bool:
    return _gpus(node) >= claim.gpus_per_node


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
    _Rung(ReasonCode.NOT_IN_POOL, lambda claim, node: kinds.in_pool(claim, node.kind), _no_pool, whole_gang=False),
    _Rung(ReasonCode.LARGER_THAN_ANY_NODE, _has_gpus, _too_large, whole_gang=False),
    _Rung(ReasonCode.NOT_ENOUGH_NODES, lambda _claim, _node: True, _too_many),
    _Rung(ReasonCode.NODES_EXCLUDED, lambda claim, node: node.place not in claim.excluded_nodes, _failed),
    _Rung(ReasonCode.NODES_UNUSABLE, lambda _claim, node: node.view.usable, _unusable),
    _Rung(
        ReasonCode.GPUS_BLOCKED,
        lambda claim, node: node.healthy_gpus >= claim.gpus_per_node,
        _blocked,
        capacity=lambda node: node.healthy_gpus,
    ),
    _Rung(
        ReasonCode.NO_KNOWN_END,
        lambda claim, node: node.steps.lasting >= claim.gpus_per_node,
        _endless,
        capacity=lambda node: node.steps.lasting,
    ),
)
