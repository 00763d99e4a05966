"""Between the native dialect's words about GPUs, idle rules and costs, and Berth's own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from api.dialects.native import hardware_schemas as schemas
from api.operations.idle_rules import NewIdleRule
from domain.durations import format_duration, parse_duration

if TYPE_CHECKING:
    from api.operations.hardware import GpuHistory
    from domain.costs import Cost, Costs
    from domain.health import GpuFault, GpuNow, Quarantine, Reading
    from domain.idleness import SetRule

SECONDS_PER_HOUR = 3600


def gpu_view(gpu: GpuNow) -> schemas.GpuView:
    """A GPU."""
    return schemas.GpuView(
        id=gpu.id,
        cluster=gpu.cluster,
        node=gpu.node,
        ordinal=gpu.ordinal,
        uuid=gpu.uuid,
        product=gpu.product,
        memory_mib=gpu.memory_mib,
        mig_profile=gpu.mig_profile,
        parent_uuid=gpu.parent_uuid,
        seen_at=gpu.seen_at,
        reading=None if gpu.reading is None else _reading(gpu.reading),
        set_aside=_set_aside(gpu),
        holder=schemas.GpuHolderView(gpr=gpu.holder_gpr, workspace=gpu.holder_workspace) if gpu.holder_gpr else None,
    )


def gpu_list(found: Sequence[GpuNow]) -> schemas.GpuList:
    """GPUs."""
    return schemas.GpuList(items=[gpu_view(gpu) for gpu in found])


def gpu_history(found: GpuHistory, limit: int) -> schemas.GpuHistory:
    """Faults and quarantines."""
    is_full = len(found.faults) == limit
    return schemas.GpuHistory(
        items=[_fault(fault) for fault in found.faults],
        quarantines=[_quarantine(one) for one in found.quarantines],
        next=str(found.faults[-1].id) if is_full else None,
    )


def new_idle_rule_of(body: schemas.IdleRuleSetting) -> NewIdleRule:
    """The rule that is to count."""
    return NewIdleRule(
        workspace=body.workspace,
        window_seconds=parse_duration(body.window),
        threshold_percent=body.threshold_percent,
        warning_seconds=parse_duration(body.warning),
        enforced=body.enforced,
    )


def idle_rule_view(found: SetRule) -> schemas.IdleRuleView:
    """A rule."""
    rule = found.rule
    return schemas.IdleRuleView(
        workspace=None if found.workspace_id is None else found.workspace,
        window=format_duration(rule.window_seconds),
        window_seconds=rule.window_seconds,
        threshold_percent=rule.threshold_percent,
        warning=format_duration(rule.warning_seconds),
        warning_seconds=rule.warning_seconds,
        enforced=rule.enforced,
        set_by=found.set_by,
        set_at=found.set_at,
    )


def idle_rule_list(found: Sequence[SetRule]) -> schemas.IdleRuleList:
    """Rules."""
    return schemas.IdleRuleList(items=[idle_rule_view(one) for one in found])


def cost_report(found: Costs) -> schemas.CostReport:
    """Costs and their sum."""
    return schemas.CostReport(
        begin=found.begin,
        end=found.end,
        by=found.by,
        items=[_cost(one) for one in found.items],
        total=_cost(found.total),
    )


def _reading(reading: Reading) -> schemas.ReadingView:
    return schemas.ReadingView(
        at=reading.at,
        utilisation_percent=reading.utilisation_percent,
        memory_used_mib=reading.memory_used_mib,
        temperature_celsius=reading.temperature_celsius,
        power_watts=reading.power_watts,
        processes=reading.processes,
    )


def _set_aside(gpu: GpuNow) -> schemas.SetAsideView | None:
    if gpu.set_aside_at is None:
        return None
    return schemas.SetAsideView(
        reason=gpu.set_aside_because,
        remedy=gpu.remedy,
        by=gpu.set_aside_by,
        since=gpu.set_aside_at,
        waits_for=gpu.waits_for,
    )


def _fault(fault: GpuFault) -> schemas.FaultView:
    return schemas.FaultView(
        id=fault.id,
        at=fault.at,
        kind=fault.kind,
        code=fault.code,
        detail=dict(fault.detail),
        remedy=fault.remedy,
        verdict=fault.verdict,
    )


def _quarantine(one: Quarantine) -> schemas.QuarantineView:
    return schemas.QuarantineView(
        id=one.id,
        whole_node=one.ordinal is None,
        reason=one.reason,
        remedy=one.remedy,
        begun_by=one.begun_by,
        begun_at=one.begun_at,
        lifted_by=one.lifted_by,
        lifted_at=one.lifted_at,
        waits_for=one.waits_for,
    )


def _cost(cost: Cost) -> schemas.CostView:
    return schemas.CostView(
        key=cost.key,
        name=cost.name,
        workspace=cost.workspace,
        gpu_hours=round(cost.gpu_seconds / SECONDS_PER_HOUR, 4),
        idle_gpu_hours=round(cost.idle_gpu_seconds / SECONDS_PER_HOUR, 4),
        seen_gpu_hours=round(cost.seen_gpu_seconds / SECONDS_PER_HOUR, 4),
        cost=cost.amount,
        idle_cost=cost.idle_amount,
    )
