"""What there is of GPUs, in this API's words. Pure."""

from __future__ import annotations

from datetime import datetime

from api.dialects.gpudev import schemas
from api.operations.availability import KindSupply, Supply, Wish
from domain.gpr import Estimate


def availability(supply: Supply) -> schemas.Availability:
    """Each type by itself."""
    return schemas.Availability(availability=_types(supply), timestamp=supply.at)


def cluster_status(supply: Supply) -> schemas.ClusterStatus:
    """Everything together. A request is durable and in the queue when it is answered, so none is pending."""
    everything, counts = supply.everything, supply.counts
    return schemas.ClusterStatus(
        total_gpus=everything.total,
        available_gpus=everything.available,
        in_use_gpus=everything.in_use,
        queued_gpus=everything.queued,
        active_reservations=counts.active,
        preparing_reservations=counts.preparing,
        queued_reservations=counts.queued,
        pending_reservations=0,
        active_jobs=counts.active,
        preparing_jobs=counts.preparing,
        queued_jobs=counts.queued,
        pending_jobs=0,
        by_gpu_type=_types(supply),
        timestamp=supply.at,
    )


def _types(supply: Supply) -> dict[str, schemas.TypeAvailability]:
    return {name: _type(name, one, supply.at) for name, one in supply.kinds.items()}


def _type(name: str, one: KindSupply, now: datetime) -> schemas.TypeAvailability:
    return schemas.TypeAvailability(
        gpu_type=name,
        total=one.stock.total,
        available=one.stock.available,
        in_use=one.stock.in_use,
        queued=one.stock.queued,
        max_per_node=one.per_node_max,
        next_available={str(gpus): _next(wish, estimate, now) for gpus, (wish, estimate) in one.soonest.items()},
    )


def _next(wish: Wish, estimate: Estimate, now: datetime) -> schemas.NextAvailable:
    """Anybody may ask, so the reason is told by its code alone: its sentence may name what belongs to others."""
    at = estimate.starts_at
    wait = None if at is None else max(0, round((at - now).total_seconds()))
    return schemas.NextAvailable(at=at, wait_seconds=wait, nodes=wish.nodes, reason=estimate.reason_code)
