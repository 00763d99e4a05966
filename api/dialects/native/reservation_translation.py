"""Between the native dialect's words for reservations and for the order of the queue, and Berth's own. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from api.dialects.native import reservation_schemas as schemas
from api.operations.reservations import NewReservation
from domain.durations import format_duration, parse_duration
from domain.gpr import GprRequest
from domain.priority import PRIORITY_DEFAULT
from domain.reservation import Occurrence, Reservation, ReservationWish

if TYPE_CHECKING:
    from api.operations.scheduling import Share
    from domain.scheduling import SchedulingPolicy


def wanted_of(body: schemas.ReservationSubmission) -> NewReservation:
    """The reservation that is asked for."""
    request = GprRequest(
        name=body.name,
        nodes=body.nodes,
        gpus_per_node=body.gpus_per_node,
        duration_seconds=parse_duration(body.duration),
        priority=PRIORITY_DEFAULT,
        shape=body.shape,
        instance_type=body.instance_type,
        memory_gib=body.memory_gib,
        clusters=tuple(dict.fromkeys(body.clusters)),
        pool=body.pool,
    )
    return NewReservation(body.workspace, ReservationWish(request, body.start, body.rule))


def policy_of(body: schemas.SchedulingSetting, known: SchedulingPolicy) -> SchedulingPolicy:
    """The policy as it is to be."""
    return replace(known, **body.model_dump(exclude_none=True))


def reservation_view(reservation: Reservation) -> schemas.ReservationView:
    """One reservation."""
    wish, asked = reservation.wish, reservation.wish.request
    return schemas.ReservationView(
        id=reservation.id,
        name=asked.name,
        workspace=reservation.workspace,
        start=wish.start,
        duration=format_duration(wish.window_seconds),
        duration_seconds=wish.window_seconds,
        rule=wish.rule,
        nodes=asked.nodes,
        gpus_per_node=asked.gpus_per_node,
        gpus=asked.gpus,
        shape=asked.shape,
        instance_type=asked.instance_type,
        memory_gib=asked.memory_gib,
        clusters=list(asked.clusters),
        pool=asked.pool,
        created_by=reservation.created_by_name,
        created_at=reservation.created_at,
        cancelled_at=reservation.cancelled_at,
        ended_at=reservation.ended_at,
        occurrences=[_occurrence(reservation, one) for one in reservation.occurrences],
    )


def reservation_page(found: list[Reservation], limit: int) -> schemas.ReservationPage:
    """One page of them."""
    following = str(found[-1].sequence) if len(found) == limit else None
    return schemas.ReservationPage(items=[reservation_view(one) for one in found], next=following)


def scheduling_view(policy: SchedulingPolicy) -> schemas.SchedulingView:
    """What is decided."""
    return schemas.SchedulingView(
        fair_share=policy.fair_share,
        half_life_seconds=policy.half_life_seconds,
        ageing_seconds=policy.ageing_seconds,
        horizon_seconds=policy.horizon_seconds,
        reservations_max=policy.reservations_max,
        gpu_hours_max=policy.gpu_hours_max,
        grace_seconds=policy.grace_seconds,
        guaranteed_seconds=policy.guaranteed_seconds,
        notice_seconds=policy.notice_seconds,
        set_by=policy.set_by,
        set_at=policy.set_at,
    )


def share_view(share: Share) -> schemas.ShareView:
    """What is due to a workspace."""
    return schemas.ShareView(
        workspace=share.workspace,
        weight=share.weight,
        gpu_hours_used=share.gpu_hours_used,
        pools=[
            schemas.PoolShareView(pool=one.pool, weight=one.weight, gpu_hours_used=one.gpu_hours_used)
            for one in share.pools
        ],
    )


def _occurrence(reservation: Reservation, one: Occurrence) -> schemas.OccurrenceView:
    return schemas.OccurrenceView(
        start=one.starts_at,
        end=reservation.ends_at(one),
        state=one.state,
        gpr_id=one.gpr_id,
        cluster=one.cluster,
        nodes=list(one.nodes),
        used_at=one.used_at,
        failure=one.failure,
    )
