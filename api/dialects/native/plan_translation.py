"""Between the native dialect's words about time and Berth's own. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from api.dialects.native import plan_schemas as schemas
from api.dialects.native.translation import estimate_view, gpr_view, promise_view
from api.operations.gprs import Submission
from domain.durations import parse_duration
from domain.gpr import GprRequest, Phase
from domain.priority import checked_priority
from domain.workload import GPR_KIND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.operations.extensions import Extended
    from api.operations.foresight import Calendar, Foreseen, FreeAt, NodeCalendar, Sooner, Span, Why
    from domain.handover import Handover
    from domain.honesty import Accuracy

THE_WISH = "what-if"


def submissions_of(body: schemas.WhatIfs) -> list[Submission]:
    """What would be submitted."""
    return [_submission_of(one) for one in body.requests]


def foreseen_list(found: Sequence[Foreseen]) -> schemas.ForeseenList:
    """Answers to what-ifs."""
    return schemas.ForeseenList(items=[_foreseen_view(one) for one in found])


def opening_list(found: Sequence[FreeAt]) -> schemas.OpeningList:
    """When so many are free."""
    views = [
        schemas.OpeningView(
            shape=one.shape,
            gpus=one.gpus,
            nodes=one.nodes,
            gpus_per_node=one.gpus_per_node,
            estimate=estimate_view(one.estimate),
        )
        for one in found
    ]
    return schemas.OpeningList(items=views)


def why_view(why: Why) -> schemas.WhyView:
    """Why it waits."""
    gpr, outlook = why.gpr, why.outlook
    waits = gpr.phase is Phase.QUEUED
    # what is suspended is in no plan: what is shown of it says so
    estimate = outlook.estimate if outlook else gpr.estimate
    return schemas.WhyView(
        gpr=gpr.id,
        phase=gpr.phase,
        estimate=estimate_view(estimate) if waits else None,
        promise=promise_view(gpr),
        sooner=[_sooner_view(one) for one in outlook.sooner] if outlook and waits else [],
    )


def extension_view(extended: Extended) -> schemas.ExtensionView:
    """What was granted."""
    granted = extended.extension
    return schemas.ExtensionView(seconds=granted.seconds, in_the_way=granted.in_the_way, gpr=gpr_view(extended.gpr))


def plan_view(calendar: Calendar) -> schemas.PlanView:
    """Who has which GPUs when."""
    nodes = [_node_plan_view(node, calendar.names) for node in calendar.nodes]
    return schemas.PlanView(at=calendar.at, until=calendar.until, nodes=nodes)


def honesty_view(days: int, found: Sequence[Accuracy], handover: Handover) -> schemas.HonestyView:
    """How far off."""
    views = [
        schemas.AccuracyView(
            horizon=one.horizon,
            shown=one.shown,
            median_seconds=round(one.median_seconds, 3),
            p90_seconds=round(one.p90_seconds, 3),
            inside_share=round(one.inside_share, 4),
        )
        for one in found
    ]
    allowed = schemas.HandoverView(
        provisioning_seconds=handover.provisioning_seconds, teardown_seconds=handover.teardown_seconds
    )
    return schemas.HonestyView(days=days, items=views, handover=allowed)


def _submission_of(body: schemas.WhatIf) -> Submission:
    request = GprRequest(
        name=THE_WISH,
        nodes=body.nodes,
        gpus_per_node=body.gpus_per_node,
        duration_seconds=parse_duration(body.duration),
        priority=checked_priority(body.priority),
        shape=body.shape,
        instance_type=body.instance_type,
        memory_gib=body.memory_gib,
        clusters=tuple(dict.fromkeys(body.clusters)),
        pool=body.pool,
        preemptible=body.preemptible,
    )
    return Submission(body.workspace, request, ranks_as=GPR_KIND if body.priority is None else "")


def _foreseen_view(found: Foreseen) -> schemas.ForeseenView:
    alternatives = [
        schemas.AlternativeView(
            shape=one.shape,
            nodes=one.nodes,
            gpus_per_node=one.gpus_per_node,
            estimate=estimate_view(one.estimate),
        )
        for one in found.alternatives
    ]
    return schemas.ForeseenView(
        estimate=estimate_view(found.start.estimate),
        cluster=found.start.cluster,
        nodes=list(found.start.nodes),
        alternatives=alternatives,
    )


def _sooner_view(one: Sooner) -> schemas.SoonerView:
    return schemas.SoonerView(
        change=one.change,
        shape=one.shape,
        nodes=one.nodes,
        gpus_per_node=one.gpus_per_node,
        duration_seconds=one.duration_seconds,
        estimate=estimate_view(one.estimate),
    )


def _node_plan_view(node: NodeCalendar, names: dict[str, str]) -> schemas.NodePlanView:
    return schemas.NodePlanView(
        cluster=node.cluster,
        node=node.name,
        shape=node.shape,
        gpus=node.gpus,
        usable=node.usable,
        unusable_reason=node.unusable_reason,
        spans=[_span_view(span, names) for span in node.spans],
        maintenance=[
            schemas.AwayView(name=one.name, begins_at=one.begins_at, ends_at=one.ends_at) for one in node.closures
        ],
    )


def _span_view(span: Span, names: dict[str, str]) -> schemas.SpanView:
    return schemas.SpanView(
        kind=span.kind,
        gpr=UUID(span.gpr_id) if span.gpr_id else None,
        name=span.gpr_name,
        workspace=names.get(span.workspace_id, ""),
        gpus=span.gpus,
        begins_at=span.begins_at,
        ends_at=span.ends_at,
    )
