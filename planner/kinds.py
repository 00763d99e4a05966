"""Which nodes suit which claims: by GPU product, instance type and memory, as clients spell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from planner.snapshot import Claim, NodeView

MEMORY_SLACK_GIB = 1
"""A GPU sold as 80 GiB often reports 79."""


class Kind(NamedTuple):
    """What tells nodes of one cluster apart for a claim, apart from how many GPUs are free."""

    cluster: str
    shape: str
    instance_type: str
    memory_gib: int
    pools: frozenset[str] = frozenset()
    sliced: bool = False

    @classmethod
    def of(cls, view: NodeView) -> Kind:
        """The kind of a node."""
        shape, instance_type = view.shape.casefold(), view.instance_type.casefold()
        return cls(view.cluster, shape, instance_type, view.memory_gib, view.pools, view.sliced)


def suits(claim: Claim, kind: Kind) -> bool:
    """All of the below."""
    reached = in_reach(claim, kind) and in_pool(claim, kind)
    return reached and has_shape(claim, kind) and has_type(claim, kind) and has_memory(claim, kind)


def in_reach(claim: Claim, kind: Kind) -> bool:
    """In a cluster that the claim may run on."""
    return not claim.clusters or kind.cluster in claim.clusters


def in_pool(claim: Claim, kind: Kind) -> bool:
    """Of the pool that it names; a claim that names none leaves the pools alone."""
    return claim.pool in kind.pools if claim.pool else not kind.pools


def has_shape(claim: Claim, kind: Kind) -> bool:
    """The GPU that it asks for. What is cut or shared has to be asked for by its own name: it is no GPU like others."""
    if kind.sliced and kind.shape not in (claim.shape.casefold(), claim.instance_type.casefold()):
        return False
    return _named(claim.shape, kind)


def has_type(claim: Claim, kind: Kind) -> bool:
    """The instance type that it asks for."""
    return _named(claim.instance_type, kind)


def has_memory(claim: Claim, kind: Kind) -> bool:
    """Enough memory on each GPU."""
    return claim.memory_gib <= kind.memory_gib + MEMORY_SLACK_GIB


def _named(asked: str, kind: Kind) -> bool:
    # Clients send the product where the type belongs, and the other way round.
    return not asked or asked.casefold() in (kind.shape, kind.instance_type)
