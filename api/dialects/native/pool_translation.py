"""Between the native dialect's words for pools, and Berth's own. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.dialects.native import pool_schemas as schemas
from api.operations.pools import PoolChange
from domain.scheduling import gpu_hours

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.limits import Pool, PoolWeight


def pool_change_of(body: schemas.PoolChange) -> PoolChange:
    """The change that is asked for."""
    return PoolChange(body.description, body.nodes, body.add, body.remove)


def pool_view(pool: Pool) -> schemas.PoolView:
    """A pool."""
    return schemas.PoolView(
        name=pool.name,
        description=pool.description,
        nodes=[schemas.PoolNodeView(cluster=one.cluster, node=one.node) for one in pool.nodes],
        created_by=pool.created_by,
        created_at=pool.created_at,
        weights=[weight_view(one) for one in pool.weights],
    )


def pool_list(found: Iterable[Pool]) -> schemas.PoolList:
    """Pools."""
    return schemas.PoolList(items=[pool_view(pool) for pool in found])


def weight_view(weight: PoolWeight) -> schemas.PoolWeightView:
    """What a workspace weighs in a pool."""
    return schemas.PoolWeightView(
        pool=weight.pool,
        workspace=weight.workspace,
        weight=weight.weight,
        gpu_hours_used=gpu_hours(weight.used),
        set_by=weight.set_by,
        set_at=weight.set_at,
    )


def weight_list(found: Iterable[PoolWeight]) -> schemas.PoolWeightList:
    """What workspaces weigh in a pool."""
    return schemas.PoolWeightList(items=[weight_view(one) for one in found])
